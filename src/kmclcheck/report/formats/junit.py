"""``junit``: XML for test reports of build servers. A suite is a trace, a case is a rule.

Only a rule that was decided everywhere and kept is a passed case. An open rule and one that was not
exercised are skipped, each with its reason, as is a rule of which only known findings are left.
A file that could not be read is a suite with an error.
"""

from __future__ import annotations

from typing import TextIO
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from kmclcheck.model.finding import Finding, TraceResult, Verdict, VerdictKind
from kmclcheck.model.spec import Spec
from kmclcheck.report.base import InputFailure, RunResult
from kmclcheck.report.describe import headline, path_text, plural, rule_of, sorted_findings
from kmclcheck.report.escape import safe
from kmclcheck.report.lines import gone_line, summary_line
from kmclcheck.report.registry import register
from kmclcheck.report.remarks import remarks
from kmclcheck.report.story import notes, place_text, story

_MESSAGE = 1000
_TOLD = 20
_PROBLEMS = 100


class JUnitRenderer:
    name = "junit"

    def render(self, run: RunResult, spec: Spec, stream: TextIO) -> None:
        root = Element("testsuites", name="kmclcheck")
        for trace in run.traces:
            _suite(root, trace, run, spec)
        for failure in run.failures:
            _unreadable(root, failure)
        seconds = sum(trace.seconds for trace in run.traces)
        _totals(root, seconds, list(root.iter("testcase")))
        indent(root)
        # Character references for all but ASCII: the same in a stream of any encoding.
        text = tostring(root, encoding="us-ascii").decode("ascii")
        stream.write(f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n')


def _suite(root: Element, trace: TraceResult, run: RunResult, spec: Spec) -> None:
    suite = SubElement(root, "testsuite", name=safe(path_text(trace.path)))
    findings: dict[str, list[Finding]] = {}
    for finding in sorted_findings(trace):
        findings.setdefault(finding.rule, []).append(finding)
    for verdict in sorted(trace.verdicts, key=lambda v: v.rule):
        rule = spec.rules[verdict.rule]
        case = SubElement(suite, "testcase", name=rule.id, classname=f"{spec.name}.{rule.scope}", time="0")
        found = findings.get(rule.id)
        if found:
            _failure(case, found, trace, spec)
        elif (reason := _skipped(verdict)) is not None:
            SubElement(case, "skipped", message=_cut(safe(reason)))
    if not trace.complete:
        case = SubElement(suite, "testcase", name="complete", classname=f"{spec.name}.trace", time="0")
        SubElement(case, "error", type="interrupted", message="not everything was checked")
    _totals(suite, trace.seconds, suite.findall("testcase"))
    # The summary of the suite's own trace; the files that failed have suites of their own.
    one = RunResult([trace], run.tool, run.options)
    told = [summary_line(one, spec)]
    if run.known is not None:
        told.append(f"{plural(run.known.hidden, 'known finding')} of all traces not shown")
    told += [gone] if (gone := gone_line(run)) else []
    SubElement(suite, "system-out").text = _text(told)
    if problems := remarks(trace, _PROBLEMS):
        SubElement(suite, "system-err").text = _text(problems)


def _failure(case: Element, found: list[Finding], trace: TraceResult, spec: Spec) -> None:
    rule = rule_of(found[0], spec)
    message = headline(found[0], rule)
    if len(found) > 1:
        message = f"{plural(len(found), 'finding')}, the first: {message}"
    lines: list[str] = []
    for finding in found[:_TOLD]:
        lines += [headline(finding, rule), f"  at {place_text(trace, finding)}"]
        lines += [f"  {line}" for line in story(finding, spec)]
        lines += [f"  note: {note}" for note in notes(finding, trace, spec)] + [""]
    if len(found) > _TOLD:
        lines += [f"{plural(len(found) - _TOLD, 'more finding')} of this rule", ""]
    lines += [f"rule: {rule.statement}"] + ([f"help: {rule.fix}"] if rule.fix else [])
    failure = SubElement(case, "failure", type=rule.severity.value, message=_cut(safe(message)))
    failure.text = _text(lines)


def _skipped(verdict: Verdict) -> str | None:
    """Return why a rule without a finding did not pass, or ``None`` if it did."""
    if verdict.kind is VerdictKind.OPEN:
        return f"open: {verdict.reason or 'no reason given'} ({plural(verdict.open, 'place')})"
    if verdict.kind is VerdictKind.NOT_EXERCISED:
        return "not exercised: the trace never came to a decision about this rule"
    if verdict.kind is VerdictKind.FAIL:
        return "broken, by known findings only (baseline)"
    return None


def _unreadable(root: Element, failure: InputFailure) -> None:
    suite = SubElement(root, "testsuite", name=safe(path_text(failure.path)))
    case = SubElement(suite, "testcase", name="readable", classname="kmclcheck", time="0")
    first = failure.message.split("\n")[0]
    error = SubElement(case, "error", type="unreadable", message=_cut(safe(first)))
    error.text = _text([failure.message])
    _totals(suite, 0.0, [case])


def _totals(element: Element, seconds: float, cases: list[Element]) -> None:
    element.set("tests", str(len(cases)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(sum(case.find(tag) is not None for case in cases)))
    element.set("time", f"{seconds:.3f}")


def _text(parts: list[str]) -> str:
    """Return lines without what XML cannot hold; ``safe`` shows such characters as escapes."""
    return "\n".join(safe(line) for part in parts for line in part.split("\n"))


def _cut(text: str) -> str:
    return text if len(text) <= _MESSAGE else text[:_MESSAGE] + "..."


register(JUnitRenderer())
