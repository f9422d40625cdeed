"""The functions and callbacks of a model, and the values in their records that make a difference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from kmclcheck.engines.promela.bounds import UnsupportedError
from kmclcheck.engines.promela.cone import Cone, is_made
from kmclcheck.model import expr as e
from kmclcheck.model.spec import EventDecl, EventKind

SUCCESS, FAILURE = 0, 0xC0000001
LENGTH = 64
"""The one number, besides 0, that a number field is given where nothing else is asked of it."""

Names = tuple[str, ...]
Args = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Values:
    """What may stand in the records of one event."""

    args: tuple[Args, ...]
    statuses: tuple[int | None, ...]
    irqls: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function or callback.

    ``named`` are the kinds whose handles its entry carries, ``held`` those and their parents, ``made`` the
    kind that begins at its exit. What the exit asks for: ``kept`` are arguments of the entry, ``overlaps``
    calls that may have overlapped, ``latest`` groups of which it may be the latest, ``sometime`` conditions
    on the moments before. ``filled`` are arguments that fill callback slots and do nothing else: any other
    value would only make the exit impossible.
    """

    decl: EventDecl
    named: Names
    held: Names
    made: str | None
    primary: str | None
    kept: Names
    overlaps: Names
    latest: tuple[Names, ...]
    sometime: tuple[e.Expr, ...]
    filled: Args
    at_entry: Values
    at_exit: Values

    @property
    def name(self) -> str:
        return self.decl.name

    def event(self, entry: bool) -> EventKind:
        """Return the event of its entry or exit."""
        return self.decl.name, self.decl.entry if entry else self.decl.exit


def call_of(cone: Cone, name: str) -> Call:
    """Return what a model needs to know of a function or callback."""
    spec = cone.spec
    decl = spec.events[name]
    named = [kind for kind, param in decl.objects.items() if not spec.unknown_at_call(decl, param)]
    exits = decl.name, decl.exit
    made = [
        kind
        for kind in decl.objects
        if is_made(decl, kind) and kind in cone.kinds and any(b.event == exits for b in cone.births(kind))
    ]
    if len(made) > 1:
        raise UnsupportedError(f"{name} makes two objects, which a Promela model cannot express")
    held = set(named)
    for kind in named:
        held |= set(spec.ancestors(kind))
    nodes = [node for expr in cone.conditions(exits) for node in e.walk(expr)]
    read = _arguments(cone, exits)
    handles = set(decl.objects.values())
    filled = _filled(cone, decl, read | _arguments(cone, (name, decl.entry)))
    outs = {p for p in read if spec.unknown_at_call(decl, p)}
    primary = max(decl.objects, key=lambda k: (spec.depth(k), k), default=None)
    return Call(
        decl,
        _by_depth(cone, named),
        _by_depth(cone, held),
        made[0] if made else None,
        primary if primary in named else None,
        tuple(sorted(read - outs - handles)),
        tuple(sorted({n for node in nodes if isinstance(node, e.Overlapped) for n in node.names})),
        tuple(dict.fromkeys(node.names for node in nodes if isinstance(node, e.Latest))),
        tuple(dict.fromkeys(node.condition for node in nodes if isinstance(node, e.Sometime))),
        tuple((param, 1) for param in filled),
        _values(cone, decl, True),
        _values(cone, decl, False),
    )


def _filled(cone: Cone, decl: EventDecl, read: set[str]) -> list[str]:
    """Return the arguments that fill callback slots.

    Raises UnsupportedError if no value of theirs lets the call succeed, or if they matter otherwise.
    """
    names: set[str] = set()
    for _, line in cone.emptying((decl.name, decl.exit)):
        mine = {
            term.name
            for node in e.walk(line.guard)
            if isinstance(node, e.Compare)
            for term in (node.left, node.right)
            if isinstance(term, e.Arg)
        }
        if mine and (mine & read or _may(line.guard)):
            raise UnsupportedError(
                f"{decl.name} may empty a callback slot in a way that a Promela model cannot express; "
                "with --unseen it can"
            )
        names |= mine
    return sorted(names)


def _may(guard: e.Expr) -> bool:
    """Return whether a condition may hold if every argument in it is 1."""
    match guard:
        case e.And(operands):
            return all(_may(o) for o in operands)
        case e.Or(operands):
            return any(_may(o) for o in operands)
        case e.Not(e.Compare(e.CompareOp.NE, e.Arg(), e.Number(value))):
            return value == 1
        case e.Compare(e.CompareOp.EQ, e.Arg(), e.Number(value)):
            return value == 1
        case _:
            return True


def _by_depth(cone: Cone, kinds: Iterable[str]) -> Names:
    return tuple(sorted(kinds, key=lambda k: (cone.spec.depth(k), k)))


def _terms(cone: Cone, event: EventKind) -> list[e.Term]:
    found: list[e.Term] = []
    for expr in cone.conditions(event):
        for node in e.walk(expr):
            if isinstance(node, e.Compare):
                found += [node.left, node.right]
            elif isinstance(node, e.HasBits):
                found.append(node.term)
    return found + [a.value for a in cone.assignments(event) if a.value is not None]


def _arguments(cone: Cone, event: EventKind) -> set[str]:
    """Return the parameters that an event asks for."""
    return {term.name for term in _terms(cone, event) if isinstance(term, e.Arg)}


def _values(cone: Cone, decl: EventDecl, entry: bool) -> Values:
    """Find the values at which a condition changes its mind."""
    args: dict[str, set[int]] = {}
    statuses: set[int | None] = {SUCCESS, FAILURE} if decl.returns == "NTSTATUS" and not entry else {None}
    irqls = {0}
    for phase in (decl.entry, decl.exit):
        here = phase is (decl.entry if entry else decl.exit)
        for node in (n for expr in cone.conditions((decl.name, phase)) for n in e.walk(expr)):
            match node:
                case e.Compare(left=left, right=right):
                    for one, other in ((left, right), (right, left)):
                        if isinstance(one, e.Arg):
                            args.setdefault(one.name, set()).update(_around(other))
                        elif isinstance(one, e.Irql) and here:
                            irqls |= _around(other)
                case e.HasBits(term=e.Arg(name), mask=mask):
                    args.setdefault(name, set()).update((0, mask))
                case e.StatusIn(values) if here:
                    statuses |= values
                case _:
                    pass
        for assignment in cone.assignments((decl.name, phase)):
            if isinstance(assignment.value, e.Arg):
                args.setdefault(assignment.value.name, set()).update((0, LENGTH))
    handles = set(decl.objects.values())
    mine = {
        name: sorted(values) or [0]
        for name, values in sorted(args.items())
        if name not in handles and cone.spec.unknown_at_call(decl, name) is not entry
    }
    return Values(
        tuple(tuple(zip(mine, values, strict=True)) for values in product(*mine.values())),
        tuple(sorted(statuses, key=lambda status: status or 0)),
        tuple(sorted(irqls)),
    )


def _around(term: e.Term) -> set[int]:
    match term:
        case e.Number(value):
            return {v for v in (value - 1, value, value + 1) if v >= 0}
        case e.Scalar() | e.Arg():
            return {0, LENGTH - 1, LENGTH, LENGTH + 1}
        case _:
            return set()
