"""The judge that asks Z3 gives the verdicts of the monitor, or decides more where facts hang together."""

from __future__ import annotations

import pytest

from kmclcheck.engines.judging import Judged, OutOfTimeError, TooLargeError
from kmclcheck.engines.symbolic import judge as judge_module
from kmclcheck.engines.symbolic.judge import judge
from kmclcheck.engines.symbolic.solver import Answer, Solver
from kmclcheck.engines.symbolic.trace.facts import Facts
from kmclcheck.engines.symbolic.trace.plan import make_plan
from kmclcheck.engines.symbolic.trace.run import Run
from kmclcheck.model.finding import VerdictKind
from kmclcheck.traces import read_text
from tests.support.write_samples import FOLDER
from tests.support.z3_agreement import FAULTY, LESS, Source, compare, run, spec

RULES = frozenset(spec().rules)
PASS, FAIL, OPEN = VerdictKind.PASS, VerdictKind.FAIL, VerdictKind.OPEN

SAMPLES = sorted(path.name for path in FOLDER.glob("*.kmtrace"))

CAPTURED: list[Source] = [
    ("L0 guest", "client-opens", 0),
    ("L1 host", "echo", 1),
    ("L2 guest", "sub-channels", 0),
    ("L3 host", "save-restore", 1),
    ("L4", "deferred-packet", 0),
    ("cut in the setup", "peer-closes", 1),
    ("cut anywhere", "external-data-pending", 1),
    ("cut at both ends", "pause-resume", 0),
    ("stopped", "harness-hafl2", 1),
    ("5 % lost at the guest L0", "comes-back", 0),
    ("0.1 % lost in gaps", "server-offers", 1),
    ("many processors", "harness-hafl1", 0),
    ("clocks alone", "no-callbacks", 0),
    (f"{FAULTY}whole", "incoming-complete-once", 0),
    (f"{FAULTY}cut early", "packet-no-use-after-free", 1),
    (f"{FAULTY}5 % lost", "gpadl-deleted-by-close", 0),
    (f"{FAULTY}L2 host", "no-disable-in-state-callback", 0),
    (f"{FAULTY}L1", "packet-free-when-ready", 0),
]

REDUCED = [
    f"{LESS}{what}"
    for what in ("cut before the object", "entries only", "no thread ids", "no status", "no scalar arguments")
]


def judged(text: str, seconds: float = 60.0) -> Judged:
    reader = read_text(text)
    return judge(spec(), RULES, reader.info, reader, seconds)


def verdicts(text: str) -> dict[str, VerdictKind]:
    return {verdict.rule: verdict.kind for verdict in judged(text).verdicts}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_judged_alike(name: str) -> None:
    row = run(("sample", name, 0))
    assert row.events > 0
    assert (row.differences, row.sharper) == ([], [])


@pytest.mark.parametrize("source", CAPTURED, ids=lambda source: f"{source[1]} {source[0]}")
def test_captures_are_judged_alike(source: Source) -> None:
    row = run(source)
    assert row.events > 0
    assert row.differences == []


@pytest.mark.parametrize("sort", REDUCED)
@pytest.mark.parametrize(
    "name", ["wrong-double-complete", "wrong-gpadl-alive-at-close", "wrong-use-after-automatic-free"]
)
def test_traces_that_show_less_are_judged_alike(sort: str, name: str) -> None:
    row = run((sort, name, 0))
    assert row.open > 0
    assert row.differences == []


@pytest.mark.parametrize("rule", sorted(RULES))
def test_examples_are_judged_alike(rule: str) -> None:
    for number in range(len(spec().rules[rule].examples)):
        row = run(("example", rule, number))
        assert (row.differences, row.sharper) == ([], [])


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
SHARE = "call VmbChannelCreateGpadlFromBuffer tid=4 Channel=0x10 Flags=0 Buffer=0x1000 ByteCount=4096\n"

RELATED = {
    # With the driver's routine the library has the packet; with its own it may have freed it already: the
    # documents leave that open. Either way the completion is in order.
    "completion": ("lg-completion-exactly-once", SEND + SENT + COMPLETED, PASS),
    # Only with the automatic routine the packet may have been freed, and then the failed send gave it back.
    "free": ("packet-free-when-ready", SEND + FAILED + FREE, PASS),
    # If an Enable overlapped the Disable, the documents leave open which came last; else it is Disabled.
    "cleanup": ("channel-cleanup-disabled", OPENED + STARTED + DISABLING + CLEANUP, PASS),
    # A closed client is Disabled and a closed server Enabled; it is one of them.
    "share": ("gpadl-create-when-open", OPENED + CLOSED + SHARE, FAIL),
}


@pytest.mark.parametrize("name", RELATED)
def test_z3_sees_relations_that_the_monitor_does_not(name: str) -> None:
    rule, text, expected = RELATED[name]
    row = compare(name, MIDLIFE + text)
    assert row.differences == []
    assert any(what.startswith(f"{rule}: open ") for what in row.sharper)
    assert verdicts(MIDLIFE + text)[rule] is expected


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("lg-completion-exactly-once", COMPLETED),
        ("packet-free-when-ready", SEND + UNTOLD + FREE),
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
    course = Run(make_plan(spec(), RULES), reader.info, facts)
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
    result = judge(spec(), frozenset({"incoming-complete-once"}), reader.info, reader, 60.0)
    assert [verdict.rule for verdict in result.verdicts] == ["incoming-complete-once"]
    assert [finding.rule for finding in result.findings] == ["incoming-complete-once"]
