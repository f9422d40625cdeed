"""The reference simulator: a model of the library and of drivers, written from the reference alone."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from typing import TextIO

from kmclcheck.engines.simulate.capture import VIEWS, Shape
from kmclcheck.engines.simulate.scenarios import SCENARIOS
from kmclcheck.engines.simulate.simulation import Simulation
from kmclcheck.engines.simulate.workload import Workload

__all__ = [
    "ENDS", "SCENARIOS", "VIEWS", "EndError", "Outcome", "Shape", "Source", "Workload", "records_until",
    "simulate",
]  # fmt: skip

ENDS = ("unloaded", "stopped", "hung")

Source = str | Workload
"""What runs: a scenario, by its name, or a workload."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many records were written, why the trace ends, and the drivers in which a call never returned."""

    events: int
    end: str
    hanging: tuple[str, ...]


class EndError(ValueError):
    """The run does not end as it was asked to."""


def simulate(
    source: Source,
    seed: int,
    stream: TextIO,
    shape: Shape = Shape(),  # noqa: B008 - frozen, so it can be shared
    events: int | None = None,
    *,
    end: str | None = None,
) -> Outcome:
    """Write the trace of a run to the stream; the same arguments give the same text.

    ``events``: stop after so many records. ``end``: how the trace has to end; see ``records_until``.
    """
    if end is not None:
        events = records_until(end, source, seed, shape, events)
    return _run(source, seed, stream, shape, events)


def records_until(
    end: str,
    source: Source,
    seed: int,
    shape: Shape = Shape(),  # noqa: B008 - frozen, so it can be shared
    events: int | None = None,
) -> int | None:
    """Return after how many records to stop, if at all, so that the trace ends as asked.

    "stopped" without ``events`` cuts it where the seed decides. Raises ``EndError`` if the run does not end
    "unloaded" or "hung", whichever was asked. How a run ends, and how long it is, shows only at its end: so
    it runs once for nobody to see.
    """
    if end == "stopped" and events is not None:
        return events
    trial = _run(source, seed, _Nowhere(), shape, events)
    if end == "stopped":
        return random.Random(f"end {seed}").randrange(trial.events) if trial.events else 0
    if trial.end != end:
        raise EndError(f"this run does not end {end}: it ends {trial.end}")
    return events


def _run(source: Source, seed: int, stream: TextIO, shape: Shape, events: int | None) -> Outcome:
    sim = Simulation(seed, stream, shape, events, f"simulated: {source}, seed {seed}, level L{shape.depth}")
    (source if isinstance(source, Workload) else SCENARIOS[source]).setup(sim)
    hanging = sim.run()
    capture = sim.capture
    assert capture.end is not None
    names = tuple(f"{type(driver).__name__} at {driver.lib.endpoint.name}" for driver in hanging)
    return Outcome(capture.events, capture.end, names)


class _Nowhere(io.TextIOBase, TextIO):
    """Takes text and keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)
