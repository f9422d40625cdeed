"""What an event does to one field."""

from __future__ import annotations

from collections.abc import Callable

from kmclcheck.engines.symbolic.circuit import Circuit, Lit
from kmclcheck.model.expr import Expr
from kmclcheck.model.spec import Transition


def move(
    circuit: Circuit,
    values: tuple[str, ...],
    now: tuple[Lit, ...],
    lines: list[Transition],
    level: Callable[[Expr], tuple[Lit, Lit]],
) -> tuple[Lit, ...]:
    """Return the possible values after an event with these transitions.

    A value no line speaks of is impossible at the event. If that leaves nothing, the field takes what
    the event implies.
    """  # fmt: skip
    if not lines:
        return now
    bits = dict(zip(values, now, strict=True))
    levels = [level(line.guard) for line in lines]
    reached: dict[str, list[Lit]] = {value: [] for value in values}
    spoken: set[str] = set()
    for value in values:
        mine = [(line, pair) for line, pair in zip(lines, levels, strict=True) if value in line.sources]
        if mine:
            spoken.add(value)
            # It stays unless some line certainly applies.
            reached[value].append(circuit.all([bits[value], *(-must for _, (_, must) in mine)]))
        for line, (may, _) in mine:
            for target in line.targets or (value,):
                reached[target].append(circuit.both(bits[value], may))
    after = {value: circuit.any(lits) for value, lits in reached.items()}
    if spoken != set(values):
        nothing = -circuit.any(after.values())
        implied: dict[str, list[Lit]] = {value: [] for value in values}
        for line, (may, _) in zip(lines, levels, strict=True):
            for target in line.targets or line.sources:
                implied[target].append(may)
        stays = circuit.all([-may for may, _ in levels])
        for value in values:
            otherwise = circuit.either(circuit.any(implied[value]), circuit.both(stays, bits[value]))
            after[value] = circuit.either(after[value], circuit.both(nothing, otherwise))
    return tuple(after[value] for value in values)
