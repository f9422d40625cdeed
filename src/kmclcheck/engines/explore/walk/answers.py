"""What is known of a condition: under which readings of the trace and of the documents it holds.

A reading settles what is not known. There are three, each easier to satisfy than the one before: SURELY
(whatever the documents leave open and whatever data is missing, the condition holds), KEPT (it holds
whatever the missing data is, if the documents are read in its favour) and POSSIBLY (it may hold at all). An
answer is the set of readings under which a condition holds, as bits; "and" is the intersection, "or" the
union.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

POSSIBLY, KEPT, SURELY = 1, 2, 4
Answer = int

NO: Answer = 0
LACKING: Answer = POSSIBLY
EITHER: Answer = POSSIBLY | KEPT
YES: Answer = POSSIBLY | KEPT | SURELY

_OPPOSITE = {NO: YES, LACKING: LACKING, EITHER: EITHER, YES: NO}


def opposite(answer: Answer) -> Answer:
    """Return the answer for the negation of a fact."""
    return _OPPOSITE[answer]


def of(fact: bool | None) -> Answer:
    """Return the answer for a plain fact; ``None`` if the trace does not tell it."""
    if fact is None:
        return LACKING
    return YES if fact else NO


def any_of(answers: Iterable[Answer]) -> Answer:
    """Return the answer for "at least one holds"."""
    found = NO
    for answer in answers:
        found |= answer
    return found


def all_of(answers: Iterable[Answer]) -> Answer:
    """Return the answer for "all of them hold"."""
    found = YES
    for answer in answers:
        found &= answer
    return found


@dataclass(frozen=True, slots=True)
class Nodes:
    """Nodes of a graph where an object may be. ``lacking``: more data would have told them apart."""

    values: frozenset[str]
    lacking: bool = False

    def within(self, wanted: frozenset[str]) -> Answer:
        """Return whether the object is in one of the wanted nodes."""
        if self.values <= wanted:
            return YES
        if not self.values & wanted:
            return NO
        return LACKING if self.lacking else EITHER


def at(value: str) -> Nodes:
    """Return exactly this node."""
    return Nodes(frozenset((value,)))


def perhaps_also(now: Nodes, others: frozenset[str]) -> Nodes:
    """Return the nodes together with others that, for want of data, cannot be excluded."""
    return now if others <= now.values else Nodes(now.values | others, True)


class Unassigned:
    """The value of a number field that no event has assigned since the object was born."""

    def __repr__(self) -> str:
        return "unassigned"


UNASSIGNED = Unassigned()
Value = int | Unassigned | None
"""A number, not assigned yet, or (``None``) not known."""
