"""The objects of a trace, and what is known of each."""

from __future__ import annotations

from dataclasses import dataclass, field

from kmclcheck.engines.symbolic.circuit import FALSE, TRUE, Lit
from kmclcheck.engines.symbolic.trace.facts import Facts
from kmclcheck.engines.symbolic.trace.numbers import UNSET, Quantity
from kmclcheck.engines.symbolic.trace.plan import Plan, tellers
from kmclcheck.engines.symbolic.trace.recorded import Recorded, Sets, is_dead, may_be_dead
from kmclcheck.model.event import Start, TraceInfo
from kmclcheck.model.finding import UNDECLARED, Finding, ObjectRef
from kmclcheck.model.spec import EnumField, ObjectKind

Values = tuple[Lit, ...]
"""One literal for each value of a field, in the order of its declaration."""

Key = tuple[object, ...]

AFTER_FAULT = "the state is not known after an earlier fault"


@dataclass(eq=False, slots=True)
class Thing:
    """An object, or (``nameless``) one that a record does not name.

    ``whole``: all that happened to it since it began was seen. ``named``: some event was about it. ``ended``:
    its obligations were judged. ``replaced``: its handle has been given to another. ``read``: since its
    fields were last widened by what may have happened to it without a record, somebody looked at them, last
    at ``moment``. ``blank``: since all of them became unknown nobody did. ``blamed``: the driver broke a rule
    on it. ``entries`` says, for groups of functions, which call on it is the newest.
    """

    kind: ObjectKind
    key: Key
    handle: int
    endpoint: str
    fields: dict[str, Values]
    whole: bool
    nameless: bool = False
    incarnation: int = 1
    parent: Thing | None = None
    children: list[Thing] = field(default_factory=list)
    numbers: dict[str, Quantity] = field(default_factory=dict)
    entries: dict[tuple[str, ...], int] = field(default_factory=dict)
    faults: dict[str, Finding] = field(default_factory=dict)
    named: bool = False
    ended: bool = False
    replaced: bool = False
    blamed: bool = False
    read: bool = True
    moment: int = -1
    blank: bool = False

    @property
    def ref(self) -> ObjectRef:
        """The object as findings name it."""
        return ObjectRef(self.kind.name, self.handle, self.incarnation, self.endpoint)

    def number(self, name: str, reason: str) -> Quantity:
        """Return a number field; ``reason`` says why one would not be known."""
        found = self.numbers.get(name)
        if found is None:
            found = UNSET if self.whole else Quantity(None, reason)
        return found

    def adopt(self, parent: Thing | None) -> None:
        """Let the object be the child of another, or of nobody known."""
        if parent is not self.parent:
            if self.parent is not None:
                self.parent.children.remove(self)
            if parent is not None:
                parent.children.append(self)
            self.parent = parent


