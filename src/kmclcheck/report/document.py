"""The versioned document of a run (schema ``kmclcheck.run/1``), before it becomes text.

Nothing in it depends on the machine, the clock or the engine: two runs over the same input are equal
byte for byte. Handles are hex strings, because JSON numbers lose bits above 2**53.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from kmclcheck.model.event import Event
from kmclcheck.model.finding import Finding, ObjectRef, TraceResult, Verdict
from kmclcheck.model.spec import Spec
from kmclcheck.report.base import Known, RunResult
from kmclcheck.report.describe import headline, path_text, requirement, rule_of, sorted_findings, thread_text
from kmclcheck.report.fingerprint import fingerprint
from kmclcheck.report.summary import Counts, count

SCHEMA = "kmclcheck.run/1"

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]


def run_document(run: RunResult, spec: Spec) -> JsonObject:
    """Return the whole document."""
    return {
        "schema": SCHEMA,
        "tool": tool_document(run),
        "summary": summary_document(run, spec),
        "traces": [trace_document(trace, number, spec) for number, trace in enumerate(run.traces, 1)],
    }


def tool_document(run: RunResult) -> JsonObject:
    tool = run.tool
    return {
        "name": tool.name,
        "version": tool.version,
        "spec": {"name": tool.spec, "title": tool.spec_title},
    }


def summary_document(run: RunResult, spec: Spec) -> JsonObject:
    counts = count(run.traces, spec)
    return {
        "traces": len(run.traces),
        "events": counts.events,
        "lost": counts.lost,
        **_counts(counts),
        "complete": counts.complete and not run.interrupted and not run.failures,
        "unreadable": [{"path": path_text(f.path), "message": f.message} for f in run.failures],
        # Only where a baseline was given.
        **({} if run.known is None else {"baseline": _known(run.known)}),
    }


def _known(known: Known) -> JsonObject:
    return {
        "known": known.hidden,
        "gone": [{"rule": one.rule, "fingerprint": one.fingerprint, "text": one.text} for one in known.gone],
    }


def trace_document(trace: TraceResult, number: int, spec: Spec) -> JsonObject:
    """Return the part about one trace; ``number`` counts the traces of the run from 1."""
    findings = sorted_findings(trace)
    return {
        **trace_head(trace, spec),
        "rules": [verdict_document(v) for v in sorted(trace.verdicts, key=lambda v: v.rule)],
        "findings": [finding_document(f, f"{number}.{i}", spec) for i, f in enumerate(findings, 1)],
    }


def trace_head(trace: TraceResult, spec: Spec) -> JsonObject:
    """Return the part about one trace without its rules and findings."""
    return {
        "path": path_text(trace.path),
        "format": trace.format,
        "start": trace.start,
        "end": trace.end,
        "events": trace.events,
        "lost": trace.lost,
        "unknown_names": dict(sorted(trace.unknown_names.items())),
        "unmapped": dict(sorted(trace.unmapped.items())),
        "summary": {
            **_counts(count([trace], spec)),
            "complete": trace.complete,
            "problems": list(trace.problems),
        },
    }


def verdict_document(verdict: Verdict) -> JsonObject:
    return {
        "id": verdict.rule,
        "verdict": verdict.kind.value,
        "reason": verdict.reason,
        "decided": verdict.decided,
        "open": verdict.open,
    }


def finding_document(finding: Finding, number: str, spec: Spec) -> JsonObject:
    """Return one finding; ``number`` is its id within the run."""
    rule = rule_of(finding, spec)
    cut = finding.slice
    return {
        "id": number,
        "rule": rule.id,
        "also_broken": list(finding.also_broken),
        "severity": rule.severity.value,
        "party": rule.party.value,
        "statement": rule.statement,
        "message": headline(finding, rule),
        "required": requirement(finding, rule),
        "event": _event(finding.event),
        "object": _object(finding.object),
        "parent": None if finding.parent is None else _object(finding.parent),
        "holders": [_object(holder) for holder in finding.holders],
        "hung_call": _event(finding.hung_call),
        "history": [
            {"event": _event(step.event), "before": dict(step.before), "after": dict(step.after)}
            for step in finding.history
        ],
        "history_note": finding.history_note,
        "slice": None
        if cut is None
        else {
            "events": [_event(event) for event in cut.events],
            "replayed": cut.replayed,
            "reduced": cut.reduced,
            "note": cut.note,
        },
        "repeats": finding.repeats,
        "consequence": rule.consequence,
        "fix": rule.fix,
        "sources": list(rule.sources),
        "fingerprint": fingerprint(finding, spec),
        # Only where repairs were asked for.
        **({"repair": finding.repair} if finding.repair else {}),
    }


def _event(event: Event | None) -> JsonObject | None:
    if event is None:
        return None
    return {
        "line": event.line,
        "offset": event.offset,
        "seq": event.seq,
        "time": event.time,
        "cpu": event.cpu,
        "thread": thread_text(event),
        "irql": event.irql,
        "phase": event.phase.value,
        "name": event.name,
    }


def _object(ref: ObjectRef) -> JsonObject:
    return {
        "kind": ref.kind,
        "handle": f"{ref.handle:#x}",
        "incarnation": ref.incarnation,
        "endpoint": ref.endpoint,
    }


def _counts(counts: Counts) -> JsonObject:
    return {
        "findings": counts.findings,
        "errors": counts.errors,
        "warnings": counts.warnings,
        "rules": counts.rules,
        "exercised": counts.exercised,
        "pass": counts.passed,
        "fail": counts.failed,
        "open": counts.open,
        "not_exercised": counts.not_exercised,
    }
