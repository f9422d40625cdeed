"""Turns the records of a buffer into what the mapping understands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

from kmclcheck.traces.etw.etl import records as kinds
from kmclcheck.traces.etw.etl.manifest import PROVIDERS, ManifestEvents
from kmclcheck.traces.etw.etl.schema import SchemaError, parse_schema
from kmclcheck.traces.etw.etl.tracelogging import DecodeError, Decoder
from kmclcheck.traces.etw.etl.values import guid, narrow
from kmclcheck.traces.etw.record import FieldValue, Record

_EVENT = Struct("<H2xH2xII8x16sHB")
_EVENT_SIZE = 80
_ITEM = Struct("<HHHH")
_CLASSIC = Struct("<HBBBBHII8x16s")
_SYSTEM = Struct("<HBBHBBII")
_MESSAGE = Struct("<HBBHH")
_THREAD = Struct("<II")
EXTENDED = 0x1
_SCHEMA, _TRAITS = 11, 12
_KIND = (_SCHEMA, _TRAITS)
_NOBODY = 0xFFFFFFFF
# Kinds of events, providers and labels that are remembered; a full memory is emptied.
MEMORY = 4096
# Descriptions can be long, so their bytes are limited, too.
MEMORY_BYTES = 1 << 20
_NO_FIELDS: dict[str, FieldValue] = {}  # shared: nobody changes a record's fields

KERNEL = "Windows Kernel"
_GROUPS = {
    0x00: "EventTrace", 0x01: "DiskIo", 0x02: "PageFault", 0x03: "Process", 0x04: "FileIo", 0x05: "Thread",
    0x06: "TcpIp", 0x07: "Job", 0x08: "UdpIp", 0x09: "Registry", 0x0A: "DbgPrint", 0x0B: "SystemConfig",
    0x0D: "Wnf", 0x0E: "Pool", 0x0F: "PerfInfo", 0x10: "Heap", 0x11: "Object", 0x12: "Power",
    0x13: "ModBound", 0x14: "Image", 0x15: "Dpc", 0x16: "CacheManager", 0x17: "CriticalSection",
    0x18: "StackWalk", 0x19: "Ums", 0x1A: "Alpc", 0x1B: "SplitIo", 0x1C: "ThreadPool", 0x1D: "Hypervisor",
    0x1E: "HypervisorX",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the extended items of an event say, which are the same for all events of one kind."""

    provider: str = ""
    decoder: Decoder | None = None
    problem: str = ""


class _Limited(dict[bytes, _Kind]):
    """Remembers kinds of events within a number of entries and of bytes."""

    _bytes = 0

    def keep(self, key: bytes, kind: _Kind) -> _Kind:
        self._bytes += len(key)
        if len(self) >= MEMORY or self._bytes > MEMORY_BYTES:
            self.clear()
            self._bytes = len(key)
        self[key] = kind
        return kind


