"""A trace of any length that takes no memory, to see how much whoever reads it needs."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

from kmclcheck.traces import TraceReader, read_text
from kmclcheck.traces.base import Item


class Endless(TraceReader):
    """The items of a trace again and again."""

    bytes_read = 0

    def __init__(self, text: str, rounds: int) -> None:
        first = read_text(text)
        super().__init__(first.info)
        self._items = list(first)
        self._rounds = rounds

    def __iter__(self) -> Iterator[Item]:
        for _ in range(self._rounds):
            yield from self._items


def peak(work: Callable[[], object]) -> int:
    """Return how many bytes were held at most while something was done."""
    tracemalloc.start()
    work()
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used
