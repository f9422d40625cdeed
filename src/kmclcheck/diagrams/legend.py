"""The key under a state diagram: only what the diagram shows."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx

from kmclcheck.diagrams.arrows import Arrow
from kmclcheck.diagrams.measure import text_width, wrap
from kmclcheck.diagrams.names import ShortNames
from kmclcheck.diagrams.svg import label, num, rect

_SIZE = 10.0
_SAMPLE = 26.0
_ROW = 16.0


def legend(
    graph: nx.MultiDiGraph, arrows: Sequence[Arrow], names: ShortNames, width: float
) -> tuple[list[str], float]:
    """Return the elements of the key, at most ``width`` wide, and its height."""
    entries = _entries(graph, arrows)
    body: list[str] = []
    x, y = 0.0, 12.0
    for sample, text in entries:
        size = _SAMPLE + 6 + text_width(text, _SIZE) + 18
        if x and x + size > width:
            x, y = 0.0, y + _ROW
        body += [_sample(sample, x, y - 4), label(x + _SAMPLE + 6, y, text, "key")]
        x += size
    if entries:
        y += _ROW
    for line in wrap(_shortened(arrows, names), _SIZE, width):
        body.append(label(0, y, line, "key"))
        y += 13
    return body, y - 8


def _entries(graph: nx.MultiDiGraph, arrows: Sequence[Arrow]) -> list[tuple[str, str]]:
    kinds = {word for arrow in arrows for word in arrow.kind.split()}
    plain = any(not {"async", "mixed", "forbidden"} & set(arrow.kind.split()) for arrow in arrows)
    phases = {line.phase for arrow in arrows for line in arrow.lines}
    what = "records" if phases <= {"whole"} else "calls and records" if "whole" in phases else "calls"
    nodes = [data for _, data in graph.nodes(data=True)]
    roles = {line.role for arrow in arrows for line in arrow.lines if line.count is None}
    return [
        *([("state initial", "state at birth")] if any(d["initial"] for d in nodes) else []),
        *([("state ended ring", "object ended")] if any(d["dead"] for d in nodes) else []),
        *([("state absent", "no object")] if any(d["absent"] for d in nodes) else []),
        *([("path", what)] if plain else []),
        *([("path async", "callbacks")] if "async" in kinds else []),
        *([("path mixed", "calls and callbacks")] if "mixed" in kinds else []),
        *([("path client", "client only")] if "client" in roles else []),
        *([("path server", "server only")] if "server" in roles else []),
        *([("path used", "used, how often")] if "used" in kinds else []),
        *([("path unused", "never used")] if "unused" in kinds else []),
        *([("path forbidden", "forbidden")] if "forbidden" in kinds else []),
    ]


def _sample(kind: str, x: float, y: float) -> str:
    if kind.startswith("path"):
        return f'<path class="{kind}" d="M{num(x)} {num(y)}h{num(_SAMPLE)}"/>'
    words = kind.replace(" ring", "")
    box = rect(x, y - 6, _SAMPLE, 12, words, 4)
    return box + rect(x + 2.5, y - 3.5, _SAMPLE - 5, 7, "ring", 2) if words != kind else box


def _shortened(arrows: Sequence[Arrow], names: ShortNames) -> str:
    events = {line.full.split()[0].rstrip(",").rpartition(".")[0] for arrow in arrows for line in arrow.lines}
    out = [
        prefix
        for prefix in names.prefixes
        if any(
            event.startswith(prefix) and names.short.get(event) == event[len(prefix) :] for event in events
        )
    ]
    if not out:
        return ""
    return f"Names stand without {', '.join(out)}; the tooltips have them in full."
