"""What the trace records at all, and where objects may therefore have gone unseen."""

from __future__ import annotations

from kmclcheck.engines.explore.walk.answers import POSSIBLY, SURELY, Answer, Nodes, perhaps_also
from kmclcheck.engines.explore.walk.conditions import FieldsAlone, ask
from kmclcheck.engines.explore.walk.graphs import AskFields, Fields, unseen
from kmclcheck.engines.explore.walk.occasions import Protocol
from kmclcheck.model.event import Phase, TraceInfo
from kmclcheck.model.expr import Expr, FieldIn, IsSet, Truth, walk
from kmclcheck.model.spec import EventDecl, EventKind, ObjectKind


class Recorded:
    """Which kinds of events cannot have happened without a record: those declared, and those that showed."""

    def __init__(self, protocol: Protocol, info: TraceInfo) -> None:
        self.protocol = protocol
        self._events = protocol.spec.events
        self._info = info
        self._conditions = protocol.conditions
        self._known = {kind: self._declared(self._events[kind[0]], kind[1]) for kind in protocol.occasions}
        self._widened: dict[tuple[object, ...], Fields] = {}

    def shows(self, kind: EventKind) -> None:
        """Note that the trace shows such an event. One record of the library shows nothing of others."""
        if not self._known[kind] and not self._events[kind[0]].record:
            self._known[kind] = True
            self._widened.clear()

    def has(self, kind: EventKind) -> bool:
        """Return whether no such event can have gone unseen."""
        return self._known[kind]

    def entries(self, names: tuple[str, ...]) -> bool:
        """Return whether no entry of any of these can have gone unseen."""
        return all(self._known[name, self._events[name].entry] for name in names)

    def exit(self, name: str) -> bool:
        """Return whether no exit of this function or callback can have gone unseen."""
        return self._known[name, self._events[name].exit]

    def births(self, kind: str) -> bool:
        """Return whether no object of the kind can have come to be unseen."""
        events = {birth.event for birth in self.protocol.spec.kinds[kind].births}
        return all(self._known[event] for event in events | self.protocol.tellers[kind])

    def _declared(self, decl: EventDecl, phase: Phase) -> bool:
        info, kind = self._info, (decl.name, phase)
        if decl.record:
            return kind in info.records and kind not in info.records_not
        sort = "callbacks" if decl.callback else "functions"
        words = {sort, f"{sort}.{phase.value}"}
        if kind in info.records_not or words & info.records_not_groups:
            return False
        # A function of which nothing but the name is published is taken as not used.
        return (
            info.records_all
            or kind in info.records
            or bool(words & info.records_groups)
            or not decl.documented
        )

    # Moves that nobody sees.

    def widen(self, kind: ObjectKind, fields: Fields, parent: Fields | None) -> Fields:
        """Return where an object may be, with all that may have happened to it unseen.

        ``parent``: where its parent is, if it is known which object that is.
        """
        above = (
            ()
            if parent is None
            else tuple(n for n in self._conditions if self._silent(n, kind.parent, parent))
        )
        key = (kind.name, tuple(fields.values()), above)
        found = self._widened.get(key)
        if found is None:
            found = self._widened[key] = self._widen(kind, fields, frozenset(above))
        return found

    def _widen(self, kind: ObjectKind, fields: Fields, above: frozenset[str]) -> Fields:
        graphs = self.protocol.hideable[kind.name]
        events = {event for graph in graphs.values() for event, _ in graph.by_event}
        now = self._perhaps_born(kind, fields)
        while True:
            hidden = {event for event in events if self._may_hide(event, kind, now, above)}
            wider = self._perhaps_born(kind, unseen(graphs, now, hidden, _alone(kind.name)))
            if wider == now:
                return now
            now = wider

    def _may_hide(self, event: EventKind, kind: ObjectKind, now: Fields, above: frozenset[str]) -> bool:
        if any(birth.event == event for birth in kind.births) and not may_have_ended(kind, now):
            return False
        return not self._known[event] or event[0] in above or self._silent(event[0], kind.name, now)

    def _silent(self, name: str, kind: str | None, fields: Fields) -> bool:
        """Return whether a callback may be one that never shows, for an object that is here."""
        condition = self._conditions.get(name)
        if condition is None or kind is None:
            return False
        about = any(isinstance(node, FieldIn | IsSet) and node.kind == kind for node in walk(condition))
        return about and not ask(condition, FieldsAlone(kind, fields)) & SURELY

    def _perhaps_born(self, kind: ObjectKind, fields: Fields) -> Fields:
        """If births go unseen, what may have ended may be followed by another object of the same handle."""
        if self.births(kind.name):
            return fields
        if not may_have_ended(kind, fields) and not self._may_be_reused(kind, fields):
            return fields
        return {n: perhaps_also(now, frozenset((kind.enums[n].initial,))) for n, now in fields.items()}

    def _may_be_reused(self, kind: ObjectKind, fields: Fields) -> bool:
        """Return whether the object may have ended without any event: it lay in memory of the driver."""
        if not kind.ends_silently:
            return False
        asking = _alone(kind.name)
        return any(
            not self._known[birth.event]
            and birth.loss_if != Truth(False)
            and not asking(birth.loss_if, fields) & SURELY
            for birth in kind.births
        )


def _alone(kind: str) -> AskFields:
    """Return how to ask a condition when only the fields of one object of the kind are known."""

    def asking(expr: Expr, fields: Fields) -> Answer:
        return ask(expr, FieldsAlone(kind, fields))

    return asking


def has_ended(kind: ObjectKind, fields: Fields) -> bool:
    """Return whether an object that is here has certainly ended."""
    ends = [(fields[f.name], f.dead) for f in kind.enums.values() if f.dead]
    return bool(ends) and all(now.within(dead) & SURELY for now, dead in ends)


def may_have_ended(kind: ObjectKind, fields: Fields) -> bool:
    """Return whether an object that is here may have ended."""
    ends = [(fields[f.name], f.dead) for f in kind.enums.values() if f.dead]
    return bool(ends) and all(now.within(dead) & POSSIBLY for now, dead in ends)


def anywhere(kind: ObjectKind) -> Fields:
    """Return the fields of an object of which nothing is known."""
    return {f.name: Nodes(frozenset(f.values), len(f.values) > 1) for f in kind.enums.values()}


def newborn(kind: ObjectKind) -> Fields:
    """Return the fields of an object at its birth."""
    return {f.name: Nodes(frozenset((f.initial,))) for f in kind.enums.values()}


def nobody(kind: ObjectKind) -> Fields:
    """Return what a handle stands for that names no object, where the trace shows everything."""
    return {f.name: Nodes(f.absent or frozenset((f.initial,))) for f in kind.enums.values()}
