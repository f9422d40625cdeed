"""Faults of drivers with received packets."""

from __future__ import annotations

from kmclcheck.engines.simulate.faults.injector import Injector, fault
from kmclcheck.engines.simulate.faults.tools import (
    COMPLETE,
    DEFER,
    EXTERNAL,
    FAIL,
    at_any_level,
    at_dispatch,
    external,
    keep,
    last,
    last_use,
    pending,
    replace,
    server_of,
    use,
    without_slot,
)
from kmclcheck.engines.simulate.kernel import Signal, Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Message, Packet, Received

# Completed twice.


@fault("incoming-complete-once", "at once", "echo")
def complete_twice(inject: Injector) -> None:
    """A server completes a packet twice in a row."""
    server = server_of(inject)

    def twice(t: Thread, received: Received) -> Task:
        keep(received)
        yield from original(t, received)
        yield from use(inject, t, COMPLETE, received)

    original = server.lib.complete
    inject.at(server.lib, "complete", "instead", twice)


@fault("incoming-complete-once", "inside and outside of the delivery", "echo")
def complete_in_and_out(inject: Injector) -> None:
    """A server completes a packet in line, and its work item does it again."""
    server = server_of(inject)

    def both(t: Thread, received: Received) -> Task:
        keep(received)
        yield from server.lib.complete(t, received)
        server.lib.endpoint.work(lambda w: again(w, received), inject.kernel.random() * 3000)

    def again(t: Thread, received: Received) -> Task:
        yield from use(inject, t, COMPLETE, received)

    inject.at(server, "process", "instead", both)


@fault("incoming-complete-once", "two threads at once", "echo")
def complete_race(inject: Injector) -> None:
    """Two threads of a server complete a packet at the same time."""
    server = server_of(inject)

    def race(t: Thread, received: Received) -> Task:
        keep(received)
        other = t.endpoint.thread()
        handles = f" PacketCompletionContext{received.handle}"
        server.lib.record(other, "call", COMPLETE, handles, " PacketCompletionBuffer=0x0 BufSize=0")
        inject.mark(t)
        yield from original(t, received)
        server.lib.record(other, "ret", COMPLETE, handles)

    original = server.lib.complete
    inject.at(server.lib, "complete", "instead", race)


@fault("incoming-complete-once", "handle that came back", "echo")
def complete_reused(inject: Injector) -> None:
    """A server completes a packet twice whose handle named an earlier packet before."""
    server = server_of(inject)
    seen: set[str] = set()

    def came_back(t: Thread, received: Received) -> bool:
        old = received.handle in seen
        seen.add(received.handle)
        return old

    def twice(t: Thread, received: Received) -> Task:
        keep(received)
        yield from original(t, received)
        yield from use(inject, t, COMPLETE, received)

    original = server.lib.complete
    inject.at(server.lib, "complete", "instead", twice, came_back)


# Used after the completion.


@fault("incoming-no-use-after-disposal", "external data", "echo")
def fetch_after_completion(inject: Injector) -> None:
    """A server completes a packet in line and fetches its external data then."""
    server = server_of(inject)
    external(server)

    def fetch(t: Thread, received: Received) -> Task:
        keep(received)
        yield from server.lib.complete(t, received)
        yield from use(inject, t, EXTERNAL, received, " status=0xc0000008")

    inject.at(server, "process", "instead", fetch)


@fault("incoming-no-use-after-disposal", "deferred", "echo")
def defer_after_completion(inject: Injector) -> None:
    """A server completes a packet and defers it in the same delivery."""
    server = server_of(inject)

    def defer(t: Thread, received: Received) -> Task:
        keep(received)
        yield from server.lib.complete(t, received)
        yield from last_use(inject, t, DEFER, received)

    at_any_level(server)
    inject.at(server, "process", "instead", defer, lambda t, _: t.irql > 0)


