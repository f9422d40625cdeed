"""Shortest counterexamples and witnesses, whichever engine finds them: the monitor has the last word.

An engine answers one question: which records are the shortest that break a rule and none of some others?
More others can only make the answer longer. So the search begins with no others; what the monitor reports
besides the rule is added to them, and the question is asked again. Every answer on the way is a lower bound
for the next one, and the first one that the monitor confirms is a shortest counterexample.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from kmclcheck.engines.fill import Filler
from kmclcheck.engines.monitor import Monitor
from kmclcheck.engines.question import Bound, Finder, Limits, Question, Records
from kmclcheck.engines.shown import shown
from kmclcheck.model.event import End, Event, Start, TraceInfo
from kmclcheck.model.finding import Finding, VerdictKind
from kmclcheck.model.spec import Profile, Spec
from kmclcheck.semantics.evaluate import evaluate_fields
from kmclcheck.semantics.index import build_index
from kmclcheck.semantics.stepper import Stepper
from kmclcheck.semantics.stepper_recording import is_dead
from kmclcheck.semantics.truth import TRUE


@dataclass(frozen=True, slots=True)
class Replay:
    """What the monitor makes of records. ``decided``: it judged the rule, and the rule was kept.

    ``unseen``: by what the records imply, callbacks went unseen.
    """

    findings: tuple[Finding, ...]
    lost: bool
    decided: bool
    unseen: bool

    def confirms(self, question: Question, count: int, unseen: bool) -> bool:
        """Return whether this is what was asked for; with ``unseen``, callbacks may have gone unseen."""
        if self.lost or (self.unseen and not unseen):
            return False
        if question.witness:
            return self.decided and not self.findings
        if len(self.findings) != 1 or self.findings[0].rule != question.rule:
            return False
        event = self.findings[0].event
        return event is None or event.line == count


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search came to. Without ``found``, no answer has ``proved`` records or fewer.

    ``others``: the rules that had to be taken into account. ``why``: what stood in the way.
    """

    question: Question
    found: Records | None
    replay: Replay | None
    proved: int
    exhausted: bool
    others: frozenset[str]
    rounds: int
    seconds: float
    why: str = ""


@dataclass
class Judge:
    """Replays records in the monitor: complete traces, from before the driver touched the library."""

    spec: Spec
    rules: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        self._index = build_index(self.spec, self.rules)
        self._fields = build_index(self.spec, frozenset())
        self._shown = shown(self.spec)

    def replay(self, events: Sequence[Event], end: End, rule: str = "") -> Replay:
        """Return what the monitor makes of records; ``rule`` is the one that is to be decided."""
        monitor = Monitor(self.spec, self._index, info(end))
        for event in events:
            monitor.feed(event)
        monitor.finish()
        verdicts = {v.rule: v.kind for v in monitor.ledger.verdicts()}
        return Replay(
            tuple(monitor.ledger.findings),
            bool(monitor.run.lost),
            verdicts.get(rule) is VerdictKind.PASS,
            self._unseen(events, end),
        )

    def _unseen(self, events: Sequence[Event], end: End) -> bool:
        """Return whether callbacks of some object went unseen: records can imply that it has none."""
        stepper = Stepper(self.spec, self._fields, info(end))
        for event in events:
            stepper.feed(event)
            for thing in stepper.world.things.values():
                ended, kind = is_dead(thing.kind, thing.fields), thing.kind.name
                for one in [one for one in self._shown if one.kind == kind]:
                    condition = one.ended if ended else one.condition
                    if evaluate_fields(condition, thing.fields, kind) is not TRUE:
                        return True
        return False


def info(end: End) -> TraceInfo:
    """Return what a trace of a counterexample says about itself."""
    return TraceInfo(start=Start.KNOWN, end=end, records_all=True)


def core(spec: Spec) -> frozenset[str]:
    """Return the rules of the core, but for those on records that the library writes by itself."""
    return frozenset(
        r.id for r in spec.rules.values() if r.profile is Profile.CORE and not _on_records(spec, r.id)
    )


def judged_with(spec: Spec, rule: str) -> frozenset[str]:
    """Return the rules that a counterexample must keep, and the rule itself: those of the core."""
    return core(spec) | {rule}


def _on_records(spec: Spec, rule: str) -> bool:
    """Return whether a rule is about records that the library writes by itself, which no engine makes."""
    checks = spec.rules[rule].checks
    kinds = {p for d in spec.events.values() if d.record for p in d.objects}
    return any(c.target in kinds or (c.event is not None and spec.events[c.event[0]].record) for c in checks)


def answer(
    spec: Spec, finder: Finder, question: Question, judge: Judge, limits: Limits, seconds: float
) -> Outcome:
    """Ask an engine until the monitor confirms what it finds, or nothing can be found."""
    started = time.perf_counter()
    filler = Filler(spec, judge.rules)
    judged = judge.rules - {question.rule}
    asked = replace(question, candidates=judged)
    rounds, proved = 0, 0

    def outcome(
        found: Records | None, replay: Replay | None, proved: int, exhausted: bool = False, why: str = ""
    ) -> Outcome:
        spent = time.perf_counter() - started
        return Outcome(question, found, replay, proved, exhausted, asked.others, rounds, spent, why)

    while True:
        rounds += 1
        left = seconds - (time.perf_counter() - started)
        found = finder(spec, asked, limits, max(left, 0.0))
        if isinstance(found, Bound):
            return outcome(None, None, max(proved, found.length), found.exhausted)
        proved = max(proved, len(found.events) - 1)
        for events in (filler.fill(found.events), found.events):
            replay = judge.replay(events, found.end, question.rule)
            if replay.confirms(question, len(events), limits.unseen):
                return outcome(replace(found, events=tuple(events)), replay, proved)
        told_of = {f.rule for f in replay.findings}
        more = told_of - asked.others - {question.rule}
        if not more:
            # What is reported may have had to yield to a rule that was not looked at, or the other way round.
            yielding = {id for f in replay.findings for id in (*f.also_broken, *spec.rules[f.rule].yields_to)}
            more = (yielding & judge.rules) - asked.others - {question.rule}
        if not more and replay.unseen:
            # The monitor excuses what unseen callbacks may explain; the rules about it say more.
            names = {(e.name, e.phase) for e in events}
            more = {id for id in judged if any(c.event in names for c in spec.rules[id].checks)}
            more -= asked.others
        if not more:
            told = ", ".join(sorted(told_of)) or "nothing"
            return outcome(None, None, proved, why=f"of what was found, the monitor reports {told}")
        asked = replace(asked, others=asked.others | more)
