"""Overlapping calls on several threads, in every order of their records that the reference allows.

Each case is a prelude, two threads and what the library does, as sequences whose own order is fixed;
``before`` lists what must precede what. ``variants`` merges the sequences in every way that keeps both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.support.kmcl import OK, PENDING, REMOVED, UNSUCCESSFUL, Channel, client, server
from tests.support.tracebuilder import DISPATCH, Thread, Trace

Act = Callable[[], None]
Pair = tuple[str, str]


@dataclass(slots=True)
class Case:
    """Labelled records in sequences, and the orders that must hold between them."""

    trace: Trace
    sequences: list[list[tuple[str, Act]]] = field(default_factory=list)
    before: list[Pair] = field(default_factory=list)
    finish: Act = lambda: None

    def sequence(self, *steps: tuple[str, Act]) -> None:
        self.sequences.append(list(steps))

    def orders(self) -> Iterator[list[int]]:
        """Give every merge, as the numbers of the sequences to take from."""
        yield from self._merge([0] * len(self.sequences), [], set())

    def _merge(self, taken: list[int], order: list[int], done: set[str]) -> Iterator[list[int]]:
        if all(n == len(s) for n, s in zip(taken, self.sequences, strict=True)):
            yield list(order)
            return
        for i, steps in enumerate(self.sequences):
            if taken[i] == len(steps):
                continue
            label = steps[taken[i]][0]
            if any(late == label and early not in done for early, late in self.before):
                continue
            taken[i] += 1
            yield from self._merge(taken, [*order, i], done | {label})
            taken[i] -= 1

    def play(self, order: list[int]) -> Trace:
        taken = [0] * len(self.sequences)
        for i in order:
            self.sequences[i][taken[i]][1]()
            taken[i] += 1
        self.finish()
        return self.trace


Make = Callable[[], Case]
CASES: dict[str, Make] = {}


def case(make: Make) -> Make:
    CASES[make.__name__] = make
    return make


def variants(name: str) -> Iterator[Trace]:
    """Give every order of a case, each a conforming trace."""
    for order in list(CASES[name]().orders()):
        yield CASES[name]().play(order)


class Stage:
    """Threads and one channel, in a state to begin from."""

    def __init__(self, is_server: bool = False, runs: bool = True, enabled: bool = True) -> None:
        self.trace = Trace()
        self.d, self.e = self.trace.thread(0x10, 0), self.trace.thread(0x14, 1)
        self.w, self.q = self.trace.thread(0x58, 2), self.trace.thread(0x60, 3, DISPATCH)
        self.c: Channel = server() if is_server else client()
        self.c.create(self.d)
        if enabled:
            self.c.enable(self.d)
            if is_server and runs:
                self.c.start(self.d)
            self.c.open(self.w)
            if runs:
                self.c.run(self.w)

    def case(self, finish: Act) -> Case:
        return Case(self.trace, finish=finish)

    def call(
        self, t: Thread, what: str, label: str = "", status: int | None = None
    ) -> tuple[tuple[str, Act], ...]:
        """Entry and return of a lifecycle call."""
        name, label = f"VmbChannel{what}", label or what
        if what == "Enable":
            status = OK
        return (
            (f"{label}.call", lambda: t.call(name, Channel=self.c.handle)),
            (f"{label}.ret", lambda: t.ret(name, status, Channel=self.c.handle)),
        )

    def callbacks(self, *slots: str) -> list[tuple[str, Act]]:
        steps: list[tuple[str, Act]] = []
        for slot in slots:
            name, status = f"EvtVmbChannel{slot}", OK if slot == "Opened" else None
            steps.append((f"{slot}.in", lambda n=name: self.w.enter(n, Channel=self.c.handle)))  # type: ignore[misc]
            steps.append((f"{slot}.out", lambda n=name, s=status: self.w.leave(n, s, Channel=self.c.handle)))  # type: ignore[misc]
        return steps

    def end(self, open_: bool = True, runs: bool = True) -> None:
        """Disable and Cleanup, with the callbacks that the state asks for."""
        with self.c.disabling(self.d):
            if open_ and runs:
                self.c.suspend(self.w)
            if open_:
                self.c.close(self.w)
        self.c.cleanup(self.d)

    def traffic_and_end(self) -> None:
        with self.c.delivery(self.q) as x:
            self.c.complete(self.q, x)
        self.c.exchange(self.d, self.q)
        self.end()


@case
def start_then_pause() -> Case:
    s = Stage()
    case_ = s.case(lambda: s.end(runs=False))
    case_.sequence(*s.call(s.d, "Start"))
    case_.sequence(*s.call(s.e, "Pause"))
    case_.sequence(*s.callbacks("Suspend"))
    case_.before += [("Pause.call", "Suspend.in"), ("Suspend.out", "Pause.ret"), ("Start.call", "Suspend.in")]
    return case_


@case
def pause_then_start() -> Case:
    s = Stage()
    case_ = s.case(s.traffic_and_end)
    case_.sequence(*s.call(s.d, "Start"))
    case_.sequence(*s.call(s.e, "Pause"))
    case_.sequence(*s.callbacks("Suspend", "Started", "PostStarted"))
    case_.before += [
        ("Pause.call", "Suspend.in"),
        ("Suspend.out", "Pause.ret"),
        ("Start.call", "Started.in"),
        ("Pause.call", "Start.ret"),
    ]
    return case_


@case
def pause_and_start_coalesce() -> Case:
    """Both overlap, and the library saw only that nothing changed."""
    s = Stage()
    case_ = s.case(s.traffic_and_end)
    case_.sequence(*s.call(s.d, "Start"))
    case_.sequence(*s.call(s.e, "Pause"))
    case_.before += [("Start.call", "Pause.ret"), ("Pause.call", "Start.ret")]
    return case_


@case
def pause_with_disable() -> Case:
    s = Stage()
    case_ = s.case(lambda: s.c.cleanup(s.d))
    case_.sequence(*s.call(s.d, "Disable"))
    case_.sequence(*s.call(s.e, "Pause"))
    case_.sequence(*s.callbacks("Suspend", "Closed"))
    case_.before += [
        ("Pause.call", "Disable.call"),
        ("Pause.call", "Suspend.in"),
        ("Disable.call", "Closed.in"),
        ("Suspend.out", "Pause.ret"),
        ("Closed.out", "Disable.ret"),
    ]
    return case_


@case
def start_with_disable_running() -> Case:
    s = Stage()
    case_ = s.case(lambda: s.c.cleanup(s.d))
    case_.sequence(*s.call(s.d, "Disable"))
    case_.sequence(*s.call(s.e, "Start"))
    case_.sequence(*s.callbacks("Suspend", "Closed"))
    case_.before += [
        ("Start.call", "Disable.call"),
        ("Disable.call", "Suspend.in"),
        ("Closed.out", "Disable.ret"),
    ]
    return case_


@case
def start_with_disable_paused() -> Case:
    """The server still comes to run before the Disable that overlaps its first Start takes effect."""
    s = Stage(is_server=True, runs=False)
    case_ = s.case(lambda: s.c.cleanup(s.d))
    case_.sequence(*s.call(s.d, "Disable"))
    case_.sequence(*s.call(s.e, "Start"))
    case_.sequence(*s.callbacks("Started", "Suspend", "Closed"))
    case_.before += [
        ("Start.call", "Disable.call"),
        ("Start.call", "Started.in"),
        ("Disable.call", "Suspend.in"),
        ("Closed.out", "Disable.ret"),
    ]
    return case_


@case
def two_disables() -> Case:
    s = Stage()
    case_ = s.case(lambda: s.c.cleanup(s.d))
    case_.sequence(*s.call(s.d, "Disable"))
    case_.sequence(*s.call(s.e, "Disable", "Second"))
    case_.sequence(*s.callbacks("Suspend", "Closed"))
    case_.before += [
        ("Disable.call", "Suspend.in"),
        ("Disable.call", "Second.call"),
        ("Closed.out", "Disable.ret"),
        ("Closed.out", "Second.ret"),
    ]
    return case_


def _reenable(*callbacks: str) -> tuple[Stage, Case]:
    """A client whose peer closed: Disable, which has nothing to do, and Enable overlap."""
    s = Stage()
    s.c.suspend(s.w)
    s.c.close(s.w)
    case_ = s.case(lambda: None)
    case_.sequence(*s.call(s.d, "Disable"))
    case_.sequence(*s.call(s.e, "Enable"))
    case_.sequence(*s.callbacks(*callbacks))
    return s, case_


@case
def disable_then_enable() -> Case:
    s, case_ = _reenable("Opened", "Started")
    case_.finish = s.end
    case_.before += [
        ("Disable.call", "Opened.in"),
        ("Enable.call", "Opened.in"),
        ("Disable.call", "Enable.ret"),
    ]
    return case_


@case
def enable_then_disable_not_opened() -> Case:
    s, case_ = _reenable()
    case_.finish = lambda: s.end(open_=False)
    return case_


@case
def enable_then_disable_opened() -> Case:
    s, case_ = _reenable("Opened", "Closed")
    case_.finish = lambda: s.c.cleanup(s.d)
    case_.before += [
        ("Enable.call", "Opened.in"),
        ("Disable.call", "Closed.in"),
        ("Closed.out", "Disable.ret"),
    ]
    return case_


@case
def enable_with_start() -> Case:
    s = Stage(is_server=True, enabled=False)
    case_ = s.case(s.traffic_and_end)
    case_.sequence(*s.call(s.d, "Enable"))
    case_.sequence(*s.call(s.e, "Start"))
    case_.sequence(*s.callbacks("Opened", "Started", "PostStarted"))
    case_.before += [
        ("Enable.call", "Start.call"),
        ("Enable.call", "Opened.in"),
        ("Start.call", "Started.in"),
    ]
    return case_


@case
def enable_with_pause() -> Case:
    s = Stage(enabled=False)
    case_ = s.case(lambda: s.end(runs=False))
    case_.sequence(*s.call(s.d, "Enable"))
    case_.sequence(*s.call(s.e, "Pause"))
    case_.sequence(*s.callbacks("Opened"))
    # The channel opens into the pause, so the pause was asked for before.
    case_.before += [("Enable.call", "Opened.in"), ("Pause.call", "Opened.out")]
    return case_


@case
def enable_with_pause_after_run() -> Case:
    s = Stage(enabled=False)
    case_ = s.case(lambda: s.end(runs=False))
    case_.sequence(*s.call(s.d, "Enable"))
    case_.sequence(*s.call(s.e, "Pause"))
    case_.sequence(*s.callbacks("Opened", "Started", "Suspend"))
    case_.before += [
        ("Enable.call", "Opened.in"),
        ("Enable.call", "Pause.call"),
        ("Pause.call", "Suspend.in"),
        ("Suspend.out", "Pause.ret"),
    ]
    return case_


def _send(s: Stage, t: Thread, p: int, label: str, status: int) -> tuple[tuple[str, Act], ...]:
    args = {"Buffer": 0x10, "BufferLength": 64, "ExternalDataMdl": 0, "Flags": 1}
    return (
        (f"{label}.call", lambda: t.call("VmbPacketSend", PacketObject=p, **args)),
        (f"{label}.ret", lambda: t.ret("VmbPacketSend", status, PacketObject=p)),
    )


def _completion(t: Thread, p: int, label: str) -> tuple[tuple[str, Act], ...]:
    name = "EvtVmbPacketCompletionRoutine"
    return (
        (f"{label}.in", lambda: t.enter(name, Packet=p, Status=0, Buffer=0, BufferLength=0)),
        (f"{label}.out", lambda: t.leave(name, Packet=p)),
    )


def _resend(first: int, second: int) -> Case:
    """A packet is sent again from another thread before its first send returned."""
    s = Stage()
    p = s.c.packet(s.d)

    def finish() -> None:
        s.c.free(s.d, p)
        s.end()

    case_ = s.case(finish)
    case_.sequence(*_send(s, s.d, p, "First", first))
    case_.sequence(*_completion(s.q, p, "C1"), *_completion(s.q, p, "C2"))
    case_.sequence(*_send(s, s.e, p, "Second", second))
    case_.before += [("First.call", "C1.in"), ("C1.in", "Second.call"), ("Second.call", "C2.in")]
    return case_


@case
def send_again_before_return() -> Case:
    return _resend(OK, PENDING)


@case
def send_again_fails() -> Case:
    return _resend(PENDING, UNSUCCESSFUL)


@case
def first_send_fails_late() -> Case:
    return _resend(UNSUCCESSFUL, OK)


@case
def free_and_allocate_before_return() -> Case:
    """The completion frees the packet, the value is born again, and only then the send returns."""
    s = Stage()
    p = s.c.packet(s.d)

    def finish() -> None:
        s.c.send(s.e, p, REMOVED)
        s.c.free(s.e, p)
        s.end()

    case_ = s.case(finish)
    case_.sequence(*_send(s, s.d, p, "Send", OK))
    case_.sequence(
        *_completion(s.q, p, "C")[:1],
        ("Free.call", lambda: s.q.call("VmbPacketFree", VmbPacket=p)),
        ("Free.ret", lambda: s.q.ret("VmbPacketFree", VmbPacket=p)),
        *_completion(s.q, p, "C")[1:],
    )
    case_.sequence(
        ("Alloc.call", lambda: s.e.call("VmbPacketAllocate", Channel=s.c.handle)),
        ("Alloc.ret", lambda: s.e.ret("VmbPacketAllocate", None, {"Return": p}, Channel=s.c.handle)),
    )
    case_.before += [("Send.call", "C.in"), ("Free.call", "Alloc.ret")]
    return case_


@case
def automatic_free_before_return() -> Case:
    """The library frees the packet silently, and its value is born again before the send returned."""
    s = Stage()
    p = s.c.packet(s.d, routine=False)

    def finish() -> None:
        s.c.free(s.e, p)
        s.end()

    case_ = s.case(finish)
    case_.sequence(*_send(s, s.d, p, "Send", OK))
    case_.sequence(
        ("Alloc.call", lambda: s.e.call("VmbPacketAllocate", Channel=s.c.handle)),
        ("Alloc.ret", lambda: s.e.ret("VmbPacketAllocate", None, {"Return": p}, Channel=s.c.handle)),
        ("Set", lambda: s.c.set_routine(s.e, p)),
    )
    case_.before += [("Send.call", "Alloc.ret")]
    return case_


@case
def gpadl_number_comes_back() -> Case:
    s = Stage()
    s.c.gpadl(s.d, 7)
    name, args = "VmbChannelCreateGpadlFromMdl", {"Channel": s.c.handle}
    more = {"Flags": 0, "Mdl": 0x10, "StartOffsetWithinMdl": 0, "DataLengthWithinMdl": 0}

    def finish() -> None:
        s.c.delete(s.e, 7)
        s.end()

    case_ = s.case(finish)
    case_.sequence(
        ("Delete.call", lambda: s.d.call("VmbChannelDeleteGpadl", **args, GpadlHandle=7)),
        ("Delete.ret", lambda: s.d.ret("VmbChannelDeleteGpadl", **args, GpadlHandle=7)),
    )
    case_.sequence(
        ("Create.call", lambda: s.e.call(name, **args, **more)),
        ("Create.ret", lambda: s.e.ret(name, OK, {"GpadlHandle": 7}, **args)),
    )
    case_.before += [("Delete.call", "Create.ret")]
    return case_


@case
def received_value_comes_back() -> Case:
    """A completion on another thread, and the value is delivered anew, while the first delivery runs."""
    s = Stage()
    x, args = 0x2040, {"Channel": s.c.handle, "Packet": 0x2040}
    more = {"Buffer": 0x10, "BufferLength": 8, "Flags": 0}

    def finish() -> None:
        s.c.complete(s.d, x)
        s.end()

    case_ = s.case(finish)
    case_.sequence(
        ("D1.in", lambda: s.q.enter("EvtVmbChannelProcessPacket", **args, **more)),
        ("D1.out", lambda: s.q.leave("EvtVmbChannelProcessPacket", **args)),
    )
    done = {"PacketCompletionContext": x}
    case_.sequence(
        ("Complete.call", lambda: s.d.call("VmbChannelPacketComplete", **done)),
        ("Complete.ret", lambda: s.d.ret("VmbChannelPacketComplete", **done)),
    )
    case_.sequence(
        ("D2.in", lambda: s.w.enter("EvtVmbChannelProcessPacket", **args, **more)),
        ("D2.out", lambda: s.w.leave("EvtVmbChannelProcessPacket", **args)),
    )
    case_.before += [("D1.in", "Complete.call"), ("Complete.call", "D2.in")]
    return case_


@case
def deferred_comes_back() -> Case:
    """The redelivery of a deferred packet, in every order with the rest of the delivery that deferred it."""
    s = Stage()
    x, args = 0x2040, {"Channel": s.c.handle, "Packet": 0x2040}
    more = {"Buffer": 0x10, "BufferLength": 8, "Flags": 0}
    held = {"PacketCompletionContext": x}
    case_ = s.case(s.end)
    case_.sequence(
        ("D1.in", lambda: s.q.enter("EvtVmbChannelProcessPacket", **args, **more)),
        ("Defer.call", lambda: s.q.call("VmbChannelPacketDeferToPassive", **held)),
        ("Defer.ret", lambda: s.q.ret("VmbChannelPacketDeferToPassive", **held)),
        ("D1.out", lambda: s.q.leave("EvtVmbChannelProcessPacket", **args)),
    )
    case_.sequence(
        ("D2.in", lambda: s.w.enter("EvtVmbChannelProcessPacket", **args, **more)),
        ("Complete.call", lambda: s.w.call("VmbChannelPacketComplete", **held)),
        ("Complete.ret", lambda: s.w.ret("VmbChannelPacketComplete", **held)),
        ("D2.out", lambda: s.w.leave("EvtVmbChannelProcessPacket", **args)),
    )
    case_.before += [("Defer.call", "D2.in")]
    return case_
