"""State graphs of machines as an object walks them: edges carry the event and the guard they wait for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum

import networkx as nx

from kmclcheck.engines.explore.walk.answers import KEPT, POSSIBLY, SURELY, Answer, Nodes
from kmclcheck.model.expr import Expr
from kmclcheck.model.spec import EventKind, Machine, ObjectKind, Spec

Ask = Callable[[Expr], Answer]
Fields = dict[str, Nodes]
AskFields = Callable[[Expr, Fields], Answer]


class Reach(Enum):
    """Whom an event moves: the objects it names, the children of one it names, or any of the kind."""

    NAMED = "named"
    CHILDREN = "children"
    ANY = "any"


@dataclass(slots=True)
class EventGraph:
    """The edges of one state graph that wait for one event, and what the event shows without moving."""

    edges: nx.MultiDiGraph
    guards: set[Expr] = field(default_factory=set)
    shows: list[tuple[frozenset[str], Expr]] = field(default_factory=list)


class StateGraph:
    """The graph of one machine: values are nodes, every way from one to another is an edge.

    An edge carries ``event``, ``guard`` and ``stays`` (the line of the machine lets the value be as it is).
    """

    def __init__(self, machine: Machine, values: Collection[str]) -> None:
        self.name = machine.field
        self.values = frozenset(values)
        self.whole = nx.MultiDiGraph()
        self.whole.add_nodes_from(values)
        self.by_event: dict[tuple[EventKind, Reach], EventGraph] = {}
        for line in machine.transitions:
            reach = Reach.CHILDREN if line.via_parent else Reach.ANY if line.anywhere else Reach.NAMED
            mine = self.by_event.get((line.event, reach))
            if mine is None:
                mine = self.by_event[line.event, reach] = EventGraph(nx.MultiDiGraph())
            if line.observe:
                mine.shows.append((line.sources, line.guard))
                continue
            mine.guards.add(line.guard)
            for source in line.sources:
                for target in line.targets or {source}:
                    label = {"event": line.event, "guard": line.guard, "stays": not line.targets}
                    mine.edges.add_edge(source, target, **label)
                    self.whole.add_edge(source, target, **label)

    def could_meet(self, event: EventKind, now: Nodes) -> bool:
        """Return whether an event could happen to an object that is here, as far as this graph tells."""
        parts = [part for (kind, _), part in self.by_event.items() if kind == event]
        starts = {source for part in parts for source, _ in part.edges.edges()}
        if not any(part.guards for part in parts):
            starts = {value for part in parts for sources, _ in part.shows for value in sources}
        return not parts or not starts.isdisjoint(now.values)

    def reached(self, now: Nodes, events: Collection[EventKind], possible: Callable[[Expr], bool]) -> Nodes:
        """Return where an object may be after any number of these events that nobody saw."""
        ways = nx.DiGraph()
        ways.add_nodes_from(self.whole)
        ways.add_edges_from(
            (source, target)
            for source, target, label in self.whole.edges(data=True)
            if source != target and label["event"] in events and possible(label["guard"])
        )
        found = set(now.values).union(*(nx.descendants(ways, node) for node in now.values))
        return now if found == now.values else Nodes(frozenset(found), True)


def follow(now: Nodes, graph: EventGraph, ask: Ask) -> tuple[Nodes, bool]:
    """Return where an object is after an event, and whether the event by itself determined it.

    A node without an edge for the event is one where the object cannot have been. If that excludes all of
    them, the object is where the event leads, whatever was before.
    """
    now = _shown(now, graph, ask)
    answers = {guard: ask(guard) for guard in graph.guards}
    if not answers:
        return now, False
    heads: set[str] = set()
    lacking = determined = False
    for node in now.values:
        if node not in graph.edges:
            continue
        moves = sure = False
        for _, head, label in graph.edges.out_edges(node, data=True):
            moves = True
            answer = answers[label["guard"]]
            if answer & POSSIBLY:
                heads.add(head)
                lacking = lacking or not answer & KEPT
            if answer & SURELY:
                sure = True
                determined = determined or not label["stays"]
        if moves and not sure:
            heads.add(node)
    if heads:
        return Nodes(frozenset(heads), (now.lacking or lacking) and len(heads) > 1), determined
    implied = {head for _, head, label in graph.edges.edges(data=True) if answers[label["guard"]] & POSSIBLY}
    if not implied:
        return now, False
    return Nodes(frozenset(implied), now.lacking and len(implied) > 1), True


def _shown(now: Nodes, graph: EventGraph, ask: Ask) -> Nodes:
    """Take what the event shows of an object of which data is missing; it never excludes what is known."""
    for sources, guard in graph.shows:
        if now.lacking and ask(guard) & SURELY:
            left = now.values & sources
            if left:
                now = Nodes(left, len(left) > 1)
    return now


def unseen(
    graphs: Mapping[str, StateGraph], now: Fields, events: Collection[EventKind], ask: AskFields
) -> Fields:
    """Return where an object may be in all its graphs after any of these events that nobody saw.

    One event moves an object in several graphs at once, so it can have happened only if the object may have
    been, in each of them, where the event is possible.
    """
    while True:
        before = now
        happened = {e for e in events if all(g.could_meet(e, before[name]) for name, g in graphs.items())}

        def possible(guard: Expr, fields: Fields = before) -> bool:
            return bool(ask(guard, fields) & POSSIBLY)

        now = {
            name: graphs[name].reached(nodes, happened, possible) if name in graphs else nodes
            for name, nodes in before.items()
        }
        if now == before:
            return now


def state_graphs(spec: Spec, kind: ObjectKind) -> dict[str, StateGraph]:
    """Return the state graphs of a kind of object, by field."""
    return {
        machine.field: StateGraph(machine, kind.enums[machine.field].values)
        for machine in spec.machines.values()
        if machine.kind == kind.name
    }
