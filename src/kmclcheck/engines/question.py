"""What an engine that looks for shortest traces is asked, and what it answers. Engines share nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kmclcheck.model.event import End, Event
from kmclcheck.model.spec import Spec


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is looked at: threads, calls inside one another, objects of each kind.

    ``unseen``: traces may leave out the callbacks of an object that never shows any. Such a trace is shorter
    and says less: what went unseen may excuse the fault, so the monitor rejects some of them.
    """

    threads: int = 2
    depth: int = 3
    objects: tuple[tuple[str, int], ...] = ()
    others: int = 1
    unseen: bool = False

    def text(self) -> str:
        """Return the limits for people."""
        kinds = ", ".join(f"{number} of {kind}" for kind, number in self.objects)
        return (
            f"{self.threads} threads, {self.depth} calls inside one another, "
            f"{self.others} of each kind of object"
            + (f" ({kinds})" if kinds else "")
            + (", callbacks may go unseen" if self.unseen else "")
        )


@dataclass(frozen=True, slots=True)
class Records:
    """An answer: records in order and how the trace ends. ``origin`` is for the engine that found them."""

    events: tuple[Event, ...]
    end: End
    seconds: float
    origin: object = None


@dataclass(frozen=True, slots=True)
class Bound:
    """No answer has ``length`` records or fewer; ``exhausted``: there is none within the limits at all."""

    length: int
    exhausted: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Question:
    """Break ``rule`` and none of ``others``; rules of ``candidates`` may be taken into account besides.

    ``witness``: judge the rule and break nothing instead, with as little difference to ``near`` as can be.
    """

    rule: str
    others: frozenset[str] = frozenset()
    candidates: frozenset[str] = frozenset()
    witness: bool = False
    near: Records | None = None


Finder = Callable[[Spec, Question, Limits, float], "Records | Bound"]
