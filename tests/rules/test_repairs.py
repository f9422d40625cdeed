"""Repairs of the bundled specification: they make sense, and the traces that they write break no rule."""

from __future__ import annotations

import re
from functools import cache

import pytest

from kmclcheck.cli.repairs import as_trace
from kmclcheck.engines.monitor import Options
from kmclcheck.engines.repair import ChangeKind, Mark, Repair, Standing
from kmclcheck.engines.replay import check
from kmclcheck.model.finding import TraceResult
from kmclcheck.model.spec import Party, Profile
from kmclcheck.speclang import bundled_spec
from kmclcheck.traces import read_text
from tests.support.repair_table import example_readers, repairer, repairs
from tests.support.write_samples import FOLDER

SPEC = bundled_spec()
CORE = frozenset(rule.id for rule in SPEC.rules.values() if rule.profile is Profile.CORE)
REPAIRER = repairer(SPEC)

# Beside each stands what the fix of its rule asks for, in short.
SAMPLES = {
    "allocate-at-dispatch": "call VmbChannelAllocate at IRQL 0 instead of 2",  # from code at PASSIVE_LEVEL
    "cleanup-while-enabled": "insert VmbChannelDisable before VmbChannelCleanup",  # disable first
    "simulated-cleanup-open": "insert VmbChannelDisable before VmbChannelCleanup",  # disable first
    "complete-after-defer": "delete VmbChannelPacketComplete",  # return right after deferring
    "disable-in-closed": "move VmbChannelDisable after EvtVmbChannelClosed",  # from a work item
    "double-complete": "delete VmbChannelPacketComplete",  # one owner of the completion
    "enable-in-closed": "move VmbChannelEnable after EvtVmbChannelClosed",
    "gpadl-alive-at-close": "insert VmbChannelDeleteGpadl into EvtVmbChannelClosed, before it returns",
    "initialized-without-routine": "insert VmbPacketSetCompletionRoutine before VmbPacketSend",
    "mapped-twice": "move VmbChannelUnmapGpadl before VmbChannelMapGpadl",  # unmap before mapping again
    "never-completed-paused": "insert VmbChannelPacketComplete before VmbChannelPause",
    "oversized-send": "change BufferLength from 4104 to 4096 in VmbPacketSend",
    "pause-in-delivery": "move VmbChannelPause after EvtVmbChannelProcessPacket",  # from a work item
    "restore-unfinished": "insert VmbChannelRestoreFromBuffer before VmbChannelStart",  # the next chunk
    "send-in-flight": "move VmbPacketSend after EvtVmbPacketCompletionRoutine",  # wait for the routine
    "start-before-enable": "move VmbChannelStart after VmbChannelEnable",
    "start-in-opened": "move VmbChannelStart after EvtVmbChannelOpened",  # after the callback returned
    "sync-at-dispatch": "call VmbChannelSendSynchronousRequest at IRQL 0 instead of 2",
    "sync-in-started": "move VmbChannelSendSynchronousRequest after EvtVmbChannelStarted",
}

# Rules, and the repairs of their failing examples.
EXAMPLES = {
    "channel-no-use-after-cleanup": [
        "move VmbChannelSetPointer before VmbChannelCleanup",
        "move VmbChannelCleanup after VmbPacketAllocate",
    ],
    "init-before-enable": [
        "move VmbChannelInitSetClientContextSize before VmbChannelEnable",
        "move VmbChannelInitSetFriendlyName before VmbChannelEnable",
    ],
    "client-reenable-after-close": [
        "insert VmbChannelEnable before VmbChannelCreateGpadlFromMdl and wait for EvtVmbChannelOpened",
        "insert VmbChannelEnable before VmbChannelSetInterruptLatency and wait for EvtVmbChannelOpened",
    ],
    "incoming-fail-inline": ["move VmbChannelPacketFail into EvtVmbChannelProcessPacket, before it returns"],
    "max-packet-size-nonzero": ["change PacketSize from 0 to 1 in VmbChannelInitSetMaximumPacketSize"],
    "packet-free-when-ready": ["move VmbPacketFree after the next EvtVmbPacketCompletionRoutine"],
    "packet-no-send-while-suspended": [
        "move VmbPacketSend after the next EvtVmbChannelClosed",
        "move VmbPacketSend before EvtVmbChannelSuspend returns",
    ],
    "save-continue-after-begin": 2 * ["insert VmbChannelSaveBegin before VmbChannelSaveContinue"],
    "sync-completion-size-aligned": [
        "change CompletionBufferSizeValue from 20 to 24 in VmbChannelSendSynchronousRequest"
    ],
}


def _text(repair: Repair) -> str:
    """Return the summary without line numbers."""
    return re.sub(r" \(line \d+\)", "", repair.summary)


@cache
def _of_sample(name: str) -> tuple[Repair, ...]:
    return tuple(repairs(REPAIRER, read_text((FOLDER / f"wrong-{name}.kmtrace").read_text(encoding="utf-8"))))


def _judged(repair: Repair) -> TraceResult:
    """Check the written slice from scratch."""
    return check(SPEC, Options(rules=CORE, slice_budget=0.0), read_text(as_trace(repair)))


def _assert_conforms(repair: Repair) -> None:
    result = _judged(repair)
    assert [finding.rule for finding in result.findings] == []
    assert result.problems == []
    assert result.lost == 0
    assert result.events == len(repair.records)


