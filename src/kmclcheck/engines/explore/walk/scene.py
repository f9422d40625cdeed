"""One event in its surroundings: what conditions asked at it can find out."""

from __future__ import annotations

from dataclasses import dataclass, field

from kmclcheck.engines.explore.walk.answers import (
    LACKING,
    NO,
    YES,
    Answer,
    Nodes,
    Value,
    all_of,
    any_of,
    of,
    opposite,
)
from kmclcheck.engines.explore.walk.calls import Call, Thread, Threads
from kmclcheck.engines.explore.walk.conditions import Surroundings, ask
from kmclcheck.engines.explore.walk.graphs import Fields
from kmclcheck.engines.explore.walk.instances import Instance, Population
from kmclcheck.engines.explore.walk.recorded import Recorded
from kmclcheck.model import expr as e
from kmclcheck.model.event import Event
from kmclcheck.model.spec import Check, Spec


@dataclass(slots=True)
class World:
    """All that the walk knows."""

    spec: Spec
    recorded: Recorded
    population: Population
    threads: Threads

    def value(self, event: Event, name: str) -> int | None:
        """Return an argument of a record; a word is the status or the constant of that name."""
        value = event.args.get(name)
        if isinstance(value, str):
            return self.spec.statuses.get(value, self.spec.constants.get(value))
        return value


@dataclass(slots=True)
class Scene:
    """An event with its objects by kind, its thread (none at the end of the trace) and, at an exit, its call.

    ``instead``: fields to be read in the place of those that objects have, such as those of a birth.
    """

    world: World
    event: Event
    thread: Thread | None
    call: Call | None
    on: dict[str, Instance] = field(default_factory=dict)
    instead: dict[str, Fields] = field(default_factory=dict)

    def with_objects(self, **on: Instance) -> Scene:
        """Return the scene with more objects, or others."""
        return Scene(self.world, self.event, self.thread, self.call, {**self.on, **on}, self.instead)

    def ask(self, expr: e.Expr) -> Answer:
        return ask(expr, self)

    def judge(self, check: Check) -> Answer | None:
        """Return whether a check is kept here; ``None`` if it does not apply."""
        applies = self.ask(check.when)
        if applies == NO:
            return None
        kept = self.ask(check.require)
        # What may not even apply is not broken for sure.
        return kept if applies == YES else kept | LACKING

    def nodes(self, kind: str, name: str) -> Nodes | None:
        if kind in self.instead:
            return self.instead[kind][name]
        return self.on[kind].fields[name] if kind in self.on else None

    def number(self, kind: str, name: str) -> Value:
        return self.on[kind].number(name) if kind in self.on else None

    def argument(self, name: str) -> int | None:
        if name in self.event.args or self.call is None:
            return self.world.value(self.event, name)
        return self.world.value(self.call.event, name)

    def irql(self) -> int | None:
        return self.event.irql

    def status(self) -> int | None:
        status = self.event.status
        if isinstance(status, str):
            return self.world.spec.statuses.get(status)
        return None if status is None else status & 0xFFFFFFFF

    def about(self, atom: Surroundings) -> Answer:
        match atom:
            case e.Inside():
                return self._inside(atom)
            case e.OpenFrame():
                return self._running(atom)
            case e.Overlapped():
                return self._overlapped(atom)
            case e.Latest():
                return self._latest(atom)
            case e.AnyChild():
                children, others = self._children(atom)
                return any_of(children) | (LACKING if others else NO)
            case e.Sometime():
                return self._sometime(atom)

    def without_child(self, atom: e.AnyChild) -> Answer:
        children, others = self._children(atom)
        return all_of(map(opposite, children)) & (LACKING if others else YES)

    def _inside(self, atom: e.Inside) -> Answer:
        if self.thread is None:
            return NO
        one = None if atom.kind is None else self.on.get(atom.kind)
        answer = self.world.threads.is_inside(self.thread, atom.names, one)
        unnamed = atom.kind is not None and (one is None or one.stand_in)
        return answer & LACKING if unnamed else answer

    def _running(self, atom: e.OpenFrame) -> Answer:
        one = self.on.get(atom.kind)
        if one is None or one.stand_in:
            return LACKING
        seen = [of(False if one.complete and self.world.recorded.entries(atom.names) else None)]
        for call in self.world.threads.calls():
            if call.name in atom.names and call is not self.call and call.on.get(atom.kind) is one:
                seen.append(YES if call.sure else LACKING)
        return any_of(seen)

    def _overlapped(self, atom: e.Overlapped) -> Answer:
        if self.call is None:
            return LACKING
        one = self._subject()
        # What overlapped a call that may have ended long ago is not known.
        told = one is not None and one.complete and self.call.sure and self.world.recorded.entries(atom.names)
        seen = [answer for name, answer in self.call.overlaps.items() if name in atom.names]
        return any_of(seen) | (NO if told else LACKING)

    def _latest(self, atom: e.Latest) -> Answer:
        one = self._subject()
        if one is None or self.call is None or atom.names not in one.entries:
            return LACKING
        return of(one.entries[atom.names] == self.call.number and not one.succeeded)

    def _subject(self) -> Instance | None:
        """Return the object that the call of this exit is about."""
        return None if self.call is None else self.call.on.get(self.call.subject or "")

    def _children(self, atom: e.AnyChild) -> tuple[list[Answer], bool]:
        parent, condition = self.on.get(atom.parent), atom.condition
        population = self.world.population
        found: list[Answer] = []
        for child in population.children(parent, atom.kind):
            found.append(self.with_objects(**{atom.kind: child}).ask(condition))
        return found, population.may_have_others(parent, atom.kind)

    def _sometime(self, atom: e.Sometime) -> Answer:
        if self.call is None or self.thread is None:
            return LACKING
        answer = self.call.moments.get(atom.condition, LACKING)
        # Without thread ids it is not known which record was the last one of the thread.
        return answer if self.thread.identified else answer | LACKING
