"""Faults of drivers with the life of outgoing packets."""

from __future__ import annotations

from functools import partial
from typing import Any

from kmclcheck.engines.simulate.faults.injector import Injector, fault
from kmclcheck.engines.simulate.faults.packet_tools import (
    FREE,
    GET_POINTER,
    REFUSED,
    SEND,
    SEND_PFNS,
    SET_POINTER,
    SET_ROUTINE,
    again,
    comes_late,
    comes_often,
    in_flight,
    initialized,
    keep_packet,
    send_scalars,
    use_packet,
    with_own_storage,
    with_routine,
)
from kmclcheck.engines.simulate.faults.save_tools import saver_of
from kmclcheck.engines.simulate.faults.tools import client_of, hold, server_of
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Packet

# Sent while the library has it.


def _others(packet: Packet) -> list[Packet]:
    """Return the packets in flight on the channel of one."""
    return [one for one in packet.channel.inflight if one is not packet and in_flight(one)]


def _queued(inject: Injector, name: str, stops: bool) -> None:
    """A client sends a packet before its channel is open, and uses it again while it is queued."""
    client = client_of(inject)
    comes_late(inject, server_of(inject))

    def twice(t: Thread, channel: Channel, works: bool) -> Task:
        if works:
            packet = yield from client.lib.allocate_packet(t, channel)
            yield from client.lib.set_routine(t, packet)
            yield from client.lib.send(t, packet)
            yield from use_packet(inject, t, name, packet, then="stops" if stops else "goes on")

    inject.at(client.lib, "enable", "after", twice)


@fault("packet-send-when-ready", "at once", "echo")
def send_twice(inject: Injector) -> None:
    """A client sends a packet twice in a row."""
    client = client_of(inject)

    def twice(t: Thread, packet: Packet, *args: Any, **more: Any) -> Task:
        taken = yield from original(t, packet, *args, **more)
        if in_flight(packet) and client.gate:
            yield from use_packet(inject, t, SEND, packet)
        return taken

    original = client.lib.send
    inject.at(client.lib, "send", "instead", twice, with_routine)


@fault("packet-send-when-ready", "two threads at once", "echo")
def send_race(inject: Injector) -> None:
    """Two threads of a client send the same packet at the same time."""
    lib = client_of(inject).lib

    def race(t: Thread, packet: Packet, *args: Any, **more: Any) -> Task:
        other, handles = t.endpoint.thread(), f" PacketObject{packet.handle}"
        lib.record(other, "call", SEND, handles, send_scalars())
        inject.mark(t)
        taken = yield from original(t, packet, *args, **more)
        lib.record(other, "ret", SEND, handles, "", REFUSED)
        return taken

    original = lib.send
    inject.at(lib, "send", "instead", race, with_routine)


@fault("packet-send-when-ready", "in the completion routine of another packet", "echo")
def send_other(inject: Injector) -> None:
    """A client takes the wrong packet in a completion routine: that one is not back yet."""
    client = client_of(inject)
    inject.at(
        client, "completed", "before",
        lambda t, packet, _: use_packet(inject, t, SEND, _others(packet)[0]),
        lambda t, packet, _: client.gate and bool(_others(packet)),
    )  # fmt: skip


@fault("packet-send-when-ready", "queued before the open", "echo")
def send_queued(inject: Injector) -> None:
    """A client sends a packet before its channel is open, and again because nothing happens."""
    _queued(inject, SEND, stops=False)


@fault("packet-send-when-ready", "restored", "save-restore")
def send_restored(inject: Injector) -> None:
    """A server sends a packet that it has just restored."""
    server = saver_of(inject)
    inject.at(
        server.lib, "restore_packet", "after",
        lambda t, packet, _: use_packet(inject, t, SEND, packet), with_routine,
    )  # fmt: skip


# Freed while the library has it.


@fault("packet-free-when-ready", "at once", "echo")
def free_sent(inject: Injector) -> None:
    """A client sends a packet, for which it has a completion routine, and frees it."""
    lib = client_of(inject).lib

    def and_free(t: Thread, packet: Packet, *args: Any, **more: Any) -> Task:
        taken = yield from original(t, packet, *args, **more)
        if in_flight(packet):
            yield from use_packet(inject, t, FREE, packet, then="stops")
        return taken

    original = lib.send
    inject.at(lib, "send", "instead", and_free, with_routine)


@fault("packet-free-when-ready", "while Send is running", "echo")
def free_during_send(inject: Injector) -> None:
    """One thread of a client frees the packet that another one is sending."""
    lib = client_of(inject).lib

    def meet(t: Thread, packet: Packet, *args: Any, **more: Any) -> Task:
        lib.record(t, "call", SEND, f" PacketObject{packet.handle}", send_scalars())
        yield from use_packet(inject, t.endpoint.thread(), FREE, packet, then="stops")

    inject.at(lib, "send", "instead", meet, with_routine)


