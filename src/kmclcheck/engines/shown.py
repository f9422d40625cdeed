"""When the callbacks of an object show in a trace: a counterexample must not lean on one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from kmclcheck.model.expr import And, Compare, Expr, FieldIn, HasBits, IsSet, Not, Or, Scalar, walk
from kmclcheck.model.spec import Spec


@dataclass(frozen=True, slots=True)
class Shown:
    """What has to hold of an object of a kind, by its own fields, so that none of its callbacks goes unseen.

    ``ended``: what has to hold of one that has ended. That a field says so hides nothing: no callback is left
    to miss. All else counts on, for it tells what the object was like before.
    """

    kind: str
    condition: Expr
    ended: Expr


def shown(spec: Spec) -> list[Shown]:
    """Return the conditions under which callbacks are recorded, part by part."""
    conditions = [d.recorded_when for d in spec.events.values() if d.recorded_when is not None]
    return list(dict.fromkeys(one for condition in conditions for one in shown_by(spec, condition)))


def shown_by(spec: Spec, condition: Expr) -> Iterator[Shown]:
    """Return the parts of one condition, each for the kinds of objects that it reads."""
    if isinstance(condition, And):
        for operand in condition.operands:
            yield from shown_by(spec, operand)
        return
    for kind in sorted(_kinds(condition)):
        yield Shown(kind, condition, _ended(spec, condition, True))


def _ended(spec: Spec, condition: Expr, wanted: bool) -> Expr:
    """Return a condition that the values of an ended object satisfy (or, not ``wanted``, do not)."""
    match condition:
        case FieldIn(kind, name, values):
            dead = spec.kinds[kind].enums[name].dead
            return replace(condition, values=values | dead if wanted else values - dead)
        case And(operands) | Or(operands):
            return replace(condition, operands=tuple(_ended(spec, o, wanted) for o in operands))
        case Not(operand):
            return Not(_ended(spec, operand, not wanted))
        case _:
            return condition


def _kinds(condition: Expr) -> set[str]:
    """Return the kinds of objects whose fields a condition reads."""
    found: set[str] = set()
    for node in walk(condition):
        match node:
            case FieldIn(kind=kind) | IsSet(kind=kind) | HasBits(term=Scalar(kind=kind)):
                found.add(kind)
            case Compare(left=left, right=right):
                found |= {term.kind for term in (left, right) if isinstance(term, Scalar)}
            case _:
                pass
    return found
