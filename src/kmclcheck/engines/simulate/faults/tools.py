"""What faults have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from kmclcheck.engines.simulate.drivers.common import Call, ChannelDriver
from kmclcheck.engines.simulate.faults.injector import How, Injector
from kmclcheck.engines.simulate.kernel import DISPATCH, Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Packet, Received

Then = Literal["goes on", "stops", "hangs"]
"""What comes after a wrong call: it returns; the trace ends with it; it never returns."""

FAILED, REMOVED, CANCELLED = " status=0xc0000001", " status=0xc00002b6", " status=0xc0000120"
WRONG_STATE, ZERO_2, ZERO_3 = " status=0xc00000ef", " status=0xc00000f0", " status=0xc00000f1"
ENABLE, DISABLE, CLEANUP = "VmbChannelEnable", "VmbChannelDisable", "VmbChannelCleanup"
START, PAUSE = "VmbChannelStart", "VmbChannelPause"
NAME, NAME_SCALARS = "VmbChannelInitSetFriendlyName", " Name=0xfffff8026b1c5040"
MAX_PACKET, MAX_EXTERNAL = "VmbChannelInitSetMaximumPacketSize", "VmbChannelInitSetMaximumExternalData"
LATENCY, LATENCY_SCALARS = "VmbChannelSetInterruptLatency", " Latency=250"
MMIO, QUOTA = "VmbChannelGetMmioSpace", "VmbChannelSetTransactionQuota"
MMIO_SCALARS = " MmioAddress=0xffffd10a5b2ef5a0 MmioSize=0xffffd10a5b2ef5a8"
CREATE = "VmbChannelCreateGpadlFromBuffer"
CREATE_SCALARS = " Flags=0 Buffer=0xffffbc8070008000 ByteCount=2097152"
SYNC = "VmbChannelSendSynchronousRequest"
COMPLETE = "VmbChannelPacketComplete"
DEFER = "VmbChannelPacketDeferToPassive"
FAIL = "VmbChannelPacketFail"
EXTERNAL = "VmbChannelPacketGetExternalData"
BATCH_ROUTINE = "ProcessingCompleteCallback"
_SCALARS = {COMPLETE: " PacketCompletionBuffer=0x0 BufSize=0", EXTERNAL: " Flags=0"}
PENDING = " status=0x103"


Occasion = Callable[[Channel], bool]
"""Whether a channel is in a state in which a fault can happen."""


def server_of(inject: Injector) -> ChannelDriver:
    """Return the scenario's first server."""
    assert inject.server is not None
    return inject.server


def client_of(inject: Injector) -> ChannelDriver:
    """Return the scenario's first client."""
    assert inject.client is not None
    return inject.client


