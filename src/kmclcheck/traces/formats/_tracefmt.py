"""Reads text of tracefmt, TraceView and netsh as records; ``tracefmt.lark`` defines a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from kmclcheck.diagnostics import Diagnostic, InputError, Level, Span
from kmclcheck.model.event import Loss, TraceInfo
from kmclcheck.traces.base import MAX_PROBLEMS, ByteSource, shown_line
from kmclcheck.traces.etw.clock import SECOND, parse_time
from kmclcheck.traces.etw.mapping import Mapping
from kmclcheck.traces.etw.record import Record
from kmclcheck.traces.formats._damage import Damage
from kmclcheck.traces.formats._etw_text import Records, Report
from kmclcheck.traces.formats._json_fields import FieldsError, fields_of
from kmclcheck.traces.formats._tracefmt_prefix import OwnPrefix, Prefix, PrefixError, by_grammar, ordinary
from kmclcheck.traces.lines import MAX_LINE, TOO_LONG
from kmclcheck.traces.wide import read_text_lines

FINE, COARSE = 100, 1_000_000
# Lines in which a record has to show, before the file counts as one of another kind.
MAX_FOREIGN = 1000
# The closing summary of tracefmt.
_SUMMARY = re.compile(
    r"\s*(?:Files? Processed:|Total +(?:Buffers?|Events?|Formats?) |(?:Events?|Buffers?) *Lost\b"
    r"|Elapsed Time\b|Event traces dumped\b|\+-{10})", re.IGNORECASE,
)  # fmt: skip
_LOST = re.compile(r"\s*(?:Total +)?(Event|Buffer)s? *Lost\s*[:=]?\s*([0-9]{1,12})\b", re.IGNORECASE)
_UNKNOWN = "No Format Information found"
_META_HELP = (
    "the option -jsonMeta 0 of tracefmt leaves out what names an event; convert again without it, "
    "or with netsh trace convert"
)
_PREFIX_HELP = (
    "say how a line begins with --trace-prefix, such as '[{cpu}]{pid:hex}.{tid:hex}::{time} [{component}]', "
    "or the value of TRACE_FORMAT_PREFIX with which the text was written"
)
# Clocks of time zones differ by quarters of an hour.
_QUARTER = 15 * 60 * SECOND


class _Line(NamedTuple):
    text: str
    number: int
    offset: int
    unfinished: bool


class TracefmtRecords:
    """Reads a line at a time, one ahead: a message may go on in the next line."""

    def __init__(
        self, source: ByteSource, info: TraceInfo, report: Report, mapping: Mapping, prefix: OwnPrefix | None
    ) -> None:
        self._source = source
        self._info = info
        self._report = report
        self._mapping = mapping
        self._prefix = prefix
        self._damage = Damage()
        self._begun = False
        self._first: _Line | None = None
        self._foreign = self._explained = 0
        self._held: Record | None = None
        self._summary = False
        self._meta_seen = False
        self._unknown = 0
        # What to add to a time of a prefix, or of a meta block, to get one clock for both; None until known.
        self._add_to_prefix: int | None = None
        self._add_to_meta: int | None = None

    def __iter__(self) -> Records:
        for line in self._lines():
            if line.text is TOO_LONG:
                yield from self._release()
                self._problem(f"the line is longer than {MAX_LINE} bytes", line, None)
                continue
            prefix = self._parse(line)
            if prefix is None:
                yield from self._other(line)
                continue
            yield from self._release()
            self._begun, self._summary = True, False
            record = self._record(prefix, line)
            if record is not None and record.message:
                # Half a number reads like a number: a message that ends with the file may be cut.
                if line.unfinished and self._mapping.map(record) is not None:
                    self._problem("the file ends inside this line", line)
                else:
                    self._held = record
            elif record is not None:
                yield from self._damage.take()
                yield record
        yield from self._release()
        if not self._begun:
            raise self._not_begun()
        yield from self._damage.take()

    def _lines(self) -> Iterator[_Line]:
        for block in read_text_lines(self._source):
            last = len(block.lines) - 1 if block.unfinished else -1
            for index, (text, offset) in enumerate(zip(block.lines, block.offsets, strict=False)):
                line = _Line(text, block.first + index, offset, index == last)
                if index in block.replaced:
                    self._warn("bytes that are no text were replaced", line)
                yield line

    def _parse(self, line: _Line) -> Prefix | None:
        if self._prefix is not None:
            return self._prefix.parse(line.text)
        found = ordinary(line.text)
        if found is None and line.text.lstrip(" \t").startswith("["):
            try:
                return by_grammar(line.text)
            except PrefixError:
                return None
        return found

    def _release(self) -> Records:
        """Give the message that was held back."""
        if self._held is not None:
            yield from self._damage.take()
            yield self._held
            self._held = None

    def _other(self, line: _Line) -> Records:
        """Take a line that begins no record: part of a summary, the rest of a message, or nobody's."""
        if not line.text.strip():
            return
        lost = _LOST.match(line.text)
        if lost is not None or _SUMMARY.match(line.text):
            yield from self._release()
            self._summary = True
            if lost is not None and (count := int(lost[2])):
                self._info.lost_anywhere = True
                what = f"the capture lost {count} {lost[1].lower()}s"
                yield Loss(count if lost[1].lower() == "event" else None, True, what, line.number)
            return
        if self._summary:
            return
        if not self._begun:
            self._first = self._first or line
            self._foreign += 1
            if self._foreign > MAX_FOREIGN:
                raise self._not_begun()
        held, self._held = self._held, None
        if held is None:
            self._problem(self._why(line), line)
        elif self._mapping.map(held) is None:
            self._warn("begins no record; taken as the rest of the message before it", line)
            yield from self._damage.take()
            yield held
        else:
            self._problem("begins no record; the message before it may go on here", line)

    def _why(self, line: _Line) -> str:
        self._explained += 1
        if self._explained > MAX_PROBLEMS:
            return "begins no record"  # nobody is going to see it
        if self._prefix is None:
            try:
                by_grammar(line.text)
            except PrefixError as error:
                return f"begins no record: {error}"
        return "begins no record: it has not the given prefix"

    def _not_begun(self) -> InputError:
        line = self._first or _Line("", 1, 0, False)
        span = Span(self._source.path, line.number)
        given = "the given prefix" if self._prefix is not None else "the default prefix of tracefmt"
        message = f"no line has {given}"
        if line.text.lstrip().startswith("{"):
            help = "leave the prefix of the lines as it is; JSON alone tells neither order nor thread"
            return InputError([Diagnostic(Level.ERROR, message, span, shown_line(line.text, 1), help)])
        return InputError([Diagnostic(Level.ERROR, message, span, shown_line(line.text, 1), _PREFIX_HELP)])

    def _warn(self, message: str, line: _Line) -> None:
        span = Span(self._source.path, line.number)
        shown = shown_line(line.text, 1) if line.text is not TOO_LONG else None
        self._report(Diagnostic(Level.WARNING, message, span, shown))

    def _problem(self, message: str, line: _Line, count: int | None = 1) -> None:
        self._warn(message, line)
        self._damage.add(f"line {line.number} could not be read", line.number, count)

    def _record(self, prefix: Prefix, line: _Line) -> Record | None:
        body = prefix.body
        if body.startswith("{"):
            try:
                found = json.loads(body)
            except (ValueError, RecursionError) as error:
                if body.startswith('{"'):
                    self._problem(f"the JSON after the prefix cannot be read: {_reason(error)}", line)
                    return None
                found = None
            if isinstance(found, dict):
                meta = found.pop("meta", None)
                if isinstance(meta, dict) and isinstance(meta.get("event"), str):
                    return self._event(prefix, found, meta, line)
                if not self._meta_seen:
                    span = Span(self._source.path, line.number)
                    message = 'the events have no names: the JSON holds no "meta" with an "event"'
                    raise InputError(
                        [Diagnostic(Level.ERROR, message, span, shown_line(line.text, 1), _META_HELP)]
                    )
        if _UNKNOWN in body:
            self._unknown += 1
            if self._unknown == 1:
                message = (
                    "messages without format information: give tracefmt the driver's symbols, -pdb FOLDER"
                )
                self._warn(message, line)
        self._settle(prefix, None)
        time = prefix.time
        if time is not None and self._add_to_prefix is not None:
            time = max(0, time + self._add_to_prefix)
        return Record(
            prefix.component, "", "", prefix.fields, body, time=time, cpu=prefix.cpu, pid=prefix.pid,
            tid=prefix.tid, line=line.number, offset=line.offset,
        )  # fmt: skip

    def _event(
        self, prefix: Prefix, found: dict[str, Any], meta: dict[str, Any], line: _Line
    ) -> Record | None:
        self._meta_seen = True
        try:
            fields = fields_of(found)
        except FieldsError as error:
            self._problem(f"the JSON after the prefix cannot be read: {error}", line)
            return None
        if prefix.fields:
            fields = {**prefix.fields, **fields}
        stamp = meta.get("time")
        time = parse_time(stamp) if isinstance(stamp, str) else None
        self._settle(prefix, time)
        if time is not None:
            time = max(0, time + (self._add_to_meta or 0))
        elif prefix.time is not None:
            time = max(0, prefix.time + (self._add_to_prefix or 0))
        provider = meta.get("provider")
        return Record(
            provider if isinstance(provider, str) else prefix.component, "", meta["event"], fields,
            id=_natural(meta.get("id")) or 0, version=_natural(meta.get("version")) or 0, time=time,
            cpu=_natural(meta.get("cpu"), prefix.cpu), pid=_natural(meta.get("pid"), prefix.pid),
            tid=_natural(meta.get("tid"), prefix.tid), line=line.number, offset=line.offset,
        )  # fmt: skip

    def _settle(self, prefix: Prefix, meta: int | None) -> None:
        """Choose the clock by the first record, and find how the other one differs from it.

        The prefix has local time and the meta block UTC; a trace may hold records with one of them only.
        """
        if self._add_to_prefix is None and self._add_to_meta is None:
            precise = prefix.digits > 3 or (meta is not None and not self._maps_messages())
            self._info.window = FINE if precise else COARSE
            if meta is None:
                self._add_to_prefix = 0
        if meta is not None and self._add_to_meta is None:
            local = prefix.time
            difference = 0 if local is None else round((local - meta) / _QUARTER) * _QUARTER
            if self._add_to_prefix is None:
                self._add_to_prefix, self._add_to_meta = -difference, 0
            else:
                self._add_to_meta = difference

    def _maps_messages(self) -> bool:
        """Say whether messages, whose times are coarser, may become events."""
        return any(
            rule.message is not None or (rule.event is None and not rule.guid and rule.id is None)
            for rule in self._mapping.rules
        )


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error).split(";")[0][:100]


def _natural(value: object, otherwise: int | None = None) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 64 else otherwise
