"""The truth about channels, and the scheduler, of the random workloads."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.support.kmcl import Channel
from tests.support.tracebuilder import Thread, Trace

Step = Callable[[], bool] | None
"""What a task waits for; ``None``: it may go on at once."""
Task = Iterator[Step]


@dataclass(slots=True)
class World:
    """Runs the tasks in a random order."""

    trace: Trace
    rng: random.Random
    tasks: list[tuple[Task, Step]] = field(default_factory=list)
    next_tid: int = 0x100

    def spawn(self, task: Task) -> None:
        self.tasks.append((task, None))

    def thread(self, irql: int = 0) -> Thread:
        self.next_tid += 4
        return self.trace.thread(self.next_tid, self.rng.randrange(8), irql)

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def run(self) -> None:
        while self.tasks:
            ready = [i for i, (_, step) in enumerate(self.tasks) if step is None or step()]
            assert ready, "the workload is stuck"
            at = self.rng.choice(ready)
            task = self.tasks[at][0]
            try:
                self.tasks[at] = (task, next(task))
            except StopIteration:
                del self.tasks[at]


@dataclass(slots=True)
class Model:
    """The truth about one channel."""

    c: Channel
    world: World
    life: str = "disabled"
    want: bool = False
    armed: bool = False
    running: bool = False
    deliverable: bool = False
    gate: bool = True
    flowing: bool = True
    disabling: bool = False
    peer_closes: bool = False
    window: bool = False
    may_gpadl: bool = False
    finished: bool = False
    hosts: list[Thread] = field(default_factory=list)
    busy_hosts: set[int] = field(default_factory=set)
    outstanding: set[int] = field(default_factory=set)
    held: list[int] = field(default_factory=list)
    requeued: list[tuple[int, str]] = field(default_factory=list)
    delivering: int = 0
    users: int = 0
    gpadl_calls: int = 0
    live: set[int] = field(default_factory=set)
    in_flight: list[int] = field(default_factory=list)
    back: list[int] = field(default_factory=list)
    given_up: set[int] = field(default_factory=set)

    @property
    def can_send(self) -> bool:
        return self.gate and self.life in ("enabled", "opening", "open", "closing") and not self.finished
