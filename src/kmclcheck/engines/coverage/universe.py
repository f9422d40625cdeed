"""What there is to cover: the values and the transitions of the machines, each with a number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from kmclcheck.model.expr import And, Truth
from kmclcheck.model.spec import EventDecl, Machine, Rule, Spec, Transition
from kmclcheck.speclang import format_expr


@dataclass(frozen=True, slots=True)
class State:
    """A value of a machine."""

    machine: str
    value: str


@dataclass(frozen=True, slots=True)
class Edge:
    """A line of a machine at one of its sources: a transition, or an event that lets the value stay.

    ``guard`` is empty if there is none. Several ``targets``: the documents leave open which one follows.
    ``through``: "parent" where the event names the parent, "any" where it does not tell which object it
    concerns, so that nobody can be certain of the line. ``reborn``: the event is the birth of another
    object, which begins with another value, so that the line never applies here.
    """

    machine: str
    source: str
    event: str
    guard: str
    targets: tuple[str, ...]
    through: str = ""
    reborn: bool = False

    @property
    def stays(self) -> bool:
        return self.targets == (self.source,)

    @property
    def possible(self) -> bool:
        """Whether it can be covered for certain at all."""
        return self.through != "any" and not self.reborn

    @property
    def counted(self) -> bool:
        """Whether it is one of the transitions that percentages are about."""
        return self.possible and not self.stays


class Universe:
    """All states and edges of a specification, numbered, and the rules and events that go with them."""

    def __init__(self, spec: Spec, rules: Iterable[str]) -> None:
        self.spec = spec
        chosen = frozenset(rules)
        self.rules: tuple[Rule, ...] = tuple(rule for rule in spec.rules.values() if rule.id in chosen)
        self.events: tuple[EventDecl, ...] = tuple(spec.events.values())
        self.machines: dict[str, Machine] = {f"{m.kind}.{m.field}": m for m in spec.machines.values()}
        self.states: tuple[State, ...] = tuple(
            State(name, value) for name, m in self.machines.items() for value in _values(spec, m)
        )
        self.state_number = {
            (self.machines[s.machine].kind, self.machines[s.machine].field, s.value): number
            for number, s in enumerate(self.states)
        }
        numbers: dict[Edge, int] = {}
        # Lines are told apart by identity; the specification keeps them alive.
        self.edge_number: dict[tuple[int, str], int] = {}
        for name, machine in self.machines.items():
            for line in machine.transitions:
                if line.observe:
                    continue
                event = f"{line.event[0]}.{line.event[1].value}"
                guard = "" if line.guard == Truth(True) else format_expr(line.guard, spec)
                through = "parent" if line.via_parent else "any" if line.anywhere else ""
                order = _values(spec, machine)
                for source in (value for value in order if value in line.sources):
                    targets = tuple(v for v in order if v in line.targets) or (source,)
                    edge = Edge(
                        name, source, event, guard, targets, through, _reborn(spec, machine, line, source)
                    )
                    self.edge_number[id(line), source] = numbers.setdefault(edge, len(numbers))
        self.edges: tuple[Edge, ...] = tuple(numbers)

    def initial(self, machine: str) -> str:
        """Return the value at a birth."""
        one = self.machines[machine]
        return self.spec.kinds[one.kind].enums[one.field].initial

    def absent(self, machine: str) -> frozenset[str]:
        """Return the values that a handle without a living object may stand for."""
        one = self.machines[machine]
        return self.spec.kinds[one.kind].enums[one.field].absent

    @property
    def fingerprint(self) -> str:
        """A digest of everything there is to cover: counts add up only if it is the same."""
        digest = hashlib.sha256()
        for part in (
            self.states,
            self.edges,
            tuple(r.id for r in self.rules),
            tuple(e.name for e in self.events),
        ):
            digest.update(repr(part).encode("utf-8"))
        return digest.hexdigest()[:16]


def _values(spec: Spec, machine: Machine) -> tuple[str, ...]:
    return spec.kinds[machine.kind].enums[machine.field].values


def _reborn(spec: Spec, machine: Machine, line: Transition, source: str) -> bool:
    """Return whether a line, wherever it applies, belongs to a newborn object that has another value."""
    kind = spec.kinds[machine.kind]
    if source == kind.enums[machine.field].initial:
        return False
    asked = line.guard.operands if isinstance(line.guard, And) else (line.guard,)
    return any(b.event == line.event and (b.guard == Truth(True) or b.guard in asked) for b in kind.births)
