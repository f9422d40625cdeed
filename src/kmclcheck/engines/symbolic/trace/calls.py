"""Threads and the calls they are inside of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kmclcheck.engines.symbolic.circuit import Lit
from kmclcheck.engines.symbolic.trace.numbers import Quantity
from kmclcheck.engines.symbolic.trace.objects import Key, Objects, Thing
from kmclcheck.engines.symbolic.trace.plan import EventPlan, is_output
from kmclcheck.model.event import Event
from kmclcheck.model.expr import Expr

Maybe = bool | None
"""Whether something is so; ``None`` where the trace does not tell."""

Level = tuple[Lit, Lit]
"""Whether a condition may hold, and whether it must, for the documents; both depend on the facts."""


def either(*answers: Maybe) -> Maybe:
    """Return whether one of several things is so."""
    if any(answers):
        return True
    return None if None in answers else False


@dataclass(eq=False, slots=True)
class Call:
    """A call or callback that has begun. ``sure``: it certainly still runs.

    ``loose``: it may have ended without a record, so calls need not be nested in it. ``doubted``: events were
    lost since, and a return that fits may be that of another call. ``faulty``: that it was made was a fault.
    """

    name: str
    event: Event
    thread: Thread
    serial: int
    held: dict[str, Thing]
    primary: str | None
    sure: bool
    loose: bool
    faulty: bool = False
    doubted: bool = False
    overlaps: dict[str, Maybe] = field(default_factory=dict)
    latches: dict[Expr, Level] = field(default_factory=dict)
    missing: dict[str, Quantity] = field(default_factory=dict)

    def on(self, thing: Thing) -> Maybe:
        """Return whether this is a call on the object."""
        mine = self.held.get(thing.kind.name)
        if mine is None or mine.nameless or thing.nameless:
            return None
        return mine is thing

    @property
    def about(self) -> Thing | None:
        """The object that the call is about."""
        return self.held.get(self.primary or "")


@dataclass(eq=False, slots=True)
class Thread:
    """A thread. ``based``: nothing that the trace does not show lies below its calls.

    One that is not ``told`` stands for all whose records do not name them. ``owed`` counts, by name, returns
    that may belong to several of its calls.
    """

    endpoint: str
    told: bool
    based: bool
    thing: Thing | None
    stack: list[Call] = field(default_factory=list)
    loose: list[Call] = field(default_factory=list)
    owed: dict[str, int] = field(default_factory=dict)

    def calls(self) -> Iterator[Call]:
        """Return all calls that may be running, innermost first."""
        yield from reversed(self.stack)
        yield from reversed(self.loose)

    def drop(self, call: Call) -> None:
        """Take a call away, wherever it stands."""
        (self.loose if call in self.loose else self.stack).remove(call)


class Threads:
    """All threads of a trace."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self._all: dict[Key, Thread] = {}
        self._serial = 0

    def calls(self) -> Iterator[Call]:
        """Return all calls that may be running."""
        for thread in self._all.values():
            yield from thread.calls()

    def stacks(self) -> Iterator[Call]:
        """Return all calls whose end would have been seen."""
        for thread in self._all.values():
            yield from thread.stack

    def things(self) -> Iterator[Thing]:
        """Return the threads as objects."""
        for thread in self._all.values():
            if thread.thing is not None:
                yield thread.thing

    def of(self, event: Event) -> Thread:
        """Return the thread of a record. Idle threads share the id 0: the processor stands for them."""
        nobody: Key = ("none", event.endpoint)
        key: Key = ("thread", event.endpoint, event.tid)
        if event.tid is None or (event.tid == 0 and event.cpu is None):
            key = nobody
        elif event.tid == 0:
            key = ("processor", event.endpoint, event.cpu)
        thread = self._all.get(key)
        if thread is None:
            objects, thing = self.objects, None
            kind = objects.spec.kinds.get("thread")
            if kind is not None:
                # What records of no thread changed may have been this one's.
                sure = objects.sound and nobody not in self._all
                fields = objects.newborn(kind)
                if not sure:
                    fields = {name: objects.unknown(enum) for name, enum in kind.enums.items()}
                fields = objects.widened(kind, fields, None)
                thing = Thing(kind, ("thread", *key), event.tid or 0, event.endpoint, fields, sure)
            thread = self._all[key] = Thread(event.endpoint, key is not nobody, objects.sound, thing)
        if thread.thing is not None and not thread.told:
            self.objects.forget(thread.thing, "no thread ids in the trace")
        return thread

    def perhaps(self, thread: Thread) -> list[Thread]:
        """Return the other threads that some records of this one may really be of."""
        others = [t for t in self._all.values() if t is not thread and t.endpoint == thread.endpoint]
        return [t for t in others if not (t.told and thread.told)]

    def inside(self, thread: Thread, names: tuple[str, ...], thing: Thing | None) -> Maybe:
        """Return whether a thread is inside one of the calls, on the object if one is given."""
        found: Maybe = False if thread.based and thread.told else None
        for call in thread.calls():
            if call.name in names:
                here = True if thing is None else call.on(thing)
                if here and not (call.sure and thread.told and not call.loose):
                    here = None
                found = either(found, here)
        if found is False:
            for other in self.perhaps(thread):
                for call in other.calls():
                    if call.name in names and (thing is None or call.on(thing) is not False):
                        found = None
        return found

    def lose(self) -> None:
        """Events are missing: calls may have ended and begun."""
        for thread in self._all.values():
            self.doubt(thread)
            if thread.thing is not None:
                self.objects.forget(thread.thing)

    def doubt(self, thread: Thread) -> None:
        """Events of the thread may be missing."""
        thread.based = False
        for call in thread.stack:
            call.sure = False
        for call in thread.calls():
            call.doubted = True

    # Entries and exits.

    def enter(
        self, event: Event, plan: EventPlan, thread: Thread, held: dict[str, Thing], faulty: bool
    ) -> Call:
        """Note that a call begins."""
        self._serial += 1
        name, objects = plan.decl.name, self.objects
        held = dict(held)
        about = held.get(plan.primary or "")
        if about is not None:
            if about.parent is not None:
                held.setdefault(about.parent.kind.name, about.parent)
            for group in objects.plan.groups.get(name, ()):
                about.entries[group] = self._serial
        sure = objects.recorded.exit(name)
        call = Call(name, event, thread, self._serial, held, plan.primary, sure, not sure, faulty)
        for other in self.calls() if name in objects.plan.overlapping else ():
            apart = other.thread.told and thread.told
            if other.thread is thread and apart:
                continue
            if any(other.held.get(kind) is mine for kind, mine in held.items()):
                both: Maybe = True if apart and other.sure and sure else None
                other.overlaps[name] = either(other.overlaps.get(name, False), both)
                call.overlaps[other.name] = either(call.overlaps.get(other.name, False), both)
        (thread.stack if sure else thread.loose).append(call)
        return call

    def leave(
        self, plan: EventPlan, thread: Thread, handle: Callable[[str], int | None]
    ) -> tuple[Call | None, bool]:
        """Take away the call that a return belongs to. Say whether it shows that records are missing.

        A return that may be that of a call nobody saw belongs to none.
        """
        name = plan.decl.name
        given = {
            kind: handle(param)
            for kind, param in plan.decl.objects.items()
            if not is_output(plan.decl, param)
        }

        def fits(call: Call) -> bool:
            if call.name != name:
                return False
            held = [(call.held.get(kind), number) for kind, number in given.items() if number is not None]
            return all(mine is None or mine.nameless or mine.handle == number for mine, number in held)

        own = [call for call in thread.calls() if fits(call)]
        found = list(own)
        if not (own and thread.told):
            found += [call for other in self.perhaps(thread) for call in other.calls() if fits(call)]
        if not found:
            return None, thread.based and thread.told and self.objects.recorded.entry(name)
        call = found[0]
        lost = False
        if thread.told and call in thread.stack:
            at = thread.stack.index(call)
            unfinished = thread.stack[at + 1 :]
            del thread.stack[at:]
            lost = any(other.sure and self.objects.recorded.exit(other.name) for other in unfinished)
        elif len(found) == 1 or (thread.told and own):
            call.thread.drop(call)
            if not (thread.told and own):
                self._settle(thread.endpoint, name, 0)
        else:
            # It belongs to one of several calls, and nothing tells to which.
            for other in found:
                other.sure = False
                if not other.thread.told:
                    other.thread.drop(other)
                    other.loose = True
                    other.thread.loose.append(other)
                for thing in other.held.values():
                    self.objects.forget(thing)
            self._settle(thread.endpoint, name, 1)
            return None, False
        return (None if call.doubted else call), lost

    def _settle(self, endpoint: str, name: str, returns: int) -> None:
        """Count returns that may belong to several calls; once there are as many as calls, all have ended."""
        here = [thread for thread in self._all.values() if thread.endpoint == endpoint]
        running = [call for thread in here for call in thread.calls() if call.name == name]
        for thread in here:
            if not thread.told and thread.based:
                owed = thread.owed.get(name, 0) + returns
                if owed >= len(running):
                    for call in running:
                        call.thread.drop(call)
                    owed = 0
                thread.owed[name] = owed
