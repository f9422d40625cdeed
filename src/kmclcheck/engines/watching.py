"""Checks a trace while it is being written, and tells findings as soon as they are certain."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from kmclcheck.engines.monitor import Monitor, Options, Progress, run
from kmclcheck.engines.replay import Explainer
from kmclcheck.engines.states import since
from kmclcheck.model.event import End, Event
from kmclcheck.model.finding import Finding, TraceResult
from kmclcheck.model.spec import Spec
from kmclcheck.semantics.index import build_index
from kmclcheck.traces.base import Item, TraceReader

Tell = Callable[[Finding, int], None]
"""Told a finding, explained, and how many events were judged by then."""


class Watch:
    """One trace that is watched.

    ``over`` says, once the reader gives no more, whether the trace itself has ended: only then is anything
    due at its end. A finding that another order of events may undo waits until none can; one that the
    trace takes back at its end is counted in ``taken_back``. What explains a finding is dropped when it
    was told, so memory grows by a small record for each, and not with the trace.
    """

    def __init__(
        self, spec: Spec, options: Options, reader: TraceReader, tell: Tell, over: Callable[[], bool]
    ) -> None:
        info = reader.info
        self.taken_back = 0
        self._tell = tell
        self._over = over
        self._left = options.slice_budget
        index = build_index(spec, options.enabled(spec))
        self._reader = reader
        self._monitor = Monitor(spec, index, info)
        self._explainer = Explainer(spec, index, info, frozenset())
        self._made = 0
        self._told = 0
        self._waiting: deque[tuple[int | None, Finding]] = deque()

    @property
    def events(self) -> int:
        """How many events were judged so far."""
        return self._monitor.count

    @property
    def findings(self) -> int:
        """How many findings stand so far."""
        return len(self._monitor.ledger.findings)

    def run(self, progress: Progress | None = None) -> TraceResult:
        """Check to the end of the trace, or to an interrupt; return what everything came to."""
        result = run(self._monitor, _Watched(self._reader, self), progress)
        self._collect(None)
        self._release(None)
        self.taken_back = self._told - len(result.findings)
        return result

    def judged(self, item: Item) -> None:
        """Tell what the item came to."""
        event = item if isinstance(item, Event) else None
        if self._monitor.ledger.made != self._made:
            self._collect(event)
        if self._waiting and event is not None and event.time is not None:
            self._release(event.time)

    def ended(self) -> None:
        """Take it that nothing is due if the trace itself has not ended."""
        if not self._over():
            self._reader.info.end = End.STOPPED

    def _collect(self, event: Event | None) -> None:
        ledger, window = self._monitor.ledger, self._reader.info.window
        for finding in since(ledger.findings, self._made):
            tied = window and event is not None and event.seq is None and event.time is not None
            if tied and event is not None and event.time is not None:
                self._waiting.append((event.time + window, finding))
            else:
                self._show(finding)
            self._made = max(self._made, finding.index + 1)
        self._made = ledger.made

    def _release(self, now: int | None) -> None:
        """Tell the findings which no event at this time, or later, can undo."""
        while self._waiting:
            until, finding = self._waiting[0]
            if now is not None and until is not None and now <= until:
                return
            if finding.index in self._monitor.ledger.evidence:
                self._show(finding)
            self._waiting.popleft()

    def _show(self, finding: Finding) -> None:
        ledger = self._monitor.ledger
        started = time.perf_counter()
        evidence = ledger.evidence[finding.index]
        # What the trace records may have shown only by now.
        self._explainer.recorded = frozenset(self._monitor.recording.recorded)
        finding.slice = self._explainer.explain(finding, evidence, started + self._left)
        self._left -= time.perf_counter() - started
        # An interrupt until here lets it be told at the end, and from here on not twice.
        self._made = max(self._made, finding.index + 1)
        self._tell(finding, self.events)
        self._told += 1
        finding.history, finding.slice = (), None
        ledger.evidence[finding.index] = replace(evidence, stories=[], kin=[], frames=[])


class _Watched(TraceReader):
    """A reader that says when an item was judged: when the next one is asked for."""

    def __init__(self, inner: TraceReader, watch: Watch) -> None:
        super().__init__(inner.info)
        self._inner = inner
        self._watch = watch
        self.problems = inner.problems
        self.unmapped = inner.unmapped

    @property
    def bytes_read(self) -> int:
        return self._inner.bytes_read

    def __iter__(self) -> Iterator[Item]:
        try:
            for item in self._inner:
                yield item
                self._watch.judged(item)
        finally:
            self.problem_count = self._inner.problem_count
        self._watch.ended()
