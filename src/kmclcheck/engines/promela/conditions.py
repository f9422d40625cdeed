"""Conditions of the IR as Promela: whether they may hold, and whether they must.

A condition that may hold and need not is one that the documents leave open.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from kmclcheck.engines.promela.bounds import UnsupportedError
from kmclcheck.engines.promela.calls import Call
from kmclcheck.engines.promela.layout import Layout, Set
from kmclcheck.engines.promela.text import Bool, every, member, negation, some
from kmclcheck.model import expr as e

Level = tuple[Bool, Bool]
"""May hold, must hold."""

NOWHERE: Level = (True, False)
"""What the world does not tell."""

_OPERATORS: dict[e.CompareOp, Callable[[int, int], bool]] = {
    e.CompareOp.EQ: operator.eq,
    e.CompareOp.NE: operator.ne,
    e.CompareOp.LT: operator.lt,
    e.CompareOp.LE: operator.le,
    e.CompareOp.GT: operator.gt,
    e.CompareOp.GE: operator.ge,
}


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a condition is asked.

    ``places`` are the objects by kind. ``args`` are numbers, or texts where the frame holds them.
    ``leaving`` is the call that ends here: its frame is ``top`` and does not count as open any more.
    ``newborn`` kinds have the values of a birth; ``moved`` are fields that the event has changed.
    """

    layout: Layout
    places: dict[str, int]
    args: dict[str, int | str] = field(default_factory=dict)
    status: int | None = None
    irql: int | None = None
    leaving: Call | None = None
    newborn: frozenset[str] = frozenset()
    moved: dict[tuple[str, int, str], Set] = field(default_factory=dict)

    def having(self, kind: str, place: int) -> Moment:
        """Return the moment with another object."""
        return replace(self, places={**self.places, kind: place})

    def level(self, expr: e.Expr) -> Level:
        """Return whether a condition may hold, and whether it must."""
        match expr:
            case e.Truth(value):
                return value, value
            case e.And(operands):
                pairs = [self.level(o) for o in operands]
                return every(a for a, _ in pairs), every(b for _, b in pairs)
            case e.Or(operands):
                pairs = [self.level(o) for o in operands]
                return some(a for a, _ in pairs), some(b for _, b in pairs)
            case e.Not(operand):
                may, must = self.level(operand)
                return negation(must), negation(may)
            case e.FieldIn(kind, name, values):
                return self._field_in(kind, name, values)
            case e.IsSet(kind, name):
                return self._is_set(kind, name)
            case e.Compare(op, left, right):
                return self._compare(op, left, right)
            case e.HasBits(term, mask):
                return self._has_bits(term, mask)
            case e.StatusOk():
                return _sure(self.status is not None and not self.status & 0x80000000)
            case e.StatusIn(values):
                return _sure(self.status in values)
            case e.Inside(names, kind):
                return self._inside(names, kind)
            case e.OpenFrame(names, kind):
                return _sure(self.running(names, kind))
            case e.Overlapped(names):
                names = names if self.layout.bounds.threads > 1 else ()
                return self._of_frame(some(f"top.with_{n}" for n in names if n in self.layout.calls))
            case e.Latest(names):
                return self._of_frame(f"top.latest_{self.layout.group(names)}")
            case e.AnyChild(parent, kind, condition):
                return self._any_child(parent, kind, condition)
            case e.Sometime(condition):
                name = self.layout.sometime(condition)
                return NOWHERE if self.leaving is None else (f"top.may_{name}", f"top.must_{name}")

    # Fields.

    def _field_in(self, kind: str, name: str, values: frozenset[str]) -> Level:
        layout = self.layout
        initial = layout.spec.kinds[kind].enums[name].initial
        if (kind, name) in layout.cone.fixed or kind in self.newborn:
            return _sure(initial in values)
        if kind == "thread":
            return layout.among(layout.field(kind, 0, name), kind, name, values)
        if kind not in self.places:
            return NOWHERE
        place = self.places[kind]
        now = self.moved.get((kind, place, name)) or layout.field(kind, place, name)
        return layout.among(now, kind, name, values)

    def _is_set(self, kind: str, name: str) -> Level:
        if kind not in self.places:
            return NOWHERE
        return _sure(f"({self.layout.field(kind, self.places[kind], name)} >= 0)")

    def term(self, term: e.Term) -> tuple[Bool, int | str] | None:
        """Return whether a number is set, and which it is."""
        match term:
            case e.Number(value):
                return True, value
            case e.Arg(name):
                return (True, self.args[name]) if name in self.args else None
            case e.Irql():
                return None if self.irql is None else (True, self.irql)
            case e.Scalar(kind, name):
                if kind not in self.places:
                    return None
                text = self.layout.field(kind, self.places[kind], name)
                return f"({text} >= 0)", text

    def _compare(self, op: e.CompareOp, left: e.Term, right: e.Term) -> Level:
        one, other = self.term(left), self.term(right)
        if one is None or other is None:
            # What was never said cannot be wrong.
            return NOWHERE
        result: Bool = f"({one[1]} {op.value} {other[1]})"
        if isinstance(one[1], int) and isinstance(other[1], int):
            result = _OPERATORS[op](one[1], other[1])
        return _given(every([one[0], other[0]]), result)

    def _has_bits(self, term: e.Term, mask: int) -> Level:
        one = self.term(term)
        if one is None:
            return NOWHERE
        value = one[1]
        result: Bool = f"(({value} & {mask}) == {mask})" if isinstance(value, str) else value & mask == mask
        return _given(one[0], result)

    # Open calls.

    def running(self, names: tuple[str, ...], kind: str) -> Bool:
        """Return whether some thread is inside one of the calls on the moment's object."""
        if kind not in self.places:
            return False
        key = names, kind, self.places[kind]
        self.layout.running[key] = None
        return f"({running_name(self.layout, *key)} > {self._mine(names, kind)})"

    def _inside(self, names: tuple[str, ...], kind: str | None) -> Level:
        calls = [self.layout.calls[n] for n in names if n in self.layout.calls]
        if kind is not None and (kind not in self.places or any(kind not in c.held for c in calls)):
            raise UnsupportedError(
                f"it asks whether a thread is inside {names[0]} on a {kind} that the call does not name, "
                "which a Promela model cannot express"
            )
        key = names, kind, 0 if kind is None else self.places[kind]
        self.layout.inside[key] = None
        return _sure(f"(my.{inside_name(self.layout, *key)} > {self._mine(names, kind)})")

    def _mine(self, names: tuple[str, ...], kind: str | None) -> int:
        """Return how many of the open calls are the one that ends here."""
        leaving = self.leaving
        return int(leaving is not None and leaving.name in names and (kind is None or kind in leaving.held))

    def _of_frame(self, text: Bool) -> Level:
        return NOWHERE if self.leaving is None else _sure(text)

    # Children.

    def _any_child(self, parent: str, kind: str, condition: e.Expr) -> Level:
        if parent not in self.places or not isinstance(condition, e.FieldIn):
            return NOWHERE
        may, must = [], []
        for place in self.layout.children(kind, self.places[parent]):
            alive = self.layout.alive(kind, place)
            level = self.having(kind, place).level(condition)
            may.append(every([alive, level[0]]))
            must.append(every([alive, level[1]]))
        return some(may), some(must)


def running_name(layout: Layout, names: tuple[str, ...], kind: str, place: int) -> str:
    """Return the variable that counts the open calls on an object, on all threads."""
    return f"running_{layout.group(names)}_{member(kind)}{place}"


def inside_name(layout: Layout, names: tuple[str, ...], kind: str | None, place: int) -> str:
    """Return the member that counts the open calls of a thread."""
    return f"inside_{layout.group(names)}" + ("" if kind is None else f"_{member(kind)}{place}")


def _sure(text: Bool) -> Level:
    return text, text


def _given(known: Bool, result: Bool) -> Level:
    return some([negation(known), result]), every([known, result])
