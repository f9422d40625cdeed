"""Faults of drivers with the ownership of outgoing packets: handed over, or never freed."""

from __future__ import annotations

from functools import partial
from typing import Any

from kmclcheck.engines.simulate.faults.injector import Injector, fault
from kmclcheck.engines.simulate.faults.packet_tools import (
    FREE,
    REFUSED,
    RESTORE,
    SEND,
    SET_POINTER,
    SET_ROUTINE,
    automatic,
    keep_packet,
    use_packet,
    with_much_to_do,
    with_routine,
)
from kmclcheck.engines.simulate.faults.save_tools import saver_of
from kmclcheck.engines.simulate.faults.tools import client_of
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Packet

# Used after it was handed over.


def _handed(inject: Injector, name: str, stops: bool = False, delay: float = 0.0) -> None:
    """A client sends a packet that the library frees, and uses it then, perhaps on another thread."""
    client = with_much_to_do(client_of(inject))
    lib = client.lib

    def use(t: Thread, packet: Packet) -> Task:
        if name != SEND or client.gate:
            yield from use_packet(inject, t, name, packet, then="stops" if stops else "goes on")

    def and_use(t: Thread, packet: Packet, *args: Any, **more: Any) -> Task:
        keep_packet(packet)
        taken = yield from original(t, packet, *args, **more)
        if delay:
            lib.endpoint.work(partial(use, packet=packet), inject.kernel.random() * delay)
        else:
            yield from use(t, packet)
        return taken

    original = lib.send
    inject.at(lib, "send", "instead", and_use, automatic)


@fault("packet-autofree-handoff", "at once", "echo")
def pointer_after_handoff(inject: Injector) -> None:
    """A client sets the pointer of a packet that it has sent without a completion routine."""
    _handed(inject, SET_POINTER)


@fault("packet-autofree-handoff", "freed", "echo")
def free_after_handoff(inject: Injector) -> None:
    """A client frees a packet that it has sent without a completion routine."""
    _handed(inject, FREE, stops=True)


@fault("packet-autofree-handoff", "sent again", "echo")
def send_after_handoff(inject: Injector) -> None:
    """A client sends a packet again that it has sent without a completion routine."""
    _handed(inject, SEND)


@fault("packet-autofree-handoff", "routine too late, on another thread", "echo")
def routine_after_handoff(inject: Injector) -> None:
    """A work item of a client sets the completion routine of a packet that was sent before."""
    _handed(inject, SET_ROUTINE, delay=3000)


# Never freed.


@fault("packet-freed-eventually", "never sent", "echo")
def never_sent(inject: Injector) -> None:
    """A client allocates a packet too many."""
    lib = client_of(inject).lib

    def too_many(t: Thread, channel: Channel, *_: object, **more: object) -> Task:
        yield from original(t, channel)
        inject.mark_end(t)

    original = lib.allocate_packet
    inject.at(lib, "allocate_packet", "before", too_many)


@fault("packet-freed-eventually", "after its completion", "echo")
def never_freed(inject: Injector) -> None:
    """A client forgets a packet in its completion routine."""

    def forget(t: Thread, packet: Packet, status: int) -> Task:
        inject.mark_end(t)
        yield from ()

    inject.at(client_of(inject), "completed", "instead", forget)


@fault("packet-freed-eventually", "not sent in the end", "server-offers")
def given_up(inject: Injector) -> None:
    """A client has prepared a packet, decides not to send it, and returns."""

    def forget(t: Thread, packet: Packet, *_: object) -> Task:
        inject.mark_end(t)
        yield from ()
        return True

    def ready(t: Thread, packet: Packet, *_: object, **more: object) -> bool:
        # Who has a packet after a failed send is not documented.
        return with_routine(t, packet) and packet.state == "Ready"

    inject.at(client_of(inject).lib, "send", "instead", forget, ready)


@fault("packet-freed-eventually", "restore failed", "save-restore")
def restore_failed(inject: Injector) -> None:
    """A server cannot restore a packet and returns the failure, but keeps the packet."""
    server = saver_of(inject)

    def fail(t: Thread, channel: Channel) -> Task:
        packet = yield from server.lib.allocate_packet(t, channel)
        handles = f" PacketObject{packet.handle}"
        yield from inject.call(t, RESTORE, handles, " Buffer=0x4000 BufferSize=64", REFUSED)
        inject.mark_end(t)
        return 0xC000009A

    inject.at(server, "restore", "instead", fail)
