"""Faults of drivers that make a call where it must not be made: inside a callback, or at a raised IRQL."""

from __future__ import annotations

from collections.abc import Callable

from kmclcheck.engines.simulate.driver import Driver
from kmclcheck.engines.simulate.faults.injector import Injector, fault
from kmclcheck.engines.simulate.faults.tools import (
    CANCELLED,
    DISABLE,
    FAILED,
    PAUSE,
    REMOVED,
    START,
    SYNC,
    at_any_level,
    channel_of,
    client_of,
    on_channel,
    process_at_passive,
    replace,
    server_of,
    stay,
    sync,
    with_batches,
    wrong,
)
from kmclcheck.engines.simulate.kernel import DISPATCH, Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Link, Packet, Received

_OK = " status=0x0"
_WAITS, _NO_WAIT = sync(1, None), sync(0, 0)


# State callbacks.


@fault("no-start-pause-in-state-callback", "Start in Opened", "echo")
def start_in_opened(inject: Injector) -> None:
    """A server starts its channel when the client has opened it."""
    inject.at(server_of(inject), "opened", "before", on_channel(inject, START))


@fault("no-start-pause-in-state-callback", "Start in Suspend", "pause-resume")
def start_in_suspend(inject: Injector) -> None:
    """A client does not want to be paused and starts its channel in the Suspend callback."""
    inject.at(client_of(inject), "suspend", "after", on_channel(inject, START, then="stops"))


@fault("no-start-pause-in-state-callback", "Start in Closed", "comes-back")
def start_in_closed(inject: Injector) -> None:
    """A server readies its channel for the next client in the Closed callback."""
    inject.at(server_of(inject), "closed", "before", on_channel(inject, START, then="stops"))


@fault("no-start-pause-in-state-callback", "Pause in PostStarted", "server-offers")
def pause_in_post_started(inject: Injector) -> None:
    """A client pauses its channel in PostStarted until it is ready; the call never returns."""
    inject.at(client_of(inject), "post_started", "before", on_channel(inject, PAUSE, then="hangs"))


@fault("no-start-pause-in-state-callback", "Pause in Started", "echo")
def pause_in_started(inject: Injector) -> None:
    """A server pauses its channel in the Started callback."""
    inject.at(server_of(inject), "started", "before", on_channel(inject, PAUSE, then="stops"))


@fault("no-disable-in-state-callback", "Opened", "echo")
def disable_in_opened(inject: Injector) -> None:
    """A server that does not like its client disables its channel in the Opened callback."""
    inject.at(server_of(inject), "opened", "before", on_channel(inject, DISABLE, then="hangs"))


@fault("no-disable-in-state-callback", "Closed", "peer-closes")
def disable_in_closed(inject: Injector) -> None:
    """A client disables its channel in the Closed callback, for the server is gone."""
    inject.at(client_of(inject), "closed", "after", on_channel(inject, DISABLE, then="stops"))


@fault("no-disable-in-state-callback", "Suspend", "pause-resume")
def disable_in_suspend(inject: Injector) -> None:
    """A server disables its channel in the Suspend callback."""
    inject.at(server_of(inject), "suspend", "after", on_channel(inject, DISABLE, then="stops"))


@fault("no-disable-in-state-callback", "PostStarted", "client-opens")
def disable_in_post_started(inject: Injector) -> None:
    """A client gives up in PostStarted and disables its channel; the call never returns."""
    inject.at(client_of(inject), "post_started", "before", on_channel(inject, DISABLE, then="hangs"))


# Deliveries.


@fault("no-blocking-call-in-process-packet", "Pause", "server-offers")
def pause_in_delivery(inject: Injector) -> None:
    """A server that is too busy pauses its channel in a delivery."""
    inject.at(server_of(inject), "process", "before", on_channel(inject, PAUSE, then="stops"))


@fault("no-blocking-call-in-process-packet", "Disable", "echo")
def disable_in_delivery(inject: Injector) -> None:
    """A server disables its channel when it gets a packet that it does not know."""
    inject.at(server_of(inject), "process", "before", on_channel(inject, DISABLE, then="stops"))


@fault("no-blocking-call-in-process-packet", "after the completion", "client-opens")
def disable_after_completion(inject: Injector) -> None:
    """A client completes a packet and disables its channel, still inside the delivery."""
    client = client_of(inject)

    def leave(t: Thread, received: Received) -> Task:
        yield from client.lib.complete(t, received)
        yield from on_channel(inject, DISABLE, then="stops")(t, received)

    inject.at(client, "process", "instead", leave)


@fault("no-blocking-call-in-process-packet", "never returns", "echo")
def pause_hangs(inject: Injector) -> None:
    """A server completes a packet and pauses its channel in the same delivery; nothing goes on after it."""
    server = server_of(inject)

    def pause(t: Thread, received: Received) -> Task:
        yield from server.lib.complete(t, received)
        yield from on_channel(inject, PAUSE, then="hangs")(t, received)

    inject.at(server, "process", "instead", pause)


