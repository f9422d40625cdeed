"""Exit codes and streams: what goes where, in every way a check can end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import READ, TRACES, Run


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["good.kmtrace"], 0),
        (["bad.kmtrace"], 1),
        (["good.kmtrace", "bad.kmtrace"], 1),
        (["bad.kmtrace", "--fail-on", "never"], 0),
        (["bad.kmtrace", "--disable", "file-read-open"], 0),
        (["bad.kmtrace", "--rule", "file-read-low"], 0),
        (["midlife.kmtrace"], 0),
        (["midlife.kmtrace", "--strict"], 3),
        (["midlife.kmtrace", "--strict", "--start", "known"], 1),
        (["bad.kmtrace", "midlife.kmtrace", "--strict"], 1),
        (["good.kmtrace", "--strict"], 0),
        (["good.kmtrace", "--strict", "--profile", "all"], 3),
        (["none.kmtrace"], 0),
        (["none.kmtrace", "--strict"], 3),
        (["gone.kmtrace"], 2),
        (["gone.kmtrace", "bad.kmtrace"], 2),
        (["broken.kmtrace"], 2),
        (["empty.kmtrace"], 2),
        (["without"], 2),
        ([], 2),
        (["--no-such-option"], 2),
        (["good.kmtrace", "--rule", "file-read-opne"], 2),
        (["good.kmtrace", "--spec", "gone.kmcl"], 2),
        (["good.kmtrace", "--format", "nothing"], 2),
        (["good.kmtrace", "-o", "no-such-folder/out"], 2),
        (["good.kmtrace", "--report", "nothing=x"], 2),
        (["good.kmtrace", "--report", "json"], 2),
    ],
)
def test_exit_code(check: Run, args: list[str], code: int) -> None:
    done = check(*args)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code == 2:
        assert done.stderr
    else:
        assert not done.stderr
        assert "exercised" in done.stdout


def test_the_other_files_are_checked_although_one_is_missing(check: Run) -> None:
    done = check("gone.kmtrace", "bad.kmtrace")
    assert "gone.kmtrace" in done.stderr
    assert "error[file-read-open]" in done.stdout
    assert "1 file not checked" in done.stdout


def test_standard_input(check: Run) -> None:
    assert check("-", stdin=TRACES["good.kmtrace"]).returncode == 0
    done = check("-", stdin=TRACES["bad.kmtrace"])
    assert done.returncode == 1
    assert "FileRead" in done.stdout


def test_what_a_trace_records_can_be_said_on_the_command_line(check: Run, folder: Path) -> None:
    # A read of a file whose opening is not in the trace.
    (folder / "silent.kmtrace").write_text("%kmtrace 1\n%start known\n" + READ)
    done = check("silent.kmtrace")
    assert done.returncode == 0
    assert "the trace does not say what it records" in done.stdout
    assert "--records all" in done.stdout
    assert check("silent.kmtrace", "--records", "all").returncode == 1
    assert check("silent.kmtrace", "--records", "functions -FileOpen.ret").returncode == 0
    wrong = check("silent.kmtrace", "--records", "functions.in")
    assert wrong.returncode == 2
    assert "'functions.in'" in wrong.stderr


def test_folder_is_checked_file_by_file_in_order(check: Run, folder: Path) -> None:
    for name in ("broken", "empty"):
        (folder / f"{name}.kmtrace").unlink()
    done = check(".", "--format", "json")
    assert done.returncode == 1
    paths = [trace["path"] for trace in json.loads(done.stdout)["traces"]]
    assert paths == ["bad.kmtrace", "good.kmtrace", "midlife.kmtrace", "none.kmtrace"]


def test_mistyped_rule_gets_the_nearest_name(check: Run) -> None:
    assert "did you mean file-read-open" in check("good.kmtrace", "--rule", "file-read-opne").stderr


def test_text_has_the_finding_and_the_way_out(check: Run) -> None:
    done = check("bad.kmtrace")
    assert done.stdout.startswith("error[file-read-open]: FileRead on a file that is ")
    assert "  --> bad.kmtrace:9   file 0x10" in done.stdout
    assert "^ requires Open" in done.stdout
    assert "= help: Read before you close." in done.stdout
    assert "= see: kmclcheck explain file-read-open" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 finding; 1 of 1 rule exercised")


def test_reports_and_output_file(check: Run, folder: Path) -> None:
    done = check(
        "bad.kmtrace", "--report", "json=run.json", "--report", "concise=run.txt", "-o", "main.txt",
        "--color", "always",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert json.loads((folder / "run.json").read_text())["schema"] == "kmclcheck.run/1"
    assert (folder / "run.txt").read_text().startswith("bad.kmtrace:9: error[file-read-open]: ")
    assert "\x1b" not in (folder / "main.txt").read_text()


def test_json_lines(check: Run) -> None:
    lines = [json.loads(line) for line in check("bad.kmtrace", "--format", "jsonl").stdout.splitlines()]
    assert [line["type"] for line in lines] == ["finding", "trace", "summary"]


def test_json_of_a_run_without_a_readable_file_is_still_a_document(check: Run) -> None:
    done = check("gone.kmtrace", "--format", "json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["summary"]["unreadable"][0]["path"] == "gone.kmtrace"


def test_quiet(check: Run) -> None:
    assert check("good.kmtrace", "-q").stdout == ""
    assert "exercised" not in check("bad.kmtrace", "-q").stdout


@pytest.mark.parametrize(
    ("args", "env", "coloured"),
    [
        ([], {}, False),
        (["--color", "always"], {}, True),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour(check: Run, args: list[str], env: dict[str, str], coloured: bool) -> None:
    assert ("\x1b[" in check("bad.kmtrace", *args, env=env).stdout) is coloured


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_narrow_console(check: Run, encoding: str) -> None:
    done = check("bad.kmtrace", env={"PYTHONIOENCODING": encoding})
    assert done.returncode == 1
    assert done.stderr == ""
    assert ("│" in done.stdout) is (encoding == "utf-8")


def test_neither_z3_nor_networkx_nor_rich_is_imported(folder: Path) -> None:
    code = (
        "import sys\n"
        "from kmclcheck.cli.main import run\n"
        "code = run(['check', '--spec', 'demo.kmcl', 'good.kmtrace'])\n"
        "assert code == 0, code\n"
        "loaded = {'z3', 'networkx', 'rich', 'jinja2'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    src = Path(__file__).resolve().parents[2] / "src"
    env = {**os.environ, "PYTHONPATH": str(src), "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.name == "nt", reason="uses a shell pipe")
def test_reader_that_goes_away_is_no_error(folder: Path) -> None:
    src = Path(__file__).resolve().parents[2] / "src"
    command = f"'{sys.executable}' -m kmclcheck check --spec demo.kmcl bad.kmtrace; echo code $? >&2"
    done = subprocess.run(
        ["sh", "-c", f"({command}) | true"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(src)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "code 1\n"
