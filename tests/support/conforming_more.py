"""Sample traces without a fault, from saving to packets in every legal way."""

from __future__ import annotations

from tests.support.conforming import sample
from tests.support.kmcl import (
    MORE,
    OK,
    OVERFLOW,
    PENDING,
    REMOVED,
    TOO_SMALL,
    UNSUCCESSFUL,
    Numbers,
    client,
    server,
)
from tests.support.tracebuilder import DISPATCH, Trace


@sample("scenario-05-save")
def save(t: Trace) -> None:
    """A paused server saves its state in three steps, with a packet in use, and a first begin that fails."""
    c = server()
    d, w, _q = t.thread(0x1A4, 0), t.thread(0x58, 1), t.thread(0x60, 2, DISPATCH)
    c.create(d, save=True)
    c.enable(d)
    c.start(d)
    c.open(w)
    c.run(w)
    p = c.packet(d)
    c.send(d, p)
    with c.pausing(d):
        c.suspend(w)
    c.save_begin(d, UNSUCCESSFUL)
    c.save_end(d)
    c.save_begin(d)
    with c.save_continue(d, OVERFLOW):
        c.save_packet(d, p)
    with c.save_continue(d, TOO_SMALL):
        pass
    with c.save_continue(d, OK):
        pass
    c.save_end(d)
    with c.disabling(d):
        c.close(w)
    c.completed(w, p, REMOVED, irql=0)
    c.free(d, p)
    c.cleanup(d)


@sample("scenario-05-restore")
def restore(t: Trace) -> None:
    """The new host restores two packets in two chunks, starts, and gets completions without any send."""
    c = server()
    d, w, q = t.thread(0x1A4, 0), t.thread(0x58, 1), t.thread(0x60, 2, DISPATCH)
    c.create(d, save=True)
    with c.enabling(d):
        c.open(w)
    with c.restoring(d, MORE):
        first = c.restore_packet(d)
    with c.restoring(d):
        second = c.restore_packet(w)
    c.start(d)
    c.run(w)
    c.completed(q, second)
    c.completed(q, first)
    c.free(d, first)
    c.free(d, second)
    with c.disabling(d):
        c.suspend(w)
        c.close(w)
    c.cleanup(d)


@sample("scenario-06-deferred")
def deferred(t: Trace) -> None:
    """A packet is deferred to PASSIVE_LEVEL and overtaken; a redelivery begins before the first returned."""
    c = server()
    d, w, q = t.thread(0x1A4, 0), t.thread(0x58, 1), t.thread(0x60, 2, DISPATCH)
    c.create(d)
    c.enable(d)
    c.start(d)
    c.open(w)
    c.run(w)
    with c.delivery(q) as first:
        c.defer(q, first)
    with c.delivery(q) as later:
        c.complete(q, later)
    with c.delivery(w, first, irql=0):
        c.map(w, 9)
        c.complete(w, first)
    with c.delivery(q) as second:
        c.defer(q, second)
        t.note("the redelivery is entered on another CPU while the delivery that deferred returns")
        w.enter(
            "EvtVmbChannelProcessPacket",
            Channel=c.handle,
            Packet=second,
            Buffer=0xFFFFBC8044000080,
            BufferLength=64,
            Flags=0,
        )
    c.complete(w, second)
    w.leave("EvtVmbChannelProcessPacket", Channel=c.handle, Packet=second)
    with c.disabling(d):
        c.suspend(w)
        with c.closed(w):
            c.unmap(w, 9)
    c.cleanup(d)


@sample("scenario-06-malformed")
def malformed(t: Trace) -> None:
    """A malformed packet is failed; an unknown one is completed; a deferred one goes with the run."""
    c = server()
    d, w, q = t.thread(0x1A4, 0), t.thread(0x58, 1), t.thread(0x60, 2, DISPATCH)
    c.create(d)
    c.enable(d)
    c.start(d)
    c.open(w)
    c.run(w)
    with c.delivery(q) as unknown:
        c.complete(q, unknown)
    with c.delivery(q) as parked:
        c.defer(q, parked)
    with c.delivery(q) as bad:
        c.fail(q, bad)
    with c.disabling(d):
        c.suspend(w)
        c.close(w)
    c.cleanup(d)