@fault("packet-free-when-ready", "in the Suspend callback", "echo")
def free_in_suspend(inject: Injector) -> None:
    """A client frees what is in flight when its channel is suspended."""
    client = client_of(inject)
    hold(server_of(inject))

    def sent(channel: Channel) -> list[Packet]:
        return [one for one in channel.inflight if in_flight(one)]

    inject.at(
        client, "suspend", "before",
        lambda t, channel: use_packet(inject, t, FREE, sent(channel)[0], then="stops"),
        lambda t, channel: bool(sent(channel)),
    )  # fmt: skip


@fault("packet-free-when-ready", "restored", "save-restore")
def free_restored(inject: Injector) -> None:
    """A server frees a packet that it has just restored."""
    server = saver_of(inject)
    inject.at(
        server.lib, "restore_packet", "after",
        lambda t, packet, _: use_packet(inject, t, FREE, packet, then="stops"), with_routine,
    )  # fmt: skip


@fault("packet-free-when-ready", "queued before the open", "echo")
def free_queued(inject: Injector) -> None:
    """A client sends a packet before its channel is open, and frees it because nothing happens."""
    _queued(inject, FREE, stops=True)


# Used after the free.


@fault("packet-no-use-after-free", "at once", "echo")
def pointer_after_free(inject: Injector) -> None:
    """A client frees a packet and clears the pointer in it then."""
    lib = client_of(inject).lib

    def and_clear(t: Thread, packet: Packet) -> Task:
        keep_packet(packet)
        yield from original(t, packet)
        yield from use_packet(inject, t, SET_POINTER, packet, " Pointer=0x0")

    original = lib.free
    inject.at(lib, "free", "instead", and_clear)


@fault("packet-no-use-after-free", "sent by another thread", "echo")
def send_after_free(inject: Injector) -> None:
    """A completion routine frees a packet; a work item of the client sends it again."""
    client = client_of(inject)

    def free(t: Thread, packet: Packet, status: int) -> Task:
        keep_packet(packet)
        yield from client.lib.free(t, packet)
        client.lib.endpoint.work(partial(send, packet=packet), inject.kernel.random() * 1000)

    def send(t: Thread, packet: Packet) -> Task:
        if client.gate:
            yield from use_packet(inject, t, SEND, packet)

    inject.at(client, "completed", "instead", free, lambda *_: client.gate)


@fault("packet-no-use-after-free", "while Free is running", "echo")
def use_during_free(inject: Injector) -> None:
    """One thread of a client reads the pointer of a packet that another one is freeing."""
    lib = client_of(inject).lib

    def meet(t: Thread, packet: Packet) -> Task:
        lib.record(t, "call", FREE, f" VmbPacket{packet.handle}")
        yield from use_packet(inject, t.endpoint.thread(), GET_POINTER, packet)
        lib.record(t, "ret", FREE, "")
        packet.state = "Freed"

    inject.at(lib, "free", "instead", meet)


@fault("packet-no-use-after-free", "handle that came back", "echo")
def use_reused(inject: Injector) -> None:
    """A client uses a freed packet whose handle named an earlier packet before."""
    lib = client_of(inject).lib
    freed: set[str] = set()

    def came_back(t: Thread, packet: Packet) -> bool:
        old = packet.handle in freed
        freed.add(packet.handle)
        return old

    def and_use(t: Thread, packet: Packet) -> Task:
        keep_packet(packet)
        yield from original(t, packet)
        yield from use_packet(inject, t, SET_ROUTINE, packet)

    original = lib.free
    inject.at(lib, "free", "instead", and_use, came_back)


@fault("packet-no-use-after-free", "in the Closed callback", "echo")
def use_in_closed(inject: Injector) -> None:
    """A client goes over its list of packets in Closed; one of them was freed long ago."""
    client = client_of(inject)
    forgotten: list[Packet] = []

    def remember(t: Thread, packet: Packet, status: int) -> Task:
        keep_packet(packet)
        forgotten.append(packet)
        yield from client.lib.free(t, packet)

    def clear(t: Thread, channel: Channel) -> Task:
        yield from use_packet(inject, t, SET_POINTER, forgotten[0], " Pointer=0x0")

    client.completed = remember  # type: ignore[method-assign]
    inject.at(client, "closed", "before", clear, lambda *_: bool(forgotten))


# Freed though it lies in memory of the driver.


