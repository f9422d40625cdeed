/*
 * Small drivers, good and bad, on top of a library that does little. The argument names the driver;
 * the trace that kmcltrace.h makes of it goes to standard output.
 */
#include "machine.h"

#define KMCLTRACE_IMPLEMENTATION
#include "kmcltrace.h"

#include "fake_kmcl.h"

static KMCL_SERVER_INTERFACE_V1 Server;
static KMCL_CLIENT_INTERFACE_V1 Client;
static int Calls; /* of callbacks of the driver */

/*
 * ---- Callbacks ----
 */

static NTSTATUS EvtOpened(VMBCHANNEL Channel)
{
    (void)Channel;
    ++Calls;
    return STATUS_SUCCESS;
}

static VOID EvtClosed(VMBCHANNEL Channel)
{
    (void)Channel;
    ++Calls;
}

/* Exchanges a first message, which is allowed here, from inside the callback. */
static VOID EvtPostStarted(VMBCHANNEL Channel)
{
    char message[8] = "hello", answer[8];
    UINT32 size = sizeof(answer);
    LARGE_INTEGER timeout;

    timeout.QuadPart = -10000;
    REQUIRE(Client.VmbChannelSendSynchronousRequest(Channel, message, sizeof(message), NULL, 1, answer,
                &size, &timeout) == STATUS_SUCCESS);
    ++Calls;
}

static VMBPACKETCOMPLETION Kept;
static PMDL Received;

/* What it does with a packet follows from the handle, which the peer of the test chooses. */
static VOID EvtProcessPacket(
    VMBCHANNEL Channel, VMBPACKETCOMPLETION Packet, PVOID Buffer, UINT32 BufferLength, UINT32 Flags)
{
    PMDL mapping = NULL;

    (void)Buffer;
    (void)BufferLength;
    ++Calls;
    if (Flags != 0) {
        if (Server.VmbChannelPacketGetExternalData(Packet, 0, &Received) == STATUS_PENDING) {
            return;
        }
    } else if (Packet == (VMBPACKETCOMPLETION)(ULONG_PTR)0x2000) {
        Kept = Packet;
        return;
    } else if (Packet == (VMBPACKETCOMPLETION)(ULONG_PTR)0x3000 && KeGetCurrentIrql() != PASSIVE_LEVEL) {
        Server.VmbChannelPacketDeferToPassive(Packet);
        return;
    } else if (Packet == (VMBPACKETCOMPLETION)(ULONG_PTR)0x3000) {
        REQUIRE(Server.VmbChannelMapGpadl(Channel, 0, 5, &mapping) == STATUS_SUCCESS);
        Server.VmbChannelUnmapGpadl(Channel, 5);
    }
    Server.VmbChannelPacketComplete(Packet, NULL, 0);
}

static VOID EvtProcessOther(
    VMBCHANNEL Channel, VMBPACKETCOMPLETION Packet, PVOID Buffer, UINT32 BufferLength, UINT32 Flags)
{
    (void)Channel;
    (void)Buffer;
    (void)BufferLength;
    (void)Flags;
    ++Calls;
    Server.VmbChannelPacketComplete(Packet, NULL, 0);
}

static VOID EvtProcessingComplete(VMBCHANNEL Channel, UINT32 PacketsProcessed)
{
    (void)Channel;
    REQUIRE(PacketsProcessed == 1);
    ++Calls;
}

static VOID EvtCompleted(VMBPACKET Packet, NTSTATUS Status, PVOID Buffer, UINT32 BufferLength)
{
    (void)Packet;
    (void)Buffer;
    (void)BufferLength;
    REQUIRE(NT_SUCCESS(Status));
    ++Calls;
}

/* Gives the packet back inside its own completion. */
static VOID EvtCompletedFree(VMBPACKET Packet, NTSTATUS Status, PVOID Buffer, UINT32 BufferLength)
{
    EvtCompleted(Packet, Status, Buffer, BufferLength);
    Server.VmbPacketFree(Packet);
}

