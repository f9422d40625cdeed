"""A sequence of records as a picture: a row for each record, a lane for each object or thread.

Time runs downward, so that every record has room for its words. In the lanes, calls are bars from entry to
exit, what runs inside them beside them; what is known of an object's state is a band that changes colour.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from kmclcheck.diagrams.lane_calls import Call, calls, columns, span
from kmclcheck.diagrams.measure import cut, text_width, wrap
from kmclcheck.diagrams.names import short_names
from kmclcheck.diagrams.svg import BANDS, document, esc, label, num, rect, title
from kmclcheck.engines.story import Step
from kmclcheck.model.event import End, Event
from kmclcheck.model.expr import FieldIn, walk
from kmclcheck.model.spec import EnumField, Rule, Spec
from kmclcheck.model.words import status_text, thread_text, time_text

_MARGIN = 16.0
_ROW = 22.0
_SIZE = 11.0
_INDENT = 14.0
_WORDS = 600.0
_BAR = 11.0
_BAR_GAP = 3.0
_BAND_MOST = 150.0
_LANE_GAP = 20.0
_FIELDS = 3
_OBJECTS = 8
_HEADER = 36.0
_AXIS = ("record", "time", "thread")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and at which record, counted from 0; ``None`` for the end of the trace.

    ``object`` is what it is about, named as in the states, such as ``gpadl 0x1``.
    """

    text: str
    index: int | None
    object: str = ""


