"""A storage device: requests with external data, a start-up exchange, a bound on what is in flight."""

from __future__ import annotations

from kmclcheck.engines.simulate.drivers.common import Call, ClientDriver, ServerDriver
from kmclcheck.engines.simulate.drivers.traffic import Traffic
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.library import Library
from kmclcheck.engines.simulate.objects import Channel, Link

STARTUP = ("begin", "version", "properties", "end")


class _Storage(Traffic):
    eager = 0.0

    def configuration(self, channel: Channel) -> list[Call]:
        calls = super().configuration(channel)
        return [*calls, ("VmbChannelInitSetMaximumExternalData", " DataSize=1048576 ChainLength=16")]


class StorageServer(_Storage, ServerDriver):
    """Takes external data, completes later, and now and then tells the client something."""

    needs = ("PostStarted", "Suspend", "Opened")
    own = 0.5
    malformed = 0.002
    refuses = 0.03

    def up(self, t: Thread) -> Task:
        channel = yield from self.create(t)
        if self.kernel.chance(0.5):
            yield from self.lib.set_quota(t, channel, 1 + int(self.kernel.random() * 4))
        yield from self.enable(t, channel)

    def serve(self, t: Thread) -> Task:
        channel = self.channel
        assert channel is not None
        while not self.leaving:
            if self.stuck:
                yield from self.again(t)
            chance = self.kernel.random()
            if chance < 0.3:
                # Before it is open, and after it was closed, a server's packets wait for the client.
                yield from self.request(t, channel, ("event", 0), early=True)
            elif chance < 0.35 and channel.quota is not None:
                yield from self.lib.set_quota(t, channel, 1 + int(self.kernel.random() * 4))
            elif chance < 0.37:
                yield from self.deliver_at_passive(t, self.kernel.chance(0.5))
            elif chance < 0.4 and self.gate:
                # A server must not wait, so it wants no answer.
                yield from self.lib.synchronous(t, channel, ("event", 0), waits=False)
            yield self.kernel.random() * 15_000


class StorageClient(_Storage, ClientDriver):
    """Negotiates once the channel runs, then sends requests."""

    external = 0.5
    own = 0.4

    def __init__(self, lib: Library, link: Link, packets: int = 12, external: float = 0.5) -> None:
        super().__init__(lib, link)
        self.packets = packets
        self.external = external

    def up(self, t: Thread) -> Task:
        channel = yield from super().up(t)
        if self.kernel.chance(0.2):
            yield from self.request(t, channel, early=True)

    def post_started(self, t: Thread, channel: Channel) -> Task:
        pauses = self.run_of(channel)
        for step in STARTUP:
            if pauses != self.pauses or (yield from self.lib.synchronous(t, channel, (step, 0))):
                return  # the channel closes
        self.open_gate(pauses)

    def job(self, t: Thread) -> Task:
        yield from self.requests(t, self.packets)
