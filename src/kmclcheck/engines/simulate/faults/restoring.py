"""Faults with restoring: of servers, and of the library."""

from __future__ import annotations

from kmclcheck.engines.simulate.faults.injector import Injector, fault
from kmclcheck.engines.simulate.faults.packet_tools import RESTORE, in_flight, use_packet
from kmclcheck.engines.simulate.faults.save_tools import (
    MORE,
    NO_RESOURCES,
    RESTORE_BUFFER,
    enter_restore,
    right,
    saver_of,
)
from kmclcheck.engines.simulate.faults.tools import START, last, server_of, wrong
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Packet

# Started in the middle.


def _start_early(inject: Injector, *parts: int) -> None:
    """A server starts its channel after some parts, none of which was the last one."""
    server = saver_of(inject)

    def early(t: Thread, channel: Channel) -> Task:
        yield from server.lib.restore_from_buffer(t, channel, 0, False)
        for status in parts:
            yield from right(inject, t, RESTORE_BUFFER, channel, status)
        inject.mark(t)

    inject.at(server, "restore_all", "instead", early)


@fault("restore-loop", "rest left out", "save-restore")
def start_after_part(inject: Injector) -> None:
    """A server takes the first part for everything and starts its channel."""
    _start_early(inject)


@fault("restore-loop", "next part failed", "save-restore")
def start_after_failure(inject: Injector) -> None:
    """A server cannot restore the second part and starts its channel."""
    _start_early(inject, MORE, NO_RESOURCES)


@fault("restore-loop", "on another thread", "save-restore")
def start_between(inject: Injector) -> None:
    """A thread of a server starts the channel while another one fetches the next part."""

    def between(t: Thread, channel: Channel, *_: object) -> Task:
        yield from right(inject, t, RESTORE_BUFFER, channel, MORE)
        yield from wrong(inject, t.endpoint.thread(), START, f" Channel{channel.handle}")

    inject.at(saver_of(inject).lib, "restore_from_buffer", "before", between)


# Nothing restored in the callback.


@fault("restore-packet-protocol", "nothing done", "save-restore")
def restored_nothing(inject: Injector) -> None:
    """A server does nothing in the callback that restores a packet."""

    def nothing(t: Thread, channel: Channel) -> Task:
        inject.mark(t)
        yield from ()
        return 0

    inject.at(saver_of(inject), "restore", "instead", nothing)


@fault("restore-packet-protocol", "only allocated", "save-restore")
def restored_not(inject: Injector) -> None:
    """A server allocates a packet, prepares it, and does not restore it."""
    server = saver_of(inject)

    def prepare(t: Thread, channel: Channel) -> Task:
        packet = yield from server.lib.allocate_packet(t, channel)
        yield from server.lib.set_routine(t, packet)
        handles = f" Channel{channel.handle}"
        yield from last(inject, t, "out", "EvtVmbChannelRestorePacket", handles, "", " status=0x0")

    inject.at(server, "restore", "instead", prepare)


@fault("restore-packet-protocol", "failure not passed on", "save-restore")
def restored_badly(inject: Injector) -> None:
    """A server cannot restore a packet, frees it, and says that all is well."""
    server = saver_of(inject)

    def hide(t: Thread, channel: Channel) -> Task:
        packet = yield from server.lib.allocate_packet(t, channel)
        handles = f" PacketObject{packet.handle}"
        yield from inject.call(
            t, RESTORE, handles, " Buffer=0x4000 BufferSize=64", f" status={NO_RESOURCES:#x}"
        )  # fmt: skip
        yield from server.lib.free(t, packet)
        inject.mark(t)
        return 0

    inject.at(server, "restore", "instead", hide)


@fault("restore-packet-protocol", "packet of before", "save-restore")
def restored_prepared(inject: Injector) -> None:
    """A server has allocated a packet before the restore, and restores that one."""
    server = saver_of(inject)
    ready: list[Packet] = []

    def prepare(t: Thread, channel: Channel) -> Task:
        packet = yield from server.lib.allocate_packet(t, channel)
        yield from server.lib.set_routine(t, packet)
        ready.append(packet)
        yield from original(t, channel)
        if ready:
            yield from server.lib.free(t, ready.pop())

    def restore(t: Thread, channel: Channel) -> Task:
        yield from server.lib.restore_packet(t, ready.pop())
        inject.mark(t)
        return 0

    original = server.restore_all
    server.restore_all = prepare  # type: ignore[method-assign]
    inject.turn = 0
    inject.at(server, "restore", "instead", restore, lambda *_: bool(ready))


