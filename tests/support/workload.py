"""Random conforming traces: tasks of a driver and of the library, interleaved event by event.

Written from the reference, not from the specs. The model knows the true state of each channel, so
each task does only what is legal at the moment at which its record is written.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from kmclcheck.model.event import End
from tests.support.kmcl import ALL_SLOTS, NO_MEMORY, OK, UNSUCCESSFUL, Channel, Numbers
from tests.support.tracebuilder import Thread, Trace
from tests.support.workload_model import Model, Task, World
from tests.support.workload_traffic import completer, deliverer, sender, sharer, worker


def make(seed: int, channels: int = 2, length: int = 3, all_slots: bool = False) -> Trace:
    """Return a conforming trace of ``channels`` channels with about ``length`` rounds of control each."""
    rng = random.Random(seed)
    trace = Trace(shows=f"random workload {seed}", end=End.UNLOADED)
    world = World(trace, rng)
    numbers = Numbers()
    for _ in range(channels):
        slots: tuple[str, ...] = ALL_SLOTS
        if not all_slots and rng.random() < 0.25:
            slots = tuple(s for s in ALL_SLOTS if rng.random() < 0.7)
        c = Channel(numbers.channel(), rng.random() < 0.5, numbers, slots)
        m = Model(c, world)
        world.spawn(control(m, length))
    world.run()
    return trace


def control(m: Model, rounds: int) -> Task:
    """The driver's own thread: from Allocate to Cleanup."""
    rng, c, d = m.world.rng, m.c, m.world.thread()
    c.allocate(d)
    yield None
    passive = rng.random() < 0.3
    c.configure(d, passive, c.server)
    m.want = not c.server
    yield None
    if rng.random() < 0.1:
        c.cleanup(d)
        return
    for task in (library, worker, sender, sender, completer, sharer, sharer):
        m.world.spawn(task(m))
    queues = 2 if rng.random() < 0.5 else 1
    for _ in range(queues):
        m.world.spawn(deliverer(m, passive))
    for round_ in range(rounds):
        if m.life == "disabled" and rng.random() < 0.2:
            with c.pausing(d):
                m.armed = True
                m.want = False
        yield from enable(m, d)
        if c.server and round_ == 0 and rng.random() < 0.3:
            yield from restore(m, d)
        if c.server:
            yield from start(m, d)
        for _ in range(rng.randrange(1, 5)):
            for _ in range(rng.randrange(60)):
                yield None
            yield from steer(m, d)
        if rng.random() < 0.3 and not c.server:
            m.peer_closes = True
            yield lambda: m.life in ("disabled", "enabled")
        m.peer_closes = False
        yield from disable(m, d)
        if rng.random() < 0.4:
            c.init(d, "VmbChannelInitSetMaximumPacketSize", PacketSize=4096)
    m.finished = True
    yield lambda: m.users == 0
    c.cleanup(d)


def enable(m: Model, d: Thread) -> Task:
    rng, c = m.world.rng, m.c
    while rng.random() < 0.15:
        with c.enabling(d, NO_MEMORY):
            yield None
        m.armed = False
    d.call("VmbChannelEnable", Channel=c.handle)
    m.window = True
    m.life = "enabled"
    m.gate = True
    if not c.server:
        m.want = not m.armed or rng.random() < 0.5
    elif m.armed or rng.random() < 0.5:
        m.want = False
    m.armed = False
    yield from hosted(m, d)
    d.ret("VmbChannelEnable", OK, Channel=c.handle)
    yield None


def hosted(m: Model, d: Thread, until: Callable[[], bool] = lambda: True) -> Task:
    """Stay inside a call: the library may run callbacks on this thread meanwhile."""
    m.hosts.append(d)
    for _ in range(m.world.rng.randrange(8)):
        yield None
    yield lambda: d.tid not in m.busy_hosts and until()
    m.hosts.remove(d)


def steer(m: Model, d: Thread) -> Task:
    rng, c = m.world.rng, m.c
    match rng.choice(("start", "start", "pause", "peer", "save", "idle")):
        case "start":
            yield from start(m, d)
        case "pause" | "save" as what:
            d.call("VmbChannelPause", Channel=c.handle)
            yield None
            m.want = False
            yield from hosted(m, d, lambda: not m.running)
            d.ret("VmbChannelPause", Channel=c.handle)
            yield None
            if what == "save" and c.server:
                yield from save(m, d)
        case "peer" if c.server:
            m.peer_closes = True
        case _:
            pass
    yield None


def start(m: Model, d: Thread) -> Task:
    d.call("VmbChannelStart", Channel=m.c.handle)
    yield None
    m.want = True
    yield from hosted(m, d)
    d.ret("VmbChannelStart", Channel=m.c.handle)


