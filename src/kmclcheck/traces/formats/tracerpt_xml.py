"""What ``tracerpt LOG.etl -o LOG.xml -of XML`` writes, and the Event Viewer's XML.

``docs/etw-text.md`` says what is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import BinaryIO

from kmclcheck.model.event import TraceInfo
from kmclcheck.traces.base import ByteSource, Item, TraceFormat, TraceReader
from kmclcheck.traces.options import ReadOptions
from kmclcheck.traces.wide import head_text

RESOLUTION = 100
# A document type is recognised, too, so that the reader can say what is wrong with it.
_SNIFF = re.compile(
    r"\s*(?:<\?xml[^>]*\?>)?\s*(?:<!--(?:(?!-->).)*-->\s*)*(?:<Events?[\s>/]|<!DOCTYPE\s+Events?\b)",
    re.DOTALL,
)


class TracerptXmlFormat(TraceFormat):
    """XML of tracerpt."""

    name = "tracerpt-xml"
    suffixes = (".xml",)
    title = "XML of tracerpt, <Events>"
    writes = True

    def sniff(self, head: bytes) -> bool:
        text = head_text(head)
        return _SNIFF.match(text) is not None

    def open(self, source: ByteSource, options: ReadOptions) -> TraceReader:
        from kmclcheck.traces.formats._etw_text import TextReader
        from kmclcheck.traces.formats._tracerpt_xml import XmlRecords

        info = TraceInfo(source.path, self.name, window=RESOLUTION)
        return TextReader(source, info, options, lambda report: iter(XmlRecords(source, info, report)))

    def write(self, stream: BinaryIO, items: Iterable[Item], info: TraceInfo) -> None:
        from kmclcheck.traces.formats._tracerpt_writer import write_xml

        write_xml(stream, items, info)


FORMAT = TracerptXmlFormat()
