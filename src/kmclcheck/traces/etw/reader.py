"""Reads any stream of Windows events as events of ours, by a mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kmclcheck.diagnostics import Diagnostic, Level
from kmclcheck.model.event import End, Event, Loss, Start, TraceInfo
from kmclcheck.traces.base import Item, TraceReader
from kmclcheck.traces.etw.mapping import Mapping, Marker
from kmclcheck.traces.etw.record import Record
from kmclcheck.traces.order import in_sequence
from kmclcheck.traces.records import declare

NAMES_KEPT = 1000
OTHERS = "(others)"
HEAD = 16384
"""How many records of the library may come before the first event of a driver, which tells the start."""

Source = Iterator[Record | Loss]


class EtwReader(TraceReader):
    """Maps records as they come. ``unmapped`` counts those that no rule of the mapping fits, by label.

    ``records`` yields records in the order in which they are to be read, and losses at their places; it
    may set ``info.lost_anywhere`` at any time. ``position`` tells how many bytes were read so far.

    Events of the library about objects that have no handle are no driver's: a driver's load does not tell
    when they begin.

    A session counts what it lost of all its providers. As long as every event is numbered, the numbers show
    where those of the drivers are missing, and nothing else has to be doubted but the end.
    """

    def __init__(
        self, info: TraceInfo, mapping: Mapping, records: Source, position: Callable[[], int]
    ) -> None:
        super().__init__(info)
        self._mapping = mapping
        self._position = position
        # Drivers seen: whether each was seen from its load on, and whether it is gone by now.
        self._known: dict[str, bool] = {}
        self._gone: dict[str, End] = {}
        # A driver that is loaded anew counts anew; added to its numbers they go on.
        self._base: dict[str, int] = {}
        self._last: dict[str, int] = {}
        # Losses at an unknown place, held back while all events are numbered.
        self._held: list[Loss] = []
        self._numbered = True
        self._whole: set[str] = set()
        self._begun = False
        items = self._items(records)
        # The header of a trace like this is what comes before the first event of a driver.
        self._head: list[Item] = []
        for item in items:
            self._head.append(item)
            if self._known or len(self._head) >= HEAD:
                break
        self._begun = True
        if self._held and self._known:
            info.lost_anywhere = False
        self._stream = in_sequence(self._all(items), self.report, info.path)

    @property
    def bytes_read(self) -> int:
        return self._position()

    def __iter__(self) -> Iterator[Item]:
        return self._stream

    def _all(self, rest: Iterator[Item]) -> Iterator[Item]:
        yield from self._head
        self._head.clear()
        yield from rest

    def _items(self, records: Source) -> Iterator[Item]:
        mapping = self._mapping
        for record in records:
            if isinstance(record, Loss):
                if record.anywhere and self._numbered:
                    self._held.append(record)
                else:
                    self.info.lost_anywhere |= record.anywhere
                    yield record
                continue
            if record.damaged and mapping.concerns(record):
                yield self._damaged(record)
                continue
            made = mapping.map(record)
            if made is not None and not (self._known or self._begun) and mapping.used is not None:
                declare(self.info, mapping.used.records)
            if isinstance(made, Event) and made.seq is None and self._numbered:
                yield from self._doubt()
            if isinstance(made, Event) and mapping.used is not None and mapping.used.keys:
                yield made
            elif isinstance(made, Event):
                if made.endpoint not in self._known and (loss := self._unannounced(made)) is not None:
                    yield loss
                if made.seq is not None:
                    made.seq += self._base.get(made.endpoint, 0)
                    self._last[made.endpoint] = max(made.seq, self._last.get(made.endpoint, 0))
                if self._gone and self._gone.pop(made.endpoint, None) is not None:
                    self._set_end()
                yield made
            elif made is None:
                self._count(record.label)
            elif made.lost:
                yield from self._doubt()
                yield Loss(reason="the driver's tracer says that it missed events", line=record.line)
            else:
                self._take(made)
        yield from self._late()

    def _doubt(self) -> Iterator[Loss]:
        """Give up counting on numbers: events without one may be missing anywhere."""
        self._numbered = False
        self.info.lost_anywhere |= bool(self._held)
        held, self._held = self._held, []
        yield from held

    def _late(self) -> Iterator[Loss]:
        """Say what held losses come to: nothing, or that the last events of a driver may be missing."""
        if not self._held:
            return
        if not self._known:
            yield from self._doubt()
            return
        self.info.lost_anywhere = False
        whole = all(self._whole_to_the_end(endpoint) for endpoint in self._known)
        shown = "; ".join(dict.fromkeys(loss.reason for loss in self._held))
        what = "the numbers of the events show that no event of a driver is among them, save for gaps"
        if not whole:
            what = "the numbers of the events show which are a driver's, but not at the end"
            yield Loss(None, False, f"{shown}, perhaps after the last event of a driver")
        self.report(Diagnostic(Level.WARNING, f"{self.info.path}: {shown}; {what}"))

    def _whole_to_the_end(self, endpoint: str) -> bool:
        return endpoint in self._whole and endpoint in self._gone

    def _damaged(self, record: Record) -> Loss:
        """Report a record that may be one of ours and cannot be read."""
        reason = f"{record.label} could not be decoded: {record.damaged}"
        self.report(Diagnostic(Level.WARNING, f"{self.info.path}: byte {record.offset}: {reason}"))
        return Loss(1, False, reason, record.line)

    def _unannounced(self, event: Event) -> Loss | None:
        """Enter a driver whose load was not seen; what it did before is missing."""
        first = not self._known
        self._known[event.endpoint] = False
        if first or self.info.start is not Start.KNOWN:
            return None
        who = f"driver {event.endpoint!r}" if event.endpoint else "a driver"
        return Loss(reason=f"{who} was running before the capture began", line=event.line)

    def _take(self, marker: Marker) -> None:
        if marker.start:
            if not (self._known or self._begun):
                self.info.start, self.info.start_of = Start.KNOWN, frozenset({marker.endpoint})
            self._known.setdefault(marker.endpoint, True)
            self._base[marker.endpoint] = self._last.get(marker.endpoint, 0)
            self._gone.pop(marker.endpoint, None)
            self._whole.discard(marker.endpoint)
        if marker.end is not None:
            self._gone[marker.endpoint] = marker.end
            following = None if marker.seq is None else marker.seq + self._base.get(marker.endpoint, 0)
            if following == self._last.get(marker.endpoint, 0) + 1:
                self._whole.add(marker.endpoint)
        self._set_end()

    def _set_end(self) -> None:
        """The trace ends well if every driver that was seen came to its end."""
        ends = {self._gone.get(endpoint, End.STOPPED) for endpoint in self._known}
        self.info.end = ends.pop() if len(ends) == 1 else End.STOPPED

    def _count(self, label: str) -> None:
        if label not in self.unmapped and len(self.unmapped) >= NAMES_KEPT:
            label = OTHERS
        self.unmapped[label] += 1
