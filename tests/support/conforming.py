"""The sample traces without a fault: the call-order scenarios of the reference, in variants."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.kmcl import (
    OK,
    REMOVED,
    Numbers,
    client,
    server,
)
from tests.support.tracebuilder import DISPATCH, Trace

CONFORMING: dict[str, Callable[[Trace], None]] = {}
"""File name without suffix, and what fills the trace. The docstring is what the file shows."""


def sample(name: str) -> Callable[[Callable[[Trace], None]], Callable[[Trace], None]]:
    def register(fill: Callable[[Trace], None]) -> Callable[[Trace], None]:
        CONFORMING[name] = fill
        return fill

    return register


@sample("scenario-01-server-life")
def server_life(t: Trace) -> None:
    """A server offers a channel, serves a batch, sends a request, and goes; callbacks on library threads."""
    c = server()
    d, w, q, worker = t.thread(0x1A4, 0), t.thread(0x58, 1), t.thread(0x0, 2, DISPATCH), t.thread(0x2C8, 3)
    d.fn(
        "VmbConvertVmbusHandleToKernelHandle",
        OK,
        {"KernelHandleValue": 0xFFFFFFFF80001A2C},
        VmbusHandle=0x1C4,
        KernelHandle=0xFFFFD10A5B2EF6E0,
    )
    c.create(d)
    c.enable(d)
    c.start(d)
    t.wait(80_000_000)
    c.open(w)
    c.run(w)
    with c.delivery(q) as first:
        c.complete(q, first)
    second, third = c.received(q), c.received(q)
    c.batch_done(q, 3)
    c.complete(worker, third)
    c.complete(worker, second)
    p = c.packet(d)
    c.set_pointer(d, p)
    c.send(d, p)
    c.completed(q, p)
    with c.sending(d, p), c.completing(q, p):
        pass
    c.free(d, p)
    last = c.received(q)
    with c.disabling(d):
        c.suspend(w)
        c.complete(worker, last)
        c.close(w)
    c.cleanup(d)


@sample("scenario-01-server-life-nested")
def server_life_nested(t: Trace) -> None:
    """The same life with the callbacks nested in the driver's own calls, and a mapping given up in Closed."""
    c = server()
    d, w, q = t.thread(0x1A4, 0), t.thread(0x58, 1), t.thread(0x60, 2, DISPATCH)
    c.create(d)
    c.enable(d)
    c.open(w)
    with c.starting(d):
        c.run(d)
    with c.delivery(w, irql=0) as ask:
        c.map(w, 3)
        c.complete(w, ask)
    held = c.received(q)
    with c.disabling(d):
        with c.suspended(d):
            c.complete(d, held)
        with c.closed(d):
            c.unmap(d, 3)
    c.cleanup(d)


@sample("scenario-01-server-configuration-fails")
def server_configuration_fails(t: Trace) -> None:
    """An InitSet call fails, and the driver cleans the channel up without ever enabling it."""
    c = server()
    d = t.thread(0x1A4)
    c.allocate(d)
    c.init(d, "VmbChannelInitSetMaximumPacketSize", PacketSize=4096)
    c.init(d, "VmbServerChannelInitSetVmbusHandle", 0xC0000008, VmbusHandle=0xFFFFFFFF80001A2C)
    c.cleanup(d)


def _client_open(t: Trace, nested: bool) -> None:
    c = client()
    d, w, q = t.thread(0x3E8, 0), t.thread(0x64, 1), t.thread(0x0, 2, DISPATCH)
    worker = t.thread(0x2D0, 3)
    c.create(d, passive=True)
    lib = d if nested else w
    with c.enabling(d):
        if nested:
            c.open(lib)
            with c.started(lib):
                pass
            with c.post_started(lib):
                c.sync(lib)
                c.sync(lib)
    if not nested:
        c.open(lib)
        with c.started(lib):
            pass
        with c.post_started(lib):
            c.sync(lib)
            c.sync(lib)
    c.start(d)
    c.gpadl(d, 0x11)
    c.sync(worker)
    c.gpadl(d, 0x12)
    c.sync(worker)
    for _ in range(3):
        with c.delivery(w, irql=0) as x:
            c.complete(w, x)
        c.exchange(worker, q)
    if nested:
        c.sync(worker)
        c.delete(d, 0x12)
        c.delete(d, 0x11)
        with c.disabling(d):
            c.suspend(d)
            c.close(d)
    else:
        with c.disabling(d):
            c.suspend(w)
            with c.closed(w):
                c.delete(w, 0x11)
                c.delete(w, 0x12)
    c.cleanup(d)


@sample("scenario-02-client-open")
def client_open(t: Trace) -> None:
    """A client opens on a library thread, negotiates in PostStarted, shares buffers until Closed."""
    _client_open(t, nested=False)


@sample("scenario-02-client-open-nested")
def client_open_nested(t: Trace) -> None:
    """The open is nested in Enable; the buffers are given up before Disable, after the server let them go."""
    _client_open(t, nested=True)


@sample("scenario-02-client-configuration-fails")
def client_configuration_fails(t: Trace) -> None:
    """Configuration fails after Allocate; the driver calls Disable on the Disabled channel, then Cleanup."""
    c = client()
    d = t.thread(0x3E8)
    c.allocate(d)
    c.init(d, "VmbChannelInitSetMaximumPacketSize", 0xC000009A, PacketSize=4096)
    c.disable(d)
    c.cleanup(d)


