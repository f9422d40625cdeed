"""``kmclcheck repair`` and ``kmclcheck check --repairs`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from kmclcheck.cli.main import run
from kmclcheck.report.schemas import schema_text
from tests.cli.conftest import CLOSE, HEAD, OPEN, READ, SPEC

TRACES = Path(__file__).parents[2] / "traces"
CLEANUP = str(TRACES / "wrong-cleanup-while-enabled.kmtrace")
LIBRARY = str(TRACES / "wrong-library-completes-twice.kmtrace")
CLEAN = str(TRACES / "scenario-02-client-open.kmtrace")
LEAKS = str(TRACES / "wrong-scenario-10-hafl2.kmtrace")

ENABLED_AT_THE_END = """%kmtrace 1
%start known
%end unloaded
%records all
call VmbChannelAllocate tid=4 irql=0 ParentDeviceObject=0x1000 IsServer=0
ret VmbChannelAllocate tid=4 Channel=0x10 status=0
call VmbChannelEnable tid=4 irql=0 Channel=0x10
ret VmbChannelEnable tid=4 status=0
"""

# Disable is called where it is missing, and returns before Cleanup begins.
INSERTED = """\
  = repair: insert VmbChannelDisable before VmbChannelCleanup (line 21)
     ┊ 15 events
  20 │ 4.3e8    VmbChannelEnable.ret = STATUS_SUCCESS
     │ 4.3e8  + VmbChannelDisable Channel=0xffffbc8012341a40
     │ 4.3e8  + VmbChannelDisable.ret
  21 │ 4.3e8    VmbChannelCleanup
  = note: replayed: these 19 events break no rule, and the whole trace with the change has no new finding
  = help: Call VmbChannelDisable and let it return before VmbChannelCleanup.

1 of 1 finding repaired
"""
# Start goes behind the return of the callback in which it was called.
MOVED = """\
  = repair: move VmbChannelStart (line 22) after EvtVmbChannelOpened (line 24)
     ┊ 16 events
  21 │ 4.64    EvtVmbChannelOpened
  22 │ 4.64  - VmbChannelStart  (moved)
  23 │ 4.64  - VmbChannelStart.ret  (moved)
  24 │ 4.64    EvtVmbChannelOpened.out = STATUS_SUCCESS
     │ 4.64  + VmbChannelStart
     │ 4.64  + VmbChannelStart.ret
"""
# The first completion stays, and the second one goes.
DELETED = """\
  = repair: delete VmbChannelPacketComplete (line 63)
     ┊ 55 events
  62 │ 4.3e8    VmbChannelPacketComplete.ret
  63 │ 4.0    - VmbChannelPacketComplete
  64 │ 4.0    - VmbChannelPacketComplete.ret
