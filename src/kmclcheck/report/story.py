"""A finding as lines of plain text: what happened before it and what there is to say about it.

The lines are not escaped, and each may hold anything that a trace may hold.
"""

from __future__ import annotations

from kmclcheck.model.event import Event
from kmclcheck.model.finding import Finding, TraceResult
from kmclcheck.model.spec import Party, Spec
from kmclcheck.report.describe import (
    event_text,
    object_text,
    path_text,
    plural,
    requirement,
    rule_of,
    thread_text,
    time_text,
)

STEPS = 60


def place_text(trace: TraceResult, finding: Finding) -> str:
    """Return file, line and object of a finding, with time and thread if they are known."""
    event, path = finding.event, path_text(trace.path)
    parts = [f"{path} (end of trace)" if event is None else f"{path}:{event.line}"]
    parts.append(object_text(finding.object))
    if finding.parent is not None:
        parts[-1] += f" of {object_text(finding.parent)}"
    if event is not None and event.time is not None:
        parts.append(time_text(event.time))
    if event is not None and (thread := thread_text(event)) is not None:
        parts.append(f"thread {thread}")
    return "   ".join(parts)


def steps(finding: Finding, spec: Spec) -> list[tuple[Event, str]]:
    """Return the events of the slice, or of the history if there is none, with what each changed.

    The event of the finding itself comes last, without a change, unless the finding is about the end.
    """
    kind = spec.kinds.get(finding.object.kind)
    # The field that says whether the object lives.
    main = next((f.name for f in (kind.enums.values() if kind is not None else ()) if f.dead), "")
    changes = {_key(step.event): change_text(step.before, step.after, main) for step in finding.history}
    events = finding.slice.events if finding.slice is not None else [s.event for s in finding.history]
    told = [(event, changes.get(_key(event), "")) for event in events if event != finding.event]
    if finding.event is not None:
        told.append((finding.event, ""))
    return told


def _key(event: Event) -> tuple[int, int, str, str]:
    return (event.line, event.offset, event.name, event.phase.value)


def change_text(before: dict[str, str], after: dict[str, str], main: str) -> str:
    """Return such as ``life: Disabled -> Enabled``; empty if nothing changed.

    Of values that are the first ones known only that of the field ``main`` is told: a birth sets all.
    """
    changes = []
    for field in {**before, **after}:
        old, new = before.get(field), after.get(field, "unset")
        if old is None and field == main:
            changes.append(f"{field}: {new}")
        elif old is not None and old != new:
            changes.append(f"{field}: {old} -> {new}")
    return ", ".join(changes)


def story(finding: Finding, spec: Spec) -> list[str]:
    """Return a line for each event up to the finding, the last ``STEPS`` if there are more."""
    told = steps(finding, spec)
    rows = [(str(event.line), event_text(event, spec), change) for event, change in told[-STEPS:]]
    required = requirement(finding, rule_of(finding, spec))
    demand = f"^ requires {required}" if required else "^"
    if finding.event is None:
        rows.append(("end", "end of trace", demand))
    else:
        rows[-1] = (*rows[-1][:2], demand)
    gutter = max(len(line) for line, _, _ in rows)
    # A name of the trace may be of any length; the column is for names of an API.
    width = min(max(len(name) for _, name, _ in rows), 60)
    lines = [f"{line:>{gutter}} | {name:<{width}}  {change}".rstrip() for line, name, change in rows]
    if len(told) > STEPS:
        lines.insert(0, f"{' ' * gutter} : {plural(len(told) - STEPS, 'earlier event')}")
    return lines


def notes(finding: Finding, trace: TraceResult, spec: Spec) -> list[str]:
    """Return what else there is to say about a finding."""
    rule, found = rule_of(finding, spec), []
    if finding.hung_call is not None:
        found.append(f"{finding.hung_call.name}, called at line {finding.hung_call.line}, never returned")
    if finding.holders:
        found.append(f"held by {_some([object_text(holder) for holder in finding.holders])}")
    if finding.also_broken:
        found.append("also broken by this: " + ", ".join(finding.also_broken))
    if finding.repeats:
        found.append(f"repeated {plural(finding.repeats, 'time')} on this object, not shown")
    if rule.party is Party.LIBRARY:
        found.append("the library has to keep this rule, not the driver")
    if finding.slice is not None:
        cut = finding.slice
        text = f"{len(cut.events):,} of {plural(trace.events, 'event')} "
        text += "reproduce this (replayed)" if cut.replayed else "concern this (not replayed)"
        found.append(f"{text}; {cut.note}" if cut.note else text)
    if finding.history_note:
        found.append(finding.history_note)
    return found


def _some(texts: list[str]) -> str:
    return ", ".join(texts[:3]) + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")
