"""The judge of whole traces that asks Z3: ``judge`` is a ``TraceJudge``."""

from __future__ import annotations

from collections.abc import Iterable

from kmclcheck.engines.judging import Judged, TooLargeError
from kmclcheck.engines.symbolic.trace.facts import Facts
from kmclcheck.engines.symbolic.trace.plan import make_plan
from kmclcheck.engines.symbolic.trace.run import Run
from kmclcheck.model.event import Event, Loss, TraceInfo
from kmclcheck.model.spec import Spec

EVENTS_MOST = 5000
"""How many events a trace may have: seconds where all is told, minutes where only entries are."""


def judge(
    spec: Spec, rules: frozenset[str], info: TraceInfo, items: Iterable[Event | Loss], seconds: float
) -> Judged:
    """Judge the given rules on a trace.

    Raises:
        TooLargeError: the trace has more than ``EVENTS_MOST`` events.
        OutOfTimeError: the seconds were used up before everything was judged.

    """
    run = Run(make_plan(spec, rules), info, Facts(seconds))
    count = 0
    for item in items:
        count += isinstance(item, Event)
        if count > EVENTS_MOST:
            raise TooLargeError(f"the Z3 engine takes traces of at most {EVENTS_MOST} events")
        run.feed(item)
    run.finish()
    return Judged(run.books.verdicts(), tuple(run.books.findings))
