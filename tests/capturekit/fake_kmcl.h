/*
 * A library with just enough behind its functions for a driver to live through the states of a channel.
 * The test drivers say what the peer does (Peer...). Which callbacks a call leads to follows the state
 * machine of the specification; on which thread they run is chosen to differ from call to call.
 */
#ifndef FAKE_KMCL_H
#define FAKE_KMCL_H

#include "machine.h"

#define WORKER 8
#define DELIVERY 0xc

typedef struct _FAKE_CHANNEL {
    int Used, Server, Open, Running, Wanted;
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS State;
    PFN_VMB_CHANNEL_PROCESS_PACKET ProcessPacket;
    PFN_VMB_CHANNEL_PROCESSING_COMPLETE ProcessingComplete;
    PFN_VMB_CHANNEL_SAVE_PACKET SavePacket;
    PFN_VMB_CHANNEL_RESTORE_PACKET RestorePacket;
    PFN_VMB_CHANNEL_PNP_FAILURE PnpFailure;
    int Saved;
} FAKE_CHANNEL;

typedef struct _FAKE_PACKET {
    int Used, Held;
    FAKE_CHANNEL *Channel;
    PFN_VMB_PACKET_COMPLETION_ROUTINE Routine;
} FAKE_PACKET;

#define FAKE_MOST 64
static FAKE_CHANNEL FakeChannels[FAKE_MOST];
static FAKE_PACKET FakePackets[FAKE_MOST];
static int FakeHold; /* packets that are sent stay in the library */
static int FakeFail; /* nothing can be had */

static FAKE_CHANNEL *FakeOf(VMBCHANNEL Channel)
{
    return (FAKE_CHANNEL *)(PVOID)Channel;
}

static VMBCHANNEL FakeHandle(FAKE_CHANNEL *Channel)
{
    return (VMBCHANNEL)(PVOID)Channel;
}

#define FAKE_HAS_VmbChannelAllocate
static NTSTATUS Fake_VmbChannelAllocate(
    PDEVICE_OBJECT ParentDeviceObject, BOOLEAN IsServer, VMBCHANNEL *Channel)
{
    int i;

    (void)ParentDeviceObject;
    for (i = 0; i < FAKE_MOST && !FakeFail; ++i) {
        if (!FakeChannels[i].Used) {
            memset(&FakeChannels[i], 0, sizeof(FakeChannels[i]));
            FakeChannels[i].Used = 1;
            FakeChannels[i].Server = IsServer;
            FakeChannels[i].Wanted = !IsServer;
            *Channel = FakeHandle(&FakeChannels[i]);
            return STATUS_SUCCESS;
        }
    }
    return STATUS_UNSUCCESSFUL;
}

#define FAKE_HAS_VmbChannelCleanup
static VOID Fake_VmbChannelCleanup(VMBCHANNEL Channel)
{
    FakeOf(Channel)->Used = 0;
}

#define FAKE_HAS_VmbChannelInitSetStateChangeCallbacks
static NTSTATUS Fake_VmbChannelInitSetStateChangeCallbacks(
    VMBCHANNEL Channel, PVMB_CHANNEL_STATE_CHANGE_CALLBACKS StateChangeCallbacks)
{
    /* A later version than 1 stands for one that kmcltrace.h does not know. */
    if (StateChangeCallbacks->Version == 0 || StateChangeCallbacks->Version > 2) {
        return STATUS_INVALID_PARAMETER_2;
    }
    FakeOf(Channel)->State = *StateChangeCallbacks;
    return STATUS_SUCCESS;
}

#define FAKE_HAS_VmbChannelInitSetProcessPacketCallbacks
static NTSTATUS Fake_VmbChannelInitSetProcessPacketCallbacks(
    VMBCHANNEL Channel, PFN_VMB_CHANNEL_PROCESS_PACKET ProcessPacketCallback,
    PFN_VMB_CHANNEL_PROCESSING_COMPLETE ProcessingCompleteCallback)
{
    FakeOf(Channel)->ProcessPacket = ProcessPacketCallback;
    FakeOf(Channel)->ProcessingComplete = ProcessingCompleteCallback;
    return STATUS_SUCCESS;
}

