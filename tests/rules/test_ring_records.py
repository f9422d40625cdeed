"""Rules on ring records: without coverage nothing is decided, and the reason says what is missing."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from kmclcheck.engines.monitor import Monitor, Options, store
from kmclcheck.model.event import End, Event, Loss, Phase, Start, TraceInfo
from kmclcheck.model.finding import Verdict, VerdictKind
from kmclcheck.semantics.index import build_index
from kmclcheck.speclang import bundled_spec
from kmclcheck.traces.etw import EtwReader, Record
from kmclcheck.traces.etw.builtin import builtin_mapping
from tests.support.checking import faults, result_of

HAS_REQUEST, HAS_FETCH = "etw-completion-has-request", "etw-put-completion-has-fetch"
CORE = (HAS_REQUEST, HAS_FETCH)
BOTH = "%records all EtwPacketFetched EtwPacketPut"
RING = "Ring=1 Channel=0"


def fetched(id_: int, completion: int, ring: str = RING) -> str:
    return f"whole EtwPacketFetched {ring} TransactionId={id_} IsCompletionPacket={completion}"


def put(id_: int, completion: int, ring: str = RING) -> str:
    return f"whole EtwPacketPut {ring} TransactionId={id_} IsCompletionPacket={completion}"


def trace(*lines: str, records: str = BOTH, start: str = "known", end: str = "unloaded") -> str:
    return "\n".join(["%kmtrace 1", f"%start {start}", f"%end {end}", records, *lines]) + "\n"


def judged(text: str) -> dict[str, Verdict]:
    result = result_of(text)
    assert result.problems == []
    return {v.rule: v for v in result.verdicts if v.rule in CORE}


GOOD = (put(7, 0), fetched(7, 1), fetched(9, 0), put(9, 1))
BAD = (fetched(7, 1), put(9, 1))
"""Answers without questions, in both directions: with coverage each breaks its rule."""


def test_with_coverage_both_rules_are_decided() -> None:
    assert {v.kind for v in judged(trace(*GOOD)).values()} == {VerdictKind.PASS}
    assert {v.kind for v in judged(trace(*BAD)).values()} == {VerdictKind.FAIL}
    assert faults(trace(*BAD)) == {(HAS_REQUEST, 7), (HAS_FETCH, 9)}


ALL_SLOTS = "Opened=1 Closed={closed} Suspend=1 Started=1 PostStarted=1"
CLIENT = f"""call VmbChannelAllocate tid=4 irql=0 ParentDeviceObject=0x1000 IsServer=0
ret VmbChannelAllocate tid=4 Channel=0x10 status=0
call VmbChannelInitSetStateChangeCallbacks tid=4 Channel=0x10 {ALL_SLOTS}
ret VmbChannelInitSetStateChangeCallbacks tid=4 status=0
call VmbChannelEnable tid=4 Channel=0x10
ret VmbChannelEnable tid=4 status=0
in EvtVmbChannelOpened tid=8 irql=0 Channel=0x10
out EvtVmbChannelOpened tid=8 status=0"""
OPEN = CLIENT.format(closed=1)
CLOSE = "in EvtVmbChannelClosed tid=8 irql=0 Channel=0x10\nout EvtVmbChannelClosed tid=8"
SAVE = "call VmbChannelSaveBegin tid=4 Channel=0x20\nret VmbChannelSaveBegin tid=4 status=0"
RESTORE = "call VmbChannelRestoreFromBuffer tid=4 Channel=0x20"


def uncovered() -> dict[str, tuple[str, str, str]]:
    """Return traces that lack coverage, with the reasons for both rules."""
    v0 = tuple(line.replace(" Channel=0", "") for line in BAD)
    send = "EtwPacketPut is not declared as recorded (keyword Normal_Send_Event)"
    receive = "EtwPacketFetched is not declared as recorded (keyword Normal_Receive_Event)"
    closed = "EvtVmbChannelClosed came in between, perhaps for this ring"
    lost = "events were lost (the trace says so)"
    mid, key, silent = (
        "the trace starts in mid-life",
        "no Channel argument in the trace",
        "perhaps for this ring",
    )
    return {
        "nothing declared": (trace(*BAD, records="# nothing"), receive, receive),
        "calls and callbacks alone": (trace(*BAD, records="%records all"), receive, receive),
        "no send keyword": (trace(*BAD, records="%records all EtwPacketFetched"), send, send),
        "no receive keyword": (trace(*BAD, records="%records all EtwPacketPut"), receive, receive),
        "excluded": (trace(*BAD, records=BOTH + " -EtwPacketPut"), send, send),
        "mid-life": (trace(*BAD, start="midlife"), mid, mid),
        "lost first": (trace("%lost 1", *BAD), lost, lost),
        "lost between": (trace(*GOOD, "%lost 1", *BAD), lost, lost),
        "lost last": (trace(*BAD, "%lost"), lost, lost),
        "lost anywhere": (trace(*BAD, "%lost anywhere"), lost, lost),
        "version 0": (trace(*v0), key, key),
        "reopened": (trace(OPEN, *GOOD, CLOSE, *BAD), closed, closed),
        "saved": (trace(*GOOD, SAVE, *BAD), f"VmbChannelSaveBegin came in between, {silent}", ""),
        "restored before": (trace(RESTORE, *BAD), f"VmbChannelRestoreFromBuffer came before, {silent}", ""),
        "closes do not show": (
            trace(CLIENT.format(closed=0), *BAD),
            f"VmbChannelEnable came before, {silent}",
            "",
        ),
        "closes are not recorded": (
            trace(*GOOD, *BAD, records="%records EtwPacketFetched EtwPacketPut"),
            "not everything is recorded",
            "",
        ),
        "capture was stopped": (
            trace(*BAD, end="stopped"),
            "the end of the trace does not say that the obligation was due",
            "",
        ),
        "no id": (
            trace(*BAD, "whole EtwPacketPut Ring=1 IsCompletionPacket=0"),
            "a record does not name its transaction",
            "",
        ),
        "no kind": (
            trace(*(line.replace(" IsCompletionPacket=1", "") for line in BAD)),
            "no IsCompletionPacket argument in the trace",
            "",
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", uncovered())
def test_without_coverage_the_verdict_is_open_and_says_why(name: str) -> None:
    text, *reasons = uncovered()[name]
    result = result_of(text)
    assert [f.rule for f in result.findings if f.rule in CORE] == []
    verdicts = judged(text)
    for rule, reason in zip(CORE, reasons, strict=True):
        assert (verdicts[rule].kind, verdicts[rule].reason) == (VerdictKind.OPEN, reason or reasons[0]), rule


def test_a_close_that_nothing_follows_is_the_end_of_the_cycle() -> None:
    assert faults(trace(OPEN, *BAD, CLOSE)) >= {(HAS_REQUEST, 7), (HAS_FETCH, 9)}
    # A ring that was not seen before it may be opened for the first time.
    assert faults(trace(OPEN, CLOSE, *BAD)) >= {(HAS_REQUEST, 7), (HAS_FETCH, 9)}


def test_a_keyword_that_shows_late_was_not_on_before() -> None:
    # The send keyword was turned on after the question: nothing says that it was on all the time.
    late = trace(fetched(3, 1), put(7, 0), fetched(8, 1), put(9, 1), fetched(7, 1), records="%records all")
    assert {v.kind for v in judged(late).values()} == {VerdictKind.OPEN}


def test_a_ring_is_no_handle() -> None:
    text = trace(put(1, 0, "Ring=0x10 Channel=0"), "call VmbChannelEnable tid=4 Channel=0x10")
    assert faults(text) == set()


def test_the_local_rule_needs_no_coverage() -> None:
    line = "whole EtwFetchRoundEnded Ring=1 PacketFetched=3 MaximumFetchAllowed=2"
    text = trace("%lost 1", line, records="# nothing", start="midlife", end="stopped")
    assert faults(text) == {("etw-fetched-within-max", 1)}


def test_order_does_not_matter_where_clocks_do_not_tell() -> None:
    def at(cpu: int, line: str) -> str:
        return f"{line} cpu={cpu} time=100"

    good = (at(0, fetched(7, 1)), at(1, put(7, 0)), at(1, put(9, 1)), at(0, fetched(9, 0)))
    clock = "%clock resolution=1us skew=1us"
    assert {v.kind for v in judged(trace(clock, *good)).values()} == {VerdictKind.PASS}
    assert {v.kind for v in judged(trace(clock, *(at(i, b) for i, b in enumerate(BAD)))).values()} == {
        VerdictKind.FAIL
    }


# Any part of a conforming trace.


def conforming(rng: random.Random) -> list[str]:
    """Return records of rings on which nothing is wrong, in an order the log may give them."""
    lines: list[tuple[float, str]] = []
    for ring in range(1, rng.randrange(2, 4)):
        key = f"Ring={ring} Channel={ring}"
        now = 0.0
        for _ in range(rng.randrange(1, 15)):
            now += 1
            id_ = rng.choice((0, 1, 1, 2, 3, 4))
            if rng.random() < 0.5:
                attempts = rng.choice((1, 1, 1, 2, 3))
                lines += [(now + rng.random(), put(id_, 0, key)) for _ in range(attempts)]
                if id_ and rng.random() < 0.8:
                    lines.append((now + rng.random() * 3, fetched(id_, 1, key)))
            else:
                lines.append((now + rng.random(), fetched(id_, 0, key)))
                for _ in range(rng.choice((0, 1, 1, 2))):
                    lines.append((now + rng.random() * 3, put(id_, 1, key)))
    return [line for _, line in sorted(lines)]


def _lossy(lines: list[str], rng: random.Random, marked: bool) -> list[str]:
    gone = {i for i in range(len(lines)) if rng.random() < rng.choice((0.05, 0.3, 0.7))}
    if marked:
        return [("%lost 1" if i in gone else line) for i, line in enumerate(lines)]
    # Numbers without those that were lost; the outermost stay, for beyond them no gap would show.
    gone -= {0, len(lines) - 1}
    return [f"{line} seq={i}" for i, line in enumerate(lines) if i not in gone]


REDUCTIONS: dict[str, Callable[[list[str], random.Random], str]] = {
    "whole": lambda lines, rng: trace(*lines),
    "front cut": lambda lines, rng: trace(*lines[rng.randrange(len(lines)) :], start="midlife"),
    "lost, marked": lambda lines, rng: trace(*_lossy(lines, rng, True)),
    "lost, numbered": lambda lines, rng: trace(*_lossy(lines, rng, False)),
    "stopped": lambda lines, rng: trace(*lines[: rng.randrange(len(lines))], end="stopped"),
    "receive keyword": lambda lines, rng: trace(
        *(line for line in lines if "Put" not in line), records="%records all EtwPacketFetched"
    ),
    "send keyword": lambda lines, rng: trace(
        *(line for line in lines if "Fetched" not in line), records="%records all EtwPacketPut"
    ),
    "keywords on late": lambda lines, rng: trace(
        *lines[rng.randrange(len(lines)) :], records="%records all"
    ),
    "one key": lambda lines, rng: trace(
        *(line.replace("Ring=2 Channel=2", "Ring=1").replace(" Channel=1", "") for line in lines)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REDUCTIONS)
def test_no_part_of_a_conforming_trace_gives_a_finding(name: str) -> None:
    for seed in range(60):
        rng = random.Random(f"{name}/{seed}")
        lines = conforming(rng)
        text = REDUCTIONS[name](lines, rng)
        assert faults(text) == set(), text
        if name == "whole":
            assert VerdictKind.OPEN not in {v.kind for v in judged(text).values()}, text


# Windows events: a driver's load tells nothing about rings.

PROVIDER = "16d90d71-caca-5cd9-a618-8210d93015f3"


def record(id_: int, transaction: int, completion: int) -> Record:
    key: dict[str, int | str] = {"VmId": "{a}", "InstanceId": "{b}", "Channel": 0}
    return Record(
        "", PROVIDER, "", {**key, "TransactionId": transaction, "IsCompletionPacket": completion}, id=id_
    )


def shim(name: str, **fields: int | str) -> Record:
    return Record("KmclTrace.echo", "", name, fields)


def read(*records: Record) -> tuple[TraceInfo, list[Event | Loss]]:
    reader = EtwReader(TraceInfo(), builtin_mapping(), iter(records), lambda: 0)
    return reader.info, list(reader)


def test_ring_records_are_no_driver() -> None:
    info, items = read(
        record(2, 1, 0), shim("DriverLoaded"), record(1, 1, 1),
        shim("VmbChannelStart.call", Seq=1, Channel=16), record(1, 2, 1),
        shim("DriverUnloaded"), record(1, 2, 1),
    )  # fmt: skip
    assert [type(item) for item in items] == [Event] * 5
    assert (info.start, info.start_of, info.end) == (Start.KNOWN, frozenset({"echo"}), End.UNLOADED)


def test_only_the_start_of_the_driver_is_known() -> None:
    info, items = read(shim("DriverLoaded"), record(1, 1, 1), record(2, 2, 1), shim("DriverUnloaded"))
    info.records |= {("EtwPacketFetched", Phase.WHOLE), ("EtwPacketPut", Phase.WHOLE)}
    spec = bundled_spec()
    index = build_index(spec, Options().enabled(spec))
    for start_of, kind in ((info.start_of, VerdictKind.OPEN), (None, VerdictKind.FAIL)):
        info.start_of = start_of
        monitor = Monitor(spec, index, info)
        for item in items:
            assert isinstance(item, Event)
            monitor.feed(item)
        monitor.finish()
        verdicts = {v.rule: v for v in monitor.ledger.verdicts()}
        assert {verdicts[rule].kind for rule in CORE} == {kind}
    reason = "the trace does not tell that it starts before this transaction"
    info.start_of = frozenset({"echo"})
    monitor = Monitor(spec, index, info)
    for item in items:
        assert isinstance(item, Event)
        monitor.feed(item)
    monitor.finish()
    assert {v.reason for v in monitor.ledger.verdicts() if v.rule in CORE} == {reason}


# Memory.


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    import kmclcheck.engines.monitor.ending as ending

    monkeypatch.setattr(store, "TOLD_REMEMBERED", 8)
    monkeypatch.setattr(ending, "TOLD_REMEMBERED", 8)


@pytest.mark.usefixtures("small")
def test_many_transactions_are_judged_and_dropped() -> None:
    lines = [
        line for id_ in range(1, 101) for line in (put(id_, 0), fetched(id_, 1), fetched(id_, 0), put(id_, 1))
    ]
    assert {v.kind for v in judged(trace(*lines)).values()} == {VerdictKind.PASS}
    # What is wrong is kept, and found whatever came after it.
    bad = trace(fetched(500, 1), put(501, 1), *lines)
    assert faults(bad) == {(HAS_REQUEST, 500), (HAS_FETCH, 501)}


@pytest.mark.usefixtures("small")
def test_a_dropped_transaction_that_comes_back_is_not_known() -> None:
    lines = [line for id_ in range(1, 101) for line in (put(id_, 0), fetched(id_, 0))]
    verdicts = judged(trace(*lines, fetched(1, 1), put(1, 1)))
    assert {v.kind for v in verdicts.values()} == {VerdictKind.OPEN}


@pytest.mark.usefixtures("small")
def test_after_a_loss_dropped_transactions_are_not_known_either() -> None:
    lines = [line for id_ in range(1, 101) for line in (fetched(id_, 0), put(id_, 1))]
    assert judged(trace(*lines))[HAS_FETCH].kind is VerdictKind.PASS
    assert judged(trace(*lines, "%lost 1"))[HAS_FETCH].kind is VerdictKind.OPEN


@pytest.mark.usefixtures("small")
def test_at_last_it_is_not_even_remembered_who_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BYGONE_REMEMBERED", 16)
    lines = [line for id_ in range(1, 101) for line in (put(id_, 0), fetched(id_, 1))]
    verdict = judged(trace(*lines, fetched(1, 1)))[HAS_REQUEST]
    assert verdict.kind is VerdictKind.OPEN
    assert verdict.reason == "there are more objects transaction than are remembered"
