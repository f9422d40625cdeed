"""Reads XML of tracerpt as records. Nothing is expanded: a document type is an error."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from kmclcheck.diagnostics import Diagnostic, Level, Span
from kmclcheck.model.event import Loss, TraceInfo
from kmclcheck.traces.base import ByteSource, input_error
from kmclcheck.traces.etw.record import Record
from kmclcheck.traces.formats._damage import Damage
from kmclcheck.traces.formats._etw_text import Records, Report
from kmclcheck.traces.formats._tracerpt_events import HEADER_GUID, EventBuilder, EventError
from kmclcheck.traces.wide import UTF8, encoding_of

BLOCK_SIZE = 64 * 1024
# A tag, comment or name that goes on for longer than this is given up: the parser would hold it whole.
MAX_TOKEN = 256 * 1024
# The parser remembers every name; tracerpt uses some fifty.
MAX_NAMES = 10_000
# Each broken place costs a new parser; a file with this many is not worth its time.
MAX_BROKEN = 10_000
_TOOL_HELP = "write it anew: tracerpt LOG.etl -o LOG.xml -of XML"
_ROOTS = ("Events", "Event")
_NEXT = re.compile(rb"<Event(?=[\s>/])")
_NEXT_SIZE = len("<Event>")
# Characters that XML forbids; a driver's string may hold them nevertheless.
_ALLOWED = bytes(n if n >= 0x20 or n in b"\t\n\r" else ord("?") for n in range(256))
_NO_CHARACTERS = ("\ufffe".encode(), "\uffff".encode())
_DECLARATION = re.compile(rb"\A\s*<\?xml[^>]*\?>")
_NOT_LINE_END = re.compile(rb"[^\n]")


class XmlRecords:
    """Reads events as they come, in memory that one event bounds.

    A part that is no XML costs what stands there up to the next ``<Event>``.
    """

    def __init__(self, source: ByteSource, info: TraceInfo, report: Report) -> None:
        self._source = source
        self._info = info
        self._report = report
        self._encoding, self._mark = encoding_of(source.head)
        self._damage = Damage()
        self._breaks = 0
        self._known = False  # that this is a file of events
        # The block at hand: where it begins in the file, in the text as UTF-8, and in lines.
        self._block = b""
        self._file_at = self._text_at = self._lines = 0

    def __iter__(self) -> Records:
        self._renew(0)
        skipping, rest = False, b""
        for data in self._blocks():
            self._block, at = rest + data, 0
            self._file_at -= len(rest) * (1 if self._encoding == UTF8 else 2)
            rest = b""
            while True:
                if skipping:
                    match = _NEXT.search(self._block, at)
                    if match is None:
                        # The tag may be cut by the end of the block.
                        cut = self._block.rfind(b"<", max(at, len(self._block) - _NEXT_SIZE))
                        rest = self._block[cut:] if cut >= 0 else b""
                        break
                    at, skipping = match.start(), False
                    self._renew(at, b"<Events>")
                broken = self._parse(memoryview(self._block)[at:], at)
                yield from self._take()
                if broken is None:
                    break
                at, skipping = broken, True
                if self._breaks > MAX_BROKEN:
                    self._give_up()
                    yield from self._damage.take()
                    return
            done = len(self._block) - len(rest)
            self._lines += self._block.count(b"\n", 0, done)
            self._text_at += done
        self._block = b""
        if not skipping:
            self._parse(b"", 0, final=True)
            yield from self._take()
        if not self._known:
            raise input_error("holds no element <Events>", self._source.path, _TOOL_HELP)
        yield from self._damage.take()

    def _blocks(self) -> Iterator[bytes]:
        """Give the file in UTF-8, without characters that XML forbids."""
        decoder = codecs.getincrementaldecoder(self._encoding)("replace")
        first = True
        while piece := self._source.read(BLOCK_SIZE):
            waiting = len(decoder.getstate()[0])
            self._file_at = self._source.bytes_read - len(piece) - waiting
            if first:
                piece = piece[self._mark :]
                self._file_at += self._mark
            data = piece
            if self._encoding != UTF8 or waiting or not piece.isascii():
                data = decoder.decode(piece).encode()
                for character in _NO_CHARACTERS:
                    data = data.replace(character, b"?")
            data = data.translate(_ALLOWED)
            if first:
                # The declaration may name an encoding in which the file no longer is.
                first = False
                data = _DECLARATION.sub(lambda m: _NOT_LINE_END.sub(b" ", m[0]), data, count=1)
            if data:
                yield data
        if text := decoder.decode(b"", final=True):
            self._file_at = self._source.bytes_read
            yield text.encode()

    def _renew(self, at: int, prefix: bytes = b"") -> None:
        """Begin a new parser at a place of the block, as if ``prefix`` stood before it."""
        from xml.parsers import expat

        self._names: dict[str, str] = {}
        parser = self._parser = expat.ParserCreate("utf-8", intern=self._names)
        builder = self._builder = EventBuilder(self._place)
        parser.buffer_text = True
        parser.StartElementHandler = builder.start
        parser.EndElementHandler = builder.end
        parser.CharacterDataHandler = builder.text
        parser.StartDoctypeDeclHandler = self._doctype
        # What the parser counts is added to these.
        self._origin = self._text_at + at - len(prefix)
        self._first_line = self._lines + self._block.count(b"\n", 0, at)
        self._steps = self._silent = 0
        if prefix:
            parser.Parse(prefix)

    def _parse(self, data: bytes | memoryview, at: int, final: bool = False) -> int | None:
        """Parse a piece that begins at a place of the block.

        Return ``None``, or where in the block to look for the next event if the piece is broken.
        """
        from xml.parsers import expat

        parser, builder = self._parser, self._builder
        try:
            parser.Parse(data, final)
        except expat.ExpatError as error:
            what, where = expat.ErrorString(error.code), parser.ErrorByteIndex
        except EventError as error:
            what, where = str(error), parser.CurrentByteIndex
        else:
            self._check_root()
            self._silent = 0 if builder.steps != self._steps else self._silent + len(data)
            self._steps = builder.steps
            if self._silent > MAX_TOKEN:
                what = f"a tag or comment goes on for more than {MAX_TOKEN} bytes"
            elif len(self._names) > MAX_NAMES:
                what = f"more than {MAX_NAMES} names of elements and attributes"
            else:
                return None
            where = parser.CurrentByteIndex + len(data)
        self._check_root()
        self._broken(what, final)
        # Always ahead, so that nothing is tried twice.
        return max(where + self._origin - self._text_at, at + 1)

    def _take(self) -> Records:
        records = self._builder.records
        if records:
            yield from self._damage.take()
        for record in records:
            if record.guid == HEADER_GUID:
                yield from self._header(record)
            else:
                yield record
        records.clear()

    def _header(self, record: Record) -> Iterator[Loss]:
        """The log's header tells, before all events, what was lost among them."""
        events, buffers = (_count(record.fields.get(name)) for name in ("EventsLost", "BuffersLost"))
        if events or buffers:
            self._info.lost_anywhere = True
            reason = f"the capture lost {events} events and {buffers} buffers"
            yield Loss(None if buffers else events, True, reason, record.line)

    def _check_root(self) -> None:
        if self._known or not self._builder.root:
            return
        if self._builder.root not in _ROOTS:
            message = f"begins with the element <{self._builder.root[:40]}>, expected <Events>"
            raise input_error(message, self._source.path, _TOOL_HELP)
        self._known = True

    def _broken(self, what: str, final: bool) -> None:
        self._breaks += 1
        builder = self._builder
        line = self._first_line + self._parser.CurrentLineNumber
        if final:
            message = f"the file ends inside the XML ({what}); the events before are read"
        else:
            message = f"{what}; left out is what stands here before the next <Event>"
        help = _TOOL_HELP if final else None
        self._report(Diagnostic(Level.WARNING, message, Span(self._source.path, line), help=help))
        # After the last end tag there is nothing to lose: another file may follow.
        if not (builder.root and builder.depth == 0):
            self._damage.add(f"line {line}: {what}", line, None)

    def _give_up(self) -> None:
        line = self._lines + 1
        message = f"more than {MAX_BROKEN} places are no XML; the rest of the file is not read"
        self._report(Diagnostic(Level.WARNING, message, Span(self._source.path, line), help=_TOOL_HELP))
        self._damage.add(message, line, None)

    def _place(self) -> tuple[int, int]:
        at = self._parser.CurrentByteIndex + self._origin - self._text_at
        if self._encoding != UTF8:
            text = self._block[: max(at, 0)]
            at = 2 * at if text.isascii() else len(text.decode("utf-8", "replace").encode(self._encoding))
        return self._first_line + self._parser.CurrentLineNumber, self._file_at + at

    def _doctype(self, *_: object) -> None:
        raise input_error(
            "declares a document type, which no Windows tool writes; such a file is not read",
            self._source.path, _TOOL_HELP, self._first_line + self._parser.CurrentLineNumber,
        )  # fmt: skip


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
