"""The objects of a trace, each incarnation of a handle by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kmclcheck.engines.explore.walk.answers import UNASSIGNED, Nodes, Value, perhaps_also
from kmclcheck.engines.explore.walk.graphs import Fields
from kmclcheck.engines.explore.walk.occasions import Protocol
from kmclcheck.engines.explore.walk.recorded import (
    Recorded,
    anywhere,
    has_ended,
    may_have_ended,
    newborn,
    nobody,
)
from kmclcheck.model.spec import ObjectKind

Key = tuple[object, ...]


@dataclass(eq=False)
class Instance:
    """One incarnation of a handle.

    ``fields``: where it is in each state graph. ``complete``: all that happened to it since its birth was
    seen. ``met``: some event was about it. ``over``: it has ended, and its obligations were judged.
    ``succeeded``: a newer incarnation has its handle. ``stand_in``: it stands for an object that a record
    does not name, for this record only. ``owed_nothing``: the driver broke a rule on it. ``broken``:
    findings by rule, as long as the rule did not hold again. ``entries``: the newest entry on it by group
    of ``latest``.
    """

    kind: ObjectKind
    handle: int
    endpoint: str
    fields: Fields
    complete: bool
    key: Key = ()
    stand_in: bool = False
    incarnation: int = 1
    parent: Instance | None = None
    children: dict[Instance, None] = field(default_factory=dict)
    numbers: dict[str, Value] = field(default_factory=dict)
    entries: dict[tuple[str, ...], int] = field(default_factory=dict)
    met: bool = False
    over: bool = False
    succeeded: bool = False
    owed_nothing: bool = False
    broken: dict[str, int] = field(default_factory=dict)

    @property
    def dead(self) -> bool:
        return has_ended(self.kind, self.fields)

    def number(self, name: str) -> Value:
        return self.numbers.get(name, UNASSIGNED if self.complete else None)

    def adopt_by(self, parent: Instance | None) -> None:
        """Make it a child of this object, or of nobody known."""
        if self.parent is not None:
            self.parent.children.pop(self, None)
        self.parent = parent
        if parent is not None:
            parent.children[self] = None

    def forget(self) -> None:
        """Nothing is known of it any more: records that concern it may be missing."""
        self.fields = anywhere(self.kind)
        self.complete = False
        self.numbers = {}
        self.entries = {}
        self.adopt_by(None)


class Population:
    """All objects.

    ``whole``: the trace shows everything from its known start on. Of an ``unsettled`` kind some record
    changed an object without telling which; of a ``scattered`` kind it is not known whose children all its
    objects are. ``strange`` handles were passed to functions that nobody knows. ``unmet``: where objects
    are that no event has named yet.
    """

    def __init__(
        self, protocol: Protocol, recorded: Recorded, whole: bool, start_of: frozenset[str] | None
    ) -> None:
        self.protocol = protocol
        self.recorded = recorded
        self.whole = whole
        self.unsettled: set[str] = set()
        self.scattered: set[str] = set()
        self.strange: set[tuple[str, int]] = set()
        self._kinds = protocol.spec.kinds
        self.unmet = {kind.name: nobody(kind) for kind in self._kinds.values()}
        self._start_of = start_of
        self._by_handle: dict[str, dict[Key, Instance]] = {kind: {} for kind in self._kinds}
        # Of these something may be known; a loss ends that.
        self._known: dict[Instance, None] = {}

    def __iter__(self) -> Iterator[Instance]:
        """Go through the newest incarnations of all handles."""
        for kind in self._kinds:
            yield from self.of_kind(kind)

    def of_kind(self, kind: str) -> list[Instance]:
        return list(self._by_handle[kind].values())

    def named(self, kind: str, endpoint: str, handle: int) -> Instance | None:
        """Return the object of a handle that counts by itself."""
        return self._by_handle[kind].get((endpoint, handle))

    def touched(self, one: Instance) -> None:
        """Note that something may be known of an object."""
        self._known[one] = None

    def lose(self) -> None:
        """Events are missing: anything may have happened to anybody."""
        self.whole = False
        for one in self._known:
            one.forget()
        self._known.clear()

    def unsettle(self, kind: str) -> None:
        """An event changed an object of the kind, and does not tell which."""
        self.unsettled.add(kind)
        for one in list(self._known):
            if one.kind.name == kind:
                one.forget()

    def find(self, kind: ObjectKind, handle: int, endpoint: str, parent: Instance | None) -> Instance | None:
        """Return the object of a handle; ``None`` if its parent, within which it counts, is not known."""
        if kind.scoped and (parent is None or parent.stand_in):
            return None
        key: Key = (endpoint, handle, parent) if kind.scoped else (endpoint, handle)
        one = self._by_handle[kind.name].get(key)
        if one is None:
            one = self._by_handle[kind.name][key] = self._first_met(kind, handle, endpoint, parent)
            one.key = key
        self.touched(one)
        return one

    def _first_met(self, kind: ObjectKind, handle: int, endpoint: str, parent: Instance | None) -> Instance:
        """Return the object of a handle that no event named before: mostly, nobody."""
        tellers = self.protocol.tellers[kind.name]
        sure = self.whole and kind.name not in self.unsettled and self.recorded.births(kind.name)
        if kind.scoped:
            sure = sure and parent is not None and parent.complete
        else:
            sure = sure and (endpoint, handle) not in self.strange
        if tellers:
            sure = sure and (self._start_of is None or endpoint in self._start_of)
        if kind.unknown_if_absent:
            fields = anywhere(kind)
            if self.whole and self._is_of_another_kind(kind, handle, endpoint):
                ended = {f.name: Nodes(f.dead) for f in kind.enums.values() if f.dead}
                fields = {**newborn(kind), **ended}
            return Instance(kind, handle, endpoint, fields, False)
        if not sure:
            return Instance(kind, handle, endpoint, anywhere(kind), False)
        fields = self.recorded.widen(kind, self.unmet[kind.name], None)
        one = Instance(kind, handle, endpoint, fields, True)
        if one.dead:
            one.incarnation = 0
        return one

    def _is_of_another_kind(self, kind: ObjectKind, handle: int, endpoint: str) -> bool:
        """Return whether the handle certainly names a living object of another kind."""
        for other in self._kinds.values():
            if other.name != kind.name and not other.scoped and not self.protocol.tellers[other.name]:
                one = self.named(other.name, endpoint, handle)
                if one is not None and one.complete and not may_have_ended(one.kind, one.fields):
                    return True
        return False

    def succeed(self, old: Instance) -> Instance:
        """Return a new incarnation of a handle, in the place of the old one."""
        new = Instance(old.kind, old.handle, old.endpoint, newborn(old.kind), True, old.key)
        first = old.incarnation == 1 and not old.met
        new.incarnation = 1 if first else old.incarnation + 1
        for child in list(old.children):
            child.adopt_by(None)
        self._by_handle[old.kind.name][old.key] = new
        old.adopt_by(None)
        old.succeeded = True
        self.touched(new)
        self.strange.discard((new.endpoint, new.handle))
        return new

    def stand_in(self, kind: ObjectKind, endpoint: str) -> Instance:
        """Return somebody in the place of an object that a record does not name."""
        return Instance(kind, 0, endpoint, anywhere(kind), False, stand_in=True)

    def children(self, parent: Instance | None, kind: str) -> list[Instance]:
        """Return the known children of a kind that have not ended."""
        if parent is None:
            return []
        return [c for c in parent.children if c.kind.name == kind and not c.over and not c.succeeded]

    def strays(self, kind: str) -> list[Instance]:
        """Return the objects of a kind that may be anybody's children."""
        return [one for one in self.of_kind(kind) if one.parent is None and not one.over]

    def may_have_others(self, parent: Instance | None, kind: str) -> bool:
        """Return whether there may be children besides the known ones."""
        if parent is None or not parent.complete or not self.recorded.births(kind):
            return True
        return kind in self.scattered or kind in self.unsettled

    def settle(self, changed: list[Instance]) -> None:
        """Widen where objects are by what may happen unseen; what parents hide, they hide from children."""
        todo = list(dict.fromkeys(changed))
        while todo:
            one = todo.pop()
            above = None if one.parent is None else one.parent.fields
            one.fields = self.recorded.widen(one.kind, one.fields, above)
            todo += [child for child in one.children if not child.succeeded]

    def two_sides(self, one: Instance, other: Instance) -> bool:
        """Return whether objects of two endpoints are the two sides of one, sharing a number.

        The number tells only while it stands for a single object at the other's endpoint.
        """
        if one.kind is not other.kind or not one.kind.scoped or one.stand_in or not self.whole:
            return False
        if one.handle != other.handle or one.endpoint == other.endpoint:
            return False
        alike = [
            o for o in self.of_kind(other.kind.name)
            if (o.handle, o.endpoint) == (other.handle, other.endpoint) and not o.over
        ]  # fmt: skip
        return alike == [other]


def perhaps_born(fields: Fields, kind: ObjectKind) -> Fields:
    """Return where an object may be if, for want of data, this may have been its birth."""
    return {n: perhaps_also(now, frozenset((kind.enums[n].initial,))) for n, now in fields.items()}
