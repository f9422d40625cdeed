"""The stepper's view of what a trace records, and of what may therefore have happened unseen."""

from __future__ import annotations

from collections.abc import Mapping

from kmclcheck.model.event import Phase, TraceInfo
from kmclcheck.model.expr import FieldIn, Truth, walk
from kmclcheck.model.spec import EventDecl, EventKind, ObjectKind, Spec, Transition
from kmclcheck.semantics.evaluate import evaluate_fields
from kmclcheck.semantics.index import kinds_read, tellers
from kmclcheck.semantics.transition import close
from kmclcheck.semantics.truth import TRUE, Possible

Fields = Mapping[str, Possible]


class Records:
    """Which kinds of events cannot have happened unseen: those the trace declares or has shown.

    Functions of which only the name is published are taken as not used until one shows. Records that the
    library writes by itself have to be declared by name: that one shows does not mean that all do.
    """

    def __init__(self, spec: Spec, info: TraceInfo) -> None:
        self.spec = spec
        self.info = info
        self.seen: set[EventKind] = set()

    def see(self, name: str, phase: Phase) -> None:
        """Note that the trace shows this kind of event."""
        self.seen.add((name, phase))

    def has(self, kind: EventKind) -> bool:
        """Return whether no such event can have gone unseen."""
        decl = self.spec.events[kind[0]]
        if decl.record:
            return kind in self.info.records and kind not in self.info.records_not
        if kind in self.seen or self._declared(decl, kind[1]):
            return True
        return not decl.documented and not self._left_out(decl, kind[1])

    def entry(self, name: str) -> bool:
        """Return whether no entry of the function or callback can have gone unseen."""
        return self.has((name, self.spec.events[name].entry))

    def exit(self, name: str) -> bool:
        """Return whether no exit of the function or callback can have gone unseen."""
        return self.has((name, self.spec.events[name].exit))

    def entries(self, names: tuple[str, ...]) -> bool:
        """Return whether ``entry`` holds for all of the names."""
        return all(self.entry(name) for name in names)

    def births(self, kind: str) -> bool:
        """Return whether no object of the kind can have been born unseen."""
        births = {birth.event for birth in self.spec.kinds[kind].births}
        return all(self.has(event) for event in births | tellers(self.spec, kind))

    def starts(self, kind: str, endpoint: str) -> bool:
        """Return whether the trace begins before an object of the kind that it shows."""
        known = self.info.start_of
        return known is None or endpoint in known or not tellers(self.spec, kind)

    def _declared(self, decl: EventDecl, phase: Phase) -> bool:
        group = "callbacks" if decl.callback else "functions"
        words = {group, f"{group}.{phase.value}"}
        if self._left_out(decl, phase):
            return False
        named = (decl.name, phase) in self.info.records or bool(words & self.info.records_groups)
        return named or self.info.records_all

    def _left_out(self, decl: EventDecl, phase: Phase) -> bool:
        group = "callbacks" if decl.callback else "functions"
        words = {group, f"{group}.{phase.value}"}
        return (decl.name, phase) in self.info.records_not or bool(words & self.info.records_not_groups)

    def widen(self, kind: ObjectKind, fields: Fields, parent: Fields | None) -> dict[str, Possible]:
        """Return the fields of an object after all that may have happened to it unseen.

        ``parent`` holds the fields of its parent, if that is known.
        """
        now = self._perhaps_reborn(kind, fields)
        while True:
            lines = self._lines(kind).items()
            unseen = [fields for event, fields in lines if self._may_hide(event, kind, now, parent)]
            wider = close(now, unseen, lambda e, f: evaluate_fields(e, f, kind.name))
            wider = self._perhaps_reborn(kind, wider)
            if wider == now:
                return now
            now = wider

    def _perhaps_reborn(self, kind: ObjectKind, fields: Fields) -> dict[str, Possible]:
        """If the object may have ended and births may go unseen, its handle may be a newborn's."""
        if self.births(kind.name):
            return dict(fields)
        if not may_be_dead(kind, fields) and not self._may_be_followed(kind, fields):
            return dict(fields)
        return {name: join(now, kind.enums[name].initial) for name, now in fields.items()}

    def _may_be_followed(self, kind: ObjectKind, fields: Fields) -> bool:
        """Return whether another birth would be no sign of a loss: the object may have ended silently."""
        unseen = [b for b in kind.births if not self.has(b.event) and b.loss_if != Truth(False)]
        followed = [b for b in unseen if evaluate_fields(b.loss_if, fields, kind.name) is not TRUE]
        return kind.ends_silently and bool(followed)

    def _lines(self, kind: ObjectKind) -> dict[EventKind, dict[str, tuple[Transition, ...]]]:
        conditions = {name: d.recorded_when for name, d in self.spec.events.items()}
        nodes = [node for c in conditions.values() if c is not None for node in walk(c)]
        shown = {(node.kind, node.field) for node in nodes if isinstance(node, FieldIn)}
        found: dict[EventKind, dict[str, tuple[Transition, ...]]] = {}
        for machine in self.spec.machines.values():
            if machine.kind == kind.name:
                for line in machine.transitions:
                    # A callback that nobody sees does not show that it can be seen.
                    if conditions[line.event[0]] is None or (machine.kind, machine.field) not in shown:
                        fields = found.setdefault(line.event, {})
                        fields[machine.field] = (*fields.get(machine.field, ()), line)
        return found

    def _may_hide(self, event: EventKind, kind: ObjectKind, now: Fields, parent: Fields | None) -> bool:
        # A handle is born again only after its object ended.
        if any(birth.event == event for birth in kind.births) and not may_be_dead(kind, now):
            return False
        if not self.has(event):
            return True
        condition = self.spec.events[event[0]].recorded_when
        if condition is None:
            return False
        owners = (
            {kind.name: now}
            if parent is None or kind.parent is None
            else {kind.name: now, kind.parent: parent}
        )
        return any(
            evaluate_fields(condition, owners[name], name) is not TRUE
            for name in kinds_read([condition])
            if name in owners
        )


def join(now: Possible, value: str) -> Possible:
    """Return the field of an object that may, for want of data, have this value too."""
    return now if value in now.values else Possible(now.values | {value}, True)


def is_dead(kind: ObjectKind, fields: Fields) -> bool:
    """Return whether the object has certainly ended."""
    ends = [f for f in kind.enums.values() if f.dead]
    return bool(ends) and all(fields[f.name].values <= f.dead for f in ends)


def may_be_dead(kind: ObjectKind, fields: Fields) -> bool:
    """Return whether the object may have ended."""
    ends = [f for f in kind.enums.values() if f.dead]
    return bool(ends) and all(not fields[f.name].values.isdisjoint(f.dead) for f in ends)
