"""One run: two partitions, what is plugged in between them, and the drivers."""

from __future__ import annotations

from typing import TextIO

from kmclcheck.engines.simulate.capture import Capture
from kmclcheck.engines.simulate.driver import Driver
from kmclcheck.engines.simulate.kernel import Endpoint, Kernel, Task, Thread
from kmclcheck.engines.simulate.library import Library
from kmclcheck.engines.simulate.objects import Link


class Simulation:
    """Set it up by plugging in drivers, then run it.

    ``host`` and ``guest`` are the library at both ends; servers run at the host, clients at the guest.
    """

    def __init__(self, seed: int, stream: TextIO, view: str = "both", cpus: int = 4) -> None:
        self.kernel = kernel = Kernel(seed)
        self.capture = capture = Capture(kernel, stream, view)
        self.host = Library(kernel, Endpoint(kernel, "host", 4, cpus), capture)
        self.guest = Library(kernel, Endpoint(kernel, "guest", 4, cpus), capture)
        self.drivers: list[Driver] = []

    def link(self) -> Link:
        """Return a new connection for a pair of channels."""
        return Link(self.kernel)

    def plug(self, driver: Driver, delay: float = 0.0) -> None:
        """Let a driver's main program run, from a while after the start."""
        self.drivers.append(driver)
        self.kernel.resume(self._load(driver, driver.lib.endpoint.thread()), delay)

    def pair(self, server: Driver, client: Driver) -> None:
        """Plug in two drivers that talk to each other, in either order; one waits for the other to leave."""
        server.partner, client.partner = client, server
        late = self.kernel.random() * 20_000
        first = self.kernel.random() < 0.5
        self.plug(server, 0.0 if first else late)
        self.plug(client, late if first else 0.0)

    @staticmethod
    def _load(driver: Driver, t: Thread) -> Task:
        yield from driver.main(t)
        driver.done = True
        if driver.partner is not None:
            driver.partner.leave()

    def run(self, limit: float = float("inf")) -> list[Driver]:
        """Run to the end; return the drivers that did not get there, for a call of theirs never returned."""
        self.kernel.limit = limit
        self.kernel.run()
        self.capture.flush()
        return [driver for driver in self.drivers if not driver.done]
