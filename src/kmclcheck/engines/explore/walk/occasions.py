"""A specification arranged by occasion: one edge of a call or callback, with all that it says about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from kmclcheck.engines.explore.walk.graphs import EventGraph, Reach, StateGraph, state_graphs
from kmclcheck.model import expr as e
from kmclcheck.model.event import Phase
from kmclcheck.model.spec import (
    Assignment,
    Birth,
    Check,
    Direction,
    EventDecl,
    EventKind,
    ObjectKind,
    Rule,
    Spec,
)

THREAD = "thread"

Moves = dict[str, dict[str, EventGraph]]
"""Event graphs by kind of object and field."""


@dataclass(slots=True)
class Occasion:
    """One edge of a call or callback, or a record.

    ``concerns``: the kinds of objects that it is about, parents before children; those it does not name are
    found as parents of those it names. ``outputs``: parameters that the library fills in. ``subject``: the
    kind whose story it belongs to. ``awaited``: what the exit wants to have held at some moment.
    ``groups``: of ``latest`` conditions, those that an entry renews.
    """

    decl: EventDecl
    phase: Phase
    entry: bool
    concerns: tuple[str, ...]
    outputs: frozenset[str]
    subject: str | None
    births: dict[str, Birth] = field(default_factory=dict)
    moves: dict[Reach, Moves] = field(default_factory=lambda: {reach: {} for reach in Reach})
    assignments: list[Assignment] = field(default_factory=list)
    checks: list[tuple[Rule, Check]] = field(default_factory=list)
    awaited: tuple[e.Expr, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()

    def changes(self, kind: str) -> bool:
        """Return whether the event may change an object of the kind that it is about."""
        moved = any(graph.guards for graph in self.moves[Reach.NAMED].get(kind, {}).values())
        return moved or kind in self.births or any(a.kind == kind for a in self.assignments)

    @property
    def says_nothing(self) -> bool:
        """Whether this is an exit that changes nothing and that no rule looks at."""
        return not (self.entry or self.births or any(self.moves.values()) or self.assignments or self.checks)


class Protocol:
    """A specification as the walk needs it, under a choice of rules.

    ``graphs``: state graphs by kind and field; ``hideable``: what of them may be walked unseen;
    ``conditions``: under which callbacks show at all; ``tellers``: the records by which alone objects of
    a kind are known; ``overlapping``: the calls of which it matters that they overlap.
    """

    def __init__(self, spec: Spec, enabled: frozenset[str]) -> None:
        self.spec = spec
        self.enabled = enabled
        self.rules = tuple(rule for rule in spec.rules.values() if rule.id in enabled)
        self.graphs = {kind.name: state_graphs(spec, kind) for kind in spec.kinds.values()}
        self.conditions = {
            name: decl.recorded_when for name, decl in spec.events.items() if decl.recorded_when is not None
        }
        self.hideable = {kind: self._hideable(kind) for kind in spec.kinds}
        self.occasions: dict[EventKind, Occasion] = {}
        for decl in spec.events.values():
            for phase in {decl.entry, decl.exit}:
                self.occasions[decl.name, phase] = self._occasion(decl, phase)
        for kind in spec.kinds.values():
            for birth in kind.births:
                self.occasions[birth.event].births[kind.name] = birth
            for name, graph in self.graphs[kind.name].items():
                self._place(kind, name, graph)
        for assignment in spec.assignments:
            self.occasions[assignment.event].assignments.append(assignment)
        self.due_at_end: dict[str, list[tuple[Rule, Check]]] = {}
        for rule in self.rules:
            for check in rule.checks:
                if check.event is None:
                    self.due_at_end.setdefault(check.target, []).append((rule, check))
                else:
                    self.occasions[check.event].checks.append((rule, check))
        for decl in spec.events.values():
            entry, leave = self.occasions[decl.name, decl.entry], self.occasions[decl.name, decl.exit]
            entry.awaited = tuple(
                dict.fromkeys(n.condition for n in _atoms(leave) if isinstance(n, e.Sometime))
            )
        self._renewed()
        self.tellers = {kind.name: self._tellers(kind) for kind in spec.kinds.values()}
        self.overlapping = {
            name
            for occasion in self.occasions.values()
            for node in _atoms(occasion)
            if isinstance(node, e.Overlapped)
            for name in (*node.names, occasion.decl.name)
        }

    def _hideable(self, kind: str) -> dict[str, StateGraph]:
        """Return the state graphs of a kind with what objects may walk unseen.

        A callback that is not recorded cannot be what shows that callbacks are recorded.
        """
        parts = [node for condition in self.conditions.values() for node in e.walk(condition)]
        telling = {(node.kind, node.field) for node in parts if isinstance(node, e.FieldIn)}
        found: dict[str, StateGraph] = {}
        for machine in self.spec.machines.values():
            if machine.kind == kind:
                lines = machine.transitions
                if (kind, machine.field) in telling:
                    lines = tuple(line for line in lines if line.event[0] not in self.conditions)
                values = self.spec.kinds[kind].enums[machine.field].values
                found[machine.field] = StateGraph(replace(machine, transitions=lines), values)
        return found

    def _occasion(self, decl: EventDecl, phase: Phase) -> Occasion:
        kinds = self.spec.kinds
        concerns: set[str] = set()
        for kind in decl.objects:
            above: str | None = kind
            while above is not None:
                concerns.add(above)
                above = kinds[above].parent
        outputs = {p.name for p in decl.params if p.direction is not Direction.IN} | {"Return"}
        return Occasion(
            decl, phase, phase is decl.entry,
            tuple(sorted(concerns, key=lambda k: (self.spec.depth(k), k))), frozenset(outputs),
            max(decl.objects, key=lambda k: (self.spec.depth(k), k), default=None),
        )  # fmt: skip

    def _place(self, kind: ObjectKind, name: str, graph: StateGraph) -> None:
        for (event, reach), part in graph.by_event.items():
            self.occasions[event].moves[reach].setdefault(kind.name, {})[name] = part

    def _renewed(self) -> None:
        """Find what the entries of an event renew for ``latest``."""
        groups: dict[str, dict[tuple[str, ...], None]] = {}
        for occasion in self.occasions.values():
            for node in _atoms(occasion):
                if isinstance(node, e.Latest):
                    for name in node.names:
                        groups.setdefault(name, {})[node.names] = None
        for (name, _), occasion in self.occasions.items():
            occasion.groups = tuple(groups.get(name, ()))

    def _tellers(self, kind: ObjectKind) -> frozenset[EventKind]:
        """Return the records by which alone an object of a kind without births is known."""
        if kind.births:
            return frozenset()
        changing = {event for graph in self.graphs[kind.name].values() for event, _ in graph.by_event}
        changing |= {a.event for a in self.spec.assignments if a.kind == kind.name}
        return frozenset(event for event in changing if self.spec.events[event[0]].record)


def _atoms(occasion: Occasion) -> Iterable[e.Expr]:
    """Return every part of every condition that is asked on this occasion."""
    asked: list[e.Expr] = [c for b in occasion.births.values() for c in (b.guard, b.loss_if)]
    for moves in occasion.moves.values():
        for graphs in moves.values():
            for graph in graphs.values():
                asked += [*graph.guards, *(guard for _, guard in graph.shows)]
    asked += [assignment.guard for assignment in occasion.assignments]
    asked += [c for _, check in occasion.checks for c in (check.when, check.require)]
    return [node for condition in asked for node in e.walk(condition)]
