"""How much a model holds, and what keeps one from being written."""

from __future__ import annotations

from dataclasses import dataclass


class UnsupportedError(Exception):
    """The specification asks for something that the models do not express.

    The message names the rule or invariant, or the machine, and the construct.
    """


@dataclass(frozen=True, slots=True)
class Bounds:
    """Threads, calls inside one another, and objects of each kind for each parent.

    ``unseen``: a channel may leave callback slots empty, so that its trace does not show these callbacks.
    """

    threads: int = 2
    depth: int = 3
    objects: tuple[tuple[str, int], ...] = ()
    others: int = 1
    unseen: bool = False

    def of(self, kind: str) -> int:
        """Return how many objects of a kind there may be, for each parent."""
        return dict(self.objects).get(kind, self.others)

    def text(self) -> str:
        """Return the bounds for people."""
        kinds = "".join(f", {number} of {kind}" for kind, number in self.objects)
        return (
            f"{self.threads} thread{'s' if self.threads > 1 else ''}, {self.depth} calls inside one another, "
            f"{self.others} of each kind of object for each parent{kinds}"
            + (", callbacks may go unseen" if self.unseen else "")
        )
