"""Puts the records of all CPUs into the order of time.

The buffers of one CPU follow each other, but in the file they stand as they were written, which is in no
order across CPUs: the first buffer of an idle CPU may be the last of the file. So the file is read at one
place for each CPU, and of every CPU one buffer is held.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

from kmclcheck.traces.etw.etl.buffers import BufferHead, Queue, contents, read_head
from kmclcheck.traces.etw.etl.header import BUFFER_HEADER
from kmclcheck.traces.etw.etl.input import RandomInput
from kmclcheck.traces.etw.etl.records import scan

# A record that was interrupted while being written can be later in time than the first of the next buffer,
# so buffers that overlap are sorted together: so many at most.
MAX_OVERLAP = 4
# Bytes of all open buffers together: at least this, more if the file is large.
MIN_OPEN, OPEN_PER_BYTE = 64 << 20, 4
BROKEN = -1
Report = Callable[[str, int], None]


@dataclass(slots=True)
class Opened:
    """Buffers of a CPU that are read together. Entries are (raw time, place in ``data``)."""

    data: bytes
    entries: list[tuple[int, int]]
    # Where each buffer begins in ``data``, and its header.
    parts: list[tuple[int, BufferHead]]

    def places(self) -> Callable[[int], int]:
        """Return what tells where in the file a record stands; of a compressed buffer, where it begins."""
        if len(self.parts) == 1:
            head = self.parts[0][1]
            if head.compressed:
                return lambda place: head.offset
            return (head.offset + BUFFER_HEADER).__add__
        return self._place

    def _place(self, place: int) -> int:
        begin, head = next(part for part in reversed(self.parts) if part[0] <= place)
        return head.offset if head.compressed else head.offset + BUFFER_HEADER + place - begin


class CpuStream:
    """The records of one CPU in order, buffer by buffer."""

    def __init__(self, merge: Merge, cpu: int | None, queue: Queue) -> None:
        self.cpu = cpu
        self._merge = merge
        self._queue = queue
        self._next = 0
        self.at = 0
        self.opened = Opened(b"", [], [])

    def advance(self) -> bool:
        """Open the next buffers if those before are used up; say whether there is another record."""
        while self.at >= len(self.opened.entries):
            self._merge.closed(self.opened)
            self.opened = Opened(b"", [], [])
            self.at = 0
            if self._next >= len(self._queue.offsets):
                return False
            self._open()
        return True

    def last_time(self) -> int | None:
        """Return the time of the last record of the last buffer; nothing is kept open."""
        offset, first = self._queue.offsets[-1], self._queue.firsts[-1]
        found = self._merge.load(offset, first, quiet=True)
        return max((time for time, _ in found.entries), default=None)

    def _open(self) -> None:
        queue = self._queue
        opened = self._merge.load(queue.offsets[self._next], queue.firsts[self._next])
        self._next += 1
        while (
            opened.entries
            and self._next < len(queue.offsets)
            and len(opened.parts) < MAX_OVERLAP
            and queue.firsts[self._next] < opened.entries[-1][0]
        ):
            more = self._merge.load(queue.offsets[self._next], queue.firsts[self._next])
            self._next += 1
            shift = len(opened.data)
            opened.data += more.data
            opened.entries += [(t, p + shift) for t, p in more.entries]
            opened.entries.sort(key=_time)
            opened.parts += [(begin + shift, head) for begin, head in more.parts]
        self.opened = opened


def _time(entry: tuple[int, int]) -> int:
    return entry[0]


class Merge:
    """Merges the streams of all CPUs. ``done`` counts bytes of the file that were taken."""

    def __init__(self, data: RandomInput, queues: dict[int, Queue], report: Report) -> None:
        self._data = data
        self._report = report
        self._open_bytes = 0
        self._limit = max(MIN_OPEN, OPEN_PER_BYTE * data.size)
        self.done = 0
        self.lost_buffers = 0
        self.streams = [
            CpuStream(self, cpu if cpu >= 0 else None, queue) for cpu, queue in sorted(queues.items())
        ]

    def runs(self) -> Iterator[tuple[CpuStream, int, int]]:
        """Give the records in order, as (stream, from, to) in the entries of the stream's open buffer."""
        heap = [
            (stream.opened.entries[0][0], number)
            for number, stream in enumerate(self.streams)
            if stream.advance()
        ]
        heapify(heap)
        while heap:
            _, number = heap[0]
            stream = self.streams[number]
            entries = stream.opened.entries
            begin, end = stream.at, len(entries)
            # As long as no other CPU has an earlier record, there is no need to compare.
            if len(heap) > 1:
                limit = min(heap[1:3])[0]
                stop = max(bisect_right(entries, limit, begin, end, key=_time), begin + 1)
            else:
                stop = end
            stream.at = stop
            yield stream, begin, stop
            if stream.advance():
                heapreplace(heap, (stream.opened.entries[stream.at][0], number))
            else:
                heappop(heap)

    def load(self, offset: int, first: int, quiet: bool = False) -> Opened:
        """Read the buffer at a place. What is damaged in it is reported and counted."""
        raw = self._data.at(offset, BUFFER_HEADER)
        head = read_head(raw, offset)
        if head is None:
            # Only if the file changed since its index was made, or this is the buffer of the header.
            self._damage("the header of a buffer makes no sense", offset, quiet)
            return Opened(b"", [], [])
        size = head.filled if not head.compressed else head.size
        body = self._data.at(offset + BUFFER_HEADER, size - BUFFER_HEADER)
        room = self._limit - self._open_bytes
        if head.filled > room:
            self._damage("too many large buffers are open at the same time", offset, quiet)
            return Opened(b"", [], [])

        def damaged(why: str, at: int) -> None:
            self._damage(why, at, quiet)

        data = contents(head, body, damaged)
        found = scan(data, first)
        if found.broken is not None and not self._is_cut(head, body):
            place, why = found.broken
            self._damage(why, offset if head.compressed else offset + BUFFER_HEADER + place, quiet)
        entries = found.entries
        if any(entries[i][0] > entries[i + 1][0] for i in range(len(entries) - 1)):
            entries.sort(key=_time)
        if not quiet:
            self._open_bytes += len(data)
            self.done += head.size
        return Opened(data, entries, [(0, head)])

    def closed(self, opened: Opened) -> None:
        """Note that buffers are no longer held."""
        self._open_bytes -= len(opened.data)

    def _damage(self, why: str, offset: int, quiet: bool) -> None:
        if not quiet:
            self.lost_buffers += 1
            self._report(why, offset)

    def _is_cut(self, head: BufferHead, body: bytes) -> bool:
        """Say whether a buffer ends with the file, which is told once for the file."""
        return len(body) < (head.filled if not head.compressed else head.size) - BUFFER_HEADER
