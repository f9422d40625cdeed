"""The calls and callbacks of KMCL with all their columns, as a driver's own instrumentation logs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from tests.support.tracebuilder import DISPATCH, Thread

OK, PENDING, OVERFLOW = 0, 0x103, 0x80000005
MORE, TOO_SMALL, NO_MEMORY = 0xC0000016, 0xC0000023, 0xC000009A
CANCELLED, REMOVED, UNSUCCESSFUL = 0xC0000120, 0xC00002B6, 0xC0000001
WAIT = 1
EXTERNAL = 1

ALL_SLOTS = ("Opened", "Closed", "Suspend", "Started", "PostStarted")


@dataclass(slots=True)
class Numbers:
    """Gives out handles. Packets of a look-aside list come back soon after they were freed."""

    channels: int = 0xFFFFBC8012340000
    packets: int = 0xFFFFBC8020411000
    incoming: int = 0xFFFFBC8031002040
    free_packets: list[int] = field(default_factory=list)
    free_incoming: list[int] = field(default_factory=list)

    def channel(self) -> int:
        self.channels += 0x1A40
        return self.channels

    def packet(self) -> int:
        if self.free_packets:
            return self.free_packets.pop()
        self.packets += 0x180
        return self.packets

    def received(self) -> int:
        if self.free_incoming:
            return self.free_incoming.pop(0)
        self.incoming += 0xC0
        return self.incoming


@dataclass(slots=True)
class Channel:
    """One channel of a driver. Nothing here decides what is legal."""

    handle: int
    server: bool
    numbers: Numbers
    slots: tuple[str, ...] = ALL_SLOTS
    max_packet: int = 4096

    # -- life

    def allocate(self, t: Thread) -> None:
        t.fn(
            "VmbChannelAllocate",
            OK,
            {"Channel": self.handle},
            ParentDeviceObject=0xFFFFBC800F2C4A60,
            IsServer=int(self.server),
        )

    def init(self, t: Thread, name: str, status: int = OK, **args: int) -> None:
        t.fn(name, status, Channel=self.handle, **args)

    def configure(self, t: Thread, passive: bool = False, save: bool = False) -> None:
        """The whole configuration between Allocate and Enable."""
        if self.server:
            self.init(t, "VmbServerChannelInitSetVmbusHandle", VmbusHandle=0xFFFFFFFF80001A2C)
        self.init(t, "VmbChannelInitSetMaximumPacketSize", PacketSize=self.max_packet)
        filled = {slot: int(slot in self.slots) for slot in ALL_SLOTS}
        self.init(
            t,
            "VmbChannelInitSetStateChangeCallbacks",
            StateChangeCallbacks=0xFFFFD10A5B2EF690,
            Version=1,
            Size=0x30,
            **filled,
        )
        self.init(
            t,
            "VmbChannelInitSetProcessPacketCallbacks",
            ProcessPacketCallback=0xFFFFF8026B1C1230,
            ProcessingCompleteCallback=0xFFFFF8026B1C1910,
        )
        if self.server:
            guid = "{ba6163d9-04a1-4d29-b605-72e2ffb1dc7f}"
            t.fn(
                "VmbServerChannelInitSetTargetInterfaceId",
                OK,
                Channel=self.handle,
                InterfaceType=guid,
                InterfaceInstance=guid,
            )
        else:
            self.init(
                t, "VmbClientChannelInitSetRingBufferPageCount", IncomingPageCount=16, OutgoingPageCount=16
            )
            self.init(
                t,
                "VmbClientChannelInitSetTargetPnp",
                InterfaceType=0xFFFFF8026B1C5010,
                InterfaceInstance=0,
                PnpFailureCallback=0xFFFFF8026B1C2020,
            )
        if save:
            self.init(
                t,
                "VmbServerChannelInitSetSaveRestorePacketCallbacks",
                SavePacketCallback=0xFFFFF8026B1C2440,
                RestorePacketCallback=0xFFFFF8026B1C2580,
            )
        self.init(t, "VmbChannelInitSetFriendlyName", Name=0xFFFFF8026B1C5040)
        if passive:
            t.fn("VmbChannelSetIncomingProcessingAtPassive", Channel=self.handle, RequirePassive=1)

    def create(self, t: Thread, passive: bool = False, save: bool = False) -> None:
        self.allocate(t)
        self.configure(t, passive, save)

    def enable(self, t: Thread, status: int = OK) -> None:
        t.fn("VmbChannelEnable", status, Channel=self.handle)

    def enabling(self, t: Thread, status: int = OK) -> AbstractContextManager[None]:
        return t.during("VmbChannelEnable", status, Channel=self.handle)

    def start(self, t: Thread) -> None:
        t.fn("VmbChannelStart", Channel=self.handle)

    def starting(self, t: Thread) -> AbstractContextManager[None]:
        return t.during("VmbChannelStart", Channel=self.handle)

    def pausing(self, t: Thread) -> AbstractContextManager[None]:
        return t.during("VmbChannelPause", Channel=self.handle)

    def disabling(self, t: Thread) -> AbstractContextManager[None]:
        return t.during("VmbChannelDisable", Channel=self.handle)

    def disable(self, t: Thread) -> None:
        t.fn("VmbChannelDisable", Channel=self.handle)

    def cleanup(self, t: Thread) -> None:
        t.fn("VmbChannelCleanup", Channel=self.handle)

    # -- state callbacks

    @contextmanager
    def state(self, t: Thread, slot: str, status: int | None = None) -> Iterator[None]:
        """A state callback; without a driver routine in its slot it leaves no record."""
        if slot not in self.slots:
            yield
            return
        with t.cb(f"EvtVmbChannel{slot}", status, Channel=self.handle):
            yield

    def opened(self, t: Thread, status: int = OK) -> AbstractContextManager[None]:
        return self.state(t, "Opened", status)

    def started(self, t: Thread) -> AbstractContextManager[None]:
        return self.state(t, "Started")

    def post_started(self, t: Thread) -> AbstractContextManager[None]:
        return self.state(t, "PostStarted")

    def suspended(self, t: Thread) -> AbstractContextManager[None]:
        return self.state(t, "Suspend")

    def closed(self, t: Thread) -> AbstractContextManager[None]:
        return self.state(t, "Closed")

    def open(self, t: Thread) -> None:
        with self.opened(t):
            pass

    def run(self, t: Thread) -> None:
        """Started and PostStarted."""
        with self.started(t):
            pass
        with self.post_started(t):
            pass

    def suspend(self, t: Thread) -> None:
        with self.suspended(t):
            pass

    def close(self, t: Thread) -> None:
        with self.closed(t):
            pass

    # -- received packets

    @contextmanager
    def delivery(
        self, t: Thread, q: int | None = None, flags: int = 0, irql: int = DISPATCH
    ) -> Iterator[int]:
        """EvtVmbChannelProcessPacket, by default of a packet that was not delivered before."""
        value = self.numbers.received() if q is None else q
        args = {"Channel": self.handle, "Packet": value}
        with t.at(irql):
            t.enter(
                "EvtVmbChannelProcessPacket", **args, Buffer=0xFFFFBC8044000080, BufferLength=64, Flags=flags
            )
            yield value
            t.leave("EvtVmbChannelProcessPacket", **args)

    def received(self, t: Thread, irql: int = DISPATCH) -> int:
        """A delivery that keeps the packet for later."""
        with self.delivery(t, irql=irql) as q:
            return q

    def batch_done(self, t: Thread, count: int, irql: int = DISPATCH) -> None:
        with (
            t.at(irql),
            t.cb("EvtVmbChannelProcessingComplete", Channel=self.handle, PacketsProcessed=count),
        ):
            pass

    def complete(self, t: Thread, q: int) -> None:
        t.fn("VmbChannelPacketComplete", PacketCompletionContext=q, PacketCompletionBuffer=0, BufSize=0)
        self.numbers.free_incoming.append(q)

    def defer(self, t: Thread, q: int) -> None:
        t.fn("VmbChannelPacketDeferToPassive", PacketCompletionContext=q)

    def fail(self, t: Thread, q: int) -> None:
        t.fn("VmbChannelPacketFail", PacketCompletionContext=q)

    def external(self, t: Thread, q: int, status: int = OK) -> None:
        outs = {"MdlValue": 0xFFFFBC8050001000} if status == OK else {}
        t.fn(
            "VmbChannelPacketGetExternalData",
            status,
            outs,
            PacketCompletionContext=q,
            Flags=0,
            Mdl=0xFFFFD10A5B2EF510,
        )

    # -- outgoing packets

    def packet(self, t: Thread, routine: bool = True) -> int:
        """A packet from VmbPacketAllocate, with a routine of the driver's unless told otherwise."""
        p = self.numbers.packet()
        t.fn("VmbPacketAllocate", None, {"Return": p}, Channel=self.handle)
        if routine:
            self.set_routine(t, p)
        return p

    def initialize(self, t: Thread, storage: int, routine: bool = True) -> None:
        t.fn("VmbPacketInitialize", OK, Channel=self.handle, VmbPacket=storage, ByteCount=0x1C0)
        if routine:
            self.set_routine(t, storage)

    def set_routine(self, t: Thread, p: int) -> None:
        t.fn("VmbPacketSetCompletionRoutine", PacketObject=p, CompletionRoutine=0xFFFFF8026B1C1D30)

    def set_pointer(self, t: Thread, p: int) -> None:
        t.fn("VmbPacketSetPointer", PacketObject=p, Pointer=0xFFFFBC8060002000)

    def sending(
        self, t: Thread, p: int, status: int = OK, flags: int = WAIT, size: int = 64
    ) -> AbstractContextManager[None]:
        return t.during(
            "VmbPacketSend",
            status,
            PacketObject=p,
            Buffer=0xFFFFBC8061003000,
            BufferLength=size,
            ExternalDataMdl=0,
            Flags=flags,
        )

    def send(self, t: Thread, p: int, status: int = OK, flags: int = WAIT, size: int = 64) -> None:
        with self.sending(t, p, status, flags, size):
            pass

    def completing(self, t: Thread, p: int, status: int = OK) -> AbstractContextManager[None]:
        return t.cb("EvtVmbPacketCompletionRoutine", Packet=p, Status=status, Buffer=0, BufferLength=0)

    def completed(self, t: Thread, p: int, status: int = OK, irql: int = DISPATCH) -> None:
        with t.at(irql), self.completing(t, p, status):
            pass

    def free(self, t: Thread, p: int) -> None:
        t.fn("VmbPacketFree", VmbPacket=p)
        self.numbers.free_packets.append(p)

    def exchange(self, t: Thread, lib: Thread) -> None:
        """Allocate, send, completion, free."""
        p = self.packet(t)
        self.send(t, p)
        with lib.at(DISPATCH), self.completing(lib, p):
            self.free(lib, p)

    def sync(self, t: Thread, status: int = OK, waits: bool = True) -> None:
        """VmbChannelSendSynchronousRequest, waiting without limit or not at all."""
        with self.syncing(t, status, waits):
            pass

    def syncing(self, t: Thread, status: int = OK, waits: bool = True) -> AbstractContextManager[None]:
        more = {} if waits else {"TimeoutValue": 0}
        return t.during(
            "VmbChannelSendSynchronousRequest",
            status,
            Channel=self.handle,
            Buffer=0xFFFFBC8061003000,
            BufferSize=32,
            ExternalDataMdl=0,
            Flags=WAIT if waits else 0,
            CompletionBuffer=0xFFFFBC8061004000,
            CompletionBufferSize=0xFFFFD10A5B2EF4E0,
            CompletionBufferSizeValue=64,
            Timeout=0 if waits else 0xFFFFD10A5B2EF4E8,
            **more,
        )

    # -- GPADLs

    def gpadl(self, t: Thread, number: int, status: int = OK) -> None:
        outs = {"GpadlHandle": number} if status == OK else {}
        t.fn(
            "VmbChannelCreateGpadlFromMdl",
            status,
            outs,
            Channel=self.handle,
            Flags=0,
            Mdl=0xFFFFBC8070008000,
            StartOffsetWithinMdl=0,
            DataLengthWithinMdl=0x200000,
        )

    def delete(self, t: Thread, number: int) -> None:
        t.fn("VmbChannelDeleteGpadl", Channel=self.handle, GpadlHandle=number)

    def map(self, t: Thread, number: int, status: int = OK) -> None:
        outs = {"MdlValue": 0xFFFFBC8071009000} if status == OK else {}
        t.fn(
            "VmbChannelMapGpadl",
            status,
            outs,
            Channel=self.handle,
            Flags=0,
            GpadlHandle=number,
            Mdl=0xFFFFD10A5B2EF400,
        )

    def unmap(self, t: Thread, number: int) -> None:
        t.fn("VmbChannelUnmapGpadl", Channel=self.handle, GpadlHandle=number)

    # -- save and restore

    def save_begin(self, t: Thread, status: int = OK) -> None:
        t.fn("VmbChannelSaveBegin", status, Channel=self.handle)

    def save_continue(self, t: Thread, status: int) -> AbstractContextManager[None]:
        outs = {"BytesFilledValue": 0 if status == TOO_SMALL else 512, "BytesRequiredValue": 900}
        return t.during(
            "VmbChannelSaveContinue", status, outs, Channel=self.handle, SaveBuffer=0x1000, SaveBufferSize=512
        )

    def save_packet(self, t: Thread, p: int) -> None:
        """The two calls for one packet: what size, and do it."""
        name = "EvtVmbChannelSavePacket"
        for size, status, needed in ((0, TOO_SMALL, 96), (96, OK, 96)):
            with t.cb(
                name,
                status,
                {"BytesNeededValue": needed},
                Channel=self.handle,
                Packet=p,
                SaveBuf=0x2000,
                SaveBufSize=size,
            ):
                pass

    def save_end(self, t: Thread) -> None:
        t.fn("VmbChannelSaveEnd", Channel=self.handle)

    def restoring(self, t: Thread, status: int = OK) -> AbstractContextManager[None]:
        return t.during(
            "VmbChannelRestoreFromBuffer", status, Channel=self.handle, Buffer=0x3000, BufferSize=512
        )

    def restore_packet(self, t: Thread) -> int:
        with t.cb(
            "EvtVmbChannelRestorePacket",
            OK,
            Channel=self.handle,
            LibBuf=0x4000,
            LibBufSize=64,
            SaveBuf=0x5000,
            SaveBufSize=96,
        ):
            p = self.packet(t)
            self.set_pointer(t, p)
            t.fn("VmbPacketRestore", OK, PacketObject=p, Buffer=0x4000, BufferSize=64)
        return p


def client(numbers: Numbers | None = None) -> Channel:
    numbers = numbers or Numbers()
    return Channel(numbers.channel(), False, numbers)


def server(numbers: Numbers | None = None) -> Channel:
    numbers = numbers or Numbers()
    return Channel(numbers.channel(), True, numbers)
