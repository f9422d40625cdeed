"""The text that tracefmt, TraceView and ``netsh trace convert`` write; ``tracefmt.lark`` defines a line.

``docs/etw-text.md`` says what is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import BinaryIO

from kmclcheck.model.event import TraceInfo
from kmclcheck.traces.base import ByteSource, Item, TraceFormat, TraceReader, input_error
from kmclcheck.traces.options import ReadOptions
from kmclcheck.traces.wide import head_text

SNIFFED_LINES = 40
_HEAD_LINE = re.compile(
    r"[ \t]*\[([0-9]{1,5}|-)\]([0-9A-Fa-f]{1,16}|-)\.([0-9A-Fa-f]{1,16}|-)::"
    r"([0-9]{1,4}/[0-9]{1,2}/[0-9]{1,4}-[0-9]{2}:[0-9]{2}:[0-9]{2}|-[ \t]*\[)"
)


class TracefmtFormat(TraceFormat):
    """Text of tracefmt and of netsh."""

    name = "tracefmt"
    suffixes = (".txt",)
    title = "text of tracefmt, TraceView or netsh trace convert"
    writes = True

    def sniff(self, head: bytes) -> bool:
        lines = head_text(head).split("\n", SNIFFED_LINES)[:SNIFFED_LINES]
        return any(_HEAD_LINE.match(line) for line in lines)

    def open(self, source: ByteSource, options: ReadOptions) -> TraceReader:
        from kmclcheck.traces.etw.builtin import mapping_for
        from kmclcheck.traces.etw.templates import TemplateError
        from kmclcheck.traces.formats._etw_text import TextReader
        from kmclcheck.traces.formats._tracefmt import TracefmtRecords
        from kmclcheck.traces.formats._tracefmt_prefix import OwnPrefix

        info = TraceInfo(source.path, self.name)
        mapping = mapping_for(options)
        try:
            prefix = OwnPrefix(options.prefix) if options.prefix else None
        except TemplateError as error:
            message = f"the prefix {options.prefix!r} is wrong at column {error.column}: {error}"
            raise input_error(message, source.path, "end it with the text before the message") from None
        return TextReader(
            source, info, options,
            lambda report: iter(TracefmtRecords(source, info, report, mapping, prefix)),
        )  # fmt: skip

    def write(self, stream: BinaryIO, items: Iterable[Item], info: TraceInfo) -> None:
        from kmclcheck.traces.formats._tracefmt_writer import write_text

        write_text(stream, items, info)


FORMAT = TracefmtFormat()