def save(m: Model, d: Thread) -> Task:
    c, name = m.c, "EvtVmbChannelSavePacket"
    c.save_begin(d)
    yield None
    with c.save_continue(d, OK):
        yield None
        for p in list(m.in_flight):
            for size, status in ((0, UNSUCCESSFUL), (96, OK)):
                if p not in m.in_flight:
                    break
                args = {"Channel": c.handle, "Packet": p, "SaveBuf": 0x2000, "SaveBufSize": size}
                d.enter(name, **args)
                yield None
                d.leave(name, status, {"BytesNeededValue": 96}, **args)
        yield None
    c.save_end(d)
    yield None


def restore(m: Model, d: Thread) -> Task:
    c = m.c
    d.call("VmbChannelRestoreFromBuffer", Channel=c.handle, Buffer=0x3000, BufferSize=512)
    for _ in range(m.world.rng.randrange(3)):
        p = c.restore_packet(d)
        m.in_flight.append(p)
        m.given_up.add(p)
        yield None
    d.ret("VmbChannelRestoreFromBuffer", OK, Channel=c.handle)
    yield None


def disable(m: Model, d: Thread) -> Task:
    c = m.c
    d.call("VmbChannelDisable", Channel=c.handle)
    m.disabling = True
    m.window = False
    yield from hosted(m, d, lambda: m.life == "disabled")
    m.disabling = False
    d.ret("VmbChannelDisable", Channel=c.handle)
    m.gate = True
    yield None


def callback(m: Model, slot: str, w: Thread, body: Task | None = None, status: int | None = None) -> Task:
    """A state callback on the library's thread, or on one that waits in a call of the driver."""
    t = w
    free = [h for h in m.hosts if h.tid not in m.busy_hosts]
    if free and m.world.chance(0.5):
        t = free[0]
        m.busy_hosts.add(t.tid)
    shown = slot in m.c.slots
    if shown:
        t.enter(f"EvtVmbChannel{slot}", Channel=m.c.handle)
    _entered(m, slot)
    yield None
    if body is not None:
        yield from body
    if slot == "Closed" or status not in (None, OK):
        yield from _drop_buffers(m, t)
    if shown:
        t.leave(f"EvtVmbChannel{slot}", status, Channel=m.c.handle)
    _left(m, slot, status)
    m.busy_hosts.discard(t.tid)
    yield None


def _entered(m: Model, slot: str) -> None:
    match slot:
        case "Opened":
            m.life, m.may_gpadl, m.gate = "opening", True, True
        case "Started":
            m.running, m.gate, m.flowing = True, True, True
        case "Suspend":
            m.deliverable = False
        case "Closed":
            m.life = "closing"


def _left(m: Model, slot: str, status: int | None) -> None:
    match slot:
        case "Opened":
            m.life = "open" if status == OK else "failed"
        case "Started":
            m.deliverable = True
        case "Suspend":
            m.gate = False
        case "Closed":
            m.gate = True
            m.life = "enabled" if m.c.server and not m.disabling else "disabled"


def _drop_buffers(m: Model, t: Thread) -> Task:
    m.may_gpadl = False
    yield lambda: m.gpadl_calls == 0
    for number in sorted(m.live):
        if m.c.server:
            m.c.unmap(t, number)
        else:
            m.c.delete(t, number)
    m.live.clear()


def library(m: Model) -> Task:
    """Open cycles and runs of one channel."""
    rng, w = m.world.rng, m.world.thread()
    while True:
        yield lambda: m.finished or m.life in ("enabled", "open")
        if m.finished:
            return
        if m.life == "enabled":
            if m.disabling:
                m.life = "disabled"
            elif rng.random() < 0.3:
                fails = rng.random() < 0.15
                yield from callback(m, "Opened", w, status=NO_MEMORY if fails else OK)
                if fails:
                    yield from _failed_open(m, w)
            yield None
            continue
        leave = m.disabling or m.peer_closes
        if m.running:
            if leave or not m.want:
                yield from _stop(m, w)
        elif leave:
            m.peer_closes = False
            yield from callback(m, "Closed", w)
        elif m.want:
            yield from callback(m, "Started", w)
            if (rng.random() < 0.9 and not leave) or "Suspend" not in m.c.slots:
                yield from callback(m, "PostStarted", w)
        yield None


def _failed_open(m: Model, w: Thread) -> Task:
    if m.world.chance(0.5):
        yield from callback(m, "Closed", w)
    else:
        m.life = "disabled" if m.disabling else "enabled"


def _stop(m: Model, w: Thread) -> Task:
    m.deliverable = False
    yield lambda: m.delivering == 0
    m.requeued.clear()
    yield from callback(m, "Suspend", w)
    yield lambda: not m.outstanding
    m.running = False
    yield None
