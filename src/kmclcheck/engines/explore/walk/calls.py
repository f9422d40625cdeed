"""Threads and the calls they are in; which call a return belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kmclcheck.engines.explore.walk.answers import LACKING, NO, YES, Answer, any_of
from kmclcheck.engines.explore.walk.instances import Instance
from kmclcheck.engines.explore.walk.occasions import THREAD, Occasion
from kmclcheck.engines.explore.walk.recorded import Recorded
from kmclcheck.model.event import Event
from kmclcheck.model.expr import Expr


@dataclass(eq=False)
class Call:
    """A call or callback that is running or, unless ``sure``, may be.

    ``on``: the objects it was about at its entry. ``doubtful``: events were lost since, so that a return
    that fits may be that of a call nobody saw. ``at_fault``: the entry itself broke a rule of the driver.
    ``overlaps``: names of calls on the same object that ran at the same time. ``moments``: whether what the
    exit wants to have held at some moment held since the last record of its thread.
    """

    name: str
    event: Event
    thread: Thread
    number: int
    on: dict[str, Instance]
    subject: str | None
    sure: bool
    doubtful: bool = False
    at_fault: bool = False
    overlaps: dict[str, Answer] = field(default_factory=dict)
    moments: dict[Expr, Answer] = field(default_factory=dict)

    def is_on(self, one: Instance) -> Answer:
        """Return whether it is a call on this object."""
        mine = self.on.get(one.kind.name)
        if mine is None or mine.stand_in or one.stand_in:
            return LACKING
        return YES if mine is one else NO

    def shares_object(self, other: Call) -> bool:
        return any(kind != THREAD and other.on.get(kind) is mine for kind, mine in self.on.items())


@dataclass(eq=False)
class Thread:
    """A thread, or (not ``identified``) all threads of an endpoint whose records do not name them.

    ``grounded``: nothing unseen lies below its calls. ``stack``: calls whose exits are recorded, the
    innermost last. ``floating``: calls that may end at any time unseen. ``unmatched``: how many returns, by
    name, may belong to several calls.
    """

    endpoint: str
    identified: bool
    grounded: bool
    self: Instance | None
    stack: list[Call] = field(default_factory=list)
    floating: list[Call] = field(default_factory=list)
    unmatched: dict[str, int] = field(default_factory=dict)

    def calls(self) -> list[Call]:
        """Return the calls it may be in, innermost first, then those that may have ended."""
        return self.stack[::-1] + self.floating[::-1]

    def doubt(self) -> None:
        """Any call may have ended, and unseen ones may have begun."""
        self.grounded = False
        for call in self.stack:
            call.sure = False
        for call in self.calls():
            call.doubtful = True

    def remove(self, call: Call) -> None:
        (self.stack if call in self.stack else self.floating).remove(call)

    def is_inside(self, names: tuple[str, ...], one: Instance | None) -> Answer:
        """Return whether it is inside one of these calls, as its own records tell."""
        seen = [NO if self.grounded and self.identified else LACKING]
        for call in self.calls():
            if call.name in names:
                answer = YES if one is None else call.is_on(one)
                certain = call.sure and self.identified and call in self.stack
                seen.append(answer if certain else answer & LACKING)
        return any_of(seen)


class Threads:
    """All threads of a trace."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self._threads: dict[tuple[object, ...], Thread] = {}

    def __iter__(self) -> Iterator[Thread]:
        return iter(self._threads.values())

    def key(self, event: Event) -> tuple[object, ...]:
        """Return what a thread is known by; idle threads, with the id 0 in common, by their processor."""
        if event.tid:
            return ("thread", event.endpoint, event.tid)
        if event.tid == 0 and event.cpu is not None:
            return ("idle", event.endpoint, event.cpu)
        return ("nameless", event.endpoint)

    def get(self, event: Event) -> Thread | None:
        return self._threads.get(self.key(event))

    def add(self, event: Event, grounded: bool, one: Instance | None) -> Thread:
        """Enter the thread of an event that shows it for the first time."""
        key = self.key(event)
        thread = self._threads[key] = Thread(event.endpoint, key[0] != "nameless", grounded, one)
        return thread

    def has_nameless(self, endpoint: str) -> bool:
        return ("nameless", endpoint) in self._threads

    def calls(self) -> list[Call]:
        """Return every call that may be running."""
        return [call for thread in self for call in thread.calls()]

    def confusable(self, thread: Thread) -> list[Thread]:
        """Return the other threads to which some of this one's records may belong, or the other way round."""
        others = [t for t in self if t is not thread and t.endpoint == thread.endpoint]
        return [t for t in others if not (t.identified and thread.identified)]

    def lose(self) -> None:
        """Events are missing, of whatever thread."""
        for thread in self:
            thread.doubt()
            if thread.self is not None:
                thread.self.forget()

    def is_inside(self, thread: Thread, names: tuple[str, ...], one: Instance | None) -> Answer:
        """Return whether a thread is inside one of these calls (on the object, if given)."""
        answer = thread.is_inside(names, one)
        if answer == NO:
            calls = [call for other in self.confusable(thread) for call in other.calls()]
            if any(c.name in names and (one is None or c.is_on(one) != NO) for c in calls):
                answer = LACKING
        return answer if answer != NO or self._recorded.entries(names) else LACKING

    # Returns.

    def leave(
        self, event: Event, occasion: Occasion, thread: Thread, fits: Callable[[Call], bool]
    ) -> tuple[Call | None, bool]:
        """Return the call that a return ends, and whether the return shows that records are missing.

        None if it belongs to a call nobody saw, or to one of several and nothing tells which.
        """
        name = occasion.decl.name
        own = [call for call in thread.calls() if call.name == name and fits(call)]
        strangers = [] if own and thread.identified else self.confusable(thread)
        fitting = own + [c for t in strangers for c in t.calls() if c.name == name and fits(c)]
        if not fitting:
            seen = self._recorded.entries((name,))
            return None, thread.grounded and thread.identified and seen
        call = fitting[0]
        gap = False
        if thread.identified and own:
            if call in thread.stack:
                depth = thread.stack.index(call)
                skipped = thread.stack[depth + 1 :]
                del thread.stack[depth:]
                gap = any(c.sure and self._recorded.exit(c.name) for c in skipped)
            else:
                thread.floating.remove(call)
        elif len(fitting) == 1:
            call.thread.remove(call)
            self._count_unmatched(thread.endpoint, name, 0)
        else:
            self._doubt(fitting)
            self._count_unmatched(thread.endpoint, name, 1)
            return None, False
        return (None if call.doubtful else call), gap

    def _doubt(self, calls: list[Call]) -> None:
        """One of these calls has ended, and with it something became of its objects."""
        for call in calls:
            call.sure = False
            if not call.thread.identified:
                call.thread.remove(call)
                call.thread.floating.append(call)
            for one in call.on.values():
                one.forget()

    def _count_unmatched(self, endpoint: str, name: str, returns: int) -> None:
        """Once as many returns could not be matched as calls are open, all of these have ended."""
        nameless = self._threads.get(("nameless", endpoint))
        if nameless is None or not nameless.grounded:
            return
        here = [c for t in self if t.endpoint == endpoint for c in t.calls() if c.name == name]
        count = nameless.unmatched.get(name, 0) + returns
        if count >= len(here):
            for call in here:
                call.thread.remove(call)
            count = 0
        nameless.unmatched[name] = count
