"""Packets as drivers send and answer them, in all the ways there are."""

from __future__ import annotations

from functools import partial

from kmclcheck.engines.simulate.drivers.common import ChannelDriver
from kmclcheck.engines.simulate.kernel import PASSIVE, Task, Thread
from kmclcheck.engines.simulate.library import Library
from kmclcheck.engines.simulate.objects import Channel, Link, Packet, Received

Body = tuple[str, int]
DATA: Body = ("data", 0)
SIZES = (16, 64, 256, 2048, 4096)


class Traffic(ChannelDriver):
    """Sends packets and answers those that come.

    ``external``: how likely a packet describes external data. ``own``: how likely it lies in memory of the
    driver, which is used again once the packet is back. ``patience``: how long answers take at most.
    """

    external = 0.0
    own = 0.2
    patience = 8000.0
    defers = 0.1
    """How likely a packet that comes at DISPATCH_LEVEL needs PASSIVE_LEVEL."""
    malformed = 0.0
    """How likely a packet that comes is malformed, and stops the queue."""

    def __init__(self, lib: Library, link: Link) -> None:
        super().__init__(lib, link)
        self._storage: list[int] = []
        self._measured = False

    # Sending.

    def request(self, t: Thread, channel: Channel, body: Body = DATA, early: bool = False) -> Task:
        """Send a packet if sends are allowed now. ``early``: they are, as long as the channel is not open."""
        kernel, lib = self.kernel, self.lib
        if not (self.gate or early):
            return
        packet = yield from self.prepare(t, channel)
        packet.length = SIZES[min(int(kernel.random() * 6), 4)] if kernel.chance(0.5) else 64
        if not (self.gate or (early and channel.life in ("Enabled", "Opening"))):
            yield from self.discard(t, packet)
            return
        external = ("Mdl", "Pfns")[kernel.chance(0.5)] if kernel.chance(self.external) else ""
        wait = kernel.chance(0.7)
        fails = kernel.chance(0.1 if external else 0.03)
        # Who has the packet after a failed send is not documented: the routine may run, and free it; or the
        # driver frees it, sends it again, or leaves it alone.
        late = fails and packet.routine == "User" and kernel.chance(0.5)
        accepted = yield from lib.send(t, packet, body, wait, external, fails, late)
        if accepted or late:
            return
        if self.gate and kernel.chance(0.5):
            yield from lib.send(t, packet, body, wait, external)
        elif kernel.chance(0.9):
            yield from self.discard(t, packet)

    def prepare(self, t: Thread, channel: Channel) -> Task:
        """Return a packet that can be sent."""
        kernel, lib = self.kernel, self.lib
        if not kernel.chance(self.own):
            packet = yield from self.packet(t, channel)
            if kernel.chance(0.7):
                yield from lib.set_routine(t, packet)
                if kernel.chance(0.3):
                    yield from lib.set_pointer(t, packet)
                    handles = f" PacketObject{packet.handle}"
                    yield from lib.simple(
                        t, "VmbPacketGetPointer", handles, "", "", " return=0xffffbc8060002000"
                    )
            if kernel.chance(0.05):
                handles = f" PacketObject{packet.handle}"
                yield from lib.simple(t, "VmbPacketGetChannel", handles, "", "", f" return{channel.handle}")
            return packet
        if not self._measured:
            self._measured = True
            yield from lib.simple(
                t, "VmbChannelSizeofPacket", f" Channel{channel.handle}", "", "", " return=384"
            )
        storage = self._storage.pop() if self._storage else lib.packet_handles.take()
        while kernel.chance(0.01):
            yield from lib.initialize_packet(t, channel, storage, fails=True)
        packet = yield from lib.initialize_packet(t, channel, storage)
        yield from lib.set_routine(t, packet)
        return packet

    def discard(self, t: Thread, packet: Packet) -> Task:
        """Be done with a packet that the library does not hold."""
        if packet.born == "alloc":
            yield from self.lib.free(t, packet)
        else:
            self._storage.append(int(packet.handle[1:], 16))

    def down(self, t: Thread) -> Task:
        yield from super().down(t)
        while self._storage:
            # Memory of a driver that is gone is somebody else's soon.
            self.lib.packet_handles.give(self._storage.pop())

    def requests(self, t: Thread, count: int, pause: float = 4000.0) -> Task:
        """Send so many packets, as far as the channel lets the driver."""
        assert self.channel is not None
        for _ in range(count):
            yield from self.until(lambda: self.gate or self.lost)
            if self.lost or self.leaving:
                return
            yield from self.request(t, self.channel)
            yield self.kernel.random() * pause

    def completed(self, t: Thread, packet: Packet, status: int) -> Task:
        if status == 0 and self.gate and self.kernel.chance(0.2):
            yield from self.lib.send(t, packet)
        else:
            yield from self.discard(t, packet)

    def started(self, t: Thread, channel: Channel) -> Task:
        yield from super().started(t, channel)
        if self.early:
            yield from self.request(t, channel)

    # Receiving.

    def process(self, t: Thread, received: Received) -> Task:
        """Take a packet that came; ``handle`` is for those that the device's protocol knows."""
        kernel, lib = self.kernel, self.lib
        if kernel.chance(self.malformed):
            self.stuck = True
            self.wake.fire()
            yield from lib.fail(t, received)
        elif received.message.body[0] != "data":
            yield from self.handle(t, received)
        elif received.message.external:
            there = yield from lib.external_data(t, received)
            if there is None:
                return  # it comes again
            if there:
                self.hold(received)
            else:
                yield from lib.complete(t, received)
        elif t.irql and kernel.chance(self.defers):
            yield from lib.defer(t, received)
        elif kernel.chance(0.5):
            yield from lib.complete(t, received)
        else:
            self.hold(received)

    def hold(self, received: Received) -> None:
        """Complete a packet after a while."""
        self.later(partial(self.lib.complete, received=received), self.patience)

    def handle(self, t: Thread, received: Received) -> Task:
        """Answer a message of the device's protocol, at PASSIVE_LEVEL."""
        if t.irql != PASSIVE:
            yield from self.lib.defer(t, received)
            return
        yield from self.obey(t, received.channel, received.message.body)
        yield from self.lib.complete(t, received)

    def obey(self, t: Thread, channel: Channel, body: Body) -> Task:
        """Do what a message asks for. An unknown one is only completed."""
        yield from ()
