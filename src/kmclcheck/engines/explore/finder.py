"""The explicit-state engine as a finder of counterexamples and witnesses (see ``engines.question``)."""

from __future__ import annotations

import difflib
import time

from kmclcheck.engines.explore.choices import Bounds
from kmclcheck.engines.explore.records import as_events
from kmclcheck.engines.explore.search import Found, NotFound, shortest
from kmclcheck.engines.explore.world import Choice
from kmclcheck.engines.question import Bound, Limits, Question, Records
from kmclcheck.model.event import Event
from kmclcheck.model.spec import Spec


def find(spec: Spec, question: Question, limits: Limits, seconds: float) -> Records | Bound:
    """Return the shortest records, or how many are too few."""
    started = time.perf_counter()
    bounds = Bounds(limits.threads, limits.depth, limits.objects, limits.others, limits.unseen)
    near = question.near
    if near is not None and isinstance(near.origin, tuple):
        found = _near(spec, question, bounds, seconds, near.origin, near.events)
    else:
        found = shortest(
            spec, question.rule, question.others, bounds, seconds, question.candidates, question.witness
        )
    spent = time.perf_counter() - started
    if isinstance(found, NotFound):
        return Bound(found.length, found.exhausted, spent)
    events = as_events(spec, found.choices, found.worlds)
    return Records(tuple(events), found.end, spent, found.choices)


def _near(
    spec: Spec,
    question: Question,
    bounds: Bounds,
    seconds: float,
    choices: tuple[Choice, ...],
    events: tuple[Event, ...],
) -> Found | NotFound:
    """Return records that differ as little as can be from others in what comes after a common beginning.

    The beginning gets shorter until no other ending can be closer than the best one so far.
    """
    deadline = time.perf_counter() + seconds
    best: Found | NotFound = NotFound(0, False, 0)
    least = 2 * len(choices) + 1
    for kept in range(len(choices), -1, -1):
        left = deadline - time.perf_counter()
        if len(choices) - kept >= least or left <= 0:
            break
        found = shortest(
            spec, question.rule, question.others, bounds, left, question.candidates, True, choices[:kept]
        )
        if isinstance(found, Found):
            changed = difference(events, as_events(spec, found.choices, found.worlds))
            if changed < least:
                best, least = found, changed
        elif isinstance(best, NotFound):
            best = found
    return best


def difference(one: tuple[Event, ...], other: list[Event]) -> int:
    """Return how many records have to be taken away or put in to make one trace of another."""
    before, after = [_text(event) for event in one], [_text(event) for event in other]
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    same = sum(block.size for block in blocks)
    return len(before) + len(after) - 2 * same


def _text(event: Event) -> tuple[object, ...]:
    return event.name, event.phase, event.tid, event.irql, event.status, tuple(sorted(event.args.items()))
