"""Items in rows, joined by lines between neighbouring rows: an order with few crossings, and places.

Every item has a place of its own in its row, and a line leaves its row straight up or down before it bends,
between the rows. So no line can cross an item, and no two items overlap, whatever the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]

_GAP_ITEMS = 16.0
_GAP_ROWS = 22.0
_GAP_MOST = 64.0
_SWEEPS = 16
_PULLS = 60
_SWAPS = 12
_STRAIGHT = 3.0


@dataclass(frozen=True, slots=True)
class Item:
    """Something with a size in a row. Lines end between ``ports``, counted from its middle.

    ``bend``: nothing is drawn here, a line only passes. ``core``: the height of the part where lines end,
    if that is not all of it.
    """

    key: str
    row: int
    width: float
    height: float
    ports: tuple[float, float] = (0.0, 0.0)
    bend: bool = False
    core: float | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A line from an item to one of the next row below."""

    upper: str
    lower: str


@dataclass(frozen=True, slots=True)
class Box:
    """Where an item is: its middle and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height / 2

    def meets(self, other: Box) -> bool:
        """Return whether the two overlap."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


@dataclass(frozen=True, slots=True)
class Placement:
    """Boxes by item, and lines as control points of cubic curves, from the upper end to the lower one."""

    boxes: dict[str, Box]
    routes: dict[Link, tuple[Point, ...]]
    width: float
    height: float


def place(items: Sequence[Item], links: Sequence[Link]) -> Placement:
    """Return a place for everything; the same input gives the same picture.

    Raises ValueError if a link joins rows that are not neighbours.
    """
    by_key = {item.key: item for item in items}
    for link in links:
        if by_key[link.lower].row != by_key[link.upper].row + 1:
            raise ValueError(f"{link} does not lead to the next row")
    rows: list[list[str]] = [[] for _ in range(max((item.row for item in items), default=-1) + 1)]
    for item in items:
        rows[item.row].append(item.key)
    up: dict[str, list[str]] = {item.key: [] for item in items}
    down: dict[str, list[str]] = {item.key: [] for item in items}
    for link in links:
        down[link.upper].append(link.lower)
        up[link.lower].append(link.upper)
    rows = _ordered(rows, up, down)
    middle = _middles(rows, by_key, up, down)
    return _drawn(rows, by_key, links, middle)


def _ordered(
    rows: list[list[str]], up: Mapping[str, list[str]], down: Mapping[str, list[str]]
) -> list[list[str]]:
    """Return the rows in an order that makes few lines cross."""
    best, fewest = [list(row) for row in rows], _all_crossings(rows, down)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        downward = sweep % 2 == 0
        walk = range(1, len(rows)) if downward else range(len(rows) - 2, -1, -1)
        for number in walk:
            fixed = {key: place for place, key in enumerate(rows[number - 1 if downward else number + 1])}
            rows[number] = _by_average(rows[number], up if downward else down, fixed)
        _swap_neighbours(rows, up, down)
        crossings = _all_crossings(rows, down)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _by_average(row: list[str], others: Mapping[str, list[str]], fixed: Mapping[str, int]) -> list[str]:
    weights = {}
    for place, key in enumerate(row):
        found = sorted(fixed[other] for other in others[key])
        weights[key] = sum(found) / len(found) if found else place * len(fixed) / len(row)
    return sorted(row, key=weights.__getitem__)


def _swap_neighbours(
    rows: list[list[str]], up: Mapping[str, list[str]], down: Mapping[str, list[str]]
) -> None:
    """Swap items side by side as long as that takes crossings away."""
    places = [{key: place for place, key in enumerate(row)} for row in rows]
    for _ in range(_SWAPS):
        better = False
        for number, row in enumerate(rows):
            above = places[number - 1] if number else {}
            below = places[number + 1] if number + 1 < len(rows) else {}
            for place in range(len(row) - 1):
                left, right = row[place], row[place + 1]
                gain = 0
                for others, fixed in ((up, above), (down, below)):
                    a = [fixed[other] for other in others[left]]
                    b = [fixed[other] for other in others[right]]
                    gain += sum((x > y) - (x < y) for x in a for y in b)
                if gain > 0:
                    row[place], row[place + 1] = right, left
                    places[number][left], places[number][right] = place + 1, place
                    better = True
        if not better:
            return


def _all_crossings(rows: list[list[str]], down: Mapping[str, list[str]]) -> int:
    total = 0
    for upper, lower in pairwise(rows):
        fixed = {key: place for place, key in enumerate(lower)}
        ends = [fixed[other] for key in upper for other in sorted(down[key], key=fixed.__getitem__)]
        starts = [place for place, key in enumerate(upper) for _ in down[key]]
        total += sum(
            starts[i] < starts[j] and ends[i] > ends[j]
            for i in range(len(ends))
            for j in range(i + 1, len(ends))
        )
    return total


