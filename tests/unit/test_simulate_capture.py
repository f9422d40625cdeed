"""What captures of every shape hold, and that the checker finds no fault in what is none."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest

from kmclcheck.engines.simulate import VIEWS, EndError, Outcome, Shape, records_until, simulate
from kmclcheck.engines.simulate.drivers.common import ChannelDriver
from kmclcheck.engines.simulate.kernel import Signal, Task, Thread
from kmclcheck.engines.simulate.scenarios import SCENARIOS, Scenario
from kmclcheck.model.event import End, Event, Loss, Phase, Start, TraceInfo
from kmclcheck.traces import is_declared, read_text
from kmclcheck.traces.base import Item
from tests.support.checking import faults

SHAPES = {
    "whole": Shape(),
    "host": Shape("host"),
    "guest": Shape("guest"),
    **{f"L{level}": Shape("guest", level) for level in range(5)},
    "midlife": Shape("host", from_event=60),
    "marked losses": Shape(drop_rate=0.03),
    "gaps": Shape(drop_rate=0.03, markers=False),
    "skewed": Shape(skew=700),
    "unnumbered": Shape("host", sequence=False),
    "unnumbered at both": Shape(sequence=False),
    "one processor": Shape(cpus=1),
    "bad": Shape("host", 2, from_event=30, drop_rate=0.1, skew=5000),
}


def trace(seed: int, shape: Shape = Shape(), events: int | None = None, end: str | None = None) -> str:  # noqa: B008
    return run(seed, shape, events, end)[0]


def run(
    seed: int, shape: Shape, events: int | None = None, end: str | None = None, scenario: str = "echo"
) -> tuple[str, Outcome]:
    stream = io.StringIO()
    outcome = simulate(scenario, seed, stream, shape, events, end=end)
    return stream.getvalue(), outcome


def read(text: str) -> tuple[list[Item], TraceInfo]:
    """Read a trace that nothing is wrong with."""
    reader = read_text(text)
    items = list(reader)
    assert not reader.problems
    return items, reader.info


def events_of(text: str) -> list[Event]:
    return [item for item in read(text)[0] if isinstance(item, Event)]


def calls(text: str) -> list[tuple[str, str, Phase]]:
    return [(e.endpoint, e.name, e.phase) for e in events_of(text)]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_same_seed_same_text_and_no_findings(shape: Shape) -> None:
    for seed in range(6):
        text, outcome = run(seed, shape)
        assert run(seed, shape)[0] == text
        items, info = read(text)
        assert sum(isinstance(item, Event) for item in items) == outcome.events > 0
        assert info.end is End.UNLOADED
        assert info.start is (Start.MIDLIFE if shape.from_event else Start.KNOWN)
        assert not faults(text), seed
        assert not faults(trace(seed, shape, end="stopped")), seed


def test_clocks_alone_tell_the_order() -> None:
    for seed in range(12):
        assert not faults(trace(seed, Shape("host", skew=3000, sequence=False)))


def test_seeds_differ() -> None:
    assert len({trace(seed) for seed in range(4)}) == 4


@pytest.mark.parametrize("level", range(6))
def test_levels(level: int) -> None:
    text = trace(3, Shape("both", level))
    events = events_of(text)
    _, info = read(text)
    exits = [e for e in events if e.phase in (Phase.RET, Phase.OUT)]
    assert bool(exits) == (level >= 1)
    assert any(e.status is not None for e in events) == (level >= 1)
    assert all((e.tid is not None) == (level >= 2) for e in events)
    assert all((e.irql is not None) == (level >= 3) for e in events)
    assert all(e.cpu is not None and e.time is not None for e in events)
    assert any("BufferLength" in e.args for e in events) == (level >= 4)
    assert any("Channel" in e.args for e in events)
    assert is_declared(info, "VmbChannelEnable", Phase.CALL, callback=False)
    assert is_declared(info, "VmbChannelEnable", Phase.RET, callback=False) == (level >= 1)
    assert is_declared(info, "EvtVmbChannelOpened", Phase.OUT, callback=True) == (level >= 1)
    assert f"level L{level}" in text


def test_the_run_is_the_same_for_every_shape() -> None:
    whole = calls(trace(5))
    for name in ("L1", "marked losses", "gaps", "skewed", "unnumbered at both"):
        shape = SHAPES[name]
        seen, rest = calls(trace(5, shape)), iter(whole)
        if shape.view != "both":
            seen = [(shape.view, *call[1:]) for call in seen]
        # Each is looked for behind the one before.
        assert all(call in rest for call in seen), name
    assert calls(trace(5, Shape(from_event=40)))[:5] == whole[40:45]


@pytest.mark.parametrize("view", VIEWS)
def test_views(view: str) -> None:
    endpoints = {e.endpoint for e in events_of(trace(1, Shape(view)))}
    assert endpoints == ({"host", "guest"} if view == "both" else {""})


def test_losses() -> None:
    marked, gaps = trace(2, Shape(drop_rate=0.1)), trace(2, Shape(drop_rate=0.1, markers=False))
    whole = len(events_of(trace(2)))
    assert "%lost" in marked
    for text in (marked, gaps):
        items, _ = read(text)
        lost = [item for item in items if isinstance(item, Loss)]
        assert lost
        assert sum(item.count or 0 for item in lost) + len(events_of(text)) == whole
    numbers = [e.seq for e in events_of(marked) if e.endpoint == "host"]
    assert numbers == list(range(1, len(numbers) + 1))


def test_clocks() -> None:
    skewed = trace(2, Shape(skew=2000))
    assert "%clock resolution=1ns skew=2000ns\n" in skewed
    assert read(skewed)[1].window == 2001
    true = {(e.endpoint, e.seq): e.time for e in events_of(trace(2))}
    off: dict[tuple[str, int | None], set[int]] = {}
    for e in events_of(skewed):
        off.setdefault((e.endpoint, e.cpu), set()).add((e.time or 0) - (true[e.endpoint, e.seq] or 0))
    # Rounding may move a time by one.
    assert all(max(values) - min(values) <= 1 and min(values) >= 0 for values in off.values())
    assert max(max(values) for values in off.values()) <= 2001
    assert len({min(values) for values in off.values()}) > 1
    merged = events_of(trace(2, Shape(skew=2000, sequence=False)))
    assert all(e.seq is None for e in merged)
    assert all((a.time or 0) <= (b.time or 0) for a, b in pairwise(merged))


def test_events_end_the_capture() -> None:
    whole = trace(4).splitlines()
    for count in (0, 1, 100):
        text, outcome = run(4, Shape(), count)
        assert (outcome.events, outcome.end) == (count, "stopped")
        assert text.splitlines() == [*whole[: 4 + count], "%end stopped"]
    shape = Shape(drop_rate=0.2, sequence=False, skew=900)
    assert len(events_of(trace(4, shape, 50))) == 50


def test_a_cut_is_where_the_seed_decides() -> None:
    lengths = {run(seed, Shape(), end="stopped")[1].events for seed in range(5)}
    assert len(lengths) > 2
    assert read(trace(1, end="stopped"))[1].end is End.STOPPED
    assert run(1, Shape(), 7, "stopped")[1].events == 7


class _Stuck(ChannelDriver):
    """Waits for what never comes."""

    def main(self, t: Thread) -> Task:
        yield from self.create(t)
        yield Signal(self.kernel)


def test_a_run_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = Scenario("stuck", "Hangs.", lambda sim: sim.plug(_Stuck(sim.guest, sim.link())))
    monkeypatch.setitem(SCENARIOS, "stuck", stuck)
    text, outcome = run(1, Shape(), scenario="stuck", end="hung")
    assert outcome.end == "hung"
    assert outcome.hanging == ("_Stuck at guest",)
    assert text.endswith("%end hung\n")
    # At the other endpoint nothing hangs.
    assert run(1, Shape("host"), scenario="stuck")[1].end == "unloaded"
    with pytest.raises(EndError, match="it ends hung"):
        records_until("unloaded", "stuck", 1)
    with pytest.raises(EndError, match="it ends unloaded"):
        trace(1, end="hung")


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"view": "left"}, "both, host, guest"),
        ({"level": 6}, "L0 to L5"),
        ({"level": 5, "view": "guest"}, "only one"),
        ({"from_event": -1}, "from 0 on"),
        ({"drop_rate": 1.0}, "below 1"),
        ({"drop_rate": float("nan")}, "below 1"),
        ({"cpus": 0}, "processors"),
        ({"skew": -1}, "skew"),
        ({"skew": 5, "cpus": 1}, "only one"),
        ({"drop_rate": 0.1, "markers": False, "sequence": False}, "unseen"),
    ],
)
def test_impossible_shapes(wrong: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Shape(**wrong)  # type: ignore[arg-type]