def replace(target: object, method: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put something in the place of a method, for the whole run."""
    setattr(target, method, make(getattr(target, method)))


def last(
    inject: Injector, t: Thread, phase: str, name: str, handles: str, scalars: str = "", result: str = ""
) -> Task:
    """Log the faulty record, and nothing after it."""
    if inject.place is None:
        inject.mark(t)
        inject.sim.host.record(t, phase, name, handles, scalars, result)
        yield from inject.stop()


def last_use(inject: Injector, t: Thread, name: str, received: Received) -> Task:
    """Log a faulty call that names a received packet, and nothing after it."""
    handles = f" PacketCompletionContext{received.handle}"
    yield from last(inject, t, "call", name, handles, _SCALARS.get(name, ""))


def use(
    inject: Injector, t: Thread, name: str, received: Received, result: str = "", faulty: bool = True
) -> Task:
    """Log a call that names a received packet, and its return; the library does nothing."""
    if faulty:
        if inject.place is not None:
            return
        inject.mark(t)
    handles = f" PacketCompletionContext{received.handle}"
    yield from inject.call(t, name, handles, _SCALARS.get(name, ""), result)


def at_dispatch(t: Thread, irql: int = DISPATCH) -> Thread:
    """Return another thread of the endpoint, at DISPATCH_LEVEL or at some other level."""
    other = t.endpoint.thread()
    return Thread(t.endpoint, other.tid, other.cpu, irql)


def keep(received: Received) -> None:
    """Keep a packet's handle from coming back with another packet."""
    received.address = received.channel.driver.lib.received_handles.take()


def external(driver: ChannelDriver) -> None:
    """Let every packet that a driver gets describe external data."""

    def make(deliver: Callable[..., Any]) -> Callable[..., Any]:
        def with_data(t: Thread, channel: Any, message: Any) -> Task:
            message.external = True
            yield from deliver(t, channel, message)

        return with_data

    replace(driver.lib, "_deliver", make)


def pending(t: Thread, received: Received) -> Task:
    """Fetch external data that is not there yet."""
    received.state = "Pending"
    handles = f" PacketCompletionContext{received.handle}"
    yield from received.channel.driver.lib.simple(t, EXTERNAL, handles, _SCALARS[EXTERNAL], PENDING)


def without_slot(driver: ChannelDriver, slot: str) -> None:
    """Let a driver register no callback for a change of state."""

    def make(init: Callable[..., Any]) -> Callable[..., Any]:
        def empty(t: Thread, channel: Any, name: str, scalars: str = "", *more: Any) -> Task:
            if name == "VmbChannelInitSetStateChangeCallbacks" and channel.driver is driver:
                channel.slots -= {slot}
                scalars = scalars.replace(f" {slot}=1", f" {slot}=0")
            yield from init(t, channel, name, scalars, *more)

        return empty

    replace(driver.lib, "init", make)


def _at_enable(driver: ChannelDriver, passive: bool) -> None:
    """Let the library deliver to a driver at PASSIVE_LEVEL only, or at any level."""

    def make(enable: Callable[..., Any]) -> Callable[..., Any]:
        def with_level(t: Thread, channel: Channel, *args: Any, **more: Any) -> Task:
            if channel.driver is driver:
                channel.at_passive = passive
            return (yield from enable(t, channel, *args, **more))

        return with_level

    replace(driver.lib, "enable", make)


def at_any_level(driver: ChannelDriver) -> None:
    """Let a driver not ask for deliveries at PASSIVE_LEVEL."""
    _at_enable(driver, False)

    def make(simple: Callable[..., Any]) -> Callable[..., Any]:
        def without(t: Thread, name: str, handles: str, scalars: str = "", *more: Any) -> Task:
            channel = driver.channel
            if channel is not None and handles == f" Channel{channel.handle}":
                scalars = scalars.replace(" RequirePassive=1", " RequirePassive=0")
            yield from simple(t, name, handles, scalars, *more)

        return without

    replace(driver.lib, "simple", make)


def process_at_passive(driver: ChannelDriver) -> None:
    """Let a driver's channel process everything at PASSIVE_LEVEL, without being asked to."""
    _at_enable(driver, True)


def _with_routine(driver: ChannelDriver, argument: str) -> None:
    def make(configuration: Callable[..., list[Call]]) -> Callable[..., list[Call]]:
        def registers(channel: Channel) -> list[Call]:
            calls = configuration(channel)
            if argument == BATCH_ROUTINE:
                channel.batches = True
            return [
                (name, scalars.replace(f"{argument}=0x0", f"{argument}=0xfffff8026b1c1910"))
                for name, scalars in calls
            ]

        return registers

    replace(driver, "configuration", make)


def with_batches(driver: ChannelDriver) -> None:
    """Let a driver register a routine for the end of a batch of deliveries."""
    _with_routine(driver, BATCH_ROUTINE)


def with_connect_failures(driver: ChannelDriver) -> None:
    """Let a client register a routine for a failed connection."""
    _with_routine(driver, "PnpFailureCallback")


def allocated(driver: ChannelDriver) -> None:
    """Let a driver's channel be one that the library has allocated, so that its role is known."""
    driver.in_memory = 0.0


def stay(inject: Injector, driver: ChannelDriver) -> None:
    """Let a driver not leave before the fault has happened, if that does not take too long."""

    def make(down: Callable[..., Task]) -> Callable[..., Task]:
        def later(t: Thread) -> Task:
            for _ in range(200):
                if inject.place is not None:
                    break
                yield 1000.0
            yield from down(t)

        return later

    replace(driver, "down", make)


def hold(driver: ChannelDriver) -> None:
    """Let a driver hold every packet that it gets, and complete none."""

    def nothing(t: Thread, received: Received) -> Task:
        yield from ()

    replace(driver, "process", lambda _: nothing)


# Wrong calls.


def sync(flags: int, timeout: int | None, room: int = 64) -> str:
    """Return the arguments of a synchronous request; no timeout: it waits for as long as it takes."""
    until = " Timeout=0" if timeout is None else f" Timeout=0xffffd10a5b2ef4e8 TimeoutValue={timeout}"
    return (
        f" Buffer=0xffffbc8061003000 BufferSize=32 ExternalDataMdl=0 Flags={flags:#x}"
        f" CompletionBuffer=0xffffbc8061004000 CompletionBufferSize=0xffffd10a5b2ef4e0"
        f" CompletionBufferSizeValue={room}{until}"
    )


def wrong(
    inject: Injector, t: Thread, name: str, handles: str, scalars: str = "", result: str = "",
    then: Then = "goes on",
) -> Task:  # fmt: skip
    """Log a wrong call, unless the fault has already happened."""
    if inject.place is not None:
        return
    if then == "stops":
        yield from last(inject, t, "call", name, handles, scalars)
    inject.mark(t)
    if then == "hangs":
        yield from inject.hang(t, name, handles, scalars)
    yield from inject.call(t, name, handles, scalars, result)


def on_channel(
    inject: Injector, name: str, scalars: str = "", result: str = "", then: Then = "goes on",
    elsewhere: bool = False,
) -> Callable[..., Task]:  # fmt: skip
    """Return an action that makes a wrong call on the channel at hand, perhaps on another thread."""

    def action(t: Thread, at_hand: Channel | Packet | Received, *_: object, **more: object) -> Task:
        channel = at_hand if isinstance(at_hand, Channel) else channel_of(at_hand)
        thread = t.endpoint.thread() if elsewhere else t
        yield from wrong(inject, thread, name, f" Channel{channel.handle}", scalars, result, then)

    return action


def channel_of(packet: object) -> Channel:
    """Return the channel of an outgoing or of a received packet."""
    channel = getattr(packet, "channel", None)
    assert isinstance(channel, Channel)
    return channel


# Closed by the peer.


def closes_of(driver: ChannelDriver) -> list[Channel]:
    """Return a list that gets a channel of a driver whenever its Closed callback comes."""
    seen: list[Channel] = []

    def make(closed: Callable[..., Task]) -> Callable[..., Task]:
        def note(t: Thread, channel: Channel) -> Task:
            seen.append(channel)
            yield from closed(t, channel)

        return note

    replace(driver, "closed", make)
    return seen


def closed_by_server(inject: Injector) -> None:
    """Let the server close while the client is still sending, and leave when the client has noticed."""
    server, client = server_of(inject), client_of(inject)
    closes = closes_of(client)

    def leave_early(t: Thread) -> Task:
        channel = yield from server.up(t)
        while not (client.gate or server.leaving):
            yield inject.kernel.random() * 1000
        yield from server.lib.disable(t, channel)
        while not (closes or server.leaving):
            yield inject.kernel.random() * 1000
        yield from server.lib.cleanup(t, channel)

    replace(server, "main", lambda _: leave_early)


def after_close(inject: Injector, action: Callable[..., Task]) -> None:
    """Have a server do something when its client has closed, before it leaves itself."""
    server = server_of(inject)
    closes = closes_of(server)

    def main(t: Thread) -> Task:
        channel = yield from server.up(t)
        while not (closes and channel.life == "Enabled"):
            yield channel.signal
        yield from action(t, channel)
        yield from server.down(t)

    replace(server, "main", lambda _: main)


# The library calls a driver back.


def enter(inject: Injector, t: Thread, channel: Channel, name: str, scalars: str = "") -> Task:
    """The library calls a driver back when it must not."""
    yield from last(inject, t, "in", f"EvtVmbChannel{name}", f" Channel{channel.handle}", scalars)


def _delivery(channel: Channel, handle: str, flags: int) -> tuple[str, str]:
    scalars = f" Buffer=0xffffbc8044000080 BufferLength=64 Flags={flags}"
    return f" Channel{channel.handle} Packet{handle}", scalars


def _new_packet(channel: Channel) -> str:
    return f"={channel.driver.lib.received_handles.take():#x}"


def deliver(inject: Injector, t: Thread, channel: Channel, handle: str = "") -> Task:
    """The library delivers a packet, by default a new one, when it must not."""
    handles, scalars = _delivery(channel, handle or _new_packet(channel), 0)
    yield from last(inject, t, "in", "EvtVmbChannelProcessPacket", handles, scalars)


def begin_delivery(t: Thread, channel: Channel, handle: str = "", flags: int = 0) -> str:
    """Log that another delivery begins, by default of a new packet, and return the packet's handle."""
    handle = handle or _new_packet(channel)
    channel.driver.lib.record(t, "in", "EvtVmbChannelProcessPacket", *_delivery(channel, handle, flags))
    return handle


def around_call(inject: Injector, driver: ChannelDriver, call: str, how: How, name: str) -> None:
    """Before or after a call of a driver the library calls it back on another thread."""
    inject.at(
        driver.lib, call, how,
        lambda t, channel, *_, **more: enter(inject, t.endpoint.thread(), channel, name),
        lambda t, channel, *_, **more: channel.driver is driver,
    )  # fmt: skip


def connect_failed(inject: Injector, t: Thread, channel: Channel) -> Task:
    """The library reports a failed connection when it must not."""
    yield from enter(inject, t, channel, "PnpFailure", " FailureStatus=0xc0000001")
