"""What the exit code says.

ERROR wins over FINDINGS: with a file missing, nobody may take "findings" for the whole answer.
FINDINGS wins over INCONCLUSIVE.
"""

from __future__ import annotations

from enum import Enum, IntEnum

from kmclcheck.model.spec import Spec
from kmclcheck.report.base import RunResult
from kmclcheck.report.summary import count


class ExitCode(IntEnum):
    OK = 0
    FINDINGS = 1
    ERROR = 2
    INCONCLUSIVE = 3


class FailOn(Enum):
    """The least severity of a finding that makes the run fail."""

    ERROR = "error"
    WARNING = "warning"
    NEVER = "never"


def decide(run: RunResult, spec: Spec, fail_on: FailOn, strict: bool) -> ExitCode:
    """Return the exit code of a check.

    Under ``strict``, open verdicts are inconclusive, and so is a run that exercised no rule.
    """
    counts = count(run.traces, spec)
    if run.failures or run.interrupted or not counts.complete:
        return ExitCode.ERROR
    failing = {
        FailOn.ERROR: counts.errors,
        FailOn.WARNING: counts.errors + counts.warnings,
        FailOn.NEVER: 0,
    }
    if failing[fail_on]:
        return ExitCode.FINDINGS
    undecided = any(v.open for trace in run.traces for v in trace.verdicts)
    if strict and (undecided or counts.open or not counts.exercised):
        return ExitCode.INCONCLUSIVE
    return ExitCode.OK
