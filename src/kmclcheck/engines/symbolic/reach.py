"""Property-directed reachability: clauses that keep a system away from what must not happen.

The search keeps, for each number of steps, clauses that hold of every state reached in so many steps or
fewer. A state from which something bad happens is excluded by a clause, or traced back to the start. When
no clause is lost from one number to the next, the clauses hold of every state that can be reached.
"""

from __future__ import annotations

import heapq
import time
from itertools import count

from kmclcheck.engines.symbolic.circuit import TRUE, Lit
from kmclcheck.engines.symbolic.solver import Answer, Solver
from kmclcheck.engines.symbolic.step import Step

Cube = frozenset[Lit]
"""Bits of a state that are true together, as literals of the circuit's state before the step."""


class GaveUpError(Exception):
    """The solver gave no answer, or the time was used up."""


class Reach:
    """Looks for clauses over the states of one step circuit.

    ``lemmas`` are facts known to hold of every state; ``bad`` what must not happen at a record.
    """

    def __init__(
        self, step: Step, constraint: list[Lit], lemmas: list[Lit], bad: Lit, deadline: float
    ) -> None:
        self.step = step
        self.circuit = circuit = step.circuit
        self.deadline = deadline
        self.bad = bad
        self.before = step.before.lits()
        self.next = dict(zip(self.before, step.after.lits(), strict=True))
        initial = step.layout.initial().lits()
        self.initial = {b: i == TRUE for b, i in zip(self.before, initial, strict=True)}
        self.start = [b if value else -b for b, value in self.initial.items()]
        self.inputs = [lit for lit in step.record.lits() if lit > 1]
        self.solver = Solver(circuit, small=True)
        self.solver.require([*constraint, *lemmas])
        self.lifter = Solver(circuit, small=True)
        goal = circuit.all(constraint)
        self.constraint = goal
        for solver in (self.solver, self.lifter):
            solver.cut([*self.next.values(), bad, goal])
        self.levels: list[Lit] = [0]
        self.clauses: list[set[Cube]] = [set()]
        self._number = count()

    # Queries.

    def _check(self, solver: Solver, assumptions: list[Lit]) -> Answer:
        answer = solver.check(assumptions, self.deadline - time.perf_counter())
        if answer is Answer.UNKNOWN:
            raise GaveUpError
        return answer

    def _within(self, level: int) -> list[Lit]:
        return list(self.start) if level == 0 else self.levels[level:]

    def _model(self) -> tuple[list[Lit], list[Lit]]:
        values = self.solver.values([*self.before, *self.inputs])
        state = [lit if values[lit] else -lit for lit in self.before]
        return state, [lit if values[lit] else -lit for lit in self.inputs]

    def _lift(self, state: list[Lit], record: list[Lit], goals: list[Lit]) -> Cube:
        """Return the bits of a state that are enough for the record to reach the goals."""
        flag = self.circuit.input()
        self.lifter.require([self.circuit.either(-flag, -self.constraint, *(-goal for goal in goals))])
        assumptions = [*state, *record, flag]
        if self._check(self.lifter, assumptions) is not Answer.NO:
            return frozenset(state)
        core = set(self.lifter.core(assumptions))
        self.lifter.require([-flag])
        return frozenset(lit for lit in state if lit in core)

    def _after(self, cube: Cube) -> list[Lit]:
        return [self.next[lit] if lit > 0 else -self.next[-lit] for lit in cube]

    def _predecessor(self, cube: Cube, level: int) -> Cube | tuple[list[Lit], list[Lit]]:
        """Return a state one step before the cube, or the part of the cube that excludes them all."""
        flag = self.circuit.input()
        self.solver.require([self.circuit.either(-flag, *(-lit for lit in cube))])
        after = dict(zip(self._after(cube), cube, strict=True))
        if -1 in after:
            return frozenset(lit for next_lit, lit in after.items() if next_lit == -1)
        assumptions = [flag, *self._within(level), *after]
        if self._check(self.solver, assumptions) is Answer.YES:
            model = self._model()
            self.solver.require([-flag])
            return model
        core = self.solver.core([lit for lit in assumptions if lit != 1])
        self.solver.require([-flag])
        return frozenset(after[lit] for lit in core if lit in after)

    # Blocking.

    def _starts(self, cube: Cube) -> bool:
        return all(self.initial[abs(lit)] is (lit > 0) for lit in cube)

    def _off_start(self, small: Cube, large: Cube) -> Cube:
        if not self._starts(small):
            return small
        extra = next(lit for lit in sorted(large) if self.initial[abs(lit)] is not (lit > 0))
        return small | {extra}

    def _generalise(self, cube: Cube, level: int) -> Cube:
        """Drop bits of a cube as long as it stays unreachable."""
        misses = 0
        for lit in sorted(cube):
            if misses > 8 or len(cube) < 2:
                break
            smaller = cube - {lit}
            if lit not in cube or self._starts(smaller):
                continue
            result = self._predecessor(smaller, level)
            if isinstance(result, frozenset):
                cube = self._off_start(result, smaller)
                misses = 0
            else:
                misses += 1
        return cube

    def _exclude(self, cube: Cube, level: int) -> None:
        for at in range(1, level + 1):
            self.clauses[at] = {other for other in self.clauses[at] if not cube <= other}
        self.clauses[level].add(cube)
        self.solver.require([self.circuit.either(-self.levels[level], *(-lit for lit in cube))])

    def _block(self, cube: Cube, level: int) -> int:
        """Exclude a cube within so many steps. If that cannot be, return in how many it leads to the bad."""
        todo: list[tuple[int, int, Cube, int]] = [(level, next(self._number), cube, 1)]
        top = len(self.levels) - 1
        while todo:
            level, _, cube, distance = heapq.heappop(todo)
            if self._starts(cube) or level == 0:
                return distance
            if any(other <= cube for at in range(level, top + 1) for other in self.clauses[at]):
                if level < top:
                    heapq.heappush(todo, (level + 1, next(self._number), cube, distance))
                continue
            result = self._predecessor(cube, level - 1)
            if isinstance(result, frozenset):
                small = self._generalise(self._off_start(result, cube), level - 1)
                at = level
                while at < top and isinstance(self._predecessor(small, at), frozenset):
                    at += 1
                self._exclude(small, at)
                if at < top:
                    heapq.heappush(todo, (at + 1, next(self._number), cube, distance))
            else:
                earlier = self._lift(*result, self._after(cube))
                heapq.heappush(todo, (level - 1, next(self._number), earlier, distance + 1))
                heapq.heappush(todo, (level, next(self._number), cube, distance))
        return 0

    def run(self) -> list[Cube] | int:
        """Return cubes that no reachable state meets and that suffice, or the number of steps to the bad."""
        if self._check(self.solver, [*self.start, self.bad]) is Answer.YES:
            return 1
        while True:
            self.levels.append(self.circuit.input())
            self.clauses.append(set())
            top = len(self.levels) - 1
            while self._check(self.solver, [*self._within(top), self.bad]) is Answer.YES:
                state, record = self._model()
                distance = self._block(self._lift(state, record, [self.bad]), top)
                if distance:
                    return distance
            for level in range(1, top):
                for cube in sorted(self.clauses[level], key=len):
                    if isinstance(self._predecessor(cube, level), frozenset):
                        self.clauses[level].discard(cube)
                        self._exclude(cube, level + 1)
                if not self.clauses[level]:
                    return [cube for later in self.clauses[level + 1 :] for cube in later]
