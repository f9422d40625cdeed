"""The closing lines that the formats for people share."""

from __future__ import annotations

from kmclcheck.model.spec import Spec
from kmclcheck.report.base import RunResult
from kmclcheck.report.describe import plural
from kmclcheck.report.summary import count, open_groups

_REASONS_SHOWN = 2


def summary_line(run: RunResult, spec: Spec, timed: bool = True) -> str:
    """Return what was found, how much of the rules was looked at, and how large the input was.

    Never a bare "passed": a run that exercised nothing must look like one. Without ``timed``, equal runs give
    equal lines.
    """
    counts = count(run.traces, spec)
    found = plural(counts.findings, "finding")
    if counts.findings and counts.warnings:
        found += f" ({plural(counts.errors, 'error')}, {plural(counts.warnings, 'warning')})"
    rules = f"{counts.exercised} of {plural(counts.rules, 'rule')} exercised"
    if counts.open:
        reasons = [group.reason for group in open_groups(run.traces)]
        shown = "; ".join(reasons[:_REASONS_SHOWN])
        if len(reasons) > _REASONS_SHOWN:
            shown += f"; {plural(len(reasons) - _REASONS_SHOWN, 'other reason')}"
        rules += f", {counts.open} open ({shown})"
    size = plural(counts.events, "event")
    if len(run.traces) != 1:
        size += f" of {plural(len(run.traces), 'trace')}"
    text = f"{found}; {rules}; {size}"
    if timed:
        text += f" in {counts.seconds:.1f} s"
    if run.failures:
        text += f"; {plural(len(run.failures), 'file')} not checked"
    if run.interrupted or not counts.complete:
        text += "; interrupted, not everything was checked"
    return text
