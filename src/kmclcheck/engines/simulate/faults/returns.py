"""Faults of the library: calls that return too early, callbacks that a channel does not expect."""

from __future__ import annotations

from collections.abc import Callable

from kmclcheck.engines.simulate.drivers.common import ChannelDriver
from kmclcheck.engines.simulate.faults.injector import How, Injector, fault
from kmclcheck.engines.simulate.faults.tools import (
    DISABLE,
    PAUSE,
    Occasion,
    around_call,
    client_of,
    connect_failed,
    deliver,
    enter,
    hold,
    last,
    replace,
    server_of,
)
from kmclcheck.engines.simulate.kernel import Signal, Task, Thread
from kmclcheck.engines.simulate.objects import Channel

# Pause.


def _pause(
    inject: Injector, driver: ChannelDriver, ready: Occasion, over: Occasion,
    between: Callable[[Thread, Channel], Task] | None = None,
) -> None:  # fmt: skip
    """A driver's Pause returns as soon as ``over`` says so, and ``between`` is done on another thread."""

    def main(t: Thread) -> Task:
        channel = yield from driver.up(t)
        while channel.run != "Active" or not ready(channel):
            yield inject.kernel.random() * 200
        handles = f" Channel{channel.handle}"
        driver.lib.record(t, "call", PAUSE, handles)
        channel.want = "Pause"
        channel.signal.fire()
        while not over(channel):
            yield channel.signal
        if between is not None:
            yield from between(t.endpoint.thread(), channel)
        yield from last(inject, t, "ret", PAUSE, handles)

    replace(driver, "main", lambda _: main)


@fault("lg-pause-returns-quiet", "still running", "echo")
def pause_returns_at_once(inject: Injector) -> None:
    """Pause returns before Suspend was called."""
    _pause(inject, server_of(inject), lambda _: True, lambda channel: channel.run == "Active")


@fault("lg-pause-returns-quiet", "inside Suspend", "echo")
def pause_returns_in_suspend(inject: Injector) -> None:
    """A client's Pause returns while Suspend is running on another thread."""
    client = client_of(inject)
    entered: list[Channel] = []

    def suspend(t: Thread, channel: Channel) -> Task:
        entered.append(channel)
        channel.signal.fire()
        yield Signal(inject.kernel)

    replace(client, "suspend", lambda _: suspend)
    _pause(inject, client, lambda _: True, lambda _: bool(entered))


@fault("lg-pause-returns-quiet", "packets held", "echo")
def pause_returns_early(inject: Injector) -> None:
    """Pause returns after Suspend while the driver holds packets."""
    server = server_of(inject)
    hold(server)
    _pause(
        inject, server,
        lambda channel: bool(channel.outstanding), lambda channel: channel.run == "Suspending",
    )  # fmt: skip


@fault("lg-pause-returns-quiet", "one packet left", "echo")
def pause_returns_too_early(inject: Injector) -> None:
    """Pause returns when all packets but one are completed after Suspend."""
    server = server_of(inject)
    hold(server)

    def complete(t: Thread, channel: Channel) -> Task:
        for received in sorted(channel.outstanding, key=lambda one: one.address)[1:]:
            yield from server.lib.complete(t, received)

    _pause(
        inject, server,
        lambda channel: len(channel.outstanding) > 1, lambda channel: channel.run == "Suspending", complete,
    )  # fmt: skip


# Disable.


def _disable(
    inject: Injector,
    target: object,
    routine: str,
    how: How = "before",
    when: Callable[..., bool] | None = None,
) -> None:
    """A client's Disable returns when the channel has come to a certain point."""
    client = client_of(inject)
    thread: list[Thread] = []

    def begin(t: Thread, channel: Channel) -> Task:
        thread.append(t)
        client.lib.record(t, "call", DISABLE, f" Channel{channel.handle}")
        channel.disabling = True
        channel.link.closing = True
        channel.link.changed()
        while True:
            yield channel.signal

    def end(t: Thread, channel: Channel, *_: object) -> Task:
        yield from last(inject, thread[0], "ret", DISABLE, f" Channel{channel.handle}")

    inject.at(target, routine, how, end, lambda *args: bool(thread) and (when is None or when(*args)))
    inject.at(client.lib, "disable", "instead", begin, lambda t, channel: channel.life == "Open")
    inject.turn = 0


@fault("lg-disable-returns-disabled", "still running", "echo")
def disable_returns_at_once(inject: Injector) -> None:
    """Disable returns although the channel still runs."""
    client = client_of(inject)

    def disable(t: Thread, channel: Channel) -> Task:
        handles = f" Channel{channel.handle}"
        client.lib.record(t, "call", DISABLE, handles)
        yield from last(inject, t, "ret", DISABLE, handles)

    inject.at(client.lib, "disable", "instead", disable, lambda t, channel: channel.life == "Open")


@fault("lg-disable-returns-disabled", "inside Suspend", "echo")
def disable_returns_in_suspend(inject: Injector) -> None:
    """Disable returns while Suspend is running."""
    _disable(inject, client_of(inject), "suspend")


@fault("lg-disable-returns-disabled", "suspended, not closed", "echo")
def disable_returns_after_suspend(inject: Injector) -> None:
    """Disable returns after Suspend, and Closed has not come yet."""
    lib = client_of(inject).lib
    _disable(inject, lib, "_state", "after", lambda t, channel, slot, *_: slot == "Suspend")


@fault("lg-disable-returns-disabled", "inside Closed", "echo")
def disable_returns_in_closed(inject: Injector) -> None:
    """Disable returns while Closed is running."""
    _disable(inject, client_of(inject), "closed")


# Callbacks of a channel that was disabled.


@fault("lg-no-callback-while-disabled", "Opened", "echo")
def opened_after_disable(inject: Injector) -> None:
    """Opened comes after Disable returned."""
    around_call(inject, client_of(inject), "disable", "after", "Opened")


@fault("lg-no-callback-while-disabled", "Closed", "echo")
def closed_after_disable(inject: Injector) -> None:
    """Closed comes once more after Disable returned."""
    around_call(inject, server_of(inject), "disable", "after", "Closed")


@fault("lg-no-callback-while-disabled", "Suspend", "echo")
def suspend_after_disable(inject: Injector) -> None:
    """Suspend comes after Disable returned."""
    around_call(inject, client_of(inject), "disable", "after", "Suspend")


@fault("lg-no-callback-while-disabled", "Started", "echo")
def started_after_disable(inject: Injector) -> None:
    """Started comes after Disable returned."""
    around_call(inject, server_of(inject), "disable", "after", "Started")


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
