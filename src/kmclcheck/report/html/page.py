"""Fills the template of the page."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from kmclcheck.model.event import Event
from kmclcheck.model.finding import Finding, TraceResult, VerdictKind
from kmclcheck.model.spec import Rule, Spec
from kmclcheck.report.base import MONITOR, RunResult
from kmclcheck.report.describe import (
    event_text,
    headline,
    object_text,
    path_text,
    plural,
    requirement,
    rule_of,
    thread_text,
    time_text,
)
from kmclcheck.report.html.payload import FAULT, IN_SLICE, Row, kept_findings, payload, rows
from kmclcheck.report.html.strip import HEIGHT, strip
from kmclcheck.report.html.words import TEXT_SHOWN, shown, shown_lines
from kmclcheck.report.lines import summary_line
from kmclcheck.report.summary import OpenGroup, count, open_groups

STATIC_FINDINGS = 20
"""Findings that stand in the page as plain HTML, for readers without JavaScript."""

STATIC_ROWS = 30
STRIPS = 60
ITEMS = 200
_SCRIPTS = ("data.js", "lanes.js", "report.js")
_WEIGHT = {VerdictKind.NOT_EXERCISED: 0, VerdictKind.PASS: 1, VerdictKind.OPEN: 2, VerdictKind.FAIL: 3}


def page(run: RunResult, spec: Spec) -> str:
    """Return the whole page. It is ASCII, so that no encoding of a stream can spoil it."""
    style, script = _part("report.css"), "".join(_part(name) for name in _SCRIPTS)
    environment = Environment(
        loader=FunctionLoader(_part),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["t"] = lambda text: shown(str(text), TEXT_SHOWN)
    environment.filters["name"] = lambda text: shown(str(text))
    environment.filters["lines"] = lambda text: shown_lines(str(text))
    environment.filters["plural"] = plural
    text = environment.get_template("report.html.j2").render(
        # Our own files and data that hold no "<": these three alone are not escaped.
        style=Markup(style),
        script=Markup(script),
        data=Markup(payload(run, spec)),
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'",
        run=run,
        engine="" if run.tool.engine == MONITOR else run.tool.engine,
        summary=summary_line(run, spec, timed=False),
        counts=count(run.traces, spec),
        open_groups=open_groups(run.traces),
        reasons=_reasons,
        traces=[_trace(trace, spec) for trace in run.traces[:ITEMS]],
        findings=_findings(run, spec),
        found=sum(len(trace.findings) for trace in run.traces),
        kept=_kept(run),
        verdicts=_verdicts(run, spec),
        strips=[(n, t, s) for n, t in enumerate(run.traces[:STRIPS]) if (s := strip(t, spec)) is not None],
        height=HEIGHT,
        most_items=ITEMS,
        path=path_text,
    )
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


@dataclass(frozen=True, slots=True)
class StaticRow:
    """An event of a finding as text."""

    place: str
    time: str
    thread: str
    name: str
    change: str
    fault: bool
    in_slice: bool


@dataclass(frozen=True, slots=True)
class StaticFinding:
    """A finding as it is shown without JavaScript."""

    id: str
    finding: Finding
    rule: Rule
    message: str
    required: str
    place: str
    object: str
    parent: str
    rows: tuple[StaticRow, ...]
    hidden: int


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """A rule over all traces: the worst verdict, with the numbers added up."""

    rule: str
    statement: str
    kind: VerdictKind
    decided: int
    open: int
    reason: str


@dataclass(frozen=True, slots=True)
class TraceRemarks:
    """What a reader has to know of a trace before trusting its verdicts."""

    trace: TraceResult
    summary: str
    unknown: tuple[tuple[str, int], ...]
    unmapped: tuple[tuple[str, int], ...]

    @property
    def any(self) -> bool:
        """Whether there is anything to remark."""
        lost = self.trace.lost is None or self.trace.lost > 0
        return bool(self.trace.problems or self.unknown or self.unmapped or lost or not self.trace.complete)


def _part(name: str) -> str:
    return resources.files("kmclcheck.report.html").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _reasons(group: OpenGroup) -> str:
    return f"{group.reason} ({plural(group.places, 'place')}, {plural(len(group.rules), 'rule')})"


def _kept(run: RunResult) -> int:
    kept = 0
    for trace in run.traces:
        kept += len(kept_findings(trace, kept))
    return kept


def _trace(trace: TraceResult, spec: Spec) -> TraceRemarks:
    counts = count([trace], spec)
    text = (
        f"{plural(counts.findings, 'finding')}; "
        f"{counts.exercised} of {plural(counts.rules, 'rule')} exercised, {counts.open} open; "
        f"{plural(trace.events, 'event')}; start {trace.start}, end {trace.end}"
    )
    ranked = [
        tuple(sorted(names.items(), key=lambda item: (-item[1], item[0])))
        for names in (trace.unknown_names, trace.unmapped)
    ]
    return TraceRemarks(trace, text, ranked[0], ranked[1])


def _findings(run: RunResult, spec: Spec) -> list[StaticFinding]:
    made: list[StaticFinding] = []
    for number, trace in enumerate(run.traces, 1):
        for at, finding in enumerate(kept_findings(trace, 0), 1):
            if len(made) == STATIC_FINDINGS:
                return made
            made.append(_finding(finding, f"{number}.{at}", trace, spec))
    return made


def _finding(finding: Finding, id: str, trace: TraceResult, spec: Spec) -> StaticFinding:
    rule = rule_of(finding, spec)
    every = rows(finding)
    told = every[-STATIC_ROWS:]
    event = finding.event
    where = f":{event.line}" if event is not None else " (end of trace)"
    return StaticFinding(
        id,
        finding,
        rule,
        headline(finding, rule),
        requirement(finding, rule),
        path_text(trace.path) + where,
        object_text(finding.object),
        "" if finding.parent is None else object_text(finding.parent),
        tuple(_row(row, spec) for row in told),
        len(every) - len(told),
    )


def _row(row: Row, spec: Spec) -> StaticRow:
    event: Event = row.event
    changes = []
    if row.step is not None:
        for name in {**row.step.before, **row.step.after}:
            before, after = row.step.before.get(name), row.step.after.get(name, "unset")
            changes.append(f"{name}: {after}" if before is None else f"{name}: {before} \u2192 {after}")
    return StaticRow(
        f"{event.line}",
        "" if event.time is None else time_text(event.time),
        thread_text(event) or "",
        event_text(event, spec),
        ", ".join(changes),
        bool(row.marks & FAULT),
        bool(row.marks & IN_SLICE),
    )


def _verdicts(run: RunResult, spec: Spec) -> list[RuleVerdict]:
    made: dict[str, RuleVerdict] = {}
    for trace in run.traces:
        for verdict in trace.verdicts:
            known = made.get(verdict.rule)
            rule = spec.rules.get(verdict.rule)
            kind, reason = verdict.kind, verdict.reason
            decided, left = verdict.decided, verdict.open
            if known is not None:
                decided += known.decided
                left += known.open
                if _WEIGHT[known.kind] >= _WEIGHT[kind]:
                    kind, reason = known.kind, known.reason or reason
            statement = rule.statement if rule is not None else ""
            made[verdict.rule] = RuleVerdict(verdict.rule, statement, kind, decided, left, reason)
    # What needs attention comes first.
    return sorted(made.values(), key=lambda v: (-_WEIGHT[v.kind], v.rule))
