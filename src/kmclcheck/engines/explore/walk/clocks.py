"""Records whose order the clocks leave open: of different processors, closer together than the clocks agree.

Such records matter to each other only where they meet: at a thread, or at an object with all that belongs to
it. What met there is unknown from then on, for it follows all of them in whatever order; and a fault found at
one of them does not count, unless the rule looks at that record alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kmclcheck.engines.explore.walk.answers import LACKING
from kmclcheck.engines.explore.walk.books import Books
from kmclcheck.engines.explore.walk.calls import Threads
from kmclcheck.engines.explore.walk.instances import Instance, Population
from kmclcheck.engines.explore.walk.occasions import THREAD, Occasion
from kmclcheck.engines.explore.walk.scene import Scene

UNORDERED = "records of several processors are too close in time to have an order"

Place = tuple[object, ...]
"""Where records may meet: ``("at", ...)`` a thread or an object, or ``("somewhere", endpoint)``."""


@dataclass(slots=True)
class Record:
    """What has to be remembered of a record as long as others may be closer to it than the clocks agree."""

    time: int
    processor: int | None
    places: set[Place]
    touched: list[Instance]
    findings: list[int]

    def meets(self, other: Record) -> bool:
        """Return whether both may have touched the same."""
        return bool(self.places & other.places) or any(
            a[0] == "somewhere" and b[0] != "thread" and a[1] == b[1]
            for one, two in ((self, other), (other, self))
            for a in one.places
            for b in two.places
        )


class Clocks:
    """Finds records without an order. ``window``: how close, in nanoseconds, the clocks do not tell."""

    def __init__(self, window: int, population: Population, threads: Threads, books: Books) -> None:
        self._window = window
        self._population = population
        self._threads = threads
        self._books = books
        self._recent: list[Record] = []

    def before(self, scene: Scene, occasion: Occasion) -> Record | None:
        """Look at a record that is going to be judged; ``None`` if its order is known, or does not matter."""
        event = scene.event
        if not self._window or event.seq is not None or event.time is None or occasion.decl.unordered:
            return None
        since = event.time - self._window
        self._recent = [record for record in self._recent if record.time > since]
        now = Record(event.time, event.cpu, self._places(scene), [], [])
        tied = [r for r in self._recent if r.processor != event.cpu and r.meets(now)]
        if tied:
            self._books.withdraw([f for r in tied for f in r.findings], UNORDERED)
            self._doubt(scene, now)
        return now

    def after(self, scene: Scene, record: Record | None, first_finding: int) -> None:
        """Look at a record that was judged, with the findings made since."""
        if record is None:
            return
        record.touched = [one for one in scene.on.values() if not one.stand_in]
        record.findings = [f.index for f in self._books.findings if f.index >= first_finding]
        tied = any(r.processor != record.processor and r.meets(record) for r in self._recent)
        self._recent.append(record)
        if tied:
            self._books.withdraw(record.findings, UNORDERED)
            record.findings = []
            self._doubt(scene, record)

    def _places(self, scene: Scene) -> set[Place]:
        endpoint = scene.event.endpoint
        found: set[Place] = {("thread", *self._threads.key(scene.event))}
        for kind, one in scene.on.items():
            if kind == THREAD:
                continue
            top = one
            while top.parent is not None:
                top = top.parent
            if top.stand_in or top.kind.parent is not None:
                # It is not known whose it is.
                found.add(("somewhere", endpoint))
            else:
                found.add((top.kind.name, endpoint, top.handle))
        return found

    def _doubt(self, scene: Scene, record: Record) -> None:
        """Make unknown what another order of these records would have made of all they touched."""
        if scene.thread is not None:
            scene.thread.doubt()
        family = dict.fromkeys(one for one in scene.on.values() if not one.stand_in)
        for other in self._recent:
            if other.meets(record):
                family.update(dict.fromkeys(other.touched))
        for one in list(family):
            family.update(dict.fromkeys(_relatives(one)))
        for call in self._threads.calls():
            if any(one in family for one in call.on.values()):
                call.moments = {c: answer | LACKING for c, answer in call.moments.items()}
        for one in family:
            self._population.scattered.add(one.kind.name)
            one.forget()
            # It may have ended before it was named, or been named before it ended.
            one.over = False


def _relatives(one: Instance) -> Iterable[Instance]:
    yield from one.children
    if one.parent is not None:
        yield one.parent
        yield from one.parent.children
