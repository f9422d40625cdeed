"""Shortest counterexamples: by increasing length, with as few rules in the picture as will do."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kmclcheck.engines.symbolic.bounds import Bounds, Found, NoneWithin, OutOfBudgetError
from kmclcheck.engines.symbolic.circuit import Lit
from kmclcheck.engines.symbolic.cone import Cone
from kmclcheck.engines.symbolic.decode import records
from kmclcheck.engines.symbolic.solver import Answer
from kmclcheck.engines.symbolic.unroll import System, Trace
from kmclcheck.model.event import End, Event
from kmclcheck.model.spec import Spec

TIDY_SECONDS = 2.0

Replay = Callable[[Sequence[Event], End], frozenset[str]]
"""Returns the rules that the monitor reports on a complete trace that ends like this."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search came to: ``found`` was replayed; ``rules`` had to be looked at for it.

    Without ``found``, no counterexample has ``proved`` records or fewer.
    """

    rule: str
    found: Found | None
    proved: int
    rules: frozenset[str]
    rounds: int
    seconds: float
    solver_seconds: float
    why: str = ""


def shortest(
    spec: Spec, rule: str, others: frozenset[str], bounds: Bounds, seconds: float, least: int = 1
) -> Found | NoneWithin:
    """Return the shortest records after which ``rule`` is reported and none of ``others``.

    That is a lower bound for records that break the rule alone. ``least``: no fewer records will do.
    Raises OutOfBudgetError when the time is used up or the solver gives up.
    """
    started = time.perf_counter()
    cone = Cone(spec).aim(rule).keep(others)
    found = _search(cone, rule, bounds, started, started + seconds, least)
    if isinstance(found, NoneWithin):
        return found
    found.tidy(started + seconds)
    return found.read()


def _search(
    cone: Cone, rule: str, bounds: Bounds, started: float, deadline: float, least: int
) -> _Model | NoneWithin:
    trace = Trace(System(cone.spec, cone, bounds), rule)
    length = 0
    while length < bounds.length:
        if time.perf_counter() > deadline:
            raise OutOfBudgetError(max(length, least - 1), "the time is used up")
        trace.extend()
        if length:
            trace.solver.require([trace.quiet[length - 1]])
        length += 1
        if length < least:
            continue
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
        """Find another model with no more threads, odd statuses and raised IRQLs than it takes.

        Which of them it keeps is settled by halves; if the time runs out, the last model stands.
        """
        solver, goal = self.trace.solver, self.trace.circuit.any(self.goals)
        kept: list[Lit] = [goal]
        todo = [self.trace.plain()]
        while todo:
            wishes = todo.pop()
            answer = solver.check([*kept, *wishes], min(deadline - time.perf_counter(), TIDY_SECONDS))
            if answer is Answer.YES:
                kept += wishes
            elif answer is Answer.UNKNOWN:
                break
            elif len(wishes) > 1:
                middle = len(wishes) // 2
                todo += [wishes[middle:], wishes[:middle]]
        solver.check(kept, TIDY_SECONDS)


def counterexample(spec: Spec, rule: str, bounds: Bounds, seconds: float, replay: Replay) -> Outcome:
    """Find the shortest records at which the monitor reports this rule and no other.

    It begins with the rule alone and every rule that costs nothing to look at, and adds those that the
    monitor reports besides. What each round finds is no longer than the answer, so the first one
    that the monitor confirms is a shortest one.
    """
    started = time.perf_counter()
    deadline = started + seconds
    cone = Cone(spec).aim(rule)
    least, rounds, solver_seconds, shown = 1, 0, 0.0, False

    def outcome(found: Found | None, proved: int, why: str = "") -> Outcome:
        spent = time.perf_counter() - started
        return Outcome(rule, found, proved, frozenset(cone.rules), rounds, spent, solver_seconds, why)

    while True:
        rounds += 1
        wide = settle(cone)
        try:
            found = _search(wide, rule, bounds, time.perf_counter(), deadline, least)
        except OutOfBudgetError as error:
            return outcome(None, error.proved, str(error))
        if isinstance(found, NoneWithin):
            return outcome(None, found.length)
        first = found.read()
        reported = replay(first.events, first.end)
        if reported == {rule}:
            found.tidy(deadline)
            last = found.read()
            solver_seconds += last.solver_seconds
            plain = replay(last.events, last.end) == {rule}
            return outcome(last if plain else first, len(first.events) - 1)
        solver_seconds += first.solver_seconds
        least = len(first.events)
        if rule not in reported and not shown:
            # Callbacks that go unseen leave the monitor in doubt.
            shown = True
            cone.show()
            continue
        more: frozenset[str] | set[str] = reported - wide.rules
        if not more:
            more = {y for id in reported for y in spec.rules[id].yields_to if y in spec.rules} - wide.rules
        if not more:
            return outcome(None, least - 1, f"the monitor reports {', '.join(sorted(reported)) or 'nothing'}")
        cone.keep(more)


def settle(cone: Cone) -> Cone:
    """Return the cone with every rule that asks for nothing that is not looked at anyway."""
    wide = cone.copy()
    for rule in cone.spec.rules.values():
        if rule.id not in wide.rules and not any(
            check.event is not None and cone.spec.events[check.event[0]].record for check in rule.checks
        ):
            wider = cone.copy().keep([rule.id])
            if wider.size == cone.size:
                wide.rules.add(rule.id)
    return wide
