"""Asking a condition of the IR at some moment of the walk."""

from __future__ import annotations

from typing import Protocol

from kmclcheck.engines.explore.walk.answers import (
    LACKING,
    NO,
    UNASSIGNED,
    YES,
    Answer,
    Nodes,
    Value,
    of,
    opposite,
)
from kmclcheck.model import expr as e

Surroundings = e.Inside | e.OpenFrame | e.Overlapped | e.Latest | e.AnyChild | e.Sometime
"""Atoms about other things than fields, arguments and the returned status."""

_FAILURE_BIT = 0x80000000


class Moment(Protocol):
    """What conditions can ask for. ``None`` is always "the trace does not tell"."""

    def nodes(self, kind: str, name: str) -> Nodes | None: ...
    def number(self, kind: str, name: str) -> Value: ...
    def argument(self, name: str) -> int | None: ...
    def irql(self) -> int | None: ...
    def status(self) -> int | None: ...
    def about(self, atom: Surroundings) -> Answer: ...
    def without_child(self, atom: e.AnyChild) -> Answer: ...


def ask(expr: e.Expr, moment: Moment) -> Answer:
    """Return under which readings the condition holds. It has to be in negation normal form."""
    match expr:
        case e.And(operands):
            answer = YES
            for operand in operands:
                answer &= ask(operand, moment)
            return answer
        case e.Or(operands):
            answer = NO
            for operand in operands:
                answer |= ask(operand, moment)
            return answer
        case e.Not(e.AnyChild() as atom):
            return moment.without_child(atom)
        case e.Not(operand):
            return opposite(ask(operand, moment))
        case e.Truth(value):
            return of(value)
        case e.FieldIn(kind, name, values):
            nodes = moment.nodes(kind, name)
            return LACKING if nodes is None else nodes.within(values)
        case e.IsSet(kind, name):
            number = moment.number(kind, name)
            return of(None if number is None else number is not UNASSIGNED)
        case e.Compare(op, left, right):
            return of(_compare(op, term(left, moment), term(right, moment)))
        case e.HasBits(where, mask):
            bits = term(where, moment)
            return of(bits & mask == mask if isinstance(bits, int) else None)
        case e.StatusOk():
            return of(success(moment.status()))
        case e.StatusIn(values):
            status = moment.status()
            return of(None if status is None else status in values)
        case _:
            return moment.about(expr)


def success(status: int | None) -> bool | None:
    """Return whether a status means success: its highest bit is clear."""
    return None if status is None else not status & _FAILURE_BIT


def term(one: e.Term, moment: Moment) -> Value:
    """Return the number that a term stands for."""
    match one:
        case e.Number(value):
            return value
        case e.Arg(name):
            return moment.argument(name)
        case e.Irql():
            return moment.irql()
        case e.Scalar(kind, name, counter):
            number = moment.number(kind, name)
            return 0 if counter and number is UNASSIGNED else number


def _compare(op: e.CompareOp, left: Value, right: Value) -> bool | None:
    # What was never assigned compares with nothing.
    if not isinstance(left, int) or not isinstance(right, int):
        return None
    match op:
        case e.CompareOp.EQ:
            return left == right
        case e.CompareOp.NE:
            return left != right
        case e.CompareOp.LT:
            return left < right
        case e.CompareOp.LE:
            return left <= right
        case e.CompareOp.GT:
            return left > right
        case e.CompareOp.GE:
            return left >= right


class FieldsAlone:
    """A moment at which nothing is known but the fields of one object, and nothing ever will be."""

    def __init__(self, kind: str, fields: dict[str, Nodes]) -> None:
        self._kind = kind
        self._fields = fields

    def nodes(self, kind: str, name: str) -> Nodes | None:
        return self._fields[name] if kind == self._kind else None

    def number(self, kind: str, name: str) -> Value:
        return None

    def argument(self, name: str) -> int | None:
        return None

    def irql(self) -> int | None:
        return None

    def status(self) -> int | None:
        return None

    def about(self, atom: Surroundings) -> Answer:
        return LACKING

    def without_child(self, atom: e.AnyChild) -> Answer:
        return LACKING
