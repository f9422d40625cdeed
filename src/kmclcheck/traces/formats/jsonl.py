"""Our own events as JSON lines, for other programs; ``docs/jsonl.md`` explains the format."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NoReturn

from kmclcheck.diagnostics import Diagnostic, InputError, Level, Span
from kmclcheck.model.event import ArgValue, End, Event, Loss, Phase, Start, TraceInfo
from kmclcheck.traces.base import ByteSource, Item, TraceFormat, TraceReader, input_error, shown_line
from kmclcheck.traces.formats._damage import Damage
from kmclcheck.traces.lines import MAX_LINE, TOO_LONG
from kmclcheck.traces.options import ReadOptions
from kmclcheck.traces.order import in_sequence
from kmclcheck.traces.records import declare, declared_words, split_words
from kmclcheck.traces.wide import head_text, read_text_lines

MAGIC, VERSION = "kmclcheck-trace", 1
MAX_ARGUMENTS = 64
MAX_ENDPOINTS = 256
MAX_NAME = 128
MAX_UNSIGNED = (1 << 64) - 1
MIN_SIGNED = -(1 << 63)
_SNIFF = re.compile(r'\s*\{\s*"kmclcheck-trace"\s*:')
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_PHASES = {phase.value: phase for phase in Phase}
_LIMITS = {
    "seq": MAX_UNSIGNED, "time": MAX_UNSIGNED, "cpu": 0xFFFF, "pid": MAX_UNSIGNED, "tid": MAX_UNSIGNED,
    "irql": 0xFF,
}  # fmt: skip
_EVENT_KEYS = frozenset({"name", "phase", "args", "status", "endpoint", *_LIMITS})
_HEADER_KEYS = frozenset(
    {MAGIC, "start", "end", "records", "window", "endpoint", "lost_anywhere", "start_of"}
)
_LOSS_REASON = Loss().reason
_HELP = 'the first line is a header: {"kmclcheck-trace": 1}'


class _LineError(Exception):
    """A line that is not of the format."""


class JsonlReader(TraceReader):
    """Reads the header, then a line at a time; a line that is wrong costs itself."""

    def __init__(self, source: ByteSource, live: bool = False) -> None:
        super().__init__(TraceInfo(source.path, "jsonl"))
        self._source = source
        self._damage = Damage()
        self._endpoints: set[str] = set()
        self._begun = False
        self._live = live
        items = self._items()
        # The generator reads the header before it gives its first item.
        self._head = [item for item in [next(items, None)] if item is not None]
        self._stream = in_sequence(self._all(items), self.report, source.path, live)

    @property
    def bytes_read(self) -> int:
        return self._source.bytes_read

    def __iter__(self) -> Iterator[Item]:
        return self._stream

    def _all(self, rest: Iterator[Item]) -> Iterator[Item]:
        yield from self._head
        self._head.clear()
        yield from rest

    def _items(self) -> Iterator[Item]:
        try:
            for block in read_text_lines(self._source):
                last = len(block.lines) - 1 if block.unfinished else -1
                for index, (line, offset) in enumerate(zip(block.lines, block.offsets, strict=False)):
                    number = block.first + index
                    if line is not TOO_LONG and not line.strip():
                        continue
                    try:
                        item = self._line(line, number, offset)
                    except _LineError as error:
                        cut = "; the file ends inside this line" if index == last else ""
                        self._wrong(f"{error}{cut}", line, number)
                        continue
                    if item is not None:
                        yield from self._damage.take()
                        yield item
                    if self.ended:
                        return
            if not self._begun:
                raise input_error("the file is empty", self._source.path, _HELP)
            yield from self._damage.take()
        finally:
            self._source.close()

    def _line(self, line: str, number: int, offset: int) -> Item | None:
        if line is TOO_LONG:
            raise _LineError(f"the line is longer than {MAX_LINE} bytes")
        try:
            found = json.loads(line)
        except RecursionError:
            raise _LineError("this is no JSON: it is nested too deeply") from None
        except ValueError as error:
            raise _LineError(f"this is no JSON: {str(error).split(';')[0][:100]}") from None
        if not isinstance(found, dict):
            raise _LineError("expected an object")
        if not self._begun:
            self._header(found)
            self._begun = True
            return None
        if "lost" in found:
            return self._loss(found, number)
        if "end" in found:
            self._end(found)
            return None
        return self._event(found, number, offset)

    def _header(self, found: dict[str, Any]) -> None:
        info = self.info
        if MAGIC not in found:
            _wrong(f"expected the header of a trace, found {', '.join(found)[:60]!r}")
        if found[MAGIC] != VERSION or type(found[MAGIC]) is not int:
            _wrong(f"expected version {VERSION} of the format, found {str(found[MAGIC])[:40]!r}")
        _only(found, _HEADER_KEYS)
        info.start = Start(_choice(found, "start", [s.value for s in Start], Start.MIDLIFE.value))
        info.end = End(_choice(found, "end", [e.value for e in End], End.STOPPED.value))
        info.window = _count(found.get("window"), "window", MAX_UNSIGNED) or 0
        info.endpoint = _text(found, "endpoint")
        info.lost_anywhere = _truth(found, "lost_anywhere")
        self._start_of(found)
        try:
            declare(info, split_words(" ".join(_words(found, "records"))))
        except ValueError as error:
            _wrong(f"{str(error)[:60]!r} is no word of a declaration of what is recorded")

    def _start_of(self, found: dict[str, Any]) -> None:
        if "start_of" in found:
            self.info.start_of = frozenset(_words(found, "start_of"))

    def _end(self, found: dict[str, Any]) -> None:
        """Take what became known only when the trace had been written."""
        _only(found, frozenset({"end", "lost_anywhere", "start_of"}))
        self._start_of(found)
        self.info.end = End(_choice(found, "end", [e.value for e in End], ""))
        self.ended = self._live
        self.info.lost_anywhere |= _truth(found, "lost_anywhere")

    def _loss(self, found: dict[str, Any], number: int) -> Loss:
        _only(found, frozenset({"lost", "anywhere", "reason"}))
        anywhere = _truth(found, "anywhere")
        self.info.lost_anywhere |= anywhere
        count = _count(found["lost"], "lost", MAX_UNSIGNED)
        return Loss(count, anywhere, _text(found, "reason") or _LOSS_REASON, number)

    def _event(self, found: dict[str, Any], number: int, offset: int) -> Event:
        if not found.keys() <= _EVENT_KEYS:
            _only(found, _EVENT_KEYS)
        name, phase = found.get("name"), found.get("phase")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            _wrong(f"name has to be the name of a function or callback, found {str(name)[:60]!r}")
        if not isinstance(phase, str) or phase not in _PHASES:
            _wrong(f"phase is one of {', '.join(_PHASES)}, found {str(phase)[:60]!r}")
        args = found.get("args", {})
        if not isinstance(args, dict) or len(args) > MAX_ARGUMENTS:
            _wrong(f"args has to be an object with at most {MAX_ARGUMENTS} members")
        for key, value in args.items():
            if not _NAME.fullmatch(key):
                _wrong(f"{key[:60]!r} is not the name of a parameter")
            _value(value, key)
        status = found.get("status")
        if status is not None:
            _value(status, "status")
            if isinstance(status, int) and not 0 <= status <= 0xFFFFFFFF:
                _wrong("status has to be an unsigned 32-bit number or a name")
        endpoint = _text(found, "endpoint") if "endpoint" in found else self.info.endpoint
        if endpoint not in self._endpoints:
            if len(self._endpoints) >= MAX_ENDPOINTS:
                _wrong(f"more than {MAX_ENDPOINTS} endpoints")
            self._endpoints.add(endpoint)
        counts = [_count(found.get(key), key, limit) for key, limit in _LIMITS.items()]
        seq, time, cpu, pid, tid, irql = counts
        return Event(
            name, _PHASES[phase], args, status, seq, time, cpu, pid, tid, irql, endpoint, number, offset
        )

    def _wrong(self, message: str, line: str, number: int) -> None:
        span = Span(self.info.path, number)
        shown = None if line is TOO_LONG else shown_line(line, 1)
        if not self._begun:
            raise InputError([Diagnostic(Level.ERROR, message, span, shown, _HELP)])
        self.report(Diagnostic(Level.WARNING, message, span, shown))
        # Nobody can tell what stands in a line that is too long.
        self._damage.add(f"line {number} could not be read", number, None if line is TOO_LONG else 1)


def _wrong(message: str) -> NoReturn:
    raise _LineError(message)


def _only(found: dict[str, Any], known: frozenset[str]) -> None:
    for key in found:
        if key not in known:
            _wrong(f"unknown key {key[:60]!r}; known are {', '.join(sorted(known))}")


def _choice(found: dict[str, Any], key: str, known: list[str], otherwise: str) -> str:
    value = found.get(key, otherwise)
    if not isinstance(value, str) or value not in known:
        _wrong(f"{key} is one of {', '.join(known)}, found {str(value)[:60]!r}")
    return value


def _text(found: dict[str, Any], key: str) -> str:
    value = found.get(key, "")
    if not isinstance(value, str):
        _wrong(f"{key} has to be a string")
    return value


def _words(found: dict[str, Any], key: str) -> list[str]:
    words = found.get(key, [])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        _wrong(f"{key} has to be a list of words")
    return words


def _truth(found: dict[str, Any], key: str) -> bool:
    value = found.get(key, False)
    if not isinstance(value, bool):
        _wrong(f"{key} has to be true or false")
    return value


def _count(value: Any, key: str, limit: int) -> int | None:
    if value is None or (type(value) is int and 0 <= value <= limit):
        return value
    _wrong(f"{key} has to be null or a number between 0 and {limit}")


def _value(value: Any, key: str) -> ArgValue:
    if type(value) is str or (type(value) is int and MIN_SIGNED <= value <= MAX_UNSIGNED):
        return value
    _wrong(f"{key[:60]} has to be a string or a number of 64 bits")


def event_object(event: Event, default_endpoint: str = "") -> dict[str, Any]:
    """Return the object of an event; what is not known is left out."""
    found: dict[str, Any] = {"name": event.name, "phase": event.phase.value}
    if event.args:
        found["args"] = event.args
    if event.status is not None:
        found["status"] = event.status
    for key in _LIMITS:
        value = getattr(event, key)
        if value is not None:
            found[key] = value
    if event.endpoint != default_endpoint:
        found["endpoint"] = event.endpoint
    return found


def _learned(info: TraceInfo) -> dict[str, Any]:
    """Return the facts that may change until the trace has been read to its end."""
    facts: dict[str, Any] = {"end": info.end.value, "lost_anywhere": info.lost_anywhere}
    if info.start_of is not None:
        facts["start_of"] = sorted(info.start_of)
    return facts


class JsonlFormat(TraceFormat):
    """JSON lines of ours."""

    name = "jsonl"
    suffixes = (".jsonl",)
    title = f'JSON lines, first line {{"{MAGIC}": {VERSION}}}'
    writes = True
    follows = True

    def sniff(self, head: bytes) -> bool:
        return _SNIFF.match(head_text(head)) is not None

    def open(self, source: ByteSource, options: ReadOptions) -> TraceReader:
        return JsonlReader(source, options.live)

    def write(self, stream: BinaryIO, items: Iterable[Item], info: TraceInfo) -> None:
        def put(found: dict[str, Any]) -> None:
            line = json.dumps(found, ensure_ascii=True, separators=(",", ":")).encode()
            if len(line) > MAX_LINE:
                raise ValueError(f"a line is longer than {MAX_LINE} bytes")
            stream.write(line + b"\n")

        known = _learned(info)
        put(
            {
                MAGIC: VERSION, "start": info.start.value, "records": declared_words(info),
                "window": info.window, "endpoint": info.endpoint, **known,
            }
        )  # fmt: skip
        for item in items:
            if isinstance(item, Loss):
                put({"lost": item.count, "anywhere": item.anywhere, "reason": item.reason})
            else:
                put(event_object(item, info.endpoint))
        if known != (learned := _learned(info)):
            put(learned)


FORMAT = JsonlFormat()
