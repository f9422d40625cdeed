"""Sample traces with faults of packets, saving, mappings and of the library, and the public harnesses."""

from __future__ import annotations

from kmclcheck.model.event import End
from tests.support.faulty import running, sample, shut_down, threads
from tests.support.kmcl import MORE, OK, OVERFLOW, UNSUCCESSFUL, Numbers, client, server
from tests.support.tracebuilder import DISPATCH, Trace


@sample("wrong-packet-leaked")
def packet_leaked(t: Trace) -> None:
    """An error path returns between the allocation of a packet and its send."""
    d, w, _ = threads(t)
    c = running(t, client(), d, w)
    p = c.packet(d)
    c.exchange(d, w)
    shut_down(c, d, w)
    t.expect_at_end("packet-freed-eventually", p)


@sample("wrong-use-after-automatic-free")
def use_after_automatic_free(t: Trace) -> None:
    """A packet with the default routine is sent, and its pointer is read afterwards."""
    d, w, _ = threads(t)
    c = running(t, client(), d, w)
    p = c.packet(d, routine=False)
    c.send(d, p, flags=0)
    d.call("VmbPacketGetPointer", PacketObject=p)
    t.expect("packet-autofree-handoff", p)
    d.ret("VmbPacketGetPointer", None, {"Return": 0xFFFFBC8060002000}, PacketObject=p)
    shut_down(c, d, w)


@sample("wrong-free-in-flight")
def free_in_flight(t: Trace) -> None:
    """The cancel path frees a packet that the library still has."""
    d, w, _ = threads(t)
    c = running(t, client(), d, w)
    p = c.packet(d)
    c.send(d, p)
    d.call("VmbPacketFree", VmbPacket=p)
    t.expect("packet-free-when-ready", p)
    d.ret("VmbPacketFree", VmbPacket=p)
    shut_down(c, d, w)


@sample("wrong-send-in-flight")
def send_in_flight(t: Trace) -> None:
    """A retransmission sends the packet object whose first transaction is not over."""
    d, w, q = threads(t)
    c = running(t, client(), d, w)
    p = c.packet(d)
    c.send(d, p)
    d.call("VmbPacketSend", PacketObject=p, Buffer=0x9000, BufferLength=64, ExternalDataMdl=0, Flags=1)
    t.expect("packet-send-when-ready", p)
    d.ret("VmbPacketSend", UNSUCCESSFUL, PacketObject=p)
    c.completed(q, p)
    c.free(d, p)
    shut_down(c, d, w)


@sample("wrong-double-free-after-failed-send")
def double_free_after_failed_send(t: Trace) -> None:
    """A send fails; its own error path and the caller's both free the packet."""
    d, w, _ = threads(t)
    c = running(t, client(), d, w)
    p = c.packet(d)
    c.send(d, p, UNSUCCESSFUL)
    c.free(d, p)
    d.call("VmbPacketFree", VmbPacket=p)
    t.expect("packet-no-use-after-free", p)
    d.ret("VmbPacketFree", VmbPacket=p)
    shut_down(c, d, w)


@sample("wrong-initialized-without-routine")
def initialized_without_routine(t: Trace) -> None:
    """A packet in driver storage is sent without a completion routine."""
    d, w, _ = threads(t)
    c = running(t, client(), d, w)
    storage = 0xFFFFBC8090000040
    c.initialize(d, storage, routine=False)
    d.call("VmbPacketSend", PacketObject=storage, Buffer=0x9000, BufferLength=64, ExternalDataMdl=0, Flags=1)
    t.expect("packet-initialized-has-routine", storage)
    d.ret("VmbPacketSend", UNSUCCESSFUL, PacketObject=storage)
    shut_down(c, d, w)


@sample("wrong-oversized-send")
def oversized_send(t: Trace) -> None:
    """A message grew beyond the maximum that the driver had configured."""
    d, w, q = threads(t)
    c = running(t, client(), d, w)
    p = c.packet(d)
    d.call("VmbPacketSend", PacketObject=p, Buffer=0x9000, BufferLength=4104, ExternalDataMdl=0, Flags=1)
    t.expect("send-within-max-size", p)
    d.ret("VmbPacketSend", OK, PacketObject=p)
    c.completed(q, p)
    c.free(d, p)
    shut_down(c, d, w)


