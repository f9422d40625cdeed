"""Writer of the native trace format. What it writes, the reader reads as the same events."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TextIO

from kmclcheck.model.event import ArgValue, Event, Loss, TraceInfo
from kmclcheck.traces.base import Item
from kmclcheck.traces.formats._kmtrace_values import (
    BOOLEANS,
    COLUMN_LIMITS,
    MAX_ARGUMENTS,
    MAX_CPU,
    MAX_IRQL,
    MAX_UNSIGNED,
    MIN_SIGNED,
    NAME_PATTERN,
    PLACE_PATTERN,
    VERSION,
)
from kmclcheck.traces.records import declared_words

_NAME = re.compile(NAME_PATTERN)
_PLACE = re.compile(PLACE_PATTERN)
_LOSS_REASON = Loss().reason


def format_event(event: Event, default_endpoint: str = "") -> str:
    """Return the line of an event, without line end.

    ``default_endpoint`` is the one the header names. Values above 65535 are written in
    hexadecimal. Raises ValueError for what the format cannot express, such as a name with blanks.
    """
    words = []
    if event.endpoint != default_endpoint:
        words.append("@" + _place(event.endpoint))
    words += [
        _count(event.seq, MAX_UNSIGNED, "sequence number"),
        _count(event.time, MAX_UNSIGNED, "time"),
        _count(event.cpu, MAX_CPU, "CPU"),
        _thread(event.pid, event.tid),
        _count(event.irql, MAX_IRQL, "IRQL"),
        event.phase.value,
        _name(event.name),
    ]
    if len(event.args) + (event.status is not None) > MAX_ARGUMENTS:
        raise ValueError(f"{event.name} has more than {MAX_ARGUMENTS} arguments")
    for key, value in event.args.items():
        if key in COLUMN_LIMITS or key in ("at", "status", "return"):
            raise ValueError(f"an argument cannot be named {key!r} in a native trace")
        words.append(f"{'return' if key == 'Return' else _name(key)}={_value(value)}")
    if event.status is not None:
        if isinstance(event.status, int) and not 0 <= event.status <= 0xFFFFFFFF:
            raise ValueError(f"status {event.status} is not an unsigned 32-bit number")
        words.append(f"status={_value(event.status)}")
    return " ".join(words)


def format_loss(loss: Loss) -> str:
    """Return the marker line of a loss, after a comment with its reason if that says more."""
    marker = "%lost"
    if loss.count is not None:
        marker += f" {loss.count}"
    if loss.anywhere:
        marker += " anywhere"
    if loss.reason == _LOSS_REASON:
        return marker
    reason = "".join(c if c.isprintable() else "?" for c in loss.reason)[:200]
    return f"# {reason}\n{marker}"


def write_header(info: TraceInfo) -> str:
    """Return the header lines, each with its line end."""
    lines = [f"%kmtrace {VERSION}", f"%start {info.start.value}", f"%end {info.end.value}"]
    if info.endpoint:
        lines.append(f"%endpoint {_place(info.endpoint)}")
    if words := declared_words(info):
        # Some traces exclude hundreds of names; a line has to stay short.
        lines += [f"%records {' '.join(words[i : i + 32])}" for i in range(0, len(words), 32)]
    if info.window:
        lines.append(f"%clock resolution={info.window}ns")
    return "".join(line + "\n" for line in lines)


def write(items: Iterable[Item], info: TraceInfo, stream: TextIO) -> None:
    """Write a whole trace. What ``info`` learns only while ``items`` run out goes to the end."""
    end = info.end
    lost_anywhere = False
    stream.write(write_header(info))
    for item in items:
        if isinstance(item, Loss):
            lost_anywhere |= item.anywhere
            stream.write(format_loss(item) + "\n")
        else:
            stream.write(format_event(item, info.endpoint) + "\n")
    if info.lost_anywhere and not lost_anywhere:
        stream.write("%lost anywhere\n")
    if info.end is not end:
        stream.write(f"%end {info.end.value}\n")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text[:60]!r} is not a name of a native trace")
    return text


def _place(text: str) -> str:
    if text and not _PLACE.fullmatch(text):
        raise ValueError(f"{text[:60]!r} is not the name of an endpoint of a native trace")
    return text or "-"


def _count(value: int | None, limit: int, what: str) -> str:
    if value is None:
        return "-"
    if not 0 <= value <= limit:
        raise ValueError(f"{what} {value} is not between 0 and {limit}")
    return str(value)


def _thread(pid: int | None, tid: int | None) -> str:
    for value in (pid, tid):
        _count(value, MAX_UNSIGNED, "process or thread id")
    if pid is None and tid is None:
        return "-"
    return f"{'-' if pid is None else format(pid, 'x')}.{'-' if tid is None else format(tid, 'x')}"


def _value(value: ArgValue) -> str:
    if isinstance(value, str):
        return value if _NAME.fullmatch(value) and value not in BOOLEANS else _quote(value)
    if not MIN_SIGNED <= value <= MAX_UNSIGNED:
        raise ValueError(f"{value} does not fit 64 bits")
    return str(int(value)) if value <= 0xFFFF else f"0x{value:x}"


def _quote(text: str) -> str:
    return '"' + "".join(map(_escape, text)) + '"'


def _escape(char: str) -> str:
    match char:
        case '"' | "\\":
            return "\\" + char
        case "\n":
            return "\\n"
        case "\t":
            return "\\t"
    if char.isprintable():
        return char
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
