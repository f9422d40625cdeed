"""Numbers of a trace, known or not: arguments, statuses, levels, number fields."""

from __future__ import annotations

from kmclcheck.engines.symbolic.circuit import FALSE, TRUE, Bits, Lit
from kmclcheck.engines.symbolic.trace.facts import Facts
from kmclcheck.model.expr import CompareOp

WIDTH = 66
_LEAST = -(1 << 64)


class Quantity:
    """A number. One that is not known (``None``) gets its bits when somebody asks, and keeps them."""

    __slots__ = ("_bits", "_set", "reason", "value")

    def __init__(self, value: int | None, reason: str = "", is_set: bool | None = None) -> None:
        self.value = value
        self.reason = reason
        self._bits: Bits | None = None
        known = True if value is not None else is_set
        self._set: Lit | None = None if known is None else TRUE if known else FALSE

    def is_set(self, facts: Facts) -> Lit:
        """Return whether the number was assigned."""
        if self._set is None:
            self._set = facts.unknown(self.reason)
        return self._set

    @property
    def unset(self) -> bool:
        """Whether the number was certainly not assigned."""
        return self._set == FALSE

    def bits(self, facts: Facts) -> Bits:
        """Return the number above the least one, lowest bit first."""
        if self._bits is None:
            if self.value is None:
                self._bits = tuple(facts.unknown(self.reason) for _ in range(WIDTH))
            else:
                above = min(max(self.value - _LEAST, 0), (1 << WIDTH) - 1)
                self._bits = facts.circuit.number(above, WIDTH)
        return self._bits

    def has(self, facts: Facts, mask: int) -> Lit:
        """Return whether all bits of a mask are set."""
        if self.value is not None:
            return TRUE if self.value & mask == mask else FALSE
        # The least number is a power of two above all masks.
        bits = self.bits(facts)
        return facts.circuit.all([bits[at] for at in range(WIDTH) if mask >> at & 1])


UNSET = Quantity(None, "the number was never set", False)
"""A number that nothing was assigned to. It has no order, so a comparison with it is not decided."""


def compare(facts: Facts, op: CompareOp, left: Quantity, right: Quantity) -> Lit:
    """Return the truth of a comparison."""
    if left.unset or right.unset:
        return facts.unknown(UNSET.reason)
    one, other = left.bits(facts), right.bits(facts)
    circuit = facts.circuit
    match op:
        case CompareOp.EQ:
            return circuit.equal(one, other)
        case CompareOp.NE:
            return -circuit.equal(one, other)
        case CompareOp.LT:
            return circuit.less(one, other)
        case CompareOp.GE:
            return -circuit.less(one, other)
        case CompareOp.GT:
            return circuit.less(other, one)
        case CompareOp.LE:
            return -circuit.less(other, one)