@sample("scenario-02-both-endpoints")
def both_endpoints(t: Trace) -> None:
    """Guest and host in one trace: a buffer is announced, mapped, unmapped and deleted while Delete waits."""
    host, guest = server(Numbers(channels=0xFFFF9A0411800000, packets=0xFFFF9A0420000000)), client()
    h, hw = t.thread(0x7C, 4, endpoint="host"), t.thread(0x90, 5, endpoint="host")
    g, gw = t.thread(0x3E8, 0, endpoint="guest"), t.thread(0x64, 1, endpoint="guest")
    host.create(h)
    host.enable(h)
    host.start(h)
    guest.create(g)
    with guest.enabling(g):
        host.open(hw)
        guest.open(gw)
        guest.run(gw)
        host.run(hw)
    guest.gpadl(g, 0x21)
    with guest.syncing(g), host.delivery(hw, irql=0) as ask:
        host.map(hw, 0x21)
        host.complete(hw, ask)
    p = guest.packet(g)
    with guest.sending(g, p):
        held = host.received(hw, irql=0)
    host.complete(h, held)
    guest.completed(gw, p)
    guest.free(g, p)
    with guest.syncing(g), host.delivery(hw, irql=0) as ask:
        host.complete(hw, ask)
    with g.during("VmbChannelDeleteGpadl", Channel=guest.handle, GpadlHandle=0x21):
        host.unmap(hw, 0x21)
    with guest.disabling(g):
        guest.suspend(gw)
        guest.close(gw)
        host.suspend(hw)
        host.close(hw)
    guest.cleanup(g)
    host.disable(h)
    host.cleanup(h)


@sample("scenario-03-pause-resume")
def pause_resume(t: Trace) -> None:
    """Pause while packets are held, an own send that completes while paused, resume twice."""
    c = client()
    d, w, q, worker = t.thread(0x3E8, 0), t.thread(0x64, 1), t.thread(0x0, 2, DISPATCH), t.thread(0x2D0, 3)
    c.create(d)
    c.enable(d)
    c.open(w)
    c.run(w)
    p = c.packet(worker)
    c.send(worker, p)
    held = [c.received(q), c.received(q)]
    with c.pausing(d):
        c.suspend(w)
        c.complete(worker, held[1])
        c.complete(worker, held[0])
    c.completed(q, p)
    t.wait(5_000_000)
    with c.starting(d):
        with c.started(d):
            c.send(d, p)
        with c.delivery(q) as x:
            c.complete(q, x)
        with c.post_started(d):
            c.sync(d)
    c.completed(q, p)
    with c.pausing(d):
        c.suspend(d)
    c.start(d)
    with c.started(w):
        pass
    with c.delivery(q) as x:
        c.complete(q, x)
    with c.post_started(w):
        pass
    c.free(d, p)
    with c.disabling(d):
        c.suspend(w)
        c.close(w)
    c.cleanup(d)


@sample("scenario-03-paused-channel-closes")
def paused_channel_closes(t: Trace) -> None:
    """The host closes a paused channel: Closed comes without a second Suspend."""
    c = client()
    d, w, q = t.thread(0x3E8, 0), t.thread(0x64, 1), t.thread(0x0, 2, DISPATCH)
    c.create(d)
    c.enable(d)
    c.open(w)
    c.run(w)
    with c.delivery(q) as x:
        c.complete(q, x)
    with c.pausing(d):
        c.suspend(w)
    t.wait(2_000_000)
    c.close(w)
    c.start(d)
    c.disable(d)
    c.cleanup(d)


@sample("scenario-04-peer-closes-client")
def peer_closes_client(t: Trace) -> None:
    """The host rescinds: held packets are completed elsewhere, sends fail around Closed, then Disable."""
    c = client()
    d, w, q, worker = t.thread(0x3E8, 0), t.thread(0x64, 1), t.thread(0x0, 2, DISPATCH), t.thread(0x2D0, 3)
    c.create(d)
    c.enable(d)
    c.open(w)
    c.run(w)
    c.gpadl(d, 0x31)
    first, second, third = c.packet(d), c.packet(d), c.packet(d)
    for p in (first, second, third):
        c.send(d, p)
    held = c.received(q)
    t.wait(30_000_000)
    c.suspend(w)
    c.completed(w, first, REMOVED, irql=0)
    c.complete(worker, held)
    with c.closed(w):
        c.delete(w, 0x31)
    c.completed(w, second, REMOVED, irql=0)
    t.note("the third packet never completes: no document promises it at a close")
    c.free(d, first)
    c.free(d, second)
    c.disable(d)
    c.cleanup(d)


@sample("scenario-04-peer-closes-server")
def peer_closes_server(t: Trace) -> None:
    """The guest closes and opens again: the wish to run survives; a mapping is given up in each Closed."""
    c = server()
    d, w, q = t.thread(0x1A4, 0), t.thread(0x58, 1), t.thread(0x60, 2, DISPATCH)
    c.create(d)
    c.enable(d)
    c.start(d)
    for number in (5, 6):
        c.open(w)
        c.run(w)
        with c.delivery(w, irql=0) as ask:
            c.map(w, number)
            c.complete(w, ask)
        held = c.received(q)
        c.suspend(w)
        c.complete(d, held)
        with c.closed(w):
            c.unmap(w, number)
        t.wait(400_000_000)
    c.disable(d)
    c.cleanup(d)
