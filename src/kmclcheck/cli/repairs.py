"""Repairs for people and for programs: a slice with its changes, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kmclcheck.engines.repair import Line, Mark, Repair
from kmclcheck.model.event import Event
from kmclcheck.model.finding import TraceResult
from kmclcheck.model.spec import Spec
from kmclcheck.report.describe import (
    event_text,
    headline,
    object_text,
    path_text,
    plural,
    rule_of,
    thread_text,
    time_text,
)
from kmclcheck.report.paint import Painter
from kmclcheck.traces.formats.kmtrace_writer import format_event, write_header

SCHEMA = "kmclcheck.repair/1"

_AROUND = 1
_SIGNS = {
    Mark.KEPT: ("  ", ""),
    Mark.INSERTED: ("+ ", "green"),
    Mark.DELETED: ("- ", "red"),
    Mark.MOVED_FROM: ("- ", "cyan"),
    Mark.MOVED_TO: ("+ ", "cyan"),
}
_NAMES = {
    Mark.KEPT: "kept",
    Mark.INSERTED: "inserted",
    Mark.DELETED: "deleted",
    Mark.MOVED_FROM: "moved-from",
    Mark.MOVED_TO: "moved-to",
}


def write_repair(painter: Painter, spec: Spec, trace: TraceResult, repair: Repair) -> None:
    """Write one finding, the change that mends it, and the slice around the change."""
    finding = repair.finding
    rule = rule_of(finding, spec)
    painter.line(
        (f"{rule.severity.value}[{rule.id}]", painter.severity(rule.severity)),
        (f": {headline(finding, rule)}", "bold"),
    )
    path = path_text(trace.path)
    event = finding.event
    parts = [
        f"{path} (end of trace)" if event is None else f"{path}:{event.line}",
        object_text(finding.object),
    ]
    if event is not None and event.time is not None:
        parts.append(time_text(event.time))
    painter.line(("  --> ", "bold blue"), ("   ".join(parts), ""))
    label = "repair" if repair.found else "no repair"
    first, *more = [change.text for change in repair.changes] if repair.found else [repair.reason]
    painter.line(("  = ", "bold blue"), (label, "bold"), (f": {first}", ""))
    for text in more:
        painter.line((f"    {' ' * len(label)}  {text}", ""))
    if not repair.found:
        return
    _slice(painter, spec, repair)
    for note in _notes(repair):
        painter.line(("  = ", "bold blue"), ("note", "bold"), (f": {note}", ""))
    if rule.fix:
        painter.line(("  = ", "bold blue"), ("help", "bold"), (f": {rule.fix}", ""))


def _notes(repair: Repair) -> Iterator[str]:
    assumed = [line.event.name for line in repair.lines if line.assumed and not line.gone]
    if assumed:
        yield "the trace ends before the return of " + ", ".join(dict.fromkeys(assumed))
    text = f"replayed: these {plural(len(repair.records), 'event')} break no rule"
    if repair.whole:
        text += ", and the whole trace with the change has no new finding"
    elif repair.whole is False:
        text += "; what the trace shows after them would not fit any more"
    yield text


def _slice(painter: Painter, spec: Spec, repair: Repair) -> None:
    """Write the changes and what is around them; the rest of the slice only as a number."""
    shown = _shown(repair)
    names = {at: _words(repair.lines, at, spec) for at in shown}
    threads = {at: thread_text(repair.lines[at].event) or "" for at in shown}
    gutter = max([len(str(repair.lines[at].event.line or "")) for at in shown] + [1])
    side = max([len(text) for text in threads.values()] + [0])
    last = -1
    for at in shown:
        if at - last > 1:
            painter.line((f"  {' ' * gutter} {painter.gap} {plural(at - last - 1, 'event')}", "dim"))
        last = at
        line = repair.lines[at]
        sign, style = _SIGNS[line.mark]
        number = "" if line.mark in (Mark.INSERTED, Mark.MOVED_TO) else str(line.event.line or "")
        painter.line(
            (f"  {number:>{gutter}} {painter.bar} ", "bold blue"),
            (f"{threads[at]:<{side}}  ", "dim"),
            (sign + names[at], style),
        )
    left = len(repair.lines) - last - 1
    if left:
        painter.line((f"  {' ' * gutter} {painter.gap} {plural(left, 'event')}", "dim"))


def _shown(repair: Repair) -> list[int]:
    """Return which lines to show: changes, what is beside them, and the event at fault."""
    event = repair.finding.event
    chosen: set[int] = set()
    for at, line in enumerate(repair.lines):
        here = event is not None and line.event.line == event.line and line.event.offset == event.offset
        if line.mark is not Mark.KEPT:
            chosen.update(range(at - _AROUND, at + _AROUND + 1))
        elif here and event is not None and line.event.name == event.name:
            chosen.add(at)
    return sorted(at for at in chosen if 0 <= at < len(repair.lines))


def _words(lines: Sequence[Line], at: int, spec: Spec) -> str:
    line, event = lines[at], lines[at].event
    text = event_text(event, spec)
    replaced = _is_changed(lines, at) or (at > 0 and _is_changed(lines, at - 1))
    if line.mark is Mark.INSERTED or replaced:
        text += "".join(f" {name}={_value(value)}" for name, value in event.args.items())
        if event.irql or (replaced and event.irql is not None):
            text += f" irql={event.irql}"
    if line.mark is Mark.MOVED_FROM:
        text += "  (moved)"
    if line.mark is Mark.INSERTED and spec.events[event.name].callback and not replaced:
        text += "  (by the library)"
    return text


def _is_changed(lines: Sequence[Line], at: int) -> bool:
    """Return whether another record of the same call takes the place of a deleted one."""
    behind = lines[at + 1] if lines[at].mark is Mark.DELETED and at + 1 < len(lines) else None
    old = lines[at].event
    return (
        behind is not None
        and behind.mark is Mark.INSERTED
        and (behind.event.name, behind.event.phase) == (old.name, old.phase)
    )


def _value(value: int | str) -> str:
    return value if isinstance(value, str) else f"{value:#x}" if value > 65535 else str(value)


def as_trace(repair: Repair) -> str:
    """Return the repaired slice as a native trace that breaks no rule. There is a repair."""
    assert repair.info is not None
    lines = [write_header(repair.info).rstrip("\n"), f"# {repair.finding.rule}, repaired"]
    lines += [f"# {change.text}" for change in repair.changes]
    lines += [format_event(event, repair.info.endpoint) for event in repair.records]
    return "\n".join(lines) + "\n"


def document(
    spec: Spec, trace: TraceResult, repairs: Sequence[Repair], tool: dict[str, Any]
) -> dict[str, Any]:
    """Return all repairs of a trace as one document; nothing in it depends on the machine or the clock."""
    return {
        "schema": SCHEMA,
        "tool": tool,
        "path": path_text(trace.path),
        "findings": len(trace.findings),
        "repairs": [_one(spec, repair) for repair in repairs],
    }


def _one(spec: Spec, repair: Repair) -> dict[str, Any]:
    finding = repair.finding
    rule = rule_of(finding, spec)
    return {
        "rule": rule.id,
        "party": rule.party.value,
        "message": headline(finding, rule),
        "event": None if finding.event is None else {"line": finding.event.line, "name": finding.event.name},
        "object": {"kind": finding.object.kind, "handle": f"{finding.object.handle:#x}"},
        "outcome": repair.standing.value,
        "summary": repair.summary,
        "whole": repair.whole,
        "changes": [
            {"kind": change.kind.value, "call": change.call, "text": change.text, "waits": list(change.waits)}
            for change in repair.changes
        ],
        "slice": [{"mark": _NAMES[line.mark], **_event(line.event, spec)} for line in repair.lines],
        "fix": rule.fix,
    }


def _event(event: Event, spec: Spec) -> dict[str, Any]:
    return {
        "line": event.line or None,
        "thread": thread_text(event),
        "irql": event.irql,
        "phase": event.phase.value,
        "name": event.name,
        "args": {
            name: value if isinstance(value, str) else f"{value:#x}" for name, value in event.args.items()
        },
        "status": event.status if not isinstance(event.status, int) else f"0x{event.status:08x}",
    }