# Synchronous requests.


def _raised(t: Thread, irql: int) -> Thread:
    return Thread(t.endpoint, t.tid, t.cpu, irql)


def _request(
    inject: Injector, scalars: str, result: str = FAILED, irql: int | None = None
) -> Callable[..., Task]:
    """Return an action that sends a wrong request on the channel at hand, perhaps at another IRQL."""

    def action(t: Thread, at_hand: Channel | Packet | Received, *_: object, **more: object) -> Task:
        thread = t if irql is None else _raised(t, irql)
        yield from on_channel(inject, SYNC, scalars, result)(thread, at_hand)

    return action


def _runs(t: Thread, packet: Packet, *_: object, **more: object) -> bool:
    """Return whether a packet is sent when no state callback is running."""
    return packet.channel.run == "Active"


@fault("sync-irql", "completion routine", "server-offers")
def wait_in_completion_routine(inject: Injector) -> None:
    """A client waits for a request in a completion routine at DISPATCH_LEVEL."""
    at_any_level(client_of(inject))
    request = _request(inject, _WAITS)
    inject.at(client_of(inject), "completed", "before", request, lambda t, *_: t.irql == DISPATCH)


@fault("sync-irql", "lock held", "client-opens")
def wait_with_lock(inject: Injector) -> None:
    """A client waits for a request while it holds a spin lock."""
    inject.at(client_of(inject).lib, "send", "before", _request(inject, _WAITS, irql=DISPATCH), _runs)


@fault("sync-irql", "timeout", "echo")
def wait_a_little(inject: Injector) -> None:
    """A client waits for a request at APC_LEVEL, for a millisecond at most."""
    request = _request(inject, sync(0, -10000), irql=1)
    inject.at(client_of(inject).lib, "send", "before", request, _runs)


@fault("sync-irql", "interrupt", "echo")
def request_in_interrupt(inject: Injector) -> None:
    """A server notifies its client from an interrupt, without waiting."""
    inject.at(server_of(inject), "process", "before", _request(inject, _NO_WAIT, irql=5))


@fault("sync-not-in-started", "never returns", "server-offers")
def wait_in_started(inject: Injector) -> None:
    """A client negotiates in Started where PostStarted is the place."""
    inject.at(client_of(inject), "started", "before", on_channel(inject, SYNC, _WAITS, then="hangs"))


@fault("sync-not-in-started", "timeout", "pause-resume")
def wait_a_little_in_started(inject: Injector) -> None:
    """A client waits in Started for a second at most, and goes on without an answer."""
    inject.at(client_of(inject), "started", "before", _request(inject, sync(0, -10000000), CANCELLED))


@fault("sync-not-in-started", "flag with a timeout of zero", "comes-back")
def flag_in_started(inject: Injector) -> None:
    """A client gives the wait flag in Started along with a timeout of zero."""
    inject.at(client_of(inject), "started", "before", _request(inject, sync(1, 0), CANCELLED))


@fault("sync-not-before-running", "never returns", "echo")
def wait_in_opened(inject: Injector) -> None:
    """A client negotiates in Opened."""
    inject.at(client_of(inject), "opened", "before", on_channel(inject, SYNC, _WAITS, then="hangs"))


@fault("sync-not-before-running", "timeout", "client-opens")
def wait_a_little_in_opened(inject: Injector) -> None:
    """A client waits in Opened for a second at most, and goes on without an answer."""
    inject.at(client_of(inject), "opened", "before", _request(inject, sync(1, -10000000), CANCELLED))


@fault("sync-not-before-running", "at the second open", "comes-back")
def wait_in_reopened(inject: Injector) -> None:
    """A client that comes back after a close sends a request in Opened."""
    seen: list[Channel] = []

    def second(t: Thread, channel: Channel) -> bool:
        seen.append(channel)
        return len(seen) > 1

    request = _request(inject, _WAITS, REMOVED)
    inject.at(client_of(inject), "opened", "before", request, second)


@fault("sync-not-in-packet-callback", "completion routine", "echo")
def wait_in_passive_completion(inject: Injector) -> None:
    """A client sends the next request in a completion routine and waits for it."""
    process_at_passive(client_of(inject))
    inject.at(client_of(inject), "completed", "before", _request(inject, _WAITS, _OK))


@fault("sync-not-in-packet-callback", "delivery", "client-opens")
def wait_in_delivery(inject: Injector) -> None:
    """A client asks back in a delivery and waits for the answer."""
    process_at_passive(client_of(inject))
    inject.at(client_of(inject), "process", "before", _request(inject, _WAITS, _OK))


