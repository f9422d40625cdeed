"""Traces are untrusted: whatever their strings hold is shown as text, in every format."""

from __future__ import annotations

import html
import io
import json
import time
from dataclasses import replace
from xml.etree import ElementTree

import jsonschema
import pytest

from kmclcheck.model.event import Event
from kmclcheck.model.finding import Finding, HistoryStep, ObjectRef, Slice, Verdict, VerdictKind
from kmclcheck.report import (
    InputFailure,
    Known,
    KnownFinding,
    ReportOptions,
    RunResult,
    format_names,
    get_renderer,
)
from kmclcheck.report.baseline import baseline_of, read_baseline, write_baseline
from kmclcheck.report.schemas import schema_text
from tests.support.sarif import problems
from tests.unit.report_samples import event, make_finding, make_run, make_spec, make_trace

SPEC = make_spec()
STRINGS = {
    "markup": "<b>&amp;</b>]]><!-- \"quoted\" 'too' ${x} {0} [a](b) `c` | ::error::d ##[error]e %0A",
    "control": "a\x00b\x07c\x08d\x1b[2Je\x7ff\x9bg\r\nh\ti\u2028j\x85k",
    "direction": "a\u202eb\u200fc\u2066d\u200be\ufefff",
    "surrogate": "a\ud800b\udfffc\ufffed\uffff",
    "long": "n" * 10_000,
    "astral": "\U0001f600\u540d\u0301",
}
FORBIDDEN = set(
    "\x00\x07\x08\x1b\x7f\x9b\r\t\u2028\x85\u202e\u200f\u2066\u200b\ufeff\ud800\udfff\ufffe\uffff"
)


def hostile_run(text: str) -> RunResult:
    """Return a run that holds the text wherever a trace or a path can bring one in."""
    fault = Event(text, make_finding().event.phase, {text: text}, text, tid=4, endpoint=text, line=7)  # type: ignore[union-attr]
    before = replace(fault, line=3)
    finding = Finding(
        rule="channel-cleanup-disabled",
        event=fault,
        object=ObjectRef("channel", 1, 2, text),
        parent=ObjectRef("channel", 2, 1, text),
        actual=text,
        required=text,
        holders=(ObjectRef("channel", 3, 1, text),),
        hung_call=before,
        history=(HistoryStep(before, {"life": text}, {"life": f"{text}2"}),),
        history_note=text,
        slice=Slice((before, fault), replayed=True, reduced=True, note=text),
        repair=text,
    )
    trace = make_trace(text)
    trace.findings = [finding, replace(finding, event=None)]
    trace.unknown_names, trace.unmapped, trace.problems = {text: 1}, {text: 2}, [text]
    trace.verdicts.append(Verdict("channel-idle", VerdictKind.OPEN, 0, 1, text))
    failures = (InputFailure(text, f"error: {text}"),)
    return replace(make_run(trace, failures=failures), known=Known(1, (KnownFinding("0" * 16, text, text),)))


def rendered(run: RunResult, name: str, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    get_renderer(name).render(run, SPEC, stream)
    stream.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
@pytest.mark.parametrize("kind", STRINGS)
@pytest.mark.parametrize("name", format_names())
def test_every_string_is_text_in_every_format(name: str, kind: str, encoding: str) -> None:
    for verbose in (False, True):
        run = replace(hostile_run(STRINGS[kind]), options=ReportOptions(verbose=verbose))
        text = rendered(run, name, encoding)
        assert not FORBIDDEN & set(text)
        if name == "json":
            jsonschema.validate(json.loads(text), json.loads(schema_text("kmclcheck.run/1")))
        elif name == "sarif":
            assert problems(json.loads(text)) == []
        elif name == "junit":
            root = ElementTree.fromstring(text)
            tags = {"testsuites", "testsuite", "testcase", "failure", "error", "skipped"}
            assert {element.tag for element in root.iter()} == tags | {"system-out", "system-err"}


@pytest.mark.parametrize("name", format_names())
def test_what_is_printable_is_shown_as_it_is(name: str) -> None:
    """So that the other test is not passed by leaving everything out."""
    text = rendered(hostile_run("Vmb<New>"), name)
    if name == "junit":
        text = "".join(ElementTree.fromstring(text).itertext())
    if name == "html":
        assert "Vmb<New>" not in text
        text = html.unescape(text)
    assert "Vmb<New>" in text


@pytest.mark.parametrize("kind", STRINGS)
def test_a_baseline_holds_any_text(kind: str) -> None:
    run = hostile_run(STRINGS[kind])
    known = baseline_of(run.traces, SPEC)
    text = write_baseline(known)
    assert text.isascii()
    assert len(text.splitlines()) == len(known) + 5
    assert list(read_baseline(text, "b").values()) == known


@pytest.mark.parametrize("name", format_names())
def test_a_thousand_findings_are_written_in_seconds(name: str) -> None:
    finding = make_finding()
    trace = make_trace()
    trace.events = 1_000_000
    trace.findings = []
    for number in range(1000):
        fault = replace(finding.event, line=number * 1000 + 50)  # type: ignore[type-var]
        steps = tuple(
            HistoryStep(event(number * 1000 + i, "VmbChannelEnable"), {"life": "None"}, {"life": "Enabled"})
            for i in range(20)
        )
        cut = Slice((*(step.event for step in steps), fault), replayed=True, reduced=True)  # type: ignore[arg-type]
        trace.findings.append(replace(finding, event=fault, history=steps, slice=cut, index=number))
    begin = time.process_time()
    text = rendered(make_run(trace), name)
    assert time.process_time() - begin < 5
    if name == "sarif":
        assert len(text) < 10_000_000
