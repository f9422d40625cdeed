"""Threads and their call stacks, as far as the records show them."""

from __future__ import annotations

from kmclcheck.engines.monitor.store import Obj
from kmclcheck.model.event import Event
from kmclcheck.model.expr import Expr
from kmclcheck.semantics.truth import FALSE, MISSING, TRUE, Truth4

MAYBE_LIMIT = 64
"""How many calls of one name without a recorded exit a thread remembers."""


class Frame:
    """A call or callback that is running, or (``certain`` false) may be.

    ``version`` is the store's at the entry. ``objs`` are the objects of its entry by kind, parents
    included. ``faulty``: the entry itself broke a driver's rule. ``doubted``: events were lost since, so a
    return that fits may be that of a call nobody saw.
    """

    __slots__ = ("certain", "doubted", "event", "faulty", "latch", "name", "number", "objs", "overlaps",
                 "serial", "thread", "version")  # fmt: skip

    def __init__(
        self,
        name: str,
        event: Event,
        thread: Thread,
        serial: int,
        number: int,
        objs: dict[str, Obj],
        version: int,
    ) -> None:
        self.name = name
        self.number = number
        self.event = event
        self.thread = thread
        self.serial = serial
        self.objs = objs
        self.version = version
        self.certain = True
        self.doubted = False
        self.faulty = False
        self.overlaps: dict[str, Truth4] | None = None
        self.latch: dict[Expr, Truth4] | None = None

    def names(self, obj: Obj) -> Truth4:
        """Return whether the frame is one on this object."""
        mine = self.objs.get(obj.kind)
        if mine is None or mine.temporary or obj.temporary:
            return MISSING
        return TRUE if mine is obj else FALSE


class Thread:
    """A thread: its stack, calls that may still run, and its own object for thread fields.

    ``identified`` is false for records without a thread id; then nothing is known of nesting, and
    ``owed`` counts, by name, the returns that may belong to several open calls.
    """

    __slots__ = ("base", "frames", "identified", "key", "maybe", "obj", "owed", "watch")

    def __init__(self, key: object, base: bool, identified: bool, obj: Obj) -> None:
        self.key = key
        self.base = base
        self.identified = identified
        self.frames: list[Frame] = []
        self.maybe: dict[str, list[Frame]] = {}
        self.watch: list[Frame] = []
        self.owed: dict[str, int] = {}
        self.obj = obj

    def perhaps(self, frame: Frame) -> None:
        """Enter a call whose exit is never recorded: it may end at any time."""
        frame.certain = False
        kept = self.maybe.setdefault(frame.name, [])
        kept.append(frame)
        if len(kept) > MAYBE_LIMIT:
            del kept[0]
            self.base = False

    def open(self, name: str) -> list[Frame]:
        """Return the open frames of that name, innermost first."""
        found = [frame for frame in reversed(self.frames) if frame.name == name]
        return found + self.maybe.get(name, [])[::-1]

    def drop(self, frame: Frame) -> None:
        """Leave a frame wherever it stands; without thread ids there is no stack."""
        if frame in self.frames:
            self.frames.remove(frame)
        elif frame in self.maybe.get(frame.name, ()):
            self.maybe[frame.name].remove(frame)

    def leave(self, frame: Frame) -> list[Frame]:
        """Leave a frame; return the frames above it that ended without a record."""
        if frame in self.frames:
            at = self.frames.index(frame)
            above = self.frames[at + 1 :]
            del self.frames[at:]
            return above
        kept = self.maybe.get(frame.name, [])
        if frame in kept:
            kept.remove(frame)
        return []

    def doubt(self) -> None:
        """After a loss: every open frame may have ended, and unseen ones may be below."""
        self.base = False
        for frame in self.frames:
            frame.certain = False
            frame.doubted = True
        for kept in self.maybe.values():
            for frame in kept:
                frame.doubted = True

    def inside(self, names: tuple[str, ...], obj: Obj | None) -> Truth4:
        """Return whether the thread is inside one of the named calls (on the object, if given)."""
        best = FALSE if self.base and self.identified else MISSING
        return max(best, self._seen_inside(names, obj))

    def _seen_inside(self, names: tuple[str, ...], obj: Obj | None) -> Truth4:
        best = FALSE
        for frame in self.frames:
            if frame.name in names:
                level = TRUE if obj is None else frame.names(obj)
                if level is TRUE and not (frame.certain and self.identified):
                    level = MISSING
                best = max(best, level)
        for name in names:
            for frame in self.maybe.get(name, ()):
                if obj is None or frame.names(obj) is not FALSE:
                    best = max(best, MISSING)
        return best

    def perhaps_inside(self, names: tuple[str, ...], obj: Obj | None) -> bool:
        """Return whether an open frame of this (nameless) thread may be anybody's."""
        return self._seen_inside(names, obj) is not FALSE
