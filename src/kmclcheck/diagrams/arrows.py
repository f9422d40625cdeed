"""What a state diagram shows: rows of states by life order, arrows with the events they stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import networkx as nx

from kmclcheck.diagrams.measure import cut, text_width
from kmclcheck.diagrams.names import ShortNames

LINE_SIZE = 11.0
LINE_HEIGHT = 14.0
_WIDEST = 218.0
_MOST_LINES = 4


@dataclass(frozen=True, slots=True)
class Use:
    """How often states were taken and edges used; what is not counted, or counted as 0, is shown in grey.

    Edges are (from, to, event), such as ``("Opening", "Open", "EvtVmbChannelOpened.out")``. One with a guard
    after the event, as in ``"EvtVmbChannelOpened.out [failed]"``, is the line with that guard.
    """

    states: Mapping[str, int] = field(default_factory=dict)
    edges: Mapping[tuple[str, str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Forbidden:
    """An event that must not come in a state.

    It takes the place of what the machine has for it. Without ``target`` it leads to where the machine goes,
    or to nowhere if that is not a single other state.
    """

    source: str
    event: str
    target: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """An event on an arrow. ``guard`` stands on a line of its own if it does not fit beside the event."""

    event: str
    guard: str
    role: str
    phase: str
    count: int | None
    full: str

    @property
    def callback(self) -> bool:
        return self.phase in ("in", "out")

    @property
    def rows(self) -> int:
        return 2 if self.guard and not self.beside else 1

    @property
    def beside(self) -> bool:
        return text_width(f"{self.text} [{self.guard}]", LINE_SIZE) <= _WIDEST

    @property
    def text(self) -> str:
        """Return the event with its role and count, as it is measured."""
        role = f" ({self.role})" if self.role else ""
        return f"{self.event}{role}" + (f" {self.times}" if self.times else "")

    @property
    def times(self) -> str:
        """Return how often it was used, such as ×12, or "" if it was not, or nobody counted."""
        return f"\N{MULTIPLICATION SIGN}{self.count}" if self.count else ""


@dataclass(frozen=True, slots=True)
class Arrow:
    """From states to another one, with what makes objects take it. ``kind`` are the classes of its style."""

    sources: tuple[str, ...]
    target: str
    lines: tuple[Line, ...]
    kind: str
    forbidden: str | None = None

    @property
    def shown(self) -> tuple[Line, ...]:
        return self.lines if len(self.lines) <= _MOST_LINES else self.lines[: _MOST_LINES - 1]

    @property
    def folded(self) -> int:
        return len(self.lines) - len(self.shown)

    @property
    def tooltip(self) -> str:
        """Return all of the arrow in full names, a line for each event."""
        target = self.target if self.target != NOWHERE else "forbidden"
        first = f"{', '.join(self.sources)} → {target}"
        reason = [self.forbidden] if self.forbidden else []
        return "\n".join([first, *(line.full for line in self.lines), *reason])

    @property
    def size(self) -> tuple[float, float]:
        widths = [40.0]
        for line in self.shown:
            if line.guard and line.beside:
                widths.append(text_width(f"{line.text} [{line.guard}]", LINE_SIZE))
            else:
                widths.append(text_width(line.text, LINE_SIZE))
                if line.guard:
                    widths.append(12 + text_width(f"[{line.guard}]", LINE_SIZE))
        rows = sum(line.rows for line in self.shown) + (1 if self.folded else 0)
        return max(widths) + 12, rows * LINE_HEIGHT + 6


NOWHERE = ""
"""The target of an arrow that a rule forbids and that leads to no state."""


def life_rows(graph: nx.MultiDiGraph, besides: tuple[str, str] | None = None) -> dict[str, int]:
    """Return the row of every state: those at birth above, those in which the object has ended last.

    An edge leads downward if its target is farther from the birth, or as far and declared later; the row
    is the length of the longest way down to it. So joined states are never in one row. ``besides`` are two
    states that are to be joined, too.
    """
    declared = list(graph)
    starts = [node for node in declared if graph.nodes[node]["initial"]] or declared[:1]
    far = {node: len(declared) for node in declared}
    for start in starts:
        for node, steps in nx.single_source_shortest_path_length(graph, start).items():
            far[node] = min(far[node], steps)
    ended = {node for node in declared if graph.nodes[node]["dead"] and node not in starts}
    order = sorted(declared, key=lambda node: (node in ended, far[node], declared.index(node)))
    place = {node: number for number, node in enumerate(order)}
    rows: dict[str, int] = {}
    for node in order:
        joined = [*graph.predecessors(node), *graph.successors(node)]
        if besides is not None and node in besides:
            joined += besides
        above = [rows[other] for other in joined if place[other] < place[node]]
        if node in ended:
            above += [row for other, row in rows.items() if other not in ended]
        rows[node] = max(above, default=-1 if node in starts else 0) + 1
    return rows


def goal(graph: nx.MultiDiGraph, forbidden: Forbidden) -> str:
    """Return where the forbidden arrow leads to."""
    if forbidden.target is not None:
        return NOWHERE if forbidden.target == forbidden.source else forbidden.target
    found = {
        target
        for _, target, data in graph.out_edges(forbidden.source, data=True)
        if data["event"] == forbidden.event and target != forbidden.source
    }
    return found.pop() if len(found) == 1 else NOWHERE


def arrows(
    graph: nx.MultiDiGraph,
    names: ShortNames,
    rows: Mapping[str, int],
    use: Use | None,
    forbidden: Forbidden | None,
) -> tuple[list[Arrow], list[Arrow]]:
    """Return the arrows between states, and those from a state to itself.

    All edges between two states are one arrow; arrows to one state that say the same and come from the same
    side are one, too.
    """
    kind = graph.name.partition(".")[0]
    pairs: dict[tuple[str, str], dict[Line, None]] = {}
    for source, target, data in graph.edges(data=True):
        if forbidden is not None and (source, data["event"]) == (forbidden.source, forbidden.event):
            continue
        count = None if use is None else _used(use, source, target, data)
        pairs.setdefault((source, target), {})[_line(data, names, kind, count)] = None
    merged: dict[tuple[str, tuple[Line, ...], bool], list[str]] = {}
    loops = []
    for (source, target), lines in pairs.items():
        if source == target:
            loops.append(Arrow((source,), target, tuple(lines), _kind(tuple(lines))))
        else:
            merged.setdefault((target, tuple(lines), rows[source] < rows[target]), []).append(source)
    found = [
        Arrow(tuple(sources), target, lines, _kind(lines)) for (target, lines, _), sources in merged.items()
    ]
    if forbidden is not None:
        phase = forbidden.event.rpartition(".")[2]
        line = Line(names.event(forbidden.event), "", "", phase, None, forbidden.event)
        reason = forbidden.reason or "forbidden"
        target = goal(graph, forbidden)
        found.append(Arrow((forbidden.source,), target, (line,), " forbidden", reason))
    return found, loops


def _used(use: Use, source: str, target: str, data: Mapping[str, str]) -> int:
    guarded = source, target, f"{data['event']} [{data['guard']}]"
    return use.edges.get(guarded, use.edges.get((source, target, data["event"]), 0))


def _line(data: Mapping[str, str], names: ShortNames, kind: str, count: int | None) -> Line:
    name, _, phase = data["event"].rpartition(".")
    through = {"parent": " of parent", "any": " of any"}.get(data["through"], "")
    role = data["role"] if data["role"] not in ("either", "") else ""
    # An object's own fields need no kind before them.
    guard = re.sub(rf"\b{re.escape(kind)}\.(?=\w)", "", names.event(data["guard"]))
    mark = f" ({role})" if role else ""
    number = f" \N{MULTIPLICATION SIGN}{count}" if count else ""
    after = f".{phase}{through}"
    room = _WIDEST - text_width(after + mark + number, LINE_SIZE)
    event = cut(names.event(name), LINE_SIZE, room) + after
    full = f"{data['event']}{through}" + (f" [{data['guard']}]" if data["guard"] else "")
    if role:
        full += f", {role} only"
    if count is not None:
        full += f", used {count} times" if count != 1 else ", used once"
    guard = cut(guard, LINE_SIZE, _WIDEST - 24)
    return Line(event, guard, role, phase, count, full)


def _kind(lines: tuple[Line, ...]) -> str:
    callbacks = {line.callback for line in lines}
    kind = " mixed" if len(callbacks) > 1 else " async" if callbacks == {True} else ""
    if lines[0].count is not None:
        return kind + (" used" if any(line.count for line in lines) else " unused")
    roles = {line.role for line in lines}
    return kind + (f" {roles.pop()}" if roles in ({"client"}, {"server"}) else "")
