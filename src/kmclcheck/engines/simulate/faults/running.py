"""Runs with a fault in them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar

from kmclcheck.engines.simulate.capture import Shape
from kmclcheck.engines.simulate.faults.injector import Fault, Injector
from kmclcheck.engines.simulate.running import rehearse
from kmclcheck.engines.simulate.scenarios import SCENARIOS
from kmclcheck.engines.simulate.simulation import Simulation


@dataclass(frozen=True, slots=True)
class FaultyRun:
    """A scenario with one fault. ``turn``: at which occasion it happens; ``None``: the seed decides."""

    # What a broken library does next may go on for ever.
    limit: ClassVar[float] = 5e8

    fault: Fault
    seed: int
    turn: int | None = None

    @property
    def breaks(self) -> str:
        return self.fault.rule

    def __str__(self) -> str:
        return f"{self.fault.scenario} with a fault ({self.fault.shape}): {self.fault.doc.removesuffix('.')}"

    def setup(self, sim: Simulation) -> None:
        """Plug the drivers in, one of them or the library faulty."""
        SCENARIOS[self.fault.scenario].setup(sim)
        self.fault.inject(Injector(sim, self.seed, self.turn))


class NoOccasionError(ValueError):
    """The run has no occasion for the fault."""


def faulty_run(fault: Fault, seed: int, cpus: int = 4) -> FaultyRun:
    """Return a run in which the fault shows. Raises NoOccasionError.

    Where the run has fewer occasions than the seed asks for, the first one is taken.
    """
    for turn in (None, 0):
        run = FaultyRun(fault, seed, turn)
        if rehearse(run, seed, Shape(cpus=cpus)).marked:
            return run
    raise NoOccasionError(f"with seed {seed} this run has no occasion to break {fault.rule}")


def choose(faults: tuple[Fault, ...], seed: int) -> Fault:
    """Let the seed decide between the faults that break a rule."""
    return random.Random(f"fault {seed}").choice(faults)
