"""A loss that the trace tells of only at its end."""

from __future__ import annotations

import pytest

from kmclcheck.engines.monitor import Options
from kmclcheck.engines.replay import Checker
from kmclcheck.model.finding import TraceResult, VerdictKind
from kmclcheck.speclang import bundled_spec
from tests.support.etw_text import open_bytes

SPEC = bundled_spec()
CALLS = [
    '{"name":"VmbChannelAllocate","phase":"call","tid":4,"irql":0,"args":{"IsServer":0}}',
    '{"name":"VmbChannelAllocate","phase":"ret","tid":4,"args":{"Channel":16},"status":0}',
    '{"name":"VmbChannelInitSetMaximumPacketSize","phase":"call","tid":4,"args":{"Channel":16,"PacketSize":%d}}',
    '{"name":"VmbChannelInitSetMaximumPacketSize","phase":"ret","tid":4,"status":0}',
    '{"name":"VmbChannelCleanup","phase":"call","tid":4,"args":{"Channel":16}}',
    '{"name":"VmbChannelCleanup","phase":"ret","tid":4}',
]


def _checked(size: int, lost: bool) -> TraceResult:
    head = '{"kmclcheck-trace":1,"start":"known","records":["all"]}'
    end = '{"end":"unloaded","lost_anywhere":%s}' % ("true" if lost else "false")
    text = "\n".join([head, *CALLS, end]).replace("%d", str(size))
    return Checker(SPEC, Options(slice_budget=0.0)).check(open_bytes(text.encode(), "jsonl"))


@pytest.mark.parametrize("lost", [False, True])
def test_what_a_loss_may_have_changed_is_not_passed(lost: bool) -> None:
    verdicts = {v.rule: v for v in _checked(1, lost).verdicts}
    for rule in ("channel-cleanup-disabled", "channel-cleaned-up", "init-before-enable"):
        assert verdicts[rule].kind is (VerdictKind.OPEN if lost else VerdictKind.PASS), rule
        assert verdicts[rule].decided == (0 if lost else 1)
    # The values of a call are its own, whatever is missing.
    for rule in ("channel-allocate-at-passive", "max-packet-size-nonzero"):
        assert verdicts[rule].kind is VerdictKind.PASS, rule


def test_a_fault_that_a_record_shows_by_itself_stays() -> None:
    result = _checked(0, True)
    assert [f.rule for f in result.findings] == ["max-packet-size-nonzero"]
    verdicts = {v.rule: v.kind for v in result.verdicts}
    assert verdicts["max-packet-size-nonzero"] is VerdictKind.FAIL
    assert verdicts["channel-cleaned-up"] is VerdictKind.OPEN
