"""Decodes the fields of TraceLogging events by their description, compiled once for every kind of event."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from kmclcheck.traces.etw.etl import values
from kmclcheck.traces.etw.etl.schema import Description, Field, In, Out
from kmclcheck.traces.etw.record import FieldValue

# Values of one event; what has more is not meant for a checker.
MAX_VALUES = 4096
# Of an array of numbers, so many are given by their own names.
MAX_ELEMENTS = 64

_SHORT = Struct("<H")
_FIXED = {
    In.INT8: "b", In.UINT8: "B", In.INT16: "h", In.UINT16: "H", In.INT32: "i", In.UINT32: "I", In.INT64: "q",
    In.UINT64: "Q", In.FLOAT: "f", In.DOUBLE: "d", In.BOOL32: "I", In.GUID: "16s", In.FILETIME: "Q",
    In.SYSTEMTIME: "16s", In.HEX32: "I", In.HEX64: "Q",
}  # fmt: skip
Converter = Callable[..., FieldValue]
_CONVERT: dict[In, Converter] = {
    In.FLOAT: repr,
    In.DOUBLE: repr,
    In.BOOL32: lambda value: int(value != 0),
    In.GUID: values.braced_guid,
    In.SYSTEMTIME: values.system_time,
}
_CHARACTERS: dict[In, tuple[int, Callable[[bytes], str]]] = {
    In.UINT8: (1, values.narrow),
    In.UINT16: (2, values.wide),
}
_COUNTED: dict[In, Converter] = {
    In.BINARY: bytes.hex,
    In.COUNTED_BINARY: bytes.hex,
    In.COUNTED_WIDE: values.wide,
    In.COUNTED_NARROW: values.narrow,
}


class DecodeError(ValueError):
    """The data of an event does not fit its description; ``fields`` is what could be read."""

    def __init__(self, message: str, fields: dict[str, FieldValue]) -> None:
        super().__init__(message)
        self.fields = fields


class _ShortError(Exception):
    """The data ends too early."""


class _Reading:
    """The data of one event while it is being read."""

    __slots__ = ("at", "data", "end", "fields")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self.end = end
        self.fields: dict[str, FieldValue] = {}

    def take(self, size: int) -> int:
        """Return where the next ``size`` bytes begin."""
        at = self.at
        if at + size > self.end:
            raise _ShortError
        self.at = at + size
        return at

    def short(self) -> int:
        value: int = _SHORT.unpack_from(self.data, self.take(2))[0]
        return value

    def put(self, name: str, value: FieldValue) -> None:
        if len(self.fields) >= MAX_VALUES:
            raise DecodeError(f"the event has more than {MAX_VALUES} values", self.fields)
        self.fields[name] = value


Step = Callable[[_Reading], None]


class Decoder:
    """Decodes all events of one description."""

    def __init__(self, description: Description) -> None:
        self.name = description.name
        self.problem = description.problem
        self._steps: list[Step] = []
        # Events of numbers alone, which most are, need one look at their data.
        self._names: tuple[str, ...] = ()
        self._whole: Struct | None = None
        run: list[Field] = []
        for field in (*description.fields, None):
            if field is not None and field.count is None and field.type in _FIXED:
                run.append(field)
                continue
            if run:
                self._steps.append(_numbers(run))
            if field is not None:
                self._steps.append(_step(field))
            elif run and len(self._steps) == 1 and not any(_converter(f) for f in run) and not self.problem:
                self._whole = Struct("<" + "".join(_FIXED[f.type] for f in run))
                self._names = tuple(f.name for f in run)
            run = []

    def decode(self, data: bytes, at: int, end: int) -> dict[str, FieldValue]:
        """Return the fields of the event whose data lies between two places. Raises DecodeError."""
        whole = self._whole
        if whole is not None and at + whole.size <= end:
            return dict(zip(self._names, whole.unpack_from(data, at), strict=True))
        reading = _Reading(data, at, end)
        try:
            for step in self._steps:
                step(reading)
        except _ShortError:
            raise DecodeError("the data of the event ends too early", reading.fields) from None
        if self.problem:
            raise DecodeError(self.problem, reading.fields)
        return reading.fields


def _converter(field: Field) -> Converter | None:
    if field.out == Out.BOOLEAN:
        return _CONVERT[In.BOOL32]
    return _CONVERT.get(field.type)


def _numbers(run: list[Field]) -> Step:
    """Return the step that reads a row of values of fixed size."""
    layout = Struct("<" + "".join(_FIXED[field.type] for field in run))
    names = [field.name for field in run]
    converters = [(i, convert) for i, field in enumerate(run) if (convert := _converter(field)) is not None]

    def step(reading: _Reading) -> None:
        if len(run) > 1 and reading.at + layout.size > reading.end:
            # If the data ends within the row, what is whole is still of use in a message.
            for field in run:
                _numbers([field])(reading)
        found = list(layout.unpack_from(reading.data, reading.take(layout.size)))
        for index, convert in converters:
            found[index] = convert(found[index])
        reading.fields.update(zip(names, found, strict=True))

    return step


def _step(field: Field) -> Step:
    if field.type is In.NULL:
        return lambda reading: None
    if field.count is None:
        return lambda reading: _value(reading, field, field.name)
    return lambda reading: _array(reading, field, field.name)


def _any(reading: _Reading, field: Field, name: str) -> None:
    if field.type is not In.NULL:
        (_value if field.count is None else _array)(reading, field, name)


def _value(reading: _Reading, field: Field, name: str) -> None:
    type_ = field.type
    if type_ in _FIXED:
        layout = _LAYOUTS[type_]
        value = layout.unpack_from(reading.data, reading.take(layout.size))[0]
        convert = _converter(field)
        reading.put(name, value if convert is None else convert(value))
    elif type_ is In.STRUCT:
        for part in field.parts:
            _any(reading, part, f"{name}.{part.name}")
    else:
        reading.put(name, _text(reading, type_))


def _text(reading: _Reading, type_: In) -> FieldValue:
    data = reading.data
    if type_ is In.NARROW:
        at = reading.at
        stop = data.find(b"\0", at, reading.end)
        # The last text of an event may end with the event.
        reading.at = stop + 1 if stop >= 0 else reading.end
        return values.narrow(data[at : stop if stop >= 0 else reading.end])
    if type_ is In.WIDE:
        at = reading.at
        stop = at
        while stop + 1 < reading.end and (stop := data.find(b"\0\0", stop, reading.end)) >= 0:
            # Two zero bytes may belong to two characters.
            if (stop - at) % 2 == 0:
                break
            stop += 1
        found = stop >= 0 and stop + 1 < reading.end
        reading.at = stop + 2 if found else reading.end
        return values.wide(data[at : stop if found else reading.end])
    if type_ is In.SID:
        head = reading.take(values.SID_HEAD)
        size = 4 * data[head + 1]
        reading.take(size)
        return values.sid(data[head : head + values.SID_HEAD + size])
    size = reading.short()
    at = reading.take(size)
    return _COUNTED[type_](data[at : at + size])


def _array(reading: _Reading, field: Field, name: str) -> None:
    count = field.count if field.count is not None and field.count >= 0 else reading.short()
    type_ = field.type
    if type_ not in _FIXED:
        for index in range(count):
            if len(reading.fields) >= MAX_VALUES:
                raise DecodeError(f"the event has more than {MAX_VALUES} values", reading.fields)
            _value(reading, field, f"{name}.{index}")
        return
    if field.out in (Out.STRING, Out.UTF8) and type_ in _CHARACTERS:
        width, read = _CHARACTERS[type_]
        at = reading.take(count * width)
        reading.put(name, read(reading.data[at : at + count * width]).rstrip("\0"))
        return
    layout = _LAYOUTS[type_]
    at = reading.take(count * layout.size)
    convert = _converter(field)
    for index in range(min(count, MAX_ELEMENTS)):
        value = layout.unpack_from(reading.data, at + index * layout.size)[0]
        reading.put(f"{name}.{index}", value if convert is None else convert(value))


_LAYOUTS = {type_: Struct("<" + code) for type_, code in _FIXED.items()}