#define FAKE_HAS_VmbServerChannelInitSetSaveRestorePacketCallbacks
static NTSTATUS Fake_VmbServerChannelInitSetSaveRestorePacketCallbacks(
    VMBCHANNEL Channel, PFN_VMB_CHANNEL_SAVE_PACKET SavePacketCallback,
    PFN_VMB_CHANNEL_RESTORE_PACKET RestorePacketCallback)
{
    FakeOf(Channel)->SavePacket = SavePacketCallback;
    FakeOf(Channel)->RestorePacket = RestorePacketCallback;
    return STATUS_SUCCESS;
}

#define FAKE_HAS_VmbClientChannelInitSetTargetPnp
static NTSTATUS Fake_VmbClientChannelInitSetTargetPnp(
    VMBCHANNEL Channel, LPCGUID InterfaceType, LPCGUID InterfaceInstance,
    PFN_VMB_CHANNEL_PNP_FAILURE PnpFailureCallback)
{
    (void)InterfaceType;
    (void)InterfaceInstance;
    FakeOf(Channel)->PnpFailure = PnpFailureCallback;
    return STATUS_SUCCESS;
}

static VOID FakeRuns(PVOID Context)
{
    FAKE_CHANNEL *channel = (FAKE_CHANNEL *)Context;

    if (channel->State.EvtChannelStarted != NULL) {
        channel->State.EvtChannelStarted(FakeHandle(channel));
    }
    if (channel->State.EvtChannelPostStarted != NULL) {
        channel->State.EvtChannelPostStarted(FakeHandle(channel));
    }
    channel->Running = 1;
}

static VOID FakeOpens(PVOID Context)
{
    FAKE_CHANNEL *channel = (FAKE_CHANNEL *)Context;

    if (channel->State.EvtChannelOpened != NULL) {
        REQUIRE(channel->State.EvtChannelOpened(FakeHandle(channel)) == STATUS_SUCCESS);
    }
    channel->Open = 1;
    if (channel->Wanted) {
        FakeRuns(channel);
    }
}

static VOID FakeStops(PVOID Context)
{
    FAKE_CHANNEL *channel = (FAKE_CHANNEL *)Context;

    if (channel->Running && channel->State.EvtChannelSuspend != NULL) {
        channel->State.EvtChannelSuspend(FakeHandle(channel));
    }
    channel->Running = 0;
}

static VOID FakeCloses(PVOID Context)
{
    FAKE_CHANNEL *channel = (FAKE_CHANNEL *)Context;

    FakeStops(channel);
    if (channel->Open && channel->State.EvtChannelClosed != NULL) {
        channel->State.EvtChannelClosed(FakeHandle(channel));
    }
    channel->Open = 0;
}

/* The offer to a client is there already: the channel opens inside the call, on the caller's thread. */
#define FAKE_HAS_VmbChannelEnable
static NTSTATUS Fake_VmbChannelEnable(VMBCHANNEL Channel)
{
    if (!FakeOf(Channel)->Server) {
        FakeOpens(FakeOf(Channel));
    }
    return STATUS_SUCCESS;
}

#define FAKE_HAS_VmbChannelStart
static VOID Fake_VmbChannelStart(VMBCHANNEL Channel)
{
    FakeOf(Channel)->Wanted = 1;
    if (FakeOf(Channel)->Open && !FakeOf(Channel)->Running) {
        MachineOn(WORKER, PASSIVE_LEVEL, FakeRuns, FakeOf(Channel));
    }
}

#define FAKE_HAS_VmbChannelPause
static VOID Fake_VmbChannelPause(VMBCHANNEL Channel)
{
    FakeOf(Channel)->Wanted = 0;
    FakeStops(FakeOf(Channel));
}

#define FAKE_HAS_VmbChannelDisable
static VOID Fake_VmbChannelDisable(VMBCHANNEL Channel)
{
    MachineOn(WORKER, PASSIVE_LEVEL, FakeCloses, FakeOf(Channel));
}

