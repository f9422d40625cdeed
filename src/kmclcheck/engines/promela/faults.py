"""Which rules and invariants a record breaks, and which of several broken rules is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kmclcheck.engines.promela.conditions import Moment
from kmclcheck.engines.promela.layout import Layout
from kmclcheck.engines.promela.text import Bool, every, negation, some
from kmclcheck.model.spec import Check, EventKind


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that may be broken: when, and the object that it is about."""

    rule: str
    text: Bool
    kind: str
    place: int | None


def broken(check: Check, moment: Moment, strict: bool = False) -> Bool:
    """Return whether a check certainly applies and certainly fails, or (strictly) may fail."""
    applies, required = moment.level(check.when), moment.level(check.require)
    if strict:
        return every([applies[0], negation(required[1])])
    return every([applies[1], negation(required[0])])


def moments(layout: Layout, moment: Moment, check: Check) -> list[tuple[Bool, Moment, int | None]]:
    """Return where a check is judged at an event: under which condition, and on which object."""
    kind = check.target
    if not check.each:
        here = kind in moment.places or kind == "thread"
        return [(True, moment, moment.places.get(kind))] if here else []
    parent = check.each_of or layout.spec.kinds[kind].parent or ""
    if parent not in moment.places:
        return []
    return [
        (layout.alive(kind, place), moment.having(kind, place), place)
        for place in layout.children(kind, moment.places[parent])
    ]


def judged(layout: Layout, moment: Moment, event: EventKind) -> list[Fault]:
    """Return the rules that a record may break."""
    found = []
    for rule, check in layout.cone.checks(event):
        for here, one, place in moments(layout, moment, check):
            text = every([here, broken(check, one)])
            if text is not False:
                found.append(Fault(rule.id, text, check.target, place))
    return found


def fails(layout: Layout, moment: Moment, event: EventKind) -> list[tuple[Bool, str]]:
    """Return when a record shows that an invariant does not hold, with the invariant."""
    return [
        (every([here, broken(check, one, invariant.strict)]), invariant.id)
        for invariant in layout.cone.invariants
        for check in invariant.checks
        if check.event == event
        for here, one, _ in moments(layout, moment, check)
    ]


def in_state(layout: Layout) -> list[tuple[Bool, str]]:
    """Return when a state shows that an invariant does not hold, with the invariant."""
    found: list[tuple[Bool, str]] = []
    for invariant in layout.cone.invariants:
        for check in invariant.checks:
            if check.event is None:
                for place in range(len(layout.parents[check.target])):
                    moment = _of_object(layout, check.target, place)
                    text = every([layout.alive(check.target, place), broken(check, moment, invariant.strict)])
                    found.append((text, invariant.id))
    return [one for one in found if one[0] is not False]


def at_end(layout: Layout, hung: bool) -> list[Fault]:
    """Return the obligations that are not met if the trace ends in a state, unloaded or hung."""
    found = []
    for rule, check in layout.cone.ends():
        kind = check.target
        for place, above in enumerate(layout.parents[kind]):
            moment = _of_object(layout, kind, place)
            text = every([layout.alive(kind, place), broken(check, moment)])
            if hung:
                parent = layout.spec.kinds[kind].parent
                waits: list[Bool] = [moment.running(check.hung_in, kind)] if check.hung_in else []
                if check.hung_in and parent is not None and above is not None:
                    waits.append(moment.running(check.hung_in, parent))
                text = every([text, some(waits)])
            if text is not False:
                found.append(Fault(rule.id, text, kind, place))
    return found


def _of_object(layout: Layout, kind: str, place: int) -> Moment:
    parent, above = layout.spec.kinds[kind].parent, layout.parents[kind][place]
    places = {kind: place}
    if parent is not None and above is not None:
        places[parent] = above
    return Moment(layout, places)


def excused(layout: Layout, fault: Fault, faults: Sequence[Fault]) -> Bool:
    """Return whether a fault is not reported because of another one at the same moment.

    A rule that is kept excuses nothing, unless its own fault is excused by that of a rule that is checked.
    """
    return some(
        other.text
        for other in _stronger(layout, fault, faults)
        if other.rule in layout.cone.monitored or excused(layout, other, faults) is not False
    )


def _stronger(layout: Layout, fault: Fault, faults: Sequence[Fault]) -> list[Fault]:
    """Return the faults that a fault yields to."""
    names = layout.spec.rules[fault.rule].yields_to
    return [o for o in faults if o is not fault and o.rule in names and _related(layout, fault, o)]


def _related(layout: Layout, one: Fault, other: Fault) -> bool:
    """Return whether two faults are about one object, or about a parent and its child."""
    if one.kind == other.kind:
        return one.place == other.place
    kinds = layout.spec.kinds
    if kinds[other.kind].parent == one.kind:
        one, other = other, one
    return (
        kinds[one.kind].parent == other.kind
        and one.place is not None
        and layout.parents[one.kind][one.place] == other.place
    )
