"""Proofs of invariants by induction, with lemmas that are found, and traces where they fail."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from kmclcheck.engines.symbolic.bounds import Bounds, Found
from kmclcheck.engines.symbolic.circuit import TRUE, Lit
from kmclcheck.engines.symbolic.claims import given, violated
from kmclcheck.engines.symbolic.cone import Cone
from kmclcheck.engines.symbolic.decode import records
from kmclcheck.engines.symbolic.lemmas import exclusive, lasting
from kmclcheck.engines.symbolic.reach import GaveUpError, Reach
from kmclcheck.engines.symbolic.solver import Answer, Solver
from kmclcheck.engines.symbolic.unroll import System, Trace
from kmclcheck.model.event import End, Event
from kmclcheck.model.spec import Invariant, Rule, Spec

MOST_STEPS = 3
"""How far plain induction looks back before lemmas are searched for."""


class Result(Enum):
    PROVED = "proved"
    FAILED = "failed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of a claim.

    ``steps`` is the k of the induction, ``facts`` and ``lemmas`` how many plain facts and how many found
    clauses it rests on. ``trace``: records of the rules' keeping after which it fails. ``gap``: states
    and records of a step that induction alone does not exclude.
    """

    claim: str
    result: Result
    method: str
    steps: int
    facts: int
    lemmas: int
    bounds: Bounds
    rules: tuple[str, ...]
    searched: int
    seconds: float
    solver_seconds: float
    trace: Found | None = None
    gap: tuple[Event, ...] = ()
    gap_states: tuple[dict[str, dict[str, str]], ...] = ()
    why: str = ""


def assumed(spec: Spec, invariant: Invariant) -> list[str]:
    """Return the rules that an invariant rests on."""
    if invariant.assuming:
        return [id for id in invariant.assuming if id in spec.rules]

    def records_only(rule: Rule) -> bool:
        return any(
            spec.events[c.event[0]].record if c.event else not spec.kinds[c.target].births
            for c in rule.checks
        )

    return [rule.id for rule in spec.rules.values() if not records_only(rule)]


def prove(
    spec: Spec,
    invariant: Invariant,
    bounds: Bounds,
    seconds: float,
    least: int = 8,
    rules: Sequence[str] | None = None,
) -> Proof:
    """Prove an invariant, or find records that keep the rules and violate it.

    ``rules`` are assumed in place of those that the invariant names.

    First up to ``least`` records are tried; then plain induction; then induction with clauses that are
    searched for. What is proved is checked once more by a solver that knows nothing of the search.
    """
    chosen = assumed(spec, invariant) if rules is None else list(rules)
    started = time.perf_counter()
    cone = Cone(spec).claim(invariant.checks).keep(chosen)
    cone.show(everything=True).keep(chosen)
    while True:
        before = cone.size
        cone.grant(invariant.given)
        cone.keep(chosen)
        if cone.size == before:
            break
    system = System(spec, cone, bounds)
    bad = violated(system.step, invariant)
    constraint = [*system.step.valid, system.quiet, *given(system.step, invariant)]
    return Attempt(invariant.id, system, bad, constraint, tuple(chosen), started, started + seconds).run(
        least
    )


