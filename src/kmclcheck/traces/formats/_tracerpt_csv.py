"""Reads CSV of tracerpt as records: columns, then user data without names."""

from __future__ import annotations

import re

from kmclcheck.diagnostics import Diagnostic, InputError, Level, Span
from kmclcheck.model.event import Loss, TraceInfo
from kmclcheck.traces.base import ByteSource, input_error, shown_line
from kmclcheck.traces.etw.clock import from_filetime, parse_time
from kmclcheck.traces.etw.record import Record
from kmclcheck.traces.etw.values import parse_hex
from kmclcheck.traces.formats._columns import MAX_COLUMNS, column_value, split_columns
from kmclcheck.traces.formats._damage import Damage
from kmclcheck.traces.formats._etw_text import Records, Report
from kmclcheck.traces.lines import MAX_LINE, TOO_LONG
from kmclcheck.traces.wide import read_text_lines

MAX_CPU = 0xFFFF
NOBODY = 0xFFFFFFFF
HEAD = re.compile(r"\s*Event Name *, *Type *,")
_LAST = "User Data"
_NEEDED = ("Event Name", "Type", "Clock-Time", _LAST)
_HELP = "write it anew: tracerpt LOG.etl -o LOG.csv -of CSV"
# Where the log's own event has its losses, in user data counted from 0; buffers stand last.
_EVENTS_LOST, _LEAST_COLUMNS = 11, 18


class CsvRecords:
    """Reads a row at a time."""

    def __init__(self, source: ByteSource, info: TraceInfo, report: Report) -> None:
        self._source = source
        self._info = info
        self._report = report
        self._damage = Damage()

    def __iter__(self) -> Records:
        places: dict[str, int] | None = None
        for block in read_text_lines(self._source):
            last = len(block.lines) - 1 if block.unfinished else -1
            for index, (line, offset) in enumerate(zip(block.lines, block.offsets, strict=False)):
                number = block.first + index
                if line is TOO_LONG:
                    self._problem(f"the line is longer than {MAX_LINE} bytes", "", number, None)
                    continue
                if not line.strip():
                    continue
                if places is None or HEAD.match(line):
                    places = self._places(line, number)
                    continue
                record = None if index == last else self._row(line, places, number, offset)
                if record is None:
                    self._problem(
                        "the file ends inside this line" if index == last else "this is no row of an event",
                        line, number,
                    )  # fmt: skip
                    continue
                yield from self._damage.take()
                if record.provider == "EventTrace" and record.event == "Header":
                    yield from self._header(record)
                else:
                    yield record
        if places is None:
            raise input_error("holds no line with the names of the columns", self._source.path, _HELP)
        yield from self._damage.take()

    def _places(self, line: str, number: int) -> dict[str, int]:
        names = [name.strip() for name in line.split(",")]
        missing = [name for name in _NEEDED if name not in names]
        if missing or names[-1] != _LAST:
            span = Span(self._source.path, number)
            what = f"the column {missing[0]!r} is missing" if missing else f"{_LAST!r} is not the last column"
            message = f"expected the names of tracerpt's columns, but {what}"
            raise InputError([Diagnostic(Level.ERROR, message, span, shown_line(line, 1), _HELP)])
        return {name: place for place, name in enumerate(names)}

    def _row(self, line: str, places: dict[str, int], number: int, offset: int) -> Record | None:
        user = places[_LAST]
        row = line.split(",", user)
        if len(row) < user:
            return None

        def text(name: str) -> str:
            place = places.get(name)
            return row[place].strip() if place is not None else ""

        stamp = text("Clock-Time")
        time = from_filetime(int(stamp)) if _natural(stamp) is not None else parse_time(stamp)
        if time is None and not _natural(stamp):
            return None
        record = Record(
            text("Event Name"), "", text("Type"), id=_natural(text("Event ID")) or 0,
            version=_natural(text("Version")) or 0, time=time, cpu=_natural(text("Processor Number")),
            pid=_id(text("PID")), tid=_id(text("TID")), line=number, offset=offset,
        )  # fmt: skip
        if record.cpu is not None and record.cpu > MAX_CPU:
            return None
        columns = split_columns(row[user]) if len(row) > user else []
        while columns and not columns[-1]:
            columns.pop()
        if len(columns) > MAX_COLUMNS:
            return None
        record.fields = {str(place): column_value(column) for place, column in enumerate(columns)}
        return record

    def _header(self, record: Record) -> Records:
        columns = list(record.fields.values())
        if len(columns) < _LEAST_COLUMNS:
            columns = columns[: _EVENTS_LOST + 1]
        events = columns[_EVENTS_LOST] if len(columns) > _EVENTS_LOST else 0
        buffers = columns[-1] if len(columns) >= _LEAST_COLUMNS else 0
        lost = [value if isinstance(value, int) and value > 0 else 0 for value in (events, buffers)]
        if any(lost):
            self._info.lost_anywhere = True
            reason = f"the capture lost {lost[0]} events and {lost[1]} buffers"
            yield Loss(None if lost[1] else lost[0], True, reason, record.line)

    def _problem(self, message: str, line: str, number: int, count: int | None = 1) -> None:
        span = Span(self._source.path, number)
        self._report(Diagnostic(Level.WARNING, message, span, shown_line(line, 1) if line else None))
        self._damage.add(f"line {number} could not be read", number, count)


def _natural(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None


def _id(text: str) -> int | None:
    value = parse_hex(text)
    return None if value is None or value == NOBODY else value
