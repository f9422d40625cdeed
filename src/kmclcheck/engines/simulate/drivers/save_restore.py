"""A host that saves its machine and restores it, while the guest's driver notices nothing."""

from __future__ import annotations

from kmclcheck.engines.simulate.drivers.common import NO_RESOURCES, ClientDriver, ServerDriver
from kmclcheck.engines.simulate.drivers.traffic import Traffic
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.library import Library
from kmclcheck.engines.simulate.objects import Channel, Link, Packet


class SavingServer(Traffic, ServerDriver):
    """Has packets in flight when it is saved; they complete after the restore, on another channel."""

    needs = ("PostStarted", "Suspend")
    saves = True
    own = 0.0  # what is restored lies in memory of the library

    def __init__(self, lib: Library, link: Link, moves: int = 1) -> None:
        super().__init__(lib, link)
        self.moves = moves

    def serve(self, t: Thread) -> Task:
        for _ in range(self.moves):
            yield from self.until(lambda: self.gate)
            yield from self.requests(t, 2 + int(self.kernel.random() * 6), 1000.0)
            if self.leaving:
                return
            yield from self.move(t)
        yield from self.requests(t, 3)
        while not self.leaving:
            yield self.wake

    def move(self, t: Thread) -> Task:
        """Save the channel, end it, and restore it as a new one."""
        channel = self.channel
        assert channel is not None
        yield from self.lib.pause(t, channel)
        yield from self.save_all(t, channel)
        self.link = self.link.take_over()
        yield from self.down(t)
        yield self.kernel.random() * 20_000
        channel = yield from self.create(t)
        yield from self.lib.enable(t, channel)
        yield from self.restore_all(t, channel)
        self.lost = self.stuck = False
        yield from self.lib.start(t, channel)

    def save_all(self, t: Thread, channel: Channel) -> Task:
        while not (yield from self.lib.save_begin(t, channel)):
            if self.kernel.chance(0.5):
                yield from self.lib.save_end(t, channel)  # whether that is called for is not documented
        while (yield from self.lib.save_continue(t, channel)):
            yield self.kernel.random() * 1000  # store the chunk, or make room
        yield from self.lib.save_end(t, channel)

    def restore_all(self, t: Thread, channel: Channel) -> Task:
        """Feed what was saved, chunk after chunk."""
        while True:
            left = len(channel.link.saved)
            part = min(left, int(self.kernel.random() * 4))
            last = part == left
            status = yield from self.lib.restore_from_buffer(t, channel, part, last)
            if not status:
                return

    def save(self, t: Thread, channel: Channel, packet: Packet, size: int) -> Task:
        if self.kernel.chance(0.1):
            yield from ()
            return 0, 0  # nothing to keep for this one
        return (yield from super().save(t, channel, packet, size))

    def restore(self, t: Thread, channel: Channel) -> Task:
        if self.kernel.chance(0.03):
            yield from self.lib.allocate_packet(t, channel, fails=True)
            return NO_RESOURCES
        packet = yield from self.packet(t, channel)
        if self.kernel.chance(0.8):
            yield from self.lib.set_routine(t, packet)
        if self.kernel.chance(0.5):
            yield from self.lib.set_pointer(t, packet)
        yield from self.lib.restore_packet(t, packet)
        return 0


class SlowClient(Traffic, ClientDriver):
    """Takes its time to answer, so that the host's packets are in flight for long."""

    patience = 150_000.0

    def job(self, t: Thread) -> Task:
        yield from self.requests(t, 4 + int(self.kernel.random() * 12), 15_000.0)
