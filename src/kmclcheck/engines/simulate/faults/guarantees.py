"""Faults of the library: state callbacks at the wrong time, calls that return too early."""

from __future__ import annotations

from collections.abc import Callable

from kmclcheck.engines.simulate.drivers.common import ChannelDriver
from kmclcheck.engines.simulate.faults.injector import How, Injector, fault
from kmclcheck.engines.simulate.faults.tools import at_dispatch, client_of, hold, last, replace, server_of
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel

Occasion = Callable[[Channel], bool]


def enter(inject: Injector, t: Thread, channel: Channel, name: str, scalars: str = "") -> Task:
    """The library calls a driver back when it must not."""
    yield from last(inject, t, "in", f"EvtVmbChannel{name}", f" Channel{channel.handle}", scalars)


def deliver(inject: Injector, t: Thread, channel: Channel, handle: str = "") -> Task:
    """The library delivers a packet, by default a new one, when it must not."""
    handle = handle or f"={channel.driver.lib.received_handles.take():#x}"
    handles = f" Channel{channel.handle} Packet{handle}"
    scalars = " Buffer=0xffffbc8044000080 BufferLength=64 Flags=0"
    yield from last(inject, t, "in", "EvtVmbChannelProcessPacket", handles, scalars)


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


def _at_call(inject: Injector, driver: ChannelDriver, call: str, how: How, name: str) -> None:
    """Before or after a call of a driver the library calls it back on another thread."""
    inject.at(
        driver.lib, call, how,
        lambda t, channel, *_, **more: enter(inject, t.endpoint.thread(), channel, name),
        lambda t, channel, *_, **more: channel.driver is driver,
    )  # fmt: skip


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
    _at_call(inject, server_of(inject), "enable", "before", "Opened")


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
    _at_call(inject, client_of(inject), "enable", "before", "Closed")


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
    server = server_of(inject)

    def make(create: Callable[..., Task]) -> Callable[..., Task]:
        def at_passive(t: Thread) -> Task:
            channel = yield from create(t)
            channel.at_passive = True
            return channel

        return at_passive

    replace(server, "create", make)
    _in_delivery(inject, "Suspend", here=True)


# Pause and Disable.


def _pause(inject: Injector, server: ChannelDriver, ready: Occasion, over: Occasion) -> None:
    """A server's Pause returns as soon as ``over`` says so."""

    def main(t: Thread) -> Task:
        channel = yield from server.up(t)
        while channel.run != "Active" or not ready(channel):
            yield inject.kernel.random() * 200
        handles = f" Channel{channel.handle}"
        server.lib.record(t, "call", "VmbChannelPause", handles)
        channel.want = "Pause"
        channel.signal.fire()
        while not over(channel):
            yield channel.signal
        yield from last(inject, t, "ret", "VmbChannelPause", handles)

    replace(server, "main", lambda _: main)


@fault("lg-pause-returns-quiet", "still running", "echo")
def pause_returns_at_once(inject: Injector) -> None:
    """Pause returns before Suspend was called."""
    server = server_of(inject)
    _pause(inject, server, lambda _: True, lambda channel: channel.run == "Active")


@fault("lg-pause-returns-quiet", "packets held", "echo")
def pause_returns_early(inject: Injector) -> None:
    """Pause returns after Suspend while the driver holds packets."""
    server = server_of(inject)
    hold(server)
    _pause(
        inject, server,
        lambda channel: bool(channel.outstanding), lambda channel: channel.run == "Suspending",
    )  # fmt: skip


def _disable(inject: Injector, driver: ChannelDriver, routine: str, how: How = "before") -> None:
    """A Disable returns when a state callback begins or ends."""
    thread: list[Thread] = []

    def begin(t: Thread, channel: Channel) -> Task:
        thread.append(t)
        driver.lib.record(t, "call", "VmbChannelDisable", f" Channel{channel.handle}")
        channel.disabling = True
        channel.link.closing = True
        channel.link.changed()
        while True:
            yield channel.signal

    def end(t: Thread, channel: Channel, *_: object) -> Task:
        yield from last(inject, thread[0], "ret", "VmbChannelDisable", f" Channel{channel.handle}")

    inject.at(driver, routine, how, end, lambda *_: bool(thread))
    inject.at(driver.lib, "disable", "instead", begin)
    inject.turn = 0


@fault("lg-disable-returns-disabled", "still running", "echo")
def disable_returns_at_once(inject: Injector) -> None:
    """Disable returns although the channel still runs."""
    client = client_of(inject)

    def disable(t: Thread, channel: Channel) -> Task:
        handles = f" Channel{channel.handle}"
        client.lib.record(t, "call", "VmbChannelDisable", handles)
        yield from last(inject, t, "ret", "VmbChannelDisable", handles)

    inject.at(client.lib, "disable", "instead", disable, lambda t, channel: channel.life == "Open")


