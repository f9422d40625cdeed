"""Reader of the native trace format; ``kmtrace.lark`` defines it, ``docs/kmtrace.md`` explains it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import TextIOWrapper
from itertools import chain, repeat
from typing import TYPE_CHECKING, BinaryIO

from kmclcheck.diagnostics import Diagnostic, InputError, Level, Span
from kmclcheck.model.event import End, Event, Loss, Start, TraceInfo
from kmclcheck.traces.base import (
    ByteSource,
    Item,
    TraceFormat,
    TraceReader,
    binary_error,
    input_error,
    looks_binary,
    shown_line,
)
from kmclcheck.traces.formats._kmtrace_fast import FastLines
from kmclcheck.traces.formats._kmtrace_values import MAX_ENDPOINTS, VERSION
from kmclcheck.traces.formats.kmtrace_writer import write
from kmclcheck.traces.lines import MAX_LINE, TOO_LONG, LineBlock, read_lines
from kmclcheck.traces.options import ReadOptions
from kmclcheck.traces.order import in_sequence
from kmclcheck.traces.records import declare

if TYPE_CHECKING:
    from kmclcheck.traces.formats._kmtrace_grammar import Directive

_MAGIC = b"%kmtrace"
_FIRST_LINE = re.compile(r"[ \t]*%kmtrace(?:[ \t]+([^ \t]+))?[ \t]*")
_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_CLOCK = re.compile(r"(resolution|skew)=([0-9]+)([a-z]+)")
_HEADER_ONLY = {"start_fact": "%start", "records": "%records", "clock": "%clock"}
# Header lines are few; a header beyond this is kept from being stored before the first event.
_MAX_HEADER_ITEMS = 10_000


class KmtraceReader(TraceReader):
    """Reads a native trace from its source, header first.

    ``defaults`` makes the first line and the header optional. ``whole_last_line``: text without
    a final line end is complete, not cut off. ``live``: an %end after events is the last line.
    """

    def __init__(
        self,
        source: ByteSource,
        defaults: TraceInfo | None = None,
        whole_last_line: bool = False,
        live: bool = False,
    ) -> None:
        super().__init__(_copy(defaults or TraceInfo()))
        self.info.path = source.path
        self.info.format = "kmtrace"
        self._source = source
        self._first_needed = defaults is None
        self._whole_last_line = whole_last_line
        self._begun = False
        self._events_seen = False
        self._live = live
        self._fast = FastLines()
        self._use_endpoint(self.info.endpoint)
        items = self._items()
        head: list[Item] = []
        for item in items:
            head.append(item)
            if isinstance(item, Event) or len(head) >= _MAX_HEADER_ITEMS:
                break
        if not self._begun and self._first_needed:
            raise input_error("the file is empty", source.path, "check that the capture wrote anything")
        self._stream = in_sequence(chain(head, items), self.report, source.path, live)

    @property
    def bytes_read(self) -> int:
        return self._source.bytes_read

    def __iter__(self) -> Iterator[Item]:
        return self._stream

    def _items(self) -> Iterator[Item]:
        try:
            for block in read_lines(self._source):
                number = block.first
                last = number + len(block.lines) - 1 if block.unfinished else 0
                # Once events have begun no header line can change how the others are read.
                plain = self._events_seen and block.ascii and not last
                events: Iterable[Event | None] = self._fast.block(block) if plain else repeat(None)
                for event, line, offset in zip(events, block.lines, block.offsets, strict=False):
                    if event is not None:
                        yield event
                    else:
                        item = self._careful(block, line, number, offset, number == last)
                        if item is not None:
                            yield item
                        if self.ended:
                            return
                    number += 1
        finally:
            self._source.close()

    def _careful(
        self, block: LineBlock, line: str, number: int, offset: int, unfinished: bool
    ) -> Item | None:
        """Read any line: the first one, header lines, unusual events, and what is wrong."""
        if line is TOO_LONG:
            # Nobody writes such a line as a header: what stands here may be any number of events.
            if not self._begun:
                self._begin(f"a line of more than {MAX_LINE} bytes", number)
            return self._broken(f"the line is longer than {MAX_LINE} bytes", number, count=None)
        if number - block.first in block.replaced:
            message = "bytes that are not UTF-8 were replaced"
            self.report(Diagnostic(Level.WARNING, message, Span(self.info.path, number), shown_line(line, 1)))
        text = line.strip(" \t")
        if not text:
            return None
        if not self._begun and self._begin(line, number):
            return None
        if text.startswith("#"):
            return None
        item = self._fast.parse(_collapse(line), number, offset)
        if item is None:
            from kmclcheck.traces.formats._kmtrace_grammar import Directive, LineError, parse_line

            try:
                found = parse_line(line, self._fast.endpoint, number, offset)
                if found is None:
                    return None
                if isinstance(found, Directive):
                    return self._directive(found, number)
                self._admit(found.endpoint)
                item = found
            except LineError as error:
                cut = "; the file ends inside this line" if unfinished else ""
                return self._broken(error.message + cut, number, line, error.column, error.length, error.help)
        if unfinished and not self._whole_last_line:
            # Half a handle reads like a handle, and would name an object that never was.
            help = "if the line is complete, end it with a line end"
            return self._broken("the file ends inside this line", number, line, len(line) + 1, help=help)
        self._events_seen = True
        return item

    def _begin(self, line: str, number: int) -> bool:
        """Check the first line that is not empty; say whether it was the version line."""
        match = _FIRST_LINE.fullmatch(line)
        if match is None and not self._first_needed:
            self._begun = True
            return False
        help = f"a native trace begins with the line %kmtrace {VERSION}"
        if match is None:
            if looks_binary(self._source.head):
                raise binary_error(self._source, help)
            raise self._fatal(f"expected %kmtrace {VERSION}, found {line.strip()[:60]!r}", number, line, help)
        if match[1] != str(VERSION):
            found = f"version {match[1][:40]!r}" if match[1] else "no version"
            message = f"expected version {VERSION} of the native trace format, found {found}"
            raise self._fatal(message, number, line, "use a kmclcheck that knows this version")
        self._begun = True
        return True

    def _fatal(self, message: str, number: int, line: str, help: str) -> InputError:
        span = Span(self.info.path, number)
        return InputError([Diagnostic(Level.ERROR, message, span, shown_line(line, 1), help)])

    def _broken(
        self,
        message: str,
        number: int,
        line: str = "",
        column: int = 1,
        length: int = 1,
        help: str | None = None,
        count: int | None = 1,
    ) -> Loss:
        span = Span(self.info.path, number, column, max(1, min(length, 121 - column)))
        shown = shown_line(line, column) if line else None
        self.report(Diagnostic(Level.WARNING, message, span, shown, help))
        if line.lstrip(" \t").startswith("%"):
            count = None
        return Loss(count, False, f"line {number} could not be read", number)

    def _use_endpoint(self, name: str) -> None:
        self._fast.endpoint = name
        self._fast.endpoints.add(name)

    def _admit(self, endpoint: str) -> None:
        from kmclcheck.traces.formats._kmtrace_grammar import LineError

        known = self._fast.endpoints
        if endpoint not in known and len(known) > MAX_ENDPOINTS:
            raise LineError(f"more than {MAX_ENDPOINTS} endpoints", 1)
        known.add(endpoint)

    def _directive(self, directive: Directive, number: int) -> Loss | None:
        from kmclcheck.traces.formats._kmtrace_grammar import LineError

        info, words = self.info, directive.words
        if self._events_seen and directive.kind in _HEADER_ONLY:
            raise LineError(f"{_HEADER_ONLY[directive.kind]} stands before the first event", 1)
        match directive.kind:
            case "version":
                raise LineError("%kmtrace stands only in the first line", 1)
            case "start_fact":
                info.start = Start(words[0])
            case "end_fact":
                info.end = End(words[0])
                self.ended = self._live and self._events_seen
            case "endpoint":
                name = "" if words[0] == "-" else words[0]
                self._admit(name)
                self._use_endpoint(name)
                if not self._events_seen:
                    info.endpoint = name
            case "records":
                declare(info, words)
            case "clock":
                facts = {m[1]: int(m[2]) * _UNITS[m[3]] for m in map(_CLOCK.fullmatch, words) if m}
                info.window = sum(facts.values())
            case "lost":
                anywhere = words[-1:] == ("anywhere",)
                info.lost_anywhere |= anywhere
                counts = [int(word) for word in words if word != "anywhere"]
                return Loss(count=counts[0] if counts else None, anywhere=anywhere, line=number)
            case _:
                pass  # a note is for people
        return None


def _copy(info: TraceInfo) -> TraceInfo:
    return replace(
        info,
        records=set(info.records),
        records_not=set(info.records_not),
        records_groups=set(info.records_groups),
        records_not_groups=set(info.records_not_groups),
    )


def _collapse(line: str) -> str:
    """Return the line with single spaces, unless it quotes: blanks in a string are its own."""
    if '"' in line:
        return line
    return " ".join(word for word in line.replace("\t", " ").split(" ") if word)


class KmtraceFormat(TraceFormat):
    """The native format."""

    name = "kmtrace"
    suffixes = (".kmtrace",)
    title = f"native text, first line %kmtrace {VERSION}"
    writes = True
    follows = True

    def sniff(self, head: bytes) -> bool:
        return head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").startswith(_MAGIC)

    def open(self, source: ByteSource, options: ReadOptions) -> TraceReader:
        return KmtraceReader(source, live=options.live)

    def write(self, stream: BinaryIO, items: Iterable[Item], info: TraceInfo) -> None:
        text = TextIOWrapper(stream, encoding="utf-8", newline="\n", write_through=False)
        try:
            write(items, info, text)
            text.flush()
        finally:
            # The stream is the caller's to close.
            text.detach()


FORMAT = KmtraceFormat()