@sample("scenario-07-external-data")
def external_data(t: Trace) -> None:
    """External data is pending first, then fetched; completion from the I/O path; a fetch that fails."""
    c = server()
    d, w, q = t.thread(0x1A4, 0), t.thread(0x58, 1), t.thread(0x60, 2, DISPATCH)
    io = t.thread(0x0, 3, DISPATCH)
    c.create(d)
    c.enable(d)
    c.start(d)
    c.open(w)
    c.run(w)
    with c.delivery(q, flags=1) as first:
        c.external(q, first, PENDING)
    with c.delivery(w, first, flags=1, irql=0):
        c.external(w, first)
    with c.delivery(q, flags=1) as second:
        c.external(q, second, 0xC000009A)
        c.complete(q, second)
    c.complete(io, first)
    with c.delivery(q, flags=1) as third:
        c.external(q, third)
    with c.disabling(d):
        c.suspend(w)
        c.complete(io, third)
        c.close(w)
    c.cleanup(d)


@sample("scenario-08-client-comes-back")
def client_comes_back(t: Trace) -> None:
    """After remote closes a work item disables, configures and enables again; GPADL numbers come back."""
    c = client()
    d, w, q, item = t.thread(0x3E8, 0), t.thread(0x64, 1), t.thread(0x0, 2, DISPATCH), t.thread(0x11C, 3)
    c.create(d)
    c.enable(d)
    for cycle in range(3):
        c.open(w)
        c.run(w)
        c.gpadl(d, 0x41)
        c.exchange(d, q)
        with c.delivery(q) as x:
            c.complete(q, x)
        c.suspend(w)
        with c.closed(w):
            c.delete(w, 0x41)
        t.wait(90_000_000)
        if cycle != 1:
            c.disable(item)
            c.init(item, "VmbChannelInitSetMaximumPacketSize", PacketSize=8192)
        c.enable(item)
    c.disable(d)
    c.cleanup(d)


@sample("scenario-08-open-fails")
def open_fails(t: Trace) -> None:
    """Opened fails twice, once with a Closed after it and once without; the third open holds."""
    c = client()
    d, w = t.thread(0x3E8, 0), t.thread(0x64, 1)
    c.create(d)
    c.enable(d)
    with c.opened(w, 0xC000009A):
        pass
    c.close(w)
    c.disable(d)
    c.enable(d)
    with c.opened(w, 0xC000009A):
        pass
    c.disable(d)
    c.enable(d)
    c.open(w)
    c.run(w)
    with c.disabling(d):
        c.suspend(w)
        c.close(w)
    c.cleanup(d)


@sample("scenario-08-no-callbacks-registered")
def no_callbacks_registered(t: Trace) -> None:
    """A driver that registers Opened and Closed only: Suspend and Started happen without a record."""
    c = client()
    c.slots = ("Opened", "Closed")
    t.stays_open = ("lg-closed-when-drained", "lg-process-packet-window", "packet-no-send-while-suspended")
    d, w, q = t.thread(0x3E8, 0), t.thread(0x64, 1), t.thread(0x0, 2, DISPATCH)
    c.create(d)
    c.enable(d)
    c.open(w)
    with c.delivery(q) as x:
        c.complete(q, x)
    c.exchange(d, q)
    with c.disabling(d):
        c.close(w)
    c.cleanup(d)