@fault("lg-disable-returns-disabled", "inside Suspend", "echo")
def disable_returns_in_suspend(inject: Injector) -> None:
    """Disable returns while Suspend is running."""
    _disable(inject, client_of(inject), "suspend")


@fault("lg-disable-returns-disabled", "inside Closed", "echo")
def disable_returns_in_closed(inject: Injector) -> None:
    """Disable returns while Closed is running."""
    _disable(inject, client_of(inject), "closed")


@fault("lg-no-callback-while-disabled", "Opened", "echo")
def opened_after_disable(inject: Injector) -> None:
    """Opened comes after Disable returned."""
    _at_call(inject, client_of(inject), "disable", "after", "Opened")


@fault("lg-no-callback-while-disabled", "Closed", "echo")
def closed_after_disable(inject: Injector) -> None:
    """Closed comes once more after Disable returned."""
    _at_call(inject, server_of(inject), "disable", "after", "Closed")


@fault("lg-no-callback-while-disabled", "Suspend", "echo")
def suspend_after_disable(inject: Injector) -> None:
    """Suspend comes after Disable returned."""
    _at_call(inject, client_of(inject), "disable", "after", "Suspend")


@fault("lg-no-callback-while-disabled", "Started", "echo")
def started_after_disable(inject: Injector) -> None:
    """Started comes after Disable returned."""
    _at_call(inject, server_of(inject), "disable", "after", "Started")


@fault("lg-no-callback-while-disabled", "delivery", "echo")
def delivery_after_disable(inject: Injector) -> None:
    """A packet is delivered after Disable returned."""
    server = server_of(inject)
    inject.at(
        server.lib, "disable", "after",
        lambda t, channel, _: deliver(inject, t.endpoint.thread(), channel),
    )  # fmt: skip


@fault("lg-no-callback-while-disabled", "end of a batch", "echo")
def batch_after_disable(inject: Injector) -> None:
    """A batch of deliveries ends after Disable returned."""
    inject.at(
        client_of(inject).lib, "disable", "after",
        lambda t, channel, _: enter(
            inject, t.endpoint.thread(), channel, "ProcessingComplete", " PacketsProcessed=1"
        ),
    )  # fmt: skip


@fault("lg-no-callback-while-disabled", "failed connection", "echo")
def connect_failed_after_disable(inject: Injector) -> None:
    """A failed connection is reported after Disable returned."""
    inject.at(
        client_of(inject).lib, "disable", "after",
        lambda t, channel, _: connect_failed(inject, t.endpoint.thread(), channel),
    )  # fmt: skip


# The connection failed.


def connect_failed(inject: Injector, t: Thread, channel: Channel) -> Task:
    """The library reports a failed connection when it must not."""
    yield from enter(inject, t, channel, "PnpFailure", " FailureStatus=0xc0000001")


@fault("lg-pnp-failure-precondition", "server", "echo")
def server_connect_failed(inject: Injector) -> None:
    """A server is told that its connection failed."""
    inject.at(server_of(inject).lib, "_open", "before", lambda t, channel: connect_failed(inject, t, channel))


@fault("lg-pnp-failure-precondition", "open", "echo")
def open_connect_failed(inject: Injector) -> None:
    """A client that is open is told that its connection failed."""
    client = client_of(inject)
    inject.at(client.lib, "_run", "before", lambda t, channel: connect_failed(inject, t, channel))


@fault("lg-pnp-failure-precondition", "not enabled", "echo")
def early_connect_failed(inject: Injector) -> None:
    """A client that did not call Enable yet is told that its connection failed."""
    inject.at(
        client_of(inject).lib, "enable", "before",
        lambda t, channel, **_: connect_failed(inject, t.endpoint.thread(), channel),
    )  # fmt: skip


@fault("lg-pnp-failure-precondition", "not registered", "echo")
def unregistered_connect_failed(inject: Injector) -> None:
    """A client without a routine for it is told that its connection failed."""
    client = client_of(inject)

    def make(init: Callable[..., Task]) -> Callable[..., Task]:
        def unregistered(t: Thread, channel: Channel, name: str, scalars: str = "", *more: str) -> Task:
            if name == "VmbClientChannelInitSetTargetPnp":
                scalars = scalars.rpartition("=")[0] + "=0x0"
            yield from init(t, channel, name, scalars, *more)

        return unregistered

    replace(client.lib, "init", make)
    inject.at(client.lib, "_open", "before", lambda t, channel: connect_failed(inject, t, channel))


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
    inject.at(
        client_of(inject).lib, "_open", "before",
        lambda t, channel: connect_failed(inject, at_dispatch(t), channel),
    )  # fmt: skip
