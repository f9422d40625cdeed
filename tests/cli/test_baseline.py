"""``check --baseline`` and ``--write-baseline``, the report formats and schemas on the command line."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import jsonschema
import junitparser
import pytest

from kmclcheck.cli.main import run as run_here
from tests.cli.conftest import CLOSE, HEAD, OPEN, READ, Run
from tests.support.sarif import problems

AGAIN = OPEN.replace("0x10", "0x20") + CLOSE.replace("0x10", "0x20")
# The same fault at another line, on another handle; then another fault.
SAME = HEAD + OPEN + READ + CLOSE + AGAIN + READ.replace("0x10", "0x20")
OTHER = HEAD + "call FileRead tid=1 File=0x30\nret FileRead tid=1 File=0x30\n"


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``kmclcheck`` in the folder as the fixture of the same name does, but in this process."""

    def call(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as patch:
            patch.chdir(folder)
            for name in [n for n in os.environ if n.startswith(("KMCLCHECK_", "NO_COLOR", "FORCE_"))]:
                patch.delenv(name)
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            code = run_here(list(args))
        said = capsys.readouterr()
        return subprocess.CompletedProcess(args, code, said.out, said.err)

    return call


def test_a_known_finding_is_counted_and_not_shown(check: Run, folder: Path) -> None:
    done = check("bad.kmtrace", "--write-baseline", "known.json")
    # Writing a baseline changes nothing of what the run itself says.
    assert done.returncode == 1
    assert "file-read-open" in done.stdout
    assert done.stderr == "baseline known.json: 1 known finding written\n"
    (folder / "same.kmtrace").write_text(SAME)
    done = check("bad.kmtrace", "same.kmtrace", "--baseline", "known.json", "--fail-on", "warning")
    assert done.returncode == 0
    assert done.stdout.startswith("0 findings, 2 known findings not shown; ")
    (folder / "other.kmtrace").write_text(OTHER)
    done = check("other.kmtrace", "bad.kmtrace", "--baseline", "known.json", "--format", "json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["summary"]["baseline"] == {"known": 1, "gone": []}
    assert [len(trace["findings"]) for trace in document["traces"]] == [1, 0]
    # A rule that is broken in a known way is still broken.
    assert [trace["rules"][0]["verdict"] for trace in document["traces"]] == ["fail", "fail"]
    validate(document, "kmclcheck.run/1")


def validate(document: object, name: str) -> None:
    from kmclcheck.report.schemas import schema_text

    jsonschema.validate(document, json.loads(schema_text(name)))


def test_the_file_is_sorted_and_reads_well(check: Run, folder: Path) -> None:
    (folder / "other.kmtrace").write_text(OTHER)
    check("other.kmtrace", "bad.kmtrace", "--write-baseline", "one.json")
    check("bad.kmtrace", "other.kmtrace", "bad.kmtrace", "--write-baseline", "two.json")
    text = (folder / "one.json").read_text()
    assert text == (folder / "two.json").read_text()
    document = json.loads(text)
    validate(document, "kmclcheck.baseline/1")
    assert [entry["rule"] for entry in document["findings"]] == ["file-read-open"] * 2
    assert any(entry["text"] == "FileRead on a file that is Closed" for entry in document["findings"])
    prints = [entry["fingerprint"] for entry in document["findings"]]
    assert prints == sorted(prints)
    assert len(text.splitlines()) == 2 + 5


def test_what_no_longer_occurs_is_told(check: Run) -> None:
    check("bad.kmtrace", "--write-baseline", "known.json")
    done = check("good.kmtrace", "--baseline", "known.json")
    assert done.returncode == 0
    assert "note: 1 finding of the baseline does not occur any more: file-read-open" in done.stdout
    # A rule that was not checked, or a run that is not whole, shows nothing about it.
    done = check("good.kmtrace", "--baseline", "known.json", "--rule", "file-read-low")
    assert "any more" not in done.stdout
    done = check("good.kmtrace", "gone.kmtrace", "--baseline", "known.json")
    assert "any more" not in done.stdout


def test_a_baseline_of_half_a_run_is_not_written(check: Run, folder: Path) -> None:
    (folder / "known.json").write_text("before")
    done = check("bad.kmtrace", "gone.kmtrace", "--write-baseline", "known.json")
    assert done.returncode == 2
    assert "baseline known.json: not written, for not everything was checked" in done.stderr
    assert (folder / "known.json").read_text() == "before"


def test_a_baseline_can_be_brought_up_to_date(check: Run, folder: Path) -> None:
    check("bad.kmtrace", "--write-baseline", "known.json")
    done = check("good.kmtrace", "--baseline", "known.json", "--write-baseline", "known.json")
    assert done.stderr == "baseline known.json: 0 known findings written\n"
    assert json.loads((folder / "known.json").read_text())["findings"] == []
    done = check("bad.kmtrace", "--baseline", "known.json", "--write-baseline", "known.json")
    assert done.returncode == 1
    assert check("bad.kmtrace", "--baseline", "known.json").returncode == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"schema": "kmclcheck.baseline/2", "findings": []}', "is of version 'kmclcheck.baseline/2'"),
        ('{"schema": "kmclcheck.run/1"}', "is no baseline"),
        ("[]", "is no baseline"),
        ("{", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ('{"schema": "kmclcheck.baseline/1"}', '"findings" has to be a list'),
        ('{"schema": "kmclcheck.baseline/1", "findings": [{"rule": "r"}]}', "finding 1 needs"),
        ('{"schema": "kmclcheck.baseline/1", "findings": [3]}', "finding 1 needs"),
        (
            '{"schema": "kmclcheck.baseline/1", "findings": [{"rule": "r", "fingerprint": "1", "text": ""}]}',
            "is not 16 hex digits",
        ),
    ],
)
def test_a_broken_baseline_is_an_error(check: Run, folder: Path, text: str, why: str) -> None:
    (folder / "known.json").write_text(text)
    done = check("bad.kmtrace", "--baseline", "known.json")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: baseline known.json: ")
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_other_mistakes(check: Run, folder: Path) -> None:
    (folder / "latin.json").write_bytes(b'{"a": "\xe4"}')
    for args, why in (
        (["--baseline", "gone.json"], "write one with --write-baseline"),
        (["--baseline", "latin.json"], "is not UTF-8"),
        (["--write-baseline", "gone/known.json"], "there is no folder gone"),
        (["--write-baseline", "without"], "is a directory"),
        (["--report", "sarif=gone/x.sarif"], "there is no folder gone"),
        (["--report", "sraif=x.sarif"], "unknown format 'sraif'"),
        (["--format", "sraif"], "'sraif'"),
        (["--docs-url", "docs"], "'docs' is no absolute address"),
    ):
        done = check("bad.kmtrace", *args)
        assert done.returncode == 2, args
        assert done.stdout == ""
        assert why in done.stderr
        assert "Traceback" not in done.stderr


