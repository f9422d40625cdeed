"""Checks a trace and explains each finding by the part of the trace that reproduces it.

A slice is judged as a trace of its own, so it must not gain a fault by what was left out. Two
reductions are safe and are made: events that cannot influence any field the rule looks at, directly
or through guards, are dropped; and a stretch of an object's story that ends in the state it began in
is cut. The result counts only if the monitor, run on just these events, gives the finding again and
no other that the unreduced slice did not give.
"""

from __future__ import annotations

import time
from dataclasses import replace

from kmclcheck.engines.cone import Cones, Field
from kmclcheck.engines.monitor import Monitor, Options, Progress, run
from kmclcheck.engines.monitor.ledger import Evidence
from kmclcheck.engines.monitor.store import HistoryEntry
from kmclcheck.model.event import End, Event, Start, TraceInfo
from kmclcheck.model.finding import Finding, Slice, TraceResult
from kmclcheck.model.spec import EventKind, Spec
from kmclcheck.semantics.index import SpecIndex, build_index
from kmclcheck.traces.base import TraceReader

SLICE_LIMIT = 2000
"""Events beyond which a slice is not worth replaying."""

Numbered = tuple[int, Event]


class Checker:
    """Checks traces against one specification; explaining findings has one budget for all of them."""

    def __init__(self, spec: Spec, options: Options) -> None:
        self.spec = spec
        self.index = build_index(spec, options.enabled(spec))
        self.left = options.slice_budget

    def check(self, reader: TraceReader, progress: Progress | None = None) -> TraceResult:
        """Check one trace and attach a slice to every finding, as far as the budget goes."""
        monitor = Monitor(self.spec, self.index, reader.info)
        result = run(monitor, reader, progress)
        started = time.perf_counter()
        explainer = Explainer(self.spec, self.index, reader.info, frozenset(monitor.recording.recorded))
        for finding in result.findings:
            evidence = monitor.ledger.evidence[finding.index]
            finding.slice = explainer.explain(finding, evidence, started + self.left)
        self.left -= time.perf_counter() - started
        return result


def check(spec: Spec, options: Options, reader: TraceReader, progress: Progress | None = None) -> TraceResult:
    """Check a single trace."""
    return Checker(spec, options).check(reader, progress)


