"""Simulated time, threads and processors.

Everything that happens is a task: a generator that runs on a thread and yields either a number of
nanoseconds to let pass, or a ``Signal`` to wait for. Between two yields nothing else happens. A seed
decides how long things take, and with it the order of everything; the same seed gives the same run.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from heapq import heappop, heappush
from typing import Any

PASSIVE, DISPATCH = 0, 2

Task = Generator["float | Signal", None, Any]
"""What a thread does. Its value, if any, is for the task that delegates to it."""


class Signal:
    """Something may have changed; who waits looks again."""

    __slots__ = ("kernel", "waiting")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.waiting: list[Task] = []

    def fire(self) -> None:
        """Let everyone who waits look again soon."""
        if self.waiting:
            kernel = self.kernel
            for task in self.waiting:
                kernel.resume(task, kernel.random() * 2000)
            self.waiting.clear()


class Thread:
    """A thread as records show it. ``columns`` are its columns of a record, ready to print."""

    __slots__ = ("columns", "cpu", "endpoint", "irql", "tid")

    def __init__(self, endpoint: Endpoint, tid: int, cpu: int, irql: int = PASSIVE) -> None:
        self.endpoint = endpoint
        self.tid = tid
        self.cpu = cpu
        self.irql = irql
        self.columns = f"{cpu} {endpoint.pid:x}.{tid:x} {irql}"


class Endpoint:
    """A partition, its threads and its processors. Deferred procedure calls run one at a time on each."""

    def __init__(self, kernel: Kernel, name: str, pid: int, cpus: int) -> None:
        self.kernel = kernel
        self.name = name
        self.pid = pid
        self.cpus = cpus
        self.seq = 0
        self._idle: list[Thread] = []
        self._ended: list[Thread] = []
        self._next_tid = 0x100 + 4 * kernel.rng.randrange(64)
        # The idle thread of a processor has id 0; deliveries at DISPATCH_LEVEL run on it.
        self._dpc_threads = [Thread(self, 0, cpu, DISPATCH) for cpu in range(cpus)]
        self._dpc_queues: list[list[Callable[[Thread], Task]]] = [[] for _ in range(cpus)]
        self._dpc_busy = [False] * cpus

    def thread(self) -> Thread:
        """Return a new thread, as a driver creates one. It may have the id of one that has ended."""
        if self._ended and (len(self._ended) > 8 or self.kernel.chance(0.5)):
            return self._ended.pop()
        self._next_tid += 4 * (1 + self.kernel.rng.randrange(5))
        return Thread(self, self._next_tid, self.kernel.rng.randrange(self.cpus))

    def end(self, thread: Thread) -> None:
        """A thread ends; its id is free again."""
        self._ended.append(thread)

    def work(self, body: Callable[[Thread], Task], delay: float = 0.0) -> None:
        """Run something on a worker thread at PASSIVE_LEVEL."""
        self.kernel.resume(self._work(body), delay)

    def _work(self, body: Callable[[Thread], Task]) -> Task:
        thread = self._idle.pop() if self._idle else self.thread()
        yield from body(thread)
        self._idle.append(thread)

    def dpc(self, body: Callable[[Thread], Task]) -> None:
        """Run something at DISPATCH_LEVEL on some processor, after what is queued there."""
        cpu = int(self.kernel.random() * self.cpus)
        self._dpc_queues[cpu].append(body)
        if not self._dpc_busy[cpu]:
            self._dpc_busy[cpu] = True
            self.kernel.resume(self._drain(cpu), self.kernel.random() * 1000)

    def _drain(self, cpu: int) -> Task:
        queue, thread = self._dpc_queues[cpu], self._dpc_threads[cpu]
        while queue:
            yield from queue.pop(0)(thread)
        self._dpc_busy[cpu] = False


class Kernel:
    """The clock and everything that waits for it. ``now`` is in nanoseconds; ``limit`` ends a run."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.random = self.rng.random
        self.now = 0.0
        self.stopped = False
        self.limit = float("inf")
        self._serial = 0
        self._heap: list[tuple[float, int, Task]] = []

    def chance(self, probability: float) -> bool:
        """Let the seed decide."""
        return self.random() < probability

    def resume(self, task: Task, delay: float = 0.0) -> None:
        """Start a task, or let it go on, after a delay."""
        self._serial += 1
        heappush(self._heap, (self.now + delay, self._serial, task))

    def stop(self) -> None:
        """End the run after the present step, whatever is still going on."""
        self.stopped = True

    def run(self) -> None:
        """Run until nothing is left to do, or until somebody stops it."""
        heap = self._heap
        while heap and not self.stopped and self.now < self.limit:
            now, _, task = heappop(heap)
            if now > self.now:
                self.now = now
            try:
                wait = task.send(None)
            except StopIteration:
                continue
            if isinstance(wait, Signal):
                wait.waiting.append(task)
            else:
                self._serial += 1
                heappush(heap, (self.now + wait, self._serial, task))
