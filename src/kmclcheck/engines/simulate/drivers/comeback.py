"""A server that goes and comes back, and a client that does so, too."""

from __future__ import annotations

from kmclcheck.engines.simulate.drivers.common import ClientDriver, ServerDriver
from kmclcheck.engines.simulate.drivers.traffic import Traffic
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.library import Library
from kmclcheck.engines.simulate.objects import Channel, Link


class ComebackServer(Traffic, ServerDriver):
    """Takes its offer back and makes it again, so many times."""

    def __init__(self, lib: Library, link: Link, times: int = 2) -> None:
        super().__init__(lib, link)
        self.times = times

    def serve(self, t: Thread) -> Task:
        for _ in range(self.times):
            yield 5_000 + self.kernel.random() * 40_000
            if self.leaving:
                break
            yield from self.again(t)
        while not self.leaving:
            yield self.wake


class ComebackClient(Traffic, ClientDriver):
    """Enables its channel again, from a work item, each time that it was closed."""

    def __init__(self, lib: Library, link: Link, packets: int = 30) -> None:
        super().__init__(lib, link)
        self.packets = packets
        self._going = False
        self._items = 0
        self._busy = False

    def main(self, t: Thread) -> Task:
        channel = yield from self.up(t)
        for _ in range(self.packets):
            yield from self.until(lambda: self.gate)
            if self.leaving:
                break
            yield from self.request(t, channel)
            yield self.kernel.random() * 6000
            if self.gate and self.kernel.chance(0.06):
                # The work item enables it again, perhaps before this call has returned.
                yield from self.lib.disable(t, channel)
                while self._items:
                    yield self.wake
                if channel.life == "Disabled":
                    yield from self.again(t, disable=False)
        self._going = True
        while self._items:
            yield self.wake
        yield from self.down(t)

    def closed(self, t: Thread, channel: Channel) -> Task:
        yield from ()
        if not self._going:
            # The work item may run on at once, but not before this callback has returned.
            self._items += 1
            self.lib.endpoint.work(self._return)

    def _return(self, t: Thread) -> Task:
        while self._busy:  # an earlier one is not done yet
            yield self.wake
        if not self._going:
            self._busy = True
            yield from self.again(t, disable=self.kernel.chance(0.5))
            self._busy = False
        self._items -= 1
        self.wake.fire()
