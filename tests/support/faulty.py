"""The sample traces with faults: each a mistake that real drivers make, marked where it must be found."""

from __future__ import annotations

from collections.abc import Callable

from kmclcheck.model.event import End
from tests.support.kmcl import OK, PENDING, UNSUCCESSFUL, Channel, client, server
from tests.support.tracebuilder import DISPATCH, Thread, Trace

FAULTY: dict[str, Callable[[Trace], None]] = {}
"""File name without suffix, and what fills the trace. The docstring is what the file shows."""


def sample(name: str) -> Callable[[Callable[[Trace], None]], Callable[[Trace], None]]:
    def register(fill: Callable[[Trace], None]) -> Callable[[Trace], None]:
        FAULTY[name] = fill
        return fill

    return register


def threads(t: Trace) -> tuple[Thread, Thread, Thread]:
    """The driver's thread, a library thread at PASSIVE_LEVEL, a delivery context."""
    return t.thread(0x3E8, 0), t.thread(0x64, 1), t.thread(0x0, 2, DISPATCH)


def running(t: Trace, c: Channel, d: Thread, w: Thread) -> Channel:
    """Bring a channel to the state in which it carries traffic, and let it carry some."""
    c.create(d, save=c.server)
    c.enable(d)
    if c.server:
        c.start(d)
    c.open(w)
    c.run(w)
    for _ in range(2):
        with c.delivery(w, irql=0) as x:
            c.complete(w, x)
        c.exchange(d, w)
    return c


def shut_down(c: Channel, d: Thread, w: Thread) -> None:
    with c.disabling(d):
        c.suspend(w)
        c.close(w)
    c.cleanup(d)


@sample("wrong-cleanup-while-enabled")
def cleanup_while_enabled(t: Trace) -> None:
    """The failure path of the driver's start routine cleans the channel up without disabling it."""
    d, _, _ = threads(t)
    c = client()
    c.create(d)
    c.enable(d)
    t.wait(1_000_000)
    d.call("VmbChannelCleanup", Channel=c.handle)
    t.expect("channel-cleanup-disabled", c.handle)
    d.ret("VmbChannelCleanup", Channel=c.handle)


@sample("wrong-double-complete")
def double_complete(t: Trace) -> None:
    """The I/O path and the cancel path both complete the same received packet."""
    d, w, q = threads(t)
    c = running(t, server(), d, w)
    x = c.received(q)
    c.complete(d, x)
    q.call("VmbChannelPacketComplete", PacketCompletionContext=x, PacketCompletionBuffer=0, BufSize=0)
    t.expect("incoming-complete-once", x)
    q.ret("VmbChannelPacketComplete", PacketCompletionContext=x)
    shut_down(c, d, w)


@sample("wrong-complete-after-defer")
def complete_after_defer(t: Trace) -> None:
    """A missing return: the delivery defers the packet and completes it a few lines later."""
    d, w, q = threads(t)
    c = running(t, server(), d, w)
    with c.delivery(q) as x:
        c.defer(q, x)
        q.call("VmbChannelPacketComplete", PacketCompletionContext=x, PacketCompletionBuffer=0, BufSize=0)
        t.expect("incoming-one-disposition", x)
        q.ret("VmbChannelPacketComplete", PacketCompletionContext=x)
    shut_down(c, d, w)


@sample("wrong-complete-while-requeued")
def complete_while_requeued(t: Trace) -> None:
    """A work item completes a packet that the delivery has deferred and that was not delivered again yet."""
    d, w, q = threads(t)
    c = running(t, server(), d, w)
    with c.delivery(q) as x:
        c.defer(q, x)
    d.call("VmbChannelPacketComplete", PacketCompletionContext=x, PacketCompletionBuffer=0, BufSize=0)
    t.expect("incoming-no-complete-while-requeued", x)
    d.ret("VmbChannelPacketComplete", PacketCompletionContext=x)
    shut_down(c, d, w)


@sample("wrong-complete-while-pending")
def complete_while_pending(t: Trace) -> None:
    """STATUS_PENDING of the external data is taken for an error, and the packet is completed."""
    d, w, q = threads(t)
    c = running(t, server(), d, w)
    with c.delivery(q, flags=1) as x:
        c.external(q, x, PENDING)
        q.call("VmbChannelPacketComplete", PacketCompletionContext=x, PacketCompletionBuffer=0, BufSize=0)
        t.expect("incoming-pending-must-return", x)
        q.ret("VmbChannelPacketComplete", PacketCompletionContext=x)
    shut_down(c, d, w)