def _middles(
    rows: list[list[str]],
    items: Mapping[str, Item],
    up: Mapping[str, list[str]],
    down: Mapping[str, list[str]],
) -> dict[str, float]:
    """Return the horizontal middle of every item: near those it is joined to."""
    middle: dict[str, float] = {}
    for row in rows:
        x = 0.0
        for key in row:
            middle[key] = x + items[key].width / 2
            x += items[key].width + _GAP_ITEMS
        for key in row:
            middle[key] -= x / 2
    for pull in range(_PULLS):
        walk = rows if pull % 2 == 0 else rows[::-1]
        last = pull >= _PULLS - 20
        for row in walk:
            wanted, weights = [], []
            for key in row:
                near = up[key] + down[key] if last or pull < 4 else (up if pull % 2 == 0 else down)[key]
                pulls = [(middle[o], _STRAIGHT ** (items[o].bend + items[key].bend)) for o in near]
                weight = sum(w for _, w in pulls)
                wanted.append(sum(x * w for x, w in pulls) / weight if pulls else middle[key])
                weights.append(max(weight, 0.1))
            middle.update(zip(row, _apart(row, items, wanted, weights), strict=True))
    return middle


def _apart(
    row: Sequence[str], items: Mapping[str, Item], wanted: Sequence[float], weights: Sequence[float]
) -> list[float]:
    """Return the places nearest to the wanted ones, by weighted squares, with the gaps kept.

    Less the gaps that stand before each item, the places must only not fall: pools of neighbours that
    would fall share their mean.
    """
    offset, offsets = 0.0, []
    for number, key in enumerate(row):
        if number:
            before = items[row[number - 1]]
            offset += (before.width + items[key].width) / 2 + _GAP_ITEMS
        offsets.append(offset)
    pools: list[tuple[float, float, int]] = []
    for want, weight, before_it in zip(wanted, weights, offsets, strict=True):
        mean, total, count = want - before_it, weight, 1
        while pools and pools[-1][0] > mean:
            other, other_weight, other_count = pools.pop()
            mean = (mean * total + other * other_weight) / (total + other_weight)
            total, count = total + other_weight, count + other_count
        pools.append((mean, total, count))
    flat = [mean for mean, _, count in pools for _ in range(count)]
    return [mean + before_it for mean, before_it in zip(flat, offsets, strict=True)]


def _drawn(
    rows: list[list[str]], items: Mapping[str, Item], links: Sequence[Link], middle: dict[str, float]
) -> Placement:
    left = min((middle[key] - items[key].width / 2 for row in rows for key in row), default=0.0)
    middle = {key: round(x - left, 1) for key, x in middle.items()}
    starts, ends = _ports(items, links, middle)
    gaps = [_GAP_ROWS] * len(rows)
    for link in links:
        row = items[link.upper].row
        gaps[row] = max(gaps[row], min(_GAP_MOST, _GAP_ROWS + abs(starts[link] - ends[link]) * 0.12))
    tops, bottoms, y = [], [], 0.0
    for number, row_keys in enumerate(rows):
        tops.append(round(y, 1))
        y += max((items[key].height for key in row_keys), default=0.0)
        bottoms.append(round(y, 1))
        y += gaps[number] if number + 1 < len(rows) else 0.0
    boxes = {
        key: Box(middle[key], (tops[item.row] + bottoms[item.row]) / 2, item.width, item.height)
        for key, item in items.items()
    }
    routes: dict[Link, tuple[Point, ...]] = {}
    for link in links:
        upper, lower = items[link.upper], items[link.lower]
        a, b = starts[link], ends[link]
        # Where nothing is drawn, the line of the row above or below ends in the middle of the row.
        y0, y1 = _edge(upper, boxes[link.upper], 1), bottoms[upper.row]
        y2, y3 = tops[lower.row], _edge(lower, boxes[link.lower], -1)
        bend = (y2 - y1) / 2
        routes[link] = (
            (a, y0), (a, y0), (a, y1), (a, y1),
            (a, y1 + bend), (b, y2 - bend), (b, y2),
            (b, y2), (b, y3), (b, y3),
        )  # fmt: skip
    width = max((box.right for box in boxes.values()), default=0.0)
    return Placement(boxes, routes, round(width, 1), round(y, 1))


def _edge(item: Item, box: Box, side: int) -> float:
    return box.y + side * (item.height if item.core is None else item.core) / 2


def _ports(
    items: Mapping[str, Item], links: Sequence[Link], middle: Mapping[str, float]
) -> tuple[dict[Link, float], dict[Link, float]]:
    """Return where on its upper and on its lower item each line ends: in the order of the others."""
    starts: dict[Link, float] = {}
    ends: dict[Link, float] = {}
    sides: dict[tuple[str, bool], list[Link]] = {}
    for link in links:
        sides.setdefault((link.upper, True), []).append(link)
        sides.setdefault((link.lower, False), []).append(link)
    for (key, below), joined in sides.items():
        low, high = items[key].ports
        joined.sort(key=lambda link: middle[link.lower if below else link.upper])
        for number, link in enumerate(joined, 1):
            x = round(middle[key] + low + (high - low) * number / (len(joined) + 1), 1)
            (starts if below else ends)[link] = x
    return starts, ends