@sample("wrong-never-completed")
def never_completed(t: Trace) -> None:
    """A message of an unsupported type is never disposed of: Disable waits for it for ever."""
    d, w, q = threads(t)
    c = running(t, server(), d, w)
    t.end = End.HUNG
    c.received(q)
    other = c.received(q)
    c.complete(d, other)
    d.call("VmbChannelDisable", Channel=c.handle)
    c.suspend(w)
    t.expect_at_end("incoming-drained-after-suspend", c.handle)


@sample("wrong-never-completed-paused")
def never_completed_paused(t: Trace) -> None:
    """The same with Pause, on a driver without a Suspend callback."""
    d, w, q = threads(t)
    c = server()
    c.slots = ("Opened", "Closed", "Started", "PostStarted")
    running(t, c, d, w)
    t.end = End.HUNG
    x = c.received(q)
    d.call("VmbChannelPause", Channel=c.handle)
    t.expect_at_end("incoming-disposed", x)


@sample("wrong-start-before-enable")
def start_before_enable(t: Trace) -> None:
    """A server is started before it was enabled, so the wish is lost and started again later."""
    d, w, _ = threads(t)
    c = server()
    c.create(d)
    d.call("VmbChannelStart", Channel=c.handle)
    t.expect("start-when-enabled", c.handle)
    d.ret("VmbChannelStart", Channel=c.handle)
    c.enable(d)
    c.start(d)
    c.open(w)
    c.run(w)
    shut_down(c, d, w)


@sample("wrong-never-started")
def never_started(t: Trace) -> None:
    """A server is enabled and opened, and nobody calls Start."""
    d, w, _ = threads(t)
    c = server()
    c.create(d)
    c.enable(d)
    c.open(w)
    with c.disabling(d):
        c.close(w)
    c.cleanup(d)
    t.expect_at_end("server-start-eventually", c.handle)


@sample("wrong-client-call-on-server")
def client_call_on_server(t: Trace) -> None:
    """Code shared by host and guest sets the ring size on a server channel."""
    d, _w, _ = threads(t)
    c = server()
    c.create(d)
    args = {"IncomingPageCount": 16, "OutgoingPageCount": 16}
    d.call("VmbClientChannelInitSetRingBufferPageCount", Channel=c.handle, **args)
    t.expect("role-client-only", c.handle)
    d.ret("VmbClientChannelInitSetRingBufferPageCount", 0xC00000EF, Channel=c.handle)
    c.cleanup(d)


@sample("wrong-never-cleaned-up")
def never_cleaned_up(t: Trace) -> None:
    """The driver unloads with a channel that it disabled but never cleaned up."""
    d, w, _ = threads(t)
    c = running(t, client(), d, w)
    with c.disabling(d):
        c.suspend(w)
        c.close(w)
    t.expect_at_end("channel-cleaned-up", c.handle)


@sample("wrong-save-not-ended")
def save_not_ended(t: Trace) -> None:
    """A save that runs out of buffer is given up without SaveEnd."""
    d, w, _ = threads(t)
    c = running(t, server(), d, w)
    with c.pausing(d):
        c.suspend(w)
    c.save_begin(d)
    with c.save_continue(d, OVERFLOW):
        pass
    with c.disabling(d):
        c.close(w)
    d.call("VmbChannelCleanup", Channel=c.handle)
    t.expect("save-ended", c.handle)
    d.ret("VmbChannelCleanup", Channel=c.handle)


@sample("wrong-restore-unfinished")
def restore_unfinished(t: Trace) -> None:
    """The channel is started while the library still waits for the second chunk of its state."""
    d, w, q = threads(t)
    c = server()
    c.create(d, save=True)
    c.enable(d)
    with c.restoring(d, MORE):
        p = c.restore_packet(d)
    d.call("VmbChannelStart", Channel=c.handle)
    t.expect("restore-loop", c.handle)
    d.ret("VmbChannelStart", Channel=c.handle)
    c.open(w)
    c.run(w)
    c.completed(q, p)
    c.free(d, p)
    shut_down(c, d, w)


@sample("wrong-mapped-at-close")
def mapped_at_close(t: Trace) -> None:
    """A host keeps its mapping of a guest buffer beyond Closed, and unmaps too late."""
    d, w, _ = threads(t)
    c = running(t, server(), d, w)
    c.map(d, 0x71)
    with c.disabling(d):
        c.suspend(w)
        c.close(w)
        t.expect("gpadl-unmapped-by-close", 0x71)
    c.unmap(d, 0x71)
    c.cleanup(d)


