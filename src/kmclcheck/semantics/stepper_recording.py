"""The stepper's view of what a trace records, and of what may therefore have happened unseen."""

from __future__ import annotations

from collections.abc import Mapping

from kmclcheck.model.event import Phase, TraceInfo
from kmclcheck.model.expr import FieldIn
from kmclcheck.model.spec import EventDecl, EventKind, ObjectKind, Spec, Transition
from kmclcheck.semantics.evaluate import evaluate_fields
from kmclcheck.semantics.transition import close
from kmclcheck.semantics.truth import Possible

Fields = Mapping[str, Possible]


class Records:
    """Which kinds of events cannot have happened unseen.

    An entry of a function counts unless the trace declares what it records and leaves it out. A
    callback counts once it is declared or seen, an exit likewise; nothing can have returned that was
    never called, so the exit of a recorded entry is in doubt only from the first entry on.
    """

    def __init__(self, spec: Spec, info: TraceInfo) -> None:
        self.spec = spec
        self.info = info
        self.seen: set[EventKind] = set()
        self._speaks = info.records_all or bool(info.records or info.records_groups)

    def see(self, name: str, phase: Phase) -> None:
        """Note that the trace shows this kind of event."""
        self.seen.add((name, phase))

    def entry(self, name: str) -> bool:
        """Return whether no entry of the function or callback can have gone unseen."""
        decl = self.spec.events[name]
        kind = (name, decl.entry)
        if kind in self.seen or self._declared(decl, decl.entry):
            return True
        return not self._speaks and not decl.callback and not self._left_out(decl, decl.entry)

    def exit(self, name: str) -> bool:
        """Return whether no exit of the function or callback can have gone unseen."""
        decl = self.spec.events[name]
        if (name, decl.exit) in self.seen or self._declared(decl, decl.exit):
            return True
        return self.entry(name) and (name, decl.entry) not in self.seen

    def has(self, kind: EventKind) -> bool:
        """Return whether no such event can have gone unseen."""
        name, phase = kind
        return self.entry(name) if phase is self.spec.events[name].entry else self.exit(name)

    def entries(self, names: tuple[str, ...]) -> bool:
        """Return whether ``entry`` holds for all of the names."""
        return all(self.entry(name) for name in names)

    def births(self, kind: str) -> bool:
        """Return whether no object of the kind can have been born unseen."""
        return all(self.has(birth.event) for birth in self.spec.kinds[kind].births)

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
        now = dict(fields)
        while True:
            events = self._lines(kind).items()
            unseen = [lines for event, lines in events if self._may_hide(event, kind, now, parent)]
            wider = close(now, unseen, lambda e, f: evaluate_fields(e, f, kind.name))
            if wider == now:
                return now
            now = wider

    def _lines(self, kind: ObjectKind) -> dict[EventKind, dict[str, tuple[Transition, ...]]]:
        found: dict[EventKind, dict[str, tuple[Transition, ...]]] = {}
        for machine in self.spec.machines.values():
            if machine.kind == kind.name:
                for line in machine.transitions:
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
        if not isinstance(condition, FieldIn):
            return False
        owner = now if condition.kind == kind.name else parent if condition.kind == kind.parent else None
        return owner is not None and owner[condition.field].values.isdisjoint(condition.values)


def is_dead(kind: ObjectKind, fields: Fields) -> bool:
    """Return whether the object has certainly ended."""
    ends = [f for f in kind.enums.values() if f.dead]
    return bool(ends) and all(fields[f.name].values <= f.dead for f in ends)


def may_be_dead(kind: ObjectKind, fields: Fields) -> bool:
    """Return whether the object may have ended."""
    ends = [f for f in kind.enums.values() if f.dead]
    return bool(ends) and all(not fields[f.name].values.isdisjoint(f.dead) for f in ends)
