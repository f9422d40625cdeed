"""``kmclcheck coverage``: exit codes, errors, what adds up, where it is written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from kmclcheck.cli import main
from tests.cli.conftest import HEAD, OPEN, Run

Call = Callable[..., "Done"]


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run ``kmclcheck coverage`` in the folder and in this process, which is faster."""
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("KMCLCHECK_")]:
        monkeypatch.delenv(name)

    def call(*args: str) -> Done:
        code = main.run(["coverage", *args])
        told = capsys.readouterr()
        return Done(code, told.out, told.err)

    return call


@pytest.fixture
def coverage(inside: Call) -> Call:
    """The command with the small specification, all of whose rules count."""
    return lambda *args: inside("--spec", "demo.kmcl", "--profile", "all", *args)


def test_table_and_exit_code(coverage: Call) -> None:
    done = coverage("good.kmtrace")
    assert done.returncode == 0
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[1].split() == ["file.life", "3", "of", "3", "2", "of", "2", "100.0%"]
    # Of the IRQL nothing is known, so the second rule was open.
    assert lines[-2] == "1 of 2 rules exercised (1 more were open); 3 of 3 functions and callbacks met"
    assert lines[-1] == "1 trace, 6 records"


def test_a_finding_is_no_failure_here(coverage: Call) -> None:
    assert coverage("bad.kmtrace").returncode == 0


def test_fail_under_is_about_transitions_covered_for_certain(coverage: Call) -> None:
    assert coverage("good.kmtrace", "--fail-under", "100").returncode == 0
    done = coverage("none.kmtrace", "--fail-under", "50.1")
    assert done.returncode == 1
    assert done.stderr == "1 of 2 transitions were covered, 50.0%; 50.1% was asked for\n"
    assert "file.life" in done.stdout
    assert coverage("none.kmtrace", "--fail-under", "50").returncode == 0


def test_several_traces_and_a_folder_add_up(coverage: Call, folder: Path) -> None:
    (folder / "set").mkdir()
    for name in ("good.kmtrace", "none.kmtrace"):
        (folder / "set" / name).write_text((folder / name).read_text())
    both = json.loads(coverage("set", "-f", "json").stdout)
    assert (both["traces"], both["records"]) == (2, 8)
    assert json.loads(coverage("good.kmtrace", "none.kmtrace", "-f", "json").stdout) == both


def test_merge_adds_up_to_what_one_run_counts(coverage: Call, folder: Path) -> None:
    assert coverage("good.kmtrace", "-f", "json", "-o", "good.json").returncode == 0
    assert coverage("none.kmtrace", "-f", "json", "-o", "none.json").returncode == 0
    whole = json.loads(coverage("good.kmtrace", "none.kmtrace", "-f", "json").stdout)
    merged = coverage("--merge", "good.json", "--merge", "none.json", "-f", "json")
    assert merged.returncode == 0
    assert json.loads(merged.stdout) == whole
    assert json.loads(coverage("none.kmtrace", "--merge", "good.json", "-f", "json").stdout) == whole


def test_merge_of_another_version_is_an_error(coverage: Call, folder: Path) -> None:
    (folder / "old.json").write_text('{"schema": "kmclcheck.coverage/0"}')
    done = coverage("good.kmtrace", "--merge", "old.json")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "old.json: cannot add this coverage: its schema is 'kmclcheck.coverage/0'" in done.stderr
    assert "= help:" in done.stderr


def test_merge_of_another_specification_is_an_error(coverage: Call, inside: Call) -> None:
    assert coverage("good.kmtrace", "-f", "json", "-o", "good.json").returncode == 0
    done = inside("--merge", "good.json")
    assert done.returncode == 2
    assert "another specification" in done.stderr


def test_missing_tells_the_way(coverage: Call) -> None:
    done = coverage("none.kmtrace", "--missing")
    assert done.returncode == 0
    assert (
        "never exercised of file.life; objects begin as None\n"
        "  Closed\n"
        "      FileOpen.ret when succeeded  (None -> Open)\n"
        "      FileClose.ret  (Open -> Closed)\n"
        "  Open -> Closed on FileClose.ret\n"
        "      FileOpen.ret when succeeded  (None -> Open)\n"
        "      FileClose.ret  (Open -> Closed)\n"
    ) in done.stdout
    assert "rules never decided\n  file-read-open\n  file-read-low\n" in done.stdout
    assert "functions and callbacks never met\n  FileRead\n  FileClose\n" in done.stdout


def test_machine_that_is_not_known(coverage: Call) -> None:
    done = coverage("good.kmtrace", "--machine", "file.live")
    assert done.returncode == 2
    assert "unknown machine 'file.live'" in done.stderr
    assert "file.life" in done.stderr


