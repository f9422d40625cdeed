"""Counts over the traces of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kmclcheck.model.finding import TraceResult, VerdictKind
from kmclcheck.model.spec import Severity, Spec

_WEIGHT = {
    VerdictKind.NOT_EXERCISED: 0,
    VerdictKind.PASS: 1,
    VerdictKind.OPEN: 2,
    VerdictKind.FAIL: 3,
}


@dataclass(frozen=True, slots=True)
class Counts:
    """Over several traces a rule counts once, with its worst verdict: fail, open, pass.

    ``exercised``: rules decided at least once, whatever the verdict.
    """

    findings: int
    errors: int
    warnings: int
    rules: int
    exercised: int
    passed: int
    failed: int
    open: int
    not_exercised: int
    events: int
    lost: int | None
    seconds: float
    complete: bool


def count(traces: Iterable[TraceResult], spec: Spec) -> Counts:
    """Return the counts; ``lost`` is ``None`` if some trace lost events nobody counted."""
    traces = list(traces)
    verdicts: dict[str, VerdictKind] = {}
    exercised: set[str] = set()
    for trace in traces:
        for verdict in trace.verdicts:
            known = verdicts.get(verdict.rule, verdict.kind)
            verdicts[verdict.rule] = max(known, verdict.kind, key=_WEIGHT.__getitem__)
            if verdict.decided:
                exercised.add(verdict.rule)
    kinds = list(verdicts.values())
    severities = [spec.rules[f.rule].severity for t in traces for f in t.findings]
    lost = [t.lost for t in traces]
    return Counts(
        findings=len(severities),
        errors=severities.count(Severity.ERROR),
        warnings=severities.count(Severity.WARNING),
        rules=len(verdicts),
        exercised=len(exercised),
        passed=kinds.count(VerdictKind.PASS),
        failed=kinds.count(VerdictKind.FAIL),
        open=kinds.count(VerdictKind.OPEN),
        not_exercised=kinds.count(VerdictKind.NOT_EXERCISED),
        events=sum(t.events for t in traces),
        lost=None if None in lost else sum(n for n in lost if n is not None),
        seconds=sum(t.seconds for t in traces),
        complete=all(t.complete for t in traces),
    )


@dataclass(frozen=True, slots=True)
class OpenGroup:
    """Rules that stayed open for one reason; ``places`` counts events and obligations."""

    reason: str
    rules: tuple[str, ...]
    places: int


def open_groups(traces: Iterable[TraceResult]) -> list[OpenGroup]:
    """Return the reasons for open verdicts, the one with the most rules first."""
    rules: dict[str, set[str]] = {}
    places: dict[str, int] = {}
    for trace in traces:
        for verdict in trace.verdicts:
            if verdict.kind is VerdictKind.OPEN:
                reason = verdict.reason or "no reason given"
                rules.setdefault(reason, set()).add(verdict.rule)
                places[reason] = places.get(reason, 0) + verdict.open
    groups = [OpenGroup(reason, tuple(sorted(ids)), places[reason]) for reason, ids in rules.items()]
    return sorted(groups, key=lambda g: (-len(g.rules), g.reason))
