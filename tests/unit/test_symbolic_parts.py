"""The parts of the symbolic engine: circuits, the solver, and what an event does to a field."""

from __future__ import annotations

import random
from itertools import product

import pytest

from kmclcheck.engines.symbolic.circuit import FALSE, TRUE, Circuit, Lit
from kmclcheck.engines.symbolic.moves import move as circuit_move
from kmclcheck.engines.symbolic.solver import Answer, Solver
from kmclcheck.model.event import Phase
from kmclcheck.model.expr import Expr, Truth
from kmclcheck.model.spec import Transition
from kmclcheck.semantics.transition import move
from kmclcheck.semantics.truth import Possible, Truth4

VALUES = ("A", "B", "C", "D")


def _constant(value: bool) -> Lit:
    return TRUE if value else FALSE


def test_constants_fold_away() -> None:
    circuit = Circuit()
    one, other = circuit.inputs(2)
    assert circuit.both(one, TRUE) == one
    assert circuit.both(one, -one) == FALSE
    assert circuit.either(one, -one) == TRUE
    assert circuit.both(one, other) == circuit.both(other, one)
    assert circuit.choose(one, other, other) == other


@pytest.mark.parametrize(("one", "other"), list(product(range(8), range(8))))
def test_numbers(one: int, other: int) -> None:
    circuit = Circuit()
    left, right = circuit.number(one, 4), circuit.number(other, 4)
    assert circuit.less(left, right) == _constant(one < other)
    assert circuit.equal(left, right) == _constant(one == other)


def test_the_solver_agrees_with_trying_everything() -> None:
    rng = random.Random(5)
    for _ in range(20):
        circuit = Circuit()
        inputs = list(circuit.inputs(4))
        lits = list(inputs)
        for _ in range(12):
            operands = [rng.choice(lits) * rng.choice((1, -1)) for _ in range(rng.randint(2, 3))]
            lits.append(rng.choice((circuit.all, circuit.any))(operands))
        top = lits[-1]
        solver = Solver(circuit)
        if rng.random() < 0.5:
            solver.cut(lits[4:8])
        answer = solver.check([top], 10)
        ways = [dict(zip(inputs, bits, strict=True)) for bits in product((False, True), repeat=4)]
        assert (answer is Answer.YES) is any(_value(circuit, top, way) for way in ways)
        if answer is Answer.YES:
            model = solver.values([*inputs, top])
            assert _value(circuit, top, model)
            assert model[top]


def _value(circuit: Circuit, lit: Lit, inputs: dict[Lit, bool]) -> bool:
    node = abs(lit)
    if node == 1:
        value = True
    elif circuit.gates[node]:
        value = all(_value(circuit, operand, inputs) for operand in circuit.gates[node])
    else:
        value = inputs[node]
    return value if lit > 0 else not value


def test_no_time_is_no_answer() -> None:
    circuit = Circuit()
    lit = circuit.input()
    assert Solver(circuit).check([lit], 0) is Answer.UNKNOWN


def test_a_field_moves_as_the_semantics_say() -> None:
    rng = random.Random(11)
    guards: list[Expr] = [Truth(True), Truth(False)]
    levels = {
        Truth4.TRUE: (TRUE, TRUE), Truth4.ALLOWED: (TRUE, FALSE), Truth4.FALSE: (FALSE, FALSE)
    }  # fmt: skip
    for _ in range(500):
        lines, said = [], {}
        for number in range(rng.randint(1, 3)):
            guard = guards[number % 2]
            said.setdefault(guard, rng.choice(list(levels)))
            lines.append(
                Transition(
                    frozenset(rng.sample(VALUES, rng.randint(1, 4))),
                    frozenset(rng.sample(VALUES, rng.randint(0, 2))),
                    ("E", Phase.CALL),
                    guard,
                )
            )
        before = frozenset(rng.sample(VALUES, rng.randint(1, 4)))
        wanted, _ = move(Possible(before), lines, lambda guard, said=said: said[guard])
        bits = tuple(_constant(value in before) for value in VALUES)
        got = circuit_move(Circuit(), VALUES, bits, lines, lambda guard, said=said: levels[said[guard]])
        assert {v for v, bit in zip(VALUES, got, strict=True) if bit == TRUE} == wanted.values
