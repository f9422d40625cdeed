"""The stepper's world: every object, every thread, every open call. Nothing is ever dropped."""

from __future__ import annotations

from dataclasses import dataclass, field

from kmclcheck.model.event import Event
from kmclcheck.model.expr import Expr
from kmclcheck.model.spec import ObjectKind, Spec
from kmclcheck.semantics.evaluate import UNSET, NumberValue
from kmclcheck.semantics.index import tellers
from kmclcheck.semantics.stepper_recording import Records, is_dead, may_be_dead
from kmclcheck.semantics.truth import FALSE, MISSING, TRUE, Possible, Truth4, absent, known, unknown

Key = tuple[object, ...]


@dataclass(eq=False)
class Thing:
    """An object. ``complete``: all that happened to it since its birth was seen.

    ``named``: some event was about this incarnation. ``ended``: its obligations were judged.
    ``replaced``: a newer incarnation has its handle. ``passing``: it stands in for an object that a
    record does not name, for this record only.
    """

    kind: ObjectKind
    key: Key
    handle: int
    endpoint: str
    fields: dict[str, Possible]
    complete: bool
    passing: bool = False
    incarnation: int = 1
    parent: Thing | None = None
    numbers: dict[str, NumberValue] = field(default_factory=dict)
    entries: dict[tuple[str, ...], int] = field(default_factory=dict)
    named: bool = False
    ended: bool = False
    replaced: bool = False
    blamed: bool = False
    faults: dict[str, int] = field(default_factory=dict)

    def number(self, name: str) -> NumberValue:
        """Return a number field: assigned, not assigned since the birth, or not known."""
        return self.numbers.get(name, UNSET if self.complete else None)

    @property
    def dead(self) -> bool:
        return is_dead(self.kind, self.fields)

    def forget(self) -> None:
        """Events that concern the object may be missing: nothing is known of it any more."""
        self.fields = {f.name: unknown(f) for f in self.kind.enums.values()}
        self.complete = False
        self.numbers = {}
        self.entries = {}
        self.parent = None


@dataclass(eq=False)
class Frame:
    """A call or callback that is running, or (not ``certain``) may be.

    ``doubted``: events were lost since, so that a return that fits may be that of a call nobody saw.
    """

    name: str
    event: Event
    thread: Thread
    serial: int
    held: dict[str, Thing]
    primary: str | None
    certain: bool = True
    doubted: bool = False
    faulty: bool = False
    overlaps: dict[str, Truth4] = field(default_factory=dict)
    latch: dict[Expr, Truth4] = field(default_factory=dict)

    def on(self, thing: Thing) -> Truth4:
        """Return whether this is a call on the object."""
        mine = self.held.get(thing.kind.name)
        if mine is None or mine.passing or thing.passing:
            return MISSING
        return TRUE if mine is thing else FALSE

    def shares(self, other: Frame) -> bool:
        """Return whether both calls are on one object."""
        return any(other.held.get(kind) is mine for kind, mine in self.held.items())


@dataclass(eq=False)
class Thread:
    """A thread. ``based``: nothing unseen lies below its frames. ``loose`` frames may end unseen.

    One that is not ``identified`` stands for all threads whose records do not name them; ``owed``
    counts, by name, its returns that may belong to several calls.
    """

    endpoint: str
    identified: bool
    based: bool
    thing: Thing | None
    frames: list[Frame] = field(default_factory=list)
    loose: list[Frame] = field(default_factory=list)
    owed: dict[str, int] = field(default_factory=dict)

    @property
    def open(self) -> list[Frame]:
        """All calls that may be running, innermost first."""
        return self.frames[::-1] + self.loose[::-1]

    def remove(self, frame: Frame) -> None:
        """Take a call away, wherever it stands."""
        (self.frames if frame in self.frames else self.loose).remove(frame)

    def inside(self, names: tuple[str, ...], thing: Thing | None) -> Truth4:
        """Return whether the thread is inside one of the calls, on the object if one is given."""
        best = FALSE if self.based and self.identified else MISSING
        for frame in self.open:
            if frame.name in names:
                level = TRUE if thing is None else frame.on(thing)
                if level is TRUE and not (frame.certain and self.identified and frame in self.frames):
                    level = MISSING
                best = max(best, level)
        return best


