"""Reads text of xperf's dumper as records; ``dumper.lark`` defines a line."""

from __future__ import annotations

import re

from kmclcheck.diagnostics import Diagnostic, Level, Span
from kmclcheck.model.event import Loss, TraceInfo
from kmclcheck.traces.base import ByteSource, input_error, shown_line
from kmclcheck.traces.etw.record import Record
from kmclcheck.traces.etw.values import parse_hex
from kmclcheck.traces.formats._columns import MAX_COLUMNS, column_value, split_columns
from kmclcheck.traces.formats._damage import Damage
from kmclcheck.traces.formats._etw_text import Records, Report
from kmclcheck.traces.lines import MAX_LINE, TOO_LONG
from kmclcheck.traces.wide import read_text_lines

MICROSECOND = 1000
# Kinds of events that a header may declare, and lines in which it has to begin.
MAX_KINDS = 20_000
MAX_FOREIGN = 100
MAX_CPU = 0xFFFF
_HELP = "write it anew: xperf -i LOG.etl -o LOG.txt -a dumper"
# Only these are left to the grammar.
_SPECIAL = re.compile(r"[ \t]*(?:BeginHeader|EndHeader|OS Version:)")
_PROCESS = re.compile(r".*\( *(-?[0-9]{1,10})\)")
_LOST = re.compile(r" *(Events|Buffers) Lost: *([0-9]{1,12}) *", re.IGNORECASE)
_TIME, _PROCESS_COLUMN, _THREAD, _CPU = "TimeStamp", "Process Name ( PID)", "ThreadID", "CPU"
_OWN = (_TIME, _PROCESS_COLUMN, _THREAD, _CPU)
# Events that the tool could not decode are named so, and their provider stands in a column.
_UNKNOWN = ("UnknownEvent/", "InvalidEvent/")
# Rows about the trace itself.
_ABOUT = ("FirstReliableEventTimeStamp", "FirstReliableCSwitchEventTimeStamp")


class DumperRecords:
    """Reads the header, then a row at a time."""

    def __init__(self, source: ByteSource, info: TraceInfo, report: Report) -> None:
        self._source = source
        self._info = info
        self._report = report
        self._damage = Damage()
        self._columns: dict[str, list[str]] = {}
        self._in_header = False
        self._begun = False
        self._before = 0

    def __iter__(self) -> Records:
        for block in read_text_lines(self._source):
            last = len(block.lines) - 1 if block.unfinished else -1
            for index, (line, offset) in enumerate(zip(block.lines, block.offsets, strict=False)):
                number = block.first + index
                if line is TOO_LONG:
                    self._problem(f"the line is longer than {MAX_LINE} bytes", "", number, None)
                elif index == last:
                    self._problem("the file ends inside this line", line, number)
                elif line.strip():
                    yield from self._line(line, number, offset)
        if not self._begun:
            raise self._foreign()
        yield from self._damage.take()

    def _line(self, line: str, number: int, offset: int) -> Records:
        if _SPECIAL.match(line):
            yield from self._special(line, number)
            return
        cells = split_columns(line)
        if not self._begun:
            self._before += 1
            if self._before > MAX_FOREIGN:
                raise self._foreign()
            self._problem("expected BeginHeader", line, number)
            return
        if self._in_header:
            self._declare(cells, line, number)
            return
        if cells[0] not in self._columns:
            self._problem(f"events named {cells[0][:60]!r} are not declared in the header", line, number)
            return
        if cells[0] in _ABOUT:
            return
        record = self._row(cells, number, offset)
        if record is None:
            self._problem("this is no row of such an event", line, number)
            return
        yield from self._damage.take()
        yield record

    def _special(self, line: str, number: int) -> Records:
        from kmclcheck.traces.formats._dumper_grammar import Kind, by_grammar

        found = by_grammar(line)
        if found.kind is Kind.BEGIN:
            self._in_header = self._begun = True
        elif found.kind is Kind.END and self._begun:
            self._in_header = False
        elif found.kind is Kind.FACTS and self._begun:
            yield from self._facts(found.cells, number)
        else:
            self._problem("this is no row of an event, and no line of a header", line, number)

    def _declare(self, cells: list[str], line: str, number: int) -> None:
        if len(self._columns) >= MAX_KINDS or len(cells) > MAX_COLUMNS:
            self._problem(f"more than {MAX_KINDS} kinds of events, or {MAX_COLUMNS} columns", line, number)
        else:
            # A place of a template can hold no colon.
            self._columns[cells[0]] = [cells[0], *(cell.replace(":", ".") for cell in cells[1:])]

    def _facts(self, cells: tuple[str, ...], number: int) -> Records:
        lost = {match[1].lower(): int(match[2]) for cell in cells if (match := _LOST.fullmatch(cell))}
        events, buffers = lost.get("events", 0), lost.get("buffers", 0)
        if events or buffers:
            self._info.lost_anywhere = True
            reason = f"the capture lost {events} events and {buffers} buffers"
            yield Loss(None if buffers else events, True, reason, number)

    def _row(self, cells: list[str], number: int, offset: int) -> Record | None:
        names = self._columns[cells[0]]
        if len(cells) < 2 or len(cells) > MAX_COLUMNS:
            return None
        own: dict[str, str] = {}
        record = Record(line=number, offset=offset)
        for place, cell in enumerate(cells[1:], 1):
            name = names[place] if place < len(names) else str(place)
            if name in _OWN and name not in own:
                own[name] = cell
            else:
                record.fields[name] = column_value(cell)
        time = own.get(_TIME, "")
        if not time.isascii() or not time.isdigit() or len(time) > 17:
            return None
        record.time = int(time) * MICROSECOND
        if process := _PROCESS.fullmatch(own.get(_PROCESS_COLUMN, "")):
            record.pid = _natural(process[1])
        record.tid = _natural(own.get(_THREAD, ""))
        cpu = _natural(own.get(_CPU, ""))
        record.cpu = cpu if cpu is None or cpu <= MAX_CPU else None
        self._name(record, cells[0])
        return record

    def _name(self, record: Record, name: str) -> None:
        """Take apart ``Provider/Event/Opcode``; events of the kernel have one word."""
        fields = record.fields
        if name.startswith(_UNKNOWN):
            record.guid = str(fields.get("ProviderId", fields.get("EventGuid", ""))).strip("{}").lower()
            id_, version = fields.get("Id"), fields.get("Version")
            record.id = id_ if isinstance(id_, int) else 0
            record.version = version if isinstance(version, int) else 0
            record.damaged = "xperf did not know its fields"
            return
        provider, _, rest = name.partition("/")
        if not rest:
            record.event = name
            return
        record.provider = provider
        record.event, _, opcode = rest.partition("/")
        if opcode:
            fields.setdefault("etw.Opcode", opcode)

    def _problem(self, message: str, line: str, number: int, count: int | None = 1) -> None:
        span = Span(self._source.path, number)
        self._report(Diagnostic(Level.WARNING, message, span, shown_line(line, 1) if line else None))
        self._damage.add(f"line {number} could not be read", number, count)

    def _foreign(self) -> Exception:
        return input_error("does not begin with BeginHeader", self._source.path, _HELP)


def _natural(text: str) -> int | None:
    """Return a decimal or 0x number; -1 means nobody."""
    if text[:2] in ("0x", "0X"):
        return parse_hex(text)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None
