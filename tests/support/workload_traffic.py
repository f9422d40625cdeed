"""The tasks of a random workload that move packets and share buffers."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.kmcl import NO_MEMORY, OK, PENDING, REMOVED, UNSUCCESSFUL, WAIT
from tests.support.tracebuilder import DISPATCH, Thread
from tests.support.workload_model import Model, Task


def deliverer(m: Model, passive: bool) -> Task:
    rng, c, world = m.world.rng, m.c, m.world
    q = world.thread(0 if passive else DISPATCH)
    low = world.thread(0)
    while True:
        yield lambda: m.finished or (m.deliverable and m.flowing)
        if m.finished:
            return
        if rng.random() < 0.6:
            yield None
            continue
        t, again = q, ""
        if m.requeued and rng.random() < 0.6:
            x, again = m.requeued.pop(0)
            t = low
        else:
            x = c.numbers.received()
            m.outstanding.add(x)
        m.delivering += 1
        args = {"Channel": c.handle, "Packet": x}
        t.enter("EvtVmbChannelProcessPacket", **args, Buffer=0x10, BufferLength=64, Flags=1)
        yield None
        yield from _dispose(m, t, x, again)
        t.leave("EvtVmbChannelProcessPacket", **args)
        m.delivering -= 1
        yield None


def _dispose(m: Model, t: Thread, x: int, again: str) -> Task:
    ways = ("complete", "complete", "hold", "hold", "defer", "pend", "fetch", "fail")
    c, what = m.c, m.world.rng.choice(ways)
    match what:
        case "defer" if not again:
            c.defer(t, x)
            m.outstanding.discard(x)
            m.requeued.append((x, "defer"))
        case "pend" if not again:
            t.call("VmbChannelPacketGetExternalData", PacketCompletionContext=x, Flags=0, Mdl=0x20)
            yield None
            t.ret("VmbChannelPacketGetExternalData", PENDING, PacketCompletionContext=x)
            m.outstanding.discard(x)
            m.requeued.append((x, "pend"))
        case "fail" if m.delivering == 1 and m.world.chance(0.3):
            c.fail(t, x)
            m.outstanding.discard(x)
            m.flowing = False
        case "hold":
            m.outstanding.add(x)
            m.held.append(x)
        case _:
            if what == "fetch":
                c.external(t, x, m.world.rng.choice((OK, NO_MEMORY)))
                yield None
            m.outstanding.add(x)
            yield from _complete(m, t, x)
    yield None


def _complete(m: Model, t: Thread, x: int) -> Task:
    args = {"PacketCompletionContext": x}
    t.call("VmbChannelPacketComplete", **args, PacketCompletionBuffer=0, BufSize=0)
    m.outstanding.discard(x)
    m.c.numbers.free_incoming.append(x)
    yield None
    t.ret("VmbChannelPacketComplete", **args)


def worker(m: Model) -> Task:
    """Completes held packets in any order."""
    t = m.world.thread()
    while True:
        yield lambda: m.finished or bool(m.held)
        if not m.held:
            return
        x = m.held.pop(m.world.rng.randrange(len(m.held)))
        m.users += 1
        yield None
        yield from _complete(m, t, x)
        m.users -= 1


def sender(m: Model) -> Task:
    rng, c, t = m.world.rng, m.c, m.world.thread()
    storage = 0xFFFFBC8090000000 + t.tid * 0x400
    while True:
        yield lambda: m.finished or m.can_send
        if m.finished:
            return
        if rng.random() < 0.7:
            yield None
            continue
        m.users += 1
        kind = rng.choice(("user", "user", "auto", "init"))
        if kind == "init":
            if storage in m.in_flight or storage in m.back:
                kind = "user"
            else:
                c.initialize(t, storage)
                p = storage
        if kind != "init":
            p = c.packet(t, routine=kind == "user")
        yield None
        yield from _use(m, t, p, kind)
        m.users -= 1
        yield None


def _use(m: Model, t: Thread, p: int, kind: str) -> Task:
    """Send a packet a few times, as far as the gate allows, and see to its end."""
    rng, c = m.world.rng, m.c
    args = {"PacketObject": p}
    for _ in range(rng.randrange(1, 4)):
        if not m.can_send:
            break
        fails = rng.random() < 0.2
        t.call("VmbPacketSend", **args, Buffer=0x10, BufferLength=64, ExternalDataMdl=0, Flags=WAIT)
        if not fails and kind == "auto":
            c.numbers.free_packets.append(p)
        elif not fails:
            m.in_flight.append(p)
        yield None
        t.ret("VmbPacketSend", UNSUCCESSFUL if fails else rng.choice((OK, OK, PENDING)), **args)
        if not fails and kind == "auto":
            return
        yield None
        if fails:
            continue
        patience = rng.randrange(40)
        yield _patient(lambda: p in m.back or m.finished, patience)
        if p not in m.back:
            if kind != "init":
                m.given_up.add(p)
            return
        m.back.remove(p)
    if kind != "init":
        t.call("VmbPacketFree", VmbPacket=p)
        c.numbers.free_packets.append(p)
        yield None
        t.ret("VmbPacketFree", VmbPacket=p)


def _patient(condition: Callable[[], bool], polls: int) -> Callable[[], bool]:
    """Wait for a condition, but look only so often."""
    left = [polls]

    def ready() -> bool:
        left[0] -= 1
        return condition() or left[0] < 0

    return ready


def completer(m: Model) -> Task:
    """Ends sends in any order; frees a packet that its sender gave up."""
    rng, c, t = m.world.rng, m.c, m.world.thread(DISPATCH)
    while True:
        yield lambda: m.finished or bool(m.in_flight)
        if not m.in_flight:
            return
        if rng.random() < 0.5 and not m.finished:
            yield None
            continue
        p = m.in_flight.pop(rng.randrange(len(m.in_flight)))
        m.users += 1
        status = rng.choice((OK, REMOVED))
        t.enter("EvtVmbPacketCompletionRoutine", Packet=p, Status=status, Buffer=0, BufferLength=0)
        if p in m.given_up:
            m.given_up.discard(p)
            c.free(t, p)
        else:
            m.back.append(p)
        yield None
        t.leave("EvtVmbPacketCompletionRoutine", Packet=p)
        m.users -= 1


def sharer(m: Model) -> Task:
    """Creates and deletes GPADLs on a client, maps and unmaps them on a server."""
    rng, c, t = m.world.rng, m.c, m.world.thread()
    while True:
        yield lambda: m.finished or m.may_gpadl
        if m.finished:
            return
        if rng.random() < 0.8:
            yield None
            continue
        m.users += 1
        m.gpadl_calls += 1
        if m.live and rng.random() < 0.5:
            number = rng.choice(sorted(m.live))
            m.live.discard(number)
            name = "VmbChannelUnmapGpadl" if c.server else "VmbChannelDeleteGpadl"
            t.call(name, Channel=c.handle, GpadlHandle=number)
            yield None
            t.ret(name, Channel=c.handle, GpadlHandle=number)
        elif c.server:
            number = min(set(range(1, 40)) - m.live)
            m.live.add(number)
            status = rng.choice((OK, OK, UNSUCCESSFUL))
            if status:
                m.live.discard(number)
            c.map(t, number, status)
        else:
            status = rng.choice((OK, OK, UNSUCCESSFUL))
            args = {"Channel": c.handle, "Flags": 0, "Mdl": 0x10}
            t.call("VmbChannelCreateGpadlFromMdl", **args, StartOffsetWithinMdl=0, DataLengthWithinMdl=4096)
            yield None
            outs = {}
            if status == OK:
                number = min(set(range(1, 40)) - m.live)
                m.live.add(number)
                outs = {"GpadlHandle": number}
            t.ret("VmbChannelCreateGpadlFromMdl", status, outs, Channel=c.handle)
        m.gpadl_calls -= 1
        m.users -= 1
        yield None