static NTSTATUS EvtSavePacket(
    VMBCHANNEL Channel, VMBPACKET Packet, PVOID SaveBuf, UINT32 SaveBufSize, PUINT32 BytesNeeded)
{
    (void)Channel;
    (void)Packet;
    ++Calls;
    *BytesNeeded = 8;
    if (SaveBufSize < 8) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    memset(SaveBuf, 1, 8);
    return STATUS_SUCCESS;
}

static VMBPACKET Restored;

static NTSTATUS EvtRestorePacket(
    VMBCHANNEL Channel, PVOID LibBuf, UINT32 LibBufSize, PVOID SaveBuf, UINT32 SaveBufSize)
{
    (void)SaveBuf;
    (void)SaveBufSize;
    ++Calls;
    Restored = Server.VmbPacketAllocate(Channel);
    Server.VmbPacketSetCompletionRoutine(Restored, EvtCompletedFree);
    return Server.VmbPacketRestore(Restored, LibBuf, LibBufSize);
}

/*
 * ---- Steps ----
 */

/* A server with callbacks for open and close; the other slots stay empty. */
static VMBCHANNEL NewServer(PFN_VMB_CHANNEL_PROCESS_PACKET Process)
{
    const GUID type = { 0x11223344, 0x5566, 0x7788, { 1, 2, 3, 4, 5, 6, 7, 8 } };
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;
    VMBCHANNEL channel = NULL;

    REQUIRE(Server.VmbChannelAllocate(NULL, TRUE, &channel) == STATUS_SUCCESS);
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    callbacks.EvtChannelOpened = EvtOpened;
    callbacks.EvtChannelClosed = EvtClosed;
    REQUIRE(Server.VmbChannelInitSetStateChangeCallbacks(channel, &callbacks) == STATUS_SUCCESS);
    REQUIRE(Server.VmbChannelInitSetMaximumPacketSize(channel, 4096) == STATUS_SUCCESS);
    REQUIRE(Server.VmbServerChannelInitSetTargetInterfaceId(channel, type, type) == STATUS_SUCCESS);
    REQUIRE(Server.VmbChannelInitSetProcessPacketCallbacks(
                channel, Process, EvtProcessingComplete) == STATUS_SUCCESS);
    REQUIRE(Server.VmbServerChannelInitSetSaveRestorePacketCallbacks(
                channel, EvtSavePacket, EvtRestorePacket) == STATUS_SUCCESS);
    REQUIRE(Server.VmbChannelEnable(channel) == STATUS_SUCCESS);
    Server.VmbChannelStart(channel);
    return channel;
}

static void End(VMBCHANNEL Channel)
{
    Server.VmbChannelDisable(Channel);
    Server.VmbChannelCleanup(Channel);
}

static VMBPACKET Send(VMBCHANNEL Channel, PFN_VMB_PACKET_COMPLETION_ROUTINE Routine)
{
    char message[32] = "a message";
    VMBPACKET packet = Server.VmbPacketAllocate(Channel);

    REQUIRE(packet != NULL);
    if (Routine != NULL) {
        Server.VmbPacketSetCompletionRoutine(packet, Routine);
    }
    REQUIRE(NT_SUCCESS(Server.VmbPacketSend(packet, message, sizeof(message), NULL, Routine != NULL)));
    return packet;
}

static void ServerTraffic(VMBCHANNEL Channel)
{
    static FAKE_PACKET storage;
    VMBPACKET own = (VMBPACKET)(PVOID)&storage;
    char message[32] = "a message";

    PeerSends(Channel, 0x1000, 0, DISPATCH_LEVEL);
    PeerSends(Channel, 0x2000, 0, DISPATCH_LEVEL);
    PeerSends(Channel, 0x3000, 0, DISPATCH_LEVEL); /* deferred */
    PeerSends(Channel, 0x3000, 0, PASSIVE_LEVEL);
    PeerSends(Channel, 0x4000, 1, DISPATCH_LEVEL); /* external data: pending, then there */
    PeerSends(Channel, 0x4000, 1, DISPATCH_LEVEL);
    Server.VmbChannelPacketComplete(Kept, NULL, 0);

    Server.VmbPacketFree(Send(Channel, EvtCompleted));
    (void)Send(Channel, EvtCompletedFree);
    (void)Send(Channel, NULL);
    REQUIRE(Server.VmbChannelSizeofPacket(Channel) == sizeof(storage));
    REQUIRE(Server.VmbPacketInitialize(Channel, own, sizeof(storage)) == STATUS_SUCCESS);
    Server.VmbPacketSetCompletionRoutine(own, EvtCompleted);
    REQUIRE(NT_SUCCESS(Server.VmbPacketSend(own, message, sizeof(message), NULL, 1)));
}