class RecordDecoder:
    """Decodes records; ``tell`` is told what a person may want to know about the file.

    ``events`` and ``messages`` count what was seen: events of any provider, and WPP messages.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._manifest = ManifestEvents(tell)
        self._kinds = _Limited()
        self._guids: dict[bytes, str] = {}
        self._labels: dict[tuple[int, bytes | int], tuple[str, str, str]] = {}
        self.events = 0
        self.messages = 0

    def decode(self, data: bytes, at: int, time: int, cpu: int | None) -> Record:
        """Return the record at a place that ``scan`` found."""
        kind, marker = data[at + 2], data[at + 3]
        if kind in kinds.EVENT and marker & 0xF0 != kinds.WPP:
            return self._event(data, at, time, cpu)
        if marker & 0xF0 == kinds.WPP:
            return self._message(data, at, time, cpu)
        return self._old(data, at, time, cpu)

    def _event(self, data: bytes, at: int, time: int, cpu: int | None) -> Record:
        size, flags, tid, pid, provider, id_, version = _EVENT.unpack_from(data, at)
        end = at + size
        name = self._guids.get(provider) or self._guid(provider)
        self.events += 1
        record = Record(
            "", name, "", _NO_FIELDS, "", id_, version, time, cpu,
            pid if pid != _NOBODY else None, tid if tid != _NOBODY else None,
        )  # fmt: skip
        body = at + _EVENT_SIZE
        if flags & EXTENDED:
            found = self._extended(data, body, end)
            if found is None:
                record.damaged = "its extended items do not fit into it"
                return record
            kind, body = found
            record.provider = kind.provider
            if kind.problem:
                record.damaged = kind.problem
                return record
            decoder = kind.decoder
            if decoder is not None:
                record.event = decoder.name
                try:
                    record.fields = decoder.decode(data, body, end)
                except DecodeError as error:
                    record.fields = error.fields
                    record.damaged = str(error)
                return record
        if name in PROVIDERS:
            record.provider = PROVIDERS[name]
            fields, record.damaged = self._manifest.decode(name, id_, version, data, body, end)
            if fields is not None:
                record.fields = fields
                return record
        record.payload = data[body:end]
        return record

    def _extended(self, data: bytes, at: int, end: int) -> tuple[_Kind, int] | None:
        """Return what the extended items say, and where they end."""
        first = at
        plain = True
        while at + _ITEM.size <= end:
            size, type_, linked, length = _ITEM.unpack_from(data, at)
            if size < _ITEM.size + length or at + size > end:
                return None
            plain = plain and type_ in _KIND
            at += size
            if linked & 1:
                continue
            # Items such as stack traces differ from event to event; the others tell its kind.
            key = data[first:at] if plain else b"".join(_told(data, first, at))
            kind = self._kinds.get(key)
            return (self._kinds.keep(key, _kind(key)) if kind is None else kind), at
        return None

    def _message(self, data: bytes, at: int, time: int, cpu: int | None) -> Record:
        _, _, _, number, flags = _MESSAGE.unpack_from(data, at)
        who, _, thread, _ = kinds.message_layout(flags)
        tid = pid = None
        if thread is not None:
            tid, pid = _THREAD.unpack_from(data, at + thread)
        self.messages += 1
        if not who:
            label = "WPP"
        elif flags & kinds.HAS_GUID:
            label = f"WPP {{{self._guid(data[at + who : at + who + 16])}}}"
        else:
            label = f"WPP component {int.from_bytes(data[at + who : at + who + 4], 'little')}"
        return Record(
            event=label, id=number, time=time, cpu=cpu,
            pid=None if pid == _NOBODY else pid, tid=None if tid == _NOBODY else tid,
        )  # fmt: skip

    def _old(self, data: bytes, at: int, time: int, cpu: int | None) -> Record:
        """Return a record of the kernel or of a classic provider, which is only counted."""
        kind = data[at + 2]
        tid = pid = None
        what: tuple[int, bytes | int]
        if kind in kinds.FULL or kind in kinds.INSTANCE:
            _, _, _, type_, _, _, tid, pid, provider = _CLASSIC.unpack_from(data, at)
            # Records of instances have a number of this process where others have the provider.
            what = type_, provider if kind in kinds.FULL else -1
        else:
            if kind in kinds.PERF:
                type_, group = data[at + 6], data[at + 7]
            else:
                _, _, _, _, type_, group, tid, pid = _SYSTEM.unpack_from(data, at)
            what = type_, group
        names = self._labels.get(what)
        if names is None:
            if len(self._labels) >= MEMORY:
                self._labels.clear()
            names = self._labels[what] = self._named(*what)
        return Record(
            *names, _NO_FIELDS, "", what[0], 0, time, cpu,
            None if pid == _NOBODY else pid, None if tid == _NOBODY else tid,
        )  # fmt: skip

    def _named(self, type_: int, provider: bytes | int) -> tuple[str, str, str]:
        """Return provider, GUID and event name of a record without a name of its own."""
        if isinstance(provider, bytes):
            return "", self._guid(provider), f"type {type_}"
        if provider < 0:
            return "", "", f"instance event type {type_}"
        return KERNEL, "", f"{_GROUPS.get(provider, f'group {provider}')} {type_}"

    def _guid(self, data: bytes) -> str:
        known = self._guids.get(data)
        if known is None:
            if len(self._guids) >= MEMORY:
                self._guids.clear()
            known = self._guids[data] = guid(data)
        return known


def _told(data: bytes, at: int, end: int) -> list[bytes]:
    """Return the items that tell the kind of an event, each with its header."""
    found = []
    while at < end:
        size, type_, _, _ = _ITEM.unpack_from(data, at)
        if type_ in _KIND:
            found.append(data[at : at + size])
        at += size
    return found


def _kind(items: bytes) -> _Kind:
    """Read the items that tell the kind of an event."""
    provider, decoder, problem = "", None, ""
    at = 0
    while at < len(items):
        size, type_, _, length = _ITEM.unpack_from(items, at)
        body = items[at + _ITEM.size : at + _ITEM.size + length]
        at += size
        if type_ == _TRAITS:
            provider = narrow(body[2:].split(b"\0", 1)[0])
        else:
            try:
                decoder = Decoder(parse_schema(body))
            except SchemaError as error:
                problem = str(error)
    return _Kind(provider, decoder, problem)
