"""``text``: findings in the manner of rustc, for people at a terminal."""

from __future__ import annotations

from typing import TextIO

from kmclcheck.model.finding import UNDECLARED, Finding, HistoryStep, TraceResult
from kmclcheck.model.spec import Party, Rule, Spec
from kmclcheck.report.base import MONITOR, RunResult
from kmclcheck.report.describe import (
    event_text,
    headline,
    object_text,
    path_text,
    plural,
    requirement,
    rule_of,
    sorted_findings,
    thread_text,
    time_text,
)
from kmclcheck.report.lines import gone_line, summary_line
from kmclcheck.report.paint import Painter
from kmclcheck.report.registry import register
from kmclcheck.report.summary import open_groups

_STEPS_SHOWN = 10
_IDS_SHOWN = 3
_BLURRED_SHOWN = 2
_DECLARE = "say so with %records in its header, or with --records all if every call and callback is there"
_MAPPING = "rules in kmclcheck.toml or --map FILE say how a driver's own events become calls"
_PROBLEMS_SHOWN = 10
_NAMES_SHOWN = 5


class TextRenderer:
    name = "text"

    def render(self, run: RunResult, spec: Spec, stream: TextIO) -> None:
        painter = Painter(stream, run.options.colour)
        for trace in run.traces:
            for finding in sorted_findings(trace):
                _Block(painter, trace, finding, spec, run.options.verbose).write()
                painter.line()
        self.close(run, spec, stream)

    def tell(self, run: RunResult, finding: Finding, number: int, spec: Spec, stream: TextIO) -> None:
        painter = Painter(stream, run.options.colour)
        _Block(painter, run.traces[0], finding, spec, run.options.verbose).write()
        painter.line()

    def close(self, run: RunResult, spec: Spec, stream: TextIO) -> None:
        if run.options.quiet:
            return
        painter = Painter(stream, run.options.colour)
        for trace in run.traces:
            _remarks(painter, trace, run.options.verbose)
        _open_rules(painter, run)
        if gone := gone_line(run):
            painter.line((f"note: {gone}", ""))
        if run.options.verbose and len(run.traces) > 1:
            for trace in run.traces:
                one = RunResult([trace], run.tool, run.options)
                painter.line((f"{path_text(trace.path)}: {summary_line(one, spec)}", ""))
        if run.tool.engine != MONITOR:
            painter.line((f"judged by the {run.tool.engine} engine; it explains nothing", ""))
        painter.line((summary_line(run, spec), "bold"))


