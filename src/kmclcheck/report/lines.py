"""The closing lines that the formats for people share."""

from __future__ import annotations

from kmclcheck.model.spec import Spec
from kmclcheck.report.base import RunResult
from kmclcheck.report.describe import plural
from kmclcheck.report.summary import count, open_groups

_REASONS_SHOWN = 2
_GONE_SHOWN = 5


def gone_line(run: RunResult) -> str:
    """Return which findings of the baseline no longer occur, or "" if all do."""
    gone = run.known.gone if run.known is not None else ()
    if not gone:
        return ""
    rules = list(dict.fromkeys(one.rule for one in gone))
    shown = ", ".join(rules[:_GONE_SHOWN])
    if len(rules) > _GONE_SHOWN:
        shown += f" and {len(rules) - _GONE_SHOWN} more rules"
    verb = "does" if len(gone) == 1 else "do"
    return f"{plural(len(gone), 'finding')} of the baseline {verb} not occur any more: {shown}"


def summary_line(run: RunResult, spec: Spec, timed: bool = True) -> str:
    """Return what was found, how much of the rules was looked at, and how large the input was.

    Never a bare "passed": a run that exercised nothing must look like one. Without ``timed``, equal runs give
    equal lines.
    """
    counts = count(run.traces, spec)
    found = plural(counts.findings, "finding")
    if counts.findings and counts.warnings:
        found += f" ({plural(counts.errors, 'error')}, {plural(counts.warnings, 'warning')})"
    if run.known is not None and run.known.hidden:
        found += f", {plural(run.known.hidden, 'known finding')} not shown"
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
