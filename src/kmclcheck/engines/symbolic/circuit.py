"""Boolean circuits with shared gates: what a step means, before a solver sees it.

A literal is an integer: the number of a node, negative if it is inverted. Node 1 is true. Every other
node is an input or an "and" of literals. Gates are simplified when they are made, so that what is known
at the start of a trace folds away, and the same gate is never made twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Lit = int
Bits = tuple[Lit, ...]
"""An unsigned number, lowest bit first."""

TRUE: Lit = 1
FALSE: Lit = -1


class Circuit:
    """Inputs and gates. ``gates[n]`` holds the operands of node ``n``, nothing for an input."""

    def __init__(self) -> None:
        self.gates: list[tuple[Lit, ...]] = [(), ()]
        self._made: dict[tuple[Lit, ...], Lit] = {}

    def input(self) -> Lit:
        """Return a new input."""
        self.gates.append(())
        return len(self.gates) - 1

    def inputs(self, count: int) -> Bits:
        """Return that many new inputs."""
        return tuple(self.input() for _ in range(count))

    def all(self, operands: Iterable[Lit]) -> Lit:
        """Return "and"; true if there are no operands."""
        kept = set(operands)
        kept.discard(TRUE)
        if FALSE in kept:
            return FALSE
        if len(kept) < 2:
            return kept.pop() if kept else TRUE
        for lit in kept:
            if -lit in kept:
                return FALSE
        key = tuple(sorted(kept))
        made = self._made.get(key)
        if made is None:
            self.gates.append(key)
            made = self._made[key] = len(self.gates) - 1
        return made

    def both(self, *operands: Lit) -> Lit:
        """Return "and" of a few."""
        return self.all(operands)

    def any(self, operands: Iterable[Lit]) -> Lit:
        """Return "or"; false if there are no operands."""
        return -self.all([-lit for lit in operands])

    def either(self, *operands: Lit) -> Lit:
        """Return "or" of a few."""
        return -self.all([-lit for lit in operands])

    def choose(self, condition: Lit, then: Lit, otherwise: Lit) -> Lit:
        """Return one of two values."""
        if condition == TRUE or then == otherwise:
            return then
        if condition == FALSE:
            return otherwise
        return self.any((self.both(condition, then), self.both(-condition, otherwise)))

    def same(self, one: Lit, other: Lit) -> Lit:
        """Return whether two values agree."""
        return self.choose(one, other, -other)

    def select(self, pairs: Iterable[tuple[Lit, Lit]]) -> Lit:
        """Return the value whose selector is true; false if none is."""
        return self.any([self.both(selector, value) for selector, value in pairs])

    def at_most_one(self, lits: Sequence[Lit]) -> Lit:
        """Return whether no two are true."""
        return self.all(
            [self.either(-one, -other) for at, one in enumerate(lits) for other in lits[at + 1 :]]
        )

    # Numbers.

    def number(self, value: int, width: int) -> Bits:
        """Return a constant."""
        return tuple(TRUE if value >> bit & 1 else FALSE for bit in range(width))

    def equal(self, one: Bits, other: Bits) -> Lit:
        """Return whether two numbers are equal."""
        return self.all([self.same(a, b) for a, b in zip(one, other, strict=True)])

    def less(self, one: Bits, other: Bits) -> Lit:
        """Return whether the first number is smaller."""
        found = FALSE
        for a, b in zip(one, other, strict=True):
            found = self.choose(self.same(a, b), found, b)
        return found

    def choose_bits(self, condition: Lit, then: Bits, otherwise: Bits) -> Bits:
        """Return one of two numbers."""
        return tuple(self.choose(condition, a, b) for a, b in zip(then, otherwise, strict=True))

    # Copies.

    def needed(self, outputs: Iterable[Lit]) -> list[int]:
        """Return the gates that the outputs depend on, operands before what uses them."""
        found: set[int] = set()
        todo = [abs(lit) for lit in outputs]
        while todo:
            node = todo.pop()
            if node not in found:
                found.add(node)
                todo += [abs(lit) for lit in self.gates[node]]
        return [node for node in sorted(found) if self.gates[node]]

    def copy(self, source: Circuit, nodes: list[int], given: dict[int, Lit]) -> dict[int, Lit]:
        """Copy gates of another circuit; ``given`` maps its inputs to literals. Returns the whole map."""
        given[1] = TRUE
        gates = source.gates
        for node in nodes:
            given[node] = self.all([given[lit] if lit > 0 else -given[-lit] for lit in gates[node]])
        return given