@dataclass(frozen=True, slots=True)
class _Band:
    """A field of an object: its value from one record to another, both counted from 0 and included."""

    field: EnumField
    width: float
    parts: tuple[tuple[int, int, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class _Lane:
    name: str
    bands: tuple[_Band, ...]
    calls: tuple[Call, ...]
    places: tuple[int, ...]
    bars: int
    note: str

    @property
    def width(self) -> float:
        inner = sum(band.width + 4 for band in self.bands) + self.bars * (_BAR + _BAR_GAP)
        return max(inner, text_width(self.name, _SIZE, bold=True), text_width(self.note, 10)) + 4


@dataclass(frozen=True, slots=True)
class _Trace:
    """What is drawn of a trace: the records from ``first`` on, and before ``last``."""

    spec: Spec
    story: Sequence[Step]
    all_calls: list[Call]
    first: int
    last: int
    fault: Fault | None
    fault_lines: tuple[str, ...]
    focus: Collection[tuple[str, str]]

    def y(self, number: float) -> float:
        """Return where the row of a record begins; the words of a fault take room after its record."""
        shift = 0.0
        if self.fault is not None and self.fault.index is not None and number > self.fault.index:
            shift = self.room
        return _HEADER + (number - self.first) * _ROW + shift

    @property
    def room(self) -> float:
        return len(self.fault_lines) * 14.0 + 6 if self.fault_lines else 0.0


def lane_picture(
    spec: Spec,
    story: Sequence[Step],
    name: str,
    *,
    fault: Fault | None = None,
    end: End = End.STOPPED,
    by: Literal["object", "thread"] = "object",
    focus: Collection[tuple[str, str]] = (),
    most: int = 60,
) -> str:
    """Return the SVG of the records in ``story``, with their states after each of them.

    ``by`` says whether the bars of calls stand in the lanes of the objects that they name or in a lane
    for each thread. ``focus`` are fields, as (kind, field), that have a band in any case. At most
    ``most`` records are shown, those that lead up to the fault, and at most eight objects; the picture
    says what it leaves out. A fault outside the records stands at the end.
    """
    first, last = _clip(len(story), fault, most)
    if fault is not None and (fault.index is None or not first <= fault.index < last):
        fault = Fault(fault.text, None, fault.object)
    lines = tuple(wrap(fault.text, _SIZE, _WORDS * 0.7)) if fault is not None else ()
    trace = _Trace(spec, story, calls(spec, [s.event for s in story]), first, last, fault, lines, focus)
    lanes, hidden = _lanes(trace, by)
    notes = _notes(trace, hidden)
    words, axis = _record_words(trace)
    stops = _stops(axis)
    # The words of the record at fault are bold.
    told = [x + text_width(w, _SIZE, bold=True) for x, w in words]
    left = stops[-1] + max([*told, *(text_width(line, _SIZE, bold=True) + 12 for line in lines)], default=0.0)
    left += 20
    width = left + sum(lane.width + _LANE_GAP for lane in lanes)
    bottom = trace.y(last)
    closing = f"the trace ends: {end.value}" if end is not End.STOPPED and last == len(story) else ""
    at_end = lines if fault is not None and fault.index is None else ()
    body = [label(0, 14, cut(name, 15, max(width, 300.0)), "heading"), '<g transform="translate(0 24)">']
    body += _rows(trace, words, axis, stops, width)
    x = left
    for lane in lanes:
        body += _lane(trace, lane, x)
        x += lane.width + _LANE_GAP
    y = bottom + (20 if any(lane.note for lane in lanes) else 6)
    if closing:
        y += 14
        body.append(label(stops[-1], y, closing, "row guard"))
    if at_end:
        body.append(rect(0, y + 4, width, len(at_end) * 14 + 10, "faultrow"))
        body.append(_cross(stops[-1] + 2, y + 14))
        for line in at_end:
            y += 14
            body.append(label(stops[-1] + 12, y + 4, line, "row fault"))
        y += 14
    for note in notes:
        for line in wrap(note, 10, max(width, 300.0)):
            y += 14
            body.append(label(0, y, line, "key"))
    body.append("</g>")
    shown = [f'<g transform="translate({num(_MARGIN)} {num(_MARGIN)})">', *body, "</g>"]
    size = max(width, text_width(cut(name, 15, max(width, 300.0)), 15, bold=True))
    return document(name, _description(trace, closing), size + 2 * _MARGIN, y + 40 + 2 * _MARGIN, shown)


def rule_fields(rule: Rule) -> set[tuple[str, str]]:
    """Return the fields that a rule speaks of, as (kind, field): what to have in focus where it is broken."""
    conditions = [one for check in rule.checks for one in (check.when, check.require)]
    found = [expr for one in conditions for expr in walk(one)]
    return {(expr.kind, expr.field) for expr in found if isinstance(expr, FieldIn)}


def _clip(count: int, fault: Fault | None, most: int) -> tuple[int, int]:
    if count <= most:
        return 0, count
    last = count if fault is None or fault.index is None else min(count, fault.index + 1)
    first = max(0, last - most)
    return first, min(count, first + most)


def _notes(trace: _Trace, hidden: int) -> list[str]:
    notes = []
    before, after = trace.first, len(trace.story) - trace.last
    if before or after:
        told = [f"{n} {word}" for n, word in ((before, "before"), (after, "after")) if n]
        notes.append(f"Not shown: {' and '.join(told)} these of {len(trace.story)} records.")
    if hidden:
        notes.append(f"Not shown: {hidden} more object{'s' if hidden > 1 else ''}.")
    notes.append(
        "Tooltips have names and values in full. Dashed bars: callbacks; dashed bands: several values."
    )
    return notes


def _record_words(trace: _Trace) -> tuple[list[tuple[float, str]], list[tuple[str, str, str]]]:
    """Return for each record its indent and its words; and its number, its time and its thread."""
    names = short_names(trace.spec)
    depth = {}
    for call in trace.all_calls:
        for number in (call.first, call.last):
            if number is not None:
                depth[number] = call.depth
    words, axis = [], []
    origin = next((step.event.time for step in trace.story if step.event.time is not None), None)
    for number in range(trace.first, trace.last):
        event = trace.story[number].event
        indent = min(depth.get(number, 0), 6) * _INDENT
        words.append((indent, cut(_words(event, trace.spec, names.short), _SIZE, _WORDS - indent)))
        time = "" if event.time is None or origin is None else time_text(event.time - origin)
        axis.append((str(number + 1), time, thread_text(event) or ""))
    return words, axis


def _stops(axis: Sequence[tuple[str, str, str]]) -> tuple[float, ...]:
    """Return where the columns of the axis begin, and at last where the words do."""
    stops = [0.0]
    for place, heading in enumerate(_AXIS):
        texts = [row[place] for row in axis]
        width = max((text_width(text, 10) for text in [heading, *texts]), default=0.0) + 12
        stops.append(stops[-1] + (width if any(texts) else 0.0))
    return tuple(stops)


def _words(event: Event, spec: Spec, short: dict[str, str]) -> str:
    text = f"{short.get(event.name, event.name)}.{event.phase.value}"
    if event.status is not None:
        text += f" = {status_text(event.status, spec)}"
    if event.irql:
        text += f" irql={event.irql}"
    for name, value in event.args.items():
        text += f" {name}={value:#x}" if isinstance(value, int) and value > 9 else f" {name}={value}"
    return text


def _lanes(trace: _Trace, by: str) -> tuple[list[_Lane], int]:
    """Return the lanes, and how many objects have none."""
    named: dict[str, None] = {}
    for number in range(trace.first, trace.last):
        for name in trace.story[number].objects:
            named[name] = None
    for call in trace.all_calls:
        named.update(call.objects)
    order = {kind: place for place, kind in enumerate(trace.spec.kinds)}
    # A thread is an object of some specifications; its fields are flags, seldom news.
    objects = [name for name in named if name.split()[0] in order]
    objects = [name for name in objects if (by == "object" and _in(trace, name)) or _bands(trace, name)]
    hidden = max(0, len(objects) - _OBJECTS)
    objects = sorted(objects, key=lambda name: _weight(trace, name), reverse=True)[:_OBJECTS]
    objects.sort(key=lambda name: (order[name.split()[0]], list(named).index(name)))
    lanes = []
    if by == "thread":
        for thread in dict.fromkeys(call.thread for call in trace.all_calls):
            lane = _made(trace, thread, (), [c for c in trace.all_calls if c.thread == thread])
            if lane.calls:
                lanes.append(lane)
    for name in objects:
        lanes.append(_made(trace, name, _bands(trace, name), _in(trace, name) if by == "object" else []))
    return lanes, hidden


def _weight(trace: _Trace, name: str) -> tuple[bool, int]:
    """Return how much an object matters: the one at fault first, then those that were named last."""
    seen = [
        number
        for call in _in(trace, name)
        for number in (call.first, call.last)
        if number is not None and number < trace.last
    ]
    return trace.fault is not None and name == trace.fault.object, max(seen, default=-1)


def _in(trace: _Trace, name: str) -> list[Call]:
    return [call for call in trace.all_calls if name in call.objects]


def _made(trace: _Trace, name: str, bands: tuple[_Band, ...], held: list[Call]) -> _Lane:
    count = len(trace.story)
    shown = []
    for call in held:
        first, last = span(call, count)
        if first < trace.last and last >= trace.first:
            shown.append(call)
    places, bars = columns(shown, count)
    left_out = 0
    if bands:
        fields = trace.spec.kinds[name.split()[0]].enums.values()
        changed = [f for f in fields if len(_parts(trace, name, f)) > 1]
        left_out = len([f for f in changed if all(f is not band.field for band in bands)])
    note = f"{left_out} more field{'s' if left_out > 1 else ''} change{'' if left_out > 1 else 's'}"
    return _Lane(name, bands, tuple(shown), tuple(places), bars, note if left_out else "")


def _bands(trace: _Trace, name: str) -> tuple[_Band, ...]:
    """Return what is worth a band: the field that says whether it lives, those in focus, some that change."""
    kind = trace.spec.kinds[name.split()[0]]
    enums = sorted(kind.enums.values(), key=lambda f: not f.dead)
    main = next((field for field in enums if field.dead or len(enums) == 1), None)
    focus = [field for field in enums if (kind.name, field.name) in trace.focus and field is not main]
    chosen = [*([main] if main is not None else []), *focus]
    chosen += [
        field
        for field in enums
        if field not in chosen and not field.boolean and len(_parts(trace, name, field)) > 1
    ][: max(0, _FIELDS - len(chosen))]
    bands = []
    for field in chosen:
        parts = _parts(trace, name, field)
        if parts:
            widest = max(text_width(_value(field, values), 10) for *_, values in parts)
            size = max(widest, text_width(field.name, 10))
            bands.append(_Band(field, min(size, _BAND_MOST) + 10, tuple(parts)))
    return tuple(bands)


def _parts(trace: _Trace, name: str, field: EnumField) -> list[tuple[int, int, tuple[str, ...]]]:
    parts: list[tuple[int, int, tuple[str, ...]]] = []
    for number in range(trace.first, trace.last):
        values = trace.story[number].objects.get(name, {}).get(field.name)
        if values is None:
            continue
        if parts and parts[-1][2] == values and parts[-1][1] == number - 1:
            parts[-1] = (parts[-1][0], number, values)
        else:
            parts.append((number, number, values))
    return parts


def _value(field: EnumField, values: tuple[str, ...]) -> str:
    ordered = [value for value in field.values if value in values] or list(values)
    text = " | ".join(ordered)
    return text if text_width(text, 10) <= _BAND_MOST else f"one of {len(values)}"


def _rows(
    trace: _Trace,
    words: Sequence[tuple[float, str]],
    axis: Sequence[tuple[str, str, str]],
    stops: Sequence[float],
    width: float,
) -> list[str]:
    """Return the words of the records, and the row of the fault."""
    left = stops[-1]
    body = [
        label(stop, _HEADER - 8, heading, "small")
        for stop, after, heading in zip(stops, stops[1:], _AXIS, strict=False)
        if after > stop
    ]
    fault = trace.fault
    if fault is not None and fault.index is not None:
        y = trace.y(fault.index)
        body.append(rect(0, y, width, _ROW + trace.room, "faultrow"))
        body.append(_cross(left + 2, y + _ROW + 6))
        for place, line in enumerate(trace.fault_lines):
            body.append(label(left + 12, y + _ROW + 10 + place * 14, line, "row fault"))
    for number in range(trace.first, trace.last):
        y, (indent, text) = trace.y(number), words[number - trace.first]
        event = trace.story[number].event
        body.append(f'<path class="grid" d="M0 {num(y)}H{num(width)}"/>')
        for stop, told in zip(stops, axis[number - trace.first], strict=False):
            if told:
                body.append(label(stop, y + 15, told, "small"))
        declared = trace.spec.events.get(event.name)
        kind = "row callback" if declared is not None and declared.callback else "row"
        kind += " fault" if fault is not None and fault.index == number else ""
        tip = title(f"record {number + 1}: {_words(event, trace.spec, {})}")
        where = f'x="{num(left + indent)}" y="{num(y + 15)}"'
        body.append(f'<text class="{kind}" {where}>{esc(text)}{tip}</text>')
    return body


def _cross(x: float, y: float) -> str:
    return f'<path class="faultmark" d="M{num(x - 4)} {num(y - 4)}l8 8m0 -8l-8 8"/>'


def _lane(trace: _Trace, lane: _Lane, x: float) -> list[str]:
    body = [label(x, _HEADER - 22, lane.name, "lane")]
    at = x
    for band in lane.bands:
        body.append(label(at, _HEADER - 8, band.field.name, "small"))
        for first, last, values in band.parts:
            # The row of a record shows what holds after it.
            top, bottom = trace.y(first), trace.y(last + 1)
            text = _value(band.field, values)
            tip = title(f"{lane.name}: {band.field.name} is {' or '.join(values)}")
            body.append(rect(at, top, band.width, bottom - top, _colour(band.field, values), 2, tip))
            body.append(label(at + 5, top + 15, text, "value"))
        at += band.width + 4
    for call, place in zip(lane.calls, lane.places, strict=True):
        body.append(_bar(trace, call, at + place * (_BAR + _BAR_GAP)))
    if lane.note:
        body.append(label(x, trace.y(trace.last) + 14, lane.note, "small"))
    return body


def _colour(field: EnumField, values: tuple[str, ...]) -> str:
    if len(values) != 1 or values[0] not in field.values:
        return "several"
    place = field.values.index(values[0])
    if values[0] in field.dead and values[0] != field.initial:
        return "band bended"
    return f"band b{place % BANDS}"


def _bar(trace: _Trace, call: Call, x: float) -> str:
    first, last = span(call, len(trace.story))
    top = trace.y(max(first, trace.first)) + (5 if call.first is not None and first >= trace.first else 0)
    cut_off = call.last is None or last >= trace.last
    bottom = trace.y(min(last, trace.last - 1)) + (_ROW if cut_off else _ROW - 5)
    wrong = trace.fault is not None and trace.fault.index is not None and trace.fault.index in (
        call.first,
        call.last,
    )  # fmt: skip
    open_end = ", no return" if call.last is None else ""
    kind = f"bar{' callback' if call.callback else ''}{' fault' if wrong else ''}"
    tip = title(f"{call.name} on {call.thread}, records {first + 1} to {last + 1}{open_end}")
    return rect(x, top, _BAR, bottom - top, kind, 0 if cut_off else 3, tip)


def _description(trace: _Trace, closing: str) -> str:
    names: dict[str, str] = {}
    told = [
        f"{number + 1}: {_words(trace.story[number].event, trace.spec, names)}."
        for number in range(trace.first, trace.last)
    ]
    if closing:
        told.append(f"{closing}.")
    if trace.fault is not None:
        at = "at the end" if trace.fault.index is None else f"at record {trace.fault.index + 1}"
        told.append(f"Fault {at}: {trace.fault.text}")
    return " ".join(told)