/* One packet is in the library while the channel is saved; it comes back on another channel. */
static void SaveAndRestore(VMBCHANNEL Channel)
{
    char buffer[16];
    ULONG filled = 0, required = 0;
    VMBPACKET packet;
    VMBCHANNEL second;

    FakeHold = 1;
    packet = Send(Channel, EvtCompleted);
    FakeHold = 0;
    Server.VmbChannelPause(Channel);
    REQUIRE(Server.VmbChannelSaveBegin(Channel) == STATUS_SUCCESS);
    REQUIRE(Server.VmbChannelSaveContinue(Channel, buffer, 8, &filled, &required) == STATUS_BUFFER_TOO_SMALL);
    REQUIRE(Server.VmbChannelSaveContinue(Channel, buffer, 16, &filled, &required) == STATUS_BUFFER_OVERFLOW);
    REQUIRE(Server.VmbChannelSaveContinue(Channel, buffer, 16, &filled, &required) == STATUS_SUCCESS);
    Server.VmbChannelSaveEnd(Channel);
    Server.VmbChannelStart(Channel);
    PeerCompletes(packet);
    Server.VmbPacketFree(packet);

    REQUIRE(Server.VmbChannelAllocate(NULL, TRUE, &second) == STATUS_SUCCESS);
    REQUIRE(Server.VmbChannelInitSetProcessPacketCallbacks(second, EvtProcessOther, NULL) == STATUS_SUCCESS);
    REQUIRE(Server.VmbServerChannelInitSetSaveRestorePacketCallbacks(
                second, EvtSavePacket, EvtRestorePacket) == STATUS_SUCCESS);
    REQUIRE(Server.VmbChannelEnable(second) == STATUS_SUCCESS);
    REQUIRE(Server.VmbChannelRestoreFromBuffer(second, buffer, sizeof(buffer)) == STATUS_SUCCESS);
    Server.VmbChannelStart(second);
    PeerOpens(second);
    PeerCompletes(Restored);
    PeerSends(second, 0x5000, 0, DISPATCH_LEVEL);
    End(second);
}

/* A client that opens inside its own call and talks at once. */
static void ClientLife(void)
{
    static const GUID type = { 0x11223344, 0x5566, 0x7788, { 1, 2, 3, 4, 5, 6, 7, 8 } };
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;
    VMBCHANNEL channel = NULL;
    UINT32 gpadl = 0;
    char shared[64];

    REQUIRE(Client.VmbChannelAllocate(NULL, FALSE, &channel) == STATUS_SUCCESS);
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    callbacks.EvtChannelPostStarted = EvtPostStarted;
    REQUIRE(Client.VmbChannelInitSetStateChangeCallbacks(channel, &callbacks) == STATUS_SUCCESS);
    REQUIRE(Client.VmbClientChannelInitSetTargetPnp(channel, &type, NULL, NULL) == STATUS_SUCCESS);
    REQUIRE(Client.VmbChannelEnable(channel) == STATUS_SUCCESS);
    REQUIRE(Client.VmbChannelCreateGpadlFromBuffer(
                channel, 0, shared, sizeof(shared), &gpadl) == STATUS_SUCCESS);
    Client.VmbChannelDeleteGpadl(channel, gpadl);
    PeerCloses(channel);
    Client.VmbChannelDisable(channel);
    Client.VmbChannelCleanup(channel);
}

