"""What was never exercised, with a shortest way there through the states of its machine.

The way is one through the state graph of a single machine, from the value at a birth: what other machines
or rules ask besides is not looked at, only told, as the guards of the steps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from kmclcheck.engines.coverage.tally import Count, Coverage
from kmclcheck.engines.coverage.universe import Edge, State, Universe
from kmclcheck.model.event import Event
from kmclcheck.model.spec import EventDecl, Rule


@dataclass(frozen=True, slots=True)
class Step:
    """An event that takes an object from the source of an edge to one of its targets."""

    edge: Edge
    target: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What the solver says of a value. ``reached``: by ``records`` that keep all rules of the core; ``None``:
    it found no answer in time. ``certain``: an object has the value for sure then, not as one of several.
    """

    reached: bool | None
    certain: bool = True
    records: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """A value or a transition that was not covered for certain. ``perhaps``: it may have been.

    ``way`` begins where an object begins, at ``start``; ``None``: no events lead there. ``proof``: if
    the solver was asked.
    """

    what: State | Edge
    perhaps: bool
    start: str
    way: tuple[Step, ...] | None
    proof: Proof | None = None


@dataclass(frozen=True, slots=True)
class Gaps:
    """Everything that was never exercised: of the machines that were asked for, and of rules and events."""

    machines: tuple[Missing, ...]
    rules: tuple[Rule, ...]
    events: tuple[EventDecl, ...]


def gaps(coverage: Coverage, machines: Collection[str], stays: bool = False) -> Gaps:
    """Return what was never exercised, in the order of the specification.

    ``stays``: the events that let a value stay, too.
    """
    universe = coverage.universe
    found: list[Missing] = []
    for machine in machines:
        start, ways = universe.initial(machine), shortest_ways(universe, machine)
        for state, count in coverage.states_of(machine):
            if not count.certain:
                found.append(Missing(state, _perhaps(count), start, ways.get(state.value)))
        for edge, count in coverage.edges_of(machine):
            if (edge.possible if stays else edge.counted) and not count.certain:
                way = ways.get(edge.source)
                whole = None if way is None else (*way, Step(edge, edge.targets[0]))
                found.append(Missing(edge, _perhaps(count), start, whole))
    rules = tuple(rule for rule in universe.rules if not coverage.rules[rule.id].exercised)
    counts = coverage.events
    events = tuple(d for d in universe.events if not (counts[d.name].entries or counts[d.name].exits))
    return Gaps(tuple(found), rules, events)


def shortest_ways(universe: Universe, machine: str) -> dict[str, tuple[Step, ...]]:
    """Return, for each value that can be reached, the fewest events that lead there from where objects begin.

    An object of a kind that has births begins with one of them; only values that no birth leads to are
    looked for without. Of ways that are equally long, one whose last steps need no guard comes first.
    """
    one = universe.machines[machine]
    births = {birth.event for birth in universe.spec.kinds[one.kind].births}
    names = {f"{name}.{phase.value}" for name, phase in births}
    start = universe.initial(machine)
    edges: dict[str, list[Edge]] = {}
    for edge in sorted(universe.edges, key=lambda edge: bool(edge.guard)):
        if edge.machine == machine and not edge.reborn:
            edges.setdefault(edge.source, []).append(edge)
    firsts = [Step(e, t) for e in edges.get(start, ()) if e.event in names for t in e.targets]
    ways: dict[str, tuple[Step, ...]] = {}
    if names - {step.edge.event for step in firsts}:
        # Some birth leaves the value as it is.
        ways[start] = ()
    for step in firsts:
        ways.setdefault(step.target, (step,))
    _spread(ways, edges)
    if start not in ways:
        ways[start] = ()
        _spread(ways, edges)
    return ways


def _spread(ways: dict[str, tuple[Step, ...]], edges: dict[str, list[Edge]]) -> None:
    """Add the values that can be reached from those that have a way already, the nearest first."""
    waiting = deque(sorted(ways, key=lambda value: len(ways[value])))
    while waiting:
        value = waiting.popleft()
        for edge in edges.get(value, ()):
            for target in edge.targets:
                if target not in ways:
                    ways[target] = (*ways[value], Step(edge, target))
                    waiting.append(target)


def _perhaps(count: Count) -> bool:
    return count.perhaps > 0
