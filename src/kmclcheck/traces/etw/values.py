"""Values as the text formats print them."""

from __future__ import annotations

import re

from kmclcheck.traces.etw.record import FieldValue

MAX_DIGITS = 24
# A number may carry what it means: 0xC000000D(NT=An invalid parameter was passed).
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]{1,24}|-?[0-9]{1,24})(?:\(.*\))?", re.DOTALL)
_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F`]{1,24})")


def parse_value(text: str) -> FieldValue:
    """Return a number for what reads like one, 1 and 0 for true and false, else the text without quotes."""
    word = text.strip()
    match = _NUMBER.fullmatch(word)
    if match is not None:
        number = match[1]
        return int(number, 16) if number[:2] in ("0x", "0X") else int(number)
    if len(word) > 1 and word[0] == word[-1] == '"':
        return word[1:-1]
    lowered = word.lower() if len(word) <= 5 else ""
    return {"true": 1, "false": 0}.get(lowered, word)


def parse_hex(text: str) -> int | None:
    """Return a number in hexadecimal with or without ``0x``, as ``%p`` prints it; ``None`` for others."""
    match = _HEX.fullmatch(text.strip())
    digits = match[1].replace("`", "") if match is not None else ""
    return int(digits, 16) if digits else None


def print_value(value: FieldValue) -> str:
    """Return a text of which ``parse_value`` makes the value again: quoted where it has to be."""
    if isinstance(value, int):
        return str(value) if -0xFFFF <= value <= 0xFFFF else f"{value:#x}" if value >= 0 else str(value)
    return value if value and parse_value(value) == value else f'"{value}"'
