"""Fillings of the gaps of a trace, told as text or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kmclcheck.cli.stories import Margin
from kmclcheck.cli.stories import write as write_story
from kmclcheck.engines.filling import Result
from kmclcheck.engines.openings import Place
from kmclcheck.engines.story import Step, steps
from kmclcheck.model.event import Event
from kmclcheck.model.finding import Verdict
from kmclcheck.model.spec import Spec
from kmclcheck.report.describe import event_text, path_text, plural, status_text, thread_text, time_text
from kmclcheck.report.paint import Painter

if TYPE_CHECKING:
    from kmclcheck.engines.filling import Line, Outcome

SCHEMA = "kmclcheck.fillings/1"
_WHOLE = 16
_OTHERS_SHOWN = 3


def answered(outcome: Outcome) -> bool:
    """Return whether a question has an answer that no larger bound and no more time can change."""
    return outcome.result is Result.FOUND or (outcome.result is Result.NONE and outcome.exhausted)


def sentence(outcome: Outcome) -> str:
    """Return what a question came to, in one line."""
    word, other = ("broken", "breaks it alone") if outcome.broken else ("kept", "keeps every rule")
    if outcome.result is Result.FOUND:
        values = _values(outcome)
        if outcome.inserted:
            text = f"may have been {word}: {plural(outcome.inserted, 'missing event')} would do"
        else:
            text = f"may have been {word}: no missing event is needed"
        return f"{text}, and {', '.join(values)}" if values else text
    if outcome.result is Result.UNDECIDED:
        known = f"; none with up to {plural(outcome.searched, 'event')}" if outcome.searched >= 0 else ""
        return f"not decided whether it may have been {word} ({outcome.why}){known}"
    if outcome.exhausted:
        text, then = f"not {word}: nothing that can be missing {other}", "so something is probably wrong"
    else:
        text = f"no filling with up to {plural(outcome.searched, 'event')} {other}"
        then = "so more is missing (--bound), or something is wrong"
    return text if outcome.broken else f"{text}, {then}"


def _values(outcome: Outcome) -> list[str]:
    """Return the values at the last event that the trace lacks."""
    if not outcome.lines or outcome.lines[-1].origin is None:
        return []
    return [text for text in _added(outcome.lines[-1]) if not text.startswith("thread")]


def _added(line: Line) -> list[str]:
    event, found = line.event, []
    for name in line.added:
        if name == "status":
            found.append("status " + (f"{event.status:#x}" if isinstance(event.status, int) else ""))
        elif name == "irql":
            found.append(f"IRQL {event.irql}")
        elif name == "tid":
            found.append(f"thread {thread_text(event)}")
        else:
            value = event.args[name]
            found.append(f"{name}={value:#x}" if isinstance(value, int) and value > 9 else f"{name}={value}")
    return found


def write(
    painter: Painter,
    spec: Spec,
    path: str,
    verdict: Verdict,
    place: Place,
    places: Sequence[str],
    outcomes: Sequence[Outcome],
) -> None:
    """Write why the rule is open and where, and the fillings that were found."""
    painter.line((f"open[{verdict.rule}]", "bold yellow"), (f": {verdict.reason}", "bold"))
    painter.line(("  --> ", "bold blue"), (_where(spec, path, place), ""))
    others = [text for text in places if text != _line(place)]
    if others:
        more = len(others) - _OTHERS_SHOWN
        text = ", ".join(others[:_OTHERS_SHOWN]) + (f" and {more} more" if more > 0 else "")
        _remark(painter, "note", f"also open at {text} (--place)")
    _remark(painter, "rule", spec.rules[verdict.rule].statement)
    for outcome in outcomes:
        painter.line()
        style = "bold red" if outcome.broken else "bold green"
        painter.line((sentence(outcome), style if outcome.result is Result.FOUND else "bold"))
        if outcome.assuming:
            _remark(painter, "note", f"if these are registered: {', '.join(outcome.assuming)}")
        if outcome.result is Result.FOUND:
            _story(painter, spec, outcome, place)
            few = "no fewer will do; " if outcome.smallest and outcome.inserted else ""
            _remark(painter, "note", f"{few}checked as a complete trace; {outcome.seconds:.1f} s")


def _line(place: Place) -> str:
    return "the end" if place.line is None else f"line {place.line}"


def _where(spec: Spec, path: str, place: Place) -> str:
    event = place.event
    parts = [f"{path_text(path)} (end of trace)" if event is None else f"{path_text(path)}:{event.line}"]
    if event is not None:
        parts.append(event_text(event, spec))
    parts += [f"{thing.kind} {thing.handle:#x}" for thing in place.things]
    if event is not None and event.time is not None:
        parts.append(time_text(event.time))
    return "   ".join(parts)


def _remark(painter: Painter, label: str, text: str) -> None:
    painter.line(("  = ", "bold blue"), (label, "bold"), (f": {text}", ""))


def _story(painter: Painter, spec: Spec, outcome: Outcome, place: Place) -> None:
    story = [_within(outcome, step) for step in steps(spec, [o.event for o in outcome.lines], outcome.end)]
    handles = {thing.handle for thing in place.things}
    margins = []
    for number, line in enumerate(outcome.lines):
        last = number == len(outcome.lines) - 1
        told = _added(line) if last else [text for text in _added(line) if _news(text)]
        mine = bool(handles & set(line.event.args.values())) and len(handles) > 0
        shown = len(outcome.lines) <= _WHOLE or line.origin is None or last or bool(told) or mine
        remark = f" ({', '.join(told)} filled in)" if told else ""
        label = "+" if line.origin is None else str(line.origin.line)
        margins.append(Margin(label, remark, shown, line.origin is None, _telling(spec, outcome, line)))
    write_story(painter, spec, story, outcome.end, outcome.finding, margins)


def _within(outcome: Outcome, step: Step) -> Step:
    """Return a step with the fields that matter; of the others the slice does not tell everything."""
    objects = {
        name: {field: now for field, now in fields.items() if (name.split()[0], field) in outcome.fields}
        for name, fields in step.objects.items()
    }
    return Step(step.event, objects)


def _telling(spec: Spec, outcome: Outcome, line: Line) -> frozenset[str]:
    """Return the arguments that say what an event is about: handles, and what was looked at."""
    handles = set(spec.events[line.event.name].objects.values())
    return frozenset((handles | outcome.args) - set(line.added))


def _news(text: str) -> bool:
    """Return whether a value that was filled in says anything."""
    return not text.startswith("thread") and text != "IRQL 0"


def document(
    spec: Spec, path: str, verdict: Verdict, place: Place, outcomes: Sequence[Outcome]
) -> dict[str, Any]:
    """Return the answers as one JSON document."""
    return {
        "schema": SCHEMA,
        "path": path_text(path),
        "rule": verdict.rule,
        "verdict": verdict.kind.value,
        "reason": verdict.reason,
        "open": verdict.open,
        "place": {
            "line": place.line,
            "event": None if place.event is None else place.event.name,
            "objects": [{"kind": t.kind, "handle": hex(t.handle)} for t in place.things],
        },
        "answers": [_answer(spec, outcome) for outcome in outcomes],
    }


def _answer(spec: Spec, outcome: Outcome) -> dict[str, Any]:
    found = outcome.result is Result.FOUND
    return {
        "question": "broken" if outcome.broken else "kept",
        "result": outcome.result.value,
        "filled_in": outcome.inserted if found else None,
        "smallest": outcome.smallest if found else None,
        "none_up_to": outcome.searched if outcome.searched >= 0 else None,
        "exhausted": outcome.exhausted,
        "assuming_registered": list(outcome.assuming),
        "why": outcome.why,
        "end": outcome.end.value if found else None,
        "events": [_event(spec, line) for line in outcome.lines],
    }


def _event(spec: Spec, line: Line) -> dict[str, Any]:
    event: Event = line.event
    return {
        "line": None if line.origin is None else line.origin.line,
        "filled_in": line.origin is None,
        "added": list(line.added),
        "phase": event.phase.value,
        "name": event.name,
        "args": {n: hex(v) if isinstance(v, int) and v > 9 else v for n, v in event.args.items()},
        "status": None if event.status is None else status_text(event.status, spec),
        "irql": event.irql,
        "thread": thread_text(event),
        "time": event.time,
    }
