"""Times as the tools print them, in nanoseconds since 1970."""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import lru_cache

SECOND = 1_000_000_000
DAY = 86_400
# FILETIME counts units of 100 ns since 1601.
FILETIME_UNIT = 100
FILETIME_1970 = 116_444_736_000_000_000
_EPOCH = date(1970, 1, 1).toordinal()
_LAST_DAY = date.max.toordinal() - _EPOCH
_MEMORY = 4096

# 2026-09-15T10:14:30, 2023/06/23-19:45:16 or 08/21/2025-09:46:11; fraction and offset are apart.
_YEAR_FIRST = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})[T \-](\d{1,2}):(\d\d):(\d\d)", re.ASCII)
_YEAR_LAST = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})[T \-](\d{1,2}):(\d\d):(\d\d)", re.ASCII)
_FRACTION = re.compile(r"[.,:](\d{1,9})(?!\d)", re.ASCII)


@lru_cache(_MEMORY)
def _seconds(text: str) -> int | None:
    if match := _YEAR_FIRST.fullmatch(text):
        year, month, day, *clock = map(int, match.groups())
    elif match := _YEAR_LAST.fullmatch(text):
        month, day, year, *clock = map(int, match.groups())
    else:
        return None
    hour, minute, second = clock
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None
    if hour > 23 or minute > 59 or second > 60 or days < 0:
        return None
    return days * DAY + hour * 3600 + minute * 60 + second


def parse_time(text: str) -> int | None:
    """Return a date with time in nanoseconds since 1970, ``None`` if it is none or before that.

    What follows the fraction, such as an offset to UTC, is not looked at.
    """
    seconds = _seconds(text[:19])
    if seconds is None:
        return None
    match = _FRACTION.match(text, 19)
    return seconds * SECOND + (int(match[1].ljust(9, "0")) if match is not None else 0)


def fraction_digits(text: str) -> int:
    """Return how many digits of a second a printed time has."""
    match = _FRACTION.match(text, 19)
    return len(match[1]) if match is not None else 0


def from_filetime(value: int) -> int | None:
    """Return a FILETIME in nanoseconds since 1970, ``None`` before that."""
    return (value - FILETIME_1970) * FILETIME_UNIT if value >= FILETIME_1970 else None


def split_time(time: int) -> tuple[str, str, str]:
    """Return year-month-day, the time of day and nine digits of its fraction. Raises ValueError."""
    seconds, fraction = divmod(time, SECOND)
    days, second = divmod(seconds, DAY)
    if not 0 <= days <= _LAST_DAY:
        raise ValueError(f"time {time} is beyond the year 9999")
    minute, second = divmod(second, 60)
    day = date(1970, 1, 1) + timedelta(days)
    return day.isoformat(), f"{minute // 60:02}:{minute % 60:02}:{second:02}", f"{fraction:09}"
