"""``kmclcheck explain-open`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from kmclcheck.cli.main import run
from kmclcheck.report.schemas import schema_text
from tests.support.filling_table import sample
from tests.support.manipulate import columns, no_irql, without

CLIENT = "scenario-02-client-open"
RULE = "enable-when-disabled"


@pytest.fixture
def lossy(tmp_path: Path) -> str:
    """Return a conforming trace without its 13th and 14th event; a marker says that some were lost."""
    path = tmp_path / "lossy.kmtrace"
    path.write_text(without(sample(CLIENT), [12, 13], marked=True), encoding="utf-8")
    return str(path)


def enabled_at(path: str) -> int:
    """Return the line on which the channel is enabled."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    (line,) = [n for n, text in enumerate(lines, 1) if " call VmbChannelEnable " in text]
    return line


def test_tells_both_fillings(lossy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain-open", lossy, RULE]) == 0
    text = capsys.readouterr().out
    line = enabled_at(lossy)
    assert f"open[{RULE}]: events were lost (the trace says so)" in text
    assert f"lossy.kmtrace:{line}   VmbChannelEnable   channel 0x" in text
    assert "may have been kept: no missing event is needed" in text
    assert "may have been broken: 1 missing event would do" in text
    (filled,) = [row for row in text.splitlines() if row.startswith("   + ")]
    assert "call VmbChannelEnable" in filled
    assert "Disabled → Enabled" in filled
    assert f"error[{RULE}]" in text
    assert "no fewer will do; checked as a complete trace" in text


def test_only_one_question(lossy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain-open", lossy, RULE, "--kept"]) == 0
    assert "broken" not in capsys.readouterr().out
    assert run(["explain-open", lossy, RULE, "--broken"]) == 0
    assert "may have been kept" not in capsys.readouterr().out


def test_a_filling_as_a_trace(lossy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken, kept = tmp_path / "broken.kmtrace", tmp_path / "kept.kmtrace"
    assert run(["explain-open", lossy, RULE, "--broken", "-o", str(broken)]) == 0
    assert run(["explain-open", lossy, RULE, "--kept", "-o", str(kept)]) == 0
    assert broken.read_text(encoding="utf-8").count("# filled in:\n") == 1
    capsys.readouterr()
    assert run(["check", "--format", "json", str(broken)]) == 1
    (checked,) = json.loads(capsys.readouterr().out)["traces"]
    assert [finding["rule"] for finding in checked["findings"]] == [RULE]
    assert (checked["start"], checked["lost"]) == ("known", 0)
    assert run(["check", str(kept)]) == 0


def test_json(lossy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain-open", lossy, RULE, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, json.loads(schema_text("kmclcheck.fillings/1")))
    assert (document["schema"], document["rule"], document["verdict"]) == (
        "kmclcheck.fillings/1", RULE, "open",
    )  # fmt: skip
    assert document["place"]["line"] == enabled_at(lossy)
    kept, broken = document["answers"]
    assert (kept["question"], kept["result"], kept["filled_in"]) == ("kept", "found", 0)
    assert (broken["question"], broken["result"], broken["filled_in"]) == ("broken", "found", 1)
    assert broken["none_up_to"] == 0
    events = [event for event in broken["events"] if event["filled_in"]]
    assert [(event["name"], event["line"]) for event in events] == [("VmbChannelEnable", None)]


def test_values_that_the_trace_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "blind.kmtrace"
    path.write_text(columns(sample(CLIENT), no_irql), encoding="utf-8")
    assert run(["explain-open", str(path), "channel-allocate-at-passive"]) == 0
    text = capsys.readouterr().out
    assert "open[channel-allocate-at-passive]: no IRQL in the trace" in text
    assert "may have been kept: no missing event is needed, and IRQL 0" in text
    assert "may have been broken: no missing event is needed, and IRQL" in text


def test_a_place(lossy: str, capsys: pytest.CaptureFixture[str]) -> None:
    rule = "channel-no-use-after-cleanup"
    line = enabled_at(lossy)
    assert run(["explain-open", lossy, rule, "--kept", "--place", str(line)]) == 0
    text = capsys.readouterr().out
    assert f"lossy.kmtrace:{line} " in text
    assert "also open at line" in text
    assert run(["explain-open", lossy, rule, "--place", "5"]) == 2
    assert f"not open there; it is at line {line - 2}, line {line}" in capsys.readouterr().err
    assert run(["explain-open", lossy, rule, "--place", "middle"]) == 2
    assert "wanted is the number of a line, or end" in capsys.readouterr().err


def test_rules_that_are_not_open(lossy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain-open", lossy, "channel-allocate-at-passive"]) == 0
    assert "channel-allocate-at-passive is not open: kept, decided 1 time" in capsys.readouterr().out
    assert run(["explain-open", "traces/wrong-double-complete.kmtrace", "incoming-complete-once"]) == 0
    assert "is not open: broken" in capsys.readouterr().out
    assert run(["explain-open", lossy, "save-continue-after-begin"]) == 0
    assert "is not open: not exercised" in capsys.readouterr().out


def test_bad_input(lossy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain-open", lossy, "enable-when-disable"]) == 2
    assert f"did you mean {RULE}" in capsys.readouterr().err
    assert run(["explain-open", str(tmp_path / "none.kmtrace"), RULE]) == 2
    assert "no such file" in capsys.readouterr().err
    assert run(["explain-open", lossy, RULE, "--format", "kmtrace"]) == 2
    assert "--kept or --broken" in capsys.readouterr().err
    assert run(["explain-open", "traces/wrong-mapped-twice.kmtrace", "gpadl-unmap-mapped"]) == 2
    assert "the trace breaks gpadl-single-mapping at line" in capsys.readouterr().err


def test_no_answer_is_no_claim(lossy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain-open", lossy, "role-client-only", "--broken", "--bound", "3"]) == 3
    assert "no filling with up to 3 events breaks it alone" in capsys.readouterr().out
    assert run(["explain-open", lossy, RULE, "--timeout", "0"]) == 3
    text = capsys.readouterr().out
    assert "not decided whether it may have been kept (the time was used up)" in text
    assert "may have been kept:" not in text
    silent = "traces/scenario-08-no-callbacks-registered.kmtrace"
    assert run(["explain-open", silent, "lg-process-packet-window"]) == 3
    assert "never show" in capsys.readouterr().out


def test_nothing_that_was_lost_breaks_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "numbered.kmtrace"
    path.write_text(without(sample(CLIENT), [12], marked=False), encoding="utf-8")
    assert run(["explain-open", str(path), "role-client-only", "--broken"]) == 0
    assert "not broken: nothing that can be missing breaks it alone" in capsys.readouterr().out
    out = tmp_path / "broken.kmtrace"
    assert run(["explain-open", str(path), "role-client-only", "--broken", "-o", str(out)]) == 0
    assert not out.exists()
    assert "nothing that can be missing" in capsys.readouterr().err


def test_a_specification_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "door.kmcl"
    spec.write_text(
        """spec door "A door"
status STATUS_SUCCESS = 0
object door DOOR {
    field leaf : { None, Closed, Open, Gone } = None dead { Gone } absent { None }
}
function Build(out Door: DOOR) : NTSTATUS { doc "" source "S" }
function Push(in Door: DOOR) : VOID { doc "" source "S" }
function Close(in Door: DOOR) : VOID { doc "" source "S" }
births door { on Build.ret when succeeded }
machine door.leaf {
    None -> Closed on Build.ret when succeeded
    Closed -> Open on Push.call
    Open -> Closed on Close.call
}
rule push-closed-door {
    driver error core
    on door
    statement "Only a closed door is pushed."
    at Push.call require door.leaf is Closed
    consequence "a bruise" fix "Close it first." source "S"
}
""",
        encoding="utf-8",
    )
    trace = tmp_path / "door.kmtrace"
    trace.write_text(
        "%kmtrace 1\n%start known\n%end stopped\n%records all\n"
        "- - 0 4.8 0 call Build\n- - 0 4.8 0 ret Build Door=16 status=0\n"
        "- - 0 4.8 0 call Push Door=16\n- - 0 4.8 0 ret Push Door=16\n%lost 2\n"
        "- - 0 4.8 0 call Push Door=16\n",
        encoding="utf-8",
    )
    assert run(["explain-open", str(trace), "push-closed-door", "--spec", str(spec)]) == 0
    text = capsys.readouterr().out
    # It takes a Close before it; and without one the rule is broken.
    assert "may have been kept: 1 missing event would do" in text
    assert "call Close Door=0x10" in text
    assert "may have been broken: no missing event is needed" in text