@fault("packet-free-only-allocated", "in its completion routine", "server-offers")
def free_initialized(inject: Injector) -> None:
    """A client frees a packet in its own memory like the others, and uses the memory for the next one."""
    client = with_own_storage(client_of(inject))

    def free(t: Thread, packet: Packet, status: int) -> Task:
        yield from use_packet(inject, t, FREE, packet)
        yield from client.discard(t, packet)

    inject.at(client, "completed", "instead", free, initialized)


@fault("packet-free-only-allocated", "never sent", "server-offers")
def free_unsent(inject: Injector) -> None:
    """A client makes a packet in its own memory and frees it at once."""
    client = with_own_storage(client_of(inject))

    def free(t: Thread, *args: Any) -> Task:
        packet = args[-1]
        if packet is not None:
            yield from use_packet(inject, t, FREE, packet, then="stops")

    inject.at(client.lib, "initialize_packet", "after", free)


@fault("packet-free-only-allocated", "after a failed send", "server-offers")
def free_failed(inject: Injector) -> None:
    """A client cannot send a packet in its own memory, and frees it."""
    lib = with_own_storage(client_of(inject)).lib

    def fail(t: Thread, packet: Packet, *args: Any, **more: Any) -> Task:
        yield from original(t, packet, fails=True)
        yield from use_packet(inject, t, FREE, packet, then="stops")

    original = lib.send
    inject.at(lib, "send", "instead", fail, initialized)


@fault("packet-free-only-allocated", "after Disable", "server-offers")
def free_storage(inject: Injector) -> None:
    """A client frees its packets before it cleans up its channel; one lies in its own memory."""
    client = with_own_storage(client_of(inject), 0.95)
    made: dict[str, Packet] = {}

    def back() -> list[Packet]:
        return [one for one in made.values() if one.state == "Ready"]

    def remember(t: Thread, *args: Any, **more: Any) -> Task:
        packet = yield from original(t, *args, **more)
        if packet is not None:
            made[packet.handle] = packet
        return packet

    original = client.lib.initialize_packet
    client.lib.initialize_packet = remember  # type: ignore[method-assign]
    inject.at(
        client.lib, "cleanup", "before",
        lambda t, channel: use_packet(inject, t, FREE, back()[0]),
        lambda t, channel: channel.driver is client and bool(back()),
    )  # fmt: skip


# Sent without a completion routine.


@fault("packet-initialized-has-routine", "at once", "server-offers")
def send_without_routine(inject: Injector) -> None:
    """A client sends a packet in its own memory before it sets the completion routine."""
    client = with_own_storage(client_of(inject))

    def send(t: Thread, *args: Any) -> Task:
        packet = args[-1]
        if client.gate and packet is not None:
            yield from use_packet(inject, t, SEND, packet)

    inject.at(client.lib, "initialize_packet", "after", send)


@fault("packet-initialized-has-routine", "initialised anew", "server-offers")
def send_anew(inject: Injector) -> None:
    """A client initialises its memory again for the next packet, and believes in the old routine."""
    client = with_own_storage(client_of(inject))

    def reuse(t: Thread, packet: Packet, status: int) -> Task:
        storage = int(packet.handle[1:], 16)
        anew = yield from client.lib.initialize_packet(t, packet.channel, storage)
        if client.gate:
            yield from use_packet(inject, t, SEND, anew)
        yield from client.discard(t, anew)

    inject.at(
        client, "completed", "instead", reuse,
        lambda t, packet, _: client.gate and initialized(t, packet),
    )  # fmt: skip


@fault("packet-initialized-has-routine", "external data, on another thread", "external-data-pending")
def send_too_early(inject: Injector) -> None:
    """A thread of a client sends a packet with external data while another one still prepares it."""
    client = with_own_storage(client_of(inject))
    scalars = (
        " Buffer=0xffffbc8061003000 BufferLength=64 ExternalDataPfns=0xffffbc8070009000 PfnLength=2 Flags=1"
    )

    def send(t: Thread, packet: Packet) -> Task:
        yield from use_packet(inject, t.endpoint.thread(), SEND_PFNS, packet, scalars)

    inject.at(
        client.lib, "set_routine", "before", send,
        lambda t, packet: client.gate and packet.routine == "Unset",
    )  # fmt: skip


@fault("packet-initialized-has-routine", "after a second open", "comes-back")
def send_reopened(inject: Injector) -> None:
    """A client whose channel is open again has lost the routines of its packets."""
    comes_often(inject)
    client = with_own_storage(client_of(inject))
    reopened = again(inject, client)

    def send(t: Thread, *args: Any) -> Task:
        packet = args[-1]
        if client.gate and packet is not None:
            yield from use_packet(inject, t, SEND, packet, then="stops")

    inject.at(
        client.lib, "initialize_packet", "after", send,
        lambda t, channel, *_, **more: channel.driver is client and reopened(),
    )  # fmt: skip
