"""What an event does to one field, as Promela."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kmclcheck.engines.promela.conditions import Level
from kmclcheck.engines.promela.layout import Layout, Set
from kmclcheck.engines.promela.text import Bool, every, negation, some, union, when
from kmclcheck.model.expr import Expr
from kmclcheck.model.spec import Transition

Parts = list[tuple[Bool, Set]]
"""Sets of values, each with the condition under which it is part of the result."""


@dataclass(frozen=True, slots=True)
class Move:
    """The values of a field after an event. ``otherwise``: what they are if ``now`` comes to none."""

    now: Set
    otherwise: Set | None = None


def move(
    layout: Layout, kind: str, name: str, now: Set, lines: list[Transition], level: Callable[[Expr], Level]
) -> Move:
    """Return the possible values after an event with these transitions.

    A value that no line speaks of is impossible at the event. If that leaves nothing, the field takes what
    the event implies.
    """
    order = layout.spec.kinds[kind].enums[name].values
    levels = [(line, *level(line.guard)) for line in lines]
    acting = [one for one in levels if one[1] is not False]
    spoken = {value for line in lines for value in line.sources}
    parts: Parts = []
    for line, may, _ in acting:
        if line.targets:
            parts.append((every([may, layout.among(now, kind, name, line.sources)[0]]), line.targets))
    staying: dict[Bool, set[str]] = {}
    for value in order:
        if value in spoken:
            mine = [(line, may, must) for line, may, must in acting if value in line.sources]
            stays = every(negation(must) for _, _, must in mine)
            condition = some([stays, *(may for line, may, _ in mine if not line.targets)])
            staying.setdefault(condition, set()).add(value)
    for condition, values in staying.items():
        if isinstance(now, frozenset):
            parts.append((condition, now & values))
        elif values == set(order):
            parts.append((condition, now))
        else:
            parts.append((condition, f"({now} & {layout.values(kind, name, values)})"))
    after = _joined(layout, kind, name, parts)
    if spoken == set(order) or (isinstance(after, frozenset) and after):
        return Move(after)
    implied: Parts = [(may, line.targets or line.sources) for line, may, _ in acting]
    implied.append((every(negation(may) for _, may, _ in acting), now))
    otherwise = _joined(layout, kind, name, implied)
    # Where one line certainly applies, it says what the field is, whatever it was.
    certain = len(acting) == 1 and acting[0][2] is True and bool(acting[0][0].targets)
    if after == frozenset() or (certain and spoken == acting[0][0].sources):
        return Move(otherwise)
    return Move(after, otherwise)


def _joined(layout: Layout, kind: str, name: str, parts: Parts) -> Set:
    """Return the union of the sets whose conditions hold."""
    known = frozenset[str]()
    texts: list[tuple[Bool, str]] = []
    for condition, values in parts:
        if condition is True and isinstance(values, frozenset):
            known |= values
        elif condition is not False and values:
            texts.append((condition, layout.set(kind, name, values)))
    if not texts:
        return known
    if len(texts) == 2 and not known and negation(texts[0][0]) == texts[1][0]:
        return when(texts[0][0], texts[0][1], texts[1][1])
    whole = [when(condition, text, "0") for condition, text in texts]
    return union([*whole, layout.values(kind, name, known)] if known else whole)
