"""Traces that an engine found, told step by step: text for people, and states for other tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kmclcheck.engines.story import Fields, Step
from kmclcheck.model.event import End, Event
from kmclcheck.model.finding import Finding
from kmclcheck.model.spec import Spec
from kmclcheck.report.describe import (
    headline,
    object_text,
    plural,
    requirement,
    rule_of,
    status_text,
    thread_text,
)
from kmclcheck.report.paint import Painter


@dataclass(frozen=True, slots=True)
class Margin:
    """What stands before and after a record: its number or another label, and a remark.

    A record that is not ``shown`` is counted only; a ``new`` one stands out. ``args`` are the arguments
    that are shown, all of them by default.
    """

    label: str
    remark: str = ""
    shown: bool = True
    new: bool = False
    args: frozenset[str] | None = None


def write(
    painter: Painter,
    spec: Spec,
    story: Sequence[Step],
    end: End,
    finding: Finding | None,
    margins: Sequence[Margin] = (),
) -> None:
    """Write a line for each record, with what it changed, and what it comes to."""
    beside = margins or [Margin(str(number)) for number in range(1, len(story) + 1)]
    names = [_words(step.event, spec, one.args) + one.remark for step, one in zip(story, beside, strict=True)]
    width = max((len(name) for name, one in zip(names, beside, strict=True) if one.shown), default=0)
    threads = [thread_text(step.event) or "" for step in story]
    gutter, side = max(len(one.label) for one in beside), max((len(text) for text in threads), default=0)
    before: dict[str, Fields] = {}
    hidden = 0
    for one, step, name, thread in zip(beside, story, names, threads, strict=True):
        changes = _changes(spec, before, step.objects, painter.arrow)
        before = step.objects
        if not one.shown:
            hidden += 1
            continue
        if hidden:
            painter.line((f"  {'':>{gutter}} {painter.gap} {plural(hidden, 'record')} of the trace", "dim"))
            hidden = 0
        painter.line(
            (f"  {one.label:>{gutter}} {painter.bar} ", "bold green" if one.new else "bold blue"),
            (f"{thread:<{side}}  ", "dim"),
            (f"{name:<{width}}  " if changes else name, "green" if one.new else ""),
            (changes, "cyan"),
        )
    if end is not End.STOPPED:
        painter.line((f"  {'':>{gutter}} {painter.bar} ", "bold blue"), (f"the trace ends: {end.value}", ""))
    if finding is None:
        return
    rule = rule_of(finding, spec)
    painter.line(
        (f"{rule.severity.value}[{rule.id}]", painter.severity(rule.severity)),
        (f": {headline(finding, rule)}", "bold"),
    )
    painter.line(("  = ", "bold blue"), ("object", "bold"), (f": {object_text(finding.object)}", ""))
    required = requirement(finding, rule)
    if required:
        painter.line(("  = ", "bold blue"), ("requires", "bold"), (f": {required}", ""))
    if finding.also_broken:
        also = ", ".join(finding.also_broken)
        painter.line(("  = ", "bold blue"), ("note", "bold"), (f": also broken by this: {also}", ""))


def _words(event: Event, spec: Spec, only: frozenset[str] | None) -> str:
    words = [f"{event.phase.value:<4}", event.name]
    if event.status is not None:
        words.append(f"= {status_text(event.status, spec)}")
    words += [
        f"{name}={value:#x}" if _large(value) else f"{name}={value}"
        for name, value in event.args.items()
        if only is None or name in only
    ]
    if event.irql:
        words.append(f"irql={event.irql}")
    return " ".join(words)


def _large(value: int | str) -> bool:
    return isinstance(value, int) and value > 9


def _changes(spec: Spec, before: dict[str, Fields], after: dict[str, Fields], arrow: str) -> str:
    """Return what a record changed, object by object; the field that says whether it lives comes first."""
    texts = []
    for name, fields in after.items():
        kind = spec.kinds[name.split()[0]]
        enums = sorted(kind.enums.values(), key=lambda f: not f.dead)
        main = next((f.name for f in enums), None)
        told = []
        for field in [*(f.name for f in enums), *kind.numbers]:
            now = fields.get(field)
            was = before[name].get(field) if name in before else None
            if now is None or now == was:
                continue
            if was is None and (name in before) is False:
                # Of a new object only the main field is news.
                if field == main:
                    told.append(" or ".join(now))
                continue
            if was is not None and len(was) > 1 and field != main and set(now) <= set(was):
                # It is known now, as it is of every object at its birth.
                continue
            prefix = "" if field == main else f"{field}: "
            told.append(f"{prefix}{' or '.join(was or ('unset',))} {arrow} {' or '.join(now)}")
        if told:
            texts.append(f"{name}: {', '.join(told)}")
    return "; ".join(texts)


def as_itf(spec: Spec, title: str, story: Sequence[Step], end: End) -> dict[str, Any]:
    """Return the trace in the Informal Trace Format that tools for TLA+ read and write.

    Each state has the record that led to it and every object; a field is the set of values it may have.
    """
    states: list[dict[str, Any]] = [
        {"#meta": {"index": 0}, "event": _record(None, spec), "objects": {"#map": []}}
    ]
    for number, step in enumerate(story, 1):
        objects = [
            [name, {field: {"#set": list(values)} for field, values in fields.items()}]
            for name, fields in step.objects.items()
        ]
        states.append(
            {"#meta": {"index": number}, "event": _record(step.event, spec), "objects": {"#map": objects}}
        )
    return {
        "#meta": {
            "format": "ITF",
            "format-description": "https://apalache-mc.org/docs/adr/015adr-trace.html",
            "description": title,
            "end": end.value,
        },
        "vars": ["event", "objects"],
        "states": states,
    }


def _record(event: Event | None, spec: Spec) -> dict[str, Any]:
    if event is None:
        return {"name": "", "phase": "", "thread": 0, "irql": 0, "status": "", "args": {"#map": []}}
    status = "" if event.status is None else status_text(event.status, spec)
    args = [
        [name, str(value) if isinstance(value, str) else {"#bigint": str(value)}]
        for name, value in event.args.items()
    ]
    return {
        "name": event.name,
        "phase": event.phase.value,
        "thread": event.tid or 0,
        "irql": event.irql or 0,
        "status": status,
        "args": {"#map": args},
    }
