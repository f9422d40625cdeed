"""How often everything was covered, and how counts of several traces and runs add up."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from fractions import Fraction

from kmclcheck.engines.coverage.universe import Edge, State, Universe


@dataclass(slots=True)
class Count:
    """How often something was covered for certain, and how often perhaps."""

    certain: int = 0
    perhaps: int = 0

    def add(self, other: Count) -> None:
        self.certain += other.certain
        self.perhaps += other.perhaps


@dataclass(slots=True)
class RuleCount:
    """How often a rule was decided and how often it stayed open; in how many traces it was broken.

    A rule is exercised when it was decided or broken.
    """

    decided: int = 0
    open: int = 0
    failed: int = 0

    @property
    def exercised(self) -> bool:
        return bool(self.decided or self.failed)

    def add(self, other: RuleCount) -> None:
        self.decided += other.decided
        self.open += other.open
        self.failed += other.failed


@dataclass(slots=True)
class EventCount:
    """How often a function or callback was entered and left; a record of the library is only entered."""

    entries: int = 0
    exits: int = 0

    def add(self, other: EventCount) -> None:
        self.entries += other.entries
        self.exits += other.exits


@dataclass(frozen=True, slots=True)
class Share:
    """How much of something was covered. ``perhaps``: how many more perhaps were."""

    covered: int
    total: int
    perhaps: int = 0

    @property
    def percent(self) -> Fraction:
        """The exact percentage; of nothing, everything is covered."""
        return Fraction(100 * self.covered, self.total) if self.total else Fraction(100)


@dataclass(slots=True)
class Coverage:
    """What a set of traces covered, by the numbers of a universe."""

    universe: Universe
    states: list[Count] = field(default_factory=list)
    edges: list[Count] = field(default_factory=list)
    rules: dict[str, RuleCount] = field(default_factory=dict)
    events: dict[str, EventCount] = field(default_factory=dict)
    traces: int = 0
    records: int = 0

    def __post_init__(self) -> None:
        self.states = self.states or [Count() for _ in self.universe.states]
        self.edges = self.edges or [Count() for _ in self.universe.edges]
        self.rules = self.rules or {rule.id: RuleCount() for rule in self.universe.rules}
        self.events = self.events or {decl.name: EventCount() for decl in self.universe.events}

    def add(self, other: Coverage) -> None:
        """Add the counts of other traces on the same universe."""
        for mine, theirs in zip(self.states, other.states, strict=True):
            mine.add(theirs)
        for mine, theirs in zip(self.edges, other.edges, strict=True):
            mine.add(theirs)
        for id, rule in other.rules.items():
            self.rules[id].add(rule)
        for name, event in other.events.items():
            self.events[name].add(event)
        self.traces += other.traces
        self.records += other.records

    def doubt(self) -> None:
        """Nothing is certain any more: what was counted for certain is perhaps covered."""
        for count in (*self.states, *self.edges):
            count.perhaps += count.certain
            count.certain = 0

    def states_of(self, machine: str) -> list[tuple[State, Count]]:
        """Return the values of a machine with their counts."""
        pairs = zip(self.universe.states, self.states, strict=True)
        return [(state, count) for state, count in pairs if state.machine == machine]

    def edges_of(self, machine: str) -> list[tuple[Edge, Count]]:
        """Return the transitions of a machine with their counts."""
        pairs = zip(self.universe.edges, self.edges, strict=True)
        return [(edge, count) for edge, count in pairs if edge.machine == machine]

    def state_share(self, machines: Collection[str]) -> Share:
        """Return how many values of these machines were covered."""
        return _share([count for name in machines for _, count in self.states_of(name)])

    def edge_share(self, machines: Collection[str]) -> Share:
        """Return how many transitions of these machines were covered, of those one can be certain of."""
        return _share([c for name in machines for edge, c in self.edges_of(name) if edge.counted])

    def stay_share(self, machines: Collection[str]) -> Share:
        """Return how many of the events that let a value stay were met there."""
        edges = [one for name in machines for one in self.edges_of(name)]
        return _share([c for edge, c in edges if edge.stays and edge.possible])

    def rule_share(self) -> Share:
        """Return how many rules were exercised."""
        rules = self.rules.values()
        done = sum(rule.exercised for rule in rules)
        return Share(done, len(rules), sum(bool(r.open) and not r.exercised for r in rules))

    def event_share(self) -> Share:
        """Return how many functions, callbacks and records occurred."""
        return Share(sum(bool(e.entries or e.exits) for e in self.events.values()), len(self.events))


def _share(counts: Collection[Count]) -> Share:
    perhaps = sum(bool(c.perhaps) and not c.certain for c in counts)
    return Share(sum(bool(c.certain) for c in counts), len(counts), perhaps)
