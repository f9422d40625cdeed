"""State diagrams of machines as SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from kmclcheck.diagrams.arrows import (
    LINE_HEIGHT,
    NOWHERE,
    Arrow,
    Forbidden,
    Line,
    Use,
    arrows,
    goal,
    life_rows,
)
from kmclcheck.diagrams.layout import Box, Item, Link, Placement, Point, place
from kmclcheck.diagrams.legend import legend
from kmclcheck.diagrams.measure import text_width, wrap
from kmclcheck.diagrams.names import ShortNames
from kmclcheck.diagrams.svg import curve, document, esc, head, label, num, rect, title

_MARGIN = 16.0
_NARROWEST = 420.0
_LOOP = 30.0
_PORT = 9.0
_SHELF = 1500.0
_GUTTER = 28.0


@dataclass(frozen=True, slots=True)
class Path:
    """The lines of an arrow, each as control points of cubic curves, and its head."""

    curves: tuple[tuple[Point, ...], ...]
    tip: Point
    direction: Point


@dataclass(frozen=True, slots=True)
class Scene:
    """A diagram with everything at its place, before it is written.

    ``states`` are the boxes of states, ``labels`` those of the arrows' texts, ``loops`` those of the texts
    beside states, ``paths`` the lines; lists go by the number of the arrow.
    """

    graph: nx.MultiDiGraph
    arrows: list[Arrow]
    own: list[Arrow]
    states: dict[str, Box]
    labels: list[Box]
    loops: list[Box]
    paths: list[Path]
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """Sizes of what is to be placed: states, room to the right of them for their loops, labels of arrows."""

    rows: dict[str, int]
    sizes: dict[str, tuple[float, float]]
    loops: dict[str, tuple[float, float]]
    arrows: list[Arrow]

    def whole(self, state: str) -> tuple[float, float]:
        """Return the size of a state with its loop."""
        (width, height), (more, high) = self.sizes[state], self.loops.get(state, (0.0, 0.0))
        return width + more, max(height, high)


Layout = Callable[[Wanted], tuple[dict[str, Box], list[Box], list[Path], float, float]]
"""Gives places: boxes of states with their loops, boxes of labels, lines, width and height."""


def arrange(
    graph: nx.MultiDiGraph,
    names: ShortNames,
    *,
    use: Use | None = None,
    keep: Iterable[str] | None = None,
    forbidden: Forbidden | None = None,
    layout: Layout | None = None,
) -> Scene:
    """Return the diagram of a state graph with a place for everything.

    ``use`` brings out what was used, with counts. ``keep`` leaves only these states, and ``forbidden``
    adds one edge that a rule forbids. Raises KeyError if ``keep`` or ``forbidden`` names an unknown state.
    """
    asked = {*(keep or ()), *([forbidden.source] if forbidden else [])}
    if forbidden is not None and forbidden.target is not None:
        asked.add(forbidden.target)
    for state in sorted(asked):
        if state not in graph:
            raise KeyError(f"{graph.name} has no state {state!r}")
    graph = _copy(graph, [node for node in graph if keep is None or node in asked], use)
    target = None if forbidden is None else goal(graph, forbidden)
    pair = None if forbidden is None or not target else (forbidden.source, target)
    rows = life_rows(graph, pair)
    if forbidden is not None and target == NOWHERE:
        rows[NOWHERE] = rows[forbidden.source] + 1
    found, own = arrows(graph, names, rows, use, forbidden)
    loops = {arrow.target: arrow for arrow in own}
    sizes = {state: _state_size(graph, state, found) for state in rows}
    room = {state: (_LOOP + loop.size[0], loop.size[1]) for state, loop in loops.items()}
    places, labels, paths, width, height = (layout or own_layout)(Wanted(rows, sizes, room, found))
    states, beside = {}, []
    for state, box in places.items():
        states[state] = Box(box.x - room.get(state, (0.0, 0.0))[0] / 2, box.y, *sizes[state])
    for arrow in own:
        box, (w, h) = states[arrow.target], arrow.size
        beside.append(Box(box.right + _LOOP + w / 2, box.y, w, h))
    return Scene(graph, found, own, states, labels, beside, paths, width, height)


def state_diagram(
    graphs: Sequence[nx.MultiDiGraph],
    names: ShortNames,
    *,
    use: Use | None = None,
    keep: Iterable[str] | None = None,
    forbidden: Forbidden | None = None,
    layout: Layout | None = None,
) -> str:
    """Return an SVG of the machines, from left to right and from top to bottom in their order.

    The other parameters are those of ``arrange``; they are meant for a single machine.
    """
    scenes = [
        arrange(graph, names, use=use, keep=keep, forbidden=forbidden, layout=layout) for graph in graphs
    ]
    drawn = [_panel(scene, names) for scene in scenes]
    x = y = shelf = total = 0.0
    body = []
    for panel, width, height in drawn:
        if x and x + width > _SHELF:
            x, y, shelf = 0.0, y + shelf + _GUTTER, 0.0
        body += [f'<g transform="translate({num(x + _MARGIN)} {num(y + _MARGIN)})">', *panel, "</g>"]
        total, shelf, x = max(total, x + width), max(shelf, height), x + width + _GUTTER
    name = f"State machine {graphs[0].name}" if len(graphs) == 1 else f"{len(graphs)} state machines"
    desc = " ".join(_description(scene) for scene in scenes) if len(scenes) == 1 else _list(graphs)
    return document(name, desc, total + 2 * _MARGIN, y + shelf + 2 * _MARGIN, body)


def _copy(graph: nx.MultiDiGraph, states: Sequence[str], use: Use | None) -> nx.MultiDiGraph:
    """Return the graph of these states, with what is drawn of each."""
    kept = graph.subgraph(states).copy()
    # A node view keeps the order of the whole graph; copies of a view need not.
    ordered = nx.MultiDiGraph(**graph.graph)
    # A handle that may stand for any state at all says nothing of a single one.
    anything = all(absent for _, absent in graph.nodes(data="absent"))
    for state in states:
        data = dict(kept.nodes[state])
        data["absent"] = data["absent"] and not anything
        data["count"] = None if use is None else use.states.get(state, 0)
        ordered.add_node(state, **data)
    ordered.add_edges_from((a, b, dict(data)) for a, b, data in kept.edges(data=True))
    return ordered


def own_layout(
    wanted: Wanted,
) -> tuple[dict[str, Box], list[Box], list[Path], float, float]:
    """Return places in rows: states in the even ones, the labels of arrows in those between.

    An arrow that passes several rows has a place to bend in each of them; several states with one arrow
    share it from where they join.
    """
    items = []
    for state, row in wanted.rows.items():
        width, height = wanted.whole(state)
        own, core = wanted.sizes[state]
        ports = (4 - width / 2, own - 4 - width / 2)
        items.append(Item(f"s{state}", 2 * row, width, height, ports, core=core))
    links: list[Link] = []
    used: dict[int, float] = {}
    ways: list[tuple[list[Link], Link, bool]] = []
    for number, arrow in enumerate(wanted.arrows):
        width, height = arrow.size
        ends = [2 * wanted.rows[source] for source in arrow.sources]
        end = 2 * wanted.rows[arrow.target]
        down = end > ends[0]
        step = 1 if down else -1
        nearest = max(ends) if down else min(ends)
        row = min(range(end - step, nearest, -2 * step), key=lambda r: used.get(r, 0.0))
        used[row] = used.get(row, 0.0) + width
        items.append(Item(f"l{number}", row, width, height))
        first = min(ends) if down else max(ends)
        stops = {r: f"b{number}.{r}" for r in range(first + step, end, step)}
        stops[row] = f"l{number}"
        items += [Item(key, r, 8.0, 0.0, bend=True) for r, key in stops.items() if r != row]
        chain = [*stops.values(), f"s{arrow.target}"]
        pairs = [(f"s{source}", stops[at + step]) for source, at in zip(arrow.sources, ends, strict=True)]
        pairs += list(pairwise(chain))
        made = [Link(a, b) if down else Link(b, a) for a, b in pairs]
        links += made
        ways.append((made, made[-1], down))
    placed = place(items, links)
    paths = [_path(placed, *way) for way in ways]
    states = {state: placed.boxes[f"s{state}"] for state in wanted.rows}
    labels = [placed.boxes[f"l{number}"] for number in range(len(wanted.arrows))]
    return states, labels, paths, placed.width, placed.height


def _path(placed: Placement, made: list[Link], last: Link, down: bool) -> Path:
    route = placed.routes[last]
    tip = route[-1] if down else route[0]
    # Where lines have joined, one of them is drawn: the dashes of two would fill each other's gaps.
    pieces: dict[tuple[Point, ...], None] = {}
    curves = []
    for link in made:
        points = placed.routes[link]
        kept = list(points[:1])
        for i in range(0, len(points) - 1, 3):
            piece = points[i : i + 4]
            if piece[0] == piece[3]:
                continue
            if piece in pieces:
                curves.append(tuple(kept))
                kept = [piece[3]]
            else:
                kept += piece[1:]
            pieces[piece] = None
        curves.append(tuple(kept))
    return Path(tuple(one for one in curves if len(one) > 1), tip, (0.0, 1.0 if down else -1.0))


def _tags(graph: nx.MultiDiGraph, state: str) -> str:
    data = graph.nodes[state]
    told = {"initial": "at birth", "absent": "no object", "dead": "ended"}
    tags = [text for key, text in told.items() if data[key]]
    return ", ".join([*tags, *([f"\N{MULTIPLICATION SIGN}{data['count']}"] if data["count"] else [])])


def _state_size(graph: nx.MultiDiGraph, state: str, found: Sequence[Arrow]) -> tuple[float, float]:
    if state == NOWHERE:
        return text_width("forbidden", 12, bold=True) + 24, 28.0
    tags = _tags(graph, state)
    text = max(text_width(state, 12, bold=True), text_width(tags, 9))
    joined = sum(state in arrow.sources or state == arrow.target for arrow in found)
    return max(text + 24, 64.0, _PORT * (joined + 1)), 40.0 if tags else 28.0


def _panel(scene: Scene, names: ShortNames) -> tuple[list[str], float, float]:
    """Return a diagram with its heading and its key, and its size."""
    graph = scene.graph
    width = max(scene.width, _NARROWEST)
    body = [label(0, 14, graph.name, "heading")]
    y = 20.0
    for line in wrap(graph.graph.get("doc", ""), 11, width):
        y += 14
        body.append(label(0, y, line, "doc"))
    y += 18
    body.append(f'<g transform="translate({num((width - scene.width) / 2)} {num(y)})">')
    body += _lines(scene)
    for state, box in scene.states.items():
        body += _state(scene, state, box)
    for arrow, box in zip(scene.arrows, scene.labels, strict=True):
        body += _label(arrow, box)
    for arrow, box in zip(scene.own, scene.loops, strict=True):
        body += _label(arrow, box)
    body.append("</g>")
    y += scene.height + 14
    told, height = legend(scene.graph, [*scene.arrows, *scene.own], names, width)
    body += [f'<g transform="translate(0 {num(y)})">', *told, "</g>"]
    return body, width, y + height


def _lines(scene: Scene) -> list[str]:
    body = []
    for arrow, path in zip(scene.arrows, scene.paths, strict=True):
        data = "".join(curve(one) for one in path.curves)
        body.append(f'<path class="path{arrow.kind}" d="{data}">{title(arrow.tooltip)}</path>')
        body.append(head(path.tip, path.direction, _colour(arrow)))
    for arrow in scene.own:
        box = scene.states[arrow.target]
        x, reach = box.right, _LOOP - 2
        points = [(x, box.y - 7), (x + reach, box.y - 13), (x + reach, box.y + 13), (x, box.y + 7)]
        body.append(f'<path class="path{arrow.kind}" d="{curve(points)}">{title(arrow.tooltip)}</path>')
        body.append(head(points[-1], (-0.98, -0.2), _colour(arrow)))
    return body


def _colour(arrow: Arrow) -> str:
    return "".join(f" {word}" for word in arrow.kind.split() if word not in ("async", "mixed"))


def _state(scene: Scene, state: str, box: Box) -> list[str]:
    if state == NOWHERE:
        return [
            rect(box.left, box.top, box.width, box.height, "label forbidden", 8),
            label(box.x, box.y + 4, "forbidden", "name forbidden"),
        ]
    data, tags = scene.graph.nodes[state], _tags(scene.graph, state)
    kind = "state"
    kind += " initial" if data["initial"] else ""
    kind += " ended" if data["dead"] and not data["initial"] else ""
    kind += " absent" if data["absent"] else ""
    counted = data["count"]
    if counted is not None:
        kind += " used" if counted else " unused"
    tip = title(f"{scene.graph.name} is {state}" + (f" ({tags})" if tags else ""))
    body = [rect(box.left, box.top, box.width, box.height, kind, 8, tip)]
    if data["dead"]:
        body.append(rect(box.left + 3.5, box.top + 3.5, box.width - 7, box.height - 7, "ring", 5))
    body.append(label(box.x, box.y + (-1 if tags else 4), state, "name"))
    if tags:
        body.append(label(box.x, box.y + 12, tags, "tag"))
    return body


def _label(arrow: Arrow, box: Box) -> list[str]:
    special = " forbidden" if arrow.forbidden else ""
    body = [
        f"<g>{title(arrow.tooltip)}",
        rect(box.left, box.top, box.width, box.height, f"label{special}", 4),
    ]
    x, y = box.left + 6, box.top + 14.0
    for line in arrow.shown:
        quiet = " unused" if line.count == 0 else ""
        body.append(_text(line, x, y, special + quiet))
        y += LINE_HEIGHT
        if line.rows == 2:
            body.append(label(x + 12, y, f"[{line.guard}]", f"line guard{quiet}"))
            y += LINE_HEIGHT
    if arrow.folded:
        body.append(label(x, y, f"+{arrow.folded} more", "line more"))
    return [*body, "</g>"]


def _text(line: Line, x: float, y: float, special: str) -> str:
    kind = "line" + (" callback" if line.callback else "") + (f" {line.role}" if line.role else "") + special
    body = esc(line.event + (f" ({line.role})" if line.role else ""))
    if line.times:
        body += f' <tspan class="count">{esc(line.times)}</tspan>'
    if line.guard and line.beside:
        body += f' <tspan class="guard">{esc(f"[{line.guard}]")}</tspan>'
    return f'<text class="{kind}" x="{num(x)}" y="{num(y)}">{body}</text>'


def _description(scene: Scene) -> str:
    told = [f"{', '.join(a.sources)} to {a.target or 'nowhere'}: {'; '.join(line.full for line in a.lines)}."
            for a in scene.arrows]  # fmt: skip
    return " ".join([f"States: {', '.join(scene.graph)}.", *told])


def _list(graphs: Sequence[nx.MultiDiGraph]) -> str:
    return f"State diagrams of {', '.join(graph.name for graph in graphs)}."
