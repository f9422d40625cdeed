"""The transition relation laid out step by step from the start, for a solver."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from kmclcheck.engines.symbolic.alphabet import FAILURE, SUCCESS, Alphabet
from kmclcheck.engines.symbolic.bounds import Bounds
from kmclcheck.engines.symbolic.circuit import FALSE, TRUE, Circuit, Lit
from kmclcheck.engines.symbolic.cone import Cone
from kmclcheck.engines.symbolic.ends import Ends
from kmclcheck.engines.symbolic.faults import Reporting
from kmclcheck.engines.symbolic.solver import Answer, Solver
from kmclcheck.engines.symbolic.state import Layout, State
from kmclcheck.engines.symbolic.step import Step
from kmclcheck.model.spec import Spec

TIDY_SECONDS = 2.0
"""How long the solver may think about one wish, or some, for a record that is easy to read."""


class System:
    """The circuits of one step and of an end, for a cone."""

    def __init__(self, spec: Spec, cone: Cone, bounds: Bounds, alphabet: Alphabet | None = None) -> None:
        self.layout = Layout(spec, cone, alphabet or Alphabet(cone), bounds)
        self.step = Step(self.layout)
        self.ends = Ends(self.layout)
        step, ends = self.step, self.ends
        report = Reporting(step.circuit, self.layout, step.faults, step.record.objects)
        self.quiet = report.nothing()
        self.next = step.after.lits()
        self.outputs = [*self.next, *step.valid, self.quiet]
        self.before = step.before.lits()
        self.inputs = [lit for lit in step.record.lits() if lit > 1]
        self._report = report
        self._ends = {
            "unloaded": Reporting(ends.circuit, self.layout, ends.unloaded, {}),
            "hung": Reporting(ends.circuit, self.layout, ends.hung, {}),
        }

    def goal(self, rule: str) -> Lit:
        """Return, in the circuit of a step, whether the record breaks the rule and no other."""
        return self._report.alone(rule)

    def quiet_ends(self) -> tuple[Lit, Lit]:
        """Return, in the circuit of an end, whether unloading or hanging there breaks no rule."""
        circuit, idle = self.ends.circuit, self.ends.idle
        unloaded, hung = self._ends["unloaded"].nothing(), self._ends["hung"].nothing()
        return circuit.both(idle, unloaded), circuit.both(-idle, hung)

    def end_goals(self, rule: str) -> tuple[Lit, Lit]:
        """Return, in the circuit of an end, whether unloading or hanging breaks the rule and no other."""
        unloaded = self._ends["unloaded"].alone(rule)
        hung = self._ends["hung"].alone(rule)
        circuit = self.ends.circuit
        return circuit.both(self.ends.idle, unloaded), circuit.both(-self.ends.idle, hung)


class Trace:
    """Copies of a step, one after the other. ``states[k]`` are the bits before record ``k``."""

    def __init__(
        self, system: System, rule: str | None, free: bool = False, outputs: Sequence[Lit] = ()
    ) -> None:
        self.system = system
        self.circuit = Circuit()
        self.solver = Solver(self.circuit)
        layout = system.layout
        start: State = layout.free(self.circuit.input) if free else layout.initial()
        self.states: list[list[Lit]] = [start.lits()]
        self.records: list[list[Lit]] = []
        self.quiet: list[Lit] = []
        self.goals: list[Lit] = []
        self._goal = FALSE if rule is None else system.goal(rule)
        self._ends = system.quiet_ends() if rule is None else system.end_goals(rule)
        self._nodes = system.step.circuit.needed([*system.outputs, self._goal, *outputs])
        self._end_nodes = system.ends.circuit.needed(self._ends)
        self._end_state = system.ends.state.lits()

    @property
    def length(self) -> int:
        return len(self.records)

    @staticmethod
    def at(place: dict[int, Lit], lit: Lit) -> Lit:
        """Return a literal of the step's circuit at one step."""
        return place[lit] if lit > 0 else -place[-lit]

    def extend(self, known: Mapping[Lit, bool] | None = None) -> dict[int, Lit]:
        """Add one record. Returns where the bits of the step's circuit are.

        ``known``: inputs of the step's circuit whose values are certain.
        """
        system, circuit = self.system, self.circuit
        given = dict(zip(system.before, self.states[-1], strict=True))
        sure = known or {}
        record = [(TRUE if sure[lit] else FALSE) if lit in sure else circuit.input() for lit in system.inputs]
        given |= dict(zip(system.inputs, record, strict=True))
        place = circuit.copy(system.step.circuit, self._nodes, given)
        self.records.append(record)
        self.states.append([self.at(place, lit) for lit in system.next])
        self.quiet.append(self.at(place, system.quiet))
        self.goals.append(self.at(place, self._goal))
        valid = [self.at(place, lit) for lit in system.step.valid]
        self.solver.cut([*self.states[-1], self.quiet[-1], self.goals[-1]])
        self.solver.require(valid)
        return place

    def plain(self) -> list[Lit]:
        """Return wishes for records that are easy to read: one thread, usual statuses, PASSIVE_LEVEL."""
        record = self.system.step.record
        statuses = self.system.layout.alphabet.statuses
        odd = [lit for s, lit in zip(statuses, record.status, strict=True) if s not in (SUCCESS, FAILURE)]
        unwanted = [*record.thread[1:], *odd, *record.irql]
        wishes: list[Lit] = []
        for bits in self.records:
            given = dict(zip(self.system.inputs, bits, strict=True))
            wishes += [-given[lit] for lit in unwanted if lit in given]
        return wishes

    def tidy(self, kept: list[Lit], wishes: list[Lit], deadline: float) -> None:
        """Find another model that keeps to ``kept`` and grants as many wishes as it can.

        Which of them it grants is settled by halves; if the time runs out, the last model stands.
        """
        kept, todo = list(kept), [wishes]
        while todo:
            some = todo.pop()
            answer = self.solver.check([*kept, *some], min(deadline - time.perf_counter(), TIDY_SECONDS))
            if answer is Answer.YES:
                kept += some
            elif answer is Answer.UNKNOWN:
                break
            elif len(some) > 1:
                middle = len(some) // 2
                todo += [some[middle:], some[:middle]]
        self.solver.check(kept, TIDY_SECONDS)

    def end_goals(self) -> tuple[Lit, Lit]:
        """Return whether ending here, unloaded or hung, breaks the rule and no other (or breaks nothing)."""
        given = dict(zip(self._end_state, self.states[-1], strict=True))
        place = self.circuit.copy(self.system.ends.circuit, self._end_nodes, given)
        return self.at(place, self._ends[0]), self.at(place, self._ends[1])