class World:
    """All that the stepper knows. ``sound``: the trace is complete from its known start on.

    Of a kind that was ``doubted``, some record did not tell which object it changed; of one that is
    ``orphaned``, it does not follow from the records whose children all its objects are.
    """

    def __init__(self, spec: Spec, records: Records, sound: bool) -> None:
        self.spec = spec
        self.records = records
        self.sound = sound
        self.things: dict[tuple[str, Key], Thing] = {}
        self.threads: dict[Key, Thread] = {}
        self.doubted: set[str] = set()
        self.orphaned: set[str] = set()
        self.strange: set[tuple[str, int]] = set()
        # What is known of objects that no event named yet.
        self.unseen = {k.name: {f.name: absent(f) for f in k.enums.values()} for k in spec.kinds.values()}

    def lose(self) -> None:
        """Events are missing: everything may have changed."""
        self.sound = False
        for thing in self.things.values():
            thing.forget()
        for thread in self.threads.values():
            thread.based = False
            for frame in thread.frames:
                frame.certain = False
            for frame in thread.open:
                frame.doubted = True
            if thread.thing is not None:
                thread.thing.forget()

    def doubt(self, kind: str) -> None:
        """An event changed an object of the kind, and does not tell which."""
        self.doubted.add(kind)
        for thing in self.things.values():
            if thing.kind.name == kind:
                thing.forget()

    def thread(self, event: Event) -> Thread:
        """Return the thread of a record. Idle threads share id 0, so the processor stands for them."""
        key: Key = ("tid", event.endpoint, event.tid)
        identified = event.tid is not None and (event.tid != 0 or event.cpu is not None)
        if not event.tid:
            key = ("cpu", event.endpoint, event.cpu) if identified else ("none", event.endpoint)
        if key not in self.threads:
            thing = None
            if "thread" in self.spec.kinds:
                kind = self.spec.kinds["thread"]
                # What records without a thread id changed may have been this thread.
                certain = self.sound and ("none", event.endpoint) not in self.threads
                fields = {f.name: known(f.initial) if certain else unknown(f) for f in kind.enums.values()}
                fields = self.records.widen(kind, fields, None)
                thing = Thing(kind, ("thread", *key), event.tid or 0, event.endpoint, fields, certain)
            self.threads[key] = Thread(event.endpoint, identified, self.sound, thing)
        thread = self.threads[key]
        if thread.thing is not None and not thread.identified:
            # The records of many threads come together here.
            thread.thing.forget()
        return thread

    def strangers(self, thread: Thread) -> list[Thread]:
        """Return the threads among whose records some of this thread's may be."""
        others = [t for t in self.threads.values() if t is not thread and t.endpoint == thread.endpoint]
        return [t for t in others if not (t.identified and thread.identified)]

    def inside(self, thread: Thread, names: tuple[str, ...], thing: Thing | None) -> Truth4:
        """Return whether a thread is inside one of the calls, on the object if one is given."""
        level = thread.inside(names, thing)
        if level is FALSE and any(
            f.name in names and (thing is None or f.on(thing) is not FALSE)
            for other in self.strangers(thread)
            for f in other.open
        ):
            return MISSING
        return level

    def find(self, kind: ObjectKind, handle: int, endpoint: str, parent: Thing | None) -> Thing:
        """Return the object of a handle. Of one never seen before, say what its absence means."""
        if kind.scoped:
            if parent is None or parent.passing:
                return self.nobody(kind, endpoint)
            key: Key = (*parent.key, parent.incarnation, handle)
        else:
            key = (endpoint, handle)
        thing = self.things.get((kind.name, key))
        if thing is not None:
            return thing
        certain = self.sound and kind.name not in self.doubted and self.records.births(kind.name)
        certain = certain and (parent is None or not kind.scoped or parent.complete)
        certain = certain and self.records.starts(kind.name, endpoint)
        certain = certain and (kind.scoped or (endpoint, handle) not in self.strange)
        if not certain or kind.unknown_if_absent:
            fields = {f.name: unknown(f) for f in kind.enums.values()}
            if self.sound and kind.unknown_if_absent and self._other_type(kind, key):
                enums = kind.enums.values()
                fields = {f.name: Possible(f.dead) if f.dead else known(f.initial) for f in enums}
        else:
            fields = self.records.widen(kind, self.unseen[kind.name], None)
        thing = Thing(kind, key, handle, endpoint, fields, certain and not kind.unknown_if_absent)
        if certain and is_dead(kind, fields):
            thing.incarnation = 0  # nobody was ever born under this handle
        self.things[kind.name, key] = thing
        return thing

    def _other_type(self, kind: ObjectKind, key: Key) -> bool:
        """Return whether the handle certainly names a living object of another kind."""
        same = [t for t in self.things.values() if t.key == key and t.kind is not kind and not t.kind.scoped]
        # What records tell of has a number of its own, and no handle.
        same = [t for t in same if not tellers(self.spec, t.kind.name)]
        return any(t.complete and not may_be_dead(t.kind, t.fields) for t in same)

    def nobody(self, kind: ObjectKind, endpoint: str) -> Thing:
        """Return a stand-in for an object that a record does not name."""
        fields = {f.name: unknown(f) for f in kind.enums.values()}
        return Thing(kind, ("nobody",), 0, endpoint, fields, False, passing=True)

    def children(self, parent: Thing, kind: str) -> list[Thing]:
        """Return the known children of a kind."""
        return [t for t in self.things.values() if t.kind.name == kind and t.parent is parent and not t.ended]

    def strays(self, kind: str) -> list[Thing]:
        """Return the objects of a kind that may be anybody's children."""
        return [t for t in self.things.values() if t.kind.name == kind and t.parent is None and not t.ended]

    def others(self, parent: Thing | None, kind: str) -> bool:
        """Return whether the parent may have children that are not known to be its own."""
        if parent is None or not parent.complete or not self.records.births(kind):
            return True
        return kind in self.orphaned or kind in self.doubted

    def peers(self, one: Thing, other: Thing) -> bool:
        """Return whether two endpoints' objects are two sides of one: they share a number.

        It tells only while it stands for one object at the other's endpoint.
        """
        if one.kind is not other.kind or not one.kind.scoped or one.passing or not self.sound:
            return False
        if one.handle != other.handle or one.endpoint == other.endpoint:
            return False
        alike = [t for t in self.things.values() if t.kind is other.kind and t.handle == other.handle]
        return [t for t in alike if t.endpoint == other.endpoint and not t.ended] == [other]

    def frames(self) -> list[Frame]:
        """Return all calls that may be running."""
        return [frame for thread in self.threads.values() for frame in thread.open]
