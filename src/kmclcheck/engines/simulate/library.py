"""The simulated library at one endpoint."""

from __future__ import annotations

from kmclcheck.engines.simulate.channels import ChannelCalls
from kmclcheck.engines.simulate.gpadls import GpadlCalls
from kmclcheck.engines.simulate.packets import PacketCalls
from kmclcheck.engines.simulate.receive import ReceiveCalls
from kmclcheck.engines.simulate.saving import SaveCalls


class Library(ReceiveCalls, PacketCalls, ChannelCalls, GpadlCalls, SaveCalls):
    """All functions a driver can call, as generators that log their call and return."""
