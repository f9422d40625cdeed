"""Faults of the library: state callbacks at the wrong time, in the wrong order, or at the wrong level."""

from __future__ import annotations

from kmclcheck.engines.simulate.drivers.common import ChannelDriver
from kmclcheck.engines.simulate.faults.injector import How, Injector, fault
from kmclcheck.engines.simulate.faults.tools import (
    COMPLETE,
    Occasion,
    allocated,
    around_call,
    at_dispatch,
    begin_delivery,
    client_of,
    connect_failed,
    enter,
    hold,
    process_at_passive,
    replace,
    server_of,
    with_connect_failures,
)
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Received


def _at_state(
    inject: Injector, driver: ChannelDriver, how: How, slot: str, name: str, when: Occasion | None = None
) -> None:
    """Before or after one state callback of a driver's channel the library enters another one."""

    def occasion(t: Thread, channel: Channel, found: str, *_: object) -> bool:
        return found == slot and channel.driver is driver and (when is None or when(channel))

    inject.at(
        driver.lib, "_state", how,
        lambda t, channel, *_: enter(inject, t, channel, name), occasion,
    )  # fmt: skip


def _inside(inject: Injector, driver: ChannelDriver, routine: str, name: str) -> None:
    """While a state callback runs the library enters another one on another thread."""
    inject.at(driver, routine, "before", lambda t, channel: enter(inject, t.endpoint.thread(), channel, name))


def _in_delivery(inject: Injector, name: str, here: bool = False) -> None:
    """During a delivery the library enters a state callback, on the same or on another thread."""
    inject.at(
        server_of(inject), "process", "before",
        lambda t, received: enter(inject, t if here else t.endpoint.thread(), received.channel, name),
        lambda t, received: not (here and t.irql) and received.channel.run == "Active",
    )  # fmt: skip


# Opened and Closed.


@fault("lg-opened-needs-enable", "never enabled", "echo")
def opened_before_enable(inject: Injector) -> None:
    """Opened comes before the driver enabled the channel."""
    around_call(inject, server_of(inject), "enable", "before", "Opened")


@fault("lg-opened-needs-enable", "Enable failed", "echo")
def opened_after_failed_enable(inject: Injector) -> None:
    """Opened comes although Enable failed."""
    client = client_of(inject)

    def fail(t: Thread, channel: Channel, **_: bool) -> Task:
        yield from enable(t, channel, fails=True)
        yield from enter(inject, t.endpoint.thread(), channel, "Opened")

    enable = client.lib.enable
    inject.at(client.lib, "enable", "instead", fail, lambda t, channel, **_: channel.driver is client)


@fault("lg-opened-needs-enable", "twice", "echo")
def opened_twice(inject: Injector) -> None:
    """Opened comes twice in a row."""
    _at_state(inject, client_of(inject), "after", "Opened", "Opened")


@fault("lg-opened-needs-enable", "while it runs", "echo")
def opened_while_running(inject: Injector) -> None:
    """Opened comes during a delivery."""
    _in_delivery(inject, "Opened")


@fault("lg-open-close-alternate", "never opened", "echo")
def closed_before_enable(inject: Injector) -> None:
    """Closed comes before the driver enabled the channel."""
    around_call(inject, client_of(inject), "enable", "before", "Closed")


@fault("lg-open-close-alternate", "enabled, not opened", "echo")
def closed_instead_of_opened(inject: Injector) -> None:
    """Closed comes where Opened is due."""
    server = server_of(inject)
    _at_state(inject, server, "before", "Opened", "Closed")


@fault("lg-open-close-alternate", "twice", "echo")
def closed_twice(inject: Injector) -> None:
    """Closed comes twice in a row."""
    _at_state(inject, server_of(inject), "after", "Closed", "Closed")


@fault("lg-open-close-alternate", "inside Opened", "echo")
def closed_in_opened(inject: Injector) -> None:
    """Closed comes while Opened is running."""
    _inside(inject, client_of(inject), "opened", "Closed")