@fault("restore-packet-protocol", "on another thread", "save-restore")
def restored_elsewhere(inject: Injector) -> None:
    """A server leaves the work to another thread and waits for it in the callback."""
    server = saver_of(inject)

    def delegate(t: Thread, channel: Channel) -> Task:
        yield from original(t.endpoint.thread(), channel)
        inject.mark(t)
        return 0

    original = server.restore
    inject.at(server, "restore", "instead", delegate)


# Restored though it is not fresh.


@fault("packet-restore-fresh", "twice", "save-restore")
def restore_twice(inject: Injector) -> None:
    """A server restores a packet twice in a row."""
    inject.at(
        saver_of(inject).lib, "restore_packet", "after",
        lambda t, packet, _: use_packet(inject, t, RESTORE, packet),
    )  # fmt: skip


@fault("packet-restore-fresh", "one packet for two", "save-restore")
def restore_first(inject: Injector) -> None:
    """A server uses the packet for the next one that it has just restored the one before with."""
    server = saver_of(inject)
    done: list[Packet] = []

    def remember(t: Thread, packet: Packet) -> Task:
        yield from original(t, packet)
        done.append(packet)

    def used(t: Thread, channel: Channel) -> bool:
        return any(one.channel is channel and one in channel.inflight for one in done)

    def again(t: Thread, channel: Channel) -> Task:
        packet = next(one for one in done if one in channel.inflight)
        yield from use_packet(inject, t, RESTORE, packet)

    original = server.lib.restore_packet
    server.lib.restore_packet = remember  # type: ignore[method-assign]
    inject.at(server, "restore", "before", again, used)


def _sent(inject: Injector, fails: bool) -> None:
    """A server sends a packet in the callback and restores it then."""
    server = saver_of(inject)
    lib = server.lib

    def send(t: Thread, channel: Channel) -> Task:
        packet = yield from lib.allocate_packet(t, channel)
        yield from lib.set_routine(t, packet)
        yield from lib.send(t, packet, fails=fails)
        if fails or in_flight(packet):
            yield from use_packet(inject, t, RESTORE, packet)
        if fails:
            yield from lib.free(t, packet)

    inject.at(server, "restore", "before", send)


@fault("packet-restore-fresh", "sent", "save-restore")
def restore_sent(inject: Injector) -> None:
    """A server sends a packet instead of restoring it, and then it restores it."""
    _sent(inject, False)


@fault("packet-restore-fresh", "send failed", "save-restore")
def restore_refused(inject: Injector) -> None:
    """A server cannot send a packet and restores it instead."""
    _sent(inject, True)


# The callback at the wrong time.


@fault("lg-restore-packet-window", "before the restore", "save-restore")
def restored_before(inject: Injector) -> None:
    """The library restores a packet before the server has asked for it."""
    inject.at(
        saver_of(inject), "restore_all", "before",
        lambda t, channel: enter_restore(inject, t.endpoint.thread(), channel),
    )  # fmt: skip


@fault("lg-restore-packet-window", "after the restore", "save-restore")
def restored_after(inject: Injector) -> None:
    """The library restores a packet when the restore has returned."""
    inject.at(
        saver_of(inject).lib, "restore_from_buffer", "after",
        lambda t, channel, *_: enter_restore(inject, t.endpoint.thread(), channel),
    )  # fmt: skip


@fault("lg-restore-packet-window", "during a save", "save-restore")
def restored_while_saving(inject: Injector) -> None:
    """The library restores a packet while it saves another one."""
    inject.at(
        saver_of(inject), "save", "before",
        lambda t, channel, *_: enter_restore(inject, t.endpoint.thread(), channel),
    )  # fmt: skip


@fault("lg-restore-packet-window", "while packets flow", "echo")
def restored_while_running(inject: Injector) -> None:
    """The library restores a packet of a channel that was never saved."""
    inject.at(
        server_of(inject), "process", "before",
        lambda t, received: enter_restore(inject, t.endpoint.thread(), received.channel),
    )  # fmt: skip
