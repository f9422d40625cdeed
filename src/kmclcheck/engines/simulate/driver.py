"""What a driver is to the simulated library: a main program and callback routines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmclcheck.engines.simulate.kernel import Signal, Task, Thread

if TYPE_CHECKING:
    from kmclcheck.engines.simulate.library import Library
    from kmclcheck.engines.simulate.objects import Channel, Packet, Received

SUCCESS = 0


class Driver:
    """Answers every packet at once and does nothing else. Drivers override what they do differently.

    ``done``: the main program has ended. ``leaving``: it should, since there is nobody left to talk to.
    """

    partner: Driver | None = None

    def __init__(self, lib: Library) -> None:
        self.lib = lib
        self.kernel = lib.kernel
        self.done = False
        self.leaving = False
        self.wake = Signal(lib.kernel)

    def leave(self) -> None:
        """Tell the main program that it may end."""
        self.leaving = True
        self.wake.fire()

    def main(self, t: Thread) -> Task:
        """What the driver does from its load to its unload."""
        yield from ()

    def opened(self, t: Thread, channel: Channel) -> Task:
        """Return a status."""
        yield from ()
        return SUCCESS

    def closed(self, t: Thread, channel: Channel) -> Task:
        yield from ()

    def suspend(self, t: Thread, channel: Channel) -> Task:
        yield from ()

    def started(self, t: Thread, channel: Channel) -> Task:
        yield from ()

    def post_started(self, t: Thread, channel: Channel) -> Task:
        yield from ()

    def process(self, t: Thread, received: Received) -> Task:
        """Take a delivered packet."""
        yield from self.lib.complete(t, received)

    def completed(self, t: Thread, packet: Packet, status: int) -> Task:
        """Take back a packet that was sent: the completion routine."""
        yield from self.lib.free(t, packet)

    def save(self, t: Thread, channel: Channel, packet: Packet, size: int) -> Task:
        """Return a status and the size that is needed."""
        yield from ()
        return 0xC0000023 if size < 96 else SUCCESS, 96

    def packet(self, t: Thread, channel: Channel) -> Task:
        """Return a new packet, in the end."""
        while True:
            fails = self.kernel.chance(0.005)
            packet = yield from self.lib.allocate_packet(t, channel, **({"fails": True} if fails else {}))
            if packet is not None:
                return packet

    def restore(self, t: Thread, channel: Channel) -> Task:
        """Return a status."""
        packet = yield from self.packet(t, channel)
        yield from self.lib.set_routine(t, packet)
        yield from self.lib.restore_packet(t, packet)
        return SUCCESS

    def connect_failed(self, t: Thread, channel: Channel) -> Task:
        yield from ()