def test_settings(run: Run, check: Run, folder: Path) -> None:
    check("bad.kmtrace", "--write-baseline", "known.json")
    assert check("bad.kmtrace", env={"KMCLCHECK_BASELINE": "known.json"}).returncode == 0
    (folder / "deep").mkdir()
    (folder / "known.json").rename(folder / "deep" / "known.json")
    # A path in a settings file is relative to that file.
    (folder / "kmclcheck.toml").write_text('baseline = "deep/known.json"\ndocs-url = "https://docs.test/"\n')
    assert check("bad.kmtrace").returncode == 0
    rows = run("check", "--show-config").stdout
    assert "deep/known.json" in rows.replace("\\\\", "/")


def test_reports_of_a_real_run(check: Run, folder: Path) -> None:
    reports = ("sarif=r.sarif", "junit=r.xml", "markdown=r.md", "github=r.txt", "jsonl=r.jsonl")
    args = [arg for report in reports for arg in ("--report", report)]
    done = check("bad.kmtrace", "broken.kmtrace", *args, "--docs-url", "https://docs.test")
    assert done.returncode == 2
    log = json.loads((folder / "r.sarif").read_text())
    assert problems(log) == []
    (result,) = log["runs"][0]["results"]
    assert result["ruleId"] == "file-read-open"
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 9
    suites = list(junitparser.JUnitXml.fromfile(str(folder / "r.xml")))
    assert [(suite.name, suite.failures, suite.errors) for suite in suites] == [
        ("bad.kmtrace", 1, 0),
        ("broken.kmtrace", 0, 1),
    ]
    assert "### error: [`file-read-open`](https://docs.test/rules/" in (folder / "r.md").read_text()
    assert "::error file=bad.kmtrace,line=9,title=file-read-open::" in (folder / "r.txt").read_text()
    for line in (folder / "r.jsonl").read_text().splitlines():
        validate(json.loads(line), "kmclcheck.run-line/1")


@pytest.mark.parametrize("format", ["sarif", "junit", "github", "markdown"])
def test_a_run_that_read_nothing_still_says_so_in_its_format(check: Run, format: str) -> None:
    done = check("gone.kmtrace", "--format", format)
    assert done.returncode == 2
    assert "gone.kmtrace" in done.stdout


def test_schema_is_printed(run: Run) -> None:
    names = run("schema").stdout.split()
    assert "kmclcheck.run/1" in names
    for name in names:
        assert json.loads(run("schema", name).stdout)["title"] == name
    done = run("schema", "kmclcheck.rum/1")
    assert done.returncode == 2
    assert "did you mean kmclcheck.run/1" in done.stderr
