"""Writes traces as tracerpt would print the events of the capture kit's shim."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import BinaryIO

from kmclcheck.model.event import Loss, TraceInfo
from kmclcheck.traces.base import Item
from kmclcheck.traces.etw.clock import split_time
from kmclcheck.traces.etw.record import Record
from kmclcheck.traces.etw.shim import shim_records
from kmclcheck.traces.etw.values import print_value
from kmclcheck.traces.formats._tracerpt_events import HEADER_GUID
from kmclcheck.traces.wide import LITTLE, UTF8

NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"
_MARK = "\ufeff"
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
)
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def write_xml(stream: BinaryIO, items: Iterable[Item], info: TraceInfo, encoding: str = UTF8) -> None:
    """Write a trace in ``utf-8``, or in ``utf-16-le`` with a byte-order mark.

    Losses without a place among numbered events come as a header event at the end. Raises ValueError for
    strings that XML cannot hold.
    """
    if encoding == LITTLE:
        stream.write(_MARK.encode(LITTLE))
    stream.write("<Events>\n".encode(encoding))
    lost: list[Loss] = []
    for record in shim_records(items, info):
        if isinstance(record, Loss):
            lost.append(record)
        else:
            stream.write(_event(record).encode(encoding))
    if lost or info.lost_anywhere:
        stream.write(_event(_losses(lost)).encode(encoding))
    stream.write("</Events>\n".encode(encoding))


def _losses(lost: list[Loss]) -> Record:
    known = bool(lost) and all(loss.count is not None for loss in lost)
    count = sum(loss.count or 1 for loss in lost)
    # Nobody knows how many events stand in a lost buffer.
    return Record("", HEADER_GUID, "Header", {"EventsLost": count, "BuffersLost": 0 if known else 1})


def _event(record: Record) -> str:
    parts = [f'<Event xmlns="{NAMESPACE}">\n\t<System>\n\t\t<Provider']
    if record.provider:
        parts.append(f' Name="{_escape(record.provider)}"')
    if record.guid:
        parts.append(f' Guid="{{{record.guid}}}"')
    parts.append(f" />\n\t\t<EventID>{record.id}</EventID>\n\t\t<Version>{record.version}</Version>\n")
    if record.time is not None:
        day, clock, fraction = split_time(record.time)
        parts.append(f'\t\t<TimeCreated SystemTime="{day}T{clock}.{fraction}Z" />\n')
    parts.append("\t\t<Execution")
    for name, value in (("ProcessID", record.pid), ("ThreadID", record.tid), ("ProcessorID", record.cpu)):
        if value is not None:
            parts.append(f' {name}="{value}"')
    parts.append(" />\n\t</System>\n\t<EventData>\n")
    for name, field in record.fields.items():
        parts.append(f'\t\t<Data Name="{_escape(name)}">{_escape(print_value(field))}</Data>\n')
    parts.append("\t</EventData>\n\t<RenderingInfo>\n\t\t<Task>")
    parts.append(f"{_escape(record.event)}</Task>\n\t</RenderingInfo>\n</Event>\n")
    return "".join(parts)


def _escape(text: str) -> str:
    if _UNPRINTABLE.search(text):
        raise ValueError(f"{text[:40]!r} holds a character that XML does not allow")
    return text.translate(_ESCAPES)
