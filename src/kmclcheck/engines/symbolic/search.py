"""Shortest counterexamples: by increasing length, with as few rules in the picture as are asked for."""

from __future__ import annotations

import time
from collections.abc import Iterable

from kmclcheck.engines.symbolic.bounds import Bounds, Found, NoneWithin, OutOfBudgetError
from kmclcheck.engines.symbolic.circuit import Lit
from kmclcheck.engines.symbolic.cone import Cone
from kmclcheck.engines.symbolic.decode import records
from kmclcheck.engines.symbolic.solver import Answer
from kmclcheck.engines.symbolic.unroll import System, Trace
from kmclcheck.model.event import End
from kmclcheck.model.spec import Spec


def shortest(
    spec: Spec,
    rule: str,
    others: frozenset[str],
    bounds: Bounds,
    seconds: float,
    candidates: frozenset[str] = frozenset(),
) -> Found | NoneWithin:
    """Return the shortest records after which ``rule`` is reported and none of ``others``.

    That is a lower bound for records that break the rule alone. Rules of ``candidates`` that cost nothing
    to look at count as others.
    Raises OutOfBudgetError when the time is used up or the solver gives up.
    """
    started = time.perf_counter()
    cone = Cone(spec).aim(rule).keep(others)
    if not bounds.unseen:
        cone.show()
    found = _search(settle(cone, candidates), rule, bounds, started, started + seconds)
    if isinstance(found, NoneWithin):
        return found
    found.tidy(started + seconds)
    return found.read()


def _search(cone: Cone, rule: str, bounds: Bounds, started: float, deadline: float) -> _Model | NoneWithin:
    trace = Trace(System(cone.spec, cone, bounds), rule)
    length = 0
    while length < bounds.length:
        if time.perf_counter() > deadline:
            raise OutOfBudgetError(length, "the time is used up")
        trace.extend()
        if length:
            trace.solver.require([trace.quiet[length - 1]])
        length += 1
        unloaded, hung = trace.end_goals()
        circuit = trace.circuit
        quiet = trace.quiet[-1]
        goals = [trace.goals[-1], circuit.both(quiet, unloaded), circuit.both(quiet, hung)]
        goal = circuit.any(goals)
        answer = trace.solver.check([goal], deadline - time.perf_counter())
        if answer is Answer.UNKNOWN:
            raise OutOfBudgetError(length - 1, "the solver gave up")
        if answer is Answer.YES:
            return _Model(trace, goals, started)
    return NoneWithin(length, time.perf_counter() - started)


class _Model:
    """What the solver found: records that reach one of the goals."""

    def __init__(self, trace: Trace, goals: list[Lit], started: float) -> None:
        self.trace = trace
        self.goals = goals
        self.started = started

    def read(self) -> Found:
        """Return the records of the model."""
        values = self.trace.solver.values(self.goals)
        ends = [End.STOPPED, End.UNLOADED, End.HUNG]
        end = next(end for end, lit in zip(ends, self.goals, strict=True) if values[lit])
        events, states = records(self.trace, len(self.trace.records))
        spent = time.perf_counter() - self.started
        return Found(tuple(events), end, tuple(states), spent, self.trace.solver.seconds)

    def tidy(self, deadline: float) -> None:
        """Find another model with no more threads, odd statuses and raised IRQLs than it takes."""
        trace = self.trace
        trace.tidy([trace.circuit.any(self.goals)], trace.plain(), deadline)


def settle(cone: Cone, candidates: Iterable[str] | None = None) -> Cone:
    """Return the cone with every rule that asks for nothing that is not looked at anyway.

    ``candidates`` are the rules in question; if none are named, all on functions and callbacks.
    """
    if candidates is None:
        events = cone.spec.events
        candidates = [
            rule.id
            for rule in cone.spec.rules.values()
            if not any(check.event is not None and events[check.event[0]].record for check in rule.checks)
        ]
    wide = cone.copy()
    for id in candidates:
        if id not in wide.rules and cone.copy().keep([id]).size == cone.size:
            wide.rules.add(id)
    return wide
