"""Finds the buffers of a log, and what is missing of them."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct

from kmclcheck.traces.etw.etl.header import BUFFER_HEADER, COMPRESSED_MODE, LogHeader
from kmclcheck.traces.etw.etl.input import RandomInput
from kmclcheck.traces.etw.etl.lzxpress import CompressionError, expand
from kmclcheck.traces.etw.etl.records import first_time

_BUFFER = Struct("<I12xQQ8xHHIIHH")
EVENTS_LOST, BUFFER_LOST, WIDE_CPU, COMPRESSED = 0x2, 0x4, 0x20, 0x40
# The largest a session can ask for is 16 MB.
MAX_BUFFER = 16 << 20
MIN_STRIDE = 1024
# Real buffers shrink to a third or a tenth, and further if long descriptions repeat themselves.
MAX_EXPANSION = 128
# So much of a compressed buffer is enough to see the time of its first record.
_PREVIEW, _PREVIEW_EXPANDED = 160, 64


@dataclass(frozen=True, slots=True)
class BufferHead:
    """The header of a buffer: its size in the file, and how many bytes it holds when expanded."""

    offset: int
    size: int
    flushed: int
    sequence: int
    cpu: int
    filled: int
    flags: int

    @property
    def compressed(self) -> bool:
        return bool(self.flags & COMPRESSED)


def read_head(data: bytes, offset: int) -> BufferHead | None:
    """Return the header of the buffer that begins with ``data``, or ``None`` if it cannot be one."""
    if len(data) < BUFFER_HEADER:
        return None
    size, flushed, sequence, cpu, _, _, filled, flags, _ = _BUFFER.unpack_from(data)
    head = BufferHead(offset, size, flushed, sequence, cpu if flags & WIDE_CPU else cpu & 0xFF, filled, flags)
    if not BUFFER_HEADER <= size <= MAX_BUFFER or not BUFFER_HEADER <= filled <= MAX_BUFFER:
        return None
    return head if head.compressed or filled <= size else None


def expected_size(head: BufferHead, size: int) -> int:
    """Return how many bytes a buffer holds at most, of which ``size`` bytes follow its header in the file."""
    return min(head.filled - BUFFER_HEADER, MAX_EXPANSION * size if head.compressed else size)


def contents(head: BufferHead, data: bytes, report: Callable[[str, int], None] | None = None) -> bytes:
    """Return what a buffer holds, from its bytes after the header; what is damaged is reported."""
    size = head.filled - BUFFER_HEADER
    if not head.compressed:
        return data[:size]
    try:
        found = expand(data, expected_size(head, len(data)))
    except CompressionError as error:
        found = error.whole
        if report is not None:
            report(f"a compressed buffer is damaged: {error}", head.offset)
        return found
    if len(found) < size and report is not None:
        why = f"a compressed buffer holds {len(found)} bytes, not {size} as it says"
        report(why, head.offset)
    return found


@dataclass(slots=True)
class Queue:
    """The buffers of one CPU in the order of their first records: places in the file, and raw times."""

    offsets: array[int] = field(default_factory=lambda: array("Q"))
    firsts: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, offset: int, first: int) -> None:
        self.offsets.append(offset)
        self.firsts.append(first)

    def sort(self) -> None:
        """Put the buffers in order; they nearly always are."""
        firsts = self.firsts
        if any(firsts[i] > firsts[i + 1] for i in range(len(firsts) - 1)):
            order = sorted(range(len(firsts)), key=firsts.__getitem__)
            self.offsets = array("Q", (self.offsets[i] for i in order))
            self.firsts = array("Q", (firsts[i] for i in order))


@dataclass(slots=True)
class Index:
    """Where everything lies, and what is known to be missing.

    ``missing`` counts buffers by the gaps in their numbers, ``earlier`` those before the first that is
    left, and ``oldest`` is the earliest moment at which a buffer was written. ``cut`` is the place from which
    on the file could not be read, with the reason.
    """

    queues: dict[int, Queue] = field(default_factory=dict)
    count: int = 0
    missing: int = 0
    earlier: int = 0
    oldest: int = 0
    flagged: int = 0
    damaged: int = 0
    cut: tuple[int, str] | None = None


class Indexer:
    """Walks over the headers of all buffers once."""

    def __init__(self, data: RandomInput, header: LogHeader, report: Callable[[str, int], None]) -> None:
        self._data = data
        self._header = header
        self._report = report
        self._index = Index()
        self._numbers: tuple[int, int] | None = None  # lowest and highest number of a buffer
        self._numbered = 0
        self._compressed = bool(header.mode & COMPRESSED_MODE)

    def run(self, first: BufferHead) -> Index:
        """Return the index of all buffers, of which the first is known."""
        index = self._index
        offset, size = 0, self._data.size
        while offset < size:
            piece = self._data.at(offset, BUFFER_HEADER + _PREVIEW)
            head = first if not offset else read_head(piece, offset)
            if head is None:
                stride = self._unreadable(piece, offset)
                if not stride:
                    break
                offset += stride
                continue
            end = offset + head.size
            if end > size and (index.cut is None):
                index.cut = offset, "the file ends inside a buffer"
            self._enter(head, piece[BUFFER_HEADER:])
            offset = end
        for queue in index.queues.values():
            queue.sort()
        if self._numbers is not None:
            low, high = self._numbers
            index.missing = max(high - low + 1 - self._numbered, 0)
            index.earlier = max(low - 1, 0)
        return index

    def _enter(self, head: BufferHead, preview: bytes) -> None:
        index = self._index
        index.count += 1
        index.flagged += bool(head.flags & (EVENTS_LOST | BUFFER_LOST))
        if head.compressed:
            self._compressed = True
            try:
                preview = expand(preview, _PREVIEW_EXPANDED)
            except CompressionError as error:
                preview = error.whole
        cpu = -1 if self._header.one_queue else head.cpu
        queue = index.queues.get(cpu)
        if queue is None:
            queue = index.queues[cpu] = Queue()
        first = first_time(preview[: head.filled - BUFFER_HEADER])
        if first is None:
            # Records without a time stay where they stand.
            first = queue.firsts[-1] if queue.firsts else self._header.origin
        queue.add(head.offset, first)
        if head.offset:
            number = head.sequence
            low, high = self._numbers or (number, number)
            self._numbers = min(low, number), max(high, number)
            self._numbered += 1
            index.oldest = min(index.oldest, head.flushed) if index.oldest else head.flushed

    def _unreadable(self, piece: bytes, offset: int) -> int:
        """Note a buffer whose header makes no sense; return how far the next one is, 0 if nobody knows."""
        index, header = self._index, self._header
        if len(piece) < BUFFER_HEADER:
            index.cut = offset, "the file ends inside the header of a buffer"
            return 0
        if not any(piece) and header.buffers and index.count >= header.buffers:
            return 0  # a file that was made in its full size beforehand
        stride = header.buffer_size
        if self._compressed or not MIN_STRIDE <= stride <= MAX_BUFFER:
            index.cut = offset, "the header of a buffer makes no sense"
            return 0
        if not any(piece):
            index.cut = index.cut or (offset, "the file holds an empty place instead of a buffer")
        else:
            self._report("the header of a buffer makes no sense; the buffer is left out", offset)
        index.damaged += 1
        return stride
