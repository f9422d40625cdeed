"""``kmclcheck counterexample`` and ``kmclcheck graph`` on the command line."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from kmclcheck.cli.main import run

RULE = "save-continue-after-begin"


def out(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_tells_the_story(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["counterexample", RULE]) == 0
    text = out(capsys)
    assert f"{RULE}: broken by 3 records" in text
    assert "channel 0x10100: Disabled" in text
    assert f"error[{RULE}]" in text
    assert "no fewer records will do" in text


def test_check_judges_the_trace_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for rule, count in (("incoming-disposed", 9), ("channel-cleaned-up", 2), (RULE, 3)):
        trace = tmp_path / f"{rule}.kmtrace"
        assert run(["counterexample", rule, "-o", str(trace)]) == 0
        capsys.readouterr()
        assert run(["check", "--format", "json", str(trace)]) == 1
        (checked,) = json.loads(out(capsys))["traces"]
        assert [finding["rule"] for finding in checked["findings"]] == [rule]
        assert (checked["start"], checked["events"], checked["lost"]) == ("known", count, 0)


def test_witness_keeps_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "witness.kmtrace"
    assert run(["counterexample", RULE, "--witness", "-o", str(trace)]) == 0
    capsys.readouterr()
    assert run(["check", "--format", "json", str(trace)]) == 0
    (checked,) = json.loads(out(capsys))["traces"]
    assert next(r["verdict"] for r in checked["rules"] if r["id"] == RULE) == "pass"


def test_minimal_pair_differs_little(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["counterexample", RULE, "--minimal-pair"]) == 0
    text = out(capsys)
    assert "broken by 3 records" in text
    # The same three records, with a begin between them.
    assert "kept by 5 records, as like the ones above as can be" in text


def test_states_of_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["counterexample", RULE, "--format", "json"]) == 0
    document = json.loads(out(capsys))
    assert document["#meta"]["format"] == "ITF"
    assert document["vars"] == ["event", "objects"]
    assert [state["#meta"]["index"] for state in document["states"]] == [0, 1, 2, 3]
    assert all(set(state) == {"#meta", "event", "objects"} for state in document["states"])
    (name, fields), *_ = document["states"][-1]["objects"]["#map"]
    assert name == "channel 0x10100"
    assert fields["life"] == {"#set": ["Disabled"]}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ([], "name a rule"),
        (["save-continue-after-begn"], "did you mean save-continue-after-begin"),
        ([RULE, "--bound", "threads=0"], "NAME=N"),
        ([RULE, "--bound", "chanel=2"], "did you mean channel"),
        ([RULE, "--witness", "--minimal-pair"], "leave out --witness"),
    ],
)
def test_usage(args: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["counterexample", *args]) == 2
    assert told in capsys.readouterr().err


def test_no_time_proves_little(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["counterexample", "lg-pending-redelivered", "--timeout", "0.2"]) == 3
    text = out(capsys)
    assert "there is no counterexample with up to" in text
    assert "of any length" not in text


NEVER = """
spec demo "Demonstration"
object file HANDLE {
    field life : { None, Open, Gone } = None dead { Gone } absent { None }
}
function FileOpen(in File: HANDLE) { role either  interface "v1" }
machine file.life {
    None -> Open on FileOpen.call
}
births file {
    on FileOpen.call
}
rule file-not-gone {
    driver error core
    on file
    statement "FileOpen is not called for a file that is gone."
    at FileOpen.call require file.life is not Gone
    consequence "none"
    fix "none"
    source "none"
}
"""


def test_what_cannot_be_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "never.kmcl"
    spec.write_text(NEVER, encoding="utf-8")
    assert run(["counterexample", "file-not-gone", "--spec", str(spec)]) == 3
    assert "file-not-gone: can never be broken (proved, with 2 threads" in out(capsys)


def test_what_cannot_be_broken_without_a_solver(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kmclcheck.cli.counterexample.find_spec", lambda name: None)
    spec = tmp_path / "never.kmcl"
    spec.write_text(NEVER, encoding="utf-8")
    assert run(["counterexample", "file-not-gone", "--spec", str(spec)]) == 3
    assert "there is no counterexample of any length with 2 threads" in out(capsys)


def test_another_specification(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = Path(__file__).parents[1] / "data" / "filehandle.kmcl"
    assert run(["counterexample", "--all", str(tmp_path), "--spec", str(spec), "--timeout", "20"]) in (0, 3)
    written = {path.stem for path in tmp_path.glob("*.kmtrace")}
    assert written
    for path in tmp_path.glob("*.kmtrace"):
        capsys.readouterr()
        assert run(["check", "--spec", str(spec), "--format", "json", "--fail-on", "warning", str(path)]) == 1
        (checked,) = json.loads(out(capsys))["traces"]
        assert [finding["rule"] for finding in checked["findings"]] == [path.stem]


def test_graph_formats(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["graph", "channel.life"]) == 0
    dot = out(capsys)
    assert '"Enabled" -> "Opening" [label="EvtVmbChannelOpened.in"]' in dot
    assert '"None" [penwidth=2]' in dot
    assert '"Freed" [peripheries=2]' in dot
    assert run(["graph", "channel.life", "--format", "mermaid"]) == 0
    assert "Enabled --> Opening: EvtVmbChannelOpened.in" in out(capsys)
    assert run(["graph", "channel.life", "--format", "json"]) == 0
    assert {node["id"] for node in json.loads(out(capsys))["nodes"]} >= {"None", "Disabled", "Freed"}
    assert run(["graph", "all", "--format", "graphml"]) == 0
    assert ElementTree.fromstring(out(capsys)).tag.endswith("graphml")


def test_graph_as_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["graph", "channel.life", "--format", "svg"]) == 0
    drawn = out(capsys)
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    file = tmp_path / "life.svg"
    assert run(["graph", "channel.life", "-o", str(file)]) == 0
    assert file.read_text(encoding="utf-8") == drawn
    assert "1 graph" in capsys.readouterr().err


def test_graphs_of_all_in_a_folder(tmp_path: Path) -> None:
    spec = str(Path(__file__).parents[1] / "data" / "filehandle.kmcl")
    folder = tmp_path / "new"
    assert run(["graph", "all", "--spec", spec, "--format", "svg", "-o", f"{folder}/"]) == 0
    drawn = sorted(path.name for path in folder.iterdir())
    assert drawn
    assert all(name.endswith(".svg") for name in drawn)
    assert run(["graph", "all", "--spec", spec, "--format", "mermaid", "-o", str(folder)]) == 0
    assert len(list(folder.glob("*.mmd"))) == len(drawn)
    whole = tmp_path / "all.svg"
    assert run(["graph", "all", "--spec", spec, "-o", str(whole)]) == 0
    text = whole.read_text(encoding="utf-8")
    assert all(name.removesuffix(".svg") in text for name in drawn)


def test_graph_layout_by_dot(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["graph", "channel.life", "--layout", "dot"]) == 2
    assert "for --format svg only" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "")
    assert run(["graph", "channel.life", "--format", "svg", "--layout", "dot"]) == 2
    assert "install Graphviz" in capsys.readouterr().err
    # What the machine has must not matter otherwise.
    assert run(["graph", "channel.life", "--format", "svg"]) == 0


def test_counterexample_as_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.svg"
    assert run(["counterexample", RULE, "-o", str(file)]) == 0
    capsys.readouterr()
    assert run(["counterexample", RULE, "--format", "svg"]) == 0
    drawn = out(capsys)
    assert file.read_text(encoding="utf-8") == drawn
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    assert f"{RULE}: broken by 3 records" in drawn
    assert 'class="bar fault' in drawn
    assert run(["counterexample", RULE, "--witness", "--format", "svg"]) == 0
    assert 'class="bar fault' not in out(capsys)


def test_graph_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["graph", "chanel.life"]) == 2
    assert "did you mean channel.life" in capsys.readouterr().err
