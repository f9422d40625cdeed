"""The page of the html report as text: golden file, size, escaping, the same bytes every time."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from kmclcheck.model.density import BINS, Density
from kmclcheck.model.event import Event, Phase
from kmclcheck.model.finding import Finding, HistoryStep, ObjectRef, Slice
from kmclcheck.report import InputFailure, RunResult, get_renderer
from kmclcheck.report.html.payload import FAULT, IN_HISTORY, IN_SLICE, rows
from tests.unit.report_samples import (
    CHANNEL,
    event,
    make_end_finding,
    make_finding,
    make_run,
    make_spec,
    make_trace,
)

GOLDEN = Path(__file__).parent.parent / "golden" / "report" / "report.html"
SPEC = make_spec()
HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
    "\x00\x1b[31m\u202eltr\ud800\u2028 {{ 7*7 }}"
)


def rendered(run: RunResult, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    get_renderer("html").render(run, SPEC, stream)
    stream.flush()
    return raw.getvalue().decode(encoding)


def sample_run() -> RunResult:
    trace = make_trace()
    trace.density = density(12_408, 1000)
    return make_run(trace, failures=(InputFailure("gone.kmtrace", "error: gone.kmtrace: no such file"),))


def density(events: int, apart: int) -> Density:
    made = Density()
    for number in range(events):
        made.add(number * apart, number + 1)
    return made


def data_of(text: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


class Markup(HTMLParser):
    """What a browser would make elements of, and the text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._raw = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._raw = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._raw = ""

    def handle_data(self, data: str) -> None:
        if not self._raw:
            self.text.append(data)


def test_golden() -> None:
    # Style and script stand in files of their own; a copy of them would only hide what changed.
    text = re.sub(r"<(style|script)>.*?</\1>", r"<\1></\1>", rendered(sample_run()), flags=re.DOTALL)
    text = re.sub(r"sha256-[\w+/=]+", "sha256-...", text)
    if os.environ.get("KMCLCHECK_UPDATE_GOLDEN"):
        GOLDEN.write_bytes(text.encode())
    assert text == GOLDEN.read_bytes().decode()


def test_the_page_is_the_same_whatever_time_and_order() -> None:
    first, second = sample_run(), sample_run()
    second.traces[0].seconds = 99.0
    for part in (second.traces[0].verdicts, second.traces[0].findings):
        part.reverse()
    second.traces[0].unknown_names = dict(reversed(second.traces[0].unknown_names.items()))
    assert rendered(first) == rendered(second)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-16"])
def test_any_encoding_of_the_stream_will_do(encoding: str) -> None:
    assert rendered(sample_run(), encoding) == rendered(sample_run())


