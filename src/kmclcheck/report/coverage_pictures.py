"""State diagrams with counts: what was taken in black, what never was in grey. Loops are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kmclcheck.engines.coverage import Count, Coverage

_GREY = "gray60"


def _dot(coverage: Coverage, machines: Sequence[str]) -> Iterator[str]:
    for name in machines:
        yield f"digraph {_quoted(name)} {{"
        yield "    rankdir=LR"
        yield "    node [shape=box, style=rounded]"
        for state, count in coverage.states_of(name):
            label = _quoted(f"{state.value}\n{_told(count)}")
            grey = "" if count.certain else f", color={_GREY}, fontcolor={_GREY}"
            yield f"    {_quoted(state.value)} [label={label}{grey}]"
        for (source, target), rows in _arrows(coverage, name).items():
            label = _quoted("\n".join(f"{text}: {_told(count)}" for text, count in rows))
            taken = any(count.certain for _, count in rows)
            grey = "" if taken else f", color={_GREY}, fontcolor={_GREY}"
            yield f"    {_quoted(source)} -> {_quoted(target)} [label={label}{grey}]"
        yield "}"


def _mermaid(coverage: Coverage, machines: Sequence[str]) -> Iterator[str]:
    for name in machines:
        yield from ("---", f"title: {name}", "---", "stateDiagram-v2")
        yield "    classDef untouched fill:#eee,stroke:#bbb,color:#999"
        for state, count in coverage.states_of(name):
            yield f"    {state.value} : {_escaped(f'{state.value} ({_told(count)})')}"
            if not count.certain:
                yield f"    class {state.value} untouched"
        yield f"    [*] --> {coverage.universe.initial(name)}"
        for (source, target), rows in _arrows(coverage, name).items():
            # Mermaid cannot colour a single arrow, so the word "never" has to do.
            text = "<br>".join(_escaped(f"{text}, {_told(count)}") for text, count in rows)
            yield f"    {source} --> {target} : {text}"


def _arrows(coverage: Coverage, machine: str) -> dict[tuple[str, str], list[tuple[str, Count]]]:
    """Return, for each pair of values, the events between them with their counts.

    A line with several targets is drawn to each of them: which one followed is not known.
    """
    found: dict[tuple[str, str], list[tuple[str, Count]]] = {}
    for edge, count in coverage.edges_of(machine):
        if edge.reborn:
            continue
        for target in edge.targets:
            if target != edge.source:
                text = edge.event + (f" [{edge.guard}]" if edge.guard else "")
                found.setdefault((edge.source, target), []).append((text, count))
    return found


def _told(count: Count) -> str:
    if count.certain:
        return f"{count.certain}x"
    return "perhaps" if count.perhaps else "never"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _escaped(text: str) -> str:
    return text.replace("#", "#35;").replace(";", "#59;").replace("#35#59;", "#35;").replace(":", "#58;")


def svg(coverage: Coverage, machine: str) -> str:
    """Return the state diagram of one machine, with counts."""
    # Drawing is the only part of a coverage run that needs graphs.
    from kmclcheck.diagrams.arrows import Use
    from kmclcheck.diagrams.names import short_names
    from kmclcheck.diagrams.states import state_diagram
    from kmclcheck.engines.explore.graphs import state_graph, without_loops

    spec = coverage.universe.spec
    graph = without_loops(state_graph(spec, coverage.universe.machines[machine]))
    edges: dict[tuple[str, str, str], int] = {}
    never: set[tuple[str, str, str, str]] = set()
    for edge, count in coverage.edges_of(machine):
        for target in edge.targets:
            if edge.reborn:
                never.add((edge.source, target, edge.event, edge.guard))
            event = edge.event + (f" [{edge.guard}]" if edge.guard else "")
            key = edge.source, target, event
            edges[key] = edges.get(key, 0) + count.certain
    for source, target, key_, data in list(graph.edges(keys=True, data=True)):
        if (source, target, data["event"], data["guard"]) in never:
            graph.remove_edge(source, target, key_)
    states = {state.value: count.certain for state, count in coverage.states_of(machine)}
    return state_diagram([graph], short_names(spec), use=Use(states, edges))


WRITERS: dict[str, Callable[[Coverage, Sequence[str]], Iterator[str]]] = {"dot": _dot, "mermaid": _mermaid}
"""Give the lines of a text with one diagram for each machine."""
