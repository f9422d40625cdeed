"""What traces cover: counted by hand on tiny traces, and by the readable stepper on the samples."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from kmclcheck.engines.coverage import Coverage, Coverer, Universe
from kmclcheck.engines.simulate import Shape, simulate
from kmclcheck.model.spec import Spec
from kmclcheck.semantics.index import build_index
from kmclcheck.speclang import bundled_spec, load_spec
from kmclcheck.traces import TraceReader, open_trace, read_text
from kmclcheck.traces.base import Item
from tests.support.stepper_coverage import stepped

SAMPLES = sorted((Path(__file__).resolve().parents[2] / "traces").glob("*.kmtrace"))
SOME = SAMPLES[::5]

SPEC = """
spec demo "Demonstration"
status STATUS_SUCCESS = 0x00000000
status STATUS_FAIL = 0xC0000001
object file HANDLE {
    field life : { None, Open, Held, Closed } = None dead { Closed } absent { None }
    field kept : bool = false
}
object thread { field marked : bool = false }
function FileOpen(out File: HANDLE) : NTSTATUS { role either  interface "v1" }
function FileRead(in File: HANDLE) : NTSTATUS { role either  interface "v1" }
function FileHold(in File: HANDLE) : NTSTATUS { role either  interface "v1" }
function FileClose(in File: HANDLE) { role either  interface "v1" }
machine file.life {
    None -> Open on FileOpen.ret when succeeded
    Open -> same on FileRead.call
    Open -> Open, Held on FileHold.ret when succeeded
    Open -> same on FileHold.ret when failed
    Open, Held -> Closed on FileClose.ret
}
machine file.kept {
    false -> true on FileHold.call
}
births file {
    on FileOpen.ret when succeeded
}
"""
HEAD = "%kmtrace 1\n%start known\n%end stopped\n%records all\n"
OPEN = "call FileOpen tid=1\nret FileOpen tid=1 File=0x10 status=STATUS_SUCCESS\n"
READ = "call FileRead tid=1 File=0x10\nret FileRead tid=1 File=0x10 status=STATUS_SUCCESS\n"
HOLD = "call FileHold tid=1 File=0x10\nret FileHold tid=1 File=0x10 status={}\n"
CLOSE = "call FileClose tid=1 File=0x10\nret FileClose tid=1 File=0x10\n"

Edge = tuple[str, str, str, str]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Universe:
    path = tmp_path_factory.mktemp("spec") / "demo.kmcl"
    path.write_text(SPEC)
    return Universe(load_spec([path]), ())


def covered(universe: Universe, *readers: TraceReader) -> Coverage:
    coverer = Coverer(universe)
    for reader in readers:
        coverer.cover(reader)
    return coverer.total


def states(coverage: Coverage, machine: str) -> dict[str, tuple[int, int]]:
    return {s.value: (c.certain, c.perhaps) for s, c in coverage.states_of(machine)}


def edges(coverage: Coverage, machine: str) -> dict[tuple[str, str, str], tuple[int, int]]:
    return {
        (e.source, e.event, "|".join(e.targets)): (c.certain, c.perhaps)
        for e, c in coverage.edges_of(machine)
        if c.certain or c.perhaps
    }


def test_every_line_at_every_source_is_a_transition(demo: Universe) -> None:
    assert [(e.source, e.event, e.guard, e.targets) for e in demo.edges if e.machine == "file.life"] == [
        ("None", "FileOpen.ret", "succeeded", ("Open",)),
        ("Open", "FileRead.call", "", ("Open",)),
        ("Open", "FileHold.ret", "succeeded", ("Open", "Held")),
        ("Open", "FileHold.ret", "failed", ("Open",)),
        ("Open", "FileClose.ret", "", ("Closed",)),
        ("Held", "FileClose.ret", "", ("Closed",)),
    ]
    # A field without a machine never moves, so there is nothing to cover.
    assert {s.machine for s in demo.states} == {"file.life", "file.kept"}


def test_counts_of_a_whole_life(demo: Universe) -> None:
    text = HEAD + OPEN + READ + READ + HOLD.format("STATUS_SUCCESS") + CLOSE
    coverage = covered(demo, read_text(text))
    # What is certain at a record is not perhaps as well: before the return of FileHold the file was Open.
    assert states(coverage, "file.life") == {
        "None": (1, 0), "Open": (7, 2), "Held": (0, 3), "Closed": (1, 0),
    }  # fmt: skip
    assert states(coverage, "file.kept") == {"false": (6, 0), "true": (4, 0)}
    assert edges(coverage, "file.life") == {
        ("None", "FileOpen.ret", "Open"): (1, 0),
        ("Open", "FileRead.call", "Open"): (2, 0),
        ("Open", "FileHold.ret", "Open|Held"): (1, 0),
        ("Open", "FileClose.ret", "Closed"): (0, 1),
        ("Held", "FileClose.ret", "Closed"): (0, 1),
    }
    assert edges(coverage, "file.kept") == {("false", "FileHold.call", "true"): (1, 0)}
    assert {n: (e.entries, e.exits) for n, e in coverage.events.items()} == {
        "FileOpen": (1, 1), "FileRead": (2, 2), "FileHold": (1, 1), "FileClose": (1, 1),
    }  # fmt: skip
    # Of the six lines, four move the value.
    share, stays = coverage.edge_share(["file.life"]), coverage.stay_share(["file.life"])
    assert (share.covered, share.total, share.perhaps) == (2, 4, 2)
    assert (stays.covered, stays.total, stays.perhaps) == (1, 2, 0)


def test_an_object_first_seen_in_mid_life_counts_when_it_is_known(demo: Universe) -> None:
    text = HEAD.replace("known", "midlife") + READ + CLOSE
    coverage = covered(demo, read_text(text))
    assert states(coverage, "file.life") == {
        "None": (0, 1), "Open": (4, 0), "Held": (0, 1), "Closed": (1, 1),
    }  # fmt: skip
    assert edges(coverage, "file.life") == {
        ("Open", "FileRead.call", "Open"): (0, 1),
        ("Open", "FileClose.ret", "Closed"): (1, 0),
    }
    # Whether it was ever held is not known.
    assert states(coverage, "file.kept") == {"false": (0, 4), "true": (0, 4)}


def test_a_guard_that_the_trace_does_not_decide_is_perhaps(demo: Universe) -> None:
    coverage = covered(demo, read_text(HEAD + OPEN + "call FileHold tid=1 File=0x10\nret FileHold tid=1\n"))
    found = edges(coverage, "file.life")
    assert found["Open", "FileHold.ret", "Open|Held"] == (0, 1)
    assert found["Open", "FileHold.ret", "Open"] == (0, 1)


class _LostAtTheEnd(TraceReader):
    """A trace that says after its last record that events are missing somewhere."""

    def __init__(self, inner: TraceReader) -> None:
        super().__init__(inner.info)
        self._inner = inner

    @property
    def bytes_read(self) -> int:
        return self._inner.bytes_read

    def __iter__(self) -> Iterator[Item]:
        yield from self._inner
        self.info.lost_anywhere = True


def test_nothing_is_certain_where_events_may_be_missing_anywhere(demo: Universe) -> None:
    coverage = covered(demo, _LostAtTheEnd(read_text(HEAD + OPEN + READ)))
    assert edges(coverage, "file.life") == {
        ("None", "FileOpen.ret", "Open"): (0, 1),
        ("Open", "FileRead.call", "Open"): (0, 1),
    }
    assert coverage.events["FileRead"].entries == 1
    assert coverage.edge_share(["file.life"]).covered == 0


def test_coverage_of_several_traces_adds_up(demo: Universe) -> None:
    texts = [HEAD + OPEN + READ, HEAD + OPEN + HOLD.format("STATUS_FAIL")]
    both = covered(demo, *map(read_text, texts))
    one, other = (covered(demo, read_text(text)) for text in texts)
    one.add(other)
    assert one == both
    assert edges(both, "file.life") == {
        ("None", "FileOpen.ret", "Open"): (2, 0),
        ("Open", "FileRead.call", "Open"): (1, 0),
        ("Open", "FileHold.ret", "Open"): (1, 0),
    }
    assert (both.traces, both.records) == (2, 8)


@cache
def _bundled() -> tuple[Spec, Universe]:
    spec = bundled_spec()
    return spec, Universe(spec, [r.id for r in spec.rules.values() if r.profile.value == "core"])


def _agree(read: TraceReader, again: TraceReader) -> Coverage:
    """Assert that monitor and stepper count the same; return what they counted."""
    spec, universe = _bundled()
    coverage = covered(universe, read)
    index = build_index(spec, frozenset(rule.id for rule in universe.rules))
    stepper = stepped(spec, index, again.info, list(again))
    counted: Counter[tuple[str, str, str, frozenset[str]]] = Counter()
    for edge, count in zip(universe.edges, coverage.edges, strict=True):
        # Lines that differ in their guards alone are one for the stepper.
        counted[edge.machine, edge.source, edge.event, frozenset(edge.targets)] += count.certain
    assert +counted == stepper.edges
    seen = {(s.machine, s.value): c.certain for s, c in zip(universe.states, coverage.states, strict=True)}
    assert {k: n for k, n in seen.items() if n} == dict(stepper.states)
    entered = {(n, True): e.entries for n, e in coverage.events.items() if e.entries}
    left = {(n, False): e.exits for n, e in coverage.events.items() if e.exits}
    assert entered | left == dict(stepper.steps)
    return coverage


@pytest.mark.parametrize("path", SOME, ids=lambda path: path.stem)
def test_the_stepper_counts_the_same_on_a_sample(path: Path) -> None:
    coverage = _agree(open_trace(str(path)), open_trace(str(path)))
    assert any(c.certain for c in coverage.edges)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "shape", [Shape(view="host", from_event=15), Shape(view="host", drop_rate=0.05)], ids=["midlife", "lossy"]
)
def test_the_stepper_counts_the_same_with_data_missing(shape: Shape, seed: int) -> None:
    stream = io.StringIO()
    simulate("echo", seed, stream, shape)
    coverage = _agree(read_text(stream.getvalue()), read_text(stream.getvalue()))
    assert any(c.perhaps for c in coverage.edges)
    assert any(c.certain for c in coverage.states)


def test_the_source_and_the_target_of_a_covered_transition_are_covered() -> None:
    _, universe = _bundled()
    coverage = covered(universe, *(open_trace(str(path)) for path in SAMPLES))
    states = {
        (s.machine, s.value) for s, c in zip(universe.states, coverage.states, strict=True) if c.certain
    }
    taken = [e for e, c in zip(universe.edges, coverage.edges, strict=True) if c.certain]
    assert {(e.machine, e.source) for e in taken} <= states
    assert {(e.machine, e.targets[0]) for e in taken if len(e.targets) == 1} <= states
    # Lines that nobody can be certain of, and those of a birth of another object, are never taken.
    assert all(edge.possible for edge in taken)
    assert any(edge.reborn for edge in universe.edges)
    assert len(taken) >= 150
