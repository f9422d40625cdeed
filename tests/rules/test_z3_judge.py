"""What only the judge that asks Z3 can do: it decides more where facts hang together, within its limits.

That it says what the monitor says is tested with the other engines.
"""

from __future__ import annotations

import pytest

from kmclcheck.cli.judges import MONITOR
from kmclcheck.engines.judging import Judged, OutOfTimeError, TooLargeError
from kmclcheck.engines.symbolic import judge as judge_module
from kmclcheck.engines.symbolic.judge import judge
from kmclcheck.engines.symbolic.solver import Answer, Solver
from kmclcheck.engines.symbolic.trace.facts import Facts
from kmclcheck.engines.symbolic.trace.plan import make_plan
from kmclcheck.engines.symbolic.trace.run import Run
from kmclcheck.model.finding import VerdictKind
from kmclcheck.speclang import bundled_spec
from kmclcheck.traces import read_text
from tests.support.engines import Case, answer, contrast, run
from tests.support.etw_text import open_bytes
from tests.support.write_samples import FOLDER

SPEC = bundled_spec()
RULES = frozenset(SPEC.rules)
PASS, FAIL, OPEN = VerdictKind.PASS, VerdictKind.FAIL, VerdictKind.OPEN


def judged(text: str, seconds: float = 60.0) -> Judged:
    reader = read_text(text)
    return judge(SPEC, RULES, reader.info, reader, seconds)


def verdicts(text: str) -> dict[str, VerdictKind]:
    return {verdict.rule: verdict.kind for verdict in judged(text).verdicts}


MIDLIFE = "%kmtrace 1\n%start midlife\n%end stopped\n%records all\n"
SEND = "call VmbPacketSend tid=4 PacketObject=0x20 Buffer=0x1000 BufferLength=64 ExternalDataMdl=0 Flags=1\n"
UNTOLD = "ret VmbPacketSend tid=4\n"
FAILED = "ret VmbPacketSend tid=4 status=0xc0000001\n"
SENT = "ret VmbPacketSend tid=4 status=0\n"
OPENED = "in EvtVmbChannelOpened tid=8 Channel=0x10\nout EvtVmbChannelOpened tid=8 status=0\n"
CLOSED = "in EvtVmbChannelClosed tid=8 Channel=0x10\nout EvtVmbChannelClosed tid=8\n"
STARTED = "".join(
    f"in {name} tid=8 Channel=0x10\nout {name} tid=8\n"
    for name in ("EvtVmbChannelStarted", "EvtVmbChannelPostStarted")
)
SUSPENDED = "in EvtVmbChannelSuspend tid=8 Channel=0x10\nout EvtVmbChannelSuspend tid=8\n"
COMPLETED = "in EvtVmbPacketCompletionRoutine tid=8 Packet=0x20 Status=0 Buffer=0 BufferLength=0\n"
FREE = "call VmbPacketFree tid=4 VmbPacket=0x20\n"
ALLOCATE = "call VmbChannelAllocate tid=4 ParentDeviceObject=0x1000 IsServer=0\n"
DISABLE = "call VmbChannelDisable tid=4 Channel=0x10\nret VmbChannelDisable tid=4\n"
DISABLING = DISABLE.replace("ret", SUSPENDED + CLOSED + "ret")
CLEANUP = "call VmbChannelCleanup tid=4 Channel=0x10\n"
CONFIGURE = "call VmbChannelInitSetMaximumPacketSize tid=4 Channel=0x10 PacketSize=64\n"
OWN = "call VmbPacketAllocate tid=4 Channel=0x10\nret VmbPacketAllocate tid=4 return=0x20\n"
USE = "call VmbPacketGetPointer tid=4 PacketObject=0x20\n"
SAVING = "call VmbChannelSaveContinue tid=4 Channel=0x10 SaveBufferSize=4096\n"
SAVED = "in EvtVmbChannelSavePacket tid=8 Channel=0x10 Packet=0x20 SaveBufSize=0 BytesNeededValue=0\n"
SHARE = "call VmbChannelCreateGpadlFromBuffer tid=4 Channel=0x10 Flags=0 Buffer=0x1000 ByteCount=4096\n"

RELATED = {
    # With the driver's routine the library has the packet; with its own it may have freed it already: the
    # documents leave that open. Either way the completion is in order.
    "completion": ("lg-completion-exactly-once", SEND + SENT + COMPLETED, PASS),
    # Only with the automatic routine the packet may have been freed, and then the failed send gave it back.
    "free": ("packet-free-when-ready", SEND + FAILED + FREE, PASS),
    # If an Enable overlapped the Disable, the documents leave open which came last; else it is Disabled.
    "cleanup": ("channel-cleanup-disabled", OPENED + STARTED + DISABLING + CLEANUP, PASS),
    "configure": ("init-before-enable", OPENED + STARTED + DISABLING + CONFIGURE, PASS),
    # Sent, it is the library's, or freed where the documents leave that open; else it is the driver's.
    "use": ("packet-no-use-after-free", OWN + SEND + UNTOLD + USE, PASS),
    "save": ("lg-save-packet-window", SEND + SENT + SAVING + SAVED, PASS),
    # A closed client is Disabled and a closed server Enabled; it is one of them.
    "share": ("gpadl-create-when-open", OPENED + CLOSED + SHARE, FAIL),
}


