"""Runs from the beginning to the end, of whatever can be set up."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from typing import Protocol, TextIO

from kmclcheck.engines.simulate.capture import Mark, Shape
from kmclcheck.engines.simulate.scenarios import SCENARIOS
from kmclcheck.engines.simulate.simulation import Simulation

ENDS = ("unloaded", "stopped", "hung")


class Source(Protocol):
    """Something that runs: its text is its name. ``breaks``: the rule that it breaks on purpose, if any.

    ``limit``: after how many nanoseconds a run is given up.
    """

    @property
    def breaks(self) -> str: ...

    @property
    def limit(self) -> float: ...

    def setup(self, sim: Simulation) -> None:
        """Plug the drivers in."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many records were written, why the trace ends, and the drivers in which a call never returned.

    ``marked``: a fault showed in the run. ``place``: where in the trace, if it was captured.
    """

    events: int
    end: str
    hanging: tuple[str, ...]
    marked: bool = False
    place: Mark | None = None


class EndError(ValueError):
    """The run does not end as it was asked to."""


def simulate(
    source: str | Source,
    seed: int,
    stream: TextIO,
    shape: Shape = Shape(),  # noqa: B008 - frozen, so it can be shared
    events: int | None = None,
    *,
    end: str | None = None,
) -> Outcome:
    """Write the trace of a run to the stream; the same arguments give the same text.

    ``source`` may be the name of a scenario. ``events``: stop after so many records. ``end``: how the trace
    has to end; see ``records_until``.
    """
    if end is not None:
        events = records_until(end, source, seed, shape, events)
    one = SCENARIOS[source] if isinstance(source, str) else source
    note = f"simulated: {one}, seed {seed}, level L{shape.depth}"
    sim = Simulation(seed, stream, shape, events, note, one.breaks)
    one.setup(sim)
    hanging = sim.run(one.limit)
    capture = sim.capture
    assert capture.end is not None
    names = tuple(f"{type(driver).__name__} at {driver.lib.endpoint.name}" for driver in hanging)
    return Outcome(capture.events, capture.end, names, capture.marked, capture.place)


def rehearse(source: str | Source, seed: int, shape: Shape, events: int | None = None) -> Outcome:
    """Run for nobody to see."""
    return simulate(source, seed, _Nowhere(), shape, events)


def records_until(
    end: str,
    source: str | Source,
    seed: int,
    shape: Shape = Shape(),  # noqa: B008 - frozen, so it can be shared
    events: int | None = None,
) -> int | None:
    """Return after how many records to stop, if at all, so that the trace ends as asked.

    "stopped" without ``events`` cuts it where the seed decides. Raises ``EndError`` if the run does not end
    "unloaded" or "hung", whichever was asked. How a run ends, and how long it is, shows only at its end: so
    it is rehearsed.
    """
    if end == "stopped" and events is not None:
        return events
    trial = rehearse(source, seed, shape, events)
    if end == "stopped":
        return random.Random(f"end {seed}").randrange(trial.events) if trial.events else 0
    if trial.end != end:
        raise EndError(f"this run does not end {end}: it ends {trial.end}")
    return events


class _Nowhere(io.TextIOBase, TextIO):
    """Takes text and keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)
