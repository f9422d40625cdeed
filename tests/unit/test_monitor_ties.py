"""Records of several CPUs that are too close in time to have an order."""

from __future__ import annotations

import pytest

from tests.support.checking import faults, result_of

HEAD = (
    "%kmtrace 1\n%start known\n%end unloaded\n%records all\n%clock resolution=1ns skew=3us\n"
    "- 100 1 4.4 0 call VmbChannelAllocate IsServer=0\n"
    "- 200 1 4.4 0 ret VmbChannelAllocate Channel=0x10 status=0\n"
    "- 300 1 4.4 0 call VmbChannelEnable Channel=0x10\n"
    "- 400 1 4.4 0 ret VmbChannelEnable status=0\n"
)


def _pair(time: int, cpu: int, tid: int, phase: str, name: str, args: str = "Channel=0x10") -> str:
    exit_ = "ret" if phase == "call" else "out"
    status = " status=0" if name == "EvtVmbChannelOpened" else ""
    who = f"{cpu} 4.{tid:x} 0"
    return f"- {time} {who} {phase} {name} {args}\n- {time + 50} {who} {exit_} {name}{status}\n"


GOING = _pair(90_000, 2, 4, "call", "VmbChannelDisable") + _pair(91_000, 2, 4, "call", "VmbChannelCleanup")


def test_a_callback_that_seems_to_come_after_the_cleanup() -> None:
    # Closed came during the Disable on another processor, whose clock is ahead.
    text = HEAD + _pair(5000, 1, 8, "in", "EvtVmbChannelOpened") + GOING
    closed = _pair(91_060, 1, 8, "in", "EvtVmbChannelClosed")
    assert not faults(text + closed)


def test_a_callback_that_does_come_after_the_cleanup() -> None:
    text = HEAD + _pair(5000, 1, 8, "in", "EvtVmbChannelOpened") + GOING
    closed = _pair(95_000, 1, 8, "in", "EvtVmbChannelClosed")
    assert ("lg-no-callback-while-disabled", 0x10) in faults(text + closed)


RUNNING = "".join(
    _pair(time, 1, 8, "in", name)
    for time, name in (
        (5000, "EvtVmbChannelOpened"), (5200, "EvtVmbChannelStarted"), (5400, "EvtVmbChannelPostStarted"),
    )
)  # fmt: skip
PACKET = "Channel=0x10 Packet=0x900"
COMPLETION = "PacketCompletionContext=0x900"


@pytest.mark.parametrize(("gap", "found"), [(2000, False), (9000, True)])
def test_a_handle_that_came_back_within_the_window(gap: int, found: bool) -> None:
    # 0x900 may have been completed before it was delivered again, or be completed twice now.
    text = (
        HEAD + RUNNING + _pair(36_000, 2, 12, "in", "EvtVmbChannelProcessPacket", PACKET)
        + _pair(45_000, 1, 8, "in", "EvtVmbChannelProcessPacket", PACKET)
        + _pair(45_000 + gap, 2, 12, "call", "VmbChannelPacketComplete", COMPLETION)
        + _pair(66_000, 2, 12, "call", "VmbChannelPacketComplete", COMPLETION)
    ).replace("%end unloaded", "%end stopped")  # fmt: skip
    assert (("incoming-complete-once", 0x900) in faults(text)) is found


def test_what_happens_to_another_channel_at_the_time_does_not_matter() -> None:
    other = (
        "- 500 2 4.c 0 call VmbChannelAllocate IsServer=0\n"
        "- 600 2 4.c 0 ret VmbChannelAllocate Channel=0x20 status=0\n"
        "- 700 1 4.4 0 call VmbChannelEnable Channel=0x10\n"
    )
    found = {rule for rule, handle in faults(HEAD + other) if handle == 0x10}
    assert "enable-when-disabled" in found


def test_a_fault_of_one_record_alone_needs_no_order() -> None:
    # An allocation at DISPATCH_LEVEL, in the middle of that of another processor.
    start = HEAD.index("- 200 ")
    raised = "- 150 2 4.c 2 call VmbChannelAllocate IsServer=0\n"
    text = HEAD[:start] + raised + HEAD[start:]
    assert {rule for rule, _ in faults(text)} & {"channel-allocate-at-passive"}


def test_numbers_tell_the_order_whatever_the_clocks_say() -> None:
    lines = (HEAD + GOING).splitlines(True)
    text = "".join(lines[:5]) + "".join(f"{n} {line[2:]}" for n, line in enumerate(lines[5:], 1))
    late = f"{len(lines) - 4} 91060 1 4.8 0 call VmbChannelEnable Channel=0x10\n"
    assert ("channel-no-use-after-cleanup", 0x10) in faults(text + late)
    assert not [v for v in result_of(text).verdicts if "too close in time" in v.reason]