def _assert_is_the_drivers(repair: Repair) -> None:
    """Nothing that the library did was taken away or moved, unless inside a call of the driver's."""
    gone = [line.event for line in repair.lines if line.mark in (Mark.DELETED, Mark.MOVED_FROM)]
    for event in gone:
        inside = any(e.tid == event.tid and not SPEC.events[e.name].callback for e in gone)
        is_answer = any(c.kind is ChangeKind.ARGUMENT and c.call == event.name for c in repair.changes)
        assert not SPEC.events[event.name].callback or inside or is_answer


@pytest.mark.parametrize("name", SAMPLES)
def test_repair_of_a_sample(name: str) -> None:
    (repair,) = _of_sample(name)
    assert _text(repair) == SAMPLES[name]
    _assert_conforms(repair)
    _assert_is_the_drivers(repair)


@pytest.mark.parametrize("rule", EXAMPLES)
def test_repairs_of_the_examples_of_a_rule(rule: str) -> None:
    found = [repair for reader in example_readers(SPEC.rules[rule]) for repair in repairs(REPAIRER, reader)]
    assert [_text(repair) for repair in found] == EXAMPLES[rule]
    for repair in found:
        _assert_conforms(repair)
        _assert_is_the_drivers(repair)


def test_every_driver_rule_has_an_example_with_a_repair() -> None:
    missing = []
    for rule in SPEC.rules.values():
        if rule.party is not Party.DRIVER or rule.id in EXAMPLES or rule.profile is not Profile.CORE:
            continue
        first = next(example_readers(rule))
        for repair in repairs(REPAIRER, first):
            assert repair.finding.rule == rule.id
            if not repair.found:
                missing.append(rule.id)
                continue
            _assert_conforms(repair)
            _assert_is_the_drivers(repair)
    assert missing == []


def test_what_comes_later_is_repaired_together_with_what_came_before() -> None:
    first, second = _of_sample("two-faults-far-apart")
    assert len(first.changes) == 1
    assert second.changes[0] == first.changes[0]
    assert second.changes[1].text.startswith("insert VmbChannelDisable before VmbChannelCleanup")
    _assert_conforms(second)


@pytest.mark.parametrize("name", ["library-completes-twice", "library-delivers-after-suspend"])
def test_the_library_is_not_mended_by_the_driver(name: str) -> None:
    (repair,) = _of_sample(name)
    assert SPEC.rules[repair.finding.rule].party is Party.LIBRARY
    assert (repair.standing, repair.changes, repair.records) == (Standing.LIBRARY, (), ())


def test_a_return_is_there_before_what_it_waits_for() -> None:
    (repair,) = _of_sample("simulated-cleanup-open")
    added = [line.event for line in repair.lines if line.mark is Mark.INSERTED]
    names = [f"{e.name}.{e.phase.value}" for e in added]
    # An open channel is suspended and closed before Disable returns.
    assert names == [
        "VmbChannelDisable.call",
        "EvtVmbChannelSuspend.in", "EvtVmbChannelSuspend.out",
        "EvtVmbChannelClosed.in", "EvtVmbChannelClosed.out",
        "VmbChannelDisable.ret",
    ]  # fmt: skip
    driver, library = {e.tid for e in (added[0], added[-1])}, {e.tid for e in added[1:-1]}
    assert len(driver) == len(library) == 1
    assert driver != library


ENABLED_AT_THE_END = """%kmtrace 1
%start known
%end unloaded
%records all
call VmbChannelAllocate tid=4 irql=0 ParentDeviceObject=0x1000 IsServer=0
ret VmbChannelAllocate tid=4 Channel=0x10 status=0
call VmbChannelEnable tid=4 irql=0 Channel=0x10
ret VmbChannelEnable tid=4 status=0
"""


def test_two_changes_only_where_one_does_not_do() -> None:
    """Every single call at every place, and every single deletion, leaves the channel behind."""
    (repair,) = repairs(REPAIRER, read_text(ENABLED_AT_THE_END))
    assert (
        _text(repair)
        == "insert VmbChannelCleanup at the end; insert VmbChannelDisable before VmbChannelCleanup"
    )
    _assert_conforms(repair)
    text = ENABLED_AT_THE_END
    lines = text.splitlines()
    calls = lines[4:]
    tried = 0
    for decl in SPEC.events.values():
        if decl.callback or decl.record or set(decl.objects) != {"channel"}:
            continue
        status = " status=0" if decl.returns == "NTSTATUS" else ""
        channel = decl.objects["channel"]
        handle = f" {channel}=0x10" if channel in {p.name for p in decl.params} else ""
        pair = [f"call {decl.name} tid=4 irql=0{handle}", f"ret {decl.name} tid=4{status}"]
        for place in (0, 2, 4):
            single = lines[:4] + calls[:place] + pair + calls[place:]
            result = check(SPEC, Options(rules=CORE, slice_budget=0.0), read_text("\n".join(single) + "\n"))
            assert result.findings, f"{decl.name} at {place} mends it alone"
            tried += 1
    assert tried > 60
    # Without Allocate the channel is nobody's; without Enable it is left behind all the same.
    single = lines[:4] + calls[:2]
    result = check(SPEC, Options(rules=CORE, slice_budget=0.0), read_text("\n".join(single) + "\n"))
    assert [finding.rule for finding in result.findings] == ["channel-cleaned-up"]


def test_no_time_is_no_answer() -> None:
    text = (FOLDER / "wrong-cleanup-while-enabled.kmtrace").read_text(encoding="utf-8")
    (repair,) = repairs(REPAIRER, read_text(text), seconds=0.0)
    assert repair.standing is Standing.TIME
    assert "no repair found in 0 s" in repair.summary