# Started and PostStarted.


@fault("lg-started-after-opened", "not open", "echo")
def started_before_opened(inject: Injector) -> None:
    """Started comes where Opened is due."""
    _at_state(inject, client_of(inject), "before", "Opened", "Started")


@fault("lg-started-after-opened", "twice", "echo")
def started_twice(inject: Injector) -> None:
    """Started comes again after PostStarted."""
    _at_state(inject, server_of(inject), "after", "PostStarted", "Started")


@fault("lg-started-after-opened", "Start not called", "echo")
def started_without_start(inject: Injector) -> None:
    """Started comes on a server that is open and did not call Start yet."""
    server = server_of(inject)
    allocated(server)

    def too_early(t: Thread, channel: Channel) -> Task:
        while channel.life != "Open":
            yield channel.signal
        yield from enter(inject, t.endpoint.thread(), channel, "Started")

    inject.at(server.lib, "start", "instead", too_early)


@fault("lg-started-after-opened", "paused", "echo")
def started_while_paused(inject: Injector) -> None:
    """Started comes on a server that paused."""
    server = server_of(inject)

    def main(t: Thread) -> Task:
        channel = yield from server.up(t)
        while channel.run != "Active":
            yield channel.signal
        yield from server.lib.pause(t, channel)
        yield from enter(inject, t.endpoint.thread(), channel, "Started")

    replace(server, "main", lambda _: main)


@fault("lg-poststarted-follows-started", "twice", "echo")
def post_started_twice(inject: Injector) -> None:
    """PostStarted comes twice in a row."""
    _at_state(inject, client_of(inject), "after", "PostStarted", "PostStarted")


@fault("lg-poststarted-follows-started", "inside Started", "echo")
def post_started_in_started(inject: Injector) -> None:
    """PostStarted comes while Started is running."""
    _inside(inject, client_of(inject), "started", "PostStarted")


@fault("lg-poststarted-follows-started", "no Started", "echo")
def post_started_after_opened(inject: Injector) -> None:
    """PostStarted comes after Opened, without Started."""
    _at_state(inject, server_of(inject), "after", "Opened", "PostStarted")


@fault("lg-poststarted-follows-started", "suspended", "echo")
def post_started_after_suspend(inject: Injector) -> None:
    """PostStarted comes again after Suspend."""
    _at_state(inject, server_of(inject), "after", "Suspend", "PostStarted")


# Suspend and Closed.


@fault("lg-suspend-when-started", "twice", "echo")
def suspend_twice(inject: Injector) -> None:
    """Suspend comes twice in a row."""
    _at_state(inject, server_of(inject), "after", "Suspend", "Suspend")


@fault("lg-suspend-when-started", "not started", "echo")
def suspend_after_opened(inject: Injector) -> None:
    """Suspend comes after Opened."""
    _at_state(inject, client_of(inject), "after", "Opened", "Suspend")


@fault("lg-suspend-when-started", "not open", "echo")
def suspend_before_opened(inject: Injector) -> None:
    """Suspend comes where Opened is due."""
    _at_state(inject, client_of(inject), "before", "Opened", "Suspend")


@fault("lg-suspend-when-started", "closed", "echo")
def suspend_after_closed(inject: Injector) -> None:
    """Suspend comes after Closed."""
    _at_state(inject, server_of(inject), "after", "Closed", "Suspend")


@fault("lg-closed-when-drained", "not suspended", "echo")
def closed_while_active(inject: Injector) -> None:
    """Closed comes where Suspend is due."""
    _at_state(inject, client_of(inject), "before", "Suspend", "Closed")


@fault("lg-closed-when-drained", "packets held", "echo")
def closed_while_holding(inject: Injector) -> None:
    """Closed comes after Suspend while the driver holds packets."""
    server = server_of(inject)
    hold(server)
    _at_state(inject, server, "after", "Suspend", "Closed", lambda channel: bool(channel.outstanding))


