"""``kmclcheck simulate``, end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from kmclcheck.report.schemas import schema_text
from tests.cli.conftest import ROOT, Run

COMMAND = [sys.executable, "-m", "kmclcheck", "simulate"]
ENV = {**os.environ, "PYTHONPATH": str(ROOT / "src")}


def test_a_trace_that_the_checker_takes(run: Run) -> None:
    made = run("simulate", "echo", "--seed", "3")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith("%kmtrace 1\n")
    assert made.stdout.endswith("\n%end unloaded\n")
    judged = run("check", "-", stdin=made.stdout)
    assert judged.returncode == 0, judged.stdout


def test_same_seed_same_bytes(folder: Path, run: Run) -> None:
    options = ["--drop-rate", "0.1", "--skew", "500", "--level", "l2", "--from-event", "9"]
    for name in ("a.kmtrace", "b.kmtrace"):
        done = run("simulate", "echo", *options, "-o", name)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr.startswith(f"{name}: ")
    written = (folder / "a.kmtrace").read_bytes()
    assert written == (folder / "b.kmtrace").read_bytes()
    assert b"\r" not in written
    printed = subprocess.run(
        [*COMMAND, "echo", *options, "-o", "-"], env=ENV, cwd=folder, capture_output=True, check=True
    )
    assert printed.stdout == written
    assert run("simulate", "echo", *options, "--seed", "2").stdout.encode() != written


def test_options_reach_the_trace(run: Run) -> None:
    lines = run(
        "simulate", "echo", "--view", "host", "--level", "L0", "--no-sequence", "--events", "20",
        "--cpus", "2",
    ).stdout.splitlines()  # fmt: skip
    records = [line.split() for line in lines if not line.startswith("%")]
    assert len(records) == 20
    assert lines[-1] == "%end stopped"
    assert {record[0] for record in records} == {"-"}
    assert {record[2] for record in records} <= {"0", "1"}
    assert {record[5] for record in records} <= {"call", "in"}
    gaps = run("simulate", "echo", "--drop-rate", "0.2", "--no-drop-markers").stdout
    assert "%lost" not in gaps.rsplit("@", 1)[0]
    assert run("simulate", "echo", "--end", "unloaded").stdout == run("simulate", "echo").stdout


def test_a_fault_is_named_in_the_trace_and_found_there(folder: Path, run: Run) -> None:
    done = run(
        "simulate", "--fault", "incoming-complete-once", "--fault-shape", "at once", "--seed", "4",
        "--truth", "truth.json", "-o", "f.kmtrace",
    )  # fmt: skip
    assert done.returncode == 0
    truth = json.loads((folder / "truth.json").read_text())
    jsonschema.validate(truth, json.loads(schema_text("kmclcheck.truth/1")))
    assert (truth["rule"], truth["shape"], truth["captured"]) == ("incoming-complete-once", "at once", True)
    assert f"incoming-complete-once is broken at event {truth['event']} of {truth['endpoint']}" in done.stderr
    lines = (folder / "f.kmtrace").read_text().splitlines()
    assert lines[-2] == f"%note incoming-complete-once is broken here: {truth['record']}"
    judged = run("check", "f.kmtrace", "--format", "concise")
    assert judged.returncode == 1
    line = lines.index(truth["record"]) + 1
    assert judged.stdout.startswith(f"f.kmtrace:{line}: error[incoming-complete-once]")
    assert "\n1 finding;" in judged.stdout


def test_a_fault_that_was_not_captured(run: Run) -> None:
    options = ["--fault", "incoming-complete-once", "--seed", "4"]
    assert "was not captured" in run("simulate", *options, "--view", "guest").stdout.splitlines()[-2]
    assert "was not captured" in run("simulate", *options, "--events", "5").stdout.splitlines()[-2]


def test_a_fault_that_shows_at_the_end(run: Run) -> None:
    done = run("simulate", "--fault", "channel-cleaned-up", "--seed", "2")
    assert done.stdout.splitlines()[-2].startswith("%note channel-cleaned-up is broken at the end, at ")


def test_list_of_faults(run: Run) -> None:
    done = run("simulate", "--list-faults")
    rules = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert rules == sorted(rules)
    assert "incoming-complete-once" in rules
    one = run("simulate", "--list-faults", "--fault", "incoming-complete-once").stdout.splitlines()
    assert one[0] == "incoming-complete-once"
    assert all(line.startswith("  ") for line in one[1:])
    assert len(one) > 2


@pytest.mark.parametrize("suffix", [".etl", ".xml", ".txt", ".jsonl"])
def test_other_formats(run: Run, suffix: str) -> None:
    options = ["--fault", "incoming-complete-once", "--seed", "4"]
    assert run("simulate", *options, "-o", "f" + suffix).returncode == 0
    assert run("simulate", *options, "-o", "f.kmtrace").returncode == 0
    one, other = (run("check", name, "--format", "concise") for name in ("f" + suffix, "f.kmtrace"))
    assert one.returncode == other.returncode == 1
    # The line or record is another one, and what follows it is the same.
    assert one.stdout.split(": ", 1)[1].split(";")[0] == other.stdout.split(": ", 1)[1].split(";")[0]


def test_list(run: Run) -> None:
    done = run("simulate", "--list")
    assert done.returncode == 0
    assert {"echo", "workload"} <= {line.split()[0] for line in done.stdout.splitlines()}


def _records(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if not line.startswith("%")]


def test_a_workload(run: Run) -> None:
    command = ["simulate", "workload", "--events", "3000", "--channels", "5", "--seed", "7"]
    made = run(*command)
    assert (made.returncode, made.stderr) == (0, "")
    assert run(*command).stdout == made.stdout
    records = _records(made.stdout)
    assert 3000 <= len(records) < 6000
    assert made.stdout.endswith("%end unloaded\n")
    # Handles are used again.
    births = [r[-2] for r in records if r[6:8] == ["ret", "VmbChannelAllocate"]]
    assert len(set(births)) < len(births)
    judged = run("check", "-", stdin=made.stdout)
    assert (judged.returncode, judged.stderr) == (0, ""), judged.stdout
    assert run("simulate", "workload", "--end", "unloaded").stdout == run("simulate", "workload").stdout


def test_a_workload_does_not_depend_on_the_capture(run: Run) -> None:
    command = ["simulate", "workload", "--events", "2000", "--channels", "3"]
    whole = [r[6:8] for r in _records(run(*command).stdout) if r[0] == "@host"]
    host = [r[5:7] for r in _records(run(*command, "--view", "host", "--level", "L1").stdout)]
    assert host == whole
    cut = run(*command, "--view", "host", "--end", "stopped").stdout
    assert cut.endswith("%end stopped\n")
    assert [r[5:7] for r in _records(cut)][:900] == whole[:900]
    assert len(_records(cut)) == 2000


def test_more_channels_are_busy_at_one_time(run: Run) -> None:
    threads = []
    for channels in ("1", "20"):
        made = run("simulate", "workload", "--events", "4000", "--channels", channels).stdout
        threads.append(len({record[4] for record in _records(made)}))
    assert threads[0] * 2 < threads[1]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ([], "no scenario given; --list names them"),
        (["ehco"], "unknown scenario 'ehco'; did you mean echo?"),
        (["xyzzy"], "--list names the scenarios"),
        (["--fault", "incoming-complete"], "did you mean incoming-complete-once"),
        (["--fault", "xyzzy"], "--list-faults names the rules"),
        (["idle", "--fault", "incoming-complete-once"], "is broken in echo"),
        (["--fault", "incoming-complete-once", "--fault-shape", "at onc"], "did you mean at once?"),
        (["--fault", "incoming-complete-once", "--truth", "gone/t.json"], "gone/t.json"),
        (["echo", "--truth", "t.json"], "--truth is for a run with --fault"),
        (["echo", "--level", "L5", "--view", "host"], "level L5 means both endpoints"),
        (["echo", "--level", "L9"], "'L9' is not one of"),
        (["echo", "--skew", "10", "--cpus", "1"], "there is only one"),
        (["echo", "--drop-rate", "1"], "below 1"),
        (["echo", "--drop-rate", "0.1", "--no-drop-markers", "--no-sequence"], "losses would go unseen"),
        (["echo", "--channels", "3"], "--channels is for workload"),
        (["workload", "--channels", "0"], "1<=x<=1000"),
        (["workload", "--events", "9", "--end", "hung"], "it ends unloaded"),
        (["echo", "--end", "hung"], "does not end hung: it ends unloaded; try another --seed"),
        (["echo", "--end", "unloaded", "--events", "5"], "it ends stopped"),
        (["echo", "-o", "gone/x.kmtrace"], "gone/x.kmtrace"),
        (["echo", "-o", "without"], "is a directory"),
        (["echo", "--seed", "-1"], "x>=0"),
    ],
)
def test_mistakes(run: Run, args: list[str], text: str) -> None:
    done = run("simulate", *args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_leaves_the_file_alone(folder: Path, run: Run) -> None:
    before = (folder / "good.kmtrace").read_text()
    assert run("simulate", "echo", "--end", "hung", "-o", "good.kmtrace").returncode == 2
    assert (folder / "good.kmtrace").read_text() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
@pytest.mark.parametrize("args", [[], ["-o", "/dev/full"]])
def test_a_full_disk_is_an_error(args: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "echo", *args], env=ENV, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert "could not be written" in done.stderr


def test_a_closed_pipe_is_no_error() -> None:
    with subprocess.Popen(
        [*COMMAND, "echo"], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_the_command_imports_little() -> None:
    code = (
        "import sys, kmclcheck.cli.simulate; "
        "heavy = {'z3', 'lark', 'rich', 'networkx', 'kmclcheck.speclang', 'kmclcheck.engines.monitor'}; "
        "sys.exit(str(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENV, capture_output=True, text=True, check=False)
    assert done.stderr == "set()\n"
