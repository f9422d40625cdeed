"""A specification sorted by event, so that a step finds what concerns it without a search."""

from __future__ import annotations

from dataclasses import dataclass, field

from kmclcheck.model.event import Phase
from kmclcheck.model.expr import (
    AnyChild,
    Atom,
    Compare,
    Expr,
    FieldIn,
    HasBits,
    Inside,
    IsSet,
    Latest,
    Not,
    OpenFrame,
    Overlapped,
    Scalar,
    Sometime,
    Truth,
    walk,
)
from kmclcheck.model.spec import (
    Assignment,
    Birth,
    Check,
    EventDecl,
    EventKind,
    Rule,
    Spec,
    Transition,
)

FieldLines = dict[str, tuple[Transition, ...]]
"""Transitions by field name."""


@dataclass(slots=True)
class EventIndex:
    """Everything the specification says about one event.

    ``slots`` are the object kinds it concerns, parents before children; ``primary`` the one whose
    story it belongs to. ``lines`` are transitions by kind and field, ``child_lines`` those of the
    children of a kind the event names, ``any_lines`` those of every object of a kind.
    """

    decl: EventDecl
    phase: Phase
    slots: tuple[str, ...] = ()
    primary: str | None = None
    births: dict[str, Birth] = field(default_factory=dict)
    lines: dict[str, FieldLines] = field(default_factory=dict)
    child_lines: dict[str, FieldLines] = field(default_factory=dict)
    any_lines: dict[str, FieldLines] = field(default_factory=dict)
    assignments: list[Assignment] = field(default_factory=list)
    checks: list[tuple[Rule, Check]] = field(default_factory=list)
    each_checks: list[tuple[Rule, Check]] = field(default_factory=list)
    uses_thread: bool = False

    @property
    def is_entry(self) -> bool:
        return self.phase is self.decl.entry

    @property
    def is_inert(self) -> bool:
        """Return whether this is a return that changes nothing and that no rule judges."""
        matters = self.births or self.lines or self.child_lines or self.any_lines or self.assignments
        return not (self.is_entry or matters or self.checks or self.each_checks)


@dataclass(slots=True)
class SpecIndex:
    """The index of a whole specification under a choice of rules."""

    spec: Spec
    events: dict[EventKind, EventIndex]
    end_checks: dict[str, list[tuple[Rule, Check]]]
    rules: tuple[Rule, ...]
    tracked: frozenset[str]
    silent: dict[str, dict[str, tuple[Transition, ...]]]


def build_index(spec: Spec, enabled: frozenset[str]) -> SpecIndex:
    """Sort the specification by event; only rules in ``enabled`` are judged."""
    events: dict[EventKind, EventIndex] = {}
    for decl in spec.events.values():
        for phase in (decl.entry, decl.exit):
            events[decl.name, phase] = EventIndex(decl, phase)
    for kind in spec.kinds.values():
        for birth in kind.births:
            events[birth.event].births[kind.name] = birth
    for machine in spec.machines.values():
        for line in machine.transitions:
            index = events[line.event]
            target = index.child_lines if line.via_parent else index.lines
            target = index.any_lines if line.anywhere else target
            fields = target.setdefault(machine.kind, {})
            fields[machine.field] = (*fields.get(machine.field, ()), line)
    for assignment in spec.assignments:
        events[assignment.event].assignments.append(assignment)
    end_checks: dict[str, list[tuple[Rule, Check]]] = {}
    rules = tuple(rule for rule in spec.rules.values() if rule.id in enabled)
    for rule in rules:
        for check in rule.checks:
            if check.event is None:
                end_checks.setdefault(check.target, []).append((rule, check))
            elif check.each:
                events[check.event].each_checks.append((rule, check))
            else:
                events[check.event].checks.append((rule, check))
    for index in events.values():
        _find_slots(spec, index)
    silent = {
        kind: {m.field: m.transitions for m in spec.machines.values() if m.kind == kind}
        for kind in spec.kinds
    }
    return SpecIndex(spec, events, end_checks, rules, _tracked(events), silent)


def expressions(index: EventIndex) -> list[Expr]:
    """Return every condition that matters at the event, children's own lines apart."""
    found: list[Expr] = [e for birth in index.births.values() for e in (birth.guard, birth.loss_if)]
    for by_kind in (index.lines, index.any_lines):
        found += [line.guard for fields in by_kind.values() for lines in fields.values() for line in lines]
    found += [a.guard for a in index.assignments]
    found += [e for _, check in index.checks for e in (check.when, check.require)]
    return found