class Attempt:
    """Tries to prove that a system that keeps a constraint at every record never does something ``bad``.

    Both are literals of the circuit of its step. ``rules`` are those that the constraint stands for.
    """

    def __init__(
        self,
        claim: str,
        system: System,
        bad: Lit,
        constraint: Sequence[Lit],
        rules: tuple[str, ...],
        started: float,
        deadline: float,
    ) -> None:
        self.started = started
        self.deadline = deadline
        self.claim = claim
        self.bounds = system.layout.bounds
        self.rules = rules
        self.system = system
        self.bad = bad
        self.constraint = list(constraint)
        self.facts: list[Lit] = []
        self.searched = 0
        self.solver_seconds = 0.0
        self._gap: tuple[list[Event], list[dict[str, dict[str, str]]]] = ([], [])

    def _proof(
        self, result: Result, method: str, steps: int = 0, lemmas: int = 0, trace: Found | None = None,
        why: str = "",
    ) -> Proof:  # fmt: skip
        events, states = self._gap if result is Result.OPEN else ([], [])
        return Proof(
            self.claim, result, method, steps, len(self.facts), lemmas, self.bounds, self.rules,
            self.searched, time.perf_counter() - self.started, self.solver_seconds, trace, tuple(events),
            tuple(states), why,
        )  # fmt: skip

    def _open(self, why: str) -> Proof:
        return self._proof(Result.OPEN, "none", why=why)

    def _left(self) -> float:
        return self.deadline - time.perf_counter()

    def run(self, least: int) -> Proof:
        """Try up to ``least`` records, then induction; see ``prove``."""
        found = self._search(least)
        if found is not None:
            return found
        lasting_facts = lasting(self.system.step, self.constraint, self.deadline)
        if lasting_facts is None:
            return self._open("the time was used up before plain facts were found")
        self.facts = lasting_facts[0]
        found = self._by_induction(self.facts, 0)
        if found is not None:
            return found
        pairs = exclusive(self.system.step, self.constraint, self.facts, self.deadline)
        if pairs is None:
            return self._open("the time was used up before lemmas were found")
        circuit = self.system.step.circuit
        given = [*self.facts, *(circuit.either(-one, -other) for one, other in pairs)]
        found = self._by_induction(given, len(pairs))
        if found is not None:
            return found
        reach = Reach(self.system.step, self.constraint, given, self.bad, self.deadline)
        try:
            result = reach.run()
        except GaveUpError:
            self.solver_seconds += reach.solver.seconds + reach.lifter.seconds
            return self._open(f"no lemmas were found in time, with {len(reach.levels) - 1} steps looked at")
        self.solver_seconds += reach.solver.seconds + reach.lifter.seconds
        if isinstance(result, int):
            found = self._search(result)
            return found if found is not None else self._open("a way was found that no records show")
        result += [frozenset(pair) for pair in pairs]
        if not self._certified(result):
            return self._open("what was found does not stand the check")
        return self._proof(Result.PROVED, "induction with lemmas", 1, len(result))

    def _by_induction(self, known: list[Lit], lemmas: int) -> Proof | None:
        """Try plain induction over more and more steps, from what is known of every state."""
        for steps in range(1, MOST_STEPS + 1):
            answer = self._induction(steps, known)
            # What the first of the steps may not be was tried before.
            if answer is Answer.NO and steps - 1 <= self.searched:
                return self._proof(Result.PROVED, "k-induction", steps, lemmas)
            if answer is Answer.UNKNOWN:
                return self._open("the solver gave up on an induction step")
        return None

    def _search(self, length: int) -> Proof | None:
        """Look for records that violate the invariant, no longer than this."""
        trace = Trace(self.system, None, outputs=[self.bad, *self.constraint])
        for number in range(1, length + 1):
            place = trace.extend()
            bad = trace.at(place, self.bad)
            constraint = [trace.at(place, lit) for lit in self.constraint]
            trace.solver.require(constraint)
            answer = trace.solver.check([bad], self._left())
            if answer is Answer.UNKNOWN:
                self.solver_seconds += trace.solver.seconds
                return self._open("the time was used up before induction was tried")
            if answer is Answer.YES:
                events, states = records(trace, number)
                self.solver_seconds += trace.solver.seconds
                shown = Found(tuple(events), End.STOPPED, tuple(states), 0.0, trace.solver.seconds)
                return self._proof(Result.FAILED, "search", trace=shown)
            self.searched = max(self.searched, number)
        self.solver_seconds += trace.solver.seconds
        return None

    def _induction(self, steps: int, known: list[Lit]) -> Answer:
        """Say whether records that keep the rules can violate the invariant only after so many steps."""
        trace = Trace(self.system, None, free=True, outputs=[self.bad, *self.constraint, *known])
        for number in range(1, steps + 1):
            place = trace.extend()
            if number == 1:
                trace.solver.require([trace.at(place, lit) for lit in known])
            trace.solver.require([trace.at(place, lit) for lit in self.constraint])
            bad = trace.at(place, self.bad)
            if number < steps:
                trace.solver.require([-bad])
        answer = trace.solver.check([bad], self._left())
        self.solver_seconds += trace.solver.seconds
        if answer is Answer.YES:
            self._gap = records(trace, steps, free=True)
        return answer

    def _certified(self, cubes: list[frozenset[Lit]]) -> bool:
        """Check the clauses anew: they hold at the start, keep themselves, and exclude what is bad."""
        step = self.system.step
        circuit = step.circuit
        after = dict(zip(step.before.lits(), step.after.lits(), strict=True))
        initial = dict(zip(step.before.lits(), step.layout.initial().lits(), strict=True))
        holds = all(any((initial[abs(b)] == TRUE) is not (b > 0) for b in cube) for cube in cubes)
        now = [circuit.any([-lit for lit in cube]) for cube in cubes]
        then = [circuit.any([-after[b] if b > 0 else after[-b] for b in cube]) for cube in cubes]
        solver = Solver(circuit)
        solver.require([*self.constraint, *self.facts, *now])
        answer = solver.check([circuit.either(self.bad, -circuit.all(then))], self._left())
        self.solver_seconds += solver.seconds
        return holds and answer is Answer.NO
