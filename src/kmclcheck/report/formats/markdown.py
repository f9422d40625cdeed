"""``markdown``: for comments on pull requests.

Text of a trace stands in code only, where neither markup nor names of users nor addresses are read.
A comment holds 65,536 characters; findings for which there is no room are counted.
"""

from __future__ import annotations

import re
from typing import TextIO

from kmclcheck.model.finding import Finding, TraceResult
from kmclcheck.model.spec import Spec
from kmclcheck.report.base import RunResult
from kmclcheck.report.describe import headline, path_text, plural, rule_of, sorted_findings
from kmclcheck.report.escape import encodable
from kmclcheck.report.lines import gone_line, summary_line
from kmclcheck.report.links import rule_address
from kmclcheck.report.markup import code, escaped, fenced
from kmclcheck.report.registry import register
from kmclcheck.report.remarks import remarks
from kmclcheck.report.story import notes, place_text, story
from kmclcheck.report.summary import open_groups

_ROOM = 50_000
_PROBLEMS = 5
_ASIDE = 30


class MarkdownRenderer:
    name = "markdown"

    def render(self, run: RunResult, spec: Spec, stream: TextIO) -> None:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        for part in _document(run, spec):
            stream.write(encodable(part, encoding) + "\n")


def _document(run: RunResult, spec: Spec) -> list[str]:
    found = [(trace, finding) for trace in run.traces for finding in sorted_findings(trace)]
    parts = ["## kmclcheck", "", code(summary_line(run, spec)), ""]
    room, left = _ROOM, 0
    for trace, finding in found:
        block = "\n".join(_finding(trace, finding, run, spec))
        # The first one that is too long ends the list: those that are shown are the first ones.
        if left or len(block) > room:
            left += 1
            continue
        room -= len(block)
        parts.append(block)
    if left:
        parts += [f"{plural(left, 'more finding')} not shown; another report holds them all.", ""]
    if run.options.quiet:
        return parts
    if gone := gone_line(run):
        parts += [code(f"note: {gone}"), ""]
    parts += _open_rules(run)
    texts = [code(failure.message.split("\n")[0]) for failure in run.failures]
    texts += [
        f"{code(path_text(trace.path))}: {code(text.split(chr(10))[0])}"
        for trace in run.traces
        for text in remarks(trace, _PROBLEMS)
    ]
    if texts:
        more = len(texts) - _ASIDE
        parts += ["### Remarks", "", *(f"- {text}" for text in texts[:_ASIDE])]
        parts += [f"- {more} more"] if more > 0 else []
        parts.append("")
    return parts


def _finding(trace: TraceResult, finding: Finding, run: RunResult, spec: Spec) -> list[str]:
    rule = rule_of(finding, spec)
    address = rule_address(rule.id, run.options.docs)
    name = f"[{code(rule.id)}]({_target(address)})" if address else code(rule.id)
    lines = [f"### {rule.severity.value}: {name}", "", code(headline(finding, rule)), ""]
    lines += [code(place_text(trace, finding)), "", *fenced(story(finding, spec)), ""]
    lines += [f"- {code(note)}" for note in notes(finding, trace, spec)]
    lines += [f"- fix: {escaped(rule.fix)}"] if rule.fix else []
    lines += [f"- here: {code(line)}" for line in finding.repair.split("\n") if line]
    return [*lines, ""]


def _open_rules(run: RunResult) -> list[str]:
    groups = open_groups(run.traces)
    if not groups:
        return []
    lines = ["### Open: could not be decided everywhere", ""]
    for group in groups:
        rules = ", ".join(code(rule) for rule in group.rules)
        lines.append(f"- {code(group.reason)} ({plural(group.places, 'place')}): {rules}")
    return [*lines, ""]


def _target(address: str) -> str:
    return re.sub(r"[\s()<>\\]", lambda found: f"%{ord(found.group()):02X}", address)


register(MarkdownRenderer())
