"""What the monitor tells somebody who wants to know which lines of the machines were taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kmclcheck.model.spec import Transition
from kmclcheck.semantics.index import EventIndex
from kmclcheck.semantics.transition import Guard
from kmclcheck.semantics.truth import Possible

Fields = Mapping[str, Possible]


@dataclass(frozen=True, slots=True)
class Move:
    """One field of an object at an event: the lines that the event has for it, and what they come to."""

    kind: str
    field: str
    before: Possible
    lines: Sequence[Transition]
    guard: Guard
    after: Possible


class Watch(Protocol):
    """Is told what an event comes to when that is worked out, and how often it came to it later.

    The monitor works every combination of states and facts out once. Between two calls of ``marks`` it
    tells what one of them does; ``count`` says how often it was met. So a plain check pays nothing.
    """

    def moved(self, move: Move) -> None:
        """Note what the event does to one field of an object that it names, or of the parent of one."""

    def passed(self, kind: str, before: Fields, after: Fields) -> None:
        """Note the state of an object that the event names, as it finds it and as it leaves it."""

    def marks(self) -> tuple[int, ...]:
        """Return what was noted since the last call, as numbers of its own."""

    def count(self, index: EventIndex, marks: tuple[int, ...], times: int) -> None:
        """Enter how often an event came to this."""

    def other(self, move: Move, sure: bool) -> None:
        """Enter what an event does, once, to an object that it does not name.

        ``sure``: it certainly concerns this object.
        """
