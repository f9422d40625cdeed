"""Counting events for the overview of a trace, while an engine reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kmclcheck.cli.check import _checker, _monitor_options
from kmclcheck.cli.metering import metered
from kmclcheck.cli.progress import Progress
from kmclcheck.cli.specs import load_specs
from kmclcheck.traces import open_trace

TRACE = Path(__file__).parents[2] / "traces" / "wrong-free-in-flight.kmtrace"


@pytest.mark.parametrize(("engine", "repairs"), [("monitor", None), ("monitor", 5.0), ("graph", None)])
def test_every_event_is_counted_once(engine: str, repairs: float | None) -> None:
    spec = load_specs(())
    checker = _checker(spec, _monitor_options(spec, "core", (), (), 1.0), engine, 60.0, repairs)
    plain = checker(open_trace(str(TRACE)), Progress(enabled=False))
    counted = metered(checker)(open_trace(str(TRACE)), Progress(enabled=False))
    assert plain.density is None
    assert counted.density is not None
    assert sum(counted.density.counts) == counted.events == plain.events
    assert [f.rule for f in counted.findings] == [f.rule for f in plain.findings]
    (finding,) = counted.findings
    assert finding.event is not None
    place = counted.density.place(finding.event.time, finding.event.line)
    assert place is not None
    assert counted.density.counts[place]
