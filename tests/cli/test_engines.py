"""``kmclcheck check --engine``: other engines than the monitor, and what happens when they cannot."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from kmclcheck.engines.explore.walk.judge import EVENTS_TAKEN
from kmclcheck.report import format_names
from tests.cli.conftest import HEAD, Run

GRAPH = ("--engine", "graph")
ARGS = ("check", "--spec", "demo.kmcl", "bad.kmtrace")


def test_the_report_says_who_judged(run: Run) -> None:
    done = run(*ARGS, *GRAPH)
    assert done.returncode == 1
    assert "error[file-read-open]" in done.stdout
    assert "judged by the graph engine; it explains nothing" in done.stdout
    assert "judged by" not in run(*ARGS).stdout


def test_verdicts_and_findings_are_those_of_the_monitor(run: Run) -> None:
    reports = [json.loads(run(*ARGS, "--format", "json", *engine).stdout) for engine in ((), GRAPH)]
    one, other = (report["traces"][0] for report in reports)
    assert [(r["id"], r["verdict"]) for r in one["rules"]] == [
        (r["id"], r["verdict"]) for r in other["rules"]
    ]
    keys = ("rule", "event", "object", "also_broken", "repeats")
    assert [[f[k] for k in keys] for f in one["findings"]] == [
        [f[k] for k in keys] for f in other["findings"]
    ]
    assert (one["events"], one["lost"], one["end"]) == (other["events"], other["lost"], other["end"])
    assert other["findings"][0]["history"] == []
    assert other["findings"][0]["slice"] is None


@pytest.mark.parametrize("how", [("--verbose",), ("--quiet",), *(("-f", name) for name in format_names())])
def test_every_report_can_do_without_explanations(run: Run, how: tuple[str, ...]) -> None:
    done = run(*ARGS, *GRAPH, *how)
    assert done.returncode == 1
    assert "file-read-open" in done.stdout
    assert not done.stderr


def test_names_stand_where_no_value_is_filled_in(run: Run, folder: Path) -> None:
    spec = (folder / "demo.kmcl").read_text().replace('needs "Open"', 'needs "{file.life} is Open"')
    (folder / "demo.kmcl").write_text(spec)
    assert "requires file.life is Open" in run(*ARGS, *GRAPH).stdout


def test_too_large(run: Run, folder: Path) -> None:
    (folder / "bad.kmtrace").write_text(HEAD + "call FileRead File=0x20\n" * (EVENTS_TAKEN + 1))
    done = run(*ARGS, *GRAPH)
    assert done.returncode == 2
    assert not done.stdout
    assert "bad.kmtrace: not checked: the graph engine takes at most 20,000 events" in done.stderr


def test_out_of_time_is_never_a_pass(run: Run) -> None:
    done = run("check", "--spec", "demo.kmcl", "good.kmtrace", *GRAPH, "--engine-timeout", "1e-9")
    assert done.returncode == 2
    assert "good.kmtrace: not checked: " in done.stderr
    assert "used up after 0 of 6 events" in done.stderr


def test_other_traces_are_judged_all_the_same(run: Run, folder: Path) -> None:
    (folder / "large.kmtrace").write_text(HEAD + "call FileRead File=0x20\n" * (EVENTS_TAKEN + 1))
    done = run("check", "--spec", "demo.kmcl", "large.kmtrace", "bad.kmtrace", *GRAPH)
    assert done.returncode == 2
    assert "error[file-read-open]" in done.stdout
    assert "1 file not checked" in done.stdout


def test_setting_and_environment(run: Run, folder: Path) -> None:
    (folder / "kmclcheck.toml").write_text('engine = "graph"\nengine-timeout = 20\n')
    assert "judged by the graph engine" in run(*ARGS).stdout
    shown = run("check", "--show-config").stdout
    assert 'engine = "graph"' in shown
    assert "engine-timeout = 20.0" in shown
    assert "judged by" not in run(*ARGS, env={"KMCLCHECK_ENGINE": "monitor"}).stdout


def test_unknown_engine(run: Run) -> None:
    done = run(*ARGS, "--engine", "oracle")
    assert done.returncode == 2
    assert "'monitor', 'graph', 'z3'" in done.stderr


def test_an_engine_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import click

    from kmclcheck.cli import judges, solving

    monkeypatch.setattr(solving, "find_spec", lambda name: None if name == "z3" else find_spec(name))
    with pytest.raises(click.UsageError, match="the engine z3 needs Z3, which is not installed"):
        judges.judge("z3")
    assert callable(judges.judge("graph"))


def test_z3_judges_too(run: Run) -> None:
    done = run(*ARGS, "--engine", "z3")
    assert done.returncode == 1
    assert "error[file-read-open]" in done.stdout
    assert "judged by the z3 engine; it explains nothing" in done.stdout
