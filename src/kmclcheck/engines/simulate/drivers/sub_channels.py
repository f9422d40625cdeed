"""A pair that opens further channels between the same two drivers, on the client's request."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kmclcheck.engines.simulate.driver import Driver
from kmclcheck.engines.simulate.drivers.common import ChannelDriver, ClientDriver, ServerDriver
from kmclcheck.engines.simulate.drivers.echo import EchoClient, EchoServer
from kmclcheck.engines.simulate.drivers.traffic import Body, Traffic
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.library import Library
from kmclcheck.engines.simulate.objects import Channel, Link

Plug = Callable[[Driver], None]


class SubServer(EchoServer):
    """A further channel of the primary's server."""

    def configure(self, t: Thread, channel: Channel) -> Task:
        # Only the name of this function is published; the primary is another argument of it.
        yield from self.lib.init(t, channel, "VmbChannelInitSetPrimaryChannel")
        return (yield from super().configure(t, channel))


class _Primary(Traffic):
    """``subs``: the drivers of the further channels, which are plugged in when they are asked for."""

    def __init__(self, lib: Library, link: Link, subs: Sequence[ChannelDriver], plug: Plug) -> None:
        super().__init__(lib, link)
        self.subs = subs
        self.plugged = False
        self._plug = plug

    def bring_in(self) -> None:
        """Create the further channels."""
        if not self.plugged:
            self.plugged = True
            for sub in self.subs:
                self._plug(sub)

    def suspend(self, t: Thread, channel: Channel) -> Task:
        yield from super().suspend(t, channel)
        for sub in self.subs:
            # Inside a callback of one channel, others may be started and paused.
            free = sub.gate and not (sub.going or sub.users or sub.leaving)
            if free and sub.channel is not None and self.kernel.chance(0.3):
                sub.users += 1
                if sub.server:
                    yield from self.lib.pause(t, sub.channel)
                yield from self.lib.start(t, sub.channel)
                sub.users -= 1
                sub.wake.fire()

    def send_away(self) -> Task:
        """Wait until the further channels are gone."""
        if self.plugged:
            for sub in self.subs:
                sub.leave()
            while not all(sub.done for sub in self.subs):
                yield self.kernel.random() * 5000

    def down(self, t: Thread) -> Task:
        # Which goes first is not documented.
        first = self.kernel.chance(0.5)
        if first:
            yield from self.send_away()
        yield from super().down(t)
        if not first:
            yield from self.send_away()


class PrimaryServer(_Primary, ServerDriver):
    """Offers further channels when the client asks for them."""

    def obey(self, t: Thread, channel: Channel, body: Body) -> Task:
        yield from ()
        if body[0] == "sub-channels":
            self.bring_in()


class PrimaryClient(_Primary, ClientDriver):
    """Asks for further channels, then uses all."""

    returns = 0.0

    def job(self, t: Thread) -> Task:
        assert self.channel is not None
        if (yield from self.lib.synchronous(t, self.channel, ("sub-channels", len(self.subs)))):
            return
        self.bring_in()
        yield from self.requests(t, 8, 10_000.0)


def sub_channels(host: Library, guest: Library, links: Sequence[Link]) -> list[tuple[SubServer, EchoClient]]:
    """Return the drivers of further channels."""
    pairs = [(SubServer(host, link), EchoClient(guest, link, 6)) for link in links]
    for server, client in pairs:
        server.partner, client.partner = client, server
    return pairs