def test_the_policy_allows_our_script_and_style_alone() -> None:
    text = rendered(sample_run())
    policy = next(
        a["content"] for tag, a in Markup(text).tags if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    for tag in ("style", "script"):
        (part,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert not re.search(
        r"\s(src|on\w+|style)=|href=\"(?!#)", re.sub(r"<(style|script).*?</\1>", "", text, flags=re.DOTALL)
    )


def test_what_a_trace_says_is_text() -> None:
    finding = make_finding()
    finding.actual = HOSTILE
    finding.repair = HOSTILE
    finding.history_note = HOSTILE
    bad = Event(
        "N" * 10_000 + HOSTILE, Phase.CALL, {HOSTILE: HOSTILE}, status=HOSTILE, endpoint=HOSTILE, line=1000
    )
    finding.history = (HistoryStep(bad, {HOSTILE: HOSTILE}, {HOSTILE: "x"}), *finding.history)
    finding.object = ObjectRef("channel", CHANNEL, 1, HOSTILE)
    trace = make_trace(HOSTILE)
    trace.findings = [finding]
    trace.unknown_names = {HOSTILE: 1, "M" * 10_000: 2}
    trace.unmapped = {HOSTILE: 1}
    trace.problems = [HOSTILE]
    trace.verdicts[2] = replace(trace.verdicts[2], reason=HOSTILE)
    trace.density = density(10, 10)
    text = rendered(make_run(trace, failures=(InputFailure(HOSTILE, HOSTILE),)))
    plain = Markup(rendered(sample_run()))
    seen = Markup(text)
    assert {tag for tag, _ in seen.tags} <= {tag for tag, _ in plain.tags}
    assert sum(tag == "script" for tag, _ in seen.tags) == 2
    assert not set("\x00\x1b\u202e\ud800\u2028") & set(text + "".join(seen.text))
    assert "</script><script>alert(1)</script><img src=x" in "".join(seen.text)
    assert "{{ 7*7 }}" in "".join(seen.text)
    assert "\\x00\\x1b[31m\\u202eltr\\ud800\\u2028" in "".join(seen.text)
    assert "(10,000 characters)" in "".join(seen.text)
    assert "M" * 300 not in text
    assert "N" * 300 not in text
    (message,) = [t for t in data_of(text)["texts"] if t.startswith("</script>") and "characters" not in t]
    assert message.endswith("\\x00\\x1b[31m\\u202eltr\\ud800\\u2028 {{ 7*7 }}")


def many(count: int, steps: int) -> list[Finding]:
    """Findings with long stories that share no event."""
    made = []
    for number in range(count):
        base = number * 1000
        story = tuple(
            HistoryStep(
                event(
                    base + i,
                    f"VmbChannelCall{i % 7}",
                    time=(base + i) * 1000,
                    pid=4,
                    tid=number,
                    seq=base + i,
                ),
                {"life": "Disabled"},
                {"life": "Enabled"},
            )
            for i in range(steps)
        )
        finding = replace(make_finding(), history=story, index=number, object=ObjectRef("channel", number, 1))
        finding.event = story[-1].event
        finding.slice = Slice(tuple(step.event for step in story), True, True)
        made.append(finding)
    return made


def test_a_thousand_findings_fit_in_five_megabytes() -> None:
    trace = make_trace()
    trace.findings = many(1000, 60)
    text = rendered(make_run(trace))
    assert len(text) < 5_000_000
    data = data_of(text)
    assert len(data["findings"]) == 1000
    for finding in data["findings"]:
        assert finding["rows"][-1][1] & FAULT
        assert any("left out" in data["texts"][note] for note in finding["notes"])
    assert text.count('<article class="finding"') == 20
    assert "the first 20 of 1,000 findings" in text


def test_what_does_not_fit_is_told() -> None:
    trace = make_trace()
    trace.findings = many(5003, 2)
    text = rendered(make_run(trace))
    assert len(data_of(text)["findings"]) == 5000
    assert "This page holds 5,000 of 5,003 findings" in text


def test_the_state_before_the_shown_events_is_kept() -> None:
    trace = make_trace()
    trace.findings = many(1, 200)
    first = HistoryStep(event(0, "VmbChannelAllocate"), {}, {"life": "None", "window": "true"})
    trace.findings[0].history = (first, *trace.findings[0].history[1:])
    data = data_of(rendered(make_run(trace)))
    (finding,) = data["findings"]
    assert len(finding["rows"]) == 160
    start = [data["texts"][n] for n in finding["start"]]
    assert dict(zip(start[::2], start[1::2], strict=True)) == {"life": "Enabled", "window": "true"}


def test_rows_are_story_and_slice_in_the_order_of_the_trace() -> None:
    finding = make_finding()
    other = event(1000, "VmbPacketAllocate")
    assert finding.event is not None
    finding.history = finding.history[:-1]
    finding.slice = Slice((finding.history[0].event, other, finding.history[1].event), True, True)
    told = [(row.event.line, row.marks) for row in rows(finding)]
    both = IN_SLICE | IN_HISTORY
    assert told == [(998, both), (1000, IN_SLICE), (1001, both), (1003, IN_HISTORY), (1042, FAULT)]
    assert rows(make_end_finding())[-1].event.line == 600


def test_a_run_without_findings_is_never_a_bare_pass() -> None:
    trace = make_trace()
    trace.findings = []
    text = "".join(Markup(rendered(make_run(trace))).text)
    assert "0 findings; 2 of 4 rules exercised, 1 open (no IRQL in the trace); 12,408 events" in text
    assert "passed" not in text.split("rules exercised")[0]


def test_density_stays_small_and_loses_nothing() -> None:
    made = Density()
    for number in range(20_000):
        made.add(number * number, number)
    made.add(5, 1)  # out of order
    made.add(None, 2)
    assert sum(made.counts) == 20_002
    assert len(made.counts) == BINS
    assert made.place(0, 0) == 0
    assert made.place(19_999**2, 0) == made.used() - 1
    assert made.place(None, 0) is None
    assert made.place(made.width * BINS, 0) is None
    by_line = Density()
    by_line.add(None, 7)
    assert (by_line.timed, by_line.place(99, 7)) == (False, 0)
