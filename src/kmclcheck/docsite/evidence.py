"""Traces that a page shows, each replayed by the monitor, and what the samples exercise."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from kmclcheck.diagnostics import InputError
from kmclcheck.diagrams.lanes import Fault, lane_picture, rule_fields
from kmclcheck.engines.monitor import Options
from kmclcheck.engines.replay import Checker
from kmclcheck.engines.story import Step, steps
from kmclcheck.model.event import End, Event, Loss, Start, TraceInfo
from kmclcheck.model.finding import Finding, TraceResult, VerdictKind
from kmclcheck.model.spec import Rule, Spec
from kmclcheck.report.describe import headline
from kmclcheck.traces import read_text
from kmclcheck.traces.formats.kmtrace_writer import write

EXAMPLE = TraceInfo(start=Start.KNOWN, end=End.STOPPED, records_all=True)
"""What an example of a specification says about itself where it says nothing."""


@dataclass(frozen=True, slots=True)
class Told:
    """A trace about a rule: its native text, and what the monitor makes of it.

    ``clear``: the trace is complete, so that the state at every record is known and can be drawn.
    """

    rule: str
    text: str
    events: tuple[Event, ...]
    end: End
    clear: bool
    findings: tuple[Finding, ...]
    decided: bool

    @property
    def breaks(self) -> bool:
        """Whether the monitor reports the rule, and nothing else."""
        return [finding.rule for finding in self.findings] == [self.rule]

    @property
    def keeps(self) -> bool:
        """Whether the monitor judged the rule and reports nothing."""
        return self.decided and not self.findings


@dataclass(frozen=True, slots=True)
class Sample:
    """A trace that exercises a rule: by its name, and whether it breaks it."""

    name: str
    breaks: bool


@dataclass(slots=True)
class Teller:
    """Replays traces against one specification, all rules on."""

    spec: Spec
    _checker: Checker = field(init=False)
    _stories: dict[int, tuple[Told, list[Step]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._checker = Checker(self.spec, Options(slice_budget=0.0))

    def told(self, rule: str, text: str) -> Told | None:
        """Return what comes of a native trace, or ``None`` if it cannot be read."""
        try:
            reader = read_text(text, defaults=EXAMPLE)
            items = list(reader)
            result = self._checker.check(read_text(text, defaults=EXAMPLE))
        except InputError:
            return None
        events = tuple(item for item in items if isinstance(item, Event))
        info = reader.info
        verdict = next((v.kind for v in result.verdicts if v.rule == rule), None)
        stream = io.StringIO()
        write(items, info, stream)
        clear = info.start is Start.KNOWN and info.records_all and not any(isinstance(i, Loss) for i in items)
        passed = verdict is VerdictKind.PASS
        return Told(
            rule, stream.getvalue(), events, info.end, clear and not result.problems,
            tuple(result.findings), passed,
        )  # fmt: skip

    def examples(self, rule: Rule) -> tuple[Told | None, Told | None]:
        """Return the shortest example that breaks the rule, and the one that keeps it and is most like it."""
        told = [(one.passes, self.told(rule.id, one.text)) for one in rule.examples]
        failing = [one for passes, one in told if one is not None and not passes and one.breaks]
        passing = [one for passes, one in told if one is not None and passes and one.keeps]
        broken = min(failing, key=lambda one: len(one.events), default=None)
        kept = min(passing, key=lambda one: (_distance(one, broken), len(one.events)), default=None)
        return broken, kept

    def exercised(self, samples: Sequence[tuple[str, str]]) -> dict[str, list[Sample]]:
        """Return for each rule the traces that it was decided in. A trace that cannot be read counts not."""
        found: dict[str, list[Sample]] = {}
        for name, text in samples:
            try:
                result: TraceResult = self._checker.check(read_text(text))
            except InputError:
                continue
            for verdict in result.verdicts:
                if verdict.kind in (VerdictKind.PASS, VerdictKind.FAIL):
                    found.setdefault(verdict.rule, []).append(Sample(name, verdict.kind is VerdictKind.FAIL))
        return found

    def picture(self, told: Told, name: str) -> str:
        """Return the trace as lanes, or "" if its states are not all known."""
        if not told.clear or not told.events:
            return ""
        fault = None
        if told.findings:
            finding = told.findings[0]
            thing = f"{finding.object.kind} {finding.object.handle:#x}"
            fault = Fault(headline(finding, self.spec.rules[finding.rule]), fault_at(told), thing)
        story = self._story(told)
        focus = rule_fields(self.spec.rules[told.rule])
        return lane_picture(self.spec, story, name, fault=fault, end=told.end, focus=focus)

    def before_fault(self, told: Told, kind: str, name: str) -> set[str]:
        """Return the values that a field of the objects of a kind has before the record at fault."""
        index = fault_at(told)
        if not told.clear or index == 0:
            return set()
        story = self._story(told)[:index]
        last = story[-1].objects if story else {}
        values = [fields.get(name, ()) for thing, fields in last.items() if thing.split()[0] == kind]
        return {value for one in values if len(one) == 1 for value in one}

    def _story(self, told: Told) -> list[Step]:
        """Return the states after each record; they take longer to find than all else."""
        if id(told) not in self._stories:
            self._stories[id(told)] = told, steps(self.spec, told.events, told.end)
        return self._stories[id(told)][1]


def fault_at(told: Told) -> int | None:
    """Return the record at fault, counted from 0; ``None``: it shows at the end only."""
    event = told.findings[0].event if told.findings else None
    if event is None:
        return None
    return next((n for n, one in enumerate(told.events) if one.line == event.line), None)


def _distance(one: Told, other: Told | None) -> float:
    if other is None:
        return 0.0
    words = [[(event.name, event.phase.value) for event in told.events] for told in (one, other)]
    return 1.0 - SequenceMatcher(None, words[0], words[1], autojunk=False).ratio()
