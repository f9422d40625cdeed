"""Facts of records as words, and text of unknown origin made safe to show: traces are untrusted."""

from __future__ import annotations

from kmclcheck.model.event import Event
from kmclcheck.model.spec import Spec


def safe(text: str) -> str:
    r"""Return the text with everything that does not print shown as ``\x1b``, ``\u202e`` and so on.

    Covers control characters (terminal escapes, line ends), invisible and bidirectional format
    characters, and lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    return f"\\U{code:08x}"


def thread_text(event: Event) -> str | None:
    """Return process and thread in hex, ``4.1a4``, or the thread alone."""
    if event.tid is None:
        return None
    return f"{event.tid:x}" if event.pid is None else f"{event.pid:x}.{event.tid:x}"


def time_text(nanoseconds: int) -> str:
    """Return a time from the trace's origin with the unit that suits its size; ASCII only."""
    sign = "-" if nanoseconds < 0 else "+"
    size = abs(nanoseconds)
    for unit, scale in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if size >= scale:
            return f"{sign}{size // scale}.{size % scale * 1000 // scale:03d} {unit}"
    return f"{sign}{size} ns"


def status_text(status: int | str, spec: Spec) -> str:
    """Return the specification's name of a status, or the number in hex."""
    if isinstance(status, str):
        return status
    value = status & 0xFFFFFFFF
    for name, number in spec.statuses.items():
        if number & 0xFFFFFFFF == value:
            return name
    return f"0x{value:08x}"
