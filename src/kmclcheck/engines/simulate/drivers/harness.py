"""Drivers that borrow the channel of another driver, to send what that one never would; with faults.

Both follow published test harnesses. What the owner of the channel calls is not in the trace.
"""

from __future__ import annotations

from kmclcheck.engines.simulate.driver import Driver
from kmclcheck.engines.simulate.drivers.common import ChannelDriver
from kmclcheck.engines.simulate.drivers.echo import EchoClient, EchoServer
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.library import Library
from kmclcheck.engines.simulate.objects import Link, Packet


class Unwatched(Library):
    """The library as a driver calls it whose calls are not traced."""

    def __init__(self, watched: Library) -> None:
        vars(self).update(vars(watched))
        self.record = _forget


def _forget(thread: Thread, phase: str, name: str, handles: str, scalars: str = "", result: str = "") -> None:
    pass


class OwnerServer(EchoServer):
    """Answers whatever comes."""

    needs = ("PostStarted",)


class Owner(EchoClient):
    """Opens a channel and has no use for it."""

    def job(self, t: Thread) -> Task:
        while not (self.lost or self.leaving):
            yield self.wake


class Harness(Driver):
    """Sends through a channel that belongs to ``owner``, so many requests."""

    def __init__(self, lib: Library, owner: ChannelDriver, requests: int = 4) -> None:
        super().__init__(lib)
        self.owner = owner
        self.requests = requests

    def main(self, t: Thread) -> Task:
        while not self.owner.gate:
            yield self.owner.wake
        for _ in range(self.requests):
            assert self.owner.channel is not None
            packet = yield from self.lib.allocate_packet(t, self.owner.channel)
            yield from self.abuse(t, packet)
            yield self.kernel.random() * 20_000

    def abuse(self, t: Thread, packet: Packet) -> Task:
        """Do what the driver is for."""
        raise NotImplementedError


class GuestHarness(Harness):
    """Allocates a packet for every synchronous request, and neither sends nor frees it."""

    def abuse(self, t: Thread, packet: Packet) -> Task:
        mdl = 0xFFFFBC8070008000
        yield from self.lib.synchronous(t, packet.channel, mdl=mdl, room=0x1000)


class HostHarness(Harness):
    """Allocates a packet and hands it on as if it had been received."""

    def abuse(self, t: Thread, packet: Packet) -> Task:
        yield from self.lib.simple(
            t, "VmbChannelPacketComplete", f" PacketCompletionContext{packet.handle}",
            " PacketCompletionBuffer=0x0 BufSize=0",
        )  # fmt: skip


def owners(host: Library, guest: Library, link: Link) -> tuple[OwnerServer, Owner]:
    """Return the two drivers whose channel is borrowed."""
    return OwnerServer(Unwatched(host), link), Owner(Unwatched(guest), link)
