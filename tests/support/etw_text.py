"""Reading Windows events in tests: what a format gives before any mapping, and after."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kmclcheck.model.event import Event, Loss, TraceInfo
from kmclcheck.traces import ByteSource, ReadOptions, TraceReader, known_formats
from kmclcheck.traces.base import Item
from kmclcheck.traces.etw import Mapping, Record

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples" / "text"
needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="the sample files are not beside this checkout (../shared/samples)"
)


class Seen(Mapping):
    """Keeps every record that it is asked about, and maps none."""

    def __init__(self, mapping: Mapping | None = None) -> None:
        super().__init__(mapping.rules if mapping is not None else [])
        self.records: list[Record] = []

    def __add__(self, other: Mapping) -> Mapping:
        return self

    def map(self, record: Record) -> None:
        self.records.append(record)


@dataclass
class Result:
    """Records and losses in their order, apart from each other, and the reader."""

    records: list[Record]
    losses: list[Loss]
    reader: TraceReader

    @property
    def one(self) -> Record:
        (record,) = self.records
        return record


def open_bytes(data: bytes, format: str, options: ReadOptions | None = None) -> TraceReader:
    source = ByteSource(io.BytesIO(data), "trace")
    return known_formats()[format].open(source, options or ReadOptions())


def read_records(data: bytes, format: str, prefix: str = "", mapping: Mapping | None = None) -> Result:
    """Read a file in memory and return what it holds before mapping."""
    seen = Seen(mapping)
    reader = open_bytes(data, format, ReadOptions(seen, prefix))
    losses = [item for item in reader if isinstance(item, Loss)]
    return Result(seen.records, losses, reader)


def sniffed(head: bytes) -> list[str]:
    """Return the names of the formats that recognise a head."""
    return [name for name, candidate in known_formats().items() if candidate.sniff(head)]


def written(format: str, items: list[Item], info: TraceInfo) -> bytes:
    stream = io.BytesIO()
    known_formats()[format].write(stream, items, info)
    return stream.getvalue()


def events_of(items: list[Item], endpoint: str = "driver") -> list[Event]:
    """Return the events without their positions; one without an endpoint gets the shim's name for it."""
    return [
        replace(item, line=0, offset=0, endpoint=item.endpoint or endpoint)
        for item in items
        if isinstance(item, Event)
    ]
