"""Runs the monitor on a trace text and gives what tests compare."""

from __future__ import annotations

from functools import cache

from kmclcheck.engines.monitor import Options
from kmclcheck.engines.replay import check
from kmclcheck.model.finding import TraceResult
from kmclcheck.model.spec import Spec
from kmclcheck.speclang import bundled_spec
from kmclcheck.traces import read_text

Place = int | str


@cache
def _spec() -> Spec:
    return bundled_spec()


def result_of(text: str) -> TraceResult:
    """Check a trace text; slices are left out, for they have tests of their own."""
    return check(_spec(), Options(slice_budget=0.0), read_text(text))


def found(result: TraceResult) -> list[tuple[str, Place, int]]:
    """Return rule, line or ``"end"``, and handle of every finding."""
    places = [(f.rule, "end" if f.event is None else f.event.line, f.object.handle) for f in result.findings]
    return sorted(places, key=str)


def faults(text: str) -> set[tuple[str, int]]:
    """Return rule and handle of every finding."""
    return {(rule, handle) for rule, _, handle in found(result_of(text))}