class Explainer:
    """Finds and replays the slices of one trace's findings."""

    def __init__(self, spec: Spec, index: SpecIndex, info: TraceInfo, recorded: frozenset[EventKind]) -> None:
        self.spec = spec
        self.index = index
        self.info = info
        self.recorded = recorded
        self._cones = Cones(spec)

    def explain(self, finding: Finding, evidence: Evidence, deadline: float) -> Slice:
        """Return the smallest slice found in time."""
        found = self._explain(finding, evidence, evidence.stories, deadline)
        if not found.replayed and evidence.kin:
            found = self._explain(finding, evidence, evidence.stories + evidence.kin, deadline)
        return found

    def _explain(
        self, finding: Finding, evidence: Evidence, stories: list[list[HistoryEntry]], deadline: float
    ) -> Slice:
        whole = self._merge(evidence, stories)
        if finding.hung_call is not None and all(e is not finding.hung_call for _, e in whole):
            whole = [(0, finding.hung_call), *whole]
        events = tuple(event for _, event in whole)
        if time.perf_counter() >= deadline:
            return Slice(events, False, False, "not reduced: the time for explanations was used up")
        if len(events) > SLICE_LIMIT:
            return Slice(events[-SLICE_LIMIT:], False, False, "not reduced: the story is too long")
        again, given = self._replay(finding, evidence, events)
        if not again:
            note = "earlier events were left out" if evidence.cut else "the finding needs more of the trace"
            return Slice(events, False, False, note)
        smaller = self._reduce(finding, evidence, stories, given, deadline)
        if smaller is not None and len(smaller) < len(events):
            return Slice(smaller, True, True)
        return Slice(events, True, smaller is not None)

    def _merge(self, evidence: Evidence, stories: list[list[HistoryEntry]]) -> list[Numbered]:
        events = {number: event for story in stories for number, event, _ in story}
        events.update(evidence.frames)
        if evidence.event is not None:
            events[evidence.number] = evidence.event
            events = {n: e for n, e in events.items() if n <= evidence.number}
        return sorted(events.items())

    def _replay(
        self, finding: Finding, evidence: Evidence, events: tuple[Event, ...]
    ) -> tuple[bool, frozenset[str]]:
        """Run the monitor on a slice; return whether it gave the finding again, and other broken rules."""
        known = evidence.complete and not evidence.cut
        info = TraceInfo(
            start=Start.KNOWN if known else Start.MIDLIFE,
            end=self.info.end if evidence.event is None else End.STOPPED,
            records=set(self.recorded),
        )
        monitor = Monitor(self.spec, self.index, info)
        for event in events:
            # A slice has gaps by its nature; they are no losses.
            monitor.feed(event if event.seq is None else replace(event, seq=None))
        monitor.finish()
        others = set()
        again = False
        for found in monitor.ledger.findings:
            same = found.object.kind == finding.object.kind and found.object.handle == finding.object.handle
            if same and found.rule == finding.rule:
                again = True
            else:
                others.add(found.rule)
        return again, frozenset(others)

    def _reduce(
        self,
        finding: Finding,
        evidence: Evidence,
        stories: list[list[HistoryEntry]],
        given: frozenset[str],
        deadline: float,
    ) -> tuple[Event, ...] | None:
        """Return the events that matter, replayed, or ``None`` if every attempt showed another story.

        Without the events that do not matter to the check, other rules may seem broken; then what
        matters to those is kept as well.
        """
        checks = {evidence.check: None}
        for loops, hidden in ((True, False), (True, True), (False, True)):
            while time.perf_counter() < deadline:
                cones = [self._cones.of(check, hidden) for check in checks]
                fields = frozenset(f for cone in cones for f in cone[0])
                names = frozenset(n for cone in cones for n in cone[1])
                if evidence.event is not None:
                    # A return needs its call.
                    names |= {evidence.event.name}
                kept = [self._filter(story, fields, names) for story in stories]
                if loops:
                    kept = [self._cut_loops(story, fields, evidence) for story in kept]
                numbered = self._merge(evidence, kept)
                if finding.hung_call is not None and all(e is not finding.hung_call for _, e in numbered):
                    numbered.append((evidence.number, finding.hung_call))
                events = tuple(event for _, event in numbered)
                again, found = self._replay(finding, evidence, events)
                more = [c for rule in sorted(found - given) for c in self.spec.rules[rule].checks]
                if again and not more:
                    return events
                if all(check in checks for check in more):
                    break
                checks.update(dict.fromkeys(more))
        return None

    def _filter(
        self, story: list[HistoryEntry], fields: frozenset[Field], names: frozenset[str]
    ) -> list[HistoryEntry]:
        """Drop calls neither edge of which can influence a field of the cone."""
        return [entry for entry in story if self._matters(entry[1].name, fields, names)]

    def _matters(self, name: str, fields: frozenset[Field], names: frozenset[str]) -> bool:
        decl = self.spec.events.get(name)
        if decl is None or name in names:
            # What nobody knows may have changed anything.
            return True
        for phase in (decl.entry, decl.exit):
            index = self.index.events[name, phase]
            if index.births or any(
                a.kind == k and a.field == f for a in index.assignments for k, f in fields
            ):
                return True
            for lines in (index.lines, index.child_lines, index.any_lines):
                for kind, by_field in lines.items():
                    for field, transitions in by_field.items():
                        if (kind, field) in fields and any(not t.observe for t in transitions):
                            return True
        return False

    def _cut_loops(
        self, story: list[HistoryEntry], fields: frozenset[Field], evidence: Evidence
    ) -> list[HistoryEntry]:
        """Cut every stretch after which the object is where it was, with no call of it open."""
        marks: list[object] = []
        depth = 0
        for _, event, state in story:
            depth += self._opened(event)
            values = tuple(now for name, now in state.fields.items() if (state.kind.name, name) in fields)
            marks.append((state.kind.name, values) if depth == 0 else None)
        last = {
            mark: at for at, mark in enumerate(marks) if mark is not None and story[at][0] < evidence.number
        }
        kept: list[HistoryEntry] = []
        at = 0
        while at < len(story):
            kept.append(story[at])
            mark = marks[at]
            at = max(at, last.get(mark, at) if mark is not None else at) + 1
        return kept

    def _opened(self, event: Event) -> int:
        """Return by how much a record changes the number of open calls."""
        decl = self.spec.events.get(event.name)
        if decl is None or decl.record or event.phase not in (decl.entry, decl.exit):
            return 0
        return 1 if event.phase is decl.entry else -1
