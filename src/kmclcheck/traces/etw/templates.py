"""Patterns with named places: ``Enter {function} Channel={Channel:hex}``.

A place takes the text up to the next fixed piece, so matching never goes back and takes time in
proportion to the text. ``{name}`` is a word without blanks, ``{name:hex}`` a number in hexadecimal with or
without 0x, ``{name:int}`` a decimal number, ``{name:text}`` anything; ``{*}`` is skipped. ``{{`` and ``}}``
are braces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kmclcheck.traces.etw.record import FieldValue
from kmclcheck.traces.etw.values import parse_hex, parse_value

TYPES = ("word", "hex", "int", "text")
_PLACE = re.compile(r"\{\{|\}\}|\{(\*|[A-Za-z_][\w.]*)(?::([a-z]*))?\}|[{}]")
_DECIMAL = re.compile(r"[-+]?[0-9]{1,24}")


class TemplateError(ValueError):
    """A template is not well formed; ``column`` is where, from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True, slots=True)
class Place:
    """A named place; ``name`` is ``*`` if what stands there is skipped."""

    name: str
    type: str


class Template:
    """A parsed template: a fixed piece, then places each followed by a fixed piece."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._pieces, self._places = _parse(text)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the places."""
        return tuple(p.name for p in self._places if p.name != "*")

    def match(self, text: str) -> dict[str, FieldValue] | None:
        """Return the values at the places, or ``None`` if the text is not of this form."""
        pieces = self._pieces
        if not text.startswith(pieces[0]):
            return None
        found: dict[str, FieldValue] = {}
        at, last = len(pieces[0]), len(pieces) - 1
        if not last:
            return found if at == len(text) else None
        for index, place in enumerate(self._places, 1):
            piece = pieces[index]
            if index == last:
                end = len(text) - len(piece)
                if end < at or not text.endswith(piece):
                    return None
            elif (end := text.find(piece, at)) < 0:
                return None
            value = _value(place, text[at:end])
            if value is None:
                return None
            if place.name != "*":
                found[place.name] = value
            at = end + len(piece)
        return found

    def fill(self, values: dict[str, FieldValue]) -> str | None:
        """Return the text with the values in their places, or ``None`` if one is missing."""
        parts = [self._pieces[0]]
        for place, piece in zip(self._places, self._pieces[1:], strict=True):
            value = values.get(place.name)
            if value is None:
                return None
            parts += [str(value), piece]
        return "".join(parts)


def _value(place: Place, text: str) -> FieldValue | None:
    match place.type:
        case "hex":
            return parse_hex(text)
        case "int":
            word = text.strip()
            return int(word) if _DECIMAL.fullmatch(word) else None
        case "word":
            return None if not text or any(c.isspace() for c in text) else parse_value(text)
        case _:
            return text.strip()


def _parse(text: str) -> tuple[list[str], list[Place]]:
    pieces, places = [""], list[Place]()
    at = 0
    for match in _PLACE.finditer(text):
        pieces[-1] += text[at : match.start()]
        at = match.end()
        if match[0] in ("{{", "}}"):
            pieces[-1] += match[0][0]
            continue
        if match[1] is None:
            raise TemplateError(f"{match[0]!r} stands alone; double it to mean the brace", match.start() + 1)
        kind = match[2] if match[2] is not None else "text" if match[1] == "*" else "word"
        if kind not in TYPES:
            raise TemplateError(f"unknown type {kind!r}; types are {', '.join(TYPES)}", match.start(0) + 1)
        if places and not pieces[-1]:
            raise TemplateError(
                "two places need text between them, to tell where one ends", match.start() + 1
            )
        if match[1] != "*" and match[1] in [p.name for p in places]:
            raise TemplateError(f"place {match[1]!r} stands twice", match.start() + 1)
        places.append(Place(match[1], kind))
        pieces.append("")
    pieces[-1] += text[at:]
    return pieces, places