@sample("wrong-use-after-complete")
def use_after_complete(t: Trace) -> None:
    """The external data of a packet is fetched after the packet was completed."""
    d, w, q = threads(t)
    c = running(t, server(), d, w)
    with c.delivery(q, flags=1) as x:
        c.complete(q, x)
        q.call("VmbChannelPacketGetExternalData", PacketCompletionContext=x, Flags=0, Mdl=0xFFFFD10A5B2EF510)
        t.expect("incoming-no-use-after-disposal", x)
        q.ret("VmbChannelPacketGetExternalData", UNSUCCESSFUL, PacketCompletionContext=x)
    shut_down(c, d, w)


@sample("wrong-gpadl-alive-at-close")
def gpadl_alive_at_close(t: Trace) -> None:
    """The Closed callback deletes one of two GPADLs; the second stays shared with the host."""
    d, w, _ = threads(t)
    c = running(t, client(), d, w)
    c.gpadl(d, 0x51)
    c.gpadl(d, 0x52)
    with c.disabling(d):
        c.suspend(w)
        with c.closed(w):
            c.delete(w, 0x51)
        t.expect("gpadl-deleted-by-close", 0x52)
    c.cleanup(d)


@sample("wrong-gpadl-before-reenable")
def gpadl_before_reenable(t: Trace) -> None:
    """After a rescind the driver builds its buffers again before it enabled the channel again."""
    d, w, _ = threads(t)
    c = running(t, client(), d, w)
    c.suspend(w)
    c.close(w)
    args = {"Flags": 0, "Mdl": 0xFFFFBC8070008000, "StartOffsetWithinMdl": 0, "DataLengthWithinMdl": 4096}
    d.call("VmbChannelCreateGpadlFromMdl", Channel=c.handle, **args)
    t.expect("client-reenable-after-close", c.handle)
    d.ret("VmbChannelCreateGpadlFromMdl", 0xC0000184, Channel=c.handle)
    c.enable(d)
    c.open(w)
    c.run(w)
    shut_down(c, d, w)


@sample("wrong-gpadl-number-of-old-cycle")
def gpadl_number_of_old_cycle(t: Trace) -> None:
    """A GPADL number that was deleted in the last open cycle is deleted again in the new one."""
    d, w, _ = threads(t)
    c = running(t, client(), d, w)
    c.gpadl(d, 0x61)
    c.suspend(w)
    with c.closed(w):
        c.delete(w, 0x61)
    c.enable(d)
    c.open(w)
    c.run(w)
    d.call("VmbChannelDeleteGpadl", Channel=c.handle, GpadlHandle=0x61)
    t.expect("gpadl-delete-live", 0x61)
    d.ret("VmbChannelDeleteGpadl", Channel=c.handle, GpadlHandle=0x61)
    shut_down(c, d, w)


@sample("wrong-disable-in-closed")
def disable_in_closed(t: Trace) -> None:
    """The Closed callback disables its own channel and never returns."""
    d, w, _ = threads(t)
    c = running(t, client(), d, w)
    t.end = End.HUNG
    c.suspend(w)
    w.enter("EvtVmbChannelClosed", Channel=c.handle)
    w.call("VmbChannelDisable", Channel=c.handle)
    t.expect("no-disable-in-state-callback", c.handle)


@sample("wrong-enable-in-closed")
def enable_in_closed(t: Trace) -> None:
    """The Closed callback enables the channel again at once instead of in a work item."""
    d, w, _ = threads(t)
    c = running(t, client(), d, w)
    c.suspend(w)
    with c.closed(w):
        w.call("VmbChannelEnable", Channel=c.handle)
        t.expect("enable-when-disabled", c.handle)
        w.ret("VmbChannelEnable", UNSUCCESSFUL, Channel=c.handle)
    c.disable(d)
    c.cleanup(d)


