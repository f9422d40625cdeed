"""A pair without state callbacks: each tells from packets that the channel is open."""

from __future__ import annotations

from kmclcheck.engines.simulate.drivers.common import ClientDriver, ServerDriver
from kmclcheck.engines.simulate.drivers.network import NetworkServer
from kmclcheck.engines.simulate.drivers.traffic import Traffic
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Packet, Received


class SilentServer(NetworkServer):
    """Maps what the client announces, and sends only while a delivery runs: then nothing is suspended."""

    registers = False
    needs: tuple[str, ...] = ()
    refuses = malformed = 0.0

    def serve(self, t: Thread) -> Task:
        yield from ServerDriver.serve(self, t)

    def process(self, t: Thread, received: Received) -> Task:
        if self.kernel.chance(0.2):
            yield from self.lib.simple(t, "VmbChannelGetMmioSpace", f" Channel{received.channel.handle}")
        if self.kernel.chance(0.2):
            self.gate = True
            yield from self.request(t, received.channel, ("event", 0))
            self.gate = False
        yield from super().process(t, received)


class SilentClient(Traffic, ClientDriver):
    """Sends a packet; when it comes back, the channel is open until this driver disables it."""

    registers = False
    needs: tuple[str, ...] = ()

    def main(self, t: Thread) -> Task:
        channel = yield from self.up(t)
        packet = yield from self.packet(t, channel)
        yield from self.lib.set_routine(t, packet)
        yield from self.lib.send(t, packet)
        while not self.gate:
            yield self.wake
        uses = [self._latency, self._space, self._share, self._share]
        self.kernel.rng.shuffle(uses)
        for use in uses:
            yield from use(t, channel)
        yield from self.requests(t, 4)
        yield from self.down(t)

    def completed(self, t: Thread, packet: Packet, status: int) -> Task:
        self.gate = True
        self.wake.fire()
        yield from self.discard(t, packet)

    def _latency(self, t: Thread, channel: Channel) -> Task:
        handles = f" Channel{channel.handle}"
        yield from self.lib.simple(t, "VmbChannelSetInterruptLatency", handles, " Latency=100", " status=0x0")

    def _space(self, t: Thread, channel: Channel) -> Task:
        yield from self.lib.simple(t, "VmbChannelGetMmioSpace", f" Channel{channel.handle}")

    def _share(self, t: Thread, channel: Channel) -> Task:
        """Share a buffer for a while."""
        number = yield from self.lib.create_gpadl(t, channel)
        for what in ("gpadl", "release"):
            yield from self.lib.synchronous(t, channel, (what, number))
        yield from self.lib.delete_gpadl(t, channel, number)
