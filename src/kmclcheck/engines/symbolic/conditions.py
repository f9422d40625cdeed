"""Conditions of the IR as two bits: whether they may hold, and whether they must.

A condition that may hold and need not is one that the documents leave open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kmclcheck.engines.symbolic.circuit import FALSE, TRUE, Bits, Circuit, Lit
from kmclcheck.engines.symbolic.state import Frame, Layout, State
from kmclcheck.model.expr import (
    And,
    AnyChild,
    Arg,
    Compare,
    CompareOp,
    Expr,
    FieldIn,
    HasBits,
    Inside,
    Irql,
    IsSet,
    Latest,
    Not,
    Number,
    OpenFrame,
    Or,
    Overlapped,
    Scalar,
    Sometime,
    StatusIn,
    StatusOk,
    Term,
    Truth,
)

Level = tuple[Lit, Lit]
"""May hold, must hold."""

NOWHERE: Level = (TRUE, FALSE)
"""What the world does not tell."""


@dataclass
class Moment:
    """What conditions read at one event.

    ``chosen`` are selectors of the event's objects, by kind; ``running`` tells of every place on every
    stack whether a call is open there (a return has left its own). ``moved`` stands for fields in a state
    that the event makes, by kind and field.
    """

    circuit: Circuit
    layout: Layout
    state: State
    chosen: dict[str, tuple[Lit, ...]]
    thread: tuple[Lit, ...] = ()
    running: list[list[Lit]] = field(default_factory=list)
    frame: Frame | None = None
    args: Callable[[str], Bits | None] = lambda name: None
    status: tuple[Lit, ...] = ()
    irql: Bits | None = None
    moved: dict[tuple[str, str], tuple[Lit, ...]] = field(default_factory=dict)
    _seen: dict[Expr, Level] = field(default_factory=dict)
    _fields: dict[tuple[str, str], tuple[Lit, ...]] = field(default_factory=dict)

    def having(
        self, chosen: dict[str, tuple[Lit, ...]], moved: dict[tuple[str, str], tuple[Lit, ...]]
    ) -> Moment:
        """Return the moment with other objects, or other values of some fields."""
        return Moment(
            self.circuit, self.layout, self.state, chosen, self.thread, self.running, self.frame,
            self.args, self.status, self.irql, moved,
        )  # fmt: skip

    def level(self, expr: Expr) -> Level:
        """Return whether a condition may hold, and whether it must."""
        found = self._seen.get(expr)
        if found is None:
            found = self._seen[expr] = self._level(expr)
        return found

    def _level(self, expr: Expr) -> Level:
        circuit = self.circuit
        match expr:
            case And(operands):
                pairs = [self.level(o) for o in operands]
                return circuit.all([a for a, _ in pairs]), circuit.all([b for _, b in pairs])
            case Or(operands):
                pairs = [self.level(o) for o in operands]
                return circuit.any([a for a, _ in pairs]), circuit.any([b for _, b in pairs])
            case Not(operand):
                may, must = self.level(operand)
                return -must, -may
            case Truth(value):
                return (TRUE, TRUE) if value else (FALSE, FALSE)
            case FieldIn(kind, name, values):
                return self._field_in(kind, name, values)
            case IsSet(kind, name):
                return _sure(self.number(kind, name)[0]) if kind in self.chosen else NOWHERE
            case Compare(op, left, right):
                return self._compare(op, left, right)
            case HasBits(term, mask):
                return self._has_bits(term, mask)
            case StatusOk():
                return _sure(self._status(lambda status: not status & 0x80000000))
            case StatusIn(values):
                return _sure(self._status(lambda status: status in values))
            case Inside(names, kind):
                return self._open(names, kind, True)
            case OpenFrame(names, kind):
                return self._open(names, kind, False)
            case Overlapped(names):
                if self.frame is None:
                    return NOWHERE
                overlaps = self.frame.overlaps
                return _sure(circuit.any([overlaps[n] for n in names if n in overlaps]))
            case Latest(names):
                return NOWHERE if self.frame is None else _sure(self.frame.latest[names])
            case AnyChild(parent, kind, condition):
                return self._any_child(parent, kind, condition)
            case Sometime(condition):
                return NOWHERE if self.frame is None else self.frame.latches[condition]

    # Fields.

    def field(self, kind: str, name: str) -> tuple[Lit, ...]:
        """Return the values that a field of the event's object may have."""
        if (kind, name) in self.moved:
            return self.moved[kind, name]
        found = self._fields.get((kind, name))
        if found is None:
            if kind == "thread":
                all_fields = [thread.fields[name] for thread in self.state.threads]
            else:
                all_fields = [thing.fields[name] for thing in self.state.things[kind]]
            found = self._fields[kind, name] = self._pick(self.chosen[kind], all_fields)
        return found

    def _pick(self, selectors: tuple[Lit, ...], choices: list[tuple[Lit, ...]]) -> tuple[Lit, ...]:
        if len(choices) == 1:
            return choices[0]
        return tuple(
            self.circuit.select(zip(selectors, column, strict=True)) for column in zip(*choices, strict=True)
        )

    def _field_in(self, kind: str, name: str, values: frozenset[str]) -> Level:
        if kind not in self.chosen:
            return NOWHERE
        return field_in(self.circuit, self.layout, kind, name, self.field(kind, name), values)

    def number(self, kind: str, name: str) -> tuple[Lit, Bits]:
        """Return whether a number field is set, and its value."""
        things = self.state.things[kind]
        if len(things) == 1:
            return things[0].numbers[name]
        pairs = [thing.numbers[name] for thing in things]
        is_set = self.circuit.select(zip(self.chosen[kind], [p[0] for p in pairs], strict=True))
        return is_set, self._pick(self.chosen[kind], [p[1] for p in pairs])

    def term(self, term: Term) -> tuple[Lit, Bits] | None:
        """Return whether a term has a value, and which."""
        width = self.layout.alphabet.width
        match term:
            case Number(value):
                return TRUE, self.circuit.number(value, width)
            case Arg(name):
                bits = self.args(name)
                return None if bits is None else (TRUE, bits)
            case Irql():
                return None if self.irql is None else (TRUE, self.irql)
            case Scalar(kind, name):
                return self.number(kind, name) if kind in self.chosen else None

    def _compare(self, op: CompareOp, left: Term, right: Term) -> Level:
        one, other = self.term(left), self.term(right)
        if one is None or other is None:
            return NOWHERE
        circuit = self.circuit
        match op:
            case CompareOp.EQ:
                result = circuit.equal(one[1], other[1])
            case CompareOp.NE:
                result = -circuit.equal(one[1], other[1])
            case CompareOp.LT:
                result = circuit.less(one[1], other[1])
            case CompareOp.GE:
                result = -circuit.less(one[1], other[1])
            case CompareOp.GT:
                result = circuit.less(other[1], one[1])
            case CompareOp.LE:
                result = -circuit.less(other[1], one[1])
        return self._given(circuit.both(one[0], other[0]), result)

    def _has_bits(self, term: Term, mask: int) -> Level:
        found = self.term(term)
        if found is None:
            return NOWHERE
        wanted = [bit for at, bit in enumerate(found[1]) if mask >> at & 1]
        return self._given(found[0], self.circuit.all(wanted))

    def _given(self, known: Lit, result: Lit) -> Level:
        return self.circuit.either(-known, result), self.circuit.both(known, result)

    def _status(self, test: Callable[[int], bool]) -> Lit:
        statuses = self.layout.alphabet.statuses
        return self.circuit.any([lit for s, lit in zip(statuses, self.status, strict=True) if test(s)])

    # Calls.

    def _open(self, names: tuple[str, ...], kind: str | None, own: bool) -> Level:
        may, must = [], []
        for number, thread in enumerate(self.state.threads):
            for at, frame in enumerate(thread.frames):
                for name in names:
                    call = self.layout.alphabet.calls.get(name)
                    if call is None:
                        continue
                    here = self.circuit.both(frame.names[name], self.running[number][at])
                    if own:
                        here = self.circuit.both(here, self.thread[number])
                    if kind is None:
                        must.append(here)
                    elif kind not in call.held or kind not in self.chosen:
                        # A call that names none may be on any.
                        may += [here] if own else []
                    else:
                        must.append(self.circuit.both(here, self.on(frame, kind)))
        return self.circuit.any(may + must), self.circuit.any(must)

    def on(self, frame: Frame, kind: str) -> Lit:
        """Return whether an open call is on the event's object."""
        if not self.layout.several(kind):
            return TRUE
        return self.circuit.select(zip(self.chosen[kind], frame.objects[kind], strict=True))

    # Children.

    def _any_child(self, parent: str, kind: str, condition: Expr) -> Level:
        if parent not in self.chosen or not isinstance(condition, FieldIn):
            return NOWHERE
        may, must = [], []
        for at, above in enumerate(self.layout.parents[kind]):
            thing = self.state.things[kind][at]
            assert above is not None
            here = self.circuit.both(
                self.chosen[parent][above], alive(self.circuit, self.layout, self.state, kind, at)
            )
            level = field_in(
                self.circuit,
                self.layout,
                kind,
                condition.field,
                thing.fields[condition.field],
                condition.values,
            )
            may.append(self.circuit.both(here, level[0]))
            must.append(self.circuit.both(here, level[1]))
        return self.circuit.any(may), self.circuit.any(must)


def _sure(lit: Lit) -> Level:
    return lit, lit


def field_in(
    circuit: Circuit, layout: Layout, kind: str, name: str, bits: tuple[Lit, ...], values: frozenset[str]
) -> Level:
    """Return whether a field may and must have one of these values."""
    order = layout.spec.kinds[kind].enums[name].values
    inside = [bit for value, bit in zip(order, bits, strict=True) if value in values]
    outside = [bit for value, bit in zip(order, bits, strict=True) if value not in values]
    return circuit.any(inside), -circuit.any(outside)


def dead(circuit: Circuit, layout: Layout, kind: str, fields: dict[str, tuple[Lit, ...]]) -> Lit:
    """Return whether an object has certainly ended."""
    ends = layout.dead_fields(kind)
    if ends is None:
        return FALSE
    return circuit.all([field_in(circuit, layout, kind, n, fields[n], values)[1] for n, values in ends])


def alive(circuit: Circuit, layout: Layout, state: State, kind: str, at: int) -> Lit:
    """Return whether an object exists and has not certainly ended."""
    thing = state.things[kind][at]
    ended = dead(circuit, layout, kind, thing.fields)
    known = TRUE if layout.spec.kinds[kind].scoped else thing.known
    return circuit.both(known, -ended)
