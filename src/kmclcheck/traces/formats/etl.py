"""Reader and writer of raw event trace logs, ``docs/etl.md``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from kmclcheck.model.event import TraceInfo
from kmclcheck.traces.base import ByteSource, Item, TraceFormat, TraceReader
from kmclcheck.traces.etw.builtin import mapping_for
from kmclcheck.traces.etw.etl.header import looks_like_log
from kmclcheck.traces.etw.etl.stream import EtlStream
from kmclcheck.traces.etw.etl.writer import write_etl
from kmclcheck.traces.etw.reader import EtwReader
from kmclcheck.traces.options import ReadOptions


class EtlReader(EtwReader):
    """Reads a log; a pipe is kept until its end first."""

    def __init__(self, source: ByteSource, options: ReadOptions) -> None:
        info = TraceInfo(path=source.path, format="etl")
        # Nothing is read, so nothing is reported, before the base class is set up.
        mapping = mapping_for(options)
        stream = EtlStream(source, info, self.report, mapping.concerns)
        super().__init__(info, mapping, stream.records(), stream.position)


class EtlFormat(TraceFormat):
    """Raw logs of Windows sessions."""

    name = "etl"
    suffixes = (".etl",)
    title = "raw Windows event trace log"
    writes = True

    def sniff(self, head: bytes) -> bool:
        return looks_like_log(head)

    def open(self, source: ByteSource, options: ReadOptions) -> TraceReader:
        return EtlReader(source, options)

    def write(self, stream: BinaryIO, items: Iterable[Item], info: TraceInfo) -> None:
        write_etl(items, info, stream)


FORMAT = EtlFormat()