@sample("wrong-pause-in-delivery")
def pause_in_delivery(t: Trace) -> None:
    """The delivery of a reset message pauses its own channel, which waits for that delivery."""
    d, w, _ = threads(t)
    c = running(t, server(), d, w)
    t.end = End.HUNG
    w.enter("EvtVmbChannelProcessPacket", Channel=c.handle, Packet=0x77, Buffer=0x10, BufferLength=8, Flags=0)
    c.complete(w, 0x77)
    w.call("VmbChannelPause", Channel=c.handle)
    t.expect("no-blocking-call-in-process-packet", c.handle)


@sample("wrong-start-in-opened")
def start_in_opened(t: Trace) -> None:
    """The Opened callback starts its own channel."""
    d, w, _ = threads(t)
    c = server()
    c.create(d)
    c.enable(d)
    with c.opened(w):
        w.call("VmbChannelStart", Channel=c.handle)
        t.expect("no-start-pause-in-state-callback", c.handle)
        w.ret("VmbChannelStart", Channel=c.handle)
    c.run(w)
    shut_down(c, d, w)


@sample("wrong-sync-in-started")
def sync_in_started(t: Trace) -> None:
    """Version negotiation stands in Started, one callback too early: the request never returns."""
    d, w, _ = threads(t)
    c = client()
    t.end = End.HUNG
    c.create(d)
    c.enable(d)
    c.open(w)
    w.enter("EvtVmbChannelStarted", Channel=c.handle)
    w.call(
        "VmbChannelSendSynchronousRequest",
        Channel=c.handle,
        Buffer=0xFFFFBC8061003000,
        BufferSize=32,
        ExternalDataMdl=0,
        Flags=1,
        CompletionBuffer=0xFFFFBC8061004000,
        CompletionBufferSize=0xFFFFD10A5B2EF4E0,
        CompletionBufferSizeValue=64,
        Timeout=0,
    )
    t.expect("sync-not-in-started", c.handle)


@sample("wrong-sync-at-dispatch")
def sync_at_dispatch(t: Trace) -> None:
    """A waiting request is made from a timer routine, at DISPATCH_LEVEL."""
    d, w, q = threads(t)
    c = running(t, client(), d, w)
    args = {"Buffer": 0xFFFFBC8061003000, "BufferSize": 32, "ExternalDataMdl": 0, "Flags": 1, "Timeout": 0}
    q.call("VmbChannelSendSynchronousRequest", Channel=c.handle, CompletionBufferSize=0, **args)
    t.expect("sync-irql", c.handle)
    q.ret("VmbChannelSendSynchronousRequest", OK, Channel=c.handle)
    shut_down(c, d, w)


@sample("wrong-server-waits")
def server_waits(t: Trace) -> None:
    """A host driver waits for its guest with a synchronous request."""
    d, w, _ = threads(t)
    c = running(t, server(), d, w)
    args = {"Buffer": 0xFFFFBC8061003000, "BufferSize": 32, "ExternalDataMdl": 0, "Flags": 1, "Timeout": 0}
    d.call("VmbChannelSendSynchronousRequest", Channel=c.handle, CompletionBufferSize=0, **args)
    t.expect("sync-server-nonblocking", c.handle)
    d.ret("VmbChannelSendSynchronousRequest", OK, Channel=c.handle)
    shut_down(c, d, w)


@sample("wrong-allocate-at-dispatch")
def allocate_at_dispatch(t: Trace) -> None:
    """The channel is allocated under a spin lock."""
    d, _w, _ = threads(t)
    c = client()
    with d.at(DISPATCH):
        d.call("VmbChannelAllocate", ParentDeviceObject=0xFFFFBC800F2C4A60, IsServer=0)
        t.expect("channel-allocate-at-passive", d.tid)
        d.ret("VmbChannelAllocate", OK, {"Channel": c.handle})
    c.configure(d)
    c.cleanup(d)


@sample("wrong-send-after-suspend")
def send_after_suspend(t: Trace) -> None:
    """The send gate of the driver stays open in Suspend; a timer sends on the suspended channel."""
    d, w, q = threads(t)
    c = running(t, client(), d, w)
    p = c.packet(d)
    with c.disabling(d):
        c.suspend(w)
        q.call("VmbPacketSend", PacketObject=p, Buffer=0x9000, BufferLength=64, ExternalDataMdl=0, Flags=1)
        t.expect("packet-no-send-while-suspended", c.handle)
        q.ret("VmbPacketSend", UNSUCCESSFUL, PacketObject=p)
        c.close(w)
    c.free(d, p)
    c.cleanup(d)
