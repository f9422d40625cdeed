"""What the readers of Windows events as text have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kmclcheck.diagnostics import Diagnostic, Level
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
        def tell(text: str) -> None:
            self.report(Diagnostic(Level.WARNING, f"{source.path}: {text}"))

        def records() -> Records:
            decode: Callable[[Record], None] | None = None
            try:
                for record in make(self.report):
                    if isinstance(record, Record) and record.payload:
                        decode = decode or _decoder(tell)
                        decode(record)
                    yield record
            finally:
                source.close()

        super().__init__(info, mapping_for(options), records(), lambda: source.bytes_read)


def _decoder(tell: Callable[[str], None]) -> Callable[[Record], None]:
    """Return what reads the data of events whose fields the tool did not know; KMCL's are known here."""
    from kmclcheck.traces.etw.etl.manifest import PROVIDERS, ManifestEvents

    manifest = ManifestEvents(tell)

    def decode(record: Record) -> None:
        if record.guid not in PROVIDERS:
            return
        size = len(record.payload)
        fields, why = manifest.decode(record.guid, record.id, record.version, record.payload, 0, size)
        if fields is None:
            record.damaged = why or record.damaged
        else:
            record.fields.update(fields)
            record.damaged = ""

    return decode
