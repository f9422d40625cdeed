"""Random workloads: pairs of drivers come and go on many channels, for as long as one likes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kmclcheck.engines.simulate.kernel import Task
from kmclcheck.engines.simulate.scenarios import SCENARIOS, Scenario
from kmclcheck.engines.simulate.simulation import Simulation


@dataclass(frozen=True, slots=True)
class Workload:
    """Scenarios without faults, one after another in each of ``channels`` places, in parallel.

    After ``events`` records, at both endpoints together and whether they are captured or not, none begins
    any more, and the run ends when those that have begun are over. Without ``events`` it goes on for ever.
    """

    events: int | None = 10_000
    channels: int = 8
    breaks: ClassVar[str] = ""
    limit: ClassVar[float] = float("inf")

    def __str__(self) -> str:
        return f"workload on {self.channels} channels"

    def setup(self, sim: Simulation) -> None:
        """Plug the drivers in, as time goes by."""
        kinds = [one for one in SCENARIOS.values() if not one.faulty]
        for _ in range(self.channels):
            sim.kernel.resume(self._place(sim, kinds), sim.kernel.random() * 100_000)

    def _place(self, sim: Simulation, kinds: list[Scenario]) -> Task:
        """Set up one scenario after another, each when the drivers of the one before are gone."""
        rng = sim.kernel.rng
        while self.events is None or sim.records < self.events:
            before = len(sim.drivers)
            rng.choice(kinds).setup(sim)
            mine = sim.drivers[before:]
            while not all(driver.done for driver in mine):
                yield sim.ended
