"""Four-valued truth and sets of possible values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from kmclcheck.model.spec import EnumField


class Truth4(IntEnum):
    """How certain a condition is, ordered so that ``min`` is "and" and ``max`` is "or".

    MISSING: data is missing that would decide it. ALLOWED: the documents leave it open, and
    nothing in the trace could decide it, so it counts as satisfied. The order makes
    "allowed or missing" satisfied and "allowed and missing" open, as it must be: whatever the
    missing data turns out to be, the first cannot become false.
    """

    FALSE = 0
    MISSING = 1
    ALLOWED = 2
    TRUE = 3


FALSE, MISSING, ALLOWED, TRUE = Truth4.FALSE, Truth4.MISSING, Truth4.ALLOWED, Truth4.TRUE

_INVERSE = (TRUE, MISSING, ALLOWED, FALSE)


def invert(level: Truth4) -> Truth4:
    """Return the truth of the negation of an atom."""
    return _INVERSE[level]


def from_bool(value: bool | None) -> Truth4:
    """Return the truth of a plain fact; ``None`` means that the trace does not tell."""
    if value is None:
        return MISSING
    return TRUE if value else FALSE


@dataclass(frozen=True, slots=True)
class Possible:
    """The values a field may have, and whether more data would have narrowed them."""

    values: frozenset[str]
    missing: bool = False

    def is_in(self, wanted: frozenset[str]) -> Truth4:
        """Return how certain it is that the field has one of the wanted values."""
        if self.values <= wanted:
            return TRUE
        if self.values.isdisjoint(wanted):
            return FALSE
        return MISSING if self.missing else ALLOWED

    def text(self) -> str:
        """Return the values for people, in a fixed order."""
        return " or ".join(sorted(self.values))


def known(value: str) -> Possible:
    """Return the set that holds exactly this value."""
    return Possible(frozenset((value,)))


def unknown(field: EnumField) -> Possible:
    """Return every value the field can have, for want of data."""
    return Possible(frozenset(field.values), len(field.values) > 1)


def absent(field: EnumField) -> Possible:
    """Return what the field of a handle without a living object stands for.

    Several absent values (dead, or never born) differ in nothing a rule may ask, so the set is
    not marked as lacking data.
    """
    return Possible(field.absent) if field.absent else known(field.initial)
