"""Faults of the library with packets: wrong deliveries and completions."""

from __future__ import annotations

from collections.abc import Callable

from kmclcheck.engines.simulate.drivers.common import ChannelDriver
from kmclcheck.engines.simulate.faults.injector import How, Injector, fault
from kmclcheck.engines.simulate.faults.tools import (
    EXTERNAL,
    FAIL,
    PENDING,
    at_any_level,
    at_dispatch,
    begin_delivery,
    client_of,
    deliver,
    enter,
    external,
    last,
    pending,
    replace,
    server_of,
    stay,
)
from kmclcheck.engines.simulate.kernel import DISPATCH, Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Message, Packet, Received

# Deliveries outside of a run.


def _at_state(inject: Injector, how: How, slot: str) -> None:
    server = server_of(inject)
    inject.at(
        server.lib, "_state", how,
        lambda t, channel, *_: deliver(inject, t.endpoint.thread(), channel),
        lambda t, channel, found, *_: found == slot and channel.driver is server,
    )  # fmt: skip


def _inside(inject: Injector, routine: str) -> None:
    inject.at(
        server_of(inject), routine, "before",
        lambda t, channel: deliver(inject, t.endpoint.thread(), channel),
    )  # fmt: skip


@fault("lg-process-packet-window", "not open", "echo")
def delivered_before_opened(inject: Injector) -> None:
    """A packet is delivered before Opened."""
    _at_state(inject, "before", "Opened")


@fault("lg-process-packet-window", "not started", "echo")
def delivered_after_opened(inject: Injector) -> None:
    """A packet is delivered after Opened."""
    _at_state(inject, "after", "Opened")


@fault("lg-process-packet-window", "inside Started", "echo")
def delivered_in_started(inject: Injector) -> None:
    """A packet is delivered while Started is running."""
    _inside(inject, "started")


@fault("lg-process-packet-window", "inside Suspend", "echo")
def delivered_in_suspend(inject: Injector) -> None:
    """A packet is delivered while Suspend is running."""
    _inside(inject, "suspend")


@fault("lg-process-packet-window", "after Suspend", "echo")
def delivered_after_suspend(inject: Injector) -> None:
    """A packet is delivered after Suspend."""
    _at_state(inject, "after", "Suspend")


# After a failure.


def _after_fail(inject: Injector, beside: bool = False, again: bool = False, busy: bool = False) -> None:
    """A server fails a packet, and the library goes on; with the same packet, or beside another delivery."""
    server = server_of(inject)
    failed: list[Received] = []

    def fail(t: Thread, received: Received) -> Task:
        yield from server.lib.simple(t, FAIL, f" PacketCompletionContext{received.handle}")
        received.channel.stopped = True
        failed.append(received)
        if busy:
            begin_delivery(t.endpoint.thread(), received.channel)

    def go_on(t: Thread, channel: Channel, *_: object) -> Task:
        if failed:
            thread = t.endpoint.thread() if beside else t
            yield from deliver(inject, thread, channel, failed[0].handle if again else "")

    inject.at(server.lib, "_deliver", "after", go_on, lambda t, channel, _: channel.driver is server)
    inject.at(server, "process", "instead", fail, lambda t, received: not (beside and t.irql))


@fault("lg-no-delivery-after-fail", "next of the batch", "echo")
def batch_goes_on(inject: Injector) -> None:
    """A server fails a packet, and the next one of the batch is delivered."""
    _after_fail(inject)


@fault("lg-no-delivery-after-fail", "another thread", "echo")
def delivery_goes_on(inject: Injector) -> None:
    """A server fails a packet, and another thread delivers the next one."""
    _after_fail(inject, beside=True)


@fault("lg-no-delivery-after-fail", "the failed packet again", "echo")
def failed_comes_again(inject: Injector) -> None:
    """A server fails a packet, and it is delivered again."""
    _after_fail(inject, again=True)


@fault("lg-no-delivery-after-fail", "beside another delivery", "echo")
def delivery_goes_on_beside(inject: Injector) -> None:
    """A server fails a packet while another delivery begins; when the first has returned, a third begins."""
    _after_fail(inject, beside=True, busy=True)


# IRQL of packet callbacks.


def _raised(inject: Injector, irql: int) -> None:
    """A packet is delivered at a raised IRQL."""
    server = server_of(inject)
    inject.at(
        server.lib, "_deliver", "before",
        lambda t, channel, _: deliver(inject, at_dispatch(t, irql), channel),
        lambda t, channel, _: channel.driver is server,
    )  # fmt: skip


def _passive(server: ChannelDriver) -> None:
    """A server asks for deliveries at PASSIVE_LEVEL."""

    def make(create: Callable[..., Task]) -> Callable[..., Task]:
        def ask(t: Thread) -> Task:
            channel = yield from create(t)
            channel.at_passive = True
            name = "VmbChannelSetIncomingProcessingAtPassive"
            yield from server.lib.simple(t, name, f" Channel{channel.handle}", " RequirePassive=1")
            return channel

        return ask

    replace(server, "create", make)


