"""Counts what the events of one trace do to the machines, as the monitor works it out."""

from __future__ import annotations

from collections.abc import Iterator

from kmclcheck.engines.coverage.tally import Coverage
from kmclcheck.engines.coverage.universe import Universe
from kmclcheck.engines.monitor import Monitor, Progress, run
from kmclcheck.engines.monitor.watching import Fields, Move
from kmclcheck.model.finding import TraceResult, VerdictKind
from kmclcheck.semantics.index import EventIndex, SpecIndex, build_index
from kmclcheck.semantics.transition import observed
from kmclcheck.semantics.truth import FALSE, TRUE, Possible
from kmclcheck.traces.base import TraceReader

# A mark is the number of a state or an edge, and whether it is covered for certain, in one integer.
_CERTAIN = 1
_EDGE = 2
_BITS = 2


class Counter:
    """The watch of a monitor that counts into a coverage."""

    def __init__(self, universe: Universe, coverage: Coverage) -> None:
        self._states = universe.state_number
        self._edges = universe.edge_number
        self._coverage = coverage
        self._noted: dict[int, None] = {}
        # Many outcomes do the same.
        self._known: dict[tuple[int, ...], tuple[int, ...]] = {}

    def moved(self, move: Move) -> None:
        self._noted.update(dict.fromkeys(self._lines(move, True)))
        self._noted.update(dict.fromkeys(self._values(move.kind, move.field, move.after)))

    def passed(self, kind: str, before: Fields, after: Fields) -> None:
        for name, value in before.items():
            self._noted.update(dict.fromkeys(self._values(kind, name, value)))
            now = after[name]
            if now is not value:
                self._noted.update(dict.fromkeys(self._values(kind, name, now)))

    def marks(self) -> tuple[int, ...]:
        # What is certain is not perhaps besides.
        found = tuple(m for m in self._noted if m & _CERTAIN or m | _CERTAIN not in self._noted)
        self._noted.clear()
        return self._known.setdefault(found, found)

    def count(self, index: EventIndex, marks: tuple[int, ...], times: int) -> None:
        event = self._coverage.events[index.decl.name]
        if index.is_entry:
            event.entries += times
        else:
            event.exits += times
        for mark in marks:
            self._enter(mark, times)

    def other(self, move: Move, sure: bool) -> None:
        found = dict.fromkeys(self._lines(move, sure))
        after = move.after
        if not sure:
            # It may as well have happened to another object.
            after = Possible(move.before.values | after.values, True)
        found.update(dict.fromkeys(self._values(move.kind, move.field, after)))
        for mark in found:
            if mark & _CERTAIN or mark | _CERTAIN not in found:
                self._enter(mark, 1)

    def _enter(self, mark: int, times: int) -> None:
        counts = self._coverage.edges if mark & _EDGE else self._coverage.states
        count = counts[mark >> _BITS]
        if mark & _CERTAIN:
            count.certain += times
        else:
            count.perhaps += times

    def _values(self, kind: str, name: str, now: Possible) -> Iterator[int]:
        certain = _CERTAIN if len(now.values) == 1 else 0
        for value in now.values:
            number = self._states.get((kind, name, value))
            if number is not None:  # a field without a machine never moves
                yield number << _BITS | certain

    def _lines(self, move: Move, sure: bool) -> Iterator[int]:
        """Give the marks of the lines that apply, and of the value before them.

        A line is taken for certain if the value was known, its guard holds, and nothing else can have come
        of the event than what the line says.
        """
        before = observed(move.before, move.lines, move.guard)
        known = len(before.values) == 1
        yield from self._values(move.kind, move.field, before)
        for line in move.lines:
            sources = before.values & line.sources
            if line.observe or not sources:
                continue
            level = move.guard(line.guard)
            if level is FALSE:
                continue
            for source in sources:
                said = line.targets or frozenset((source,))
                certain = sure and known and level is TRUE and move.after.values == said
                yield self._edges[id(line), source] << _BITS | _EDGE | (_CERTAIN if certain else 0)


class Coverer:
    """Measures traces against one specification, one after the other, and keeps the sum."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self.total = Coverage(universe)
        self._index: SpecIndex = build_index(universe.spec, frozenset(r.id for r in universe.rules))

    def cover(self, reader: TraceReader, progress: Progress | None = None) -> TraceResult:
        """Judge one trace, and add what it covered to the sum. An interrupt adds what was seen so far."""
        mine = Coverage(self.universe, traces=1)
        lossy = reader.info.lost_anywhere
        monitor = Monitor(self.universe.spec, self._index, reader.info, Counter(self.universe, mine))
        result = run(monitor, reader, progress)
        if reader.info.lost_anywhere and not lossy:
            # The trace said only at its end that events are missing somewhere.
            mine.doubt()
        mine.records = result.events
        for verdict in result.verdicts:
            rule = mine.rules[verdict.rule]
            rule.decided, rule.open = verdict.decided, verdict.open
            rule.failed = int(verdict.kind is VerdictKind.FAIL)
        self.total.add(mine)
        return result
