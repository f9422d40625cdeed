"""``kmclcheck check --follow``, end to end: what is printed when, and how it ends."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import CLOSE, HEAD, OPEN, READ, ROOT, Run

PATIENCE = 120
FOUND = "error[file-read-open]"
BAD = OPEN + CLOSE + READ


class Child:
    """A running check; its output is read line by line as it comes."""

    def __init__(self, folder: Path, *args: str, stdout: int = subprocess.PIPE) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KMCLCHECK_", "NO_COLOR", "FORCE_"))}
        kept |= {"PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kmclcheck", "check", "--spec", "demo.kmcl", "--follow", *args],
            cwd=folder, env=kept, stdin=subprocess.PIPE, stdout=stdout, stderr=subprocess.PIPE,
            text=True, encoding="utf-8",
        )  # fmt: skip
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, text: str) -> str:
        """Return the next line that holds the text; fail if the output ends, or takes too long."""
        while True:
            line = self._lines.get(timeout=PATIENCE)
            assert line is not None, f"{text!r} never came"
            if text in line:
                return line

    def write(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def finish(self) -> tuple[int, str, str]:
        """Wait for the end; return exit code, the rest of the output, and stderr."""
        rest = ""
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            rest += line
        assert self.process.stderr is not None
        errors = self.process.stderr.read()
        return self.process.wait(PATIENCE), rest, errors


Start = Callable[..., Child]


@pytest.fixture
def child(folder: Path) -> Iterator[Start]:
    made: list[Child] = []

    def start(*args: str, stdout: int = subprocess.PIPE) -> Child:
        made.append(Child(folder, *args, stdout=stdout))
        return made[-1]

    yield start
    for one in made:
        one.process.kill()
        one.process.wait(PATIENCE)
        for stream in (one.process.stdin, one.process.stdout, one.process.stderr):
            if stream is not None:
                stream.close()


def append(path: Path, text: str) -> None:
    with path.open("a") as stream:
        stream.write(text)


def test_findings_come_while_the_file_grows(folder: Path, child: Start) -> None:
    path = folder / "grows.kmtrace"
    path.write_text(HEAD + BAD)
    running = child("grows.kmtrace")
    assert running.wait_for(FOUND).startswith(FOUND)
    running.wait_for("grows.kmtrace:9")
    append(path, BAD.replace("0x10", "0x20"))
    running.wait_for("grows.kmtrace:15")
    append(path, OPEN + "%end unlo")
    append(path, "aded\n" + READ.replace("0x10", "0x20"))
    code, rest, errors = running.finish()
    assert (code, errors) == (1, "")
    assert FOUND not in rest
    assert "2 findings; 1 of 1 rule exercised; 14 events in " in rest


def test_a_pipe_ends_it(child: Start) -> None:
    running = child("-", "--format", "jsonl")
    running.write(HEAD + BAD)
    found = json.loads(running.wait_for('"finding"'))
    assert (found["id"], found["rule"], found["event"]["line"]) == ("1.1", "file-read-open", 9)
    assert found["slice"]["replayed"]
    running.write(CLOSE)
    assert running.process.stdin is not None
    running.process.stdin.close()
    code, rest, errors = running.finish()
    assert (code, errors) == (1, "")
    trace, summary = map(json.loads, rest.splitlines())
    assert (trace["type"], trace["events"]) == ("trace", 8)
    assert (summary["type"], summary["summary"]["findings"], summary["summary"]["complete"]) == (
        "summary",
        1,
        True,
    )


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT for a single process there")
@pytest.mark.parametrize("path", ["grows.kmtrace", "-"])
def test_an_interrupt_gives_what_was_found_so_far(folder: Path, child: Start, path: str) -> None:
    (folder / "grows.kmtrace").write_text(HEAD + BAD)
    running = child(path, "--format", "concise")
    if path == "-":
        running.write(HEAD + BAD)
    running.wait_for(FOUND)
    running.process.send_signal(signal.SIGINT)
    code, rest, errors = running.finish()
    assert code == 2
    assert "interrupted: this is what was found so far" in errors
    assert "Traceback" not in errors
    assert "1 finding; 1 of 1 rule exercised; " in rest
    assert "interrupted, not everything was checked" in rest


def test_a_file_that_becomes_shorter_ends_it(folder: Path, child: Start) -> None:
    path = folder / "grows.kmtrace"
    path.write_text(HEAD + BAD)
    running = child("grows.kmtrace")
    running.wait_for(FOUND)
    path.write_text(HEAD)
    code, rest, errors = running.finish()
    assert code == 2
    assert "grows.kmtrace: the file became shorter while it was watched" in errors
    assert "1 finding; " in rest


@pytest.mark.skipif(os.name == "nt", reason="closing a pipe looks different there")
def test_it_ends_when_nobody_reads_on(folder: Path, child: Start) -> None:
    path = folder / "grows.kmtrace"
    path.write_text(HEAD + BAD)
    outgoing, incoming = os.pipe()
    running = child("grows.kmtrace", "--format", "concise", stdout=incoming)
    os.close(incoming)
    assert FOUND in os.read(outgoing, 4096).decode()
    os.close(outgoing)
    append(path, BAD.replace("0x10", "0x20"))
    assert running.process.wait(PATIENCE) == 2
    assert running.process.stderr is not None
    assert "Traceback" not in running.process.stderr.read()


def test_a_simulation_can_be_watched(run: Run) -> None:
    made = run("simulate", "--fault", "incoming-complete-once")
    done = run("check", "--follow", "-", "--format", "concise", stdin=made.stdout)
    assert done.returncode == 1
    assert "error[incoming-complete-once]" in done.stdout


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (["good.kmtrace"], 0, "0 findings"),
        (["bad.kmtrace"], 1, FOUND),
        (["bad.kmtrace", "--fail-on", "never"], 0, FOUND),
        (["midlife.kmtrace", "--strict"], 3, "open"),
        (["bad.kmtrace", "--quiet"], 1, FOUND),
        (["gone.kmtrace"], 2, "gone.kmtrace: no such file"),
        (["without"], 2, "is a folder"),
        (["empty.kmtrace"], 2, "the file is empty"),
        (["broken.kmtrace"], 2, "%kmtrace"),
        (["good.kmtrace", "bad.kmtrace"], 2, "--follow watches one trace"),
        (["good.kmtrace", "--format", "json"], 2, "use one of: concise, jsonl, text"),
        (["good.kmtrace", "-o", "out.txt"], 2, "--output needs the whole run"),
        (["good.kmtrace", "--report", "json=out.json"], 2, "--report needs the whole run"),
        (["good.kmtrace", "--repairs"], 2, "--repairs needs the whole run"),
        (["good.kmtrace", "--engine", "graph"], 2, "another --engine needs the whole run"),
    ],
)
def test_how_it_ends_when_nothing_more_comes(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    args: list[str], code: int, text: str,
) -> None:  # fmt: skip
    from kmclcheck.cli.main import run as run_here

    monkeypatch.chdir(folder)
    assert run_here(["check", "--spec", "demo.kmcl", "--follow", "--idle", "0", *args]) == code
    out, err = capsys.readouterr()
    assert text in out + err
    assert "Traceback" not in err
    if code != 2:
        assert "nothing came any more; the watching is over" in err
        assert ("exercised" in out) is ("--quiet" not in args)


def test_idle_goes_with_follow(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from kmclcheck.cli.main import run as run_here

    assert run_here(["check", str(folder / "good.kmtrace"), "--idle", "1"]) == 2
    assert "--idle goes with --follow" in capsys.readouterr().err


@pytest.mark.parametrize(("more", "findings"), [([], 0), (["--end", "unloaded"], 1)])
def test_the_end_of_the_watching_is_not_the_end_of_the_trace(
    capsys: pytest.CaptureFixture[str], more: list[str], findings: int
) -> None:
    from kmclcheck.cli.main import run as run_here

    path = str(ROOT / "traces" / "wrong-never-cleaned-up.kmtrace")
    assert run_here(["check", "--follow", path, "--idle", "0", *more]) == min(1, findings)
    assert f"{findings} finding" in capsys.readouterr().out