/* A channel that is configured and given up, as when a later step fails. */
static void NeverEnabled(void)
{
    VMBCHANNEL channel = NULL;

    REQUIRE(Client.VmbChannelAllocate(NULL, FALSE, &channel) == STATUS_SUCCESS);
    Client.VmbChannelCleanup(channel);
}

/* What a function would have filled in, had it succeeded, is what the driver left there. */
static void Failures(void)
{
    const ULONG_PTR left = 0x5A5A5A5A;
    VMBCHANNEL channel = (VMBCHANNEL)left;
    UINT32 gpadl = (UINT32)left;
    char message[8] = "hello";
    VMBPACKET packet;

    FakeFail = 1;
    REQUIRE(!NT_SUCCESS(Client.VmbChannelAllocate(NULL, FALSE, &channel)));
    REQUIRE(channel == (VMBCHANNEL)left);
    FakeFail = 0;
    REQUIRE(Client.VmbChannelAllocate(NULL, FALSE, &channel) == STATUS_SUCCESS);
    REQUIRE(Client.VmbChannelEnable(channel) == STATUS_SUCCESS);
    packet = Client.VmbPacketAllocate(channel);
    Client.VmbPacketSetCompletionRoutine(packet, EvtCompleted);
    FakeFail = 1;
    REQUIRE(Client.VmbPacketAllocate(channel) == NULL);
    REQUIRE(!NT_SUCCESS(Client.VmbPacketSend(packet, message, sizeof(message), NULL, 1)));
    REQUIRE(!NT_SUCCESS(Client.VmbChannelCreateGpadlFromBuffer(
        channel, 0, message, sizeof(message), &gpadl)));
    REQUIRE(gpadl == (UINT32)left);
    FakeFail = 0;
    Client.VmbPacketFree(packet);
    Client.VmbChannelDisable(channel);
    Client.VmbChannelCleanup(channel);
}

static VOID ManyPackets(PVOID Context)
{
    VMBCHANNEL channel = (VMBCHANNEL)Context;
    int i;

    for (i = 0; i < 1000; ++i) {
        VMBPACKET packet = Server.VmbPacketAllocate(channel);

        Server.VmbPacketSetCompletionRoutine(packet, i & 1 ? EvtCompleted : EvtCompletedFree);
        Server.VmbPacketFree(packet);
    }
}

/*
 * ---- Drivers ----
 */

static void Conforming(void)
{
    VMBCHANNEL channel = NewServer(EvtProcessPacket);

    PeerOpens(channel);
    ServerTraffic(channel);
    SaveAndRestore(channel);
    PeerCloses(channel);
    PeerOpens(channel);
    End(channel);
    ClientLife();
    NeverEnabled();
    /* Of the driver's own callbacks none got lost: 2 opens, 2 closes, 7 deliveries, 4 + 1 completions, */
    /* 6 ends of a batch, 2 saves, 1 restore, 1 start of the client. */
    REQUIRE(Calls == 2 + 2 + 7 + 5 + 6 + 2 + 1 + 1);
}

/* Two threads at once on one channel. */
static void Threads(void)
{
    VMBCHANNEL channel = NewServer(EvtProcessPacket);
    MACHINE_JOB first = { ManyPackets, channel, 0x14, PASSIVE_LEVEL };
    MACHINE_JOB second = { ManyPackets, channel, 0x18, PASSIVE_LEVEL };
    pthread_t one, two;

    PeerOpens(channel);
    one = MachineBegin(&first);
    two = MachineBegin(&second);
    (void)pthread_join(one, NULL);
    (void)pthread_join(two, NULL);
    End(channel);
}

static void DoubleComplete(void)
{
    VMBCHANNEL channel = NewServer(EvtProcessPacket);

    PeerOpens(channel);
    PeerSends(channel, 0x2000, 0, DISPATCH_LEVEL);
    Server.VmbChannelPacketComplete(Kept, NULL, 0);
    Server.VmbChannelPacketComplete(Kept, NULL, 0);
    End(channel);
}

static void CleanupWhileEnabled(void)
{
    Server.VmbChannelCleanup(NewServer(EvtProcessPacket));
}