@fault("incoming-no-use-after-disposal", "failed by another thread", "echo")
def fail_after_completion(inject: Injector) -> None:
    """A server's work item fails a packet that the delivery completed."""
    server = server_of(inject)

    def fail(t: Thread, received: Received) -> Task:
        keep(received)
        yield from server.lib.complete(t, received)
        server.lib.endpoint.work(lambda w: last_use(inject, w, FAIL, received), inject.kernel.random() * 3000)

    inject.at(server, "process", "instead", fail)


@fault("incoming-no-use-after-disposal", "not a received packet", "echo")
def complete_outgoing(inject: Injector) -> None:
    """A client takes an outgoing packet for a received one and completes it."""
    assert inject.client is not None

    def confuse(t: Thread, packet: Packet, *_: object, **more: object) -> Task:
        handles = f" PacketCompletionContext{packet.handle}"
        yield from last(inject, t, "call", COMPLETE, handles, " PacketCompletionBuffer=0x0 BufSize=0")

    inject.at(inject.client.lib, "send", "before", confuse)


# Never disposed of.


@fault("incoming-disposed", "forgotten, no Suspend callback", "echo")
def never_complete(inject: Injector) -> None:
    """A server without a Suspend callback forgets a packet; its Disable never returns."""
    server = server_of(inject)
    without_slot(server, "Suspend")

    def forget(t: Thread, received: Received) -> Task:
        inject.mark_end(t)
        yield from ()

    inject.at(server.lib, "complete", "instead", forget)


@fault("incoming-disposed", "delivery never returns", "echo")
def never_return(inject: Injector) -> None:
    """A server's delivery callback waits forever with its packet."""
    server = server_of(inject)

    def wait(t: Thread, received: Received) -> Task:
        inject.mark_end(t)
        yield Signal(inject.kernel)

    inject.at(server, "process", "instead", wait)


@fault("incoming-disposed", "forgotten when it came again", "echo")
def forget_deferred(inject: Injector) -> None:
    """A server without a Suspend callback defers a packet and forgets it when it is delivered again."""
    server = server_of(inject)
    without_slot(server, "Suspend")
    deferred: list[Message] = []

    def forget(t: Thread, received: Received) -> Task:
        if received.message in deferred:
            inject.mark_end(t)
        elif t.irql:
            deferred.append(received.message)
            yield from server.lib.defer(t, received)
        else:
            yield from server.lib.complete(t, received)

    at_any_level(server)
    inject.at(server, "process", "instead", forget)


@fault("incoming-disposed", "external data failed", "echo")
def forget_failed_fetch(inject: Injector) -> None:
    """A server without a Suspend callback returns when it cannot get external data, and that is all."""
    server = server_of(inject)
    without_slot(server, "Suspend")
    external(server)

    def give_up(t: Thread, received: Received) -> Task:
        inject.mark_end(t)
        yield from use(inject, t, EXTERNAL, received, " status=0xc000009a", faulty=False)

    inject.at(server, "process", "instead", give_up)


@fault("incoming-drained-after-suspend", "forgotten", "echo")
def never_drained(inject: Injector) -> None:
    """A server forgets a packet; it is suspended, and its Disable never returns."""

    def forget(t: Thread, received: Received) -> Task:
        inject.mark_end(t)
        yield from ()

    inject.at(server_of(inject).lib, "complete", "instead", forget)


@fault("incoming-drained-after-suspend", "dropped in Suspend", "echo")
def dropped_in_suspend(inject: Injector) -> None:
    """A server throws away its list of held packets when it is suspended."""
    server = server_of(inject)
    dropped: set[Received] = set()

    def hold(t: Thread, received: Received) -> Task:
        # Held back until Suspend, so that there is something to drop.
        yield from ()

    def drop(t: Thread, channel: Channel) -> Task:
        dropped.update(channel.outstanding)
        inject.mark_end(t)
        yield from ()

    replace(server, "process", lambda _: hold)
    inject.at(server, "suspend", "instead", drop, lambda t, channel: bool(channel.outstanding))


