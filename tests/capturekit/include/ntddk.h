/*
 * The few names of the Windows kernel that kmcltrace.h and its tests need, in our own words, so that both
 * compile without a WDK. The functions are provided by the test programs (machine.h).
 */
#ifndef STUB_NTDDK_H
#define STUB_NTDDK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef void VOID;
typedef void *PVOID;
typedef void *HANDLE;
typedef HANDLE *PHANDLE;
typedef char CHAR;
typedef unsigned char UCHAR, UINT8, BOOLEAN, KIRQL;
typedef unsigned short USHORT, UINT16, *PUINT16;
typedef uint32_t ULONG, UINT32, *PULONG, *PUINT32;
typedef int32_t LONG, NTSTATUS;
typedef int64_t LONG64, INT64;
typedef uint64_t ULONG64, UINT64;
typedef uintptr_t ULONG_PTR;
typedef size_t SIZE_T;
typedef uintptr_t PFN_NUMBER, *PPFN_NUMBER;
typedef union _LARGE_INTEGER {
    INT64 QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER;
typedef struct _GUID {
    ULONG Data1;
    USHORT Data2;
    USHORT Data3;
    UCHAR Data4[8];
} GUID, *LPGUID;
typedef const GUID *LPCGUID;
typedef struct _UNICODE_STRING UNICODE_STRING;
typedef const UNICODE_STRING *PCUNICODE_STRING;
typedef struct _MDL *PMDL;
typedef struct _DEVICE_OBJECT *PDEVICE_OBJECT;

#define TRUE 1
#define FALSE 0
#define DECLARE_HANDLE(Name) typedef struct Name##__ { int unused; } *Name
#define DECLSPEC_NOINLINE __attribute__((noinline))
#define FORCEINLINE static inline
#define C_ASSERT(Condition) extern char CAssert_[(Condition) ? 1 : -1]

#define PASSIVE_LEVEL 0
#define DISPATCH_LEVEL 2
#define NT_SUCCESS(Status) ((NTSTATUS)(Status) >= 0)
#define STATUS_SUCCESS ((NTSTATUS)0)
#define STATUS_PENDING ((NTSTATUS)0x103)
#define STATUS_UNSUCCESSFUL ((NTSTATUS)0xC0000001)
#define STATUS_INVALID_PARAMETER_2 ((NTSTATUS)0xC00000F0)
#define STATUS_BUFFER_OVERFLOW ((NTSTATUS)0x80000005)
#define STATUS_BUFFER_TOO_SMALL ((NTSTATUS)0xC0000023)

#ifdef __cplusplus
extern "C" {
#endif

KIRQL KeGetCurrentIrql(VOID);
VOID KeRaiseIrql(KIRQL NewIrql, KIRQL *OldIrql);
VOID KeLowerIrql(KIRQL NewIrql);
ULONG64 KeQueryInterruptTime(VOID);
ULONG KeGetCurrentProcessorNumberEx(PVOID Number);
HANDLE PsGetCurrentProcessId(VOID);
HANDLE PsGetCurrentThreadId(VOID);

#ifdef __cplusplus
}
#endif

FORCEINLINE LONG InterlockedExchange(LONG volatile *Target, LONG Value)
{
    return __atomic_exchange_n(Target, Value, __ATOMIC_SEQ_CST);
}

FORCEINLINE LONG64 InterlockedExchangeAdd64(LONG64 volatile *Addend, LONG64 Value)
{
    return __atomic_fetch_add(Addend, Value, __ATOMIC_SEQ_CST);
}

FORCEINLINE PVOID InterlockedCompareExchangePointer(
    PVOID volatile *Target, PVOID Exchange, PVOID Comperand)
{
    __atomic_compare_exchange_n(
        Target, &Comperand, Exchange, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return Comperand;
}

#endif