@sample("wrong-mapped-twice")
def mapped_twice(t: Trace) -> None:
    """Two requests for the same buffer each map it."""
    d, w, _ = threads(t)
    c = running(t, server(), d, w)
    c.map(d, 0x71)
    d.call("VmbChannelMapGpadl", Channel=c.handle, Flags=0, GpadlHandle=0x71, Mdl=0xFFFFD10A5B2EF400)
    t.expect("gpadl-single-mapping", 0x71)
    d.ret("VmbChannelMapGpadl", UNSUCCESSFUL, Channel=c.handle, GpadlHandle=0x71)
    with c.disabling(d):
        c.suspend(w)
        with c.closed(w):
            c.unmap(w, 0x71)
    c.cleanup(d)


@sample("wrong-two-faults-far-apart")
def two_faults_far_apart(t: Trace) -> None:
    """One channel, two bugs: configuration while open, and much later a cleanup without Disable."""
    d, w, q = threads(t)
    c = running(t, client(), d, w)
    d.call("VmbChannelInitSetMaximumPacketSize", Channel=c.handle, PacketSize=8192)
    t.expect("init-before-enable", c.handle)
    d.ret("VmbChannelInitSetMaximumPacketSize", 0xC00000EF, Channel=c.handle)
    for _ in range(12):
        with c.delivery(q) as x:
            c.complete(q, x)
        c.exchange(d, q)
    with c.pausing(d):
        c.suspend(w)
    c.start(d)
    c.run(w)
    for _ in range(12):
        c.exchange(d, q)
    d.call("VmbChannelCleanup", Channel=c.handle)
    t.expect("channel-cleanup-disabled", c.handle)
    d.ret("VmbChannelCleanup", Channel=c.handle)


@sample("wrong-library-delivers-after-suspend")
def library_delivers_after_suspend(t: Trace) -> None:
    """The library breaks its word: a packet is delivered after Suspend returned."""
    d, w, q = threads(t)
    c = running(t, server(), d, w)
    with c.disabling(d):
        c.suspend(w)
        with q.at(DISPATCH):
            args = {"Buffer": 0x10, "BufferLength": 8, "Flags": 0}
            q.enter("EvtVmbChannelProcessPacket", Channel=c.handle, Packet=0xFFFFBC8031002A00, **args)
            t.expect("lg-process-packet-window", c.handle)
            c.complete(q, 0xFFFFBC8031002A00)
            q.leave("EvtVmbChannelProcessPacket", Channel=c.handle, Packet=0xFFFFBC8031002A00)
        c.close(w)
    c.cleanup(d)


@sample("wrong-library-completes-twice")
def library_completes_twice(t: Trace) -> None:
    """The library runs the completion routine of one send twice."""
    d, w, q = threads(t)
    c = running(t, client(), d, w)
    p = c.packet(d)
    c.send(d, p)
    c.completed(q, p)
    q.enter("EvtVmbPacketCompletionRoutine", Packet=p, Status=0, Buffer=0, BufferLength=0)
    t.expect("lg-completion-exactly-once", p)
    q.leave("EvtVmbPacketCompletionRoutine", Packet=p)
    c.free(d, p)
    shut_down(c, d, w)


@sample("wrong-scenario-10-hafl2")
def hafl2(t: Trace) -> None:
    """A guest harness on a channel of another driver: per request it leaks a packet it never needed."""
    d, _, _ = threads(t)
    c = client()
    leaked = []
    for _ in range(3):
        leaked.append(c.packet(d, routine=False))
        d.fn(
            "VmbChannelSendSynchronousRequest",
            OK,
            Channel=c.handle,
            Buffer=0xFFFFBC8061003000,
            BufferSize=0x28,
            ExternalDataMdl=0xFFFFBC8061005000,
            Flags=1,
            CompletionBuffer=0xFFFFBC8061004000,
            CompletionBufferSize=0xFFFFD10A5B2EF4E0,
            CompletionBufferSizeValue=0x1000,
            Timeout=0,
        )
        t.wait(3_000_000)
    for p in leaked:
        t.expect_at_end("packet-freed-eventually", p)


@sample("wrong-scenario-10-hafl1")
def hafl1(t: Trace) -> None:
    """A host harness hands an allocated packet to code that completes it as if it had been received."""
    d, w, _ = threads(t)
    numbers = Numbers()
    c = running(t, server(numbers), d, w)
    t.end = End.STOPPED
    p = c.packet(d, routine=False)
    d.call("VmbChannelPacketComplete", PacketCompletionContext=p, PacketCompletionBuffer=0, BufSize=0)
    t.expect("incoming-no-use-after-disposal", p)
    d.ret("VmbChannelPacketComplete", PacketCompletionContext=p)
