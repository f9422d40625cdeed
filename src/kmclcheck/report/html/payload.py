"""The findings as compact data for the script of the page.

Texts, rules, objects and events stand in tables and are named by number, since findings share most of them.
What is kept of each finding shrinks until the whole fits ``BUDGET``; the finding then says what is missing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from kmclcheck.model.event import Event
from kmclcheck.model.finding import Finding, HistoryStep, ObjectRef, TraceResult
from kmclcheck.model.spec import Spec
from kmclcheck.report.base import RunResult
from kmclcheck.report.describe import (
    headline,
    object_text,
    path_text,
    plural,
    requirement,
    rule_of,
    sorted_findings,
    status_text,
    thread_text,
)
from kmclcheck.report.document import Json
from kmclcheck.report.html.words import TEXT_SHOWN, argument, number, shown

BUDGET = 3_000_000
FINDINGS_KEPT = 5000
_ROWS = (160, 60, 30, 16, 8, 4)
IN_SLICE, IN_HISTORY, FAULT = 1, 2, 4
ARGS_SHOWN = 32


@dataclass(frozen=True, slots=True)
class Row:
    """An event that is told of a finding, and how: see ``IN_SLICE`` and so on."""

    event: Event
    marks: int
    step: HistoryStep | None


def rows(finding: Finding) -> list[Row]:
    """Return the events of slice and history in the order of the trace, the fault last."""
    steps = {_key(step.event): step for step in finding.history}
    own = [step.event for step in finding.history]
    cut = list(finding.slice.events) if finding.slice is not None else []
    in_slice = {_key(event) for event in cut}
    events = _merged(own, cut, set(steps), in_slice)
    fault = None if finding.event is None else _key(finding.event)
    if finding.event is not None and fault not in steps and fault not in in_slice:
        events.append(finding.event)
    made = []
    for event in events:
        key = _key(event)
        marks = IN_SLICE * (key in in_slice) | IN_HISTORY * (key in steps) | FAULT * (key == fault)
        made.append(Row(event, marks, steps.get(key)))
    return made


def main_field(kind: str, spec: Spec) -> str | None:
    """Return the field that says most about an object of the kind: the one that tells whether it lives."""
    decl = spec.kinds.get(kind)
    enums = list(decl.enums.values()) if decl is not None else []
    return next((f.name for f in sorted(enums, key=lambda f: not f.dead)), None)


def payload(run: RunResult, spec: Spec) -> str:
    """Return the data as JSON that can stand inside a script element."""
    text = ""
    for most in _ROWS[_first_size(run) :]:
        text = json.dumps(_Tables(run, spec, most).document(), ensure_ascii=True, separators=(",", ":"))
        if len(text) <= BUDGET:
            break
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _first_size(run: RunResult) -> int:
    """Return the first size worth trying, so that a run with many findings is not written six times."""
    told = [
        len(f.history) + len(f.slice.events if f.slice is not None else ())
        for t in run.traces
        for f in t.findings
    ]
    # A row takes some 20 bytes, an event 80; findings share many events.
    return next((at for at, most in enumerate(_ROWS) if 40 * sum(min(n, most) for n in told) <= BUDGET), -1)


def kept_findings(trace: TraceResult, before: int) -> list[Finding]:
    """Return the findings of a trace that the page holds, if ``before`` came in traces before it."""
    return sorted_findings(trace)[: max(0, FINDINGS_KEPT - before)]


@dataclass(slots=True)
class _Tables:
    run: RunResult
    spec: Spec
    most: int
    texts: dict[str, int] = field(default_factory=dict)
    rules: dict[str, int] = field(default_factory=dict)
    objects: dict[tuple[str, int, int, str], int] = field(default_factory=dict)
    events: dict[tuple[int, object], int] = field(default_factory=dict)
    told: list[Json] = field(default_factory=list)
    trace: int = 0

    def document(self) -> dict[str, Json]:
        traces: list[Json] = []
        findings: list[Json] = []
        verdicts = sorted({v.rule for trace in self.run.traces for v in trace.verdicts})
        for at, trace in enumerate(self.run.traces):
            self.trace = at
            given = {v.rule: v for v in trace.verdicts}
            judged = [given.get(rule) for rule in verdicts]
            traces.append(
                [
                    shown(path_text(trace.path)),
                    [
                        None if v is None else [v.kind.value, v.decided, v.open, self.text(v.reason)]
                        for v in judged
                    ],
                ]
            )
            for n, finding in enumerate(kept_findings(trace, len(findings)), 1):
                findings.append(self.finding(finding, f"{self.trace + 1}.{n}", trace))
        document: dict[str, Json] = {
            "verdicts": verdicts,
            "traces": traces,
            "rules": [self.rule(id) for id in self.rules],
            "objects": [[self.text(k), f"{h:#x}", n, self.text(e)] for k, h, n, e in self.objects],
            "kinds": {name: self.kind(name) for name in self.spec.kinds},
            "events": self.told,
            "findings": findings,
        }
        document["texts"] = list(self.texts)
        return document

    def text(self, text: str | None, most: int = TEXT_SHOWN) -> int:
        """Return the number of a text; -1 if there is none."""
        return -1 if not text else self.texts.setdefault(shown(text, most), len(self.texts))

    def kind(self, name: str) -> Json:
        main = main_field(name, self.spec)
        if main is None:
            return None
        enum = self.spec.kinds[name].enums[main]
        return [main, list(enum.values), sorted(enum.dead | ({enum.initial} & enum.absent))]

    def rule(self, id: str) -> Json:
        rule = self.spec.rules[id]
        texts = [rule.statement, rule.consequence, rule.fix, ", ".join(rule.sources)]
        return [id, rule.severity.value, rule.party.value, *(self.text(t) for t in texts)]

    def object(self, ref: ObjectRef) -> int:
        return self.objects.setdefault(
            (ref.kind, ref.handle, ref.incarnation, ref.endpoint), len(self.objects)
        )

    def event(self, event: Event | None) -> int:
        if event is None:
            return -1
        key = (self.trace, _key(event))
        if key not in self.events:
            self.events[key] = len(self.events)
            thread = thread_text(event)
            status = None if event.status is None else status_text(event.status, self.spec)
            args: list[Json] = []
            for name, value in list(event.args.items())[:ARGS_SHOWN]:
                args += [self.text(name, 200), self.text(argument(value), 200)]
            if len(event.args) > ARGS_SHOWN:
                args += [
                    self.text("\u2026"),
                    self.text(plural(len(event.args) - ARGS_SHOWN, "more argument")),
                ]
            self.told.append(
                [
                    number(event.line),
                    number(event.time),
                    number(event.seq),
                    number(event.cpu),
                    self.text(thread, 200),
                    number(event.irql),
                    self.text(event.name, 200),
                    event.phase.value,
                    self.text(status, 200),
                    self.named(event),
                    args,
                    number(event.offset),
                ]
            )
        return self.events[key]

    def named(self, event: Event) -> Json:
        """Return the objects whose handles an event carries, the outermost first."""
        decl = self.spec.events.get(event.name)
        found = []
        for kind, param in decl.objects.items() if decl is not None else ():
            handle = event.args.get(param, event.args.get("return") if param == "Return" else None)
            if isinstance(handle, int):
                found.append((self.depth(kind), kind, handle))
        return [self.object(ObjectRef(kind, handle, 0, event.endpoint)) for _, kind, handle in sorted(found)]

    def depth(self, kind: str) -> int:
        seen = []
        above: str | None = kind
        while above is not None and above not in seen:
            seen.append(above)
            decl = self.spec.kinds.get(above)
            above = decl.parent if decl is not None else None
        return len(seen)

    def finding(self, finding: Finding, id: str, trace: TraceResult) -> Json:
        rule = rule_of(finding, self.spec)
        every = rows(finding)
        kept = every[-self.most :]
        start: dict[str, str] = {}
        for row in every[: len(every) - len(kept)]:
            start |= row.step.after if row.step is not None else {}
        cut = finding.slice
        if rule.id not in self.rules:
            self.rules[rule.id] = len(self.rules)
        notes = [finding.history_note, cut.note if cut is not None else ""]
        if len(kept) < len(every):
            notes.append(
                f"{plural(len(every) - len(kept), 'earlier event')} left out to keep this page small"
            )
        where = None
        if trace.density is not None and finding.event is not None:
            where = trace.density.place(finding.event.time, finding.event.line)
        return {
            "id": id,
            "t": self.trace,
            "r": self.rules[rule.id],
            "m": self.text(headline(finding, rule)),
            "q": self.text(requirement(finding, rule)),
            "o": self.object(finding.object),
            "p": -1 if finding.parent is None else self.object(finding.parent),
            "e": self.event(finding.event),
            "hung": self.event(finding.hung_call),
            "also": [self.text(id) for id in finding.also_broken],
            "held": [self.text(object_text(ref)) for ref in finding.holders],
            "n": finding.repeats,
            "fix": self.text(finding.repair),
            "notes": [self.text(note) for note in notes if note],
            "slice": None
            if cut is None
            else [len(cut.events), int(cut.replayed), number(trace.events), int(cut.reduced)],
            "at": where,
            "start": self.values(start),
            "rows": [
                [self.event(row.event), row.marks, self.changes(row.step)]
                if row.step
                else [self.event(row.event), row.marks]
                for row in kept
            ],
        }

    def values(self, values: dict[str, str]) -> Json:
        return [self.text(text) for pair in values.items() for text in pair]

    def changes(self, step: HistoryStep) -> Json:
        """Return field, value before and value after, for each field in turn."""
        fields = {**step.before, **step.after}
        made: list[Json] = []
        for name in fields:
            made += [self.text(name), self.text(step.before.get(name)), self.text(step.after.get(name))]
        return made


def _key(event: Event) -> tuple[object, ...]:
    return (event.line, event.offset, event.seq, event.name, event.phase.value)


def _merged(
    one: list[Event], other: list[Event], in_one: set[tuple[object, ...]], in_other: set[tuple[object, ...]]
) -> list[Event]:
    """Merge two parts of one sequence; what both have is a fixed point, else the line decides."""
    made: list[Event] = []
    i = j = 0
    while i < len(one) and j < len(other):
        left, right = one[i], other[j]
        if _key(left) == _key(right):
            made.append(left)
            i += 1
            j += 1
        elif _key(left) not in in_other and (
            _key(right) in in_one or (left.line, left.offset) <= (right.line, right.offset)
        ):
            made.append(left)
            i += 1
        else:
            made.append(right)
            j += 1
    return made + one[i:] + other[j:]
