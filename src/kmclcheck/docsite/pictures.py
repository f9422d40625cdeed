"""State diagrams of pages: SVG, and the same as Mermaid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kmclcheck.diagrams.arrows import Forbidden
from kmclcheck.diagrams.states import state_diagram
from kmclcheck.docsite import facts
from kmclcheck.docsite.blocks import Figure
from kmclcheck.docsite.evidence import Told
from kmclcheck.docsite.site import Site
from kmclcheck.engines.explore.graphs import machine_name, state_graph, without_loops
from kmclcheck.model.spec import Machine, Rule

_MANY = 4


def machine_figure(site: Site, machine: Machine, caption: str) -> Figure:
    """Return the diagram of a whole machine, without the events that leave the state as it is."""
    graph = without_loops(state_graph(site.spec, machine))
    # The page says in its own words what the machine is.
    graph.graph["doc"] = ""
    return Figure(state_diagram([graph], site.names), caption, _mermaid(site, graph, list(graph), None))


def rule_figures(site: Site, rule: Rule, broken: Told | None) -> list[Figure]:
    """Return a diagram for each machine that a rule constrains: the states it touches, the fault in red."""
    return [_edge_figure(site, rule, edge, broken) for edge in facts.edges(site.spec, rule)]


def _edge_figure(site: Site, rule: Rule, edge: facts.Edge, broken: Told | None) -> Figure:
    machine, enum = edge.machine, site.spec.kinds[edge.machine.kind].enums[edge.machine.field]
    graph = without_loops(state_graph(site.spec, machine))
    graph.graph["doc"] = ""
    source = _source(site, edge, broken)
    near = {*graph.predecessors(source), *graph.successors(source)}
    kept = [value for value in enum.values if value in edge.keep]
    if len(kept) > _MANY:
        kept = [value for value in kept if value in near] or kept[:_MANY]
    event = facts.place(edge.check)
    target = None
    for line in machine.transitions:
        if line.event == edge.check.event and source in line.sources and not line.observe:
            target = next((v for v in enum.values if v in line.targets and v != source), target)
    forbidden = Forbidden(source, event, target, f"forbidden by {rule.id}")
    states = [v for v in enum.values if v in {*kept, source, *([target] if target else [])}]
    field = machine.kind, machine.field
    certain = [v for v in edge.bad if facts.forbids(edge.check, field, v)]
    perhaps = [v for v in edge.bad if v not in certain]
    places = [f"in {_listed(certain)}"] if certain else []
    places += [f"in {_listed(perhaps)} under further conditions"] if perhaps else []
    caption = f"{machine_name(machine)}: {event} is forbidden {' and '.join(places)}"
    left_out = len(enum.values) - len(states)
    caption += f". {left_out} other state{'s are' if left_out > 1 else ' is'} not shown." if left_out else "."
    svg = state_diagram([graph], site.names, keep=states, forbidden=forbidden)
    return Figure(svg, caption, _mermaid(site, graph, states, forbidden))


def _source(site: Site, edge: facts.Edge, broken: Told | None) -> str:
    """Return the state to draw the forbidden event in: that of the counterexample, or a likely one."""
    machine = edge.machine
    seen = set() if broken is None else site.teller.before_fault(broken, machine.kind, machine.field)
    enum = site.spec.kinds[machine.kind].enums[machine.field]
    alive = [value for value in edge.bad if value not in enum.dead | enum.absent]
    return next((value for value in edge.bad if value in seen), (alive or list(edge.bad))[0])


def _listed(values: Sequence[str]) -> str:
    *most, last = values
    return f"{', '.join(most)} and {last}" if most else last


def _mermaid(site: Site, graph: Any, states: list[str], forbidden: Forbidden | None) -> str:
    ids = {value: f"s{number}" for number, value in enumerate(graph)}
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{_escaped(value)}" as {ids[value]}' for value in states]
    labels: dict[tuple[str, str], list[str]] = {}
    for source, target, data in graph.edges(data=True):
        if source in states and target in states:
            through = {"parent": " of the parent", "any": " of any"}.get(data["through"], "")
            guard = f" [{data['guard']}]" if data["guard"] else ""
            text = _escaped(site.names.event(f"{data['event']}{through}{guard}"))
            labels.setdefault((source, target), []).append(text)
    for value in states:
        if graph.nodes[value]["initial"]:
            lines.append(f"    [*] --> {ids[value]}")
        if graph.nodes[value]["dead"]:
            lines.append(f"    {ids[value]} --> [*]")
    lines += [f"    {ids[a]} --> {ids[b]}: {'<br>'.join(texts)}" for (a, b), texts in labels.items()]
    if forbidden is not None:
        event = _escaped(site.names.event(forbidden.event))
        lines += [
            '    state "forbidden" as fault',
            f"    {ids[forbidden.source]} --> fault: {event}",
            "    classDef fault fill:#fdeaec,stroke:#c0182b,color:#c0182b",
            "    class fault fault",
        ]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return "".join(f"#{ord(c)};" if c in '#;:"<>&%`' else c for c in text)
