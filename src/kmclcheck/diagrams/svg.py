"""SVG as text: escaping, numbers, and the style that every picture shares."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from html import escape

from kmclcheck.diagrams.layout import Point
from kmclcheck.model.words import safe

FONT = "'DejaVu Sans', Verdana, Helvetica, Arial, sans-serif"

# Light, dark. The roles differ in hue and in lightness, and the text says them as well.
_COLOURS = {
    "ground": ("#ffffff", "#14171c"),
    "ink": ("#1d2330", "#e4e8ef"),
    "dim": ("#5b6475", "#9aa5b8"),
    "faint": ("#c3c9d4", "#434c5c"),
    "line": ("#4a5365", "#a3aec1"),
    "state": ("#eef3fb", "#222b3a"),
    "ended": ("#ececec", "#2a2a2e"),
    "client": ("#0b6a8f", "#58c1ea"),
    "server": ("#8a4b00", "#f0ac5c"),
    "used": ("#1f7a3d", "#5ecb83"),
    "fault": ("#c0182b", "#ff7583"),
    "faultground": ("#fdeaec", "#40191f"),
    "band0": ("#e7ebf2", "#2c3442"),
    "band1": ("#cfe3ff", "#1f3f6b"),
    "band2": ("#d3f0d8", "#1e4d2c"),
    "band3": ("#ffe9bf", "#5a4413"),
    "band4": ("#ead9fb", "#46306a"),
    "band5": ("#ffdcd6", "#673127"),
    "band6": ("#cdeff0", "#184c50"),
    "band7": ("#f2e2d0", "#54402a"),
    "bandended": ("#dcdcdc", "#38383c"),
}
BANDS = 8

_RULES = """
.kd text { font-family: FONT; fill: $ink; }
.kd .ground { fill: $ground; }
.kd .heading { font-size: 15px; font-weight: bold; }
.kd .doc { font-size: 11px; fill: $dim; }
.kd .name { font-size: 12px; font-weight: bold; text-anchor: middle; }
.kd .tag { font-size: 9px; fill: $dim; text-anchor: middle; }
.kd .key { font-size: 10px; fill: $dim; }
.kd .line { font-size: 11px; }
.kd .guard { fill: $dim; }
.kd .callback { font-style: italic; }
.kd .more { fill: $dim; }
.kd .state { fill: $state; stroke: $line; stroke-width: 1.2; }
.kd .ring { fill: none; stroke: $line; stroke-width: 1; }
.kd .initial { stroke: $ink; stroke-width: 2.6; }
.kd .ended { fill: $ended; }
.kd .absent { stroke-dasharray: 4 3; }
.kd .path { fill: none; stroke: $line; stroke-width: 1.4; }
.kd .head { fill: $line; stroke: none; }
.kd .label { fill: $ground; stroke: $faint; stroke-width: 0.8; }
.kd .async { stroke-dasharray: 6 4; }
.kd .mixed { stroke-dasharray: 9 3 2 3; }
.kd .path.client { stroke: $client; }
.kd .head.client, .kd text.client, .kd tspan.client { fill: $client; }
.kd .path.server { stroke: $server; }
.kd .head.server, .kd text.server, .kd tspan.server { fill: $server; }
.kd .path.used { stroke: $used; stroke-width: 2.2; }
.kd .head.used { fill: $used; }
.kd .state.used { stroke: $used; stroke-width: 2.2; }
.kd tspan.count { fill: $used; font-weight: bold; }
.kd .path.unused, .kd .state.unused { stroke: $faint; }
.kd .head.unused { fill: $faint; }
.kd text.unused, .kd text.unused tspan { fill: $dim; }
.kd .path.forbidden { stroke: $fault; stroke-width: 2.4; }
.kd .head.forbidden { fill: $fault; }
.kd .label.forbidden { stroke: $fault; fill: $faultground; }
.kd text.forbidden, .kd text.forbidden tspan { fill: $fault; }
.kd .grid { stroke: $faint; stroke-width: 0.6; }
.kd .row { font-size: 11px; }
.kd .small { font-size: 10px; fill: $dim; }
.kd .value { font-size: 10px; }
.kd .lane { font-size: 11px; font-weight: bold; }
.kd .bar { fill: $state; stroke: $line; stroke-width: 1; }
.kd .bar.callback { stroke-dasharray: 3 2; }
.kd .bar.fault { fill: $fault; stroke: $fault; stroke-dasharray: none; }
.kd .faultrow { fill: $faultground; }
.kd text.fault { fill: $fault; font-weight: bold; }
.kd .faultmark { fill: none; stroke: $fault; stroke-width: 2; }
.kd .band { stroke: $ground; stroke-width: 1; }
.kd .several { stroke: $dim; stroke-dasharray: 3 2; fill: $band0; }
"""


def _style() -> str:
    bands = "".join(f".kd .band.b{n} {{ fill: $band{n}; }}\n" for n in range(BANDS))
    rules = _RULES + bands + ".kd .band.bended { fill: $bandended; }\n"

    def declared(found: re.Match[str]) -> str:
        # First the plain colour: several programs that show or convert SVG do not know var().
        name, colour = found[1], found[2]
        return f"{name}: {_COLOURS[colour][0]}; {name}: var(--kd-{colour});"

    rules = re.sub(r"([\w-]+): \$(\w+);", declared, rules).replace("FONT", FONT)
    light, dark = (
        " ".join(f"--kd-{name}: {pair[which]};" for name, pair in _COLOURS.items()) for which in (0, 1)
    )
    return (
        f".kd {{ color-scheme: light dark; {light} }}"
        f"{rules}"
        f"@media screen and (prefers-color-scheme: dark) {{ .kd {{ {dark} }} }}\n"
        "@media print { .kd .ground { fill: none; } }\n"
    )


STYLE = _style()


def esc(text: str) -> str:
    """Return the text as it may stand in an element or attribute; what XML forbids is shown as an escape."""
    return escape(safe(text), quote=True)


def num(value: float) -> str:
    """Return a number with at most one decimal, the same on every machine."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def identifier(text: str) -> str:
    """Return an id made from the text: the same for the same text, so pictures on one page stay apart."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:40]
    return f"kd-{words}-{hashlib.sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()[:6]}"


def label(x: float, y: float, text: str, kind: str) -> str:
    """Return a line of text whose base line is at ``y``."""
    return f'<text class="{kind}" x="{num(x)}" y="{num(y)}">{esc(text)}</text>'


def rect(
    x: float, y: float, width: float, height: float, kind: str, radius: float = 0.0, more: str = ""
) -> str:
    """Return a rectangle by its upper left corner; ``more`` are elements inside it, such as a tooltip."""
    rounded = f' rx="{num(radius)}"' if radius else ""
    size = f'x="{num(x)}" y="{num(y)}" width="{num(width)}" height="{num(height)}"'
    return f'<rect class="{kind}" {size}{rounded}' + (f">{more}</rect>" if more else "/>")


def title(text: str) -> str:
    """Return a tooltip; lines stay lines."""
    return f"<title>{'&#10;'.join(esc(line) for line in text.splitlines())}</title>"


def curve(points: Sequence[Point]) -> str:
    """Return path data of cubic curves through ``points``."""
    first, *rest = points
    data = [f"M{num(first[0])} {num(first[1])}"]
    before = first
    for i in range(0, len(rest), 3):
        one, two, end = rest[i : i + 3]
        if end == before:
            continue
        if one == before and two == end:
            data.append(f"L{num(end[0])} {num(end[1])}")
        else:
            data.append("C" + " ".join(f"{num(x)} {num(y)}" for x, y in (one, two, end)))
        before = end
    return "".join(data)


def head(tip: Point, direction: Point, kind: str) -> str:
    """Return an arrow head at ``tip`` that points along the unit vector ``direction``."""
    (x, y), (dx, dy) = tip, direction
    back = (x - 9 * dx, y - 9 * dy)
    corners = [(x, y), (back[0] - 4 * dy, back[1] + 4 * dx), (back[0] + 4 * dy, back[1] - 4 * dx)]
    points = " ".join(f"{num(a)},{num(b)}" for a, b in corners)
    return f'<polygon class="head{kind}" points="{points}"/>'


def document(name: str, desc: str, width: float, height: float, body: Iterable[str]) -> str:
    """Return a whole SVG with its title, its description for those who cannot see it, and its style."""
    key = identifier(name)
    size = f'width="{num(width)}" height="{num(height)}" viewBox="0 0 {num(width)} {num(height)}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="kd" role="img" {size} '
        f'aria-labelledby="{key}-t {key}-d">',
        f'<title id="{key}-t">{esc(name)}</title>',
        f'<desc id="{key}-d">{esc(desc)}</desc>',
        f"<style>{STYLE}</style>",
        rect(0, 0, width, height, "ground"),
        *body,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
