"""What all parts of the simulated library share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kmclcheck.engines.simulate.capture import Capture
from kmclcheck.engines.simulate.kernel import Endpoint, Kernel, Signal, Task, Thread
from kmclcheck.engines.simulate.objects import Handles

OK = " status=0x0"
FAILED = " status=0xc0000001"


class Base:
    """The library at one endpoint: its records, and how it calls drivers back."""

    def __init__(self, kernel: Kernel, endpoint: Endpoint, capture: Capture) -> None:
        self.kernel = kernel
        self.random = kernel.random
        self.endpoint = endpoint
        self.record = capture.record
        base = 0xFFFFBC8000000000 + (endpoint.pid << 36)
        self.channel_handles = Handles(kernel, base + 0x12340000, 0x1A40)
        self.packet_handles = Handles(kernel, base + 0x20400000, 0x180)
        self.received_handles = Handles(kernel, base + 0x31000000, 0xC0)
        # Whether this tracer repeats the handles of a call at its return.
        self.repeats = kernel.chance(0.5)
        # Whether deliveries that end with the packet requeued or failed count for ProcessingComplete; not
        # documented.
        self.counts_all = kernel.chance(0.5)

    def simple(
        self, t: Thread, name: str, handles: str, scalars: str = "", result: str = "", back: str = ""
    ) -> Task:
        """Log a call without an effect of its own. Others may come between call and return."""
        self.record(t, "call", name, handles, scalars)
        if self.random() < 0.06:
            yield self.random() * 3000
        self.record(t, "ret", name, (handles if self.repeats else "") + back, "", result)

    def somewhere(self, t: Thread, body: Callable[[Thread], Task]) -> Task:
        """Run something on this thread, or on a worker and wait for it: where is not documented."""
        if self.random() < 0.7:
            return (yield from body(t))
        ended = Signal(self.kernel)
        values: list[Any] = []

        def elsewhere(worker: Thread) -> Task:
            values.append((yield from body(worker)))
            ended.fire()

        self.endpoint.work(elsewhere, self.random() * 1000)
        while not values:
            yield ended
        return values[0]

    def callback(
        self, t: Thread, name: str, handles: str, scalars: str, body: Task, result: bool = False
    ) -> Task:
        """Run a routine of the driver and log its entry and exit; return what it returned."""
        self.record(t, "in", name, handles, scalars)
        if self.random() < 0.3:
            yield self.random() * 2000
        value: Any = yield from body
        status = f" status={value:#x}" if result else ""
        self.record(t, "out", name, handles if self.repeats else "", "", status)
        return value