def context_atoms(exprs: list[Expr]) -> tuple[Expr, ...]:
    """Return the atoms whose truth does not follow from the enumerated fields, each once."""
    found: dict[Expr, None] = {}
    for expr in exprs:
        _collect(expr, found)
    return tuple(found)


def _collect(expr: Expr, found: dict[Expr, None]) -> None:
    match expr:
        case FieldIn() | Truth():
            return
        case Not(AnyChild()):
            found[expr] = None
        case Not(operand):
            _collect(operand, found)
        case AnyChild() | Sometime():
            found[expr] = None
        case _:
            operands: tuple[Expr, ...] = getattr(expr, "operands", ())
            if operands:
                for operand in operands:
                    _collect(operand, found)
            elif not hasattr(expr, "operands"):
                found[expr] = None


def kinds_read(exprs: list[Expr]) -> set[str]:
    """Return the object kinds whose own fields the conditions read."""
    kinds: set[str] = set()
    for expr in exprs:
        _kinds(expr, kinds)
    return kinds


def _kinds(expr: Expr, kinds: set[str]) -> None:
    match expr:
        case AnyChild(parent=parent):
            kinds.add(parent)
            return
        case FieldIn(kind=kind) | IsSet(kind=kind) | OpenFrame(kind=kind):
            kinds.add(kind)
        case Inside(kind=kind):
            if kind:
                kinds.add(kind)
        case Compare(left=left, right=right):
            kinds.update(t.kind for t in (left, right) if isinstance(t, Scalar))
        case HasBits(term=Scalar(kind=kind)):
            kinds.add(kind)
        case Sometime(condition=condition):
            _kinds(condition, kinds)
        case Not(operand):
            _kinds(operand, kinds)
        case _:
            for operand in getattr(expr, "operands", ()):
                _kinds(operand, kinds)


def _find_slots(spec: Spec, index: EventIndex) -> None:
    named = list(index.decl.objects)
    wanted = set(named) | kinds_read(expressions(index)) | set(index.lines)
    wanted |= {check.each_of for _, check in index.each_checks if check.each_of}
    wanted |= {check.target for _, check in index.checks}
    for kind in list(wanted):
        parent = spec.kinds[kind].parent
        if kind in named and parent and spec.kinds[kind].scoped:
            wanted.add(parent)

    index.uses_thread = "thread" in wanted
    wanted.discard("thread")
    index.slots = tuple(sorted(wanted, key=lambda k: (spec.depth(k), k)))
    index.primary = max(named, key=lambda k: (spec.depth(k), k), default=None)


def _tracked(events: dict[EventKind, EventIndex]) -> frozenset[str]:
    """Functions and callbacks whose open frames some condition asks about, per object."""
    names: set[str] = set()
    for index in events.values():
        each = [e for _, check in index.each_checks for e in (check.when, check.require)]
        for expr in expressions(index) + each:
            for node in walk(expr):
                if isinstance(node, OpenFrame | Overlapped):
                    names.update(node.names)
                if isinstance(node, Overlapped | Sometime):
                    names.add(index.decl.name)
    return frozenset(names)


def tellers(spec: Spec, kind: str) -> frozenset[EventKind]:
    """Return the records that an object of a kind without births is known by.

    Such an object is there all along, and comes to be known by the first record that names it.
    """
    if spec.kinds[kind].births:
        return frozenset()
    lines = (t.event for m in spec.machines.values() if m.kind == kind for t in m.transitions)
    changes = {*lines, *(a.event for a in spec.assignments if a.kind == kind)}
    return frozenset(e for e in changes if spec.events[e[0]].record)


def latest_groups(spec: Spec) -> dict[str, list[tuple[str, ...]]]:
    """Return, per event name, the groups of ``latest`` conditions that an entry of it renews."""
    groups: dict[str, list[tuple[str, ...]]] = {}
    for machine in spec.machines.values():
        for line in machine.transitions:
            for node in walk(line.guard):
                if isinstance(node, Latest):
                    for name in node.names:
                        if node.names not in groups.setdefault(name, []):
                            groups[name].append(node.names)
    return groups


__all__ = [
    "Atom",
    "EventIndex",
    "FieldLines",
    "SpecIndex",
    "build_index",
    "context_atoms",
    "expressions",
    "kinds_read",
    "latest_groups",
    "tellers",
]
