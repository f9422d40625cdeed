"""``github``: annotations of a workflow run (``::error file=...``).

GitHub shows ten annotations of a kind for a step and drops the rest without a word, so the tenth says
how many more there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from kmclcheck.model.finding import Finding, TraceResult
from kmclcheck.model.spec import Severity, Spec
from kmclcheck.report.base import RunResult
from kmclcheck.report.describe import headline, object_text, path_text, plural, rule_of, sorted_findings
from kmclcheck.report.escape import encodable, safe
from kmclcheck.report.lines import gone_line, summary_line
from kmclcheck.report.registry import register
from kmclcheck.report.remarks import remarks
from kmclcheck.report.story import notes
from kmclcheck.report.summary import open_groups

LIMIT = 10
_TITLE = 200
_PART = 2000
_PROBLEMS = 5


class GitHubRenderer:
    name = "github"

    def render(self, run: RunResult, spec: Spec, stream: TextIO) -> None:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        found = [(trace, finding) for trace in run.traces for finding in sorted_findings(trace)]
        errors = [_command("error", "", "not checked", failure.message) for failure in run.failures]
        errors += [_finding(t, f, spec) for t, f in found if rule_of(f, spec).severity is Severity.ERROR]
        warnings = [_finding(t, f, spec) for t, f in found if rule_of(f, spec).severity is Severity.WARNING]
        for trace in run.traces:
            for text in remarks(trace, _PROBLEMS):
                warnings.append(_command("warning", _at(trace, 0), path_text(trace.path), text))
        notices = [
            _command("notice", "", f"open: {', '.join(g.rules)}", f"{g.reason} ({plural(g.places, 'place')})")
            for g in open_groups(run.traces)
        ]
        if gone := gone_line(run):
            notices.append(_command("notice", "", "baseline", gone))
        lines = [*_limited("error", errors), *_limited("warning", warnings)]
        if not run.options.quiet:
            lines += _limited("notice", notices)
            # An older form of commands is looked for anywhere in a line.
            lines.append("kmclcheck: " + safe(summary_line(run, spec)).replace("##[", "## ["))
        for line in lines:
            stream.write(encodable(line, encoding) + "\n")


def _limited(kind: str, commands: list[str]) -> list[str]:
    if len(commands) <= LIMIT:
        return commands
    more = len(commands) - LIMIT + 1
    text = f"GitHub shows {LIMIT} annotations of a kind; another report holds them all"
    return [*commands[: LIMIT - 1], _command(kind, "", f"{more} more", text)]


def _finding(trace: TraceResult, finding: Finding, spec: Spec) -> str:
    rule = rule_of(finding, spec)
    line = finding.event.line if finding.event is not None else 0
    where = "" if finding.event is not None else " at the end of the trace"
    texts = [f"{headline(finding, rule).rstrip('.')} ({object_text(finding.object)}){where}"]
    texts += [f"note: {note}" for note in notes(finding, trace, spec)]
    texts += [f"help: {rule.fix}"] if rule.fix else []
    return _command(rule.severity.value, _at(trace, line), rule.id, *texts)


def _at(trace: TraceResult, line: int) -> str:
    place = f"file={_property(path_text(trace.path))}"
    return f"{place},line={line}" if line else place


def _command(kind: str, place: str, title: str, *texts: str) -> str:
    properties = ",".join(part for part in (place, f"title={_property(_cut(title, _TITLE))}") if part)
    lines = [safe(_cut(line, _PART)) for line in _lines(texts)]
    return f"::{kind} {properties}::" + "%0A".join(line.replace("%", "%25") for line in lines)


def _lines(texts: Sequence[str]) -> list[str]:
    return [line for text in texts for line in text.split("\n")]


def _property(text: str) -> str:
    """Escape a value of a property, in which commas and colons end something."""
    return safe(text).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[:size] + "..."


register(GitHubRenderer())
