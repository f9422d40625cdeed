"""What could not be read, gathered until something can be: broken input may be long, and is one loss."""

from __future__ import annotations

from collections.abc import Iterator

from kmclcheck.model.event import Loss


class Damage:
    """Consecutive pieces of a trace that could not be read."""

    def __init__(self) -> None:
        self._pieces = 0
        self._count: int | None = 0
        self._line = 0
        self._reason = ""

    def add(self, reason: str, line: int, count: int | None = 1) -> None:
        """Note a piece that may have held ``count`` events, any number if that is ``None``."""
        if not self._pieces:
            self._line, self._reason = line, reason
        self._pieces += 1
        self._count = None if count is None or self._count is None else self._count + count

    def take(self) -> Iterator[Loss]:
        """Give what was gathered since the last time, as one loss or none."""
        if self._pieces:
            more = f", and {self._pieces - 1} more" if self._pieces > 1 else ""
            yield Loss(self._count, False, self._reason + more, self._line)
            self._pieces, self._count = 0, 0
