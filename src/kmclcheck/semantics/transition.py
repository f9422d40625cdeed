"""What an event does to one field: transitions, observations, silent moves, quarantine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from kmclcheck.model.expr import Expr
from kmclcheck.model.spec import EnumField, Transition
from kmclcheck.semantics.truth import FALSE, MISSING, TRUE, Possible, Truth4, unknown

Guard = Callable[[Expr], Truth4]
FieldGuard = Callable[[Expr, Mapping[str, Possible]], Truth4]
FieldLines = Mapping[str, Sequence[Transition]]


def move(now: Possible, lines: Sequence[Transition], guard: Guard) -> tuple[Possible, bool]:
    """Return the field after an event, and whether the event determined it.

    ``lines`` are the field's transitions on this event. A value no line speaks of is impossible
    at this event and is ruled out. If that leaves nothing, the field takes what the event implies.
    The event *determined* the field if a certain line named a target, or nothing was left.
    """
    now = observed(now, lines, guard)
    acting = [(line, guard(line.guard)) for line in lines if not line.observe]
    if not acting:
        return now, False
    result: set[str] = set()
    data, determined = False, False
    for value in now.values:
        mine = [(line, level) for line, level in acting if value in line.sources]
        if mine and all(level is not TRUE for _, level in mine):
            result.add(value)
        for line, level in mine:
            if level is FALSE:
                continue
            result |= line.targets or {value}
            data = data or level is MISSING
            determined = determined or (level is TRUE and bool(line.targets))
    if not result:
        for line, level in acting:
            if level is not FALSE:
                result |= line.targets or line.sources
        if not result:
            return now, False
        return Possible(frozenset(result), now.missing and len(result) > 1), True
    return Possible(frozenset(result), (now.missing or data) and len(result) > 1), determined


def observed(now: Possible, lines: Iterable[Transition], guard: Guard) -> Possible:
    """Return a field whose value is not known for want of data, narrowed by what the event shows of it."""
    if not now.missing:
        return now
    for line in lines:
        if line.observe and guard(line.guard) is TRUE:
            left = now.values & line.sources
            if left:
                now = Possible(left, len(left) > 1)
    return now


def close(
    fields: Mapping[str, Possible], unseen: Sequence[FieldLines], guard: FieldGuard
) -> dict[str, Possible]:
    """Return an object's fields widened by what unrecorded events may have done to it since.

    ``unseen`` holds the lines of each such event. It can have happened only if every field it has
    lines for may be in one of their sources. Arguments and contexts of an unrecorded event are not
    known; what its guards ask of the object's own fields is (``guard`` reads the given fields).
    """
    now = dict(fields)
    grown = True
    while grown:
        grown = False
        for event in unseen:
            if not all(_possible(now[name], lines) for name, lines in event.items()):
                continue
            for name, lines in event.items():
                values = set(now[name].values)
                for line in lines:
                    if not line.observe and values & line.sources and guard(line.guard, now) is not FALSE:
                        values |= line.targets
                if len(values) > len(now[name].values):
                    now[name] = Possible(frozenset(values), True)
                    grown = True
    return now


def _possible(now: Possible, lines: Sequence[Transition]) -> bool:
    acting = [line for line in lines if not line.observe] or lines
    return any(not now.values.isdisjoint(line.sources) for line in acting)


def quarantine(field: EnumField) -> Possible:
    """Return the field of an object at fault whose state no event determines any more."""
    return unknown(field)
