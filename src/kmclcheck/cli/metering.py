"""Counts how the events of a trace lie over its length while an engine reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

from kmclcheck.cli.progress import Progress
from kmclcheck.model.density import Density
from kmclcheck.model.event import Event
from kmclcheck.model.finding import TraceResult
from kmclcheck.traces import TraceReader
from kmclcheck.traces.base import Item

Check = Callable[[TraceReader, Progress], TraceResult]


def metered(check: Check) -> Check:
    """Return a check that also gives its results a density."""

    def checked(reader: TraceReader, progress: Progress) -> TraceResult:
        meter = _Meter(reader)
        # All else that is asked of the reader goes to the one behind the meter.
        result = check(cast(TraceReader, meter), progress)
        result.density = meter.density
        return result

    return checked


class _Meter:
    def __init__(self, reader: TraceReader) -> None:
        self._reader = reader
        self.density = Density()

    def __getattr__(self, name: str) -> object:
        return getattr(self._reader, name)

    def __iter__(self) -> Iterator[Item]:
        add = self.density.add
        for item in self._reader:
            if type(item) is Event:
                add(item.time, item.line)
            yield item
