"""State graphs of machines: values of a field as nodes, what moves it from one to another as edges."""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx

from kmclcheck.model.expr import Truth
from kmclcheck.model.spec import Machine, Spec
from kmclcheck.speclang import format_expr


def machine_name(machine: Machine) -> str:
    """Return how a machine is called: its kind of object and its field."""
    return f"{machine.kind}.{machine.field}"


def state_graph(spec: Spec, machine: Machine) -> nx.MultiDiGraph:
    """Return the graph of one machine.

    Nodes carry ``initial``, ``dead`` and ``absent``; edges ``event``, ``guard`` (empty if there is none),
    ``role`` of the event and ``through`` ("parent" where the event names the parent). A line that only
    shows a state is no edge; one that lets the value stay is a loop.
    """
    enum = spec.kinds[machine.kind].enums[machine.field]
    graph = nx.MultiDiGraph(name=machine_name(machine), doc=machine.doc)
    for value in enum.values:
        graph.add_node(
            value, initial=value == enum.initial, dead=value in enum.dead, absent=value in enum.absent
        )
    for line in machine.transitions:
        if line.observe:
            continue
        name, phase = line.event
        for source in _ordered(enum.values, line.sources):
            for target in _ordered(enum.values, line.targets) or [source]:
                graph.add_edge(
                    source,
                    target,
                    event=f"{name}.{phase.value}",
                    guard="" if line.guard == Truth(True) else format_expr(line.guard, spec),
                    role=spec.events[name].role,
                    through="parent" if line.via_parent else "any" if line.anywhere else "",
                )
    return graph


def without_loops(graph: nx.MultiDiGraph) -> nx.MultiDiGraph:
    """Return the graph without the events that let a value stay."""
    kept = graph.copy()
    kept.remove_edges_from(list(nx.selfloop_edges(graph, keys=True)))
    return kept


def unreachable(graph: nx.MultiDiGraph) -> list[str]:
    """Return the values that no events lead to from where an object begins."""
    starts = [node for node, data in graph.nodes(data=True) if data["initial"] or data["absent"]]
    reached = {n for start in starts for n in nx.descendants(graph, start)} | set(starts)
    return [node for node in graph if node not in reached]


def _ordered(values: Iterable[str], wanted: frozenset[str]) -> list[str]:
    return [value for value in values if value in wanted]
