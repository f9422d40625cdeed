"""The text of ``xperf -i LOG.etl -o LOG.txt -a dumper``; ``dumper.lark`` defines a line.

``docs/etw-text.md`` says what is read.
"""

from __future__ import annotations

import re

from kmclcheck.model.event import TraceInfo
from kmclcheck.traces.base import ByteSource, TraceFormat, TraceReader
from kmclcheck.traces.options import ReadOptions
from kmclcheck.traces.wide import head_text

MICROSECOND = 1000
_SNIFF = re.compile(r"\s*BeginHeader[ \t]*\r?\n")


class DumperFormat(TraceFormat):
    """Text of xperf's dumper."""

    name = "xperf-dumper"
    # The tool has no suffix of its own, and .txt would take any text for a trace.
    suffixes = ()
    title = "text of xperf -a dumper, BeginHeader"

    def sniff(self, head: bytes) -> bool:
        return _SNIFF.match(head_text(head)) is not None

    def open(self, source: ByteSource, options: ReadOptions) -> TraceReader:
        from kmclcheck.traces.formats._dumper import DumperRecords
        from kmclcheck.traces.formats._etw_text import TextReader

        info = TraceInfo(source.path, self.name, window=MICROSECOND)
        return TextReader(source, info, options, lambda report: iter(DumperRecords(source, info, report)))


FORMAT = DumperFormat()
