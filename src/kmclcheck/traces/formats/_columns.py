"""Columns that are separated by commas, in text that escapes neither commas nor quotes within quotes."""

from __future__ import annotations

import re
from bisect import bisect_right

from kmclcheck.traces.etw.record import FieldValue
from kmclcheck.traces.etw.values import parse_value

MAX_COLUMNS = 4096
# A quote ends a string only before a comma or the end: others belong to the string.
_CLOSING = re.compile(r'"(?=[ \t]*(?:,|\Z))')


def split_columns(text: str) -> list[str]:
    """Return the columns without blanks around them; strings keep their quotes."""
    if '"' not in text:
        return [column.strip(" \t") for column in text.split(",")]
    closing = [match.start() for match in _CLOSING.finditer(text)]
    columns: list[str] = []
    at, end = 0, len(text)
    while True:
        while at < end and text[at] in " \t":
            at += 1
        stop = -1
        if at < end and text[at] == '"' and (index := bisect_right(closing, at)) < len(closing):
            stop = text.find(",", closing[index])
        else:
            stop = text.find(",", at)
        if stop < 0:
            columns.append(text[at:].rstrip(" \t"))
            return columns
        columns.append(text[at:stop].rstrip(" \t"))
        at = stop + 1


def column_value(text: str) -> FieldValue:
    """Return the value of a column; what stands in quotes is text even if it reads like a number."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else parse_value(text)