class _Block:
    """One finding."""

    def __init__(
        self, painter: Painter, trace: TraceResult, finding: Finding, spec: Spec, verbose: bool
    ) -> None:
        self._out = painter
        self._trace = trace
        self._finding = finding
        self._spec = spec
        self._rule: Rule = rule_of(finding, spec)
        self._verbose = verbose
        self._told_all = True
        self._steps, self._hidden = self._shown_steps()
        lines = [step.event.line for step in self._steps]
        lines.append(finding.event.line if finding.event is not None else 0)
        self._gutter = max(len(str(max(lines))), 3 if finding.event is None else 1)
        names = [event_text(step.event, spec) for step in self._steps]
        names.append("end of trace" if finding.event is None else event_text(finding.event, spec))
        self._name_width = max(len(name) for name in names)

    def write(self) -> None:
        finding, rule, out = self._finding, self._rule, self._out
        out.line(
            (f"{rule.severity.value}[{rule.id}]", out.severity(rule.severity)),
            (f": {headline(finding, rule)}", "bold"),
        )
        out.line(("  --> ", "bold blue"), (self._place(), ""))
        self._spine()
        for note in self._notes():
            self._remark("note", note)
        help = [text for text in (rule.fix, finding.repair and f"here: {finding.repair}") if text]
        if help:
            self._remark("help", "\n".join(help))
        self._remark("see", f"kmclcheck explain {rule.id}")

    def _place(self) -> str:
        finding, event = self._finding, self._finding.event
        path = path_text(self._trace.path)
        parts = [f"{path} (end of trace)" if event is None else f"{path}:{event.line}"]
        parts.append(object_text(finding.object))
        if finding.parent is not None:
            parts[-1] += f" of {object_text(finding.parent)}"
        if event is not None:
            if event.time is not None:
                parts.append(time_text(event.time))
            thread = thread_text(event)
            if thread is not None:
                parts.append(f"thread {thread}")
        return "   ".join(parts)

    def _shown_steps(self) -> tuple[list[HistoryStep], int]:
        """The steps before the event of the finding, the latest ones if there are many."""
        steps = list(self._finding.history)
        if steps and self._finding.event is not None and steps[-1].event == self._finding.event:
            steps.pop()
        if self._verbose:
            return steps, 0
        part = self._finding.slice
        if part is not None and part.replayed and part.reduced:
            # What reproduces the fault tells it best; the rest of the story is there with -v.
            kept = {id(event) for event in part.events}
            told = [step for step in steps if id(step.event) in kept]
            if told and len(told) < len(steps):
                self._told_all = False
                steps = told
        if len(steps) <= _STEPS_SHOWN:
            return steps, 0
        return steps[-_STEPS_SHOWN:], len(steps) - _STEPS_SHOWN

    def _spine(self) -> None:
        if self._hidden:
            self._gap(plural(self._hidden, "earlier event") + " of this object (all with -v)")
        last = 0
        for step in self._steps:
            self._skipped(last, step.event.line)
            last = step.event.line or last
            self._row(str(step.event.line), event_text(step.event, self._spec), (self._change(step), "cyan"))
        event = self._finding.event
        required = requirement(self._finding, self._rule)
        caret = f"^ requires {required}" if required else "^"
        style = self._out.severity(self._rule.severity)
        if event is None:
            self._row("end", "end of trace", (caret, style))
        else:
            self._skipped(last, event.line)
            self._row(str(event.line), event_text(event, self._spec), (caret, style))

    def _skipped(self, last: int, line: int) -> None:
        # Lines stand for events: what lies between two events of the object belongs to others.
        if last and line - last > 1:
            whose = " of other objects" if self._told_all else " that do not matter here"
            self._gap(plural(line - last - 1, "event") + whose)

    def _gap(self, text: str) -> None:
        self._out.line((f"  {' ' * self._gutter} {self._out.gap} {text}", "dim"))

    def _row(self, line: str, name: str, remark: tuple[str, str]) -> None:
        self._out.line(
            (f"  {line:>{self._gutter}} {self._out.bar} ", "bold blue"),
            (f"{name:<{self._name_width}}  ", ""),
            remark,
        )

    def _change(self, step: HistoryStep) -> str:
        kind = self._spec.kinds.get(self._finding.object.kind)
        enums = list(kind.enums.values()) if kind is not None else []
        # The field that says whether the object lives comes without its name.
        main = next((f.name for f in sorted(enums, key=lambda f: not f.dead)), None)
        changes: list[str] = []
        blurred: list[str] = []
        for field in {**step.before, **step.after}:
            before, after = step.before.get(field), step.after.get(field, "unset")
            prefix = "" if field == main else f"{field}: "
            if before is None and field == main:
                changes.append(after)  # the first thing known of the object
            elif before is not None and before != after:
                told = blurred if after == "unknown" else changes
                told.append(f"{prefix}{before} {self._out.arrow} {after}")
        if len(blurred) > _BLURRED_SHOWN and not self._verbose:
            blurred = [f"{len(blurred)} fields unknown"]
        return ", ".join(changes + blurred)

    def _notes(self) -> list[str]:
        finding, rule = self._finding, self._rule
        notes = []
        if finding.hung_call is not None:
            notes.append(f"{finding.hung_call.name}, called at line {finding.hung_call.line}, never returned")
        if finding.holders:
            notes.append("held by " + self._some([object_text(h) for h in finding.holders]))
        if finding.also_broken:
            notes.append("also broken by this: " + ", ".join(finding.also_broken))
        if finding.repeats:
            notes.append(f"repeated {plural(finding.repeats, 'time')} on this object, not shown")
        if rule.party is Party.LIBRARY:
            notes.append("the library has to keep this rule, not the driver")
        if finding.slice is not None:
            cut = finding.slice
            text = f"{len(cut.events):,} of {plural(self._trace.events, 'event')} "
            # Only what was run again may be called a reproduction.
            text += "reproduce this (replayed)" if cut.replayed else "concern this (not replayed)"
            notes.append(f"{text}; {cut.note}" if cut.note else text)
        if finding.history_note:
            notes.append(finding.history_note)
        if self._verbose:
            notes.append(f"rule: {rule.statement}")
            if rule.consequence:
                notes.append(f"consequence: {rule.consequence}")
            if rule.sources:
                notes.append("source: " + ", ".join(rule.sources))
        return notes

    def _some(self, texts: list[str]) -> str:
        if self._verbose or len(texts) <= _IDS_SHOWN:
            return ", ".join(texts)
        return ", ".join(texts[:_IDS_SHOWN]) + f" and {len(texts) - _IDS_SHOWN} more"

    def _remark(self, label: str, text: str) -> None:
        first, *rest = text.split("\n")
        self._out.line(("  = ", "bold blue"), (label, "bold"), (f": {first}", ""))
        for more in rest:
            self._out.line((f"    {' ' * len(label)}  {more}", ""))


