"""An echo pair: the client sends, the server answers, now or later."""

from __future__ import annotations

from functools import partial

from kmclcheck.engines.simulate.drivers.common import ClientDriver, ServerDriver
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.library import Library
from kmclcheck.engines.simulate.objects import Channel, Link, Packet, Received


class EchoServer(ServerDriver):
    """Completes packets in line or from a work item, in any order."""

    def process(self, t: Thread, received: Received) -> Task:
        if self.kernel.chance(0.5):
            yield from self.lib.complete(t, received)
        elif t.irql and self.kernel.chance(0.2):
            yield from self.lib.defer(t, received)
        else:
            later = partial(self.lib.complete, received=received)
            self.lib.endpoint.work(later, self.kernel.random() * 8000)


class EchoClient(ClientDriver):
    """Sends so many packets, some of which want no answer."""

    def __init__(self, lib: Library, link: Link, packets: int = 20) -> None:
        super().__init__(lib, link)
        self.packets = packets

    def job(self, t: Thread) -> Task:
        assert self.channel is not None
        for _ in range(self.packets):
            if self.lost or self.leaving:
                break
            yield from self.request(t, self.channel)
            yield self.kernel.random() * 4000

    def request(self, t: Thread, channel: Channel) -> Task:
        packet = yield from self.packet(t, channel)
        if self.kernel.chance(0.8):
            yield from self.lib.set_routine(t, packet)
        if self.gate:
            yield from self.lib.send(t, packet, wait=self.kernel.chance(0.7))
        else:
            yield from self.lib.free(t, packet)

    def completed(self, t: Thread, packet: Packet, status: int) -> Task:
        if status == 0 and self.gate and self.kernel.chance(0.3):
            yield from self.lib.send(t, packet)
        else:
            yield from self.lib.free(t, packet)