class Objects:
    """All objects of a trace. ``sound``: the trace is complete from a known start on.

    Of a kind that is ``doubted``, some record did not tell which object it changed; of one that is
    ``strayed``, the records do not tell whose children all of its objects are. ``strange`` are handles that
    were given to functions nobody knows.
    """

    def __init__(self, plan: Plan, info: TraceInfo, facts: Facts) -> None:
        self.plan = plan
        self.spec = plan.spec
        self.info = info
        self.facts = facts
        self.recorded = Recorded(plan.spec, info)
        self.sound = info.start is Start.KNOWN and not info.lost_anywhere
        self.moment = 0
        self.all: dict[tuple[str, Key], Thing] = {}
        self.doubted: set[str] = set()
        self.strayed: set[str] = set()
        self.strange: set[tuple[str, int]] = set()
        self.loss = ""
        self.unknown_names: set[str] = set()
        # What is known of objects that no event named so far: their values, and whether data is missing.
        self._absent = {
            kind.name: {e.name: (e.absent or frozenset({e.initial}), False) for e in kind.enums.values()}
            for kind in plan.spec.kinds.values()
        }
        self._sets: dict[tuple[str, str, Values], frozenset[str]] = {}

    def cause(self) -> str:
        """Return, in words, why data may be missing."""
        if self.loss:
            return f"events were lost ({self.loss})"
        if self.info.start is not Start.KNOWN:
            return "the trace starts in mid-life"
        if self.unknown_names:
            return "unknown functions were called"
        declared = self.info.records_all or self.info.records_groups or self.info.records
        return "not everything is recorded" if declared else UNDECLARED

    # Fields.

    def values(self, enum: EnumField, allowed: frozenset[str], missing: bool, reason: str = "") -> Values:
        """Return a field with these values: one of them if data is ``missing``, else all of them."""
        wanted = [value in allowed for value in enum.values]
        if missing and len(allowed) > 1:
            return self.facts.one_of(wanted, reason or self.cause())
        return tuple(TRUE if yes else FALSE for yes in wanted)

    def unknown(self, enum: EnumField, reason: str = "") -> Values:
        """Return a field of which nothing is known."""
        return self.values(enum, frozenset(enum.values), True, reason)

    def newborn(self, kind: ObjectKind) -> dict[str, Values]:
        """Return the fields at a birth."""
        enums = kind.enums.items()
        return {name: self.values(enum, frozenset({enum.initial}), False) for name, enum in enums}

    def sets(self, kind: ObjectKind, fields: dict[str, Values]) -> dict[str, frozenset[str]]:
        """Return the values that each field may have, and put constants for what is certain."""
        found = {}
        for name, bits in fields.items():
            key = (kind.name, name, bits)
            known = self._sets.get(key)
            if known is None:
                if any(bit not in (TRUE, FALSE) for bit in bits):
                    fields[name] = bits = self.facts.reduced(bits)
                pairs = zip(kind.enums[name].values, bits, strict=True)
                known = frozenset(value for value, bit in pairs if bit != FALSE)
                if all(bit in (TRUE, FALSE) for bit in bits):
                    self._sets[kind.name, name, bits] = known
            found[name] = known
        return found

    def widened(self, kind: ObjectKind, fields: dict[str, Values], above: Sets | None) -> dict[str, Values]:
        """Return an object's fields after all that may have happened to it without a record."""
        sets = self.sets(kind, fields)
        wider, stirred = self.recorded.wider(kind, sets, above)
        if not stirred:
            return fields
        result = dict(fields)
        for name in stirred:
            if wider[name] != sets[name] or any(bit not in (TRUE, FALSE) for bit in fields[name]):
                result[name] = self.values(kind.enums[name], wider[name], True)
        return result

    def settle(self, thing: Thing) -> None:
        """Widen an object by what may have happened to it since somebody last looked."""
        if thing.read:
            parent = thing.parent
            above = None if parent is None else self.sets(parent.kind, parent.fields)
            thing.fields = self.widened(thing.kind, thing.fields, above)
            thing.read = False

    def look(self, thing: Thing) -> dict[str, Values]:
        """Return the fields of an object as they may be now."""
        if thing.moment != self.moment:
            self.settle(thing)
            thing.read, thing.moment, thing.blank = True, self.moment, False
        return thing.fields

    def set(self, thing: Thing, fields: dict[str, Values]) -> None:
        """Give an object other fields. What may hide events of its children has held for them until now."""
        changed = [name for name in fields if fields[name] != thing.fields[name]]
        decisive = any(self.recorded.decides(thing.kind.name, name) for name in changed)
        if decisive:
            for child in thing.children:
                self.settle(child)
        thing.fields, thing.read, thing.moment, thing.blank = fields, True, -1, False
        if decisive:
            for child in thing.children:
                child.read, child.moment = True, -1

    def dead(self, thing: Thing) -> bool:
        """Return whether an object has certainly ended."""
        return is_dead(thing.kind, self.sets(thing.kind, thing.fields))

    # Data that is missing.

    def forget(self, thing: Thing, reason: str = "") -> None:
        """Events that concern the object may be missing: nothing is known of it any more."""
        if not thing.blank:
            thing.fields = {name: self.unknown(enum, reason) for name, enum in thing.kind.enums.items()}
            thing.blank = True
        thing.whole = False
        thing.numbers.clear()
        thing.entries.clear()
        thing.adopt(None)
        thing.read, thing.moment = True, -1

    def lose(self, reason: str) -> None:
        """Events are missing: everything may have changed."""
        self.loss = self.loss or reason
        self.sound = False
        for thing in self.all.values():
            self.forget(thing)

    def doubt(self, kind: str) -> None:
        """An event changed an object of the kind, and does not tell which."""
        self.doubted.add(kind)
        for thing in self.of(kind):
            self.forget(thing)

    # Who is who.

    def of(self, kind: str) -> list[Thing]:
        """Return the objects of a kind, those whose handle was given to another apart."""
        return [thing for thing in self.all.values() if thing.kind.name == kind]

    def find(self, kind: ObjectKind, handle: int, endpoint: str, parent: Thing | None) -> Thing:
        """Return the object of a handle. Of one that is new, say what its absence so far means."""
        key: Key = (endpoint, handle)
        if kind.scoped:
            if parent is None or parent.nameless:
                return self.stand_in(kind, endpoint)
            key = (*parent.key, parent.incarnation, handle)
        thing = self.all.get((kind.name, key))
        if thing is None:
            thing = self._first_seen(kind, key, handle, endpoint, parent)
            self.all[kind.name, key] = thing
        return thing

    def _first_seen(
        self, kind: ObjectKind, key: Key, handle: int, endpoint: str, parent: Thing | None
    ) -> Thing:
        sure = self.sound and kind.name not in self.doubted and self.recorded.births(kind.name)
        sure = sure and self.recorded.begins_before(kind.name, endpoint)
        if kind.scoped:
            sure = sure and parent is not None and parent.whole
        else:
            sure = sure and (endpoint, handle) not in self.strange
        if sure and not kind.unknown_if_absent:
            fields = {
                name: self.values(kind.enums[name], *known) for name, known in self._absent[kind.name].items()
            }
            fields = self.widened(kind, fields, None)
            thing = Thing(kind, key, handle, endpoint, fields, True)
            if is_dead(kind, self.sets(kind, fields)):
                # Nobody was ever born under this handle.
                thing.incarnation = 0
            return thing
        fields = {name: self.unknown(enum) for name, enum in kind.enums.items()}
        if self.sound and kind.unknown_if_absent and self._names_another(kind, key):
            fields = {
                name: self.values(enum, enum.dead or frozenset({enum.initial}), False)
                for name, enum in kind.enums.items()
            }
            thing = Thing(kind, key, handle, endpoint, fields, False)
            if sure and is_dead(kind, self.sets(kind, fields)):
                thing.incarnation = 0
            return thing
        return Thing(kind, key, handle, endpoint, fields, False)

    def _names_another(self, kind: ObjectKind, key: Key) -> bool:
        """Return whether a handle certainly names a living object of another kind."""
        others = [k for k in self.spec.kinds.values() if k is not kind and not k.scoped]
        found = [self.all.get((k.name, key)) for k in others if not tellers(self.spec, k.name)]
        living = [thing for thing in found if thing is not None and thing.whole]
        return any(not may_be_dead(thing.kind, self.sets(thing.kind, thing.fields)) for thing in living)

    def stand_in(self, kind: ObjectKind, endpoint: str) -> Thing:
        """Return a stand-in for an object that a record does not name."""
        fields = {name: self.unknown(enum) for name, enum in kind.enums.items()}
        return Thing(kind, ("nameless",), 0, endpoint, fields, False, nameless=True)

    def children(self, parent: Thing, kind: str) -> list[Thing]:
        """Return the known children of a kind that have not ended."""
        return [child for child in parent.children if child.kind.name == kind and not child.ended]

    def strays(self, kind: str) -> list[Thing]:
        """Return the objects of a kind that may be anybody's children."""
        return [thing for thing in self.of(kind) if thing.parent is None and not thing.ended]

    def others(self, parent: Thing | None, kind: str) -> bool:
        """Return whether a parent may have children of which that is not known."""
        if parent is None or not parent.whole or not self.recorded.births(kind):
            return True
        return kind in self.strayed or kind in self.doubted

    def unnamed(self, kind: str) -> dict[str, tuple[frozenset[str], bool]]:
        """Return what is known of the objects of a kind that no event named so far."""
        return self._absent[kind]

    def two_sides(self, one: Thing, other: Thing) -> bool:
        """Return whether the objects of two endpoints are two sides of one: they share a number.

        It tells only while it stands for one object at the other's endpoint.
        """
        if one.kind is not other.kind or not one.kind.scoped or one.nameless or not self.sound:
            return False
        if one.handle != other.handle or one.endpoint == other.endpoint:
            return False
        alike = [t for t in self.of(other.kind.name) if t.handle == other.handle and not t.ended]
        return [t for t in alike if t.endpoint == other.endpoint] == [other]
