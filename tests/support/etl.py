"""Logs for tests: whole ones, and every part of one to put together as a test wants it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import pack, pack_into

import pytest

from kmclcheck.model.event import Loss
from kmclcheck.traces.etw.etl.schema import In
from kmclcheck.traces.etw.etl.writer import (
    ORIGIN,
    TRACELOGGING_CHANNEL,
    LogWriter,
    Losses,
    describe,
    event_record,
    extended,
    provider_guid,
    traits,
)
from tests.support.etw_text import Result, read_records

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples" / "etl"
needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="the sample files are not beside this checkout (../shared/samples)"
)
PROVIDER = "KmclTrace.A"
# Offsets in a file of a 64-bit session.
BUFFERS_WRITTEN, MODE, CPUS, EVENTS_LOST, FREQUENCY, CLOCK, BUFFERS_LOST = (
    0x8C, 0x88, 0x74, 0x98, 0x168, 0x178, 0x17C,
)  # fmt: skip
FIRST_BUFFER = 8 << 10


@dataclass(frozen=True)
class Put:
    """A record at a time on a CPU."""

    time: int
    record: bytes
    cpu: int = 0


def logging(
    name: str, fields: Sequence[bytes] = (), data: bytes = b"", time: int = 0, provider: str = PROVIDER
) -> bytes:
    """Return a TraceLogging event; fields are descriptions."""
    return described(describe(name, fields), data, time, provider)


def described(schema: bytes, data: bytes = b"", time: int = 0, provider: str = PROVIDER) -> bytes:
    """Return a TraceLogging event with any description."""
    items = extended([(12, traits(provider)), (11, schema)])
    raw = ORIGIN + time
    return event_record(raw, provider_guid(provider), 4, 8, data, items, channel=TRACELOGGING_CHANNEL)


def shim(name: str, seq: int, time: int) -> bytes:
    """Return an event of the shim that has a number and a channel."""
    fields = [b"Seq\0" + bytes([In.UINT64]), b"Channel\0" + bytes([In.HEX64])]
    return logging(name, fields, pack("<QQ", seq, 0x10), time)


def plain(time: int) -> bytes:
    """Return an event of the shim without a number."""
    return logging("VmbChannelStart.call", [b"Channel\0" + bytes([In.HEX64])], pack("<Q", 0x10), time)


def message(time: int, flags: int = 0x2A, number: int = 10) -> bytes:
    """Return a WPP message; by default with GUID, time, thread and process."""
    body = b""
    if flags & 0x1:
        body += pack("<I", 1)
    if flags & 0x2:
        body += bytes(range(16))
    elif flags & 0x4:
        body += pack("<I", 77)
    if flags & 0x8:
        body += pack("<Q", ORIGIN + time)
    if flags & 0x20:
        body += pack("<II", 8, 4)
    body += b"data"
    return pack("<HBBHH", 8 + len(body), 0, 0x90, number, flags) + body


def manifest(guid: bytes, id: int, version: int, data: bytes, time: int = 0) -> bytes:
    """Return an event that a manifest describes."""
    return event_record(ORIGIN + time, guid, 4, 8, data, b"", id, version)


def kernel(time: int, group: int = 3, type_: int = 1) -> bytes:
    """Return a record of the kernel with thread and process."""
    return pack("<HBBHBBIIQ8x", 2, 2, 0xC0, 32, type_, group, 0xFFFFFFFF, 4, ORIGIN + time)


def classic(time: int) -> bytes:
    """Return an event of a classic provider."""
    return pack("<HBBBBHIIQ16s8x", 48, 0x14, 0xC0, 35, 0, 0, 8, 4, ORIGIN + time, bytes(range(16)))


def log(
    *puts: Put,
    buffer_size: int = 1024,
    compressed: bool = False,
    losses: Losses = Losses(),  # noqa: B008
) -> bytes:
    """Return a log of some records."""
    writer = LogWriter(buffer_size, compressed)
    for put in puts:
        writer.add(put.cpu, ORIGIN + put.time, put.record)
    stream = io.BytesIO()
    writer.finish(stream, losses)
    return stream.getvalue()


def patched(data: bytes, *changes: tuple[int, str, int]) -> bytes:
    """Return a copy with numbers changed, given as offset, format and value."""
    copy = bytearray(data)
    for offset, format, value in changes:
        pack_into("<" + format, copy, offset, value)
    return bytes(copy)


def read(data: bytes) -> Result:
    return read_records(data, "etl")


def names(result: Result) -> list[str]:
    return [record.event for record in result.records]


def anywhere(result: Result) -> list[Loss]:
    return [loss for loss in result.losses if loss.anywhere]
