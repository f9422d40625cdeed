"""Conditions as functions: what the documents make of them is no, perhaps or yes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

from kmclcheck.engines.explore.world import Frame, Thing, World
from kmclcheck.model import expr as e
from kmclcheck.model.spec import ObjectKind, Spec

NO, PERHAPS, YES = 0, 1, 2
Level = int

_OPERATORS: dict[e.CompareOp, Callable[[int, int], bool]] = {
    e.CompareOp.EQ: operator.eq,
    e.CompareOp.NE: operator.ne,
    e.CompareOp.LT: operator.lt,
    e.CompareOp.LE: operator.le,
    e.CompareOp.GT: operator.gt,
    e.CompareOp.GE: operator.ge,
}


@dataclass(slots=True)
class Moment:
    """Where a condition is asked: a world, the objects of a record by kind, and what the record carries.

    ``newborn``: fields that count instead of those of an object that begins here.
    """

    world: World
    places: dict[str, int]
    thread: int
    frame: Frame | None
    args: dict[str, int]
    status: int | None
    irql: int
    newborn: dict[str, tuple[int, ...]]

    def thing(self, kind: str) -> Thing | None:
        at = self.places.get(kind)
        return None if at is None else self.world.things[at]


Condition = Callable[[Moment], Level]
Value = Callable[[Moment], "int | None"]


class Compiler:
    """Makes functions of the conditions of one specification."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.fields = {
            kind.name: {name: at for at, name in enumerate(kind.enums)} for kind in spec.kinds.values()
        }
        self.numbers = {
            kind.name: {name: at for at, name in enumerate(kind.numbers)} for kind in spec.kinds.values()
        }
        self.latches: dict[e.Expr, int] = {}
        self._made: dict[e.Expr, Condition] = {}

    def mask(self, kind: ObjectKind, field: str, values: frozenset[str]) -> int:
        """Return a set of values of a field as a bit mask."""
        return sum(1 << at for at, value in enumerate(kind.enums[field].values) if value in values)

    def condition(self, expr: e.Expr) -> Condition:
        """Return the function of a condition."""
        made = self._made.get(expr)
        if made is None:
            made = self._made[expr] = self._make(expr)
        return made

    def _make(self, expr: e.Expr) -> Condition:
        match expr:
            case e.Truth(value):
                level = YES if value else NO
                return lambda m: level
            case e.And(operands):
                return self._all([self.condition(o) for o in operands])
            case e.Or(operands):
                return self._any([self.condition(o) for o in operands])
            case e.Not(operand):
                inner = self.condition(operand)
                return lambda m: YES - inner(m)
            case e.FieldIn(kind, name, values):
                return self._field(kind, name, values)
            case e.IsSet(kind, name):
                at = self.numbers[kind][name]
                return lambda m: YES if (t := m.thing(kind)) is not None and t.numbers[at] is not None else NO
            case e.Compare(op, left, right):
                return self._compare(_OPERATORS[op], self.value(left), self.value(right))
            case e.HasBits(term, bits):
                number = self.value(term)
                return lambda m: YES if (v := number(m)) is not None and v & bits == bits else NO
            case e.StatusOk():
                return lambda m: YES if m.status is not None and not m.status & 0x80000000 else NO
            case e.StatusIn(statuses):
                return lambda m: YES if m.status in statuses else NO
            case e.Inside(names, on):
                return lambda m: YES if _among(m.world.stacks[m.thread], names, on, m) else NO
            case e.OpenFrame(names, on):
                return lambda m: YES if any(_among(s, names, on, m, m.frame) for s in m.world.stacks) else NO
            case e.Overlapped(names):
                return lambda m: YES if m.frame is not None and not m.frame.overlaps.isdisjoint(names) else NO
            case e.Latest(names):
                return lambda m: YES if m.frame is not None and names in m.frame.newest else NO
            case e.AnyChild(parent, kind, condition):
                return self._any_child(parent, kind, condition)
            case e.Sometime(condition):
                self.condition(condition)
                at = self.latches.setdefault(condition, len(self.latches))
                return lambda m: NO if m.frame is None else m.frame.latches[at]

    @staticmethod
    def _all(parts: list[Condition]) -> Condition:
        def every(m: Moment) -> Level:
            least = YES
            for part in parts:
                level = part(m)
                if level < least:
                    if level == NO:
                        return NO
                    least = level
            return least

        return every

    @staticmethod
    def _any(parts: list[Condition]) -> Condition:
        def some(m: Moment) -> Level:
            most = NO
            for part in parts:
                level = part(m)
                if level > most:
                    if level == YES:
                        return YES
                    most = level
            return most

        return some

    def _field(self, kind: str, name: str, values: frozenset[str]) -> Condition:
        at = self.fields[kind][name]
        wanted = self.mask(self.spec.kinds[kind], name, values)
        if kind == "thread":

            def own(m: Moment) -> Level:
                now = m.world.own[m.thread][at]
                return (YES if not now & ~wanted else PERHAPS) if now & wanted else NO

            return own

        def field(m: Moment) -> Level:
            fields = m.newborn.get(kind)
            if fields is None:
                thing = m.thing(kind)
                if thing is None:
                    return PERHAPS
                fields = thing.fields
            now = fields[at]
            return (YES if not now & ~wanted else PERHAPS) if now & wanted else NO

        return field

    def _any_child(self, parent: str, kind: str, condition: e.Expr) -> Condition:
        assert isinstance(condition, e.FieldIn)
        at = self.fields[kind][condition.field]
        wanted = self.mask(self.spec.kinds[kind], condition.field, condition.values)

        def any_child(m: Moment) -> Level:
            above = m.places.get(parent)
            best = NO
            for thing in m.world.things:
                if thing.kind == kind and thing.parent == above and above is not None and not thing.ended:
                    now = thing.fields[at]
                    if now & wanted:
                        best = max(best, PERHAPS if now & ~wanted else YES)
            return best

        return any_child

    def value(self, term: e.Term) -> Value:
        """Return the function of a number."""
        match term:
            case e.Number(number):
                return lambda m: number
            case e.Arg(name):
                return lambda m: m.args.get(name)
            case e.Irql():
                return lambda m: m.irql
            case e.Scalar(kind, name, counter):
                at = self.numbers[kind][name]
                start = 0 if counter else None

                def number_of(m: Moment) -> int | None:
                    thing = m.thing(kind)
                    held = None if thing is None else thing.numbers[at]
                    return start if held is None else held

                return number_of

    @staticmethod
    def _compare(op: Callable[[int, int], bool], left: Value, right: Value) -> Condition:
        def compare(m: Moment) -> Level:
            one, other = left(m), right(m)
            # What was never said cannot be wrong.
            return PERHAPS if one is None or other is None else YES if op(one, other) else NO

        return compare


def _among(
    stack: tuple[Frame, ...], names: tuple[str, ...], on: str | None, m: Moment, but: Frame | None = None
) -> bool:
    """Whether a stack has one of these calls other than ``but``, on the object if one is meant."""
    for frame in stack:
        if frame.name in names and frame is not but:
            if on is None:
                return True
            at = m.places.get(on)
            if at is not None and frame.place(on) == at:
                return True
    return False