@fault("incoming-drained-after-suspend", "Pause never returns", "echo")
def never_paused(inject: Injector) -> None:
    """A server forgets a packet and pauses; its Pause never returns."""
    server = server_of(inject)

    def main(t: Thread) -> Task:
        channel = yield from server.up(t)
        while inject.place is None:
            yield server.wake
        yield from server.lib.pause(t, channel)

    def forget(t: Thread, received: Received) -> Task:
        inject.mark_end(t)
        server.wake.fire()
        yield from ()

    inject.at(server.lib, "complete", "instead", forget)
    replace(server, "main", lambda _: main)


# Out of line.


def _by_worker(inject: Injector, name: str) -> None:
    """A packet that is held is used at DISPATCH_LEVEL instead of being completed."""
    lib = server_of(inject).lib

    def later(t: Thread, received: Received) -> Task:
        lib.endpoint.dpc(lambda w: last_use(inject, w, name, received))
        yield from ()

    inject.at(lib, "complete", "instead", later, lambda _, received: received.state == "Held")


def _beside(inject: Injector, name: str) -> None:
    """A packet is used by another thread during its delivery."""
    inject.at(
        server_of(inject), "process", "before",
        lambda t, received: last_use(inject, at_dispatch(t), name, received),
    )  # fmt: skip


def _in_another(inject: Injector, name: str) -> None:
    """A held packet is used in the delivery of another one."""
    held: list[Received] = []

    def occasion(t: Thread, received: Received) -> bool:
        outstanding = sorted(received.channel.outstanding, key=lambda r: r.address)
        held[:] = [r for r in outstanding if r.state == "Held" and r is not received]
        return t.irql > 0 and bool(held)

    server = server_of(inject)
    at_any_level(server)
    inject.at(server, "process", "before", lambda t, _: last_use(inject, t, name, held[0]), occasion)


@fault("incoming-defer-inline", "after the delivery", "echo")
def defer_later(inject: Injector) -> None:
    """A server defers a packet after its delivery."""
    _by_worker(inject, DEFER)


@fault("incoming-defer-inline", "on another thread", "echo")
def defer_beside(inject: Injector) -> None:
    """A server defers a packet on another thread during its delivery."""
    _beside(inject, DEFER)


@fault("incoming-defer-inline", "in the delivery of another packet", "echo")
def defer_other(inject: Injector) -> None:
    """A server defers a held packet in the delivery of another one."""
    _in_another(inject, DEFER)


@fault("incoming-fail-inline", "after the delivery", "echo")
def fail_later(inject: Injector) -> None:
    """A server fails a packet after its delivery."""
    _by_worker(inject, FAIL)


@fault("incoming-fail-inline", "on another thread", "echo")
def fail_beside(inject: Injector) -> None:
    """A server fails a packet on another thread during its delivery."""
    _beside(inject, FAIL)


@fault("incoming-fail-inline", "in the delivery of another packet", "echo")
def fail_other(inject: Injector) -> None:
    """A server fails a held packet in the delivery of another one."""
    _in_another(inject, FAIL)


@fault("incoming-external-inline", "after the delivery", "echo")
def fetch_later(inject: Injector) -> None:
    """A server fetches external data after the delivery."""
    external(server_of(inject))
    _by_worker(inject, EXTERNAL)


@fault("incoming-external-inline", "on another thread", "echo")
def fetch_beside(inject: Injector) -> None:
    """A server fetches external data on another thread during the delivery."""
    external(server_of(inject))
    _beside(inject, EXTERNAL)


@fault("incoming-external-inline", "in the delivery of another packet", "echo")
def fetch_other(inject: Injector) -> None:
    """A server fetches the external data of a held packet in the delivery of another one."""
    external(server_of(inject))
    _in_another(inject, EXTERNAL)


# Disposed of twice.


def _after_defer(inject: Injector, name: str, elsewhere: bool = False) -> None:
    """A packet is deferred and used in the same delivery."""
    server = server_of(inject)

    def both(t: Thread, received: Received) -> Task:
        yield from server.lib.defer(t, received)
        yield from last_use(inject, t.endpoint.thread() if elsewhere else t, name, received)

    at_any_level(server)
    inject.at(server, "process", "instead", both, lambda t, _: t.irql > 0)


