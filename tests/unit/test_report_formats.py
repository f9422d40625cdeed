"""Every renderer against a golden file, and what all of them promise."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from kmclcheck.report import InputFailure, ReportOptions, RunResult, format_names, get_renderer
from tests.unit.report_samples import make_finding, make_run, make_spec, make_trace

GOLDEN = Path(__file__).parent.parent / "golden" / "report"
SPEC = make_spec()


def rendered(run: RunResult, name: str, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    get_renderer(name).render(run, SPEC, stream)
    stream.flush()
    return raw.getvalue().decode(encoding)


def hostile_run() -> RunResult:
    finding = make_finding()
    finding.actual = "\x1b[31mred\x1b[0m [bold]markup[/bold] \u202eltr \u2192 \ud800 :smile:\r\nnext"
    trace = make_trace("dir/\x1b]0;title\x07.kmtrace")
    trace.findings = [finding]
    trace.unknown_names = {"\x1b[2J": 1, "[red]x": 1}
    trace.problems = ["bad \x9b31m\nsecond \x00"]
    return make_run(trace)


@pytest.mark.parametrize(
    ("file", "name", "encoding", "verbose"),
    [
        ("text.txt", "text", "ascii", False),
        ("text-unicode.txt", "text", "utf-8", False),
        ("text-verbose.txt", "text", "ascii", True),
        ("concise.txt", "concise", "ascii", False),
        ("run.json", "json", "ascii", False),
        ("run.jsonl", "jsonl", "ascii", False),
        ("run.sarif", "sarif", "ascii", False),
        ("junit.xml", "junit", "ascii", False),
        ("comment.md", "markdown", "utf-8", False),
        ("github.txt", "github", "utf-8", False),
    ],
)
def test_golden(file: str, name: str, encoding: str, verbose: bool) -> None:
    failure = InputFailure("gone.kmtrace", "error: gone.kmtrace: no such file")
    text = rendered(make_run(verbose=verbose, failures=(failure,)), name, encoding)
    golden = GOLDEN / file
    if os.environ.get("KMCLCHECK_UPDATE_GOLDEN"):
        golden.write_bytes(text.encode())
    assert text == golden.read_bytes().decode()


def test_every_format_has_a_golden_file() -> None:
    assert format_names() == [
        "concise",
        "github",
        "html",
        "json",
        "jsonl",
        "junit",
        "markdown",
        "sarif",
        "text",
    ]


def schema() -> dict[str, object]:
    text = resources.files("kmclcheck.report").joinpath("schema/run-1.json").read_text("utf-8")
    loaded: dict[str, object] = json.loads(text)
    return loaded


def test_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("run", [make_run(), hostile_run(), replace(make_run(), traces=[])])
def test_json_matches_schema(run: RunResult) -> None:
    jsonschema.validate(json.loads(rendered(run, "json")), schema())


def test_json_is_the_same_whatever_time_and_order() -> None:
    first, second = make_trace(), make_trace()
    second.seconds = 99.0
    second.verdicts.reverse()
    second.findings.reverse()
    second.unknown_names = dict(reversed(second.unknown_names.items()))
    assert rendered(make_run(first), "json") == rendered(make_run(second), "json")


def test_jsonl_lines_hold_what_the_document_holds() -> None:
    lines = [json.loads(line) for line in rendered(make_run(), "jsonl").splitlines()]
    document = json.loads(rendered(make_run(), "json"))
    assert [line["type"] for line in lines] == ["finding", "finding", "trace", "summary"]
    for line, finding in zip(lines[:2], document["traces"][0]["findings"], strict=True):
        assert finding.items() <= line.items()
    assert lines[-1]["summary"] == document["summary"]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "cp437", "ascii", "utf-16"])
@pytest.mark.parametrize("name", ["text", "concise", "json", "jsonl"])
@pytest.mark.parametrize("colour", [False, True])
def test_hostile_strings_never_reach_the_terminal(name: str, encoding: str, colour: bool) -> None:
    run = replace(hostile_run(), options=ReportOptions(verbose=True, colour=colour))
    text = rendered(run, name, encoding)
    if not colour or name in ("json", "jsonl"):
        assert "\x1b" not in text
    assert "\x1b[31mred" not in text
    assert "\x1b]0" not in text
    assert "\x1b[2J" not in text
    assert not set("\x07\x00\x9b\u202e\r") & set(text)
    if name in ("text", "concise"):
        assert "\\x1b[31mred\\x1b[0m [bold]markup[/bold] \\u202eltr" in text
        assert ":smile:" in text


def test_glyphs_follow_the_encoding() -> None:
    assert "Disabled → Enabled" in rendered(make_run(), "text", "utf-8")
    plain = rendered(make_run(), "text", "cp1252")
    assert "Disabled -> Enabled" in plain
    assert plain.isascii()


def test_colour_adds_nothing_but_colour() -> None:
    import re

    run = make_run()
    coloured = rendered(replace(run, options=ReportOptions(colour=True)), "text")
    assert "\x1b[" in coloured
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in stripped.splitlines()] == rendered(run, "text").splitlines()


def test_quiet_shows_findings_only() -> None:
    run = replace(make_run(), options=ReportOptions(quiet=True))
    text = rendered(run, "text")
    assert "error[channel-cleanup-disabled]" in text
    assert "exercised" not in text
    assert rendered(run, "concise").count("\n") == 2


def test_clean_run_is_never_a_bare_pass() -> None:
    trace = make_trace()
    trace.findings = []
    last = rendered(make_run(trace), "text").splitlines()[-1]
    assert last == (
        "0 findings; 2 of 4 rules exercised, 1 open (no IRQL in the trace); 12,408 events in 0.1 s"
    )


def test_long_history_is_shortened_unless_verbose() -> None:
    trace = make_trace()
    finding = make_finding()
    finding.history = finding.history[1:2] * 30 + finding.history[-1:]
    trace.findings = [finding]
    assert "20 earlier events of this object" in rendered(make_run(trace), "text")
    assert "earlier events" not in rendered(make_run(trace, verbose=True), "text")