@sample("scenario-09-subchannels")
def subchannels(t: Trace) -> None:
    """A host with a primary and two sub-channels that open, serve and close in no order among each other."""
    numbers = Numbers()
    primary, subs = server(numbers), [server(numbers), server(numbers)]
    d, w = t.thread(0x1A4, 0), t.thread(0x58, 1)
    queues = [t.thread(0x60 + 8 * i, 2 + i, DISPATCH) for i in range(3)]
    primary.create(d)
    primary.enable(d)
    primary.start(d)
    primary.open(w)
    primary.run(w)
    with primary.delivery(queues[0]) as ask:
        primary.complete(queues[0], ask)
    for sub in subs:
        sub.create(d)
        sub.init(d, "VmbChannelInitSetPrimaryChannel")
        sub.enable(d)
        sub.start(d)
    subs[1].open(w)
    subs[0].open(d)
    subs[0].run(d)
    subs[1].run(w)
    for round_ in range(2):
        held = [c.received(q) for c, q in zip([primary, *subs], queues, strict=True)]
        subs[round_].exchange(d, queues[1])
        for c, q, x in zip([primary, *subs], queues, held, strict=True):
            c.complete(q, x)
    subs[1].suspend(w)
    subs[1].close(w)
    primary.suspend(w)
    primary.close(w)
    with subs[0].disabling(d):
        subs[0].suspend(w)
        subs[0].close(w)
    subs[1].disable(d)
    primary.disable(d)
    for c in (*subs, primary):
        c.cleanup(d)


@sample("scenario-09-client-subchannels")
def client_subchannels(t: Trace) -> None:
    """A guest with a primary and a sub-channel; the sub-channel is paused in a callback of the primary."""
    numbers = Numbers()
    primary, sub = client(numbers), client(numbers)
    d, w, q = t.thread(0x3E8, 0), t.thread(0x64, 1), t.thread(0x0, 2, DISPATCH)
    primary.create(d)
    with primary.enabling(d):
        primary.open(d)
        primary.run(d)
    primary.sync(d)
    sub.create(d)
    sub.init(d, "VmbChannelInitSetPrimaryChannel")
    with sub.enabling(d):
        sub.open(w)
    sub.run(w)
    primary.gpadl(d, 7)
    sub.gpadl(d, 7)
    sub.exchange(d, q)
    primary.exchange(d, q)
    with primary.disabling(d):
        with primary.suspended(w), sub.pausing(w):
            sub.suspend(q if q.irql == 0 else w)
        with primary.closed(w):
            primary.delete(w, 7)
    with sub.disabling(d), sub.closed(d):
        sub.delete(d, 7)
    primary.cleanup(d)
    sub.cleanup(d)


@sample("scenario-10-harness-clean")
def harness_clean(t: Trace) -> None:
    """What the harness of scenario 10 should do: no packet is taken for a synchronous request."""
    c = client()
    d, w = t.thread(0x3E8, 0), t.thread(0x64, 1)
    c.create(d)
    with c.enabling(d):
        c.open(w)
        c.run(w)
    for _ in range(4):
        c.sync(d)
    c.sync(d, OVERFLOW, waits=False)
    with c.disabling(d):
        c.suspend(w)
        c.close(w)
    c.cleanup(d)


@sample("packets-reuse")
def packets_reuse(t: Trace) -> None:
    """Outgoing packets in every legal way: automatic free, driver storage, failed sends, reuse."""
    c = client()
    d, w, q = t.thread(0x3E8, 0), t.thread(0x64, 1), t.thread(0x0, 2, DISPATCH)
    c.create(d)
    c.enable(d)
    c.open(w)
    c.run(w)
    automatic = c.packet(d, routine=False)
    c.send(d, automatic, flags=0)
    c.numbers.free_packets.append(automatic)
    again = c.packet(d)
    with c.sending(d, again, PENDING):
        with q.at(DISPATCH), c.completing(q, again):
            c.free(q, again)
        reborn = c.packet(w)
        c.send(w, reborn)
    c.completed(q, reborn)
    c.free(w, reborn)
    failed = c.packet(d, routine=False)
    c.send(d, failed, UNSUCCESSFUL, flags=0)
    c.free(d, failed)
    retried = c.packet(d)
    c.send(d, retried, UNSUCCESSFUL)
    c.send(d, retried)
    c.completed(q, retried)
    c.free(d, retried)
    late = c.packet(d)
    c.send(d, late, UNSUCCESSFUL)
    c.completed(q, late, UNSUCCESSFUL)
    c.free(d, late)
    storage = 0xFFFFBC8090000040
    for _ in range(2):
        c.initialize(d, storage)
        c.send(d, storage)
        c.completed(q, storage)
        c.send(d, storage)
        c.completed(q, storage)
    with c.disabling(d):
        c.suspend(w)
        c.close(w)
    c.cleanup(d)