#define FAKE_HAS_VmbPacketAllocate
static VMBPACKET Fake_VmbPacketAllocate(VMBCHANNEL Channel)
{
    int i;

    for (i = 0; i < FAKE_MOST && !FakeFail; ++i) {
        int expected = 0;

        if (__atomic_compare_exchange_n(
                &FakePackets[i].Used, &expected, 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            FakePackets[i].Channel = FakeOf(Channel);
            FakePackets[i].Routine = NULL;
            FakePackets[i].Held = 0;
            return (VMBPACKET)(PVOID)&FakePackets[i];
        }
    }
    return NULL;
}

#define FAKE_HAS_VmbPacketFree
static VOID Fake_VmbPacketFree(VMBPACKET VmbPacket)
{
    __atomic_store_n(&((FAKE_PACKET *)(PVOID)VmbPacket)->Used, 0, __ATOMIC_SEQ_CST);
}

#define FAKE_HAS_VmbChannelSizeofPacket
static UINT32 Fake_VmbChannelSizeofPacket(VMBCHANNEL Channel)
{
    (void)Channel;
    return sizeof(FAKE_PACKET);
}

#define FAKE_HAS_VmbPacketInitialize
static NTSTATUS Fake_VmbPacketInitialize(VMBCHANNEL Channel, VMBPACKET VmbPacket, UINT32 ByteCount)
{
    FAKE_PACKET *packet = (FAKE_PACKET *)(PVOID)VmbPacket;

    memset(packet, 0, ByteCount);
    packet->Channel = FakeOf(Channel);
    return STATUS_SUCCESS;
}

#define FAKE_HAS_VmbPacketSetCompletionRoutine
static VOID Fake_VmbPacketSetCompletionRoutine(
    VMBPACKET PacketObject, PFN_VMB_PACKET_COMPLETION_ROUTINE CompletionRoutine)
{
    ((FAKE_PACKET *)(PVOID)PacketObject)->Routine = CompletionRoutine;
}

static VOID FakeCompletes(PVOID Context)
{
    FAKE_PACKET *packet = (FAKE_PACKET *)Context;

    packet->Held = 0;
    if (packet->Routine == NULL) {
        Fake_VmbPacketFree((VMBPACKET)(PVOID)packet);
    } else {
        packet->Routine((VMBPACKET)(PVOID)packet, STATUS_SUCCESS, NULL, 0);
    }
}

/* The completion comes before the call returns, on another thread. */
#define FAKE_HAS_VmbPacketSend
static NTSTATUS Fake_VmbPacketSend(
    VMBPACKET PacketObject, PVOID Buffer, UINT32 BufferLength, PMDL ExternalDataMdl, UINT32 Flags)
{
    FAKE_PACKET *packet = (FAKE_PACKET *)(PVOID)PacketObject;

    (void)Buffer;
    (void)BufferLength;
    (void)ExternalDataMdl;
    (void)Flags;
    if (FakeFail) {
        return STATUS_UNSUCCESSFUL;
    }
    packet->Held = FakeHold;
    if (!FakeHold) {
        MachineOn(DELIVERY, DISPATCH_LEVEL, FakeCompletes, packet);
    }
    return STATUS_PENDING;
}

#define FAKE_HAS_VmbPacketRestore
static NTSTATUS Fake_VmbPacketRestore(VMBPACKET PacketObject, PVOID Buffer, ULONG BufferSize)
{
    (void)Buffer;
    (void)BufferSize;
    ((FAKE_PACKET *)(PVOID)PacketObject)->Held = 1;
    return STATUS_SUCCESS;
}

/* Pending at first, there the second time. */
#define FAKE_HAS_VmbChannelPacketGetExternalData
static int FakeExternalData;
static NTSTATUS Fake_VmbChannelPacketGetExternalData(
    VMBPACKETCOMPLETION PacketCompletionContext, UINT32 Flags, PMDL *Mdl)
{
    (void)PacketCompletionContext;
    (void)Flags;
    if (FakeExternalData++ == 0) {
        return STATUS_PENDING;
    }
    *Mdl = (PMDL)(ULONG_PTR)0x7700;
    return STATUS_SUCCESS;
}

#define FAKE_HAS_VmbChannelCreateGpadlFromBuffer
static NTSTATUS Fake_VmbChannelCreateGpadlFromBuffer(
    VMBCHANNEL Channel, UINT32 Flags, PVOID Buffer, UINT32 ByteCount, PUINT32 GpadlHandle)
{
    static UINT32 number;

    (void)Channel;
    (void)Flags;
    (void)Buffer;
    (void)ByteCount;
    if (FakeFail) {
        return STATUS_UNSUCCESSFUL;
    }
    *GpadlHandle = ++number;
    return STATUS_SUCCESS;
}

/* Asks what each packet in the library needs, then has it saved: in two steps. */
#define FAKE_HAS_VmbChannelSaveContinue
static NTSTATUS Fake_VmbChannelSaveContinue(
    VMBCHANNEL Channel, PVOID SaveBuffer, ULONG SaveBufferSize, PULONG BytesFilled,
    PULONG BytesRequired)
{
    FAKE_CHANNEL *channel = FakeOf(Channel);
    UINT32 needed = 0;
    int i;

    *BytesFilled = 0;
    *BytesRequired = 16;
    if (SaveBufferSize < 16) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    *BytesFilled = 16;
    if (channel->Saved++ != 0) {
        return STATUS_SUCCESS;
    }
    for (i = 0; i < FAKE_MOST; ++i) {
        VMBPACKET packet = (VMBPACKET)(PVOID)&FakePackets[i];

        if (FakePackets[i].Used && FakePackets[i].Held && FakePackets[i].Channel == channel) {
            REQUIRE(channel->SavePacket(Channel, packet, NULL, 0, &needed) == STATUS_BUFFER_TOO_SMALL);
            REQUIRE(needed == 8);
            REQUIRE(channel->SavePacket(Channel, packet, SaveBuffer, needed, &needed) == STATUS_SUCCESS);
        }
    }
    return STATUS_BUFFER_OVERFLOW;
}

#define FAKE_HAS_VmbChannelRestoreFromBuffer
static NTSTATUS Fake_VmbChannelRestoreFromBuffer(VMBCHANNEL Channel, PVOID Buffer, ULONG BufferSize)
{
    return FakeOf(Channel)->RestorePacket(Channel, Buffer, BufferSize, Buffer, 8);
}

#include "fake_defaults.h"

/* What the peer does, and what the library does of itself. */

static inline void PeerOpens(VMBCHANNEL Channel)
{
    MachineOn(WORKER, PASSIVE_LEVEL, FakeOpens, FakeOf(Channel));
}

static inline void PeerCloses(VMBCHANNEL Channel)
{
    MachineOn(WORKER, PASSIVE_LEVEL, FakeCloses, FakeOf(Channel));
}

static inline void PeerCompletes(VMBPACKET Packet)
{
    MachineOn(DELIVERY, DISPATCH_LEVEL, FakeCompletes, (PVOID)Packet);
}

typedef struct _FAKE_DELIVERY {
    FAKE_CHANNEL *Channel;
    VMBPACKETCOMPLETION Packet;
    UINT32 Flags;
} FAKE_DELIVERY;

static VOID FakeDelivers(PVOID Context)
{
    FAKE_DELIVERY *delivery = (FAKE_DELIVERY *)Context;
    char message[16] = "a message";

    delivery->Channel->ProcessPacket(
        FakeHandle(delivery->Channel), delivery->Packet, message, sizeof(message), delivery->Flags);
    if (delivery->Channel->ProcessingComplete != NULL) {
        delivery->Channel->ProcessingComplete(FakeHandle(delivery->Channel), 1);
    }
}

/* Delivers a received packet with this handle. */
static inline void PeerSends(VMBCHANNEL Channel, ULONG_PTR Packet, UINT32 Flags, KIRQL Irql)
{
    FAKE_DELIVERY delivery = { FakeOf(Channel), (VMBPACKETCOMPLETION)(PVOID)Packet, Flags };

    MachineOn(DELIVERY, Irql, FakeDelivers, &delivery);
}

#endif
