"""Facts that a trace does not tell: answers about them are those of trying all possibilities."""

from __future__ import annotations

import operator
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kmclcheck.engines.judging import OutOfTimeError
from kmclcheck.engines.symbolic.circuit import FALSE, TRUE, Lit
from kmclcheck.engines.symbolic.solver import Answer
from kmclcheck.engines.symbolic.trace.facts import Facts
from kmclcheck.engines.symbolic.trace.numbers import Quantity, compare
from kmclcheck.model.expr import CompareOp

INPUTS = 6
OPERATORS = {
    CompareOp.EQ: operator.eq,
    CompareOp.NE: operator.ne,
    CompareOp.LT: operator.lt,
    CompareOp.LE: operator.le,
    CompareOp.GT: operator.gt,
    CompareOp.GE: operator.ge,
}


class World:
    """Facts, and the truth of every literal under each way in which the inputs may be."""

    def __init__(self) -> None:
        self.facts = Facts(60.0)
        self.inputs = [self.facts.unknown(f"reason {number}") for number in range(INPUTS)]
        self.ways = list(product([False, True], repeat=INPUTS))
        self.evidence: list[Lit] = []

    def holds(self, lit: Lit, way: tuple[bool, ...]) -> bool:
        node = abs(lit)
        if node in self.inputs:
            value = way[self.inputs.index(node)]
        else:
            value = all(self.holds(operand, way) for operand in self.facts.circuit.gates[node])
        return value if lit > 0 else not value

    def possible(self, lit: Lit) -> bool:
        return any(all(self.holds(e, way) for e in (*self.evidence, lit)) for way in self.ways)


@st.composite
def circuits(draw: st.DrawFn) -> tuple[World, list[Lit]]:
    """Return a world and literals of random gates, each built on those before."""
    world = World()
    lits = list(world.inputs)
    for _ in range(draw(st.integers(1, 12))):
        operands = draw(st.lists(st.sampled_from(lits), min_size=2, max_size=3))
        lits.append(world.facts.circuit.all([draw(st.sampled_from([o, -o])) for o in operands]))
    return world, [lit for lit in lits if abs(lit) != TRUE]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(circuits(), st.data())
def test_answers_are_those_of_trying_everything(drawn: tuple[World, list[Lit]], data: st.DataObject) -> None:
    world, lits = drawn
    assume(len(lits) > INPUTS)
    for _ in range(4):
        lit = data.draw(st.sampled_from([*lits, *(-lit for lit in lits)]))
        possible = world.possible(lit)
        assert world.facts.learn(lit) is (Answer.YES if possible else Answer.NO)
        world.evidence += [lit] if possible else []
        for other in (*lits, *(-lit for lit in lits)):
            assert world.facts.possible(other) is world.possible(other)
            assert world.facts.certain(other) is not world.possible(-other)
    constant = {TRUE: True, FALSE: False}
    for lit, reduced in zip(lits, world.facts.reduced(tuple(lits)), strict=True):
        forced = world.possible(lit) is not world.possible(-lit)
        assert (reduced in constant) is forced
        assert not forced or constant[reduced] is world.possible(lit)


@pytest.mark.parametrize("allowed", [(True,), (True, False, True), (True,) * 8, (False, True, True, True)])
def test_one_of_several_values(allowed: tuple[bool, ...]) -> None:
    facts = Facts(60.0)
    bits = facts.one_of(allowed, "unknown")
    assert facts.certain(facts.circuit.any(bits))
    assert facts.certain(facts.circuit.at_most_one(bits))
    assert tuple(map(facts.possible, bits)) == allowed


def test_a_special_reason_goes_before_the_general_one() -> None:
    facts = Facts(60.0)
    general, special = facts.unknown("in mid-life"), facts.unknown("no IRQL")
    assert facts.reason(facts.circuit.both(general, special), "in mid-life") == "no IRQL"
    assert facts.reason(general, "in mid-life") == "in mid-life"
    assert facts.reason(TRUE, "in mid-life") == ""


def test_no_question_without_time() -> None:
    facts = Facts(0.0)
    one, other = facts.unknown("a"), facts.unknown("b")
    both, neither = facts.circuit.both(one, other), facts.circuit.both(-one, other)
    with pytest.raises(OutOfTimeError):
        facts.possible(facts.circuit.both(both, neither))


NUMBERS = st.one_of(st.integers(-5, 5), st.integers(-(1 << 63), (1 << 64) - 1))


@given(NUMBERS, NUMBERS)
def test_known_numbers_compare_as_numbers(one: int, other: int) -> None:
    facts = Facts(60.0)
    for op, expected in OPERATORS.items():
        found = compare(facts, op, Quantity(one), Quantity(other))
        assert found == (TRUE if expected(one, other) else FALSE)


def test_an_unknown_number_is_one_number() -> None:
    facts = Facts(60.0)
    number = Quantity(None, "not told")
    small, large = (compare(facts, op, number, Quantity(7)) for op in (CompareOp.LT, CompareOp.GT))
    assert facts.possible(small)
    assert facts.possible(large)
    assert not facts.possible(facts.circuit.both(small, large))
    assert facts.learn(compare(facts, CompareOp.LE, number, Quantity(3))) is Answer.YES
    assert facts.certain(small)
    assert facts.learn(number.has(facts, 0x4)) is Answer.YES
    assert not facts.possible(compare(facts, CompareOp.EQ, number, Quantity(3)))
