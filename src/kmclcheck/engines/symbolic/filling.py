"""Fillings: the fewest records that a trace with gaps may have missed.

The records of the trace are laid out step by step, and at every step either the next of them happens or one
that was missed. So one search with so many steps more than the trace has records finds a filling of
just that size, wherever in the gaps its records stand.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from kmclcheck.engines.symbolic.alphabet import Call
from kmclcheck.engines.symbolic.bounds import OutOfBudgetError
from kmclcheck.engines.symbolic.circuit import FALSE, TRUE, Lit
from kmclcheck.engines.symbolic.conditions import dead
from kmclcheck.engines.symbolic.cone import Cone
from kmclcheck.engines.symbolic.decode import Decoder
from kmclcheck.engines.symbolic.given import Gap, Task, alphabet, pattern
from kmclcheck.engines.symbolic.solver import Answer
from kmclcheck.engines.symbolic.unroll import System, Trace
from kmclcheck.model.event import ArgValue, End, Phase

Spot = tuple[int, int]
"""A place between given records, and how many missed ones stand there already."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A record of a filled trace: the ``given`` one of this number, or (``None``) one that was missed.

    ``objects`` are the places of objects by kind. A given record leaves open what the trace tells.
    """

    given: int | None
    name: str
    phase: Phase
    thread: int
    args: dict[str, ArgValue]
    status: int | None
    irql: int
    objects: dict[str, int]


@dataclass(frozen=True, slots=True)
class Filled:
    """All records of a filled trace in order, and how it ends."""

    records: tuple[Placed, ...]
    end: End


class Puzzle:
    """The search for the fillings of one task. ``name`` gives the handles of objects, by kind and place.

    ``inserted`` is how many records the fillings that ``check`` looks for have. Raises UnsupportedError for
    what is not modelled, and OutOfBudgetError if it takes too long to lay the records out.
    """

    def __init__(
        self, cone: Cone, task: Task, name: Callable[[str, int], int], most: int, deadline: float
    ) -> None:
        self.deadline = deadline
        self.task = task
        self.name = name
        self.most = most
        self.inserted = 0
        self.system = System(cone.spec, cone, task.bounds, alphabet(cone, task.given))
        self.patterns = [pattern(self.system, one) for one in task.given]
        step = self.system.step
        self.left = step.stacks.left.names
        judged = task.rule if task.broken else None
        idle = [row[0] for row in step.stacks.busy]
        self.unresolved = self._unresolved()
        outputs = [*self.left.values(), *step.stacks.alternating, *idle, self.unresolved]
        self.trace = Trace(self.system, judged, outputs=outputs)
        # How many of the given records there may have been before each step, and how many were missed since
        # the last of them, where that is limited.
        self.taken: list[dict[Spot, Lit]] = [{(0, 0): TRUE}]
        for _ in task.given:
            self._extend()

    def _unresolved(self) -> Lit:
        """Return whether a handle goes to a new object while an obligation of the old one was not met.

        What became of the old one is then not known, so the rule is neither kept nor broken.
        """
        step, layout = self.system.step, self.system.layout
        circuit, found = step.circuit, []
        for kind, happens, moment in step.rebirths:
            fields = {name: moment.field(kind, name) for name in layout.fields[kind]}
            alive = -dead(circuit, layout, kind, fields)
            for rule, check in layout.cone.end_checks():
                if rule.id == self.task.rule and check.target == kind:
                    fails = circuit.both(moment.level(check.when)[0], -moment.level(check.require)[1])
                    found.append(circuit.both(happens, alive, fails))
        return circuit.any(found)

    @property
    def room(self) -> int | None:
        """How many records can have been missed at all, ``None`` if there is no telling."""
        gaps = [gap for at in range(len(self.task.gaps)) if (gap := self._gap(at)).open]
        return None if any(gap.most is None for gap in gaps) else sum(gap.most or 0 for gap in gaps)

    def _gap(self, at: int) -> Gap:
        """Return the gap before a given record, or after the last."""
        given = self.task.given
        return Gap() if at < len(given) and given[at].glued else self.task.gaps[at]

    def more(self) -> None:
        """Look for fillings with one record more from now on."""
        self.inserted += 1
        self._extend()

    def _extend(self) -> None:
        if time.perf_counter() > self.deadline:
            raise OutOfBudgetError(self.inserted - 1, "the time was used up")
        trace, circuit = self.trace, self.trace.circuit
        number, given = trace.length, self.task.given
        if number and not self.task.anyhow:
            trace.solver.require([trace.quiet[-1]])
        use = circuit.input()
        known: dict[int, list[Lit]] = {}
        missed: dict[int, list[Lit]] = {}
        after: dict[Spot, list[Lit]] = {}
        for (at, since), here in self.taken[-1].items():
            gap = self._gap(at)
            room = gap.most is None or since < gap.most
            can_miss = gap.open and room and number - at < self.most
            takes = FALSE if at == len(given) else use if can_miss else TRUE
            if takes == FALSE and not can_miss:
                trace.solver.require([-here])
                continue
            known.setdefault(at, []).append(taken := circuit.both(here, takes))
            after.setdefault((at + 1, 0), []).append(taken)
            if can_miss:
                missed.setdefault(at, []).append(hidden := circuit.both(here, -takes))
                after.setdefault((at, 0 if gap.most is None else since + 1), []).append(hidden)
        happens = {at: lit for at, lits in known.items() if (lit := circuit.any(lits)) != FALSE}
        sure = next((at for at, lit in happens.items() if lit == TRUE), None)
        place = trace.extend(None if sure is None else self.patterns[sure])
        if not self.task.anyhow:
            trace.solver.require([-trace.at(place, self.unresolved)])
        bits = dict(zip(self.system.inputs, trace.records[-1], strict=True))
        for at, lit in happens.items():
            one = given[at]
            wanted = [bits[bit] if value else -bits[bit] for bit, value in self.patterns[at].items()]
            if not one.entry:
                wanted.append(trace.at(place, self.left[one.name]))
            if one.fresh and one.thread is not None:
                wanted.append(-trace.at(place, self.system.step.stacks.busy[one.thread][0]))
            trace.solver.require([circuit.either(-lit, want) for want in wanted])
        some = []
        for at, lits in missed.items():
            some.append(circuit.any(lits))
            trace.solver.require([circuit.either(-some[-1], self._allowed(self._gap(at), place))])
        shape = [trace.at(place, lit) for lit in self.system.step.stacks.alternating] if some else []
        trace.solver.require([circuit.either(-circuit.any(some), lit) for lit in shape])
        self.taken.append({at: lit for at, lits in after.items() if (lit := circuit.any(lits)) != FALSE})

    def _allowed(self, gap: Gap, place: dict[int, Lit]) -> Lit:
        """Return whether a record is one that a gap may hide."""
        if gap.anything:
            return TRUE
        found: list[Lit] = []
        record, layout = self.system.step.record, self.system.layout
        for name, stands in layout.alphabet.stands_for.items():
            call = layout.alphabet.calls[stands]
            if (name, call.decl.entry) in gap.kinds:
                found.append(place[record.enter[stands]])
            if (name, call.decl.exit) in gap.kinds:
                leaves = place[record.leave], self.trace.at(place, self.left[stands])
                found.append(self.trace.circuit.both(*leaves))
        return self.trace.circuit.any(found)

    def _goal(self) -> list[Lit]:
        """Return what holds of a filling."""
        trace = self.trace
        whole = trace.circuit.any(
            [lit for (at, _), lit in self.taken[-1].items() if at == len(self.task.given)]
        )
        if self.task.anyhow:
            return [whole]
        quiet = trace.quiet[-1] if trace.quiet else TRUE
        if not self.task.ends:
            return [whole, trace.goals[-1] if self.task.broken else quiet]
        return [whole, quiet, trace.circuit.any(self._ends().values())]

    def _ends(self) -> dict[End, Lit]:
        if self._ends_at != self.trace.length:
            self._ends_at = self.trace.length
            unloaded, hung = self.trace.end_goals()
            both = {End.UNLOADED: unloaded, End.HUNG: hung}
            self._ends_found = {end: lit for end, lit in both.items() if end in self.task.ends}
        return self._ends_found

    _ends_at = -1

    def check(self) -> Answer:
        """Return whether there is a filling with just so many records."""
        return self.trace.solver.check(self._goal(), self.deadline - time.perf_counter())

    def tidy(self, deadline: float) -> None:
        """Find another filling with no more odd statuses, raised IRQLs and threads than it takes."""
        wishes = [lit for lit in self.trace.plain() if lit not in (TRUE, FALSE)]
        self.trace.tidy(self._goal(), wishes, deadline)

    def read(self) -> Filled:
        """Return the filling that was found."""
        trace = self.trace
        ends = self._ends() if self.task.ends else {}
        wanted = [lit for bits in trace.records for lit in bits]
        wanted += [lit for cells in self.taken for lit in cells.values()]
        values = trace.solver.values([*wanted, *ends.values()])
        end = next((end for end, lit in ends.items() if values[lit]), End.STOPPED)
        taken = [next(at for (at, _), lit in cells.items() if values[lit]) for cells in self.taken]
        stacks: dict[int, list[str]] = {}
        found: list[Placed] = []
        for number in range(trace.length):
            record = Decoder(trace, number, values, self.name)
            given = taken[number] if taken[number + 1] > taken[number] else None
            stack = stacks.setdefault(record.thread, [])
            entered = record.entered
            name = entered if entered is not None else stack.pop()
            if entered is not None:
                if given is None:
                    name = self._member(entered, self._gap(taken[number]))
                stack.append(name)
            call = self._call(name)
            entry = entered is not None
            kinds = {*call.held, *([call.made] if call.made is not None and not entry else [])}
            found.append(
                Placed(
                    given,
                    name,
                    call.decl.entry if entry else call.decl.exit,
                    record.thread,
                    record.args(call, entry),
                    None if entry else record.status(call),
                    record.irql,
                    {kind: record.place(kind) for kind in sorted(kinds)},
                )
            )
        return Filled(tuple(found), end)

    def _call(self, name: str) -> Call:
        layout = self.system.layout
        call = layout.alphabet.calls[layout.alphabet.stands_for[name]]
        return replace(call, decl=layout.spec.events[name])

    def _member(self, stands: str, gap: Gap) -> str:
        """Return a call that means what was found, and that the gap may hide."""
        decl = self.system.layout.spec.events[stands]
        if gap.anything:
            return stands
        members = [n for n, s in self.system.layout.alphabet.stands_for.items() if s == stands]
        return next(n for n in members if (n, decl.entry) in gap.kinds)

    def exclude(self) -> None:
        """Look for other fillings than the one that was found last."""
        trace, record = self.trace, self.system.step.record
        told = [*record.enter.values(), record.leave, *record.thread, *record.status]
        told += [lit for bits in record.objects.values() for lit in bits]
        found: list[Lit] = [lit for cells in self.taken for lit in cells.values()]
        for bits in trace.records:
            given = dict(zip(self.system.inputs, bits, strict=True))
            found += [given[lit] for lit in told if lit in given]
        found = [lit for lit in found if lit not in (TRUE, FALSE)]
        values = trace.solver.values(found)
        trace.solver.require([trace.circuit.any([-lit if values[lit] else lit for lit in found])])
