"""A pair of which either side pauses and resumes."""

from __future__ import annotations

from kmclcheck.engines.simulate.drivers.common import ClientDriver, ServerDriver
from kmclcheck.engines.simulate.drivers.traffic import Traffic
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel


class PausingServer(Traffic, ServerDriver):
    """Pauses now and then, perhaps before anybody has opened the channel."""

    needs = ("PostStarted", "Suspend")

    def enable(self, t: Thread, channel: Channel) -> Task:
        if self.kernel.chance(0.1):
            yield from self.lib.pause(t, channel)  # it is paused from the beginning
        yield from super().enable(t, channel)
        if self.kernel.chance(0.3):
            # Perhaps just when the client opens.
            yield self.kernel.random() * 20_000
            yield from self.pause_and_resume(t)

    def serve(self, t: Thread) -> Task:
        assert self.channel is not None
        while not self.leaving:
            if self.kernel.chance(0.3):
                yield from self.pause_and_resume(t)
            yield from self.request(t, self.channel)
            yield self.kernel.random() * 15_000


class PausingClient(Traffic, ClientDriver):
    """Pauses in between its requests, perhaps twice, and may leave while it is paused."""

    def up(self, t: Thread) -> Task:
        if not self.kernel.chance(0.1):
            yield from super().up(t)
            return
        # Paused before it is enabled: whether it then comes up running is not documented, so it is started.
        channel = yield from self.create(t)
        yield from self.lib.pause(t, channel)
        yield from self.enable(t, channel)
        yield self.kernel.random() * 20_000
        yield from self.lib.start(t, channel)

    def job(self, t: Thread) -> Task:
        channel = self.channel
        assert channel is not None
        for _ in range(1 + int(self.kernel.random() * 4)):
            yield from self.requests(t, 4)
            if self.lost or self.leaving:
                return
            yield from self.pause_and_resume(t)
        if self.kernel.chance(0.3):
            yield from self.lib.pause(t, channel)