@fault("lg-closed-when-drained", "inside Suspend", "echo")
def closed_in_suspend(inject: Injector) -> None:
    """Closed comes while Suspend is running on another thread."""
    _inside(inject, server_of(inject), "suspend", "Closed")


@fault("lg-closed-when-drained", "inside a delivery", "echo")
def closed_in_delivery(inject: Injector) -> None:
    """Closed comes during a delivery."""
    _in_delivery(inject, "Closed")


@fault("lg-suspend-no-running-packet-callback", "on another thread", "echo")
def suspend_in_delivery(inject: Injector) -> None:
    """Suspend comes on another thread during a delivery."""
    _in_delivery(inject, "Suspend")


@fault("lg-suspend-no-running-packet-callback", "on the same thread", "echo")
def suspend_nested(inject: Injector) -> None:
    """Suspend comes inside a delivery."""
    process_at_passive(server_of(inject))
    _in_delivery(inject, "Suspend", here=True)


@fault("lg-suspend-no-running-packet-callback", "packet completed already", "echo")
def suspend_after_completion(inject: Injector) -> None:
    """A server completes a packet, and Suspend comes before the delivery has returned."""
    server = server_of(inject)

    def complete(t: Thread, received: Received) -> Task:
        yield from server.lib.complete(t, received)
        yield from enter(inject, t.endpoint.thread(), received.channel, "Suspend")

    inject.at(server, "process", "instead", complete, lambda t, received: received.channel.run == "Active")


@fault("lg-suspend-no-running-packet-callback", "one of two has returned", "echo")
def suspend_in_one_delivery(inject: Injector) -> None:
    """Two deliveries overlap; Suspend comes when one of them has returned."""
    server = server_of(inject)

    def overlap(t: Thread, received: Received) -> Task:
        channel, other = received.channel, t.endpoint.thread()
        handle = begin_delivery(other, channel)
        use_of = f" PacketCompletionContext{handle}"
        yield from inject.call(other, COMPLETE, use_of, " PacketCompletionBuffer=0x0 BufSize=0")
        server.lib.record(
            other, "out", "EvtVmbChannelProcessPacket", f" Channel{channel.handle} Packet{handle}"
        )
        yield from enter(inject, other, channel, "Suspend")

    inject.at(server, "process", "before", overlap, lambda t, received: received.channel.run == "Active")


# IRQL of state callbacks.


def _raised(inject: Injector, driver: ChannelDriver, slot: str, irql: int) -> None:
    """A state callback comes at a raised IRQL."""
    inject.at(
        driver.lib, "_state", "before",
        lambda t, channel, *_: enter(inject, at_dispatch(t, irql), channel, slot),
        lambda t, channel, found, *_: found == slot and channel.driver is driver,
    )  # fmt: skip


@fault("lg-state-callbacks-passive", "Opened", "echo")
def opened_at_dispatch(inject: Injector) -> None:
    """Opened comes at DISPATCH_LEVEL."""
    _raised(inject, server_of(inject), "Opened", 2)


@fault("lg-state-callbacks-passive", "Suspend", "echo")
def suspend_at_apc(inject: Injector) -> None:
    """Suspend comes at APC_LEVEL."""
    _raised(inject, client_of(inject), "Suspend", 1)


@fault("lg-state-callbacks-passive", "Closed", "echo")
def closed_at_dispatch(inject: Injector) -> None:
    """Closed comes at DISPATCH_LEVEL."""
    _raised(inject, client_of(inject), "Closed", 2)


@fault("lg-state-callbacks-passive", "failed connection", "echo")
def connect_failed_at_dispatch(inject: Injector) -> None:
    """A failed connection is reported at DISPATCH_LEVEL."""
    client = client_of(inject)
    with_connect_failures(client)
    inject.at(
        client.lib, "_open", "before", lambda t, channel: connect_failed(inject, at_dispatch(t), channel)
    )  # fmt: skip
