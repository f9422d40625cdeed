"""A trace that shows less gives fewer findings, never others.

Conforming traces (the samples, random workloads, overlapping calls) give no finding however they are
cut, thinned or stripped; faulty ones give none but their own. ``KMCLCHECK_EXAMPLES`` multiplies the work.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from functools import cache

import pytest

from kmclcheck.model.event import Event, Phase, Start
from tests.support import manipulate
from tests.support.checking import faults
from tests.support.conforming import CONFORMING
from tests.support.detection_table import MANIPULATIONS, measure, surplus, wrong_samples
from tests.support.overlaps import CASES, variants
from tests.support.tracebuilder import Trace
from tests.support.workload import make
from tests.support.write_samples import build

FACTOR = int(os.environ.get("KMCLCHECK_EXAMPLES", "1"))
WORKLOADS = 3 * FACTOR

CHANGES = (
    manipulate.no_tid,
    manipulate.no_irql,
    manipulate.no_status,
    manipulate.no_scalars,
    manipulate.no_return_handles,
)


@cache
def _trace(name: str) -> Trace:
    kind, _, seed = name.partition(":")
    if kind == "workload":
        number = int(seed)
        # Most are short, so that many cuts and losses are affordable.
        return make(number, channels=1 + number % 3, length=1 + number % 2)
    return build(CONFORMING[name])


NAMES = [*CONFORMING, *(f"workload:{seed}" for seed in range(WORKLOADS))]
all_traces = pytest.mark.parametrize("name", NAMES)


def _rng(name: str, salt: str) -> random.Random:
    return random.Random(f"{name}/{salt}")


def _some(total: int, most: int, rng: random.Random) -> list[int]:
    """Every number below ``total``, or a sample of them if there are too many."""
    most *= FACTOR
    return list(range(total)) if total <= most else sorted(rng.sample(range(total), most))


def _kinds(trace: Trace) -> list[tuple[str, Phase]]:
    return sorted({(e.name, e.phase) for e in trace.events}, key=str)


@all_traces
def test_whole_trace_has_no_finding(name: str) -> None:
    assert faults(_trace(name).text()) == set()


@pytest.mark.parametrize("seed", range(12 * FACTOR))
def test_workloads_have_no_finding(seed: int) -> None:
    assert faults(make(10_000 + seed).text()) == set()


@all_traces
def test_cut_from_the_front(name: str) -> None:
    trace = _trace(name)
    for at in _some(len(trace.events), 10, _rng(name, "cut")):
        assert faults(manipulate.cut(trace, at)) == set(), at


@all_traces
@pytest.mark.parametrize("marked", [True, False], ids=["marker", "gap"])
def test_losses(name: str, marked: bool) -> None:
    trace = _trace(name)
    rng = _rng(name, f"loss {marked}")
    total = len(trace.events)
    for at in _some(total, 6, rng):
        block = range(at, min(total, at + rng.choice((1, 1, 1, 2, 5, 20))))
        assert faults(manipulate.without(trace, block, marked)) == set(), block
    for _ in range(4 * FACTOR):
        share = rng.choice((0.02, 0.1, 0.3, 0.7))
        gone = [i for i in range(total) if rng.random() < share]
        assert faults(manipulate.without(trace, gone, marked)) == set(), gone


@pytest.mark.parametrize("name", list(CASES))
def test_overlapping_calls_in_every_order(name: str) -> None:
    for trace in variants(name):
        assert faults(trace.text()) == set(), trace.text()


@all_traces
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
def test_kinds_that_are_not_recorded(name: str, declared: bool) -> None:
    trace = _trace(name)
    rng = _rng(name, f"kinds {declared}")
    kinds = _kinds(trace)
    names = sorted({n for n, _ in kinds})
    subsets: list[list[tuple[str, Phase]]] = [[(n, p) for n, p in kinds if n == gone] for gone in names]
    subsets += [[(n, p) for n, p in kinds if n == gone and p in (Phase.RET, Phase.OUT)] for gone in names]
    rng.shuffle(subsets)
    subsets = subsets[: 4 * FACTOR]
    subsets.append([(n, p) for n, p in kinds if n.startswith("Evt")])
    subsets.append([(n, p) for n, p in kinds if p is Phase.OUT])
    subsets.append([(n, p) for n, p in kinds if p is Phase.RET])
    for _ in range(4 * FACTOR):
        share = rng.choice((0.1, 0.3, 0.6, 0.9))
        subsets.append([kind for kind in kinds if rng.random() < share])
    for gone in subsets:
        assert faults(manipulate.without_kinds(trace, gone, declared)) == set(), gone


@all_traces
def test_observation_levels(name: str) -> None:
    trace = _trace(name)
    for level in manipulate.LEVELS:
        assert faults(manipulate.level(trace, level)) == set(), level
    for declared in (True, False):
        assert faults(manipulate.entries_only(trace, declared)) == set()


@all_traces
def test_columns_that_are_missing(name: str) -> None:
    trace = _trace(name)
    rng = _rng(name, "columns")
    for change in CHANGES:
        for records in ("all", None):
            assert faults(manipulate.columns(trace, change, records)) == set(), change.__name__
    for _ in range(3 * FACTOR):
        # A tracer may know a column for some of its records only.
        share = rng.random()
        chosen = [c for c in CHANGES if rng.random() < 0.5]

        def sometimes(event: Event) -> Event:
            for change in chosen:  # noqa: B023 (used within the iteration)
                if rng.random() < share:  # noqa: B023
                    event = change(event)
            return event

        text = manipulate.columns(trace, sometimes)
        assert faults(text) == set(), text


def _combined(trace: Trace, rng: random.Random) -> str:
    """Several of the manipulations at once."""
    reduced = Trace(start=trace.start, end=trace.end)
    kinds = _kinds(trace)
    gone = {kind for kind in kinds if rng.random() < 0.2}
    chosen = [c for c in CHANGES if rng.random() < 0.3]
    for event in trace.events:
        if (event.name, event.phase) in gone:
            continue
        for change in chosen:
            event = change(event)
        reduced.lines.append(event)
    reduced.lines = list(manipulate.renumbered(reduced.lines))
    words = " ".join(["all", *(f"-{n}.{p.value}" for n, p in sorted(gone, key=str))])
    events = reduced.events
    start = rng.randrange(len(events) + 1) if rng.random() < 0.5 else 0
    begin = Start.MIDLIFE if start else trace.start
    events = events[start:]
    # What is lost before the first number or after the last one leaves no gap.
    stay = manipulate.outermost(events)
    lines: list[Event | str] = [e for i, e in enumerate(events) if i in stay or rng.random() > 0.03]
    return manipulate.text(lines, begin, trace.end, rng.choice((words, None)))


@all_traces
def test_everything_at_once(name: str) -> None:
    trace = _trace(name)
    rng = _rng(name, "combined")
    for _ in range(6 * FACTOR):
        text = _combined(trace, rng)
        assert faults(text) == set(), text


def _reductions(trace: Trace, rng: random.Random) -> Iterator[str]:
    for at in _some(len(trace.events), 4, rng):
        yield manipulate.cut(trace, at)
    for _ in range(3 * FACTOR):
        gone = [i for i in range(len(trace.events)) if rng.random() < 0.1]
        yield manipulate.without(trace, gone, rng.random() < 0.5)
    for _ in range(3 * FACTOR):
        kinds = [kind for kind in _kinds(trace) if rng.random() < 0.3]
        yield manipulate.without_kinds(trace, kinds, rng.random() < 0.5)
    for _ in range(3 * FACTOR):
        yield _combined(trace, rng)


@pytest.mark.parametrize("name", list(wrong_samples()))
def test_faulty_traces_show_no_other_fault(name: str) -> None:
    trace = wrong_samples()[name]
    for text in _reductions(trace, _rng(name, "faulty")):
        assert surplus(faults(text), trace) == set(), text


LEAST = {
    "nothing left out": 1.0,
    "cut before the object": 0.9,
    "cut half way to the fault": 0.6,
    "cut four events before the fault": 0.5,
    "three early events lost": 0.7,
    "three random events lost": 0.4,
    "no %records line": 0.25,
    "state callbacks not recorded": 0.6,
    "entries only": 0.15,
    "no thread ids": 0.8,
    "no IRQL": 0.9,
    "no status": 0.6,
    "no scalar arguments": 0.75,
    "no handles at returns": 1.0,
    "level L0": 0.1,
    "level L1": 0.6,
    "level L2": 0.7,
    "level L3": 0.75,
    "level L4": 1.0,
}
"""The share of faults that has to be found at least. Far less would mean that a loss blinds the check."""


@pytest.mark.parametrize("name", list(MANIPULATIONS))
def test_faults_are_still_found(name: str) -> None:
    hits, total, alarms = measure(MANIPULATIONS[name])
    print(f"{name}: {hits:.1f} of {total} seeded faults found")  # shown with pytest -rP
    assert alarms == {}
    assert hits >= LEAST[name] * total
