"""How a fault gets into a run."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Literal

from kmclcheck.engines.simulate.drivers.common import ChannelDriver
from kmclcheck.engines.simulate.kernel import Signal, Task, Thread
from kmclcheck.engines.simulate.library import Library
from kmclcheck.engines.simulate.objects import SLOTS
from kmclcheck.engines.simulate.simulation import Simulation

MODULES = (
    "channels", "uses", "nesting", "packets", "ownership", "sends", "received", "gpadls", "mappings",
    "saving", "restoring", "guarantees", "returns", "deliveries",
)  # fmt: skip
"""The modules of this package in which faults stand."""

How = Literal["before", "after", "instead"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fault shows: the record, by endpoint and sequence number; no number: the end of the trace."""

    endpoint: str
    seq: int | None


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break a rule. ``inject`` prepares a simulation whose scenario is already set up."""

    rule: str
    shape: str
    doc: str
    scenario: str
    inject: Callable[[Injector], None]


class Injector:
    """Puts one fault into a simulation.

    ``turn``: at which of the occasions it happens. ``place`` is set when it does, else ``None``. With a turn
    that is given nothing else goes wrong in the run, which makes sure that there are occasions.
    """

    def __init__(self, sim: Simulation, seed: int, turn: int | None = None) -> None:
        self.sim = sim
        self.kernel = sim.kernel
        self.rng = random.Random(seed)
        self.turn = self.rng.randrange(4) if turn is None else turn
        self.place: Place | None = None
        channels = [d for d in sim.drivers if isinstance(d, ChannelDriver)]
        self.server = next((d for d in channels if d.server), None)
        self.client = next((d for d in channels if not d.server), None)
        for driver in channels:
            # A fault inside a callback needs the callback.
            driver.needs = SLOTS
            if turn is not None:
                for trouble in ("refuses", "unplugged", "malformed", "in_memory"):
                    setattr(driver, trouble, 0.0)

    def at(
        self,
        target: object,
        method: str,
        how: How,
        action: Callable[..., Task],
        when: Callable[..., bool] | None = None,
    ) -> None:
        """Do ``action`` before, after or instead of a call of a library function or a driver's routine.

        The action gets the arguments of the call, the thread first; ``after`` gets the result as well, as
        its last argument. ``when`` says, from the arguments, whether this is an occasion.
        """
        original = getattr(target, method)

        def wrapped(*args: Any, **more: Any) -> Task:
            if not (when is None or when(*args, **more)) or not self._due():
                return (yield from original(*args, **more))
            if how == "instead":
                return (yield from action(*args, **more))
            if how == "before":
                yield from action(*args, **more)
                return (yield from original(*args, **more))
            value = yield from original(*args, **more)
            yield from action(*args, value)
            return value

        setattr(target, method, wrapped)

    def change(
        self,
        lib: Library,
        where: str,
        names: tuple[str, ...],
        new: Callable[[str], str],
        when: Callable[[Thread, str, str], bool] | None = None,
    ) -> None:
        """Let one record of an endpoint, by phase and name, have other scalar arguments, and mark it.

        ``when`` says, from the thread, the handles and the scalars of a record, whether it is an occasion.
        """
        record = lib.record

        def changed(
            thread: Thread, phase: str, name: str, handles: str, scalars: str = "", result: str = ""
        ) -> None:
            fits = phase == where and name in names and thread.endpoint is lib.endpoint
            if fits and (when is None or when(thread, handles, scalars)) and self._due():
                self.mark(thread)
                scalars = new(scalars)
            record(thread, phase, name, handles, scalars, result)

        lib.record = changed

    def _due(self) -> bool:
        if self.place is not None:
            return False
        self.turn -= 1
        return self.turn < 0

    def mark(self, t: Thread) -> None:
        """The next record of the thread's endpoint is where the fault shows."""
        self.place = Place(t.endpoint.name, t.endpoint.seq + 1)
        self.sim.capture.mark(t.endpoint)

    def mark_end(self, t: Thread) -> None:
        """The fault shows at the end of the trace."""
        self.place = Place(t.endpoint.name, None)
        self.sim.capture.mark_end(t.endpoint)

    def call(
        self, t: Thread, name: str, handles: str, scalars: str = "", result: str = "", back: str = ""
    ) -> Task:
        """Log a call and its return, without any effect on the simulated library."""
        self.sim.host.record(t, "call", name, handles, scalars)
        yield self.kernel.random() * 500
        self.sim.host.record(t, "ret", name, back, "", result)

    def hang(self, t: Thread, name: str, handles: str, scalars: str = "") -> Task:
        """Log a call that never returns. Everybody else leaves after a while."""
        self.sim.host.record(t, "call", name, handles, scalars)
        for driver in self.sim.drivers:
            driver.leave()
        yield Signal(self.kernel)

    def stop(self) -> Task:
        """End the trace here: what a real system would do from now on nobody knows."""
        self.kernel.stop()
        yield 0.0


_FAULTS: list[Fault] = []


def fault(
    rule: str, shape: str, scenario: str
) -> Callable[[Callable[[Injector], None]], Callable[[Injector], None]]:
    """Enter a function as a fault; its docstring says what goes wrong."""

    def enter(inject: Callable[[Injector], None]) -> Callable[[Injector], None]:
        _FAULTS.append(Fault(rule, shape, " ".join((inject.__doc__ or "").split()), scenario, inject))
        return inject

    return enter


@cache
def all_faults() -> dict[str, tuple[Fault, ...]]:
    """Return all faults by rule."""
    for name in MODULES:
        import_module(f"kmclcheck.engines.simulate.faults.{name}")
    found: dict[str, tuple[Fault, ...]] = {}
    for one in _FAULTS:
        found[one.rule] = (*found.get(one.rule, ()), one)
    return dict(sorted(found.items()))
