"""What is written in a text format is read as the same events, however the trace was made."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmclcheck.model.event import End, Event, Loss, Phase, Start, TraceInfo
from kmclcheck.traces import known_formats, read_text
from kmclcheck.traces.base import Item
from kmclcheck.traces.etw.values import parse_value, print_value
from kmclcheck.traces.wide import LITTLE
from tests.property.test_kmtrace_properties import EVENTS, INFOS, KEYS, LOSSES, NAMES, bare
from tests.support.etw_text import events_of, open_bytes, written

# What the shim gives a meaning of its own, or a line of text does.
TAKEN = {"Seq", "Irql", "Status", "function", "phase", "endpoint", "meta"}
UNSIGNED = st.integers(0, 2**64 - 1)
PRINTABLE = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\ufffe\uffff"), max_size=12)
STRINGS = NAMES | PRINTABLE.filter(lambda t: all(c >= " " or c in "\t\n\r" for c in t))
VALUES = st.integers(-(2**63), 2**64 - 1) | STRINGS | st.sampled_from(["0x10", "-5", "true", '"', '""', " x"])
_ENTRIES = (Phase.CALL, Phase.IN)
# Entries have no status; there a field of that name is a parameter.
SHIM_EVENTS = st.builds(
    Event,
    name=NAMES,
    phase=st.sampled_from([Phase.CALL, Phase.RET, Phase.IN, Phase.OUT, Phase.WHOLE]),
    args=st.dictionaries(KEYS.filter(lambda key: key not in TAKEN), VALUES, max_size=5),
    status=st.none() | st.integers(0, 0xFFFFFFFF) | STRINGS,
    time=st.none() | UNSIGNED,
    cpu=st.none() | st.integers(0, 0xFFFF),
    pid=st.none() | st.integers(0, 2**32 - 2),
    tid=st.none() | st.integers(0, 2**32 - 2),
    irql=st.none() | st.integers(0, 255),
    endpoint=st.sampled_from(["A", "B-1"]),
).map(lambda event: replace(event, status=None) if event.phase in _ENTRIES else event)


def number(items: list[Item], first: int) -> None:
    following: dict[str, int] = {}
    for item in items:
        if isinstance(item, Event):
            item.seq = following.get(item.endpoint, first)
            following[item.endpoint] = item.seq + 1


def fine(event: Event) -> Event:
    """Return the event with its time in units of 100 ns."""
    return replace(event, time=None if event.time is None else event.time // 100)


@pytest.mark.parametrize("format", ["tracerpt-xml", "tracefmt", "wide"])
@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(SHIM_EVENTS, max_size=8), info=INFOS, first=st.integers(1, 2**40), numbered=st.booleans()
)
def test_events_of_the_shim(
    format: str, items: list[Item], info: TraceInfo, first: int, numbered: bool
) -> None:
    if numbered:
        number(items, first)
    info.lost_anywhere = False
    if format == "wide":
        from io import BytesIO

        from kmclcheck.traces.formats._tracerpt_writer import write_xml

        stream = BytesIO()
        write_xml(stream, items, info, LITTLE)
        data, format = stream.getvalue(), "tracerpt-xml"
    else:
        data = written(format, items, info)
    assert known_formats()[format].sniff(data[:4096]) or not items
    if not items and format == "tracefmt":
        return
    reader = open_bytes(data, format)
    read = list(reader)
    assert [fine(e) for e in events_of(read)] == [fine(e) for e in events_of(items)]
    assert reader.problems == []
    assert not reader.info.lost_anywhere
    if items:
        assert reader.info.start is (Start.KNOWN if info.start is Start.KNOWN else Start.MIDLIFE)
        assert reader.info.end is (End.UNLOADED if info.end is End.UNLOADED else End.STOPPED)


@pytest.mark.parametrize("format", ["tracerpt-xml", "tracefmt"])
@settings(max_examples=60, deadline=None)
@given(st.lists(SHIM_EVENTS | LOSSES, min_size=1, max_size=10), INFOS, st.booleans())
def test_no_loss_gets_lost(format: str, items: list[Item], info: TraceInfo, numbered: bool) -> None:
    if numbered:
        number(items, 1)
    losses = [item for item in items if isinstance(item, Loss)]
    info.lost_anywhere = any(loss.anywhere for loss in losses)
    data = written(format, items, info)
    if not any(isinstance(item, Event) for item in items) and format == "tracefmt":
        return
    reader = open_bytes(data, format)
    read = list(reader)
    expected = [fine(replace(e, seq=None)) for e in events_of(items)]
    assert [fine(replace(e, seq=None)) for e in events_of(read)] == expected
    # Before its first event nothing is known of a driver anyway.
    first = next((n for n, item in enumerate(items) if isinstance(item, Event)), 0)
    if any(isinstance(item, Loss) for item in items[first:]):
        assert any(isinstance(item, Loss) for item in read)
    if any(loss.anywhere for loss in losses):
        assert reader.info.lost_anywhere


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS | LOSSES, max_size=12), INFOS, st.integers(0, 2**40), st.booleans())
def test_json_lines_lose_nothing(items: list[Item], info: TraceInfo, first: int, numbered: bool) -> None:
    if numbered:
        number(items, first)
    info.lost_anywhere = any(isinstance(item, Loss) and item.anywhere for item in items)
    native = read_text(written("kmtrace", items, info).decode())
    data = written("jsonl", native, native.info)
    assert all(json.loads(line) for line in data.splitlines())
    reader = open_bytes(data, "jsonl")
    assert [bare(item) for item in reader] == items
    assert reader.problems == []
    assert replace(reader.info, path="", format="") == replace(info, path="", format="")


@settings(max_examples=500, deadline=None)
@given(VALUES | st.text(max_size=12))
def test_values_are_printed_as_they_are_read(value: int | str) -> None:
    assert parse_value(print_value(value)) == value
    assert type(parse_value(print_value(value))) is type(value)
