"""The stepper's answers to what a condition asks about one event."""

from __future__ import annotations

from dataclasses import dataclass, field

from kmclcheck.model.event import Event
from kmclcheck.model.expr import AnyChild, Expr, FieldIn, Inside, Latest, OpenFrame, Overlapped, Sometime
from kmclcheck.semantics.evaluate import NumberValue, evaluate, is_success
from kmclcheck.semantics.stepper_world import Frame, Thing, Thread, World
from kmclcheck.semantics.truth import FALSE, MISSING, TRUE, Possible, Truth4, invert, unknown


@dataclass
class Scene:
    """One event with its objects, its thread and, at a return, the frame of its call.

    ``newborn`` holds fields that stand for those an object has, where a guard has to read the state
    of its birth.
    """

    world: World
    event: Event
    thread: Thread | None
    frame: Frame | None
    things: dict[str, Thing] = field(default_factory=dict)
    newborn: dict[str, dict[str, Possible]] = field(default_factory=dict)

    def having(self, things: dict[str, Thing]) -> Scene:
        """Return the scene with other objects."""
        return Scene(self.world, self.event, self.thread, self.frame, things, self.newborn)

    def guard(self, expr: Expr) -> Truth4:
        """Return how certain a condition is here."""
        return evaluate(expr, self)

    def field(self, kind: str, name: str) -> Possible:
        if kind not in self.things:
            return unknown(self.world.spec.kinds[kind].enums[name])
        return self.newborn.get(kind, self.things[kind].fields)[name]

    def number(self, kind: str, name: str) -> NumberValue:
        return self.things[kind].number(name) if kind in self.things else None

    def value(self, name: str) -> int | None:
        """Return an argument of this very record, a name being what it is declared to be."""
        value = self.event.args.get(name)
        if isinstance(value, str):
            return self.world.spec.statuses.get(value, self.world.spec.constants.get(value))
        return value

    def argument(self, name: str) -> int | None:
        if name in self.event.args or self.frame is None:
            return self.value(name)
        return Scene(self.world, self.frame.event, self.thread, None).value(name)

    def irql(self) -> int | None:
        return self.event.irql

    def status(self) -> int | None:
        status = self.event.status
        if isinstance(status, str):
            return self.world.spec.statuses.get(status)
        return None if status is None else status & 0xFFFFFFFF

    def failed(self) -> bool:
        """Return whether the record shows a failure."""
        status = self.status()
        return status is not None and not is_success(status)

    def inside(self, atom: Inside) -> Truth4:
        if self.thread is None:
            return FALSE
        thing = None if atom.kind is None else self.things.get(atom.kind)
        level = self.world.inside(self.thread, atom.names, thing)
        if atom.kind is not None and (thing is None or thing.passing):
            level = min(level, MISSING)
        return level if level is not FALSE or self.world.records.entries(atom.names) else MISSING

    def running(self, atom: OpenFrame) -> Truth4:
        thing = self.things.get(atom.kind)
        if thing is None or thing.passing:
            return MISSING
        level = FALSE if thing.complete and self.world.records.entries(atom.names) else MISSING
        for frame in self.world.frames():
            mine = frame.held.get(atom.kind)
            if frame.name in atom.names and frame is not self.frame and mine is thing:
                level = max(level, TRUE if frame.certain else MISSING)
        return level

    def overlapped(self, atom: Overlapped) -> Truth4:
        if self.frame is None:
            return MISSING
        thing = self._own()
        certain = thing is not None and thing.complete and self.world.records.entries(atom.names)
        # Of a call that may have ended long ago it is not known what overlapped it.
        certain = certain and self.frame.certain
        seen = [level for name, level in self.frame.overlaps.items() if name in atom.names]
        return max([*seen, FALSE if certain else MISSING])

    def latest(self, atom: Latest) -> Truth4:
        thing = self._own()
        if self.frame is None or thing is None:
            return MISSING
        newest = thing.entries.get(atom.names)
        if newest is None:
            return MISSING
        return TRUE if newest == self.frame.serial and not thing.replaced else FALSE

    def _own(self) -> Thing | None:
        """Return the object that the call of this return is about."""
        if self.frame is None or self.frame.primary not in self.frame.held:
            return None
        return self.frame.held[self.frame.primary]

    def any_child(self, atom: AnyChild) -> Truth4:
        levels, others = self._children(atom)
        return max([*levels, MISSING if others else FALSE])

    def no_child(self, atom: AnyChild) -> Truth4:
        levels, others = self._children(atom)
        return min([*map(invert, levels), MISSING if others else TRUE])

    def _children(self, atom: AnyChild) -> tuple[list[Truth4], bool]:
        parent = self.things.get(atom.parent)
        condition = atom.condition
        assert isinstance(condition, FieldIn)
        known = self.world.children(parent, atom.kind) if parent is not None else []
        levels = [child.fields[condition.field].is_in(condition.values) for child in known]
        return levels, self.world.others(parent, atom.kind)

    def sometime(self, atom: Sometime) -> Truth4:
        if self.frame is None or self.thread is None:
            return MISSING
        level = self.frame.latch.get(atom.condition, MISSING)
        # Without thread ids the last record of the frame's own thread is not known.
        return level if self.thread.identified else max(level, MISSING)
