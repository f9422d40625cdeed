"""The graph engine as a judge of whole traces."""

from __future__ import annotations

import time
from collections.abc import Iterable
from copy import deepcopy

from kmclcheck.engines.explore.walk.occasions import Protocol
from kmclcheck.engines.explore.walk.walker import Walker
from kmclcheck.engines.judging import Judged, OutOfTimeError, TooLargeError
from kmclcheck.model.event import Event, Loss, TraceInfo
from kmclcheck.model.spec import Spec

EVENTS_TAKEN = 20_000
"""Traces with more events are not taken: the walk drops nothing, and a step may look at all of it."""


def judge(
    spec: Spec, rules: frozenset[str], info: TraceInfo, items: Iterable[Event | Loss], seconds: float
) -> Judged:
    """Judge the rules on a trace by walking its state graphs.

    Raises:
        TooLargeError: the trace has more than ``EVENTS_TAKEN`` events; nothing was judged.
        OutOfTimeError: the seconds were used up.

    """
    deadline = time.monotonic() + seconds
    known = deepcopy(info)
    taken = _all(items)
    # The trace may have told only with its last items why it ends, and that events are missing somewhere.
    known.end, known.lost_anywhere = info.end, info.lost_anywhere
    walker = Walker(_protocol(spec, rules), known)
    for number, item in enumerate(taken):
        if number % 16 == 0 and time.monotonic() >= deadline:
            raise OutOfTimeError(f"{seconds:g} s were used up after {number:,} of {len(taken):,} events")
        walker.feed(item)
    walker.finish()
    return Judged(walker.books.verdicts(), tuple(walker.books.findings))


_latest: list[Protocol] = []
"""What was made of the latest specification: mostly many traces are judged by one."""


def _protocol(spec: Spec, rules: frozenset[str]) -> Protocol:
    if not (_latest and _latest[0].spec is spec and _latest[0].enabled == rules):
        _latest[:] = [Protocol(spec, rules)]
    return _latest[0]


def _all(items: Iterable[Event | Loss]) -> list[Event | Loss]:
    taken: list[Event | Loss] = []
    for item in items:
        taken.append(item)
        if len(taken) > EVENTS_TAKEN:
            raise TooLargeError(
                f"the graph engine takes at most {EVENTS_TAKEN:,} events; this trace has more"
            )
    return taken
