"""A trace told step by step: each record with the objects as they are after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kmclcheck.engines.shortest import info
from kmclcheck.model.event import End, Event
from kmclcheck.model.spec import Spec
from kmclcheck.semantics.evaluate import UNSET
from kmclcheck.semantics.index import build_index
from kmclcheck.semantics.stepper import Stepper

Fields = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Step:
    """A record, and every object after it: fields with the values they may have."""

    event: Event
    objects: dict[str, Fields]


def steps(spec: Spec, events: Sequence[Event], end: End) -> list[Step]:
    """Return the records with the states after them."""
    stepper = Stepper(spec, build_index(spec, frozenset()), info(end))
    found = []
    for event in events:
        stepper.feed(event)
        objects: dict[str, Fields] = {}
        for thing in stepper.world.things.values():
            name = f"{thing.kind.name} {thing.handle:#x}"
            fields = {field: tuple(sorted(now.values)) for field, now in thing.fields.items()}
            numbers = {field: now for field, now in thing.numbers.items() if now is not UNSET}
            objects[name] = {**fields, **{field: (str(now),) for field, now in numbers.items()}}
        found.append(Step(event, objects))
    return found
