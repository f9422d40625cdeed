"""What faults with saving and restoring have in common."""

from __future__ import annotations

from collections.abc import Callable

from kmclcheck.engines.simulate.drivers.save_restore import SavingServer
from kmclcheck.engines.simulate.faults.injector import Injector
from kmclcheck.engines.simulate.faults.packet_tools import sends_before, slow
from kmclcheck.engines.simulate.faults.tools import FAILED, Then, client_of, last, replace, server_of, wrong
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Packet
from kmclcheck.engines.simulate.saving import MORE, OVERFLOW, TOO_SMALL

BEGIN, CONTINUE, END = "VmbChannelSaveBegin", "VmbChannelSaveContinue", "VmbChannelSaveEnd"
RESTORE_BUFFER = "VmbChannelRestoreFromBuffer"
NO_RESOURCES = 0xC000009A
_SCALARS = {
    CONTINUE: " SaveBuffer=0x1000 SaveBufferSize=512",
    RESTORE_BUFFER: " Buffer=0x3000 BufferSize=512",
}


def saver_of(inject: Injector, packets: int = 3) -> SavingServer:
    """Return the server of the scenario that saves; some packets will be in flight at every save."""
    server = server_of(inject)
    assert isinstance(server, SavingServer)
    sends_before(server, "move", packets)
    slow(client_of(inject), 600_000.0)
    return server


def misuse(inject: Injector, t: Thread, name: str, channel: Channel, then: Then = "goes on") -> Task:
    """Log a wrong call about saving; the library refuses it if it can."""
    result = "" if name == END else FAILED
    yield from wrong(inject, t, name, f" Channel{channel.handle}", _SCALARS.get(name, ""), result, then)


def right(inject: Injector, t: Thread, name: str, channel: Channel, status: int = 0) -> Task:
    """Log a call about saving or restoring that nothing is wrong with, and for which nothing is done."""
    result = "" if name == END else f" status={status:#x}"
    yield from inject.call(t, name, f" Channel{channel.handle}", _SCALARS.get(name, ""), result)


def contexts(server: SavingServer) -> Callable[[Channel], bool]:
    """Return what tells whether a save context of a channel is open."""
    lib = server.lib
    saving: set[Channel] = set()
    begin, end = lib.save_begin, lib.save_end

    def begins(t: Thread, channel: Channel) -> Task:
        works = yield from begin(t, channel)
        if works:
            saving.add(channel)
        return works

    def ends(t: Thread, channel: Channel) -> Task:
        saving.discard(channel)
        yield from end(t, channel)

    replace(lib, "save_begin", lambda _: begins)
    replace(lib, "save_end", lambda _: ends)
    return saving.__contains__


def begun(server: SavingServer, t: Thread, channel: Channel) -> Task:
    """Open a save context."""
    while not (yield from server.lib.save_begin(t, channel)):
        pass


def in_use(channel: Channel) -> Packet:
    """Return a packet in flight."""
    return next(one for one in channel.inflight if one.sync is None)


def any_in_use(t: Thread, channel: Channel, *_: object, **more: object) -> bool:
    """Return whether a packet is in flight."""
    return any(one.sync is None for one in channel.inflight)


def enter_save(inject: Injector, t: Thread, channel: Channel, packet: Packet) -> Task:
    """The library asks how much is to be saved of a packet, when it must not."""
    handles = f" Channel{channel.handle} Packet{packet.handle}"
    yield from last(inject, t, "in", "EvtVmbChannelSavePacket", handles, " SaveBuf=0x2000 SaveBufSize=0")


def enter_restore(inject: Injector, t: Thread, channel: Channel) -> Task:
    """The library has a packet restored, when it must not."""
    scalars = " LibBuf=0x4000 LibBufSize=64 SaveBuf=0x5000 SaveBufSize=96"
    yield from last(inject, t, "in", "EvtVmbChannelRestorePacket", f" Channel{channel.handle}", scalars)


__all__ = [
    "BEGIN", "CONTINUE", "END", "MORE", "NO_RESOURCES", "OVERFLOW", "RESTORE_BUFFER", "TOO_SMALL",
    "any_in_use", "begun", "contexts", "enter_restore", "enter_save", "in_use", "misuse", "right", "saver_of",
]  # fmt: skip