@fault("lg-process-packet-irql", "DISPATCH_LEVEL though PASSIVE_LEVEL was asked for", "echo")
def delivered_at_dispatch(inject: Injector) -> None:
    """A server asked for deliveries at PASSIVE_LEVEL and gets one at DISPATCH_LEVEL."""
    _passive(server_of(inject))
    _raised(inject, 2)


@fault("lg-process-packet-irql", "APC_LEVEL though PASSIVE_LEVEL was asked for", "echo")
def delivered_at_apc(inject: Injector) -> None:
    """A server asked for deliveries at PASSIVE_LEVEL and gets one at APC_LEVEL."""
    _passive(server_of(inject))
    _raised(inject, 1)


@fault("lg-process-packet-irql", "delivery above DISPATCH_LEVEL", "echo")
def delivered_at_device_level(inject: Injector) -> None:
    """A packet is delivered at the level of an interrupt."""
    at_any_level(server_of(inject))
    _raised(inject, 5)


@fault("lg-process-packet-irql", "end of a batch above DISPATCH_LEVEL", "echo")
def batch_at_device_level(inject: Injector) -> None:
    """A batch of deliveries ends at the level of an interrupt."""
    server = server_of(inject)
    inject.at(
        server.lib, "_deliver", "after",
        lambda t, channel, *_: enter(
            inject, at_dispatch(t, 3), channel, "ProcessingComplete", " PacketsProcessed=1"
        ),
        lambda t, channel, _: channel.driver is server,
    )  # fmt: skip


@fault("lg-process-packet-irql", "completion routine above DISPATCH_LEVEL", "echo")
def completed_at_device_level(inject: Injector) -> None:
    """A completion routine is called at the level of an interrupt."""
    inject.at(
        client_of(inject).lib, "_finish", "before",
        lambda t, packet, *_, **more: _complete(inject, at_dispatch(t, 4), packet),
        lambda t, packet, *_, **more: packet.routine == "User" and packet in packet.channel.inflight,
    )  # fmt: skip


# Packets that come again.


def _again(inject: Injector, irql: int = DISPATCH, beside: bool = False) -> None:
    """A server defers a packet, and it comes again at a raised IRQL."""
    server = server_of(inject)
    at_any_level(server)

    def back(t: Thread, channel: Channel, message: Message, _: object) -> Task:
        received = message.received
        if received is not None and received.state == "Requeued":
            yield from deliver(inject, at_dispatch(t, irql) if beside else t, channel, received.handle)

    inject.at(server.lib, "_deliver", "after", back, lambda t, channel, _: t.irql > 0)
    inject.at(
        server, "process", "instead", lambda t, received: server.lib.defer(t, received),
        lambda t, _: t.irql > 0,
    )  # fmt: skip


@fault("lg-deferred-redelivered-passive", "same thread", "echo")
def deferred_comes_again(inject: Injector) -> None:
    """A deferred packet comes again in the same batch."""
    _again(inject)


@fault("lg-deferred-redelivered-passive", "another thread", "echo")
def deferred_comes_elsewhere(inject: Injector) -> None:
    """A deferred packet comes again at DISPATCH_LEVEL on another thread."""
    _again(inject, beside=True)


@fault("lg-deferred-redelivered-passive", "APC_LEVEL", "echo")
def deferred_comes_at_apc(inject: Injector) -> None:
    """A deferred packet comes again at APC_LEVEL."""
    _again(inject, irql=1, beside=True)


@fault("lg-deferred-redelivered-passive", "after other packets", "echo")
def deferred_comes_late(inject: Injector) -> None:
    """A deferred packet comes again at DISPATCH_LEVEL when another one has been delivered."""
    server = server_of(inject)
    at_any_level(server)
    deferred: list[Received] = []

    def put_off(t: Thread, received: Received) -> Task:
        received.channel.overlap = 1
        yield from server.lib.defer(t, received)
        deferred.append(received)

    def make(original: Callable[..., Task]) -> Callable[..., Task]:
        def held_back(t: Thread, channel: Channel, message: Message) -> Task:
            value = yield from original(t, channel, message)
            if not deferred or channel.driver is not server:
                return value
            if message in channel.ring:
                channel.ring.remove(message)
                channel.used -= message.size
            else:
                yield from deliver(inject, at_dispatch(t), channel, deferred[0].handle)
            return value

        return held_back

    replace(server.lib, "_deliver", make)
    inject.at(
        server, "process", "instead", put_off,
        lambda t, received: t.irql > 0 and not deferred and received.channel.deliveries == 1,
    )  # fmt: skip


# External data that does not come.


def _pending_again(inject: Injector, t: Thread, handle: str) -> Task:
    """External data is not there, although its packet was delivered again."""
    handles = f" PacketCompletionContext{handle}"
    inject.sim.host.record(t, "call", EXTERNAL, handles, " Flags=0")
    yield inject.kernel.random() * 500
    yield from last(inject, t, "ret", EXTERNAL, handles, "", PENDING)


