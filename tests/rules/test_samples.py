"""The sample traces: each gives exactly the findings that the manifest names, at their events."""

from __future__ import annotations

import shlex
import tomllib
from functools import cache
from typing import Any

import pytest

from kmclcheck.cli.main import run
from kmclcheck.model.finding import VerdictKind
from tests.support.checking import found, result_of
from tests.support.write_samples import FOLDER, manifest, texts


@cache
def _entries() -> dict[str, dict[str, Any]]:
    document = tomllib.loads((FOLDER / "manifest.toml").read_text(encoding="utf-8"))
    return {entry["file"]: entry for entry in document["trace"]}


FILES = sorted(path.name for path in FOLDER.glob("*.kmtrace"))


def test_every_file_has_an_entry_and_every_entry_a_file() -> None:
    assert sorted(_entries()) == FILES


def test_folder_is_what_the_script_writes() -> None:
    assert {file: (FOLDER / file).read_text(encoding="utf-8") for file in FILES} == texts()
    assert (FOLDER / "manifest.toml").read_text(encoding="utf-8") == manifest()


@pytest.mark.parametrize("file", FILES)
def test_findings_are_those_of_the_manifest(file: str) -> None:
    entry = _entries()[file]
    result = result_of((FOLDER / file).read_text(encoding="utf-8"))
    # The simulator does not say which object a finding is about.
    expected = [(x["rule"], x["line"], x.get("object")) for x in entry.get("finding", ())]
    got = found(result)
    if "command" in entry:
        got = [(rule, line, None) for rule, line, _ in got]
    assert got == sorted(expected, key=str)
    assert result.problems == []
    assert result.unknown_names == {}
    assert (result.start, result.end) == (entry["start"], entry["end"])


@pytest.mark.parametrize("file", [f for f in FILES if not f.startswith(("wrong-", "simulated-"))])
def test_conforming_samples_leave_nothing_open(file: str) -> None:
    entry = _entries()[file]
    assert "finding" not in entry
    result = result_of((FOLDER / file).read_text(encoding="utf-8"))
    left_open = sorted(v.rule for v in result.verdicts if v.kind is VerdictKind.OPEN)
    assert left_open == sorted(entry.get("open", ()))


def test_samples_are_of_both_kinds() -> None:
    wrong = [f for f in FILES if f.startswith("wrong-")]
    assert len(wrong) >= 15
    assert all("finding" in _entries()[file] for file in wrong)


@pytest.mark.parametrize("file", [f for f in FILES if "simulated" in f])
def test_commands_of_the_manifest_make_the_traces(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = shlex.split(_entries()[file]["command"])
    assert command[0] == "kmclcheck"
    assert run(command[1:]) == 0
    assert capsys.readouterr().out == (FOLDER / file).read_text(encoding="utf-8")
