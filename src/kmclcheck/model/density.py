"""How the events of a trace lie over its length, counted in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field

BINS = 512


@dataclass(slots=True)
class Density:
    """Counts of events in equal bins, from ``start``, each ``width`` wide.

    Positions are times in nanoseconds if the first event has one (``timed``), else record numbers. The
    bins grow wider as the trace goes on, so their number never passes ``BINS``. What comes before the
    start, or has no position, is counted where the last one was.
    """

    timed: bool = True
    start: int | None = None
    width: int = 1
    counts: list[int] = field(default_factory=lambda: [0] * BINS)
    last: int = 0

    def add(self, time: int | None, line: int) -> None:
        """Count an event."""
        if self.start is None:
            self.timed = time is not None
            self.start = line if time is None else time
        at = time if self.timed else line
        if at is None or at < self.start:
            at = self.start + self.last * self.width
        place = (at - self.start) // self.width
        while place >= BINS:
            self._widen()
            place = (at - self.start) // self.width
        self.counts[place] += 1
        self.last = place

    def place(self, time: int | None, line: int) -> int | None:
        """Return the bin of a position, or ``None`` if it is not known or lies outside."""
        at = time if self.timed else line
        if at is None or self.start is None:
            return None
        place = (at - self.start) // self.width
        return place if 0 <= place < BINS else None

    def used(self) -> int:
        """Return how many bins it takes to hold every event."""
        return max((at + 1 for at, count in enumerate(self.counts) if count), default=0)

    def _widen(self) -> None:
        pairs = [self.counts[i] + self.counts[i + 1] for i in range(0, BINS, 2)]
        self.counts = pairs + [0] * (BINS - len(pairs))
        self.width *= 2
        self.last //= 2
