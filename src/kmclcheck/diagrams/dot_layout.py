"""Places for a state diagram by Graphviz, on request: its picture may differ from one machine to the next."""

from __future__ import annotations

import math
import shlex
import shutil
import subprocess

from kmclcheck.diagrams.layout import Box, Point
from kmclcheck.diagrams.states import Path, Wanted

_INCH = 72.0
_SECONDS = 60


class DotError(Exception):
    """Graphviz is not there, or did not give a layout; the text says what to do."""


def dot_layout(wanted: Wanted) -> tuple[dict[str, Box], list[Box], list[Path], float, float]:
    """Return the places that the program ``dot`` gives.

    Raises DotError if it is not on the path, or fails, or if there are loops: it has no room beside a state.
    """
    if wanted.loops:
        raise DotError("events that let a value stay are drawn by the layout own only")
    program = shutil.which("dot")
    if program is None:
        raise DotError("there is no program dot on the path; install Graphviz, or take the layout own")
    try:
        done = subprocess.run(
            [program, "-Tplain", "-y"],
            input=_graph(wanted),
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise DotError(f"the program dot failed ({error}); the layout own does without it") from error
    return _read(wanted, done.stdout)


def _graph(wanted: Wanted) -> str:
    """Return the input of dot: texts are nodes, so that it keeps room for them; names are numbers."""
    lines = ["digraph g {", "  node [shape=box, fixedsize=true]", "  edge [arrowhead=none]"]
    number = {state: place for place, state in enumerate(wanted.rows)}
    for state, place in number.items():
        lines.append(f"  s{place} [{_size(*wanted.sizes[state])}]")
    for place, arrow in enumerate(wanted.arrows):
        lines.append(f"  l{place} [{_size(*arrow.size)}]")
        for source in arrow.sources:
            pair = f"s{number[source]} -> l{place}"
            up = wanted.rows[source] > wanted.rows[arrow.target]
            # Upward arrows do not decide who is above whom.
            lines.append(f"  {_turned(pair) if up else pair}")
        pair = f"l{place} -> s{number[arrow.target]}"
        up = wanted.rows[arrow.sources[0]] > wanted.rows[arrow.target]
        lines.append(f"  {_turned(pair) if up else pair}")
    return "\n".join([*lines, "}"]) + "\n"


def _turned(pair: str) -> str:
    source, target = pair.split(" -> ")
    return f"{target} -> {source}"


def _size(width: float, height: float) -> str:
    return f"width={width / _INCH:.4f}, height={height / _INCH:.4f}"


def _read(wanted: Wanted, text: str) -> tuple[dict[str, Box], list[Box], list[Path], float, float]:
    boxes: dict[str, Box] = {}
    routes: dict[tuple[str, str], tuple[Point, ...]] = {}
    width = height = 0.0
    try:
        for line in text.splitlines():
            words = shlex.split(line)
            if words[0] == "graph":
                width, height = float(words[2]) * _INCH, float(words[3]) * _INCH
            elif words[0] == "node":
                x, y, wide, high = (round(float(word) * _INCH, 1) for word in words[2:6])
                boxes[words[1]] = Box(x, y, wide, high)
            elif words[0] == "edge":
                values = [round(float(word) * _INCH, 1) for word in words[4 : 4 + 2 * int(words[3])]]
                routes[words[1], words[2]] = tuple(zip(values[::2], values[1::2], strict=True))
        states = {state: boxes[f"s{place}"] for place, state in enumerate(wanted.rows)}
        number = {state: place for place, state in enumerate(wanted.rows)}
        labels, paths = [], []
        for place, arrow in enumerate(wanted.arrows):
            labels.append(boxes[f"l{place}"])
            ways = [(f"s{number[source]}", f"l{place}") for source in arrow.sources]
            ways.append((f"l{place}", f"s{number[arrow.target]}"))
            curves = [routes[way] if way in routes else routes[way[::-1]][::-1] for way in ways]
            paths.append(Path(tuple(curves), curves[-1][-1], _direction(curves[-1])))
    except (KeyError, IndexError, ValueError) as error:
        raise DotError("the program dot gave no layout that can be read") from error
    return states, labels, paths, width, height


def _direction(points: tuple[Point, ...]) -> Point:
    (x, y), tip = points[-2], points[-1]
    length = math.hypot(tip[0] - x, tip[1] - y) or 1.0
    return (tip[0] - x) / length, (tip[1] - y) / length
