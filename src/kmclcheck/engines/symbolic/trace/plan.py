"""A specification sorted by event, for going through a trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kmclcheck.model.event import Phase
from kmclcheck.model.expr import (
    And,
    AnyChild,
    Compare,
    Expr,
    FieldIn,
    HasBits,
    Inside,
    IsSet,
    Latest,
    Not,
    OpenFrame,
    Or,
    Overlapped,
    Scalar,
    Sometime,
    walk,
)
from kmclcheck.model.spec import (
    Assignment,
    Birth,
    Check,
    Direction,
    EventDecl,
    EventKind,
    Rule,
    Spec,
    Transition,
)

Lines = dict[str, list[Transition]]
"""Transitions by field."""


@dataclass(slots=True)
class EventPlan:
    """What the specification says of one event.

    ``kinds`` are those of the objects it concerns, parents first, and ``primary`` the one whose story it
    belongs to. ``lines`` move its own objects, ``below`` the children of those, ``anywhere`` every object
    of a kind. ``awaited`` are conditions on the moments of the call, asked at its exit.
    """

    decl: EventDecl
    phase: Phase
    kinds: tuple[str, ...] = ()
    primary: str | None = None
    thread: bool = False
    births: dict[str, Birth] = field(default_factory=dict)
    lines: dict[str, Lines] = field(default_factory=dict)
    below: dict[str, Lines] = field(default_factory=dict)
    anywhere: dict[str, Lines] = field(default_factory=dict)
    assignments: list[Assignment] = field(default_factory=list)
    checks: list[tuple[Rule, Check]] = field(default_factory=list)
    each: list[tuple[Rule, Check]] = field(default_factory=list)
    awaited: tuple[Expr, ...] = ()

    @property
    def entry(self) -> bool:
        return self.phase is self.decl.entry

    @property
    def idle(self) -> bool:
        """Whether this is an exit that changes nothing and that no rule looks at."""
        return not (
            self.entry
            or self.births
            or self.lines
            or self.below
            or self.anywhere
            or self.assignments
            or self.checks
            or self.each
        )

    def changes(self, kind: str) -> bool:
        """Return whether the event may change an object of the kind that it names."""
        moves = any(not line.observe for lines in self.lines.get(kind, {}).values() for line in lines)
        return moves or kind in self.births or any(one.kind == kind for one in self.assignments)

    def expressions(self) -> Iterator[Expr]:
        """Return the conditions that matter at the event, apart from those on children."""
        for birth in self.births.values():
            yield from (birth.guard, birth.loss_if)
        for by_kind in (self.lines, self.anywhere):
            for lines in by_kind.values():
                yield from (line.guard for some in lines.values() for line in some)
        yield from (one.guard for one in self.assignments)
        for _, check in self.checks:
            yield from (check.when, check.require)


@dataclass(slots=True)
class Plan:
    """All events, the obligations by kind, and the groups that an entry renews for ``latest``.

    ``overlapping`` are the functions of which somebody asks whether they overlapped another, or another
    them.
    """

    spec: Spec
    rules: tuple[Rule, ...]
    events: dict[EventKind, EventPlan]
    ends: dict[str, list[tuple[Rule, Check]]]
    groups: dict[str, list[tuple[str, ...]]]
    overlapping: set[str] = field(default_factory=set)


def make_plan(spec: Spec, enabled: frozenset[str]) -> Plan:
    """Sort a specification by event; only the given rules are judged."""
    events = {
        (decl.name, phase): EventPlan(decl, phase)
        for decl in spec.events.values()
        for phase in {decl.entry, decl.exit}
    }
    plan = Plan(spec, tuple(r for r in spec.rules.values() if r.id in enabled), events, {}, {})
    for kind in spec.kinds.values():
        for birth in kind.births:
            events[birth.event].births[kind.name] = birth
    for machine in spec.machines.values():
        for line in machine.transitions:
            one = events[line.event]
            where = one.anywhere if line.anywhere else one.below if line.via_parent else one.lines
            where.setdefault(machine.kind, {}).setdefault(machine.field, []).append(line)
            for node in walk(line.guard):
                if isinstance(node, Latest):
                    for name in node.names:
                        groups = plan.groups.setdefault(name, [])
                        groups += [] if node.names in groups else [node.names]
    for assignment in spec.assignments:
        events[assignment.event].assignments.append(assignment)
    for rule in plan.rules:
        for check in rule.checks:
            if check.event is None:
                plan.ends.setdefault(check.target, []).append((rule, check))
            else:
                one = events[check.event]
                (one.each if check.each else one.checks).append((rule, check))
    for one in events.values():
        _find_kinds(spec, one)
    for one in events.values():
        exit_ = events[one.decl.name, one.decl.exit]
        asked = [e for _, check in one.each for e in (check.when, check.require)]
        nodes = [node for expr in exit_.expressions() for node in walk(expr)]
        if one.entry:
            one.awaited = tuple({n.condition: None for n in nodes if isinstance(n, Sometime)})
        for node in [*nodes, *(node for expr in asked for node in walk(expr))]:
            if isinstance(node, Overlapped):
                plan.overlapping.update((one.decl.name, *node.names))
    return plan


def _find_kinds(spec: Spec, plan: EventPlan) -> None:
    named = set(plan.decl.objects)
    wanted = named | set(plan.lines) | {check.target for _, check in plan.checks}
    wanted |= {check.each_of for _, check in plan.each if check.each_of}
    for expr in plan.expressions():
        wanted |= set(kinds_of(expr))
    for kind in named:
        parent = spec.kinds[kind].parent
        if parent and spec.kinds[kind].scoped:
            wanted.add(parent)

    def rank(kind: str) -> tuple[int, str]:
        depth, above = 0, spec.kinds[kind].parent
        while above is not None:
            depth, above = depth + 1, spec.kinds[above].parent
        return depth, kind

    plan.thread = "thread" in wanted
    plan.kinds = tuple(sorted(wanted - {"thread"}, key=rank))
    plan.primary = max(named, key=rank, default=None)


def kinds_of(expr: Expr) -> Iterator[str]:
    """Return the kinds of the objects that a condition asks about."""
    match expr:
        case And(operands) | Or(operands):
            for operand in operands:
                yield from kinds_of(operand)
        case Not(operand) | Sometime(operand):
            yield from kinds_of(operand)
        case AnyChild(parent=kind) | FieldIn(kind=kind) | IsSet(kind=kind) | OpenFrame(kind=kind):
            yield kind
        case Inside(kind=str() as kind):
            yield kind
        case Compare(left=left, right=right):
            yield from (term.kind for term in (left, right) if isinstance(term, Scalar))
        case HasBits(term=Scalar(kind=kind)):
            yield kind
        case _:
            pass


def tellers(spec: Spec, kind: str) -> frozenset[EventKind]:
    """Return the library's records by which an object without births is known.

    Such an object is there all along.
    """
    if spec.kinds[kind].births:
        return frozenset()
    changes = {line.event for m in spec.machines.values() if m.kind == kind for line in m.transitions}
    changes |= {one.event for one in spec.assignments if one.kind == kind}
    return frozenset(event for event in changes if spec.events[event[0]].record)


def is_output(decl: EventDecl, param: str) -> bool:
    """Return whether the call fills the parameter in."""
    if param == "Return":
        return True
    return any(p.name == param and p.direction is not Direction.IN for p in decl.params)
