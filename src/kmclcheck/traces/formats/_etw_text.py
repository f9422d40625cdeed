"""What the readers of Windows events as text have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kmclcheck.diagnostics import Diagnostic
from kmclcheck.model.event import Loss, TraceInfo
from kmclcheck.traces.base import ByteSource
from kmclcheck.traces.etw.builtin import mapping_for
from kmclcheck.traces.etw.reader import EtwReader
from kmclcheck.traces.etw.record import Record
from kmclcheck.traces.options import ReadOptions

Report = Callable[[Diagnostic], None]
Records = Iterator[Record | Loss]


class TextReader(EtwReader):
    """Maps the records that ``make`` gives, which is told how to report a problem."""

    def __init__(
        self, source: ByteSource, info: TraceInfo, options: ReadOptions, make: Callable[[Report], Records]
    ) -> None:
        def records() -> Records:
            try:
                yield from make(self.report)
            finally:
                source.close()

        super().__init__(info, mapping_for(options), records(), lambda: source.bytes_read)
