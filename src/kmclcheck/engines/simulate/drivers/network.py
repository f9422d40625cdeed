"""A network device: two shared buffers, which the client makes and the server maps."""

from __future__ import annotations

from kmclcheck.engines.simulate.drivers.common import ClientDriver, ServerDriver
from kmclcheck.engines.simulate.drivers.traffic import Body, Traffic
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.library import Library
from kmclcheck.engines.simulate.objects import Channel, Link

BUFFERS = 2


class NetworkServer(Traffic, ServerDriver):
    """Maps what the client announces, until the client wants it back or the channel closes."""

    needs: tuple[str, ...] = ("Opened", "Closed", "PostStarted", "Suspend")
    refuses = 0.03
    malformed = 0.002

    def __init__(self, lib: Library, link: Link) -> None:
        super().__init__(lib, link)
        self._mapped: list[int] = []

    def obey(self, t: Thread, channel: Channel, body: Body) -> Task:
        what, number = body
        if what == "gpadl" and (yield from self.lib.map_gpadl(t, channel, number)):
            self._mapped.append(number)
        elif what == "release" and number in self._mapped:
            self._mapped.remove(number)
            yield from self.lib.unmap_gpadl(t, channel, number)

    def closed(self, t: Thread, channel: Channel) -> Task:
        while self._mapped:
            yield from self.lib.unmap_gpadl(t, channel, self._mapped.pop())
        yield from super().closed(t, channel)

    def serve(self, t: Thread) -> Task:
        assert self.channel is not None
        while not self.leaving:
            if self.stuck:
                yield from self.again(t)
            yield from self.request(t, self.channel, ("event", 0))
            yield self.kernel.random() * 20_000


class NetworkClient(Traffic, ClientDriver):
    """Negotiates, shares two buffers, sends, and takes the buffers back before or while it closes."""

    needs: tuple[str, ...] = ("Opened", "Closed", "PostStarted", "Suspend")
    refuses = 0.03
    unplugged = 0.03
    eager = 0.0

    def __init__(self, lib: Library, link: Link, packets: int = 10) -> None:
        super().__init__(lib, link)
        self.packets = packets
        self._buffers: list[int] = []
        self._announced = False
        self._creating = False

    def opened(self, t: Thread, channel: Channel) -> Task:
        self._announced = False
        if self.kernel.chance(0.4):
            yield from self._create(t, channel)
        if self.kernel.chance(0.1):
            # Whether sends are legal here is not documented; the pages let packets be queued even before.
            yield from self.request(t, channel, early=True)
        status = yield from super().opened(t, channel)
        if status:
            yield from self._delete(t, channel)
        elif self.kernel.chance(0.1):
            latency = f" Channel{channel.handle}"
            yield from self.lib.simple(
                t, "VmbChannelSetInterruptLatency", latency, " Latency=100000", " status=0x0",
                " OriginalLatencyValue=0",
            )  # fmt: skip
        return status

    def post_started(self, t: Thread, channel: Channel) -> Task:
        pauses = self.run_of(channel)
        if not self._announced:
            for question in ("version", "configuration"):
                if pauses != self.pauses or (yield from self.lib.synchronous(t, channel, (question, 0))):
                    return  # the channel closes
            yield from self._create(t, channel)
            for number in self._buffers:
                if (yield from self.lib.synchronous(t, channel, ("gpadl", number))):
                    return
            self._announced = True
        self.open_gate(pauses)

    def closed(self, t: Thread, channel: Channel) -> Task:
        while self._creating:
            yield self.wake
        if self.kernel.chance(0.03):
            # Whether one can still be made here is not documented; it must not stay.
            self._buffers.append((yield from self.lib.create_gpadl(t, channel)))
        yield from self._delete(t, channel)
        yield from super().closed(t, channel)

    def job(self, t: Thread) -> Task:
        yield from self.requests(t, self.packets)
        if self.gate and self.kernel.chance(0.4):
            yield from self._exchange(t)
        if self.gate and self.kernel.chance(0.5):
            yield from self._take_back(t)

    def _exchange(self, t: Thread) -> Task:
        """Make a buffer on this thread and delete one on another; the number may be used again at once."""
        channel = self.channel
        assert channel is not None
        self._creating = True
        number = old = yield from self.lib.create_gpadl(t, channel)
        if self.gate:
            self.lib.endpoint.work(lambda worker: self.lib.delete_gpadl(worker, channel, old))
            number = yield from self.lib.create_gpadl(t, channel)
        self._buffers.append(number)
        self._creating = False
        self.wake.fire()

    def _take_back(self, t: Thread) -> Task:
        """Have the server release the buffers, and delete them, before the channel closes."""
        channel = self.channel
        assert channel is not None
        for number in tuple(self._buffers):
            if not self.gate or (yield from self.lib.synchronous(t, channel, ("release", number))):
                return  # Closed does it
            if number in self._buffers:
                self._buffers.remove(number)
                yield from self.lib.delete_gpadl(t, channel, number)

    def _create(self, t: Thread, channel: Channel) -> Task:
        while len(self._buffers) < BUFFERS:
            if self.kernel.chance(0.02):
                yield from self.lib.create_gpadl(t, channel, fails=True)
            number = yield from self.lib.create_gpadl(t, channel)
            self._buffers.append(number)

    def _delete(self, t: Thread, channel: Channel) -> Task:
        while self._buffers:
            yield from self.lib.delete_gpadl(t, channel, self._buffers.pop())
