"""``kmclcheck docs``: what it writes where, what it keeps for the next time, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kmclcheck.cli.main import run
from kmclcheck.engines.explore import finder

SPEC = """
spec demo "Demonstration"
status STATUS_SUCCESS = 0x00000000
object file HANDLE {
    doc "A file."
    field life : { None, Open, Closed } = None dead { Closed } absent { None, Closed }
}
function FileOpen(out File: HANDLE) : NTSTATUS { role either  interface "v1"  doc "Opens."  source "M:1" }
function FileRead(in File: HANDLE) : NTSTATUS { role either  interface "v1"  doc "Reads."  source "M:2" }
function FileClose(in File: HANDLE) { role either  interface "v1"  doc "Closes."  source "M:3" }
machine file.life {
    doc "From the open to the close."
    None -> Open on FileOpen.ret when succeeded
    Open -> Closed on FileClose.call
}
births file { on FileOpen.ret when succeeded }
rule file-read-open {
    driver error core
    on file
    statement "A file is read only while it is open."
    at FileRead.call require file.life is Open
    consequence "The handle may name another file."
    fix "Read before you close."
    source "SOURCE"
    passes \"\"\"
        call FileOpen tid=1
        ret FileOpen tid=1 status=0 File=0x10
        call FileRead tid=1 File=0x10
    \"\"\"
    fails \"\"\"
        call FileOpen tid=1
        ret FileOpen tid=1 status=0 File=0x10
        call FileClose tid=1 File=0x10
        ret FileClose tid=1
        call FileRead tid=1 File=0x10
    \"\"\"
}
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "demo.kmcl"
    path.write_text(SPEC.replace("SOURCE", "M:2"), encoding="utf-8")
    return str(path)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".cache" not in path.parts
    }


@pytest.mark.parametrize(("format", "suffix"), [("html", ".html"), ("markdown", ".md")])
def test_writes_a_site(
    spec: str, tmp_path: Path, format: str, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "site"
    assert run(["docs", "-o", str(out), "--format", format, "--spec", spec, "--strict"]) == 0
    written = files(out)
    for page in ("index", "rules/file-read-open", "machines/file.life", "events/FileRead", "invariants"):
        assert f"{page}{suffix}" in written
    told = capsys.readouterr()
    assert told.out == ""
    assert f"index{suffix}" in told.err
    # What is written does not depend on where.
    assert not [name for name, data in written.items() if str(tmp_path).encode() in data]
    assert b"--spec demo.kmcl" in written[f"rules/file-read-open{suffix}"]


@pytest.mark.parametrize("what", ["fails", "passes"])
def test_traces_beside_the_pages_replay(
    spec: str, tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["docs", "-o", str(tmp_path / "site"), "--spec", spec]) == 0
    trace = tmp_path / "site" / "traces" / f"file-read-open.{what}.kmtrace"
    assert run(["check", str(trace), "--spec", spec]) == (1 if what == "fails" else 0)
    assert ("error[file-read-open]" in capsys.readouterr().out) is (what == "fails")


def test_strict_fails_where_something_is_missing(
    spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "gaps.kmcl"
    path.write_text(
        SPEC.replace('"SOURCE"', '" "').replace('  doc "Reads."', ""),
        encoding="utf-8",
    )
    arguments = ["docs", "-o", str(tmp_path / "site"), "--spec", str(path)]
    assert run(arguments) == 0
    capsys.readouterr()
    assert run([*arguments, "--strict"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "function FileRead: no doc",
        "rule file-read-open: no source",
    ]


def test_a_search_is_shown_and_kept_for_the_next_time(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "site"
    arguments = ["docs", "-o", str(out), "--spec", spec, "--counterexamples", "search"]
    assert run(arguments) == 0
    first = files(out)
    page = first["rules/file-read-open.html"].decode()
    assert "found by the engine graph and confirmed by the monitor. No fewer records will do" in page
    (kept,) = (out / ".cache").iterdir()
    assert len(json.loads(kept.read_text(encoding="utf-8"))) == 1

    def never(*_: object) -> None:
        raise AssertionError("searched again")

    monkeypatch.setattr(finder, "find", never)
    assert run(arguments) == 0
    assert files(out) == first


@pytest.mark.parametrize("text", ["", "[1]", '{"graph: file-read-open": {"broken": 7}}', "[" * 100_000])
def test_a_spoilt_cache_counts_as_none(spec: str, tmp_path: Path, text: str) -> None:
    out = tmp_path / "site"
    arguments = ["docs", "-o", str(out), "--spec", spec, "--counterexamples", "search"]
    assert run(arguments) == 0
    first = files(out)
    (kept,) = (out / ".cache").iterdir()
    kept.write_text(text, encoding="utf-8")
    assert run(arguments) == 0
    assert files(out) == first


def test_what_a_cache_claims_counts_only_if_it_replays(spec: str, tmp_path: Path) -> None:
    out = tmp_path / "site"
    arguments = ["docs", "-o", str(out), "--spec", spec, "--counterexamples", "search"]
    assert run(arguments) == 0
    (kept,) = (out / ".cache").iterdir()
    entries = json.loads(kept.read_text(encoding="utf-8"))
    (entry,) = entries.values()
    entry["broken"] = entry["kept"]
    kept.write_text(json.dumps(entries), encoding="utf-8")
    assert run(arguments) == 0
    page = files(out)["rules/file-read-open.html"].decode()
    assert "5 records, from the specification&#39;s examples" in page


def test_samples_say_which_rules_they_exercise(spec: str, tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    samples.mkdir()
    head = "%kmtrace 1\n%start known\n%records all\n"
    (samples / "reads.kmtrace").write_text(head + "call FileRead tid=1 File=0x10\n", encoding="utf-8")
    (samples / "broken.kmtrace").write_text("nothing\n", encoding="utf-8")
    out = tmp_path / "site"
    assert run(["docs", "-o", str(out), "--spec", spec, "--samples", str(samples)]) == 0
    page = files(out)["rules/file-read-open.html"].decode()
    assert "Exercised by 1 of 2 sample traces (1 of them breaks it): <code>reads.kmtrace</code>" in page


def test_usage(spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert run(["docs"]) == 2
    assert run(["docs", "-o", str(tmp_path / "file"), "--spec", spec]) == 2
    assert run(["docs", "-o", str(tmp_path / "s"), "--spec", spec, "--samples", str(tmp_path / "no")]) == 2
    assert run(["docs", "-o", str(tmp_path / "s"), "--spec", str(tmp_path / "no.kmcl")]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "s").exists()
