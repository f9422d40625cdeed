"""Our events as the capture kit's shim writes them: the other direction of the built-in mapping."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kmclcheck.model.event import End, Event, Loss, Start, TraceInfo
from kmclcheck.traces.base import Item
from kmclcheck.traces.etw.record import FieldValue, Record

PROVIDER = "KmclTrace."
NAMELESS = "driver"
LOADED, UNLOADED, INCOMPLETE = "DriverLoaded", "DriverUnloaded", "Incomplete"


def provider_name(endpoint: str) -> str:
    """Return the name of the provider of a driver."""
    return PROVIDER + (endpoint or NAMELESS)


def shim_records(items: Iterable[Item], info: TraceInfo) -> Iterator[Record | Loss]:
    """Give the records of a trace, with the load and unload of every driver as far as the trace tells.

    A loss becomes a gap in the sequence numbers after it, unless they have one. One that no event of a
    driver follows is given as it is, and so is one in a trace without numbers. ``info`` is looked at for the
    start before, and for the end after the items. An end ``hung`` has no record of its own.
    """
    # The drivers, and the gap in the numbers of each so far.
    seen: dict[str, int] = {}
    last: dict[str, int] = {}
    raw: dict[str, int] = {}
    time: int | None = None
    gap = 0
    pending: list[Loss] = []
    for item in items:
        if isinstance(item, Loss):
            if item.anywhere:
                # The numbers do not show where.
                yield _marker(INCOMPLETE, next(iter(seen), ""), time)
            pending.append(item)
            continue
        time = item.time if item.time is not None else time
        if pending and (item.seq is None or any(loss.anywhere for loss in pending)):
            yield from pending
        elif pending and not _shows_gap(item, raw):
            gap += sum(loss.count or 1 for loss in pending)
        # What a driver did before a loss nobody knows, so it counts as running before.
        whole = info.start is Start.KNOWN and not pending and not gap
        if whole and item.endpoint not in seen:
            yield _marker(LOADED, item.endpoint, time)
        pending.clear()
        seen[item.endpoint] = gap
        if item.seq is not None:
            raw[item.endpoint] = item.seq
            last[item.endpoint] = max(item.seq + gap, last.get(item.endpoint, 0))
        yield _record(item, gap)
    yield from pending
    if not pending and (missed := max((gap - shown for shown in seen.values()), default=0)):
        yield Loss(missed, False, "lost after the last event of a driver")
    gap += sum(loss.count or 1 for loss in pending)
    if info.end is End.UNLOADED:
        for endpoint in seen:
            # The number shows what is missing since the last event.
            number = last[endpoint] + gap - seen[endpoint] + 1 if endpoint in last else None
            yield _marker(UNLOADED, endpoint, time, number)


def _shows_gap(event: Event, before: dict[str, int]) -> bool:
    """Return whether the event's own number tells that others are missing before it."""
    return event.seq is not None and event.endpoint in before and event.seq > before[event.endpoint] + 1


def _marker(name: str, endpoint: str, time: int | None, number: int | None = None) -> Record:
    fields: dict[str, FieldValue] = {} if number is None else {"Seq": number}
    return Record(provider_name(endpoint), "", name, fields, time=time)


def _record(event: Event, gap: int) -> Record:
    fields: dict[str, FieldValue] = {}
    if event.seq is not None:
        fields["Seq"] = event.seq + gap
    if event.irql is not None:
        fields["Irql"] = event.irql
    fields.update(event.args)
    if event.status is not None:
        fields["Status"] = event.status
    return Record(
        provider_name(event.endpoint), "", f"{event.name}.{event.phase.value}", fields,
        time=event.time, cpu=event.cpu, pid=event.pid, tid=event.tid,
    )  # fmt: skip