@fault("incoming-one-disposition", "completed", "echo")
def defer_and_complete(inject: Injector) -> None:
    """A server defers a packet and completes it in the same delivery."""
    _after_defer(inject, COMPLETE)


@fault("incoming-one-disposition", "failed", "echo")
def defer_and_fail(inject: Injector) -> None:
    """A server defers a packet and fails it in the same delivery."""
    _after_defer(inject, FAIL)


@fault("incoming-one-disposition", "completed on another thread", "echo")
def defer_and_complete_beside(inject: Injector) -> None:
    """A server defers a packet, and another thread completes it before the delivery returns."""
    _after_defer(inject, COMPLETE, elsewhere=True)


def _after_pending(inject: Injector, name: str, elsewhere: bool = False) -> None:
    """External data is not there yet, and the packet is used nevertheless."""
    server = server_of(inject)
    external(server)

    def both(t: Thread, received: Received) -> Task:
        yield from pending(t, received)
        yield from last_use(inject, t.endpoint.thread() if elsewhere else t, name, received)

    at_any_level(server)
    inject.at(server, "process", "instead", both, lambda t, _: t.irql > 0 or name != DEFER)


@fault("incoming-pending-must-return", "completed", "echo")
def pending_and_complete(inject: Injector) -> None:
    """A server completes a packet whose external data is not there yet."""
    _after_pending(inject, COMPLETE)


@fault("incoming-pending-must-return", "failed", "echo")
def pending_and_fail(inject: Injector) -> None:
    """A server fails a packet whose external data is not there yet."""
    _after_pending(inject, FAIL)


@fault("incoming-pending-must-return", "deferred", "echo")
def pending_and_defer(inject: Injector) -> None:
    """A server defers a packet whose external data is not there yet."""
    _after_pending(inject, DEFER)


@fault("incoming-pending-must-return", "completed on another thread", "echo")
def pending_and_complete_beside(inject: Injector) -> None:
    """External data is not there yet; another thread completes the packet before the delivery returns."""
    _after_pending(inject, COMPLETE, elsewhere=True)


def _while_requeued(inject: Injector, is_pending: bool, delay: float) -> None:
    """A packet is completed between its deliveries."""
    server = server_of(inject)
    lib = server.lib

    def put_back(t: Thread, received: Received) -> Task:
        if is_pending:
            yield from pending(t, received)
        else:
            yield from lib.defer(t, received)

    def between(t: Thread, channel: Channel, message: Message, _: object) -> Task:
        received = message.received
        if received is not None:
            if delay:
                lib.endpoint.work(lambda w: complete(w, received), inject.kernel.random() * delay)
            else:
                yield from complete(t.endpoint.thread(), received)

    def complete(t: Thread, received: Received) -> Task:
        if received.state == "Requeued" and received.message.received is received:
            yield from last_use(inject, t, COMPLETE, received)

    if is_pending:
        external(server)
    at_any_level(server)
    inject.at(lib, "_deliver", "after", between, lambda t, channel, _: channel.server)
    inject.at(
        server, "process", "instead", put_back, lambda t, received: t.irql > 0 and not received.message.tries
    )


@fault("incoming-no-complete-while-requeued", "deferred", "echo")
def complete_deferred(inject: Injector) -> None:
    """A server completes a deferred packet right after its delivery."""
    _while_requeued(inject, False, 0)


@fault("incoming-no-complete-while-requeued", "deferred, by a worker", "echo")
def complete_deferred_later(inject: Injector) -> None:
    """A work item of a server completes a deferred packet before it is delivered again."""
    _while_requeued(inject, False, 500)


@fault("incoming-no-complete-while-requeued", "pending", "echo")
def complete_pending(inject: Injector) -> None:
    """A server completes a packet right after the delivery in which its external data was pending."""
    _while_requeued(inject, True, 0)
