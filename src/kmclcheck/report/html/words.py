"""Text for the page: printable, and of bounded length."""

from __future__ import annotations

from kmclcheck.model.event import ArgValue
from kmclcheck.report.escape import safe

NAME_SHOWN = 200
TEXT_SHOWN = 2000
_EXACT = 2**53
_SMALL = 0x10000


def shown(text: str, most: int = NAME_SHOWN) -> str:
    """Return the text as it is shown: what does not print as an escape, long text cut, with its length."""
    if len(text) > most:
        return f"{safe(text[:most])}\u2026 ({len(text):,} characters)"
    return safe(text)


def shown_lines(text: str, most: int = TEXT_SHOWN) -> str:
    """Return text of several lines; the ends of lines stay."""
    return "\n".join(shown(line, most) for line in text[: 4 * most].split("\n"))


def number(value: int | None) -> int | str | None:
    """Return a number as JavaScript can hold it; one that would lose digits as text."""
    return value if value is None or -_EXACT < value < _EXACT else str(value)


def argument(value: ArgValue) -> str:
    """Return an argument of a call: what looks like a handle or flags in hex."""
    if isinstance(value, str):
        return shown(value)
    return f"{value:#x}" if abs(value) >= _SMALL else str(value)
