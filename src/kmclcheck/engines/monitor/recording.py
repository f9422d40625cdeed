"""Which kinds of events the trace records at all, and what may therefore have happened unseen."""

from __future__ import annotations

from functools import partial

from kmclcheck.engines.monitor.store import StateTable, StateVec
from kmclcheck.model.event import TraceInfo
from kmclcheck.model.expr import FieldIn, Truth
from kmclcheck.model.spec import EventKind, Spec, Transition
from kmclcheck.semantics.evaluate import evaluate_fields
from kmclcheck.semantics.index import tellers
from kmclcheck.semantics.transition import FieldLines, close
from kmclcheck.semantics.truth import TRUE
from kmclcheck.traces.records import excludes, is_declared, is_record_declared

Silent = tuple[FieldLines, ...]
"""The lines of each event that may happen unseen."""


class Recording:
    """A kind of event, function or callback, entry or exit, counts as recorded only if the trace
    declares it or shows it.

    Until then, what it would change may have changed at any time: the transitions of such events are
    silent moves. ``see`` says when a kind is new, so that users drop what they derived.

    Records that the library writes by itself have to be declared by name: a source that is turned on
    late, or for one kind only, shows some of them all the same.
    """

    def __init__(self, spec: Spec, info: TraceInfo) -> None:
        self.spec = spec
        self.recorded: set[EventKind] = set()
        self._undeclared: set[EventKind] = set()
        for decl in spec.events.values():
            if decl.record:
                here = self.recorded if is_record_declared(info, decl.name) else self._undeclared
                here.add((decl.name, decl.entry))
                continue
            for kind in ((decl.name, decl.entry), (decl.name, decl.exit)):
                # Functions of which only the name is published are taken as not used until one shows.
                if is_declared(info, *kind, decl.callback) or not (decl.documented or excludes(info, *kind)):
                    self.recorded.add(kind)
        self._conditional = {
            d.name: d.recorded_when for d in spec.events.values() if isinstance(d.recorded_when, FieldIn)
        }
        self._births = {
            name: tellers(spec, name) | {birth.event for birth in kind.births}
            for name, kind in spec.kinds.items()
        }
        self._cache: dict[tuple[str, frozenset[str], bool], Silent] = {}
        self._entries: dict[tuple[str, ...], bool] = {}
        self._settled: dict[tuple[StateVec, frozenset[str]], StateVec] = {}

    def see(self, kind: EventKind) -> bool:
        """Note a record of this kind; return whether it is the first."""
        if kind in self.recorded or kind in self._undeclared:
            return False
        self.recorded.add(kind)
        self._cache.clear()
        self._settled.clear()
        self._entries.clear()
        return True

    def settle(self, state: StateVec, table: StateTable, parent: StateVec | None) -> StateVec:
        """Return the state widened by what unrecorded events may do to it from now on.

        Events of the parent that its own state hides count as unrecorded too.
        """
        outer = frozenset() if parent is None else self.hidden(parent)
        found = self._settled.get((state, outer))
        if found is None:
            found = self._perhaps_reborn(state, table)
            while unseen := self._unseen(found, outer):
                guard = partial(evaluate_fields, kind=found.kind.name)
                wider = self._perhaps_reborn(table.intern(close(found.fields, unseen, guard)), table)
                if wider is found:
                    break
                found = wider
            self._settled[state, outer] = found
        return found

    def _perhaps_reborn(self, state: StateVec, table: StateTable) -> StateVec:
        """If the object may have ended and births go unrecorded, its handle may be a newborn's."""
        if self.births_recorded(state.kind.name):
            return state
        if not state.maybe_dead and not self._may_be_followed(state):
            return state
        return table.joined(state, table.born)

    def _may_be_followed(self, state: StateVec) -> bool:
        """Return whether a birth under the same handle would be no sign of a loss, though nothing ended.

        Objects can end without any event: memory of the driver that it uses for something else.
        """
        kind = state.kind
        return kind.ends_silently and any(
            birth.event not in self.recorded
            and birth.loss_if != Truth(False)
            and evaluate_fields(birth.loss_if, state.fields, kind.name) is not TRUE
            for birth in kind.births
        )

    def hidden(self, state: StateVec) -> frozenset[str]:
        """Return the callbacks that may never show for an object in this state."""
        kind = state.kind.name
        return frozenset(
            name
            for name, condition in self._conditional.items()
            if condition.kind == kind and not state.fields[condition.field].values <= condition.values
        )

    def _unseen(self, state: StateVec, outer: frozenset[str]) -> Silent:
        """Return the lines of every event that may happen unseen on an object in this state."""
        kind = state.kind.name
        hidden = self.hidden(state) | outer
        key = (kind, hidden, state.maybe_dead)
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = self._derive(kind, hidden, state.maybe_dead)
        return found

    def _derive(self, kind: str, hidden: frozenset[str], maybe_dead: bool) -> Silent:
        # A handle is born again only after its object ended. A specification need not declare threads.
        declared = self.spec.kinds.get(kind)
        births = set() if maybe_dead or declared is None else {birth.event for birth in declared.births}
        found: dict[EventKind, dict[str, list[Transition]]] = {}
        # A callback that nobody sees does not show that it can be seen.
        shown = {(c.kind, c.field) for c in self._conditional.values()}
        for machine in self.spec.machines.values():
            if machine.kind != kind:
                continue
            for line in machine.transitions:
                unseen = line.event not in self.recorded or line.event[0] in hidden
                if line.event[0] in self._conditional and (kind, machine.field) in shown:
                    continue
                if unseen and line.event not in births:
                    found.setdefault(line.event, {}).setdefault(machine.field, []).append(line)
        return tuple({name: tuple(lines) for name, lines in fields.items()} for fields in found.values())

    def entries_recorded(self, names: tuple[str, ...]) -> bool:
        """Return whether no entry of these functions or callbacks can have gone unrecorded."""
        found = self._entries.get(names)
        if found is None:
            found = self._entries[names] = all(self.entry_recorded(name) for name in names)
        return found

    def entry_recorded(self, name: str) -> bool:
        return (name, self.spec.events[name].entry) in self.recorded

    def exit_recorded(self, name: str) -> bool:
        return (name, self.spec.events[name].exit) in self.recorded

    def births_recorded(self, kind: str) -> bool:
        """Return whether no object of the kind can be born unseen."""
        return self._births.get(kind, frozenset()) <= self.recorded

    def told(self, kind: str) -> bool:
        """Return whether objects of the kind are known from records alone."""
        return any(self.spec.events[name].record for name, _ in self._births.get(kind, frozenset()))

    def untold(self, kind: str) -> str | None:
        """Return the name of a record by which objects of the kind are known, and that is not declared."""
        return min((name for name, _ in self._births.get(kind, frozenset()) & self._undeclared), default=None)
