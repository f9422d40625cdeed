"""One run: two partitions, what is plugged in between them, and the drivers."""

from __future__ import annotations

from typing import TextIO

from kmclcheck.engines.simulate.capture import Capture, Shape
from kmclcheck.engines.simulate.driver import Driver
from kmclcheck.engines.simulate.kernel import Endpoint, Kernel, Signal, Task, Thread
from kmclcheck.engines.simulate.library import Library
from kmclcheck.engines.simulate.objects import Link


class Simulation:
    """Set it up by plugging in drivers, then run it.

    ``host`` and ``guest`` are the library at both ends; servers run at the host, clients at the guest.
    The trace goes to ``stream``, as far as ``shape`` holds the run; after ``events`` records, if given,
    the run is stopped. ``note`` is a line for people, ``breaks`` the rule that a fault
    of this run breaks. ``drivers`` are those whose main program goes on;
    ``ended`` fires when one ends.
    """

    def __init__(
        self,
        seed: int,
        stream: TextIO,
        shape: Shape = Shape(),  # noqa: B008 - frozen, so it can be shared
        events: int | None = None,
        note: str = "",
        breaks: str = "",
    ) -> None:
        self.kernel = kernel = Kernel(seed)
        self.capture = capture = Capture(kernel, stream, shape, seed, events, note, breaks)
        self.host = Library(kernel, Endpoint(kernel, "host", 4, shape.cpus), capture)
        self.guest = Library(kernel, Endpoint(kernel, "guest", 4, shape.cpus), capture)
        self.drivers: list[Driver] = []
        self.ended = Signal(kernel)

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

    def _load(self, driver: Driver, t: Thread) -> Task:
        yield from driver.main(t)
        driver.done = True
        t.endpoint.end(t)
        self.drivers.remove(driver)
        self.ended.fire()
        if driver.partner is not None:
            driver.partner.leave()

    @property
    def records(self) -> int:
        """How many records the run had so far, whether they were captured or not."""
        return self.host.endpoint.seq + self.guest.endpoint.seq

    def run(self, limit: float = float("inf")) -> list[Driver]:
        """Run to the end; return the drivers that did not get there, for a call of theirs never returned.

        A run that was stopped, or came to its limit of time, says nothing about its drivers: then none.
        """
        kernel = self.kernel
        kernel.limit = limit
        kernel.run()
        stopped = kernel.stopped or kernel.now >= limit
        hanging = [] if stopped else list(self.drivers)
        watched = [d for d in hanging if d.lib.endpoint.name in self.capture.endpoints]
        self.capture.finish("stopped" if stopped else "hung" if watched else "unloaded")
        return hanging