def _remarks(painter: Painter, trace: TraceResult, verbose: bool) -> None:
    """What may have weakened the check: problems in the file, lost events, names nobody knows."""
    path = path_text(trace.path)
    for problem in trace.problems if verbose else trace.problems[:_PROBLEMS_SHOWN]:
        first, *rest = problem.split("\n")
        text = first if first.startswith(("error", "warning")) else f"warning: {path}: {first}"
        painter.line((text, "yellow"))
        for more in rest:
            painter.line((more, ""))
    hidden = len(trace.problems) - _PROBLEMS_SHOWN
    if hidden > 0 and not verbose:
        painter.line((f"warning: {path}: {plural(hidden, 'more problem')} (all with -v)", "yellow"))
    if trace.lost is None:
        painter.line((f"warning: {path}: an unknown number of events was lost", "yellow"))
    elif trace.lost:
        painter.line((f"warning: {path}: {plural(trace.lost, 'event')} lost", "yellow"))
    if trace.unknown_names:
        names = _most(trace.unknown_names, verbose)
        painter.line((f"warning: {path}: names the specification does not know: {names}", "yellow"))
    if trace.unmapped:
        names = _most(trace.unmapped, verbose)
        what = "no rule of a mapping fits" if trace.events else "nothing could be checked; no mapping fits"
        painter.line((f"warning: {path}: {what}: {names}", "yellow"))
        if not trace.events:
            painter.line(("  = ", "bold blue"), ("help", "bold"), (f": {_MAPPING}", ""))


def _most(counts: dict[str, int], verbose: bool) -> str:
    """Return names with their counts, the most frequent first, as many as there is room for."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ranked if verbose else ranked[:_NAMES_SHOWN]
    names = ", ".join(f"{name} ({plural(n, 'event')})" for name, n in shown)
    if len(ranked) > len(shown):
        names += f" and {len(ranked) - len(shown)} more"
    return names


def _open_rules(painter: Painter, run: RunResult) -> None:
    groups = open_groups(run.traces)
    if not groups:
        return
    painter.line(("open, could not be decided everywhere:", "bold"))
    for group in groups:
        ids = group.rules if run.options.verbose else group.rules[:_IDS_SHOWN]
        text = ", ".join(ids)
        if len(group.rules) > len(ids):
            text += f" and {len(group.rules) - len(ids)} more"
        places = plural(group.places, "place")
        painter.line((f"  {group.reason} ({places}): {text}", ""))
        if group.reason == UNDECLARED:
            painter.line(("    = ", "bold blue"), ("help", "bold"), (f": {_DECLARE}", ""))
    painter.line()


register(TextRenderer())
