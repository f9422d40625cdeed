"""Puts the records of all CPUs into the order of time.

The buffers of one CPU follow each other, but in the file they stand as they were written, which is in no
order across CPUs: the first buffer of an idle CPU may be the last of the file. So the file is read at one
place for each CPU, and of every CPU two buffers are held.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

from kmclcheck.traces.etw.etl.buffers import BufferHead, Queue, contents, expected_size, read_head
from kmclcheck.traces.etw.etl.header import BUFFER_HEADER
from kmclcheck.traces.etw.etl.input import RandomInput
from kmclcheck.traces.etw.etl.records import PLACE_BITS, scan

# Who is interrupted between taking the time and taking room in the buffer writes later than those who came in
# between, perhaps into the next buffer. So one more buffer is looked at, and those that overlap are sorted
# together: so many at most.
MAX_OVERLAP = 4
# Expanded bytes of all open buffers together: in proportion to the file, and never more than the last.
MIN_OPEN, OPEN_PER_BYTE, MAX_OPEN = 1 << 20, 16, 512 << 20
Report = Callable[[str, int], None]


@dataclass(slots=True)
class Opened:
    """Buffers of a CPU that are read together, and the records in them as ``scan`` gives them."""

    data: bytes
    entries: list[int]
    # Where each buffer begins in ``data``, and its header.
    parts: list[tuple[int, BufferHead]]

    @property
    def first(self) -> int:
        """The time of the first record."""
        return self.entries[0] >> PLACE_BITS

    @property
    def last(self) -> int:
        """The time of the last record."""
        return self.entries[-1] >> PLACE_BITS

    def places(self) -> Callable[[int], int]:
        """Return what tells where in the file a record stands; of a compressed buffer, where it begins."""
        if len(self.parts) == 1:
            head = self.parts[0][1]
            if head.compressed:
                return lambda place: head.offset
            return (head.offset + BUFFER_HEADER).__add__
        return self._place

    def append(self, more: Opened) -> None:
        """Take over the records of a buffer that overlaps with this one."""
        shift = len(self.data)
        self.data += more.data
        self.entries += [entry + shift for entry in more.entries]
        self.entries.sort()
        self.parts += [(begin + shift, head) for begin, head in more.parts]

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
        self._ahead: Opened | None = None
        self._last = 0
        self.at = 0
        self.opened = Opened(b"", [], [])

    def advance(self) -> bool:
        """Open the next buffers if those before are used up; say whether there is another record."""
        while self.at >= len(self.opened.entries):
            self._merge.closed(self.opened)
            self.opened = Opened(b"", [], [])
            self.at = 0
            if self._ahead is None and self._next >= len(self._queue.offsets):
                return False
            self._open()
        return True

    def last_time(self) -> int | None:
        """Return the time of the last record of the last buffer; nothing is kept open."""
        offset, first = self._queue.offsets[-1], self._queue.firsts[-1]
        found = self._merge.load(offset, first, quiet=True)
        return found.last if found.entries else None

    def _open(self) -> None:
        opened, self._ahead = self._ahead or self._load(), None
        while self._next < len(self._queue.offsets):
            ahead = self._load()
            if not ahead.entries:
                self._merge.closed(ahead)
                continue
            if not opened.entries:
                self._merge.closed(opened)
                opened = ahead
                continue
            if len(opened.parts) >= MAX_OVERLAP or ahead.first >= opened.last:
                self._ahead = ahead
                break
            opened.append(ahead)
        if opened.entries:
            if opened.first < self._last:
                self._merge.damage("records are too far from the order of time", opened.parts[0][1].offset)
            self._last = opened.last
        self.opened = opened

    def _load(self) -> Opened:
        self._next += 1
        return self._merge.load(self._queue.offsets[self._next - 1], self._queue.firsts[self._next - 1])


class Merge:
    """Merges the streams of all CPUs. ``done`` counts bytes of the file that were taken."""

    def __init__(self, data: RandomInput, queues: dict[int, Queue], report: Report) -> None:
        self._data = data
        self._report = report
        self._open_bytes = 0
        self._limit = min(MIN_OPEN + OPEN_PER_BYTE * data.size, MAX_OPEN)
        self.done = 0
        self.damages = 0
        self.streams = [
            CpuStream(self, cpu if cpu >= 0 else None, queue) for cpu, queue in sorted(queues.items())
        ]

    def runs(self) -> Iterator[tuple[CpuStream, int, int]]:
        """Give the records in order, as (stream, from, to) in the entries of the stream's open buffer."""
        heap = [
            (stream.opened.entries[0], number)
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
                stop = max(bisect_right(entries, limit, begin, end), begin + 1)
            else:
                stop = end
            stream.at = stop
            yield stream, begin, stop
            if stream.advance():
                heapreplace(heap, (stream.opened.entries[stream.at], number))
            else:
                heappop(heap)

    def load(self, offset: int, first: int, quiet: bool = False) -> Opened:
        """Read the buffer at a place. What is damaged in it is reported and counted."""
        raw = self._data.at(offset, BUFFER_HEADER)
        head = read_head(raw, offset)
        if head is None:
            # Only if the file changed since its index was made, or this is the buffer of the header.
            self.damage("the header of a buffer makes no sense", offset, quiet)
            return Opened(b"", [], [])
        size = head.filled if not head.compressed else head.size
        body = self._data.at(offset + BUFFER_HEADER, size - BUFFER_HEADER)
        room = self._limit - self._open_bytes
        if expected_size(head, len(body)) > room:
            self.damage("too many large buffers are open at the same time", offset, quiet)
            return Opened(b"", [], [])

        def damaged(why: str, at: int) -> None:
            self.damage(why, at, quiet)

        data = contents(head, body, damaged)
        found = scan(data, first)
        if found.broken is not None and not self._is_cut(head, body):
            place, why = found.broken
            self.damage(why, offset if head.compressed else offset + BUFFER_HEADER + place, quiet)
        entries = found.entries
        entries.sort()  # they nearly always are in order
        if not quiet:
            self._open_bytes += len(data)
            self.done += head.size
        return Opened(data, entries, [(0, head)])

    def closed(self, opened: Opened) -> None:
        """Note that buffers are no longer held."""
        self._open_bytes -= len(opened.data)

    def damage(self, why: str, offset: int, quiet: bool = False) -> None:
        """Report what makes the trace doubtful from an unknown place on."""
        if not quiet:
            self.damages += 1
            self._report(why, offset)

    def _is_cut(self, head: BufferHead, body: bytes) -> bool:
        """Say whether a buffer ends with the file, which is told once for the file."""
        return len(body) < (head.filled if not head.compressed else head.size) - BUFFER_HEADER
