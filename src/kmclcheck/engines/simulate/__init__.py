"""The reference simulator: a model of the library and of drivers, written from the reference alone."""

from __future__ import annotations

from kmclcheck.engines.simulate.capture import VIEWS, Mark, Shape
from kmclcheck.engines.simulate.running import ENDS, EndError, Outcome, Source, records_until, simulate
from kmclcheck.engines.simulate.scenarios import SCENARIOS
from kmclcheck.engines.simulate.workload import Workload

__all__ = [
    "ENDS", "SCENARIOS", "VIEWS", "EndError", "Mark", "Outcome", "Shape", "Source", "Workload",
    "records_until", "simulate",
]  # fmt: skip
