"""What faults have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kmclcheck.engines.simulate.drivers.common import ChannelDriver
from kmclcheck.engines.simulate.faults.injector import Injector
from kmclcheck.engines.simulate.kernel import DISPATCH, Task, Thread
from kmclcheck.engines.simulate.objects import Received

COMPLETE = "VmbChannelPacketComplete"
DEFER = "VmbChannelPacketDeferToPassive"
FAIL = "VmbChannelPacketFail"
EXTERNAL = "VmbChannelPacketGetExternalData"
_SCALARS = {COMPLETE: " PacketCompletionBuffer=0x0 BufSize=0", EXTERNAL: " Flags=0"}
PENDING = " status=0x103"


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


def at_any_level(driver: ChannelDriver) -> None:
    """Let a driver not ask for deliveries at PASSIVE_LEVEL."""

    def make(simple: Callable[..., Any]) -> Callable[..., Any]:
        def without(t: Thread, name: str, handles: str, scalars: str = "", *more: Any) -> Task:
            channel = driver.channel
            if name == "VmbChannelSetIncomingProcessingAtPassive" and channel is not None:
                channel.at_passive = False
                scalars = " RequirePassive=0"
            yield from simple(t, name, handles, scalars, *more)

        return without

    replace(driver.lib, "simple", make)


def hold(driver: ChannelDriver) -> None:
    """Let a driver hold every packet that it gets, and complete none."""

    def nothing(t: Thread, received: Received) -> Task:
        yield from ()

    replace(driver, "process", lambda _: nothing)
