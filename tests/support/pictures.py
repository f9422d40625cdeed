"""Small machines and what pictures of them are held to."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import combinations

import networkx as nx

from kmclcheck.diagrams.layout import Box, Point
from kmclcheck.diagrams.measure import text_width

SVG = "{http://www.w3.org/2000/svg}"


def machine(
    name: str, states: dict[str, str], edges: list[tuple[str, str, str]], doc: str = ""
) -> nx.MultiDiGraph:
    """Return a state graph; marks of states are i(nitial), d(ead), a(bsent).

    An event is NAME.PHASE, with a guard in brackets and ! before the role, if it has any.
    """
    graph = nx.MultiDiGraph(name=name, doc=doc)
    for state, marks in states.items():
        graph.add_node(state, initial="i" in marks, dead="d" in marks, absent="a" in marks)
    for source, target, told in edges:
        event, _, role = told.partition("!")
        event, _, guard = event.partition("[")
        graph.add_edge(
            source, target, event=event.strip(), guard=guard.strip(" ]"), role=role or "either", through=""
        )
    return graph


def file_machine() -> nx.MultiDiGraph:
    return machine(
        "file.life",
        {"None": "ia", "Open": "", "Broken": "", "Gone": "d"},
        [
            ("None", "Open", "FileOpen.ret [succeeded]"),
            ("Open", "Broken", "FileFault.in"),
            ("Broken", "Open", "FileRepair.call !server"),
            ("Open", "Gone", "FileClose.call"),
            ("Broken", "Gone", "FileClose.call"),
            ("None", "Gone", "FileClose.call"),
            ("Open", "Open", "FileRead.call"),
        ],
        doc="A file from its opening to its end.",
    )


def flag_machine(count: int) -> nx.MultiDiGraph:
    """Return a flag that many events set."""
    edges = [
        ("false", "true", f"Set{n}.call [a guard of some length that cannot be shown]") for n in range(count)
    ]
    return machine("file.dirty", {"false": "i", "true": ""}, [*edges, ("true", "false", "FileFlush.out")])


def texts(svg: str) -> list[str]:
    """Return the lines of text that the picture shows, without its tooltips."""
    found = []
    for element in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        parts = [element.text or ""]
        for child in element:
            if child.tag == f"{SVG}tspan":
                parts.append(child.text or "")
            parts.append(child.tail or "")
        found.append("".join(parts))
    return found


def tooltips(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}title")]


def classes(svg: str, tag: str) -> list[str]:
    return [element.get("class", "") for element in ElementTree.fromstring(svg).iter(f"{SVG}{tag}")]


def on_curve(points: tuple[Point, ...], steps: int = 12) -> list[Point]:
    """Return points on cubic curves."""
    found = []
    for i in range(0, len(points) - 1, 3):
        a, b, c, d = points[i : i + 4]
        for step in range(steps + 1):
            t = step / steps
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            x, y = (sum(w * p[k] for w, p in zip(weights, (a, b, c, d), strict=True)) for k in (0, 1))
            found.append((x, y))
    return found


def inside(point: Point, box: Box, margin: float = 0.5) -> bool:
    """Return whether a point is in the box and not just on its edge."""
    x, y = point
    return box.left + margin < x < box.right - margin and box.top + margin < y < box.bottom - margin


# Sizes of text by class, as the style has them; bold ones are wider.
_SIZES = {
    "heading": 15, "doc": 11, "name": 12, "tag": 9, "key": 10, "line": 11, "row": 11, "small": 10,
    "value": 10, "lane": 11,
}  # fmt: skip
_BOLD = {"heading", "name", "lane"}


def text_boxes(svg: str) -> list[tuple[str, Box]]:
    """Return every line of text with the room it takes in the picture."""
    found: list[tuple[str, Box]] = []

    def walk(element: ElementTree.Element, dx: float, dy: float) -> None:
        moved = element.get("transform")
        if moved is not None:
            x, y = moved.removeprefix("translate(").removesuffix(")").split()
            dx, dy = dx + float(x), dy + float(y)
        if element.tag == f"{SVG}text":
            (text,) = texts(ElementTree.tostring(element, encoding="unicode"))
            kinds = element.get("class", "").split()
            (size,) = [_SIZES[kind] for kind in kinds if kind in _SIZES]
            width = text_width(text, size, bold=bool(_BOLD & set(kinds)) or "fault" in kinds)
            left = dx + float(element.get("x", "0"))
            middle = left if {"name", "tag"} & set(kinds) else left + width / 2
            found.append((text, Box(middle, dy + float(element.get("y", "0")) - size * 0.3, width, size)))
        for child in element:
            walk(child, dx, dy)

    walk(ElementTree.fromstring(svg), 0.0, 0.0)
    return found


def misplaced(svg: str) -> list[str]:
    """Return what is wrong with the text of a picture: lines that overlap, or do not lie within it."""
    root = ElementTree.fromstring(svg)
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    boxes = text_boxes(svg)
    wrong = [
        text for text, box in boxes if box.left < 0 or box.right > width or box.top < 0 or box.bottom > height
    ]
    return wrong + [
        f"{one} / {other}" for (one, box), (other, second) in combinations(boxes, 2) if box.meets(second)
    ]
