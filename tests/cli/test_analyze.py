"""``kmclcheck analyze``: output and exit codes; and what ``counterexample`` says of implied rules."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema

from kmclcheck.report.schemas import schema_text
from tests.cli.conftest import SPEC, Run

MORE = """
rule file-read-known {
    driver error core
    on file
    statement "FileRead names a file that was not closed."
    at FileRead.call require file.life is not Closed
    consequence "the handle may name another file"
    fix "Read before you close."
    source "the manual"
    implied_by file-read-open
}
rule file-never-read {
    driver error core
    on file
    statement "A closed file is not read."
    at FileRead.call require file.life is not Closed
    consequence "a lie"
    fix "None."
    source "the manual"
    implied_by file-close-open
}
rule file-close-open {
    driver error core
    on file
    statement "FileClose is called only on an open file."
    at FileClose.call require file.life is Open
    consequence "a double close"
    fix "Close once."
    source "the manual"
}
"""


def _spec(tmp_path: Path, more: str = MORE) -> str:
    path = tmp_path / "demo.kmcl"
    path.write_text(SPEC + more)
    return str(path)


def test_implications(run: Run, tmp_path: Path) -> None:
    done = run("analyze", "implications", "--spec", _spec(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "  file-read-known from file-read-open: follows" in done.stdout
    assert "file-never-read from file-close-open: follows if these are kept too: " in done.stdout
    assert "2 answers: 2 as the specification says, 0 not, 0 open" in done.stdout


def test_states(run: Run, tmp_path: Path) -> None:
    done = run("analyze", "states", "-v", "--spec", _spec(tmp_path, ""))
    assert done.returncode == 0, done.stderr
    assert "file.life Open: reached by 2 records" in done.stdout
    assert "file.life Closed: reached by 4 records" in done.stdout
    assert "ret  FileClose" in done.stdout
    assert "file.life None: only of what is not there, as before a birth" in done.stdout


def test_as_json(run: Run, tmp_path: Path) -> None:
    done = run("analyze", "states", "--format", "json", "--spec", _spec(tmp_path, ""))
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads(schema_text("kmclcheck.analysis/1")))
    assert document["schema"] == "kmclcheck.analysis/1"
    closed = next(one for one in document["answers"] if one["value"] == "Closed")
    assert (closed["subject"], closed["field"], closed["good"]) == ("states", "file.life", True)
    assert len(closed["events"]) == 4


def test_out_of_time_is_open(run: Run, tmp_path: Path) -> None:
    done = run("analyze", "states", "--timeout", "0", "--spec", _spec(tmp_path, ""))
    assert done.returncode == 3
    assert "? file.life Open: open: " in done.stdout


def test_unknown_subject(run: Run) -> None:
    done = run("analyze", "everything")
    assert done.returncode == 2
    assert "unknown subject 'everything'; known are rules, implications" in done.stderr


def test_a_rule_that_cannot_be_broken_alone(run: Run, tmp_path: Path) -> None:
    spec = _spec(tmp_path)
    done = run("counterexample", "file-read-known", "--timeout", "5", "--spec", spec)
    assert done.returncode == 3
    assert "file-read-known: cannot be broken alone: whatever breaks it" in done.stdout
    assert "file-read-open" in done.stdout
