"""What a trace records, and what may therefore have happened to an object without a record."""

from __future__ import annotations

from collections.abc import Mapping

from kmclcheck.engines.symbolic.trace.plan import kinds_of, tellers
from kmclcheck.model.event import TraceInfo
from kmclcheck.model.expr import And, Expr, FieldIn, Not, Or, Truth, walk
from kmclcheck.model.spec import EventKind, ObjectKind, Spec, Transition
from kmclcheck.traces.records import excludes, is_declared, is_record_declared

Sets = Mapping[str, frozenset[str]]
"""The values that each field of an object may have."""

Lines = dict[str, list[Transition]]


class Recorded:
    """The kinds of events that cannot have happened without a record.

    Those the trace declares, and those it has shown; what the library writes by itself has to be declared.
    """

    def __init__(self, spec: Spec, info: TraceInfo) -> None:
        self.spec = spec
        self._info = info
        self._kinds: set[EventKind] = set()
        for decl in spec.events.values():
            for phase in (decl.entry, decl.exit):
                if decl.record:
                    sure = is_record_declared(info, decl.name)
                else:
                    # A function of which only the name is known is taken as not used until one shows.
                    left_out = excludes(info, decl.name, phase, decl.callback)
                    sure = is_declared(info, decl.name, phase, decl.callback)
                    sure = sure or not (decl.documented or left_out)
                if sure:
                    self._kinds.add((decl.name, phase))
        self._slots = {
            decl.name: decl.recorded_when for decl in spec.events.values() if decl.recorded_when is not None
        }
        self._slots_of = {
            kind: {name: slot for name, slot in self._slots.items() if kind in kinds_of(slot)}
            for kind in spec.kinds
        }
        nodes = [node for slot in self._slots.values() for node in walk(slot)]
        self._decisive = {(node.kind, node.field) for node in nodes if isinstance(node, FieldIn)}
        self._lines: dict[str, dict[EventKind, Lines]] = {kind: {} for kind in spec.kinds}
        for machine in spec.machines.values():
            for line in machine.transitions:
                # A callback that nobody sees does not show that it can be seen.
                if line.event[0] not in self._slots or (machine.kind, machine.field) not in self._decisive:
                    event = self._lines[machine.kind].setdefault(line.event, {})
                    event.setdefault(machine.field, []).append(line)
        self._wider: dict[object, tuple[Sets, frozenset[str]]] = {}

    def is_new(self, event: EventKind) -> bool:
        """Return whether a record of this kind would be the first to say that such are recorded."""
        return event not in self._kinds and not self.spec.events[event[0]].record

    def see(self, event: EventKind) -> None:
        """Note that the trace shows this kind of event."""
        self._kinds.add(event)
        self._wider.clear()

    def entry(self, name: str) -> bool:
        """Return whether every entry of the function or callback is recorded."""
        return (name, self.spec.events[name].entry) in self._kinds

    def exit(self, name: str) -> bool:
        """Return whether every exit of the function or callback is recorded."""
        return (name, self.spec.events[name].exit) in self._kinds

    def entries(self, names: tuple[str, ...]) -> bool:
        """Return whether every entry of all of them is recorded."""
        return all(self.entry(name) for name in names)

    def births(self, kind: str) -> bool:
        """Return whether no object of the kind can begin without a record."""
        begin = {birth.event for birth in self.spec.kinds[kind].births} | tellers(self.spec, kind)
        return begin <= self._kinds

    def begins_before(self, kind: str, endpoint: str) -> bool:
        """Return whether the trace begins before the objects of the kind at the endpoint do."""
        known = self._info.start_of
        return known is None or endpoint in known or not tellers(self.spec, kind)

    def decides(self, kind: str, field: str) -> bool:
        """Return whether a field says which callbacks are recorded."""
        return (kind, field) in self._decisive

    def wider(self, kind: ObjectKind, sets: Sets, above: Sets | None) -> tuple[Sets, frozenset[str]]:
        """Return the values that fields may have come to have without a record, and which may have changed.

        ``above`` are the fields of the parent, if that is known.
        """
        outer = frozenset[str]() if above is None or kind.parent is None else self._dark(kind.parent, above)
        key = (kind.name, tuple(sets.values()), outer)
        found = self._wider.get(key)
        if found is None:
            found = self._wider[key] = self._close(kind, sets, outer)
        return found

    def _dark(self, kind: str, sets: Sets) -> frozenset[str]:
        """Return the callbacks that may happen without a record while an object's fields are such."""
        slots = self._slots_of[kind].items()
        return frozenset(name for name, slot in slots if _truths(slot, kind, sets)[1])

    def _close(self, kind: ObjectKind, sets: Sets, outer: frozenset[str]) -> tuple[Sets, frozenset[str]]:
        now, stirred = dict(sets), set[str]()
        births = {birth.event for birth in kind.births}
        while True:
            before = dict(now)
            if self._reborn(kind, now):
                for name, enum in kind.enums.items():
                    now[name] = now[name] | {enum.initial}
                    stirred.add(name)
            dark = outer | self._dark(kind.name, now)
            for event, lines in self._lines[kind.name].items():
                if event in self._kinds and event[0] not in dark:
                    continue
                if event in births and not may_be_dead(kind, now):
                    # A handle is given out again only after its object ended.
                    continue
                if all(_can_happen(now[name], some) for name, some in lines.items()):
                    stirred |= _happens(kind.name, now, lines)
            if now == before:
                return now, frozenset(stirred)

    def _reborn(self, kind: ObjectKind, sets: Sets) -> bool:
        """Return whether the handle may have come to name another object without a record."""
        if self.births(kind.name):
            return False
        if may_be_dead(kind, sets):
            return True
        # Where an object can end silently, a birth in its place is no sign that records are missing.
        unseen = [b for b in kind.births if b.event not in self._kinds and b.loss_if != Truth(False)]
        return kind.ends_silently and any(_truths(b.loss_if, kind.name, sets)[1] for b in unseen)


