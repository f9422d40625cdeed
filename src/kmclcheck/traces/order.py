"""Puts events into the order of their sequence numbers, and turns gaps into losses.

Tracers with a buffer per CPU write slightly out of order, so a gap is first waited for: items
are held in a window, in which every place belongs to an endpoint (or to one fixed item) and is
filled with the lowest number of that endpoint. Endpoints keep their places relative to each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush

from kmclcheck.diagnostics import Diagnostic, Level, Span
from kmclcheck.model.event import Event, Loss
from kmclcheck.traces.base import Item

WINDOW = 1024
# Events held at the beginning, since the first one written need not have the lowest number.
START_WINDOW = 64
# A trace that is still being written is not kept waiting: its first event has the lowest number, and a gap
# is waited for only as long as this.
LIVE_WINDOW = 64


class _Window:
    def __init__(self, report: Callable[[Diagnostic], None], path: str, limit: int) -> None:
        self.expected: dict[str, int] = {}
        self.places: deque[Item | str] = deque()  # a str is the next event of that endpoint
        self._heaps: dict[str, list[tuple[int, int, Event]]] = {}
        self._report = report
        self._path = path
        self._limit = limit
        self._arrivals = 0
        # Events that losses just given account for; a gap of that size needs no second loss.
        self._credit = 0

    def add(self, item: Item) -> None:
        """Give the item a place at the end of the window."""
        if isinstance(item, Loss) or item.seq is None:
            self.places.append(item)
            return
        self._arrivals += 1
        heappush(self._heaps.setdefault(item.endpoint, []), (item.seq, self._arrivals, item))
        self.places.append(item.endpoint)

    def lose(self, loss: Loss) -> None:
        """Note a loss that went by outside the window."""
        self._credit += loss.count or 0

    def release(self, limit: int) -> Iterator[Item]:
        """Give what is in order; beyond ``limit`` held items, give up the oldest gap."""
        places = self.places
        while places:
            place = places[0]
            if not isinstance(place, str):
                places.popleft()
                if isinstance(place, Loss):
                    self.lose(place)
                else:
                    self._credit = 0
                yield place
                continue
            heap = self._heaps[place]
            seq, _, event = heap[0]
            expected = self.expected.get(place, seq)
            gap = seq - expected
            if gap > self._credit:
                if len(places) <= limit:
                    return
                numbers = f"{expected}..{seq - 1}" if gap > 1 else f"{expected}"
                verb = "are" if gap > 1 else "is"
                noun = "sequence numbers" if gap > 1 else "sequence number"
                yield Loss(gap, False, f"{noun} {numbers} {verb} missing", event.line)
            places.popleft()
            heappop(heap)
            self._credit = 0
            if gap < 0:
                yield self._late(event)
                continue
            self.expected[place] = seq + 1
            yield event

    def _late(self, event: Event) -> Loss:
        message = (
            f"sequence number {event.seq} stands twice, or more than {self._limit} events late; "
            "this event is left out"
        )
        self._report(Diagnostic(Level.WARNING, message, Span(self._path, event.line)))
        return Loss(1, False, f"sequence number {event.seq} stands twice", event.line)


def in_sequence(
    items: Iterable[Item], report: Callable[[Diagnostic], None], path: str = "-", live: bool = False
) -> Iterator[Item]:
    """Give the items in the order of their sequence numbers, which run by one per endpoint.

    Missing numbers become a Loss at their place once WINDOW items wait behind them or the stream
    ends. An event whose number was already passed is reported and replaced by a Loss. Events
    without a number keep their place. Holds at most WINDOW items, LIVE_WINDOW of a ``live`` trace.
    """
    limit, start = (LIVE_WINDOW, 1) if live else (WINDOW, START_WINDOW)
    window = _Window(report, path, limit)
    expected, places = window.expected, window.places
    started = False
    # The common case, the next number of the endpoint whose turn it was, at the least cost.
    latest: str | None = None
    awaited = -1
    for item in items:
        if type(item) is Event and item.seq == awaited and item.endpoint == latest:
            awaited += 1
            yield item
            continue
        if latest is not None:
            expected[latest] = awaited
            latest, awaited = None, -1
        if not places and started:
            if type(item) is Event:
                seq = item.seq
                if seq is None:
                    window._credit = 0
                    yield item
                    continue
                endpoint = item.endpoint
                if expected.get(endpoint, seq) == seq:
                    window._credit = 0
                    latest, awaited = endpoint, seq + 1
                    yield item
                    continue
            elif isinstance(item, Loss):
                window.lose(item)
                yield item
                continue
        window.add(item)
        if started:
            yield from window.release(limit)
        elif len(places) >= start or (isinstance(item, Event) and item.seq is None):
            started = True
            yield from window.release(limit)
    yield from window.release(0)