@fault("sync-not-in-packet-callback", "after the completion", "server-offers")
def wait_after_completion(inject: Injector) -> None:
    """A client completes a packet and waits for a request, still inside the delivery."""
    client = client_of(inject)
    process_at_passive(client)
    stay(inject, client)

    def ask(t: Thread, received: Received) -> Task:
        yield from client.lib.complete(t, received)
        yield from _request(inject, sync(0, None), _OK)(t, received)

    inject.at(client, "process", "instead", ask)


@fault("sync-not-in-packet-callback", "end of a batch", "pause-resume")
def wait_at_end_of_batch(inject: Injector) -> None:
    """A client waits for a request when a batch has been processed."""
    client = client_of(inject)
    process_at_passive(client)
    with_batches(client)
    stay(inject, client)
    request = _request(inject, _WAITS, _OK)

    def make(callback: Callable[..., Task]) -> Callable[..., Task]:
        def ask(t: Thread, name: str, handles: str, scalars: str, body: Task, result: bool = False) -> Task:
            if name == "EvtVmbChannelProcessingComplete" and client.channel is not None:
                body = request(t, client.channel)
            return (yield from callback(t, name, handles, scalars, body, result))

        return ask

    replace(client.lib, "callback", make)


@fault("sync-server-nonblocking", "PostStarted", "client-opens")
def server_waits(inject: Injector) -> None:
    """A server asks its client something in PostStarted and waits for the answer."""
    inject.at(server_of(inject), "post_started", "before", _request(inject, _WAITS, _OK))


@fault("sync-server-nonblocking", "timeout", "echo")
def server_waits_a_little(inject: Injector) -> None:
    """A server waits for its client a millisecond at most, before it completes a packet from a work item."""
    request = _request(inject, sync(0, -10000), CANCELLED)
    inject.at(
        server_of(inject).lib, "complete", "before",
        lambda t, received: request(t, received), lambda t, received: t.irql == 0,
    )  # fmt: skip


@fault("sync-server-nonblocking", "flag with a timeout of zero", "echo")
def server_gives_flag(inject: Injector) -> None:
    """A server gives the wait flag along with a timeout of zero, in Started."""
    inject.at(server_of(inject), "started", "before", _request(inject, sync(1, 0), CANCELLED))


@fault("sync-server-nonblocking", "delivery", "deferred-packet")
def server_waits_in_delivery(inject: Injector) -> None:
    """A server waits for its client in a delivery at PASSIVE_LEVEL."""
    request = _request(inject, sync(0, None), _OK)
    inject.at(server_of(inject), "process", "before", request, lambda t, _: t.irql == 0)


@fault("sync-completion-size-aligned", "does not wait", "echo")
def odd_size_no_wait(inject: Injector) -> None:
    """A client sends a request without waiting and keeps 12 bytes for the answer."""
    inject.at(client_of(inject).lib, "send", "before", _request(inject, sync(0, 0, 12)))


@fault("sync-completion-size-aligned", "waits", "client-opens")
def odd_size_waits(inject: Injector) -> None:
    """A client asks in PostStarted and keeps 20 bytes for the answer."""
    inject.at(client_of(inject), "post_started", "before", _request(inject, sync(1, None, 20)))


@fault("sync-completion-size-aligned", "server", "deferred-packet")
def odd_size_server(inject: Injector) -> None:
    """A server notifies its client from a delivery, with one byte for an answer."""
    inject.at(server_of(inject), "process", "before", _request(inject, sync(0, 0, 1)))


# Allocation.


def _allocate(inject: Injector, driver: Driver, irql: int) -> None:
    def allocate(t: Thread, owner: Driver, link: Link, server: bool) -> Task:
        inject.mark(t)
        return (yield from original(_raised(t, irql), owner, link, server))

    original = driver.lib.allocate
    inject.at(driver.lib, "allocate", "instead", allocate)


@fault("channel-allocate-at-passive", "DISPATCH_LEVEL", "echo")
def allocate_at_dispatch(inject: Injector) -> None:
    """A server holds a spin lock when it allocates its channel."""
    _allocate(inject, server_of(inject), DISPATCH)


@fault("channel-allocate-at-passive", "APC_LEVEL", "client-opens")
def allocate_at_apc(inject: Injector) -> None:
    """A client holds a fast mutex when it allocates its channel."""
    _allocate(inject, client_of(inject), 1)


@fault("channel-allocate-at-passive", "sub-channel", "sub-channels")
def allocate_in_delivery(inject: Injector) -> None:
    """A server allocates a sub-channel in the delivery of the packet that asks for it."""

    def allocate(t: Thread, received: Received) -> Task:
        assert channel_of(received).server
        scalars = " ParentDeviceObject=0xffffbc800f2c4a60 IsServer=1"
        high = _raised(t, DISPATCH)
        yield from wrong(inject, high, "VmbChannelAllocate", "", scalars, " Channel=0x0" + FAILED)

    inject.at(server_of(inject), "process", "before", allocate)
