"""The monitor's answers to what a condition asks about one event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmclcheck.engines.monitor.frames import Frame, Thread
from kmclcheck.engines.monitor.store import Obj
from kmclcheck.model.event import Event
from kmclcheck.model.expr import AnyChild, FieldIn, Inside, Latest, OpenFrame, Overlapped, Sometime
from kmclcheck.semantics.evaluate import NumberValue, evaluate
from kmclcheck.semantics.truth import FALSE, MISSING, TRUE, Possible, Truth4, invert, unknown

if TYPE_CHECKING:
    from kmclcheck.engines.monitor.state import Run


def argument(run: Run, event: Event, frame: Frame | None, name: str) -> int | None:
    """Return an argument as a number; a return may take it from the record of its call."""
    value = event.args.get(name)
    if value is None and frame is not None:
        value = frame.event.args.get(name)
    return run.constants.get(value) if isinstance(value, str) else value


def latest(frame: Frame | None, names: tuple[str, ...]) -> Truth4:
    """Return whether no newer entry of the group was seen on the object of a frame."""
    if frame is None:
        return MISSING
    for obj in frame.objs.values():
        newest = None if obj.entries is None else obj.entries.get(names)
        if newest is not None:
            return TRUE if newest == frame.serial and not obj.replaced else FALSE
    return MISSING


class Context:
    """One event with its objects, its thread and, at a return, the frame of its call."""

    __slots__ = ("event", "frame", "objs", "run", "status_value", "thread")

    def __init__(
        self,
        run: Run,
        event: Event,
        thread: Thread,
        frame: Frame | None,
        objs: dict[str, Obj],
        status: int | None = None,
    ) -> None:
        self.run = run
        self.event = event
        self.thread = thread
        self.frame = frame
        self.objs = objs
        self.status_value = status

    def field(self, kind: str, name: str) -> Possible:
        obj = self.objs.get(kind)
        if obj is None:
            return unknown(self.run.spec.kinds[kind].enums[name])
        return obj.state.fields[name]

    def number(self, kind: str, name: str) -> NumberValue:
        obj = self.objs.get(kind)
        return None if obj is None else obj.number(name)

    def argument(self, name: str) -> int | None:
        return argument(self.run, self.event, self.frame, name)

    def irql(self) -> int | None:
        return self.event.irql

    def status(self) -> int | None:
        return self.status_value

    def inside(self, atom: Inside) -> Truth4:
        obj = None
        if atom.kind is not None:
            obj = self.objs.get(atom.kind)
            if obj is None or obj.temporary:
                return min(self.run.inside(self.event, self.thread, atom.names, None), MISSING)
        return self.run.inside(self.event, self.thread, atom.names, obj)

    def running(self, atom: OpenFrame) -> Truth4:
        obj = self.objs.get(atom.kind)
        if obj is None or not obj.complete:
            base = MISSING
        else:
            base = FALSE if self.run.recording.entries_recorded(atom.names) else MISSING
        for frame in (obj.frames or ()) if obj is not None else ():
            if frame.name in atom.names and frame is not self.frame:
                base = max(base, TRUE if frame.certain else MISSING)
        return base

    def overlapped(self, atom: Overlapped) -> Truth4:
        if self.frame is None:
            return MISSING
        obj = next((o for o in self.frame.objs.values() if o.kind != "thread"), None)
        certain = obj is not None and obj.complete and self.run.recording.entries_recorded(atom.names)
        # Of a call that may have ended long ago nobody notes what overlaps it.
        level = FALSE if certain and self.frame.certain else MISSING
        for name, seen in (self.frame.overlaps or {}).items():
            if name in atom.names:
                level = max(level, seen)
        return level

    def latest(self, atom: Latest) -> Truth4:
        return latest(self.frame, atom.names)

    def children(self, parent_kind: str, kind: str) -> tuple[list[Obj], bool]:
        """Return the known children of a kind, and whether there may be others."""
        parent = self.objs.get(parent_kind)
        store = self.run.store
        info = store.kinds[kind]
        others = (
            parent is None or not parent.complete or not info.births_recorded or info.strays or info.epoch > 0
        )
        found = [c for c in (parent.children or ()) if c.kind == kind] if parent is not None else []
        for child in found:
            store.refresh(child)
        return [c for c in found if c.parent is parent], others

    def _levels(self, atom: AnyChild) -> tuple[list[Truth4], bool]:
        children, others = self.children(atom.parent, atom.kind)
        condition = atom.condition
        assert isinstance(condition, FieldIn)
        return [c.state.fields[condition.field].is_in(condition.values) for c in children], others

    def any_child(self, atom: AnyChild) -> Truth4:
        levels, others = self._levels(atom)
        return max([*levels, MISSING if others else FALSE])

    def no_child(self, atom: AnyChild) -> Truth4:
        levels, others = self._levels(atom)
        return min([*map(invert, levels), MISSING if others else TRUE])

    def sometime(self, atom: Sometime) -> Truth4:
        if self.frame is None or self.frame.latch is None:
            return MISSING
        level = self.frame.latch.get(atom.condition, MISSING)
        # The frame's own thread cannot be told apart without ids, so its last record is unknown.
        return level if self.thread.identified else max(level, MISSING)

    def latch(self, frame: Frame, reset: bool) -> None:
        """Note whether the frame's awaited conditions hold now; ``reset``: its own thread recorded."""
        assert frame.latch is not None
        for condition in frame.latch:
            now = evaluate(condition, self)
            frame.latch[condition] = now if reset else max(frame.latch[condition], now)