def test_a_choice_of_machines_bounds_the_percentage(inside: Call) -> None:
    trace = str(Path(__file__).resolve().parents[2] / "traces" / "scenario-01-server-life.kmtrace")
    both = inside(trace, "--machine", "channel.quiet", "--machine", "ring.span", "-f", "json")
    made = json.loads(both.stdout)
    assert [machine["name"] for machine in made["machines"]] == ["channel.quiet", "ring.span"]
    assert made["summary"]["states"]["total"] == 2 + 4
    done = inside(trace, "--machine", "ring.span", "--fail-under", "1")
    assert done.returncode == 1
    assert done.stderr.startswith("0 of 4 transitions were covered, 0.0%")


def test_what_cannot_be_read_is_an_error_and_the_rest_counts(coverage: Call) -> None:
    done = coverage("good.kmtrace", "gone.kmtrace", "-f", "json", "--fail-under", "100")
    assert done.returncode == 2
    made = json.loads(done.stdout)
    assert made["complete"] is False
    assert [one["path"] for one in made["unreadable"]] == ["gone.kmtrace"]
    assert made["traces"] == 1


def test_what_an_incomplete_run_counted_stays_incomplete(coverage: Call) -> None:
    coverage("good.kmtrace", "gone.kmtrace", "-f", "json", "-o", "part.json")
    assert json.loads(coverage("--merge", "part.json", "-f", "json").stdout)["complete"] is False


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "no trace given"),
        (("good.kmtrace", "--fail-under", "101"), "fail-under"),
        (("good.kmtrace", "-f", "png"), "png"),
        (("good.kmtrace", "--diagrams", "good.kmtrace"), "is a file"),
        (("good.kmtrace", "-o", "nowhere/c.txt"), "there is no folder"),
        (("good.kmtrace", "--prove"), "goes with --missing"),
        (("without",), "no trace in this folder"),
    ],
)
def test_usage(coverage: Call, args: tuple[str, ...], message: str) -> None:
    done = coverage(*args)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_standard_input_and_what_the_header_does_not_say(run: Run) -> None:
    text = HEAD.replace("%start known\n", "").replace("%records all\n", "") + OPEN
    args = ("-", "--spec", "demo.kmcl", "--start", "known", "--records", "all", "-f", "json")
    done = run("coverage", *args, stdin=text)
    assert done.returncode == 0
    made = json.loads(done.stdout)
    assert made["machines"][0]["transitions"][0]["count"] == 1


def test_pictures_of_states(coverage: Call) -> None:
    dot = coverage("none.kmtrace", "-f", "dot")
    assert dot.returncode == 0
    assert '"None" -> "Open" [label="FileOpen.ret [succeeded]: 1x"]' in dot.stdout
    assert '"Closed" [label="Closed\\nnever", color=gray60' in dot.stdout
    mermaid = coverage("none.kmtrace", "-f", "mermaid")
    assert "None --> Open : FileOpen.ret [succeeded], 1x" in mermaid.stdout


def test_a_picture_for_each_machine(coverage: Call, inside: Call, folder: Path) -> None:
    done = coverage("none.kmtrace", "--diagrams", "out/pictures")
    assert done.returncode == 0
    assert done.stderr == "out/pictures: 1 diagram\n"
    assert [path.name for path in (folder / "out" / "pictures").iterdir()] == ["file.life.svg"]
    picture = (folder / "out" / "pictures" / "file.life.svg").read_text("utf-8")
    ElementTree.fromstring(picture)
    assert "FileOpen.ret [succeeded], used once" in picture
    assert "FileClose.ret, used 0 times" in picture
    assert coverage("none.kmtrace", "-f", "svg", "--machine", "file.life").stdout == picture
    several = inside("none.kmtrace", "-f", "svg")
    assert several.returncode == 2
    assert "one machine" in several.stderr


def test_the_solver_finds_records_for_what_is_missing(inside: Call) -> None:
    pytest.importorskip("z3")
    trace = str(
        Path(__file__).resolve().parents[2] / "traces" / "scenario-01-server-configuration-fails.kmtrace"
    )
    args = (trace, "--machine", "channel.registered", "--missing", "--prove", "-f", "json")
    made = json.loads(inside(*args).stdout)
    schema = resources.files("kmclcheck.report").joinpath("schema/coverage-1.json").read_text("utf-8")
    jsonschema.validate(made, json.loads(schema))
    (one,) = made["missing"]["states"]
    assert (one["value"], one["proof"]["reached"], one["proof"]["certain"]) == ("true", True, True)
    records = one["proof"]["records"]
    # A channel has to be made first, and only the last record brings the value.
    assert records[0].split()[:2] == ["call", "VmbChannelAllocate"]
    assert "VmbChannelInitSetStateChangeCallbacks" in records[-1]
