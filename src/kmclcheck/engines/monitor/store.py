"""The objects of a trace: who is alive, who is remembered, and what is known of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from kmclcheck.model.event import Event
from kmclcheck.model.spec import ObjectKind
from kmclcheck.semantics.evaluate import UNSET, NumberValue
from kmclcheck.semantics.truth import Possible, absent, known, unknown

if TYPE_CHECKING:
    from kmclcheck.engines.monitor.frames import Frame
    from kmclcheck.model.finding import Finding

DEAD_REMEMBERED = 256
"""How many ended objects of a kind are kept at least, for explanations and to prove a use after the end."""

TOLD_REMEMBERED = 16384
"""How many objects of a kind that is known from records alone are told apart; they never end."""

BYGONE_REMEMBERED = 262144
"""Of how many more of them it is remembered that they were there."""

HISTORY_LIMIT = 512
HISTORY_HEAD = 64

Key = int | tuple[object, ...]


class StateVec:
    """The enumerated fields of an object, interned: equal states are one instance.

    Identity is equality, so an engine may use a state as a key at the cost of a pointer.
    """

    __slots__ = ("dead", "fields", "kind", "maybe_dead")

    def __init__(self, kind: ObjectKind, fields: dict[str, Possible]) -> None:
        self.kind = kind
        self.fields = fields
        ends = [(fields[f.name], f.dead) for f in kind.enums.values() if f.dead]
        self.dead = bool(ends) and all(now.values <= dead for now, dead in ends)
        self.maybe_dead = bool(ends) and all(not now.values.isdisjoint(dead) for now, dead in ends)


class StateTable:
    """All states of one kind of object that a run has met."""

    def __init__(self, kind: ObjectKind) -> None:
        self.kind = kind
        self._known: dict[tuple[Possible, ...], StateVec] = {}
        enums = kind.enums.values()
        self.born = self.intern({f.name: known(f.initial) for f in enums})
        self.top = self.intern({f.name: unknown(f) for f in enums})
        self.absent = self.intern({f.name: absent(f) for f in enums})

    def joined(self, one: StateVec, other: StateVec) -> StateVec:
        """Return the state of an object that may be in either, for want of data."""
        fields = {}
        for name, now in one.fields.items():
            more = other.fields[name].values
            fields[name] = now if more <= now.values else Possible(now.values | more, True)
        return self.intern(fields)

    def intern(self, fields: dict[str, Possible]) -> StateVec:
        """Return the one instance for these field values."""
        key = tuple(fields.values())
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = StateVec(self.kind, fields)
        return found


HistoryEntry = tuple[int, Event, StateVec]
"""Arrival number, event, and the object's state after it."""


class Obj:
    """One incarnation of a handle.

    ``complete``: everything since its birth was seen. ``blamed``: the driver broke a rule on it,
    so the library owes nothing for it any more. ``entries`` holds the newest entry per group.
    """

    __slots__ = (
        "blamed",
        "children",
        "complete",
        "cut",
        "endpoint",
        "entries",
        "epoch",
        "faults",
        "frames",
        "handle",
        "history",
        "incarnation",
        "judged",
        "key",
        "kind",
        "numbers",
        "parent",
        "replaced",
        "retired",
        "state",
        "temporary",
        "watch",
    )

    def __init__(
        self, kind: str, key: Key, handle: int, endpoint: str, state: StateVec, complete: bool
    ) -> None:
        self.kind = kind
        self.key = key
        self.handle = handle
        self.endpoint = endpoint
        self.state = state
        self.complete = complete
        self.incarnation = 1
        self.epoch = 0
        self.parent: Obj | None = None
        self.children: dict[Obj, None] | None = None
        self.numbers: dict[str, NumberValue] | None = None
        self.blamed = False
        self.temporary = False
        self.replaced = False
        self.retired = False
        self.judged = False
        self.faults: dict[str, Finding] | None = None
        self.history: list[HistoryEntry] = []
        self.cut = 0
        self.frames: list[Frame] | None = None
        self.watch: list[Frame] | None = None
        self.entries: dict[tuple[str, ...], int] | None = None

    def number(self, name: str) -> NumberValue:
        """Return a number field: assigned, not assigned since birth, or not known."""
        if self.numbers is not None and name in self.numbers:
            return self.numbers[name]
        return UNSET if self.complete else None

    def link(self, parent: Obj | None) -> None:
        """Make the object a child of ``parent``, and of nobody else."""
        if self.parent is parent:
            return
        if self.parent is not None and self.parent.children is not None:
            self.parent.children.pop(self, None)
        self.parent = parent
        if parent is not None:
            if parent.children is None:
                parent.children = {}
            parent.children[self] = None

    def remember(self, number: int, event: Event) -> None:
        """Append an event to the object's story, within its budget."""
        self.history.append((number, event, self.state))
        if len(self.history) > HISTORY_LIMIT:
            self.compact()

    def compact(self) -> None:
        """Cut the middle out of a story that outgrew its budget; how much is on record."""
        tail = HISTORY_LIMIT // 2
        kept = self.history[:HISTORY_HEAD] + self.history[-tail:]
        self.cut += len(self.history) - len(kept)
        self.history = kept


