"""The records that may occur: one of each group of events that mean the same, with what they carry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kmclcheck.engines.symbolic.bounds import UnsupportedError
from kmclcheck.engines.symbolic.cone import Cone, arguments
from kmclcheck.model.expr import (
    Compare,
    Expr,
    HasBits,
    Inside,
    Latest,
    Number,
    OpenFrame,
    Overlapped,
    Sometime,
    StatusIn,
    walk,
)
from kmclcheck.model.spec import EventDecl, EventKind, Spec

SUCCESS, FAILURE = 0, 0xC0000001

Group = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function or callback of the alphabet.

    ``named`` are the kinds whose handles its entry carries, ``held`` those and their parents,
    ``made`` the kind whose handle its exit carries. ``kept`` are arguments of the entry that the exit
    needs, ``given`` those that the exit carries itself.
    """

    decl: EventDecl
    named: tuple[str, ...]
    held: tuple[str, ...]
    made: str | None
    primary: str | None
    kept: tuple[str, ...]
    given: tuple[str, ...]
    groups: tuple[Group, ...]
    overlaps: tuple[str, ...]
    latches: tuple[Expr, ...]
    returns_status: bool

    @property
    def name(self) -> str:
        return self.decl.name

    @property
    def entry(self) -> EventKind:
        return self.decl.name, self.decl.entry

    @property
    def exit(self) -> EventKind:
        return self.decl.name, self.decl.exit


class Alphabet:
    """The calls of a cone, and the width of numbers and the statuses that make a difference.

    ``stands_for`` tells for each name of the cone the call that means the same and is kept. Names of
    ``distinct`` are kept apart from all others; ``statuses`` and numbers up to ``widest`` are told apart too.
    """

    def __init__(
        self,
        cone: Cone,
        distinct: frozenset[str] = frozenset(),
        statuses: Iterable[int] = (),
        widest: int = 3,
    ) -> None:
        self.spec = cone.spec
        self.cone = cone
        names = [name for name in cone.spec.events if name in cone.events]
        conditions = {n: self._both(cone, cone.spec.events[n]) for n in names}
        everything = [e for exprs in conditions.values() for e in exprs] + _ends(cone)
        groups = _groups(everything)
        tuples = _tuples(everything)
        kept: dict[object, str] = {}
        self.stands_for: dict[str, str] = {}
        for name in names:
            meaning = _signature(cone, cone.spec.events[name], tuples)
            self.stands_for[name] = kept.setdefault((meaning, name if name in distinct else None), name)
        self.calls: dict[str, Call] = {}
        for name in kept.values():
            self.calls[name] = self._call(cone, cone.spec.events[name], groups)
        told = {SUCCESS, FAILURE, *statuses}
        asked = 3
        for node in (n for expr in everything for n in walk(expr)):
            match node:
                case StatusIn(values):
                    told |= values
                case Compare(left=left, right=right):
                    asked = max([asked, *(t.value for t in (left, right) if isinstance(t, Number))])
                case HasBits(mask=mask):
                    asked = max(asked, mask)
                case _:
                    pass
        self.statuses = tuple(sorted(told))
        if asked.bit_length() > 15:
            raise UnsupportedError(f"a condition compares with {asked}")
        self.width = max(asked, widest).bit_length() + 1

    @staticmethod
    def _both(cone: Cone, decl: EventDecl) -> list[Expr]:
        return cone.conditions((decl.name, decl.entry)) + cone.conditions((decl.name, decl.exit))

    def _call(self, cone: Cone, decl: EventDecl, groups: set[Group]) -> Call:
        spec = cone.spec
        early = _early(spec, decl)
        named = [k for k, param in decl.objects.items() if k in early or not decl.is_result(param)]
        made = [kind for kind, param in decl.objects.items() if decl.is_result(param)]
        births = {k for k in cone.kinds for b in cone.births(k) if b.event == (decl.name, decl.exit)}
        made = [kind for kind in made if kind in births]
        if len(made) > 1:
            raise UnsupportedError(f"{decl.name} makes two objects")
        at_exit = cone.conditions((decl.name, decl.exit))
        nodes = [node for expr in at_exit for node in walk(expr)]
        read = arguments(at_exit) | _assigned(cone, (decl.name, decl.exit))
        handles = set(decl.objects.values())
        own = sorted(p for p in read if decl.is_result(p) and p not in handles)
        from_entry = sorted(p for p in read if not decl.is_result(p) and p not in handles)
        primary = max(decl.objects, key=lambda k: (spec.depth(k), k), default=None)
        overlaps = {n for node in nodes if isinstance(node, Overlapped) for n in node.names}
        latches = {node.condition: None for node in nodes if isinstance(node, Sometime)}
        held = set(named)
        for kind in named:
            held |= set(spec.ancestors(kind))
        return Call(
            decl,
            tuple(sorted(named, key=lambda k: (spec.depth(k), k))),
            tuple(sorted(held, key=lambda k: (spec.depth(k), k))),
            made[0] if made else None,
            primary if primary in named else None,
            tuple(from_entry),
            tuple(own),
            tuple(sorted(g for g in groups if decl.name in g)),
            tuple(sorted(overlaps & cone.events)),
            tuple(latches),
            decl.returns == "NTSTATUS",
        )


