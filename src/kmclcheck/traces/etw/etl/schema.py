"""The description that a TraceLogging event carries of itself: its name and the types of its fields.

The description is read once for every kind of event. It comes from the driver, so it is not believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

MAX_FIELDS = 1024
MAX_DEPTH = 8
_MORE = 0x80
_TYPE, _COUNT = 0x1F, 0x60
_CONSTANT, _VARIABLE, _CUSTOM = 0x20, 0x40, 0x60
_OUT = 0x7F


class In(IntEnum):
    """How a field is stored."""

    NULL = 0
    WIDE = 1
    NARROW = 2
    INT8 = 3
    UINT8 = 4
    INT16 = 5
    UINT16 = 6
    INT32 = 7
    UINT32 = 8
    INT64 = 9
    UINT64 = 10
    FLOAT = 11
    DOUBLE = 12
    BOOL32 = 13
    BINARY = 14
    GUID = 15
    FILETIME = 17
    SYSTEMTIME = 18
    SID = 19
    HEX32 = 20
    HEX64 = 21
    COUNTED_WIDE = 22
    COUNTED_NARROW = 23
    STRUCT = 24
    COUNTED_BINARY = 25


class Out(IntEnum):
    """How a field is meant, as far as it matters here."""

    NONE = 0
    STRING = 2
    BOOLEAN = 3
    UTF8 = 35


class SchemaError(ValueError):
    """A description cannot be understood."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field. ``count`` is ``None`` for one value, -1 if the number of values stands in the data."""

    name: str
    type: In
    out: int = 0
    count: int | None = None
    parts: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """An event's name and fields, and what is wrong with what follows them."""

    name: str
    fields: tuple[Field, ...]
    problem: str = ""


class _Parser:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.end = len(data)
        self.left = MAX_FIELDS

    def byte(self) -> int:
        if self.at >= self.end:
            raise SchemaError("the description of the event ends inside a field")
        self.at += 1
        return self.data[self.at - 1]

    def short(self) -> int:
        return self.byte() | self.byte() << 8

    def tags(self) -> None:
        while self.byte() & _MORE:
            pass

    def name(self) -> str:
        stop = self.data.find(b"\0", self.at, self.end)
        if stop < 0:
            raise SchemaError("a name in the description of the event has no end")
        text = self.data[self.at : stop].decode("utf-8", "replace")
        self.at = stop + 1
        return text

    def field(self, depth: int) -> Field:
        self.left -= 1
        if self.left < 0:
            raise SchemaError(f"the description of the event has more than {MAX_FIELDS} fields")
        name, kind, out = self.name(), self.byte(), 0
        if kind & _MORE:
            out = self.byte()
            if out & _MORE:
                self.tags()
            out &= _OUT
        count: int | None = None
        match kind & _COUNT:
            case 0x20:
                count = self.short()
            case 0x40:
                count = -1
            case 0x60:
                raise SchemaError(f"field {name[:40]!r} has an encoding of its own")
            case _:
                pass
        try:
            type_ = In(kind & _TYPE)
        except ValueError:
            raise SchemaError(f"field {name[:40]!r} has the unknown type {kind & _TYPE}") from None
        parts: tuple[Field, ...] = ()
        if type_ is In.STRUCT:
            if depth >= MAX_DEPTH:
                raise SchemaError(f"structures are nested more than {MAX_DEPTH} deep")
            parts = tuple(self.field(depth + 1) for _ in range(out))
        if count is not None and not has_size(type_, parts):
            raise SchemaError(f"field {name[:40]!r} is an array of nothing")
        return Field(name, type_, out, count, parts)


def has_size(type_: In, parts: tuple[Field, ...]) -> bool:
    """Say whether every value of a type takes at least a byte; otherwise arrays of it cost nothing."""
    if type_ is In.STRUCT:
        # An array that is not empty has a size, or its count has.
        return any(has_size(p.type, p.parts) if p.count is None else p.count for p in parts)
    return type_ is not In.NULL


def parse_schema(data: bytes) -> Description:
    """Read a description: its size, tags, the event's name, and the fields.

    What cannot be understood ends it; ``problem`` then says why. Raises SchemaError if not even the name can
    be read.
    """
    parser = _Parser(data)
    parser.end = min(parser.short(), len(data))
    parser.tags()
    name = parser.name()
    fields: list[Field] = []
    try:
        while parser.at < parser.end:
            fields.append(parser.field(1))
    except SchemaError as error:
        return Description(name, tuple(fields), str(error))
    return Description(name, tuple(fields))
