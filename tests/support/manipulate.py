"""What capture does to a trace: a late start, losses, kinds and columns that are not recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from kmclcheck.model.event import End, Event, Phase, Start
from kmclcheck.traces.formats.kmtrace_writer import format_event
from tests.support.tracebuilder import HANDLES, Trace

Line = Event | str
ENTRIES = (Phase.CALL, Phase.IN)
KEPT = HANDLES | {"Return"}
LEVELS = ("L0", "L1", "L2", "L3", "L4")


def text(
    lines: Iterable[Line],
    start: Start = Start.KNOWN,
    end: End = End.UNLOADED,
    records: str | None = "all",
) -> str:
    """Return a trace file of these events; strings are lines as they are."""
    head = ["%kmtrace 1", f"%start {start.value}", f"%end {end.value}"]
    if records:
        head.append(f"%records {records}")
    body = [x if isinstance(x, str) else format_event(x) for x in lines]
    return "\n".join([*head, *body]) + "\n"


def renumbered(lines: Iterable[Line]) -> list[Line]:
    """Close the gaps in the sequence numbers."""
    last: dict[str, int] = {}
    result: list[Line] = []
    for line in lines:
        if isinstance(line, Event):
            last[line.endpoint] = last.get(line.endpoint, 0) + 1
            line = replace(line, seq=last[line.endpoint])
        result.append(line)
    return result


def outermost(events: Sequence[Event]) -> set[int]:
    """Return the first and the last event of each endpoint."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for i, event in enumerate(events):
        first.setdefault(event.endpoint, i)
        last[event.endpoint] = i
    return {*first.values(), *last.values()}


def cut(trace: Trace, at: int) -> str:
    """Capture began only at event ``at``."""
    return text(trace.events[at:], Start.MIDLIFE, trace.end)


def without(trace: Trace, gone: Sequence[int], marked: bool) -> str:
    """Some events were lost: with markers in their place, or noticed by the gap in the numbers."""
    lost = set(gone)
    if not marked:
        # No number stands beyond the first and the last event of an endpoint, so these stay.
        lost -= outermost(trace.events)
        return text([e for i, e in enumerate(trace.events) if i not in lost], trace.start, trace.end)
    lines: list[Line] = []
    for i, event in enumerate(trace.events):
        if i not in lost:
            lines.append(event)
        elif i - 1 not in lost:
            lines.append("%lost")
    return text(renumbered(lines), trace.start, trace.end)


def filtered(trace: Trace, keep: Callable[[Event], bool], records: str | None) -> str:
    """Only some kinds of events were recorded, and the header says so (or nothing)."""
    return text(renumbered(e for e in trace.events if keep(e)), trace.start, trace.end, records)


def without_kinds(trace: Trace, kinds: Iterable[tuple[str, Phase]], declared: bool = True) -> str:
    """Leave out whole kinds of events."""
    gone = set(kinds)
    words = " ".join(["all", *(f"-{name}.{phase.value}" for name, phase in sorted(gone, key=str))])
    return filtered(trace, lambda e: (e.name, e.phase) not in gone, words if declared else None)


def entries_only(trace: Trace, declared: bool = True) -> str:
    words = "all -functions.ret -callbacks.out" if declared else None
    return filtered(trace, lambda e: e.phase in ENTRIES, words)


def columns(trace: Trace, change: Callable[[Event], Event], records: str | None = "all") -> str:
    """The same events with less in them."""
    return text([change(e) for e in trace.events], trace.start, trace.end, records)


def no_tid(event: Event) -> Event:
    return replace(event, tid=None, pid=None)


def no_irql(event: Event) -> Event:
    return replace(event, irql=None)


def no_status(event: Event) -> Event:
    return replace(event, status=None)


def no_scalars(event: Event) -> Event:
    return replace(event, args={k: v for k, v in event.args.items() if k in KEPT})


def no_return_handles(event: Event) -> Event:
    """A return that does not repeat what its entry named; what is born at it stays."""
    if event.phase in ENTRIES:
        return event
    born = {"VmbChannelAllocate": "Channel", "VmbPacketAllocate": "Return"}.get(event.name, "")
    keep = "GpadlHandle" if event.name.startswith("VmbChannelCreateGpadl") else born
    return replace(event, args={k: v for k, v in event.args.items() if k == keep or k not in KEPT})


def level(trace: Trace, name: str) -> str:
    """Reduce a trace to an observation level of the reference."""
    rank = LEVELS.index(name)
    changes: list[Callable[[Event], Event]] = []
    if rank < 4:
        changes.append(no_scalars)
    if rank < 3:
        changes.append(no_irql)
    if rank < 2:
        changes.append(no_tid)
    lines: list[Line] = []
    for event in trace.events:
        if rank < 1 and event.phase not in ENTRIES:
            continue
        for change in changes:
            event = change(event)
        lines.append(event)
    records = "all -functions.ret -callbacks.out" if rank < 1 else "all"
    return text(renumbered(lines), trace.start, trace.end, records)
