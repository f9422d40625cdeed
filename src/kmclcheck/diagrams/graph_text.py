"""State graphs for other tools: DOT, Mermaid, GraphML and the node-link JSON of networkx."""

from __future__ import annotations

import io
import json

import networkx as nx


def _label(data: dict[str, str]) -> str:
    through = " of the parent" if data["through"] == "parent" else ""
    return f"{data['event']}{through}" + (f" [{data['guard']}]" if data["guard"] else "")


def _grouped(graph: nx.MultiDiGraph) -> dict[tuple[str, str], list[str]]:
    """Return the labels of the edges between two values."""
    found: dict[tuple[str, str], list[str]] = {}
    for source, target, data in graph.edges(data=True):
        found.setdefault((source, target), []).append(_label(data))
    return found


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _dot(graphs: list[nx.MultiDiGraph]) -> str:
    lines = []
    for graph in graphs:
        lines += [
            f"digraph {_quoted(graph.name)} {{",
            "    rankdir=LR",
            "    node [shape=box, style=rounded]",
        ]
        for node, data in graph.nodes(data=True):
            marks = []
            if data["initial"]:
                marks.append("penwidth=2")
            if data["dead"]:
                marks.append("peripheries=2")
            lines.append(f"    {_quoted(node)}" + (f" [{', '.join(marks)}]" if marks else ""))
        for (source, target), labels in _grouped(graph).items():
            label = _quoted("\n".join(labels)).replace("\n", "\\n")
            lines.append(f"    {_quoted(source)} -> {_quoted(target)} [label={label}]")
        lines.append("}")
    return "\n".join(lines) + "\n"


def _mermaid(graphs: list[nx.MultiDiGraph]) -> str:
    lines = []
    for graph in graphs:
        # One diagram a file is what readers of Mermaid expect; several are separated by their titles.
        lines += ["---", f"title: {graph.name}", "---", "stateDiagram-v2"]
        for node, data in graph.nodes(data=True):
            if data["initial"]:
                lines.append(f"    [*] --> {node}")
            if data["dead"]:
                lines.append(f"    {node} --> [*]")
        for (source, target), labels in _grouped(graph).items():
            text = (
                "<br>".join(labels).replace(":", "#colon;").replace(";", "#59;").replace("#colon#59;", "#58;")
            )
            lines.append(f"    {source} --> {target}: {text}")
    return "\n".join(lines) + "\n"


def _graphml(graphs: list[nx.MultiDiGraph]) -> str:
    # All graphs in one: nodes are named after their machine.
    whole = nx.MultiDiGraph()
    for graph in graphs:
        for node, data in graph.nodes(data=True):
            whole.add_node(f"{graph.name}={node}", machine=graph.name, value=node, **data)
        for source, target, data in graph.edges(data=True):
            whole.add_edge(f"{graph.name}={source}", f"{graph.name}={target}", **data)
    stream = io.BytesIO()
    nx.write_graphml(whole, stream, encoding="utf-8")
    return stream.getvalue().decode("utf-8").rstrip("\n") + "\n"


def _json(graphs: list[nx.MultiDiGraph]) -> str:
    documents = [nx.node_link_data(graph, edges="edges") for graph in graphs]
    return json.dumps(documents[0] if len(documents) == 1 else documents, indent=1) + "\n"


WRITERS = {"dot": _dot, "mermaid": _mermaid, "graphml": _graphml, "json": _json}