def _early(spec: Spec, decl: EventDecl) -> set[str]:
    """Return the kinds whose handle the library makes, and the caller gives: storage for an object.

    A rule about such an object at the entry shows that its handle is known there.
    """
    entry = (decl.name, decl.entry)
    targets = {c.target for rule in spec.rules.values() for c in rule.checks if c.event == entry}
    return {k for k, p in decl.objects.items() if k in targets and p != "Return" and decl.is_result(p)}


def _assigned(cone: Cone, event: EventKind) -> set[str]:
    values = [
        a.value for a in cone.spec.assignments if a.event == event and (a.kind, a.field) in cone.numbers
    ]
    return {v.name for v in values if v is not None and hasattr(v, "name")}


def entry_arguments(cone: Cone, call: Call) -> set[str]:
    """Return the arguments that a record of the entry has to carry."""
    read = arguments(cone.conditions(call.entry)) | _assigned(cone, call.entry) | set(call.kept)
    return {p for p in read if p not in call.decl.objects.values()}


def _ends(cone: Cone) -> list[Expr]:
    checks = [c for id in sorted(cone.rules) for c in cone.spec.rules[id].checks if c.event is None]
    checks += cone.claimed(None)
    return [e for check in checks for e in (check.when, check.require)]


def _groups(exprs: Iterable[Expr]) -> set[Group]:
    return {node.names for expr in exprs for node in walk(expr) if isinstance(node, Latest)}


def _tuples(exprs: Iterable[Expr]) -> list[Group]:
    """Return the lists of names that conditions ask about."""
    found: dict[Group, None] = {}
    for expr in exprs:
        for node in walk(expr):
            if isinstance(node, Inside | OpenFrame | Overlapped | Latest):
                found[node.names] = None
    return list(found)


def _signature(cone: Cone, decl: EventDecl, tuples: list[Group]) -> object:
    """Return everything that an event means; two events with the same meaning need not both occur."""
    spec = cone.spec
    meaning: list[object] = [decl.callback, decl.returns == "NTSTATUS", decl.recorded_when]
    meaning.append(frozenset((kind, decl.is_result(p)) for kind, p in decl.objects.items()))
    hung = {n for id in cone.rules for c in spec.rules[id].checks for n in c.hung_in}
    meaning.append(decl.name if decl.name in hung else None)
    for phase in (decl.entry, decl.exit):
        event = (decl.name, phase)
        lines = [(k, t.sources, t.targets, t.guard, t.via_parent) for k, t in cone.lines(event)]
        births = [(k, b.guard) for k in sorted(cone.kinds) for b in cone.births(k) if b.event == event]
        sets = [
            (a.kind, a.field, a.guard, a.value)
            for a in spec.assignments
            if a.event == event and (a.kind, a.field) in cone.numbers
        ]
        checks = [(r.id, c.when, c.require, c.target, c.each) for r, c in cone.checks(event)]
        claims = [(c.when, c.require, c.target, c.each) for c in cone.claimed(event)]
        meaning += [tuple(lines), tuple(births), tuple(sets), tuple(checks), tuple(claims)]
    meaning.append(tuple(decl.name in names for names in tuples))
    return tuple(meaning)
