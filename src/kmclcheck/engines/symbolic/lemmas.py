"""Plain facts about every state that can be reached, found by trying: those that keep themselves.

They say what the encoding takes for granted (a place on a stack holds one call) and what the machines
show by themselves (a field that only ever has one value).
"""

from __future__ import annotations

import time
from itertools import pairwise

from kmclcheck.engines.symbolic.circuit import TRUE, Circuit, Lit
from kmclcheck.engines.symbolic.sample import STEPS, Columns, Walker
from kmclcheck.engines.symbolic.solver import Answer, Solver
from kmclcheck.engines.symbolic.state import Frame, Layout, State
from kmclcheck.engines.symbolic.step import Step


def candidates(circuit: Circuit, layout: Layout, state: State) -> list[Lit]:
    """Return facts that may hold of every state, in a fixed order."""
    found: list[Lit] = []
    for kind, things in state.things.items():
        for at, thing in enumerate(things):
            for name, bits in thing.fields.items():
                found.append(circuit.any(bits))
                found.append(circuit.at_most_one(bits))
                for bit, absent in zip(bits, layout.absent(kind, name), strict=True):
                    found.append(-bit)
                    found.append(circuit.either(-thing.known, -bit))
                    found.append(circuit.either(thing.known, circuit.same(bit, absent)))
            for is_set, _ in thing.numbers.values():
                found.append(circuit.either(thing.known, -is_set))
            above, parent = layout.parents[kind][at], layout.spec.kinds[kind].parent
            if above is not None and parent is not None:
                found.append(circuit.either(-thing.known, state.things[parent][above].known))
    for thread in state.threads:
        for bits in thread.fields.values():
            found += [circuit.any(bits), circuit.at_most_one(bits)]
        busy = [circuit.any(frame.names.values()) for frame in thread.frames]
        found += [circuit.either(-inner, outer) for outer, inner in pairwise(busy)]
        for frame in thread.frames:
            found += _frame(circuit, layout, state, frame)
    return found


def _frame(circuit: Circuit, layout: Layout, state: State, frame: Frame) -> list[Lit]:
    found = [circuit.at_most_one(list(frame.names.values()))]
    found += [-name for name in frame.names.values()]
    for call in layout.alphabet.calls.values():
        here = frame.names[call.name]
        for kind in call.held:
            if not layout.several(kind):
                found.append(circuit.either(-here, state.things[kind][0].known))
                continue
            found.append(circuit.either(-here, circuit.any(frame.objects[kind])))
            found.append(circuit.either(-here, circuit.at_most_one(frame.objects[kind])))
            for on, thing in zip(frame.objects[kind], state.things[kind], strict=True):
                found.append(circuit.either(-here, -on, thing.known))
    for may, must in frame.latches.values():
        found.append(circuit.either(-must, may))
    return found


def lasting(step: Step, constraint: list[Lit], deadline: float) -> tuple[list[Lit], list[Lit]] | None:
    """Return the facts that hold at the start and of every next state, before and after a step."""
    circuit, layout = step.circuit, step.layout
    start = Circuit()
    initial = candidates(start, layout, layout.initial())
    before = candidates(circuit, layout, step.before)
    after = candidates(circuit, layout, step.after)
    pairs = [(b, a) for i, b, a in zip(initial, before, after, strict=True) if i == TRUE and b != TRUE]
    solver = Solver(circuit, small=True)
    solver.require(constraint)
    solver.cut([lit for pair in pairs for lit in pair])
    while pairs:
        fails = circuit.input()
        solver.require([circuit.either(-fails, *(-a for _, a in pairs))])
        answer = solver.check([fails, *(b for b, _ in pairs)], deadline - time.perf_counter())
        if answer is Answer.UNKNOWN:
            return None
        if answer is Answer.NO:
            break
        values = solver.values([a for _, a in pairs])
        pairs = [(b, a) for b, a in pairs if values[a]]
    return [b for b, _ in pairs], [a for _, a in pairs]


_FURTHER = 12

Pair = tuple[Lit, Lit]
"""Two bits of a state, as literals of the state before the step, that are never true together."""


def exclusive(step: Step, constraint: list[Lit], facts: list[Lit], deadline: float) -> list[Pair] | None:
    """Return pairs of bits that exclude each other in every state that can be reached.

    Walks at random leave those pairs that no walk met together; of these, the ones are kept that follow
    from all of them at the step before.
    """
    circuit = step.circuit
    walker = Walker(step, constraint)
    initial = [lit == TRUE for lit in step.layout.initial().lits()]
    pairs = _unmet(step, walker.walk(initial, STEPS), initial)
    after = dict(zip(step.before.lits(), step.after.lits(), strict=True))
    solver = Solver(circuit, small=True)
    solver.require([*constraint, *facts])
    solver.cut(after.values())
    flags = {pair: circuit.input() for pair in pairs}
    solver.require([circuit.either(-flag, -one, -other) for (one, other), flag in flags.items()])

    def then(lit: Lit) -> Lit:
        return after[lit] if lit > 0 else -after[-lit]

    while pairs:
        partners: dict[Lit, list[Lit]] = {}
        for one, other in pairs:
            partners.setdefault(one, []).append(then(other))
        meets = circuit.any([circuit.both(then(one), circuit.any(rest)) for one, rest in partners.items()])
        fails = circuit.input()
        solver.require([circuit.either(-fails, meets)])
        answer = solver.check([fails, *(flags[pair] for pair in pairs)], deadline - time.perf_counter())
        if answer is Answer.UNKNOWN:
            return None
        if answer is Answer.NO:
            break
        values = solver.values(after.values())
        state = [values[lit] for lit in after.values()]
        true = {lit if value else -lit for lit, value in zip(after, state, strict=True)}
        pairs = [(one, other) for one, other in pairs if not (one in true and other in true)]
        # What can be reached from there cannot be told from what can be reached at all, either.
        columns = walker.walk(state, _FURTHER, 1)
        pairs = [(one, other) for one, other in pairs if not columns[one] & columns[other]]
        solver.require([-fails])
    return pairs


def _unmet(step: Step, columns: Columns, initial: list[bool]) -> list[Pair]:
    """Return the pairs of bits that no walk met together, of bits that some walk met."""
    frames = [list(frame.names.values()) for thread in step.before.threads for frame in thread.frames]
    place = {lit: number for number, names in enumerate(frames) for lit in names}
    before = step.before.lits()
    lits = [lit for bit in before for lit in (bit, -bit) if columns[lit]]
    start = {bit if value else -bit for bit, value in zip(before, initial, strict=True)}
    found: list[Pair] = []
    for at, one in enumerate(lits):
        column = columns[one]
        for other in lits[at + 1 :]:
            if one == -other or (one in start and other in start):
                continue
            if one in place and place[one] == place.get(other):
                continue
            if not column & columns[other]:
                found.append((one, other))
    return found
