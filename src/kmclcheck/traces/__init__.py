"""Readers and writers of traces. A reader's only work is to produce events."""

from __future__ import annotations

from kmclcheck.traces.base import ByteSource, TraceFormat, TraceReader
from kmclcheck.traces.options import ReadOptions
from kmclcheck.traces.records import is_declared
from kmclcheck.traces.registry import known_formats, open_trace, read_text

__all__ = [
    "ByteSource",
    "ReadOptions",
    "TraceFormat",
    "TraceReader",
    "is_declared",
    "known_formats",
    "open_trace",
    "read_text",
]
