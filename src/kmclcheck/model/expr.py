"""Expressions of the IR: guards of transitions and conditions of rules.

Everything is immutable and hashable, so that an engine may memoise on it. After lowering an
expression is in negation normal form: ``Not`` stands only directly above an atom.
An object is named by its kind; the event decides which one is meant (see ``EventDecl.objects``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class CompareOp(Enum):
    EQ = "=="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


@dataclass(frozen=True, slots=True)
class Number:
    value: int


@dataclass(frozen=True, slots=True)
class Arg:
    """A parameter of the event; a return may take it from the record of its call."""

    name: str


@dataclass(frozen=True, slots=True)
class Irql:
    """The IRQL recorded with the event."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number field of an object; a ``counter`` that nothing was added to is 0."""

    kind: str
    field: str
    counter: bool = False


Term = Number | Arg | Irql | Scalar


@dataclass(frozen=True, slots=True)
class Truth:
    value: bool


@dataclass(frozen=True, slots=True)
class FieldIn:
    """The enumerated (or boolean: "true"/"false") field has one of these values."""

    kind: str
    field: str
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class IsSet:
    """The number field was assigned since the object was born."""

    kind: str
    field: str


@dataclass(frozen=True, slots=True)
class Compare:
    op: CompareOp
    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class HasBits:
    """All bits of the mask are set in the term."""

    term: Term
    mask: int


@dataclass(frozen=True, slots=True)
class StatusOk:
    """The returned status means success by the specification's success test."""


@dataclass(frozen=True, slots=True)
class StatusIn:
    values: frozenset[int]


@dataclass(frozen=True, slots=True)
class Inside:
    """This thread is inside one of the named calls or callbacks, on the named object if given."""

    names: tuple[str, ...]
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class OpenFrame:
    """Some thread is inside one of the named calls or callbacks on the object."""

    names: tuple[str, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Overlapped:
    """At a return: one of the named calls on the same object overlapped this one (other thread)."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Latest:
    """At a return or exit: no newer entry of the same group was seen on the object since."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnyChild:
    """Some child object of the given kind satisfies the condition (a FieldIn over that kind)."""

    parent: str
    kind: str
    condition: Expr


@dataclass(frozen=True, slots=True)
class Sometime:
    """At a return: held at some moment between the thread's previous record and this one."""

    condition: Expr


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expr


@dataclass(frozen=True, slots=True)
class And:
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Or:
    operands: tuple[Expr, ...]


Atom = (
    Truth
    | FieldIn
    | IsSet
    | Compare
    | HasBits
    | StatusOk
    | StatusIn
    | Inside
    | OpenFrame
    | Overlapped
    | Latest
    | AnyChild
    | Sometime
)
Expr = Atom | Not | And | Or


def walk(expr: Expr) -> list[Expr]:
    """Return the expression and everything below it, outermost first."""
    found: list[Expr] = [expr]
    match expr:
        case Not(operand):
            found += walk(operand)
        case And(operands) | Or(operands):
            for operand in operands:
                found += walk(operand)
        case AnyChild(condition=condition) | Sometime(condition=condition):
            found += walk(condition)
        case _:
            pass
    return found


def negate(expr: Expr) -> Expr:
    """Return the negation in negation normal form."""
    match expr:
        case Truth(value):
            return Truth(not value)
        case Not(operand):
            return operand
        case And(operands):
            return Or(tuple(negate(o) for o in operands))
        case Or(operands):
            return And(tuple(negate(o) for o in operands))
        case _:
            return Not(expr)
