"""Events without an order: on different processors, closer in time than the clocks tell apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kmclcheck.engines.symbolic.trace.books import Books
from kmclcheck.engines.symbolic.trace.calls import Thread, Threads
from kmclcheck.engines.symbolic.trace.objects import Objects, Thing
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

UNORDERED = "events of several CPUs are too close in time to have an order"

Place = tuple[object, ...]
"""Where events can meet: a thread, an object that has no parent, or anywhere at an endpoint."""


@dataclass(slots=True)
class Moment:
    """An event of the recent past: where it was, whom it named, what was found."""

    time: int
    cpu: int | None
    places: frozenset[Place]
    things: list[Thing]
    findings: list[Finding]
    unordered: bool = False


class Clocks:
    """Finds events whose order is open, and makes unknown what another order would make otherwise."""

    def __init__(self, objects: Objects, threads: Threads, books: Books, window: int) -> None:
        self.objects = objects
        self.threads = threads
        self.books = books
        self.window = window
        self._recent: list[Moment] = []

    def before(self, event: Event, thread: Thread, things: Iterable[Thing]) -> Moment:
        """Look at an event that is going to be judged. If it has no order, what that concerns is unknown."""
        assert event.time is not None
        self._recent = [one for one in self._recent if one.time > event.time - self.window]
        named = [thing for thing in things if not thing.nameless]
        now = Moment(event.time, event.cpu, self._places(event, thread, things), named, [])
        now.unordered = self._unordered(now, thread)
        return now

    def _unordered(self, now: Moment, thread: Thread) -> bool:
        meeting = [one for one in self._recent if _meet(one.places, now.places)]
        if all(one.cpu == now.cpu for one in meeting):
            return False
        for one in meeting:
            if one.cpu != now.cpu:
                self._withdraw(one.findings)
        self._forget(now, thread)
        return True

    def after(self, now: Moment, thread: Thread, things: Iterable[Thing], findings: list[Finding]) -> None:
        """Look at an event that was judged, with these findings."""
        now.things += [thing for thing in things if not thing.nameless and thing not in now.things]
        if now.unordered:
            self._withdraw(findings)
            self._forget(now, thread)
        else:
            now.findings = findings
        self._recent.append(now)

    def _places(self, event: Event, thread: Thread, things: Iterable[Thing]) -> frozenset[Place]:
        found: set[Place] = {("thread", event.endpoint, id(thread))}
        for thing in things:
            if thing.kind.name == "thread":
                continue
            top = thing
            while top.parent is not None:
                top = top.parent
            if top.nameless or top.kind.parent is not None:
                found.add(("anything", event.endpoint))
            else:
                found.add((top.kind.name, event.endpoint, top.key))
        return frozenset(found)

    def _forget(self, now: Moment, thread: Thread) -> None:
        self.threads.doubt(thread)
        family = dict.fromkeys(now.things)
        if thread.thing is not None:
            family[thread.thing] = None
        for one in self._recent:
            if _meet(one.places, now.places):
                family.update(dict.fromkeys(one.things))
        for thing in list(family):
            family.update(dict.fromkeys(thing.children))
            if thing.parent is not None:
                family[thing.parent] = None
                family.update(dict.fromkeys(thing.parent.children))
        for thing in family:
            self.objects.strayed.add(thing.kind.name)
            self.objects.forget(thing, UNORDERED)
            # It may have ended before it was named, or been named before it ended.
            thing.ended = False
        self._doubt_latches(family)

    def _doubt_latches(self, things: Iterable[Thing]) -> None:
        concerned = set(map(id, things))
        facts = self.objects.facts
        for call in self.threads.calls():
            if any(id(held) in concerned for held in call.held.values()):
                for condition, (may, must) in call.latches.items():
                    guess = facts.unknown(UNORDERED)
                    either = facts.circuit.either
                    call.latches[condition] = either(may, guess), either(must, guess)

    def _withdraw(self, findings: list[Finding]) -> None:
        doubtful = [f for f in findings if not is_local(self.books.told[f.index].check)]
        if doubtful:
            self.books.withdraw(doubtful, UNORDERED)


def _meet(one: frozenset[Place], other: frozenset[Place]) -> bool:
    """Return whether two events may have touched the same object."""
    if one & other:
        return True
    for some, others in ((one, other), (other, one)):
        anywhere = {place[1] for place in some if place[0] == "anything"}
        if any(place[0] != "thread" and place[1] in anywhere for place in others):
            return True
    return False


def is_local(check: Check) -> bool:
    """Return whether a check looks at its own event alone, so that no order and no loss matters to it."""
    return _is_local(check.when) and _is_local(check.require)


def _is_local(expr: Expr) -> bool:
    match expr:
        case And(operands) | Or(operands):
            return all(map(_is_local, operands))
        case Not(operand):
            return _is_local(operand)
        case Compare(left=left, right=right):
            return all(isinstance(term, Arg | Irql | Number) for term in (left, right))
        case HasBits(term=term):
            return isinstance(term, Arg | Irql | Number)
        case Truth() | StatusOk() | StatusIn():
            return True
        case _:
            return False