static void PacketLeaked(void)
{
    VMBCHANNEL channel = NewServer(EvtProcessPacket);

    PeerOpens(channel);
    (void)Send(channel, EvtCompleted);
    End(channel);
}

/* Two channels with different functions for one callback, where the shim has room for one. */
static void Overflow(void)
{
    VMBCHANNEL first = NewServer(EvtProcessPacket), second = NewServer(EvtProcessOther);

    PeerOpens(first);
    PeerOpens(second);
    PeerSends(first, 0x1000, 0, DISPATCH_LEVEL);
    PeerSends(second, 0x2000, 0, DISPATCH_LEVEL);
    PeerSends(second, 0x2000, 0, DISPATCH_LEVEL); /* without the deliveries: completed twice */
    REQUIRE(Calls == 2 + 3 + 3);
    End(first);
    End(second);
}

/* Callbacks in a structure that the shim does not know. */
static void OtherVersion(void)
{
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;
    VMBCHANNEL channel = NULL;

    REQUIRE(Client.VmbChannelAllocate(NULL, FALSE, &channel) == STATUS_SUCCESS);
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    callbacks.Version = 9;
    REQUIRE(!NT_SUCCESS(Client.VmbChannelInitSetStateChangeCallbacks(channel, &callbacks)));
    callbacks.Version = 2;
    callbacks.EvtChannelClosed = EvtClosed;
    REQUIRE(Client.VmbChannelInitSetStateChangeCallbacks(channel, &callbacks) == STATUS_SUCCESS);
    REQUIRE(Client.VmbChannelEnable(channel) == STATUS_SUCCESS);
    Client.VmbChannelDisable(channel);
    REQUIRE(Calls == 1);
    Client.VmbChannelCleanup(channel);
}

static VOID OtherPause(VMBCHANNEL Channel)
{
    (void)Channel;
}

/* A second interface, one function of which is another one. */
static void OtherLibrary(void)
{
    static KMCL_CLIENT_INTERFACE_V1 other;
    VMBCHANNEL channel = NULL;

    FakeFillClient(&other);
    other.VmbChannelPause = OtherPause;
    REQUIRE(!KmclTraceWrapClientInterface(&other));
    REQUIRE(other.VmbChannelPause == OtherPause);
    REQUIRE(other.VmbChannelStart == Client.VmbChannelStart);
    REQUIRE(Client.VmbChannelAllocate(NULL, FALSE, &channel) == STATUS_SUCCESS);
    Client.VmbChannelCleanup(channel);
}

/* Nobody listens for a while: the records of that time are missing, and their numbers, too. */
static void NobodyListens(void)
{
    VMBCHANNEL channel = NULL;

    NeverEnabled();
    MachineListening = 0;
    REQUIRE(Client.VmbChannelAllocate(NULL, FALSE, &channel) == STATUS_SUCCESS);
    MachineListening = 1;
    Client.VmbChannelCleanup(channel);
}

int main(int Count, char **Words)
{
    static const struct {
        const char *Name;
        void (*Run)(void);
    } drivers[] = {
        { "conforming", Conforming },
        { "failures", Failures },
        { "threads", Threads },
        { "double-complete", DoubleComplete },
        { "cleanup-while-enabled", CleanupWhileEnabled },
        { "packet-leaked", PacketLeaked },
        { "overflow", Overflow },
        { "other-version", OtherVersion },
        { "other-library", OtherLibrary },
        { "nobody-listens", NobodyListens },
    };
    size_t i;

    MACHINE_START();
    FakeFillServer(&Server);
    FakeFillClient(&Client);
    REQUIRE(KmclTraceWrapServerInterface(&Server));
    REQUIRE(KmclTraceWrapClientInterface(&Client));
    for (i = 0; i < sizeof(drivers) / sizeof(drivers[0]); ++i) {
        if (Count == 2 && strcmp(Words[1], drivers[i].Name) == 0) {
            drivers[i].Run();
            KmclTraceStop();
            return 0;
        }
    }
    fprintf(stderr, "no such driver\n");
    return 2;
}
