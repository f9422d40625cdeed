"""Reports for build servers and pull requests: JUnit XML, Markdown, annotations of GitHub."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import junitparser
import pytest
from markdown_it import MarkdownIt

from kmclcheck.model.finding import ObjectRef, Verdict, VerdictKind
from kmclcheck.report import InputFailure, Known, KnownFinding, ReportOptions, RunResult, get_renderer
from kmclcheck.report.markup import code, escaped, fenced
from tests.unit.report_samples import make_end_finding, make_finding, make_run, make_spec, make_trace

SPEC = make_spec()
FAILURE = InputFailure("gone.kmtrace", "error: gone.kmtrace: no such file\n  = help: look again")


def rendered(run: RunResult, name: str) -> str:
    stream = io.StringIO()
    get_renderer(name).render(run, SPEC, stream)
    return stream.getvalue()


def cases(run: RunResult, folder: Path) -> dict[str, junitparser.TestCase]:
    file = folder / "report.xml"
    file.write_text(rendered(run, "junit"), encoding="utf-8")
    suites = junitparser.JUnitXml.fromfile(str(file))
    return {case.name: case for suite in suites for case in suite}


def test_junit_says_of_every_rule_what_became_of_it(tmp_path: Path) -> None:
    trace = make_trace()
    trace.verdicts.append(Verdict("channel-kept", VerdictKind.PASS, 3, 0, ""))
    spec = replace(
        SPEC, rules={**SPEC.rules, "channel-kept": replace(SPEC.rules["channel-idle"], id="channel-kept")}
    )
    stream = io.StringIO()
    get_renderer("junit").render(make_run(trace, failures=(FAILURE,)), spec, stream)
    (tmp_path / "report.xml").write_text(stream.getvalue(), encoding="utf-8")
    suites = list(junitparser.JUnitXml.fromfile(str(tmp_path / "report.xml")))
    assert [suite.name for suite in suites] == ["capture.kmtrace", "gone.kmtrace"]
    assert (suites[0].tests, suites[0].failures, suites[0].skipped, suites[0].errors) == (5, 2, 2, 0)
    assert (suites[1].tests, suites[1].errors) == (1, 1)
    assert suites[0].time == pytest.approx(0.12)
    found = {case.name: case for suite in suites for case in suite}
    assert [name for name, case in found.items() if case.is_passed] == ["channel-kept"]
    broken = found["channel-cleanup-disabled"].result[0]
    assert isinstance(broken, junitparser.Failure)
    assert broken.message == "VmbChannelCleanup on a channel that is still Enabled"
    assert "1042 | VmbChannelCleanup" in broken.text
    skipped = {name: case.result[0].message for name, case in found.items() if case.is_skipped}
    assert skipped["channel-irql"] == "open: no IRQL in the trace (4 places)"
    assert skipped["channel-idle"].startswith("not exercised")
    assert isinstance(found["readable"].result[0], junitparser.Error)
    told = ElementTree.fromstring(stream.getvalue()).findtext("testsuite/system-out")
    assert told is not None
    assert told.startswith("2 findings (1 error, 1 warning); 3 of 5 rules exercised, 1 open")


def test_junit_does_not_pass_a_rule_that_is_broken_in_known_ways(tmp_path: Path) -> None:
    trace = make_trace()
    trace.findings = []
    found = cases(replace(make_run(trace), known=Known(2)), tmp_path)
    assert not any(case.is_passed for case in found.values())
    assert "known findings only" in found["channel-quiet"].result[0].message


def test_junit_tells_an_interrupt_as_an_error(tmp_path: Path) -> None:
    trace = make_trace()
    trace.complete = False
    assert isinstance(cases(make_run(trace), tmp_path)["complete"].result[0], junitparser.Error)


def test_junit_counts_the_findings_of_a_rule(tmp_path: Path) -> None:
    trace = make_trace()
    trace.findings = [make_finding() for _ in range(30)]
    result = cases(make_run(trace), tmp_path)["channel-cleanup-disabled"].result
    assert len(result) == 1
    assert result[0].message.startswith("30 findings, the first: VmbChannelCleanup")
    assert "10 more findings of this rule" in result[0].text


def kinds(markdown: str) -> set[str]:
    """Return the kinds of everything in a Markdown text, with raw HTML and addresses recognised."""
    parser = MarkdownIt("gfm-like", {"html": True, "linkify": False})
    return {part.type for block in parser.parse(markdown) for part in (block, *(block.children or []))}


HOSTILE = [
    "``` \n# head",
    "<img src=x onerror=alert(1)>",
    "[a](javascript:b) ![c](d) @someone #12 http://e.test www.f.test",
    "`",
    "``",
    " ` ",
    "a`b``c```d",
    "~~~",
    "</code><script>",
    "| x | y |",
    "",
    " ",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_code_holds_any_text(text: str) -> None:
    parser = MarkdownIt("commonmark", {"html": True})
    (open_, inline, close) = parser.parse(code(text))
    assert (open_.type, close.type) == ("paragraph_open", "paragraph_close")
    assert [child.type for child in inline.children or []] == ["code_inline"]
    blocks = parser.parse("\n".join(fenced([text, text])))
    assert [block.type for block in blocks] == ["fence"]
    assert kinds(escaped(text)) <= {"paragraph_open", "inline", "paragraph_close", "text", "text_special"}


def test_markdown_of_a_hostile_trace_holds_no_markup_of_the_trace() -> None:
    trace = make_trace("[x](y) <b>.kmtrace")
    trace.findings = []
    for text in HOSTILE:
        finding = make_finding()
        finding.actual = text or "x"
        assert finding.event is not None
        finding.event = replace(finding.event, name=f"Vmb{text}")
        finding.object = ObjectRef("channel", 1, 1, text)
        finding.repair = text
        trace.findings.append(finding)
    trace.problems = list(HOSTILE)
    trace.unknown_names = dict.fromkeys(HOSTILE, 1)
    trace.verdicts.append(Verdict("channel-idle", VerdictKind.OPEN, 0, 1, HOSTILE[2]))
    plain = kinds(rendered(make_run(), "markdown"))
    assert {"fence", "code_inline", "heading_open"} <= plain
    assert kinds(rendered(make_run(trace), "markdown")) == plain


def test_markdown_fits_into_a_comment_and_counts_the_rest() -> None:
    trace = make_trace()
    trace.findings = [make_finding() for _ in range(1000)]
    text = rendered(make_run(trace), "markdown")
    assert len(text) < 65_536
    shown = text.count("### error")
    assert f"{1000 - shown:,} more findings not shown" in text
    assert 20 < shown < 1000


def test_markdown_links_to_rules_if_there_is_a_place_to_link_to() -> None:
    run = replace(make_run(), options=ReportOptions(docs="https://docs.test/k (l)/"))
    text = rendered(run, "markdown")
    assert "[`channel-quiet`](https://docs.test/k%20%28l%29/rules/channel-quiet.html)" in text
    assert "](" not in rendered(make_run(), "markdown")


def unescaped(text: str) -> str:
    """Undo the escapes of a message as the runner of GitHub does."""
    for code_, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code_, char)
    return text


def test_github_annotations_are_read_back() -> None:
    finding = make_finding()
    finding.actual = "100% ::error::x\r\nnext ##[error]"
    trace = make_trace("a,b:c.kmtrace")
    trace.findings = [finding]
    lines = rendered(make_run(trace), "github").splitlines()
    match = re.fullmatch(r"::error file=([^,:]*),line=1042,title=channel-cleanup-disabled::(.*)", lines[0])
    assert match is not None
    assert unescaped(match[1]) == "a,b:c.kmtrace"
    assert unescaped(match[2]).startswith("100% ::error::x\\x0d next ##[error] (channel 0xff")
    assert "\nnote: also broken by this: channel-quiet\n" in unescaped(match[2])
    # Nothing of a trace begins a line, so nothing of it is a command.
    assert all(re.match(r"::(error|warning|notice) |kmclcheck: ", line) for line in lines)


def test_github_says_what_it_leaves_out() -> None:
    trace = make_trace()
    trace.findings = [make_finding() for _ in range(25)]
    lines = rendered(make_run(trace, failures=(FAILURE,)), "github").splitlines()
    errors = [line for line in lines if line.startswith("::error ")]
    assert len(errors) == 10
    assert "title=not checked::" in errors[0]
    assert errors[-1].startswith("::error title=17 more::")


def test_github_quiet_shows_findings_only() -> None:
    text = rendered(replace(make_run(), options=ReportOptions(quiet=True)), "github")
    assert "::notice" not in text
    assert "kmclcheck:" not in text


@pytest.mark.parametrize("name", ["text", "concise", "markdown", "github", "junit"])
def test_known_findings_are_counted(name: str) -> None:
    gone = (KnownFinding("0" * 16, "channel-quiet", "x"),)
    trace = make_trace()
    trace.findings = [make_end_finding()]
    text = rendered(replace(make_run(trace), known=Known(3, gone)), name)
    assert "3 known findings" in text
    if name != "concise":
        assert "1 finding of the baseline does not occur any more: channel-quiet" in text
