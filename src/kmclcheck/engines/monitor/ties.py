"""Events without an order: on different CPUs, closer than the clocks tell apart.

Objects that share nothing do not notice. A *root* is what events can meet at: a channel with all its
children, a thread, or, where the records do not tell, anything of the endpoint.
"""

from __future__ import annotations

from kmclcheck.engines.monitor.frames import Thread
from kmclcheck.engines.monitor.state import Run
from kmclcheck.engines.monitor.store import Obj
from kmclcheck.model.event import Event
from kmclcheck.model.expr import (
    And,
    Arg,
    Compare,
    Expr,
    HasBits,
    Irql,
    Not,
    Number,
    Or,
    StatusIn,
    StatusOk,
    Truth,
)
from kmclcheck.model.finding import Finding
from kmclcheck.model.spec import Check
from kmclcheck.semantics.truth import MISSING

UNORDERED = "events of several CPUs are too close in time to have an order"
ROOTS_KEPT = 1024

Root = tuple[object, ...]
Moment = tuple[int, int | None]


class Ties:
    """Finds events whose order is open, and makes unknown what depends on it.

    After the last of a group of such events everything they touched is unknown, so that whatever comes
    later is judged soundly: it follows all of them.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._window = run.info.window
        # When each CPU touched a root last.
        self._touched: dict[Root, dict[int | None, int]] = {}
        self._objects: list[tuple[Moment, frozenset[Root], Obj]] = []
        self._findings: list[tuple[Moment, frozenset[Root], Finding]] = []
        self._roots: frozenset[Root] = frozenset()
        self._tied = False

    def before(self, event: Event, thread: Thread, objs: dict[str, Obj]) -> None:
        """Look at an event that is going to be judged."""
        time = event.time
        assert time is not None
        since = time - self._window
        self._objects = [entry for entry in self._objects if entry[0][0] > since]
        self._findings = [entry for entry in self._findings if entry[0][0] > since]
        self._roots = roots = self._meets(event, thread, objs)
        self._tied = any(
            cpu != event.cpu and when > since
            for root, moments in self._touched.items()
            if _meet(roots, (root,))
            for cpu, when in moments.items()
        )
        if len(self._touched) > ROOTS_KEPT:
            self._touched = {r: m for r, m in self._touched.items() if max(m.values()) > since}
        for root in roots:
            moments = self._touched.setdefault(root, {})
            moments[event.cpu] = max(time, moments.get(event.cpu, time))
        if self._tied:
            gone = [f for (_, cpu), of, f in self._findings if cpu != event.cpu and _meet(roots, of)]
            self._withdraw(gone)
            self._forget(thread, objs)

    def after(self, event: Event, thread: Thread, objs: dict[str, Obj], findings: list[Finding]) -> None:
        """Look at an event that was judged, with these findings."""
        assert event.time is not None
        moment = event.time, event.cpu
        self._objects += [(moment, self._roots, o) for o in objs.values() if not o.temporary]
        if self._tied:
            self._withdraw(findings)
            self._forget(thread, objs)
        else:
            self._findings += [(moment, self._roots, finding) for finding in findings]

    def _meets(self, event: Event, thread: Thread, objs: dict[str, Obj]) -> frozenset[Root]:
        kinds = self.run.store.kinds
        found: set[Root] = {("thread", event.endpoint, thread.key)}
        for obj in objs.values():
            if obj.kind == "thread":
                continue
            top = obj
            while top.parent is not None:
                top = top.parent
            if top.temporary or kinds[top.kind].kind.parent is not None:
                found.add(("anything", event.endpoint))
            else:
                found.add((top.kind, event.endpoint, top.key))
        return frozenset(found)

    def _forget(self, thread: Thread, objs: dict[str, Obj]) -> None:
        """Make unknown what another order of these events would have made of their objects."""
        store = self.run.store
        thread.doubt()
        family = dict.fromkeys([thread.obj, *(o for o in objs.values() if not o.temporary)])
        family.update(dict.fromkeys(o for _, of, o in self._objects if _meet(self._roots, of)))
        for obj in list(family):
            family.update(dict.fromkeys(obj.children or ()))
            if obj.parent is not None:
                family[obj.parent] = None
                family.update(dict.fromkeys(obj.parent.children or ()))
        for obj in family:
            store.kinds[obj.kind].strays = True
            store.forget(obj)
            for frame in obj.watch or ():
                frame.latch = {c: max(level, MISSING) for c, level in (frame.latch or {}).items()}
            if obj.retired:
                # It may have ended before it was named, or been named before it ended.
                store.revive(obj, None)

    def _withdraw(self, findings: list[Finding]) -> None:
        """Take findings back that another order may remove."""
        ledger = self.run.ledger
        doubtful = [f for f in findings if f in ledger.findings and not local(ledger.evidence[f.index].check)]
        if doubtful:
            ledger.withdraw(doubtful, UNORDERED)


def _meet(one: frozenset[Root], other: frozenset[Root] | tuple[Root]) -> bool:
    """Return whether two events may have touched the same object."""
    return any(
        a == b or ("anything" in (a[0], b[0]) and a[1] == b[1] and "thread" not in (a[0], b[0]))
        for a in one
        for b in other
    )


def local(check: Check) -> bool:
    """Return whether a check looks at its own event alone."""

    def alone(expr: Expr) -> bool:
        match expr:
            case And(operands) | Or(operands):
                return all(alone(o) for o in operands)
            case Not(operand):
                return alone(operand)
            case Compare(left=left, right=right):
                return all(isinstance(t, Arg | Irql | Number) for t in (left, right))
            case HasBits(term=term):
                return isinstance(term, Arg | Irql | Number)
            case _:
                return isinstance(expr, Truth | StatusOk | StatusIn)

    return alone(check.when) and alone(check.require)
