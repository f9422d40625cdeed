"""Random workloads: pairs of drivers come and go on many channels, until there are enough events."""

from __future__ import annotations

from kmclcheck.engines.simulate.kernel import Task
from kmclcheck.engines.simulate.scenarios import SCENARIOS, Scenario
from kmclcheck.engines.simulate.simulation import Simulation


def plug_workload(sim: Simulation, events: int, channels: int) -> None:
    """Keep so many places busy until so many events were written; what has begun then still ends."""
    kinds = [one for one in SCENARIOS.values() if not one.faulty]
    for _ in range(channels):
        sim.kernel.resume(_place(sim, kinds, events), sim.kernel.random() * 100_000)


def _place(sim: Simulation, kinds: list[Scenario], events: int) -> Task:
    """Set up one scenario after another, each when the drivers of the one before are gone."""
    rng = sim.kernel.rng
    while sim.records < events:
        before = len(sim.drivers)
        rng.choice(kinds).setup(sim)
        mine = sim.drivers[before:]
        while not all(driver.done for driver in mine):
            yield sim.ended
        for driver in mine:
            # A long run has no use for drivers that are gone.
            sim.drivers.remove(driver)
