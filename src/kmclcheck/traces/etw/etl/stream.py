"""A log from its first byte to its last record: header, index, order, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kmclcheck.diagnostics import Diagnostic, InputError, Level
from kmclcheck.model.event import Loss, TraceInfo
from kmclcheck.traces.base import ByteSource, input_error
from kmclcheck.traces.etw.etl.buffers import MAX_BUFFER, BufferHead, Index, Indexer, contents, read_head
from kmclcheck.traces.etw.etl.decode import RecordDecoder
from kmclcheck.traces.etw.etl.header import (
    BUFFER_HEADER,
    HEADER_NEEDED,
    HeaderError,
    LogHeader,
    read_header,
)
from kmclcheck.traces.etw.etl.input import RandomInput
from kmclcheck.traces.etw.etl.merge import Merge
from kmclcheck.traces.etw.etl.records import PLACE, PLACE_BITS
from kmclcheck.traces.etw.record import Record

_NS = 1_000_000_000


@dataclass(slots=True)
class Gaps:
    """What the file says is missing before a record of it is looked at.

    ``until`` and ``since`` are raw times: up to the one and from the other on, records may be missing
    between any two.
    """

    losses: list[Loss]
    until: int | None = None
    since: int | None = None
    early: str = ""
    late: str = ""


class EtlStream:
    """Reads a log. ``info`` learns clock and losses; problems are reported as they are found.

    ``concerns`` says of a record whether it may become an event of the trace: where records may be missing
    between any two, only those have a loss before them.
    """

    def __init__(
        self,
        source: ByteSource,
        info: TraceInfo,
        report: Callable[[Diagnostic], None],
        concerns: Callable[[Record], bool] = lambda record: True,
    ) -> None:
        self._concerns = concerns
        self._source = source
        self._info = info
        self._report = report
        self._merge: Merge | None = None
        self._decoder = RecordDecoder(self._tell)
        self._number = 0

    def position(self) -> int:
        """Return how many bytes of the file are done."""
        return self._merge.done if self._merge is not None else 0

    def records(self) -> Iterator[Record | Loss]:
        """Give records and losses in order.

        Raises InputError if this is no log, or if it holds WPP messages and nothing else.
        """
        data = RandomInput(self._source)
        try:
            first, header = self._begin(data)
            info = self._info
            info.window = header.resolution
            if header.doubt:
                self._tell(header.doubt)
            index = Indexer(data, header, self._tell_at).run(first)
            merge = self._merge = Merge(data, index.queues, self._tell_at)
            gaps = self._gaps(header, index, merge)
            info.lost_anywhere |= any(loss.anywhere for loss in gaps.losses)
            yield from gaps.losses
            yield from self._run(header, merge, gaps)
            if self._decoder.messages and not self._decoder.events:
                raise self._only_messages()
        finally:
            data.close()

    def _begin(self, data: RandomInput) -> tuple[BufferHead, LogHeader]:
        """Read the first buffer, which has to be whole up to the end of the log's header."""
        raw = data.at(0, BUFFER_HEADER)
        head = read_head(raw, 0)
        help = "is it an event trace log, and was it copied to its end?"
        if head is None:
            if len(raw) < BUFFER_HEADER:
                raise input_error(
                    "the file ends inside the header of its first buffer", self._info.path, help
                )
            # The header may still be whole; only where the next buffer begins has to come from elsewhere.
            raise input_error("the header of the first buffer makes no sense", self._info.path, help)
        body = data.at(BUFFER_HEADER, min(head.size, MAX_BUFFER) - BUFFER_HEADER)
        try:
            return head, read_header(contents(head, body)[:HEADER_NEEDED])
        except HeaderError as error:
            raise input_error(str(error), self._info.path, help) from None

    def _run(self, header: LogHeader, merge: Merge, gaps: Gaps) -> Iterator[Record | Loss]:
        decode = self._decoder.decode
        until = gaps.until if gaps.until is not None else -1
        since = gaps.since if gaps.since is not None else 1 << 64
        base: int | None = None
        frequency = header.frequency
        # Nearly every clock ticks a whole number of nanoseconds.
        tick = _NS // frequency if _NS % frequency == 0 else 0
        told = False
        for stream, begin, end in merge.runs():
            if merge.damages and not told:
                told = True
                yield self._damage()
            opened, cpu = stream.opened, stream.cpu
            data, entries = opened.data, opened.entries
            places = opened.places()
            if base is None:
                # A record may be older than the header's if the session was set up under its eyes.
                base = min(header.origin, entries[begin] >> PLACE_BITS)
            for entry in entries[begin:end]:
                raw, place = entry >> PLACE_BITS, entry & PLACE
                offset = places(place)
                if offset == BUFFER_HEADER:
                    continue  # the header itself
                time = (raw - base) * tick if tick else (raw - base) * _NS // frequency
                self._number += 1
                record = decode(data, place, time, cpu)
                record.line, record.offset = self._number, offset
                if (raw <= until or raw >= since) and self._concerns(record):
                    yield Loss(None, False, gaps.early if raw <= until else gaps.late, self._number)
                yield record
        if merge.damages and not told:
            yield self._damage()
        if gaps.late:
            yield Loss(None, False, gaps.late, self._number)

    def _damage(self) -> Loss:
        self._info.lost_anywhere = True
        return Loss(None, True, "a buffer is damaged or out of order", self._number)

    def _gaps(self, header: LogHeader, index: Index, merge: Merge) -> Gaps:
        gaps = Gaps([])
        lose = gaps.losses.append
        if header.events_lost:
            lose(Loss(header.events_lost, True, f"the session lost {header.events_lost} events"))
        if header.buffers_lost:
            lose(Loss(None, True, f"the session lost {header.buffers_lost} buffers"))
        if index.flagged and not gaps.losses:
            lose(Loss(None, True, f"{index.flagged} buffers are marked: events were lost before them"))
        if index.missing:
            lose(Loss(None, True, f"{index.missing} buffers are missing by their numbers"))
        if index.damaged:
            lose(Loss(None, True, f"{index.damaged} buffers have no readable header"))
        if index.earlier and header.keeps_the_newest:
            oldest = index.oldest
            gaps.until = header.raw(oldest) if oldest >= header.start_time else oldest
            gaps.early = f"{index.earlier} older buffers were overwritten"
        elif index.earlier:
            lose(Loss(None, True, f"the first {index.earlier} buffers are missing"))
        if index.cut is not None:
            offset, why = index.cut
            self._tell_at(f"{why}; what follows is lost", offset)
            gaps.late = why
        elif not header.buffers:
            gaps.late = "the session did not end well, so its last buffers were not written"
            self._tell(gaps.late)
        elif index.count < header.buffers and not header.keeps_the_newest:
            gaps.late = f"the file has {index.count} of {header.buffers} buffers"
            self._tell(f"{gaps.late}; it was not copied to its end")
        if gaps.late:
            gaps.since = self._reliable_until(header, merge)
            if gaps.since is None:
                lose(Loss(None, True, gaps.late))
        return gaps

    @staticmethod
    def _reliable_until(header: LogHeader, merge: Merge) -> int | None:
        """Return the raw time up to which no buffer can be missing at the end, if there is one.

        The missing records of a CPU are later than its last one that is there.
        """
        if not header.one_queue and len(merge.streams) < header.cpus:
            return None
        times = [stream.last_time() for stream in merge.streams]
        known = [time for time in times if time is not None]
        return min(known) if len(known) == len(times) else None

    def _only_messages(self) -> InputError:
        path = self._info.path
        shown = "IN.etl" if path == "-" else path
        return input_error(
            f"holds only WPP messages ({self._decoder.messages}), whose text stands in the driver's symbols",
            path,
            "turn them into text with tracefmt of the Windows Driver Kit, and check that: "
            f'tracefmt "{shown}" -i DRIVER.sys -r FOLDER_OF_ITS_PDB -o out.txt',
        )

    def _tell_at(self, why: str, offset: int) -> None:
        self._tell(f"byte {offset}: {why}")

    def _tell(self, message: str) -> None:
        self._report(Diagnostic(Level.WARNING, f"{self._info.path}: {message}"))
