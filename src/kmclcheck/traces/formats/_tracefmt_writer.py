"""Writes traces as ``netsh trace convert`` would print the events of the capture kit's shim."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import BinaryIO

from kmclcheck.model.event import Loss, TraceInfo
from kmclcheck.traces.base import Item
from kmclcheck.traces.etw.clock import split_time
from kmclcheck.traces.etw.record import FieldValue, Record
from kmclcheck.traces.etw.shim import shim_records
from kmclcheck.traces.etw.values import print_value
from kmclcheck.traces.lines import MAX_LINE

# Other programs read a JSON number as a double.
_EXACT = 1 << 53
_CHANNEL, _LEVEL = 11, 4


def write_text(stream: BinaryIO, items: Iterable[Item], info: TraceInfo) -> None:
    """Write a line an event. Losses without a place among numbered events come as a closing summary.

    Raises ValueError for an event whose line would be too long, and for a parameter named ``meta``.
    """
    lost: list[Loss] = []
    for record in shim_records(items, info):
        if isinstance(record, Loss):
            lost.append(record)
        else:
            stream.write(_line(record))
    if lost or info.lost_anywhere:
        # A summary has to name a number, and one is the least.
        stream.write(f"EventsLost: {sum(loss.count or 1 for loss in lost) or 1}\n".encode())


def _line(record: Record) -> bytes:
    if "meta" in record.fields:
        raise ValueError("an argument cannot be named 'meta' in text of netsh")
    meta: dict[str, FieldValue] = {"provider": record.provider, "event": record.event}
    stamp = "-"
    if record.time is not None:
        day, clock, fraction = split_time(record.time)
        meta["time"] = f"{day}T{clock}.{fraction[:7]}Z"
        stamp = f"{day.replace('-', '/')}-{clock}.{fraction}"
    who = {"cpu": record.cpu, "pid": record.pid, "tid": record.tid}
    meta.update({name: value for name, value in who.items() if value is not None})
    meta.update(channel=_CHANNEL, level=_LEVEL, keywords="0x0")
    fields = {name: _value(value) for name, value in record.fields.items()}
    body = json.dumps({**fields, "meta": meta}, ensure_ascii=False, separators=(",", ":"))
    cpu = "-" if record.cpu is None else record.cpu
    line = f"[{cpu}]{_hex(record.pid)}.{_hex(record.tid)}::{stamp} [{record.provider}]{body}\n".encode()
    if len(line) > MAX_LINE:
        raise ValueError(f"an event is longer than {MAX_LINE} bytes")
    return line


def _hex(value: int | None) -> str:
    return "-" if value is None else f"{value:04X}"


def _value(value: FieldValue) -> FieldValue:
    return value if isinstance(value, int) and -_EXACT < value < _EXACT else print_value(value)
