"""What faults with outgoing packets have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kmclcheck.engines.simulate.drivers.comeback import ComebackServer
from kmclcheck.engines.simulate.drivers.common import ChannelDriver
from kmclcheck.engines.simulate.drivers.echo import EchoClient
from kmclcheck.engines.simulate.drivers.traffic import Traffic
from kmclcheck.engines.simulate.faults.injector import Injector
from kmclcheck.engines.simulate.faults.tools import Then, client_of, replace, server_of, wrong
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Packet, Received
from kmclcheck.engines.simulate.packets import ROUTINE

SEND, FREE, INITIALIZE = "VmbPacketSend", "VmbPacketFree", "VmbPacketInitialize"
SEND_MDL, SEND_PFNS = "VmbPacketSendWithExternalMdl", "VmbPacketSendWithExternalPfns"
SET_ROUTINE, RESTORE = "VmbPacketSetCompletionRoutine", "VmbPacketRestore"
SET_POINTER, GET_POINTER = "VmbPacketSetPointer", "VmbPacketGetPointer"
REFUSED = " status=0xc000009a"


def send_scalars(length: int = 64, flags: int = 1) -> str:
    """Return the arguments of a plain send."""
    return f" Buffer=0xffffbc8061003000 BufferLength={length} ExternalDataMdl=0x0 Flags={flags}"


_SCALARS = {
    SEND: send_scalars(),
    SET_ROUTINE: ROUTINE,
    SET_POINTER: " Pointer=0xffffbc8060002000",
    RESTORE: " Buffer=0x4000 BufferSize=64",
}
_RESULTS = {SEND: REFUSED, SEND_MDL: REFUSED, SEND_PFNS: REFUSED, RESTORE: " status=0xc000000d"}


def use_packet(
    inject: Injector, t: Thread, name: str, packet: Packet, scalars: str | None = None,
    then: Then = "goes on",
) -> Task:  # fmt: skip
    """Log a wrong call that names a packet; the library refuses it if it can."""
    handles = f" {'VmbPacket' if name == FREE else 'PacketObject'}{packet.handle}"
    if scalars is None:
        scalars = _SCALARS.get(name, "")
    yield from wrong(inject, t, name, handles, scalars, _RESULTS.get(name, ""), then)


def spare(t: Thread, channel: Channel) -> Task:
    """Return a packet of the driver's, for one wrong use."""
    packet = yield from channel.driver.lib.allocate_packet(t, channel)
    return packet


def keep_packet(packet: Packet) -> None:
    """Keep a packet's handle from coming back with another packet, when it is freed."""
    packet.born = "kept"


def in_flight(packet: Packet) -> bool:
    """Return whether the library has a packet and will give it back."""
    return packet.routine == "User" and packet.state == "InLib" and packet in packet.channel.inflight


def with_routine(t: Thread, packet: Packet, *_: object, **more: object) -> bool:
    """Return whether an allocated packet has a completion routine of the driver's."""
    return packet.routine == "User" and packet.born == "alloc"


def automatic(t: Thread, packet: Packet, *_: object, **more: object) -> bool:
    """Return whether the library frees a packet."""
    return packet.routine == "Auto"


def initialized(t: Thread, packet: Packet, *_: object, **more: object) -> bool:
    """Return whether a packet lies in memory of the driver."""
    return packet.born == "init"


def with_own_storage(driver: ChannelDriver, share: float = 0.6) -> Traffic:
    """Let a driver keep many of its packets in its own memory."""
    assert isinstance(driver, Traffic)
    driver.own = share
    return driver


def comes_late(inject: Injector, driver: ChannelDriver) -> None:
    """Let a driver come only when the fault has happened."""

    def make(main: Callable[..., Task]) -> Callable[..., Task]:
        def later(t: Thread) -> Task:
            while inject.place is None:
                yield 5000.0
            yield from main(t)

        return later

    replace(driver, "main", make)


def comes_often(inject: Injector) -> None:
    """Let a server that comes back do so many times."""
    server = server_of(inject)
    assert isinstance(server, ComebackServer)
    server.times = 6


def with_much_to_do(driver: ChannelDriver) -> EchoClient:
    """Let an echo client send many packets."""
    assert isinstance(driver, EchoClient)
    driver.packets = 60
    return driver


def slow(driver: ChannelDriver, patience: float) -> None:
    """Let a driver take its time to answer packets."""
    assert isinstance(driver, Traffic)
    driver.patience = patience
    traffic = driver

    def make(process: Callable[..., Any]) -> Callable[..., Any]:
        def hold(t: Thread, received: Received) -> Task:
            if received.message.body[0] == "data" and not received.message.external:
                traffic.hold(received)
                yield from ()
            else:
                yield from process(t, received)

        return hold

    replace(driver, "process", make)


def sends_before(driver: ChannelDriver, method: str, packets: int) -> None:
    """Let a driver send some packets right before it does something else."""
    lib = driver.lib

    def make(routine: Callable[..., Task]) -> Callable[..., Task]:
        def busy(t: Thread, *args: Any) -> Task:
            assert driver.channel is not None
            for _ in range(packets):
                packet = yield from lib.allocate_packet(t, driver.channel)
                yield from lib.set_routine(t, packet)
                if driver.gate:
                    yield from lib.send(t, packet)
                else:
                    yield from lib.free(t, packet)
            return (yield from routine(t, *args))

        return busy

    replace(driver, method, make)


def leaves_early(inject: Injector) -> None:
    """Let the server leave while the client is still sending."""
    server, client = server_of(inject), client_of(inject)

    def main(t: Thread) -> Task:
        yield from server.up(t)
        while not (client.done or (client.channel is not None and client.channel.run == "Active")):
            yield 1000.0
        yield inject.kernel.random() * 10_000
        yield from server.down(t)

    replace(server, "main", lambda _: main)


def suspension(driver: ChannelDriver) -> Callable[[Channel], bool]:
    """Return what tells whether a channel of a driver is between Suspend and the next start or close."""
    shut: set[Channel] = set()

    def make(state: Callable[..., Task]) -> Callable[..., Task]:
        def watched(t: Thread, channel: Channel, slot: str, *more: Any) -> Task:
            if slot == "Started":
                shut.discard(channel)
            status = yield from state(t, channel, slot, *more)
            if slot == "Suspend":
                shut.add(channel)
            elif slot == "Closed":
                shut.discard(channel)
            return status

        return watched

    replace(driver.lib, "_state", make)
    return shut.__contains__


def again(inject: Injector, driver: ChannelDriver, before: int = 1) -> Callable[[], bool]:
    """Return what tells whether a driver's channel was opened more often than so many times."""
    opened: list[Channel] = []

    def make(routine: Callable[..., Task]) -> Callable[..., Task]:
        def counted(t: Thread, channel: Channel) -> Task:
            opened.append(channel)
            return (yield from routine(t, channel))

        return counted

    replace(driver, "opened", make)
    return lambda: len(opened) > before
