"""What ``tracerpt LOG.etl -o LOG.csv -of CSV`` writes.

``docs/etw-text.md`` says what is read and what is lost.
"""

from __future__ import annotations

import re

from kmclcheck.model.event import TraceInfo
from kmclcheck.traces.base import ByteSource, TraceFormat, TraceReader
from kmclcheck.traces.options import ReadOptions
from kmclcheck.traces.wide import head_text

RESOLUTION = 100
_HEAD = re.compile(r"\s*Event Name *, *Type *,")


class TracerptCsvFormat(TraceFormat):
    """CSV of tracerpt."""

    name = "tracerpt-csv"
    suffixes = (".csv",)
    title = "CSV of tracerpt"

    def sniff(self, head: bytes) -> bool:
        return _HEAD.match(head_text(head)) is not None

    def open(self, source: ByteSource, options: ReadOptions) -> TraceReader:
        from kmclcheck.traces.formats._etw_text import TextReader
        from kmclcheck.traces.formats._tracerpt_csv import CsvRecords

        info = TraceInfo(source.path, self.name, window=RESOLUTION)
        return TextReader(source, info, options, lambda report: iter(CsvRecords(source, info, report)))


FORMAT = TracerptCsvFormat()
