"""What a condition means: its truth, given what is known of objects, arguments and stacks."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Protocol

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
from kmclcheck.semantics.truth import MISSING, Possible, Truth4, from_bool, invert

_COMPARE: dict[CompareOp, Callable[[int, int], bool]] = {
    CompareOp.EQ: operator.eq,
    CompareOp.NE: operator.ne,
    CompareOp.LT: operator.lt,
    CompareOp.LE: operator.le,
    CompareOp.GT: operator.gt,
    CompareOp.GE: operator.ge,
}


class Unset(Enum):
    """The one value of a number field that no event has assigned yet."""

    UNSET = "unset"


UNSET = Unset.UNSET
NumberValue = int | Unset | None
"""A number, not assigned yet, or (``None``) not known."""


class Environment(Protocol):
    """What an evaluation asks of its engine. ``None`` always means that the trace does not tell."""

    def field(self, kind: str, name: str) -> Possible: ...
    def number(self, kind: str, name: str) -> NumberValue: ...
    def argument(self, name: str) -> int | None: ...
    def irql(self) -> int | None: ...
    def status(self) -> int | None: ...
    def inside(self, atom: Inside) -> Truth4: ...
    def running(self, atom: OpenFrame) -> Truth4: ...
    def overlapped(self, atom: Overlapped) -> Truth4: ...
    def latest(self, atom: Latest) -> Truth4: ...
    def any_child(self, atom: AnyChild) -> Truth4: ...
    def no_child(self, atom: AnyChild) -> Truth4: ...
    def sometime(self, atom: Sometime) -> Truth4: ...


def is_success(status: int) -> bool:
    """Return whether a 32-bit status means success: as a signed number it is not negative."""
    return not status & 0x80000000


def term_value(term: Term, env: Environment) -> NumberValue:
    """Return the number a term stands for."""
    match term:
        case Number(value):
            return value
        case Arg(name):
            return env.argument(name)
        case Irql():
            return env.irql()
        case Scalar(kind, name, counter):
            number = env.number(kind, name)
            return 0 if counter and number is UNSET else number


def evaluate(expr: Expr, env: Environment) -> Truth4:
    """Return how certain the condition is. It must be in negation normal form."""
    match expr:
        case And(operands):
            return min((evaluate(o, env) for o in operands), default=Truth4.TRUE)
        case Or(operands):
            return max((evaluate(o, env) for o in operands), default=Truth4.FALSE)
        case Not(AnyChild() as atom):
            return env.no_child(atom)
        case Not(operand):
            return invert(evaluate(operand, env))
        case Truth(value):
            return from_bool(value)
        case FieldIn(kind, name, values):
            return env.field(kind, name).is_in(values)
        case IsSet(kind, name):
            number = env.number(kind, name)
            return MISSING if number is None else from_bool(number is not UNSET)
        case Compare(op, left, right):
            return compare(op, term_value(left, env), term_value(right, env))
        case HasBits(term, mask):
            bits = term_value(term, env)
            return from_bool(bits & mask == mask) if isinstance(bits, int) else MISSING
        case StatusOk():
            status = env.status()
            return from_bool(None if status is None else is_success(status))
        case StatusIn(values):
            status = env.status()
            return from_bool(None if status is None else status in values)
        case Inside():
            return env.inside(expr)
        case OpenFrame():
            return env.running(expr)
        case Overlapped():
            return env.overlapped(expr)
        case Latest():
            return env.latest(expr)
        case AnyChild():
            return env.any_child(expr)
        case Sometime():
            return env.sometime(expr)


def added(now: NumberValue, step: NumberValue, level: Truth4) -> NumberValue:
    """Return a counter after an event that certainly, perhaps or not at all adds a step to it."""
    if level is Truth4.FALSE:
        return now
    now = 0 if now is UNSET else now
    return now + step if level is Truth4.TRUE and isinstance(now, int) and isinstance(step, int) else None


def birth_number(now: NumberValue, birth: Truth4) -> NumberValue:
    """Return a number after an event that certainly, perhaps or not at all is the object's birth."""
    if birth is Truth4.FALSE:
        return now
    return UNSET if birth is Truth4.TRUE or now is UNSET else None


def compare(op: CompareOp, left: NumberValue, right: NumberValue) -> Truth4:
    """Return the truth of a comparison of two numbers, either of which may not be known."""
    # A number that was never assigned has no order; a spec guards such a comparison with "is set".
    if isinstance(left, int) and isinstance(right, int):
        return from_bool(_COMPARE[op](left, right))
    return MISSING


class FieldsOnly:
    """An environment in which nothing is known but the fields of one object."""

    def __init__(self, kind: str, fields: Mapping[str, Possible]) -> None:
        self._kind = kind
        self._fields = fields

    def field(self, kind: str, name: str) -> Possible:
        return self._fields[name] if kind == self._kind else Possible(frozenset(), False)

    def number(self, kind: str, name: str) -> NumberValue:
        return None

    def argument(self, name: str) -> int | None:
        return None

    def irql(self) -> int | None:
        return None

    def status(self) -> int | None:
        return None

    def _missing(self, atom: Expr) -> Truth4:
        return MISSING

    inside = running = overlapped = latest = any_child = no_child = sometime = _missing


def evaluate_fields(expr: Expr, fields: Mapping[str, Possible], kind: str) -> Truth4:
    """Return how certain a condition is if only the fields of one object are known."""
    match expr:
        case And(operands):
            return min((evaluate_fields(o, fields, kind) for o in operands), default=Truth4.TRUE)
        case Or(operands):
            return max((evaluate_fields(o, fields, kind) for o in operands), default=Truth4.FALSE)
        case Not(FieldIn(kind=other)) | FieldIn(kind=other) if other != kind:
            return MISSING
        case _:
            return evaluate(expr, FieldsOnly(kind, fields))
