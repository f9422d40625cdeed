"""Harmless values for what a search left open: arguments that no rule in its picture asked for."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, product

from kmclcheck.model import expr as e
from kmclcheck.model.event import ArgValue, Event, Phase
from kmclcheck.model.spec import Direction, EventDecl, Param, Spec

_TRIES = 4096
FILLINGS = 6
"""Choices of arguments for one record that are tried."""

_ADDRESS, _CODE, _SIZE = 0x7000, 0x9000, 64
_OPERATORS = {
    e.CompareOp.EQ: operator.eq,
    e.CompareOp.NE: operator.ne,
    e.CompareOp.LT: operator.lt,
    e.CompareOp.LE: operator.le,
    e.CompareOp.GT: operator.gt,
    e.CompareOp.GE: operator.ge,
}


class Filler:
    """Gives every argument that some condition of the specification reads a value that breaks nothing."""

    def __init__(self, spec: Spec, rules: Iterable[str]) -> None:
        self.spec = spec
        self._checks: dict[tuple[str, Phase], list[tuple[e.Expr, e.Expr]]] = {}
        self._asked: dict[str, dict[str, set[int]]] = {}
        for rule in spec.rules.values():
            for check in rule.checks:
                if check.event is not None:
                    if rule.id in rules:
                        self._checks.setdefault(check.event, []).append((check.when, check.require))
                    self._ask(check.event[0], (check.when, check.require))
        for machine in spec.machines.values():
            for line in machine.transitions:
                self._ask(line.event[0], (line.guard,))
        for one in spec.assignments:
            self._ask(one.event[0], (one.guard,))
            if isinstance(one.value, e.Arg):
                self._asked.setdefault(one.event[0], {}).setdefault(one.value.name, set())

    def _ask(self, name: str, exprs: Iterable[e.Expr]) -> None:
        asked = self._asked.setdefault(name, {})
        for expr in exprs:
            for node in e.walk(expr):
                if isinstance(node, e.Compare):
                    for one, other in ((node.left, node.right), (node.right, node.left)):
                        if isinstance(one, e.Arg):
                            values = asked.setdefault(one.name, set())
                            if isinstance(other, e.Number):
                                values.update((other.value, other.value + 1))
                elif isinstance(node, e.HasBits) and isinstance(node.term, e.Arg):
                    asked.setdefault(node.term.name, set()).add(node.mask)

    def fill(self, events: Sequence[Event]) -> list[Event]:
        """Return the events with more arguments."""
        return [self._filled(event) for event in events]

    def fillings(self, event: Event) -> list[Event]:
        """Return the record with every harmless choice of the arguments it lacks, the likeliest first."""
        found = list(islice(self._fillings(event), FILLINGS))
        return found or [self._filled(event)]

    def _filled(self, event: Event) -> Event:
        return next(self._fillings(event), None) or next(self._all(event), event)

    def _fillings(self, event: Event) -> Iterator[Event]:
        for filled in self._all(event):
            # A check that may apply, as far as the record tells, must not fail because of it.
            if not any(
                _known(when, filled) is not False and _known(require, filled) is False
                for when, require in self._checks.get((event.name, event.phase), ())
            ):
                yield filled

    def _all(self, event: Event) -> Iterator[Event]:
        decl = self.spec.events[event.name]
        entry = event.phase is decl.entry
        open_ = [
            p for p in decl.params
            if p.name not in event.args and p.name not in decl.objects.values()
            and (p.direction is not Direction.OUT) is entry and p.name in self._asked.get(decl.name, {})
        ]  # fmt: skip
        choices = [self._candidates(decl, param) for param in open_]
        names = [param.name for param in open_]
        for values in islice(product(*choices), _TRIES):
            given = dict(zip(names, values, strict=True))
            yield replace(event, args=_ordered(decl, {**event.args, **given})) if given else event

    def _candidates(self, decl: EventDecl, param: Param) -> list[int]:
        """Return values, the likeliest first."""
        asked = sorted(self._asked[decl.name].get(param.name, ()))
        kind = param.type.rstrip("*")
        if kind == "BOOLEAN":
            likely = [1 if param.extra else 0]
        elif kind.startswith("PFN"):
            likely = [_CODE]
        elif kind.startswith(("P", "LP")) or param.type.endswith("*"):
            likely = [0] if param.optional else [_ADDRESS]
        elif "Flags" in param.name:
            likely = [0]
        else:
            likely = [_SIZE]
        return list(dict.fromkeys([*likely, *asked, 0]))


def _ordered(decl: EventDecl, args: dict[str, ArgValue]) -> dict[str, ArgValue]:
    """Return arguments in the order of the declaration."""
    order = {param.name: at for at, param in enumerate(decl.params)}
    return dict(sorted(args.items(), key=lambda item: order.get(item[0], len(order))))


def _known(expr: e.Expr, event: Event) -> bool | None:
    """Return what a condition on nothing but the record itself comes to, ``None`` for any other."""
    match expr:
        case e.Truth(value):
            return value
        case e.Not(operand):
            inner = _known(operand, event)
            return None if inner is None else not inner
        case e.And(operands) | e.Or(operands):
            decisive = isinstance(expr, e.Or)
            parts = [_known(operand, event) for operand in operands]
            if decisive in parts:
                return decisive
            return None if None in parts else not decisive
        case e.Compare(op, left, right):
            one, other = _number(left, event), _number(right, event)
            return None if one is None or other is None else _OPERATORS[op](one, other)
        case e.HasBits(term, mask):
            bits = _number(term, event)
            return None if bits is None else bits & mask == mask
        case _:
            return None


def _number(term: e.Term, event: Event) -> int | None:
    match term:
        case e.Number(value):
            return value
        case e.Arg(name):
            given = event.args.get(name)
            return given if isinstance(given, int) else None
        case e.Irql():
            return event.irql
        case _:
            return None
