"""What an engine that judges whole traces is given, and what it gives. Engines share nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kmclcheck.model.event import Event, Loss, TraceInfo
from kmclcheck.model.finding import Finding, Verdict
from kmclcheck.model.spec import Spec


class TooLargeError(Exception):
    """The trace has more events than the engine is made for; the text says how many it takes."""


class OutOfTimeError(Exception):
    """The time was used up before everything was judged."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict for every rule asked for, in the order of the specification, and what broke, in order."""

    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...]


TraceJudge = Callable[[Spec, frozenset[str], TraceInfo, Iterable[Event | Loss], float], Judged]
"""Judges the given rules on a trace, within seconds. What the trace says of its end may come with its items,
so ``TraceInfo`` is read again after the last one. Raises TooLargeError and OutOfTimeError."""