def _second_delivery(
    inject: Injector, driver: ChannelDriver, fetch: Callable[[Thread, Received], Task]
) -> None:
    """The external data of every packet is pending; in the second delivery ``fetch`` is what happens."""
    external(driver)
    tried: list[Received] = []

    def process(t: Thread, received: Received) -> Task:
        if received not in tried:
            tried.append(received)
            yield from pending(t, received)
        else:
            yield from fetch(t, received)

    inject.at(
        driver, "process", "instead", process,
        lambda t, received: received in tried or not received.message.tries,
    )  # fmt: skip


@fault("lg-pending-redelivered", "second delivery", "echo")
def pending_again(inject: Injector) -> None:
    """External data is still pending when the packet comes again."""
    _second_delivery(
        inject, server_of(inject), lambda t, received: _pending_again(inject, t, received.handle)
    )  # fmt: skip


@fault("lg-pending-redelivered", "client", "client-opens")
def pending_again_at_client(inject: Injector) -> None:
    """A client's external data is still pending when the packet comes again."""
    client = client_of(inject)
    stay(inject, client)
    _second_delivery(inject, client, lambda t, received: _pending_again(inject, t, received.handle))


@fault("lg-pending-redelivered", "second fetch", "echo")
def pending_at_second_fetch(inject: Injector) -> None:
    """When the packet comes again, a fetch of its external data fails, and another one is pending."""
    server = server_of(inject)

    def twice(t: Thread, received: Received) -> Task:
        handles = f" PacketCompletionContext{received.handle}"
        yield from inject.call(t, EXTERNAL, handles, " Flags=0", " status=0xc000009a")
        yield from _pending_again(inject, t, received.handle)

    _second_delivery(inject, server, twice)


@fault("lg-pending-redelivered", "before the first delivery has returned", "echo")
def pending_beside(inject: Injector) -> None:
    """A packet comes again before the delivery has returned in which its external data was pending."""
    server = server_of(inject)
    external(server)

    def fetch(t: Thread, received: Received) -> Task:
        yield from pending(t, received)
        other = t.endpoint.thread()
        begin_delivery(other, received.channel, received.handle, 1)
        yield from _pending_again(inject, other, received.handle)

    inject.at(server, "process", "instead", fetch)


# Completion routines.


def _complete(inject: Injector, t: Thread, packet: Packet) -> Task:
    """The library completes a packet when it must not."""
    if packet not in packet.channel.inflight or t.irql > 2:
        scalars = " Status=0x0 Buffer=0x0 BufferLength=0"
        yield from last(inject, t, "in", "EvtVmbPacketCompletionRoutine", f" Packet{packet.handle}", scalars)


@fault("lg-completion-exactly-once", "inside the routine", "echo")
def completed_in_routine(inject: Injector) -> None:
    """A packet is completed again while its routine is running."""
    inject.at(
        client_of(inject), "completed", "before",
        lambda t, packet, _: _complete(inject, t.endpoint.thread(), packet),
    )  # fmt: skip


@fault("lg-completion-exactly-once", "twice", "echo")
def completed_twice(inject: Injector) -> None:
    """A packet is completed again after its routine returned, whether it was freed or not."""
    client = client_of(inject)

    def again(t: Thread, name: str, handles: str, scalars: str, *_: object) -> Task:
        assert client.channel is not None
        if not any(handles.endswith(packet.handle) for packet in client.channel.inflight):
            yield from last(inject, t, "in", name, handles, scalars)

    inject.at(
        client.lib, "callback", "after", again,
        lambda t, name, *_: name == "EvtVmbPacketCompletionRoutine",
    )  # fmt: skip


@fault("lg-completion-exactly-once", "never sent", "echo")
def completed_unsent(inject: Injector) -> None:
    """A packet is completed that was not sent yet."""
    inject.at(
        client_of(inject).lib, "set_routine", "after",
        lambda t, packet, _: _complete(inject, t.endpoint.thread(), packet),
    )  # fmt: skip


@fault("lg-completion-exactly-once", "in an earlier life of its handle", "echo")
def completed_late(inject: Injector) -> None:
    """A completion comes for a packet that has just been allocated, where another one was completed."""
    client = client_of(inject)
    done: set[str] = set()

    def remember(completed: Callable[..., Task]) -> Callable[..., Task]:
        def completes(t: Thread, packet: Packet, status: int) -> Task:
            done.add(packet.handle)
            yield from completed(t, packet, status)

        return completes

    def reused(t: Thread, channel: Channel, packet: Packet | None) -> Task:
        if packet is not None and packet.handle in done:
            yield from _complete(inject, t.endpoint.thread(), packet)

    replace(client, "completed", remember)
    inject.at(
        client.lib, "allocate_packet", "after",
        reused,
        lambda *_, **more: bool(done),
    )  # fmt: skip