@dataclass(slots=True)
class KindInfo:
    """A kind of object in this run.

    ``live`` objects, ``dead`` ones still remembered, and ``pinned`` dead ones with findings. An object
    whose epoch is not ``now`` is out of date: something may have happened to it unseen.
    ``absent``: the state of a handle that names nobody, settled from ``base``. ``strays``: some object of
    the kind may be anybody's child. ``told``: known from records alone, without births and without an
    end; ``bygone`` ones were dropped to make room, the first when the epoch was ``dropped``. ``why``: what
    made them unknown.
    """

    kind: ObjectKind
    table: StateTable
    live: dict[Key, Obj] = field(default_factory=dict)
    dead: dict[Key, Obj] = field(default_factory=dict)
    pinned: dict[Key, Obj] = field(default_factory=dict)
    epoch: int = 0
    now: int = 0
    absent: StateVec | None = None
    base: StateVec | None = None
    births_recorded: bool = False
    strays: bool = False
    told: bool = False
    bygone: set[int] = field(default_factory=set)
    dropped: int | None = None
    why: str = ""

    def emptied(self) -> KindInfo:
        """Return the kind without objects; what follows from the specification is kept."""
        return KindInfo(self.kind, self.table, births_recorded=self.births_recorded, told=self.told)


class Store:
    """All objects of a run. A loss makes every object unknown, lazily, by an epoch number."""

    def __init__(
        self,
        kinds: dict[str, ObjectKind],
        complete: bool,
        start_of: frozenset[str] | None = None,
        known: dict[str, KindInfo] | None = None,
    ) -> None:
        # Who wants to be told of every change puts a class of its own here.
        self.make: type[Obj] = Obj
        self.complete = complete
        self.start_of = start_of
        # Kinds with more objects than are told apart.
        self.crowded: list[KindInfo] = []
        self.epoch = 0
        self.unknown_handles: set[Key] = set()
        # Ended objects that the present event names again.
        self.visitors: list[Obj] = []
        # Grows whenever a handle may have changed its meaning: a birth, or something forgotten.
        self.version = 0
        # Threads are there even if the specification gives them no fields.
        thread = ObjectKind("thread", "", None, False, {}, {}, ())
        self.kinds = known or {n: KindInfo(k, StateTable(k)) for n, k in {"thread": thread, **kinds}.items()}

    def emptied(self, complete: bool, start_of: frozenset[str] | None) -> Store:
        """Return a store without objects that interns states where this one does."""
        return Store({}, complete, start_of, {n: info.emptied() for n, info in self.kinds.items()})

    def lose(self) -> None:
        """Put every object out of date."""
        self.complete = False
        self.epoch += 1
        self.version += 1
        for info in self.kinds.values():
            info.now += 1

    def doubt(self, info: KindInfo) -> None:
        """Put every object of a kind out of date."""
        info.epoch += 1
        info.now += 1
        self.version += 1

    def find(self, kind: str, key: Key, handle: int, endpoint: str, parent: Obj | None) -> Obj:
        """Return the object of a handle; one never seen before comes in the state its absence means."""
        info = self.kinds[kind]
        obj = info.live.get(key)
        if obj is not None:
            if obj.epoch != info.now:
                self.forget(obj)
            return obj
        return self.come_back(info, key, handle, endpoint, parent)

    def come_back(self, info: KindInfo, key: Key, handle: int, endpoint: str, parent: Obj | None) -> Obj:
        """Return the object of a handle that names no living one: a remembered one, or a new one."""
        obj = info.dead.pop(key, None)
        if obj is None and info.pinned:
            obj = info.pinned.pop(key, None)
        if obj is None:
            certain = (
                self.complete and info.epoch == 0 and info.births_recorded and key not in self.unknown_handles
            )
            if info.kind.scoped:
                certain = certain and parent is not None and parent.complete
            if info.told:
                certain = certain and self._from_its_start(info, key, endpoint)
            state = (
                (info.absent or info.table.absent)
                if certain and not info.kind.unknown_if_absent
                else info.table.top
            )
            complete = certain and not info.kind.unknown_if_absent
            obj = self.make(info.kind.name, key, handle, endpoint, state, complete)
            obj.epoch = info.now
            if certain and state.dead:
                obj.judged = True
                obj.incarnation = 0
                self.visitors.append(obj)
        else:
            self.visitors.append(obj)
        if obj.epoch != info.now:
            info.live[key] = obj
            self.forget(obj)
        info.live[key] = obj
        obj.retired = False
        return obj

    def _from_its_start(self, info: KindInfo, key: Key, endpoint: str) -> bool:
        """Return whether the trace shows an object that it names for the first time from its start on."""
        if len(info.live) >= TOLD_REMEMBERED and not self.crowded:
            self.crowded.append(info)
        known = self.start_of is None or endpoint in self.start_of
        return known and (not info.bygone or hash(key) not in info.bygone)

    def drop(self, info: KindInfo, obj: Obj) -> None:
        """Forget that an object is there, all but that it was."""
        del info.live[obj.key]
        obj.link(None)
        info.bygone.add(hash(obj.key))
        info.dropped = info.now if info.dropped is None else info.dropped
        self.version += 1
        if len(info.bygone) > BYGONE_REMEMBERED:
            info.bygone.clear()
            info.why = info.why or f"there are more objects {info.kind.name} than are remembered"
            self.doubt(info)

    def dismiss(self) -> None:
        """Let objects that the event named after their end rest again, unless it made them alive."""
        for obj in self.visitors:
            if not (obj.replaced or obj.retired):
                if obj.state.dead:
                    self.retire(obj)
                else:
                    obj.judged = False
        self.visitors.clear()

    def revive(self, obj: Obj, parent: Obj | None) -> None:
        """Take an object back that came alive after its end, or without ever having been born."""
        info = self.kinds[obj.kind]
        obj.retired = obj.judged = False
        if obj.key in info.live or obj.replaced:
            return
        info.dead.pop(obj.key, None)
        info.pinned.pop(obj.key, None)
        info.live[obj.key] = obj
        obj.incarnation = max(1, obj.incarnation)
        if parent is not None and not parent.temporary:
            obj.link(parent)

    def known(self, kind: str, key: Key) -> Obj | None:
        """Return the object of a handle if it is alive or remembered."""
        info = self.kinds[kind]
        return info.live.get(key) or info.dead.get(key) or info.pinned.get(key)

    def wrong_type(self, kind: str, endpoint_key: Key) -> bool:
        """Return whether the handle names a living object of another kind."""
        return any(
            name != kind and not info.kind.scoped and (other := info.live.get(endpoint_key)) is not None
            and other.epoch == info.now and other.complete and not other.state.maybe_dead
            for name, info in self.kinds.items()
            if name != "thread" and not info.told
        )  # fmt: skip

    def born(self, old: Obj) -> Obj:
        """Begin a new incarnation of the handle; frames and stories of the old one keep theirs."""
        info = self.kinds[old.kind]
        if old.incarnation == 0 and not old.history:
            # Made for this very event, as nobody's handle; nothing else can refer to it yet.
            old.incarnation = 1
            old.state = info.table.born
            old.complete = True
            old.judged = False
            return old
        new = self.make(old.kind, old.key, old.handle, old.endpoint, info.table.born, True)
        # An unknown handle that this event names first may well be in its first life.
        new.incarnation = old.incarnation + (0 if old.incarnation == 1 and not old.history else 1)
        new.epoch = info.now
        old.replaced = True
        self.version += 1
        for child in old.children or ():
            child.parent = None
        old.children = None
        old.link(None)
        if old.retired:
            info.dead.pop(old.key, None)
            info.pinned.pop(old.key, None)
        info.live[old.key] = new
        return new

    def forget(self, obj: Obj) -> None:
        """Make everything about the object unknown: events that concern it may be missing."""
        info = self.kinds[obj.kind]
        self.version += 1
        obj.epoch = info.now
        obj.state = info.table.top
        obj.complete = False
        obj.numbers = None
        obj.entries = None
        obj.link(None)

    def refresh(self, obj: Obj) -> None:
        """Bring an object reached by a reference up to date."""
        if obj.epoch != self.kinds[obj.kind].now:
            self.forget(obj)

    def retire(self, obj: Obj) -> None:
        """Move an object that has ended out of the living ones."""
        info = self.kinds[obj.kind]
        if info.live.get(obj.key) is obj:
            del info.live[obj.key]
        obj.retired = True
        parent = obj.parent
        if parent is not None:
            obj.parent = None
            if parent.children is not None:
                parent.children.pop(obj, None)
        if obj.faults:
            # Kept for good: findings are listed anyway, and its blame must outlive it.
            info.pinned[obj.key] = obj
            return
        info.dead[obj.key] = obj
        if len(info.dead) >= 2 * DEAD_REMEMBERED:
            # The oldest half at once: a dictionary that loses its first entry again and again gets slow.
            for key in list(islice(info.dead, DEAD_REMEMBERED)):
                del info.dead[key]
