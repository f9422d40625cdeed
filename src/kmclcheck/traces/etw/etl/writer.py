"""Writes logs as a session with the capture kit would leave them, to try readers without Windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha1
from shutil import copyfileobj
from struct import Struct, pack
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast
from uuid import UUID

from kmclcheck.model.event import Event, Loss, Phase, TraceInfo
from kmclcheck.traces.base import Item
from kmclcheck.traces.etw.etl.buffers import COMPRESSED, MAX_BUFFER, WIDE_CPU
from kmclcheck.traces.etw.etl.header import BUFFER_HEADER, COMPRESSED_MODE, FILETIME_TICKS, SEQUENTIAL, Clock
from kmclcheck.traces.etw.etl.lzxpress import compress
from kmclcheck.traces.etw.etl.schema import In, Out
from kmclcheck.traces.etw.record import FieldValue, Record
from kmclcheck.traces.etw.shim import LOADED, UNLOADED, shim_records

BUFFER_SIZE = 64 << 10
HEADER_BUFFER = 8 << 10
# A log begins some time after the machine did, and at a fixed date, so that equal traces give equal files.
ORIGIN = 10_000_000_000
START = 133_500_000_000_000_000
TICK_NS = 100
_MEMORY = 16 << 20
_FLUSHED, _HEADER_BUFFER = 1, 4
_NOBODY = 0xFFFFFFFF

_BUFFER = Struct("<IIIiQQQHHIIHH16x")
_SYSTEM = Struct("<HBBHBBIIQ8x")
_FACTS = Struct("<IIIIQIIIIIIIIQQ172x4xQQQII")
_EVENT = Struct("<HBBHHIIQ16sHBBBBHQ8x16x")
_ITEM = Struct("<HHHH")
_VERSION = 0x0501_000A
_NAMES = "kmclcheck\0kmclcheck.etl\0".encode("utf-16-le")
TRACELOGGING_CHANNEL = 11
# What names of providers are hashed with, so that a name gives a GUID.
_NAMESPACE = UUID("482c2db2-c390-47c8-87f8-1a15bfc130fb")
# Fields of the shim that are no parameters, and what its event names are made of.
RESERVED = frozenset({"Seq", "Irql", "function", "phase", "endpoint"})
_ENTRIES = (Phase.CALL, Phase.IN)
_MIN_SIGNED, _MAX_UNSIGNED = -(1 << 63), (1 << 64) - 1
_MAX_TEXT = 0xFFFF


@dataclass(frozen=True, slots=True)
class Losses:
    """What a session says it lost."""

    events: int = 0
    buffers: int = 0


def provider_guid(name: str) -> bytes:
    """Return the GUID that belongs to a name by convention, as it stands in an event."""
    digest = bytearray(
        sha1(_NAMESPACE.bytes + name.upper().encode("utf-16-be"), usedforsecurity=False).digest()
    )
    digest[7] = digest[7] & 0x0F | 0x50
    return bytes(digest[:16])


def event_record(
    time: int, provider: bytes, pid: int | None, tid: int | None, data: bytes, items: bytes = b"",
    id: int = 0, version: int = 0, channel: int = 0,
) -> bytes:  # fmt: skip
    """Return an event with its header and extended items. Raises ValueError if it is too long."""
    size = _EVENT.size + len(items) + len(data)
    if size > _MAX_TEXT:
        raise ValueError(f"an event of {size} bytes is too long for a log")
    head = _EVENT.pack(
        size, 0x13, 0xC0, 1 if items else 0, 0, _thread(tid), _thread(pid), time, provider,
        id, version, channel, 5, 0, 0, 0,
    )  # fmt: skip
    return head + items + data


def extended(items: Iterable[tuple[int, bytes]]) -> bytes:
    """Return extended items, given as type and data."""
    pieces = []
    left = list(items)
    for number, (type_, data) in enumerate(left, 1):
        size = (_ITEM.size + len(data) + 7) & -8
        pieces.append(_ITEM.pack(size, type_, int(number < len(left)), len(data)) + data)
        pieces.append(bytes(size - _ITEM.size - len(data)))
    return b"".join(pieces)


def describe(name: str, fields: Iterable[bytes]) -> bytes:
    """Return the description of an event, from the descriptions of its fields."""
    body = b"\0" + _utf8(name) + b"\0" + b"".join(fields)
    return pack("<H", len(body) + 2) + body


def describe_field(name: str, type_: int, out: int = 0) -> bytes:
    """Return the description of a field of one value."""
    return _utf8(name) + b"\0" + (bytes([type_ | 0x80, out]) if out else bytes([type_]))


def traits(name: str) -> bytes:
    """Return the item that tells the name of a provider."""
    body = _utf8(name) + b"\0"
    return pack("<H", len(body) + 2) + body


class LogWriter:
    """Collects records in a buffer for each CPU, and writes a buffer when it is full.

    What is left is written CPU by CPU at the end, so a file with several CPUs is not in the order of time.
    ``compressed``: the buffers are in the form of compressed ones, though not smaller.
    """

    def __init__(self, buffer_size: int = BUFFER_SIZE, compressed: bool = False) -> None:
        if not BUFFER_HEADER < buffer_size <= MAX_BUFFER:
            raise ValueError(f"a buffer cannot have {buffer_size} bytes")
        self._size = buffer_size
        self._compressed = compressed
        self._open: dict[int, bytearray] = {}
        self._body = cast("BinaryIO", SpooledTemporaryFile(max_size=_MEMORY))  # noqa: SIM115 (closed by finish)
        self._written = 0
        self.latest = ORIGIN

    def add(self, cpu: int, time: int, record: bytes) -> None:
        """Add a record of a raw time to the buffer of its CPU."""
        if BUFFER_HEADER + len(record) + 7 > self._size:
            raise ValueError(f"a record of {len(record)} bytes does not fit into a buffer")
        self.latest = max(self.latest, time)
        buffer = self._open.setdefault(cpu, bytearray())
        if BUFFER_HEADER + len(buffer) + len(record) + 7 > self._size:
            self._flush(cpu)
        buffer += record
        buffer += bytes(-len(record) % 8)

    def finish(self, stream: BinaryIO, losses: Losses = Losses()) -> None:
        """Write the log."""
        for cpu in sorted(self._open, reverse=True):
            if self._open[cpu]:
                self._flush(cpu)
        stream.write(self._header(losses))
        self._body.seek(0)
        copyfileobj(self._body, stream)
        self._body.close()

    def _flush(self, cpu: int) -> None:
        buffer = self._open[cpu]
        self._written += 1
        filled = BUFFER_HEADER + len(buffer)
        content = compress(bytes(buffer)) if self._compressed else bytes(buffer)
        size = BUFFER_HEADER + len(content) if self._compressed else self._size
        flags = WIDE_CPU | (COMPRESSED if self._compressed else 0)
        self._body.write(_buffer(size, filled, self.latest, self._written, cpu, flags))
        self._body.write(content)
        self._body.write(bytes(size - BUFFER_HEADER - len(content)))
        buffer.clear()

    def _header(self, losses: Losses) -> bytes:
        cpus = max(self._open, default=0) + 1
        mode = SEQUENTIAL | (COMPRESSED_MODE if self._compressed else 0)
        facts = _FACTS.pack(
            max(self._size, 1024), _VERSION, 19041, cpus, START, 156_250, 0, mode, self._written + 1, 1, 8,
            min(losses.events, _NOBODY), 2000, 0, 0,
            START, FILETIME_TICKS, START, Clock.QPC, min(losses.buffers, _NOBODY),
        ) + _NAMES  # fmt: skip
        size = _SYSTEM.size + len(facts)
        record = _SYSTEM.pack(2, 2, 0xC0, size, 0, 0, 0, 0, ORIGIN) + facts
        filled = BUFFER_HEADER + (size + 7 & -8)
        head = _buffer(HEADER_BUFFER, filled, 0, 0, 0, WIDE_CPU | _FLUSHED, _HEADER_BUFFER)
        return (head + record).ljust(HEADER_BUFFER, b"\0")


def write_etl(
    items: Iterable[Item], info: TraceInfo, stream: BinaryIO, buffer_size: int = BUFFER_SIZE,
    compressed: bool = False,
) -> None:  # fmt: skip
    """Write a trace as the shim's events. Times become multiples of 100 ns; a loss keeps its count only.

    An event without a CPU is written as one of CPU 0, one without a time at that of its predecessor. Raises
    ValueError for what an event cannot hold.
    """
    writer = LogWriter(buffer_size, compressed)
    kinds: dict[tuple[object, ...], tuple[bytes, bytes]] = {}
    time, events, buffers = 0, 0, 0
    for item in shim_records(_checked(items), info):
        if isinstance(item, Loss):
            events += item.count or 0
            buffers += not item.count
            continue
        time = item.time if item.time is not None else time
        if not 0 <= time <= _MAX_UNSIGNED:
            raise ValueError(f"time {time} is not between 0 and {_MAX_UNSIGNED}")
        types, data = _values(item.fields)
        kind = item.provider, item.event, *item.fields, *types
        known = kinds.get(kind)
        if known is None:
            known = kinds[kind] = provider_guid(item.provider), _kind(item, types)
        raw = ORIGIN + time // TICK_NS
        # What happens in the same tick on another CPU has no order, but load and unload have one.
        if item.event == LOADED:
            raw = max(raw - 1, ORIGIN)
        elif item.event == UNLOADED:
            raw = writer.latest + 1
        writer.add(
            _natural(item.cpu or 0, 0xFFFF, "CPU"),
            raw,
            event_record(raw, known[0], item.pid, item.tid, data, known[1], channel=TRACELOGGING_CHANNEL),
        )
    if info.lost_anywhere and not events:
        buffers = max(buffers, 1)
    writer.finish(stream, Losses(events, buffers))


def _checked(items: Iterable[Item]) -> Iterator[Item]:
    for item in items:
        if isinstance(item, Event):
            entry = item.phase in _ENTRIES
            taken = RESERVED.intersection(item.args) | ({"Status"} & item.args.keys() if not entry else set())
            if taken:
                name = sorted(taken)[0]
                raise ValueError(f"an argument cannot be named {name!r} in an event of the shim")
            if entry and item.status is not None:
                raise ValueError(
                    f"{item.name}.{item.phase.value} cannot have a status in an event of the shim"
                )
        yield item


_TYPES: dict[str, tuple[int, int]] = {
    "u": (In.UINT64, 0),
    "x": (In.HEX64, 0),
    "b": (In.UINT8, 0),
    "s": (In.INT64, 0),
    "z": (In.NARROW, Out.UTF8),
    "c": (In.COUNTED_NARROW, Out.UTF8),
}


def _kind(record: Record, types: str) -> bytes:
    """Return the extended items that tell provider, event and fields."""
    fields = [describe_field(name, *_TYPES[type_]) for name, type_ in zip(record.fields, types, strict=True)]
    return extended([(12, traits(record.provider)), (11, describe(record.event, fields))])


def _values(fields: dict[str, FieldValue]) -> tuple[str, bytes]:
    """Return the types of the fields, a letter each, and their data."""
    types, parts = "", []
    for name, value in fields.items():
        if isinstance(value, str):
            text = _utf8(value, "")
            if len(text) > _MAX_TEXT:
                raise ValueError(f"the text of {name} is too long")
            counted = b"\0" in text
            types += "c" if counted else "z"
            parts += [pack("<H", len(text)), text] if counted else [text, b"\0"]
        elif name == "Irql" and 0 <= value <= 0xFF:
            types += "b"
            parts.append(bytes([value]))
        elif 0 <= value <= _MAX_UNSIGNED:
            types += "u" if name == "Seq" else "x"
            parts.append(pack("<Q", value))
        elif _MIN_SIGNED <= value < 0:
            types += "s"
            parts.append(pack("<q", value))
        else:
            raise ValueError(f"{name}={value} does not fit 64 bits")
    return types, b"".join(parts)


def _utf8(text: str, forbidden: str = "\0") -> bytes:
    if forbidden and forbidden in text:
        raise ValueError(f"the name {text[:60]!r} holds a character that ends it")
    return text.encode("utf-8")


def _thread(value: int | None) -> int:
    return _NOBODY if value is None else _natural(value, _NOBODY - 1, "process or thread id")


def _natural(value: int, limit: int, what: str) -> int:
    if not 0 <= value <= limit:
        raise ValueError(f"{what} {value} is not between 0 and {limit}")
    return value


def _buffer(size: int, filled: int, flushed: int, number: int, cpu: int, flags: int, kind: int = 0) -> bytes:
    return _BUFFER.pack(size, filled, filled, 0, flushed, number, 0, cpu, 0, 3, filled, flags, kind)