def is_dead(kind: ObjectKind, sets: Sets) -> bool:
    """Return whether an object has certainly ended."""
    ends = [enum for enum in kind.enums.values() if enum.dead]
    return bool(ends) and all(sets[enum.name] <= enum.dead for enum in ends)


def may_be_dead(kind: ObjectKind, sets: Sets) -> bool:
    """Return whether an object may have ended."""
    ends = [enum for enum in kind.enums.values() if enum.dead]
    return bool(ends) and all(sets[enum.name] & enum.dead for enum in ends)


def _can_happen(now: frozenset[str], lines: list[Transition]) -> bool:
    acting = [line for line in lines if not line.observe] or lines
    return any(now & line.sources for line in acting)


def _happens(kind: str, now: dict[str, frozenset[str]], lines: Lines) -> set[str]:
    """Add what an event may make of the fields; return those that it may move."""
    moved = set()
    for name, some in lines.items():
        for line in some:
            acts = not line.observe and bool(line.targets) and bool(now[name] & line.sources)
            if acts and _truths(line.guard, kind, now)[0]:
                now[name] = now[name] | line.targets
                moved.add(name)
    return moved


def _truths(expr: Expr, kind: str, sets: Sets) -> tuple[bool, bool]:
    """Return whether a condition can be true, and whether it can be false, by an object's own fields."""
    match expr:
        case Truth(value):
            return value, not value
        case FieldIn(kind=other, field=name, values=values) if other == kind:
            return bool(sets[name] & values), bool(sets[name] - values)
        case Not(operand):
            can, cannot = _truths(operand, kind, sets)
            return cannot, can
        case And(operands):
            pairs = [_truths(o, kind, sets) for o in operands]
            return all(can for can, _ in pairs), any(cannot for _, cannot in pairs)
        case Or(operands):
            pairs = [_truths(o, kind, sets) for o in operands]
            return any(can for can, _ in pairs), all(cannot for _, cannot in pairs)
        case _:
            return True, True
