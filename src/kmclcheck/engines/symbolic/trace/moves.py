"""What an event makes of fields, and what it shows about the facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kmclcheck.engines.symbolic.circuit import FALSE, TRUE, Lit
from kmclcheck.engines.symbolic.trace.calls import Level
from kmclcheck.engines.symbolic.trace.facts import Answer, Facts
from kmclcheck.engines.symbolic.trace.objects import Objects, Values
from kmclcheck.model.expr import Expr
from kmclcheck.model.spec import EnumField, Transition

UNSOLVED = "the solver gave no answer"


@dataclass(slots=True)
class Move:
    """A field after an event, unless ``nothing`` is left of it: then it is what the event implies.

    ``sure``: the event determined the field. ``data``: what it was before depended on facts.
    """

    enum: EnumField
    before: Values
    after: Values
    nothing: Lit = FALSE
    implied: Values = ()
    sure: bool = False

    @property
    def data(self) -> bool:
        return any(bit not in (TRUE, FALSE) for bit in self.before)


def move(
    facts: Facts,
    enum: EnumField,
    now: Values,
    lines: Sequence[Transition],
    level: Callable[[Expr], Level],
) -> Move:
    """Return what an event with these transitions makes of a field.

    A value that no line speaks of is impossible at the event.
    """
    now = _shown(facts, enum, now, lines, level)
    acting = [(line, *level(line.guard)) for line in lines if not line.observe]
    if not acting:
        return Move(enum, now, now)
    circuit = facts.circuit
    reached: dict[str, list[Lit]] = {value: [] for value in enum.values}
    implied: dict[str, list[Lit]] = {value: [] for value in enum.values}
    sure = False
    for value, bit in zip(enum.values, now, strict=True):
        mine = [one for one in acting if value in one[0].sources]
        if mine:
            # It stays unless some line certainly applies.
            reached[value].append(circuit.all([bit, *(-must for _, _, must in mine)]))
        for line, may, must in mine:
            for target in line.targets or (value,):
                reached[target].append(circuit.both(bit, may))
            if line.targets and not sure and bit != FALSE:
                sure = facts.certain(must) and facts.possible(bit)
    for line, may, _ in acting:
        for target in line.targets or line.sources:
            implied[target].append(may)
    after = tuple(circuit.any(reached[value]) for value in enum.values)
    rest = tuple(circuit.any(implied[value]) for value in enum.values)
    return Move(enum, now, after, -circuit.any(after), rest, sure)


def _shown(
    facts: Facts,
    enum: EnumField,
    now: Values,
    lines: Sequence[Transition],
    level: Callable[[Expr], Level],
) -> Values:
    """Return a field after what the event shows of it; what the documents leave open is not narrowed."""
    for line in lines:
        if not line.observe or all(bit in (TRUE, FALSE) for bit in now):
            continue
        if facts.certain(level(line.guard)[1]):
            left = tuple(
                bit if value in line.sources else FALSE for value, bit in zip(enum.values, now, strict=True)
            )
            if facts.learn(facts.circuit.any(left)) is Answer.YES:
                now = facts.reduced(left)
    return now


def learn(objects: Objects, moves: Sequence[Move]) -> None:
    """Exclude the facts under which a field would be left without a value, as far as that can be."""
    facts = objects.facts
    doubtful = [one for one in moves if one.nothing != FALSE]
    if facts.learn(facts.circuit.all([-one.nothing for one in doubtful])) is Answer.YES:
        return
    for one in doubtful:
        answer = facts.learn(-one.nothing)
        if answer is Answer.YES:
            continue
        if answer is Answer.UNKNOWN:
            one.after = objects.unknown(one.enum, UNSOLVED)
            continue
        rest = facts.reduced(one.implied)
        values = frozenset(v for v, bit in zip(one.enum.values, rest, strict=True) if bit != FALSE)
        if values:
            one.after, one.sure = objects.values(one.enum, values, one.data), True
        else:
            one.after = one.before


def mixed(objects: Objects, one: Move, reason: str) -> Values:
    """Return a field that perhaps takes a move, or stays, for the event may concern another object."""
    facts = objects.facts
    circuit = facts.circuit
    wider = [circuit.both(new, -old) for new, old in zip(one.after, one.before, strict=True)]
    if facts.certain(-circuit.both(-one.nothing, circuit.any(wider))):
        return one.before
    takes = facts.unknown(reason)
    facts.learn(-circuit.both(takes, one.nothing))
    return circuit.choose_bits(takes, one.after, one.before)
