"""Returns without thread ids, and handles of several endpoints: what may not be mistaken for what."""

from __future__ import annotations

import pytest

from tests.support.checking import faults

HEAD = "%kmtrace 1\n%start known\n%end unloaded\n%records all\n"
CHANNEL = 0x10


def _channel(where: str = "") -> str:
    return (
        f"call VmbChannelAllocate tid=1 irql=0 IsServer=1 {where}\n"
        f"ret VmbChannelAllocate tid=1 status=0 Channel=0x10 {where}\n"
    )


def test_a_return_belongs_to_a_call_of_its_own_endpoint() -> None:
    # The failed return is the guest's; the host's call is still running and may succeed.
    text = (
        HEAD + _channel("at=host") + _channel("at=guest")
        + "call VmbChannelEnable Channel=0x10 at=host\n"
        "call VmbChannelEnable Channel=0x10 at=guest\n"
        "ret VmbChannelEnable status=0xC0000001 at=guest\n"
        "call VmbChannelStart Channel=0x10 at=host\n"
    )  # fmt: skip
    assert "start-when-enabled" not in {rule for rule, _ in faults(text)}


@pytest.mark.parametrize(("fitting", "found"), [("", False), (" Channel=0x10 Packet=0x31", True)])
def test_a_return_that_fits_two_calls_ends_neither_for_certain(fitting: str, found: bool) -> None:
    # Which delivery returned, if the record does not say? That of 0x31 may still be running.
    text = (
        HEAD + _channel()
        + "in EvtVmbChannelProcessPacket irql=0 Channel=0x10 Packet=0x30\n"
        "in EvtVmbChannelProcessPacket irql=0 Channel=0x10 Packet=0x31\n"
        f"out EvtVmbChannelProcessPacket{fitting}\n"
        "call VmbChannelPacketFail tid=7 PacketCompletionContext=0x31\n"
        "ret VmbChannelPacketFail tid=7\n"
    )  # fmt: skip
    assert (("incoming-fail-inline", 0x31) in faults(text)) is found


def test_as_many_returns_as_calls_end_all_of_them() -> None:
    text = (
        HEAD + _channel()
        + "in EvtVmbChannelProcessPacket irql=0 Channel=0x10 Packet=0x30\n"
        "in EvtVmbChannelProcessPacket irql=0 Channel=0x10 Packet=0x31\n"
        "out EvtVmbChannelProcessPacket\n"
        "out EvtVmbChannelProcessPacket\n"
        "call VmbChannelPacketFail tid=7 PacketCompletionContext=0x31\n"
    )  # fmt: skip
    assert ("incoming-fail-inline", 0x31) in faults(text)


LOST_CALL = (
    "%kmtrace 1\n%records all\n"
    "call VmbPacketInitialize tid=4 Channel=0x10 VmbPacket=0x20 ByteCount=384\n"
    "%lost 1\n"
    "call VmbPacketSetCompletionRoutine tid=4 PacketObject=0x20\n"
    "ret VmbPacketSetCompletionRoutine tid=4\n"
    "call VmbPacketSend tid=4 PacketObject=0x20 Flags=1\n"
    "ret VmbPacketSend tid=4 status=0\n"
    "%lost 1\n"
    "ret VmbPacketInitialize tid=4 status=0 {handle}\n"
    "in EvtVmbPacketCompletionRoutine tid=0xc Packet=0x20 Status=0\n"
)


@pytest.mark.parametrize(
    ("handle", "found"), [("", False), ("VmbPacket=0x30", False), ("VmbPacket=0x20", True)]
)
def test_after_a_loss_a_return_may_be_that_of_a_lost_call(handle: str, found: bool) -> None:
    # Which packet was made anew? If 0x20, it was not sent since, and must not be completed.
    assert (("lg-completion-exactly-once", 0x20) in faults(LOST_CALL.format(handle=handle))) is found