"""


@pytest.mark.parametrize(
    ("name", "shown"),
    [("cleanup-while-enabled", INSERTED), ("start-in-opened", MOVED), ("double-complete", DELETED)],
)
def test_shows_the_change(name: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["repair", str(TRACES / f"wrong-{name}.kmtrace")]) == 0
    out = capsys.readouterr()
    assert shown in out.out
    assert out.err == ""


def test_check_finds_nothing_in_the_repaired_slice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "mended.kmtrace"
    assert run(["repair", CLEANUP, "-o", str(target)]) == 0
    assert f"{target}: 19 events" in capsys.readouterr().err
    text = target.read_text(encoding="utf-8")
    assert "# insert VmbChannelDisable before VmbChannelCleanup (line 21)\n" in text
    assert run(["check", str(target)]) == 0
    assert "0 findings" in capsys.readouterr().out


def test_no_findings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["repair", CLEAN]) == 0
    assert capsys.readouterr().out == "no findings\n"


def test_library_findings_are_not_the_drivers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["repair", LIBRARY]) == 0
    text = capsys.readouterr().out
    assert "no repair: the library has to keep this rule; no change of the driver is due" in text
    assert "0 of 1 finding repaired, 1 the library's" in text


def test_nothing_within_the_bound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "enabled.kmtrace"
    trace.write_text(ENABLED_AT_THE_END, encoding="utf-8")
    # The channel needs two calls, to be disabled and to be cleaned up.
    assert run(["repair", str(trace), "--bound", "1"]) == 3
    text = capsys.readouterr().out
    assert "no repair: no repair with 1 change of driver calls found" in text
    assert "0 of 1 finding repaired" in text
    assert run(["repair", str(trace)]) == 0


def test_no_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["repair", CLEANUP, "--timeout", "0"]) == 3
    assert "no repair found in 0 s" in capsys.readouterr().out


def test_one_of_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "mended.kmtrace"
    assert run(["repair", LEAKS, "-o", str(target)]) == 2
    assert "is to hold one repaired slice, and there are 3; choose with" in capsys.readouterr().err
    assert not target.exists()
    assert run(["repair", LEAKS, "--finding", "2", "-o", str(target)]) == 0
    assert "return=0xffffbc8020411300" in target.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["nowhere.kmtrace"], "no such file"),
        ([CLEANUP, "--rule", "channel-cleanup-disable"], "did you mean channel-cleanup-disabled"),
        ([CLEANUP, "--finding", "2"], "the trace has 1 such finding"),
        ([CLEANUP, "--bound", "3"], "--bound"),
        ([CLEANUP, "-o", "nowhere/x.kmtrace"], "there is no folder"),
    ],
)
def test_usage(args: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["repair", *args]) == 2
    assert told in capsys.readouterr().err


def test_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["repair", CLEANUP, "--format", "json"]) == 0
    first = capsys.readouterr().out
    document = json.loads(first)
    assert document["schema"] == "kmclcheck.repair/1"
    jsonschema.validate(document, json.loads(schema_text("kmclcheck.repair/1")))
    (one,) = document["repairs"]
    assert (one["rule"], one["outcome"], one["whole"]) == ("channel-cleanup-disabled", "found", True)
    assert [(c["kind"], c["call"]) for c in one["changes"]] == [("insert", "VmbChannelDisable")]
    added = [line for line in one["slice"] if line["mark"] == "inserted"]
    assert [(line["phase"], line["line"]) for line in added] == [("call", None), ("ret", None)]
    assert added[0]["args"] == {"Channel": "0xffffbc8012341a40"}
    assert {line["mark"] for line in one["slice"]} == {"kept", "inserted"}
    assert run(["repair", CLEANUP, "--format", "json"]) == 0
    assert capsys.readouterr().out == first


def test_check_tells_repairs_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads(schema_text("kmclcheck.run/1"))
    repair = "insert VmbChannelDisable before VmbChannelCleanup (line 21)"
    assert run(["check", CLEANUP]) == 1
    assert repair not in capsys.readouterr().out
    assert run(["check", CLEANUP, "--repairs"]) == 1
    assert f"\n          here: {repair}\n" in capsys.readouterr().out
    assert run(["check", CLEANUP, "--repairs", "--format", "json"]) == 1
    with_repairs = json.loads(capsys.readouterr().out)
    jsonschema.validate(with_repairs, schema)
    assert run(["check", CLEANUP, "--format", "json"]) == 1
    without = json.loads(capsys.readouterr().out)
    (finding,) = with_repairs["traces"][0]["findings"]
    # It is an addition: everything else stays as it is.
    assert finding.pop("repair") == repair
    assert with_repairs == without


def test_no_budget_no_repairs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", CLEANUP, "--repairs", "--repair-budget", "0"]) == 1
    assert "here:" not in capsys.readouterr().out


def test_another_specification(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, trace, target = (tmp_path / name for name in ("demo.kmcl", "bad.kmtrace", "good.kmtrace"))
    spec.write_text(SPEC, encoding="utf-8")
    trace.write_text(HEAD + OPEN + CLOSE + READ, encoding="utf-8")
    assert run(["repair", str(trace), "--spec", str(spec), "-o", str(target)]) == 0
    # A read comes before the close; nothing of KMCL is needed to say so.
    assert "= repair: move FileRead (line 9) before FileClose (line 7)" in capsys.readouterr().out
    assert run(["check", str(target), "--spec", str(spec)]) == 0


def test_what_the_user_says_of_a_trace_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "midlife.kmtrace"
    text = Path(CLEANUP).read_text(encoding="utf-8").replace("%start known\n", "")
    trace.write_text(text, encoding="utf-8")
    assert run(["repair", str(trace), "--start", "known"]) == 0
    assert "insert VmbChannelDisable before VmbChannelCleanup" in capsys.readouterr().out
