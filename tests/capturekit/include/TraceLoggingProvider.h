/*
 * TraceLogging as text: each event becomes one line of JSON, with its provider, name and fields. It takes
 * what the real macros take, and like them looks at no argument while nobody listens.
 */
#ifndef STUB_TRACELOGGINGPROVIDER_H
#define STUB_TRACELOGGINGPROVIDER_H

#include <stdio.h>

typedef struct _TLG_PROVIDER {
    const char *Name;
    unsigned Guid[11];
    int Registered;
} TLG_PROVIDER;

typedef struct _TLG_FIELD {
    const char *Name;
    const char *Type;
    unsigned long long Value;
    const void *Pointer;
} TLG_FIELD;

#ifdef __cplusplus
extern "C" {
#endif
/* Provided by the test programs. */
void TlgLine(const char *Text);
int TlgListening(void);
ULONG TlgThread(void);
#ifdef __cplusplus
}
#endif

static inline int TlgPut(char *Text, int At, int Size, const TLG_FIELD *Field)
{
    const char *type = Field->Type;
    const UCHAR *bytes = (const UCHAR *)Field->Pointer;
    unsigned long long value = Field->Value;

    At += snprintf(Text + At, (size_t)(Size - At), ", \"%s\": ", Field->Name);
    if (strcmp(type, "guid") == 0) {
        const GUID *guid = (const GUID *)Field->Pointer;

        bytes = guid->Data4;
        return At + snprintf(Text + At, (size_t)(Size - At),
            "\"{%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x}\"", (unsigned)guid->Data1,
            (unsigned)guid->Data2, (unsigned)guid->Data3, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
            bytes[5], bytes[6], bytes[7]);
    }
    if (strcmp(type, "string") == 0) {
        return At + snprintf(Text + At, (size_t)(Size - At), "\"%s\"", (const char *)Field->Pointer);
    }
    if (strcmp(type, "i64") == 0) {
        return At + snprintf(Text + At, (size_t)(Size - At), "%lld", (long long)value);
    }
    return At + snprintf(Text + At, (size_t)(Size - At), "%llu", value);
}

static inline void TlgWrite(
    const TLG_PROVIDER *Provider, const char *Event, const TLG_FIELD *Fields, size_t Count)
{
    char text[2048];
    int at;
    size_t i;

    at = snprintf(text, sizeof(text), "{\"provider\": \"%s\", \"event\": \"%s\", \"tid\": %u, \"fields\": {\"\": 0",
        Provider->Name, Event, (unsigned)TlgThread());
    for (i = 0; i < Count; ++i) {
        at = TlgPut(text, at, (int)sizeof(text), &Fields[i]);
    }
    snprintf(text + at, sizeof(text) - (size_t)at, "}}\n");
    TlgLine(text);
}

#define TLG_GUID(A, B, C, D, E, F, G, H, I, J, K) { A, B, C, D, E, F, G, H, I, J, K }
#define TRACELOGGING_DEFINE_PROVIDER(Handle, Name, Guid) \
    static TLG_PROVIDER Handle##_ = { Name, TLG_GUID Guid, 0 }; \
    static TLG_PROVIDER *const Handle = &Handle##_
#define TraceLoggingRegister(Handle) ((Handle)->Registered = 1, STATUS_SUCCESS)
#define TraceLoggingUnregister(Handle) ((void)((Handle)->Registered = 0))
#define TraceLoggingWrite(Handle, Event, ...) \
    do { \
        if ((Handle)->Registered && TlgListening()) { \
            const TLG_FIELD tlgFields[] = { __VA_ARGS__ }; \
            TlgWrite(Handle, "" Event, tlgFields, sizeof(tlgFields) / sizeof(tlgFields[0])); \
        } \
    } while (0)
#define TraceLoggingPointer(Value, Name) \
    { "" Name, "pointer", (unsigned long long)(ULONG_PTR)(const void *)(Value), NULL }
#define TraceLoggingUInt8(Value, Name) { "" Name, "u8", (UCHAR)(Value), NULL }
#define TraceLoggingUInt16(Value, Name) { "" Name, "u16", (USHORT)(Value), NULL }
#define TraceLoggingUInt32(Value, Name) { "" Name, "u32", (UINT32)(Value), NULL }
#define TraceLoggingUInt64(Value, Name) { "" Name, "u64", (UINT64)(Value), NULL }
#define TraceLoggingInt64(Value, Name) { "" Name, "i64", (unsigned long long)(INT64)(Value), NULL }
#define TraceLoggingNTStatus(Value, Name) { "" Name, "status", (UINT32)(NTSTATUS)(Value), NULL }
#define TraceLoggingGuid(Value, Name) { "" Name, "guid", 0, &(Value) }
#define TraceLoggingString(Value, Name) { "" Name, "string", 0, (const char *)(Value) }

#endif