@pytest.mark.parametrize("name", RELATED)
def test_z3_sees_relations_that_the_monitor_does_not(name: str) -> None:
    rule, text, expected = RELATED[name]
    case = Case("related", name, MIDLIFE + text)
    found = contrast(answer(MONITOR, case), answer("z3", case), sharper=True)
    assert found.differences == []
    assert found.decided[rule] == expected.value
    assert verdicts(MIDLIFE + text)[rule] is expected


def test_what_holds_for_a_client_and_for_a_server_needs_no_role() -> None:
    """The role is not known any more after a fault that has to do with it."""
    case = run(1, seed=2)
    found = contrast(answer(MONITOR, case), answer("z3", case), sharper=True)
    assert (found.differences, found.decided) == ([], {"lg-disable-returns-disabled": "pass"})


LINES = """\
{"kmclcheck-trace":1,"start":"known","records":["all"]}
{"name":"VmbChannelAllocate","phase":"call","tid":4,"irql":0,"args":{"IsServer":0}}
{"name":"VmbChannelAllocate","phase":"ret","tid":4,"args":{"Channel":16},"status":0}
{"name":"VmbChannelCleanup","phase":"call","tid":4,"args":{"Channel":16}}
{"name":"VmbChannelCleanup","phase":"ret","tid":4}
{"end":"unloaded","lost_anywhere":%s}
"""


@pytest.mark.parametrize(("lost", "expected"), [("false", PASS), ("true", OPEN)])
def test_a_loss_that_is_told_at_the_end(lost: str, expected: VerdictKind) -> None:
    """What lost events may have changed has not passed; the IRQL of a call is its own all the same."""
    reader = open_bytes((LINES % lost).encode(), "jsonl")
    by_rule = {v.rule: v.kind for v in judge(SPEC, RULES, reader.info, reader, 60.0).verdicts}
    assert by_rule["channel-cleanup-disabled"] is by_rule["channel-cleaned-up"] is expected
    assert by_rule["channel-allocate-at-passive"] is PASS


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("lg-completion-exactly-once", COMPLETED),
        ("packet-free-when-ready", SEND + UNTOLD + FREE),
        ("packet-no-use-after-free", SEND + FREE + USE.replace("0x20", "0x28")),
        ("channel-cleanup-disabled", DISABLE + CLEANUP),
        ("gpadl-create-when-open", SHARE),
    ],
)
def test_what_facts_do_not_settle_stays_open(rule: str, text: str) -> None:
    assert verdicts(MIDLIFE + text)[rule] is OPEN


@pytest.mark.parametrize(
    ("rule", "text", "reason"),
    [
        ("gpadl-create-when-open", SHARE, "the trace starts in mid-life"),
        (
            "packet-free-when-ready",
            SEND + UNTOLD + FREE,
            "no returned status in the trace",
        ),
        ("channel-allocate-at-passive", ALLOCATE, "no IRQL in the trace"),
    ],
)
def test_an_open_verdict_says_what_is_missing(rule: str, text: str, reason: str) -> None:
    by_rule = {verdict.rule: verdict for verdict in judged(MIDLIFE + text).verdicts}
    assert (by_rule[rule].kind, by_rule[rule].reason) == (OPEN, reason)


@pytest.mark.parametrize("name", ["scenario-02-both-endpoints", "scenario-05-save", "wrong-double-complete"])
def test_what_is_known_needs_no_solver(name: str) -> None:
    reader = read_text((FOLDER / f"{name}.kmtrace").read_text(encoding="utf-8"))
    facts = Facts(60.0)
    course = Run(make_plan(SPEC, RULES), reader.info, facts)
    for item in reader:
        course.feed(item)
    course.finish()
    assert facts.questions == 0
    assert any(verdict.kind is PASS for verdict in course.books.verdicts())


def test_without_an_answer_of_the_solver_verdicts_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [MIDLIFE + text for _, text, _ in RELATED.values()]
    before = [verdicts(text) for text in texts]
    monkeypatch.setattr(Solver, "check", lambda *args: Answer.UNKNOWN)
    after = [verdicts(text) for text in texts]
    for one, other in zip(before, after, strict=True):
        assert {kind for rule, kind in other.items() if kind is not one[rule]} <= {OPEN}
    assert after[0]["lg-completion-exactly-once"] is OPEN
    assert after[1]["packet-free-when-ready"] is OPEN


def test_no_more_events_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_module, "EVENTS_MOST", 3)
    assert verdicts(MIDLIFE + SEND + SEND + FREE)["packet-free-when-ready"] is not None
    with pytest.raises(TooLargeError, match="at most 3 events"):
        judged(MIDLIFE + SEND + SEND + FREE + FREE)


def test_no_more_time_than_given() -> None:
    with pytest.raises(OutOfTimeError):
        judged(MIDLIFE + SEND, seconds=0.0)


def test_only_the_rules_asked_for_are_judged() -> None:
    reader = read_text((FOLDER / "wrong-double-complete.kmtrace").read_text(encoding="utf-8"))
    result = judge(SPEC, frozenset({"incoming-complete-once"}), reader.info, reader, 60.0)
    assert [verdict.rule for verdict in result.verdicts] == ["incoming-complete-once"]
    assert [finding.rule for finding in result.findings] == ["incoming-complete-once"]
