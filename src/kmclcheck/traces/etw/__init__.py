"""Windows events: what all formats that carry them share, and how they become ours."""

from __future__ import annotations

from kmclcheck.traces.etw.mapping import Mapping, mapping_from
from kmclcheck.traces.etw.reader import EtwReader
from kmclcheck.traces.etw.record import Record

__all__ = ["EtwReader", "Mapping", "Record", "mapping_from"]
