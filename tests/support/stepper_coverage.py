"""Counts by the readable stepper what a trace covers: the oracle of the coverage that the monitor gives.

It shares with it what a step and a condition mean, and nothing of how states and lines are counted.
"""

from __future__ import annotations

from collections import Counter

from kmclcheck.model.event import Event, Loss, TraceInfo
from kmclcheck.model.spec import Spec
from kmclcheck.semantics.evaluate import evaluate
from kmclcheck.semantics.index import EventIndex, FieldLines, SpecIndex
from kmclcheck.semantics.stepper import Consequences, Fields, Stepper
from kmclcheck.semantics.stepper_scene import Scene
from kmclcheck.semantics.transition import move
from kmclcheck.semantics.truth import FALSE, TRUE, Possible, known

States = Counter[tuple[str, str]]
"""Machine and value."""

Edges = Counter[tuple[str, str, str, frozenset[str]]]
"""Machine, source, event, and what the line says follows."""


class CountingStepper(Stepper):
    """A stepper that counts what is certain while it works an event out."""

    def __init__(self, spec: Spec, index: SpecIndex, info: TraceInfo) -> None:
        super().__init__(spec, index, info)
        self.states: States = Counter()
        self.edges: Edges = Counter()
        self.steps: Counter[tuple[str, bool]] = Counter()

    def _step(self, event: Event, index: EventIndex) -> None:
        self.steps[index.decl.name, index.is_entry] += 1
        super()._step(event, index)

    def _move(self, scene: Scene, index: EventIndex, what: Consequences) -> None:
        shown: dict[str, set[tuple[str, str]]] = {}
        newborn: dict[str, Fields] = {}
        for kind, level in what.births.items():
            enums = self.spec.kinds[kind].enums.values()
            newborn[kind] = {f.name: known(f.initial) for f in enums}
            if level is not TRUE:
                # Perhaps it is the old object still.
                newborn[kind] = _either(scene.things[kind].fields, newborn[kind])
        super()._move(scene, index, what)
        scene.newborn = dict(newborn)
        for kind, thing in scene.things.items():
            start = newborn.get(kind, thing.fields)
            lines = index.lines.get(kind, {})
            named = kind in index.decl.objects
            pairs = {pair for f in (start, what.moved[kind]) for pair in _single(f)}
            shown[kind] = {(n, v) for n, v in pairs if named}
            shown[kind] |= self._count(kind, start, lines, scene, index, True)
        scene.newborn = {}
        for kind, pairs in shown.items():
            for name, value in pairs:
                self.states[f"{kind}.{name}", value] += 1

    def _move_children(self, scene: Scene, index: EventIndex, what: Consequences) -> None:
        super()._move_children(scene, index, what)
        parents = set(scene.things.values()) if index.child_lines else set()
        for child, _ in what.children:
            lines = index.child_lines[child.kind.name]
            sure = child.parent in parents
            for name, value in self._count(child.kind.name, child.fields, lines, scene, index, sure):
                self.states[f"{child.kind.name}.{name}", value] += 1

    def _count(
        self, kind: str, start: Fields, by_field: FieldLines, scene: Scene, index: EventIndex, sure: bool
    ) -> set[tuple[str, str]]:
        """Count the lines that were certainly taken; return the values known before and right after them."""
        found = set()
        for name, lines in by_field.items():
            after, _ = move(start[name], lines, lambda e: evaluate(e, scene))
            now = {name: after} if sure else _either(start, {name: after})
            found |= set(_single(now))
            values = set(start[name].values)
            for line in lines:
                if line.observe and start[name].missing and evaluate(line.guard, scene) is TRUE:
                    values = values & line.sources or values
            if len(values) > 1:
                continue
            (value,) = values
            found.add((name, value))
            speaking = [line for line in lines if not line.observe and value in line.sources]
            levels = [evaluate(line.guard, scene) for line in speaking]
            come = set() if TRUE in levels else {value}
            for line, level in zip(speaking, levels, strict=True):
                if level is not FALSE:
                    come |= line.targets or {value}
            event = f"{index.decl.name}.{index.phase.value}"
            for line, level in zip(speaking, levels, strict=True):
                said = frozenset(line.targets or {value})
                if sure and level is TRUE and come == said:
                    self.edges[f"{kind}.{name}", value, event, said] += 1
        return found


def _single(fields: Fields) -> list[tuple[str, str]]:
    return [(name, next(iter(now.values))) for name, now in fields.items() if len(now.values) == 1]


def _either(one: Fields, other: Fields) -> Fields:
    """Return fields that may be those of the one or of the other, for want of data."""
    both = {name: one[name].values | now.values for name, now in other.items()}
    return {n: one[n] if v == one[n].values else Possible(v, True) for n, v in both.items()}


def stepped(spec: Spec, index: SpecIndex, info: TraceInfo, items: list[Event | Loss]) -> CountingStepper:
    """Return the stepper after a whole trace."""
    stepper = CountingStepper(spec, index, info)
    for item in items:
        stepper.feed(item)
    stepper.finish()
    return stepper


__all__ = ["CountingStepper", "stepped"]
