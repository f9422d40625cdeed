"""Raw event trace logs (.etl), read and written without Windows; ``docs/etl.md`` says what is read."""

from __future__ import annotations

from kmclcheck.traces.etw.etl.stream import EtlStream
from kmclcheck.traces.etw.etl.writer import write_etl

__all__ = ["EtlStream", "write_etl"]
