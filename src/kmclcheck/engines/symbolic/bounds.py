"""How much the symbolic engine looks at, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass

from kmclcheck.model.event import End, Event


class OutOfBudgetError(Exception):
    """The solver gave up, or the time was used up: nothing was found and nothing was proved.

    ``proved``: no counterexample has this many records or fewer.
    """

    def __init__(self, proved: int, why: str) -> None:
        super().__init__(why)
        self.proved = proved


class UnsupportedError(Exception):
    """The specification asks for something that the symbolic engine does not model."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Threads, calls inside one another, objects of each kind per parent, and records at most.

    A function is called only by code of the driver (outside every call, or in a callback) and a callback
    only by the library or from outside; with ``nested`` a thread may enter anything inside anything. With
    ``named`` objects and threads are those of a given trace: they come in any order, and a handle may come
    again for a new object.
    With ``unseen`` traces may leave out the callbacks of an object that never shows any.
    """

    threads: int = 2
    depth: int = 2
    objects: tuple[tuple[str, int], ...] = ()
    others: int = 1
    length: int = 40
    nested: bool = False
    named: bool = False
    unseen: bool = False

    def of(self, kind: str) -> int:
        """Return how many objects of a kind there may be, for each parent."""
        return dict(self.objects).get(kind, self.others)


@dataclass(frozen=True, slots=True)
class Found:
    """The shortest records, and how the trace ends. ``states``: fields of every object after each."""

    events: tuple[Event, ...]
    end: End
    states: tuple[dict[str, dict[str, str]], ...]
    seconds: float
    solver_seconds: float


@dataclass(frozen=True, slots=True)
class NoneWithin:
    """There is no counterexample of so many records or fewer."""

    length: int
    seconds: float
