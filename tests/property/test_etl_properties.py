"""A trace written as a log and read again is the same trace; compression is undone; nothing crashes."""

from __future__ import annotations

import io
from dataclasses import replace
from struct import pack

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kmclcheck.model.event import End, Event, Loss, Phase, Start, TraceInfo
from kmclcheck.traces.base import Item
from kmclcheck.traces.etw.etl.lzxpress import CompressionError, compress, expand
from kmclcheck.traces.etw.etl.schema import SchemaError, parse_schema
from kmclcheck.traces.etw.etl.tracelogging import MAX_VALUES, DecodeError, Decoder
from kmclcheck.traces.etw.etl.writer import RESERVED, write_etl
from tests.support.etw_text import events_of, open_bytes

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
KEYS = NAMES.filter(lambda key: key not in RESERVED and key != "Status")
VALUES = st.integers(-(2**63), 2**64 - 1) | st.text(max_size=12) | st.sampled_from(["a\0b", "é", "0x10"])
IDS = st.none() | st.integers(0, 0xFFFFFFFE)


@st.composite
def traces(draw: st.DrawFn) -> list[Event]:
    """Events in order: by their numbers, or, if they have none, by times that the log can tell apart."""
    numbered = draw(st.booleans())
    following: dict[str, int] = {}
    found = []
    time = 100
    for _ in range(draw(st.integers(0, 20))):
        time += draw(st.integers(0, 300)) if numbered else draw(st.integers(100, 3000))
        endpoint = draw(st.sampled_from(["", "host", "guest"]))
        phase = draw(st.sampled_from(Phase))
        entry = phase in (Phase.CALL, Phase.IN)
        event = Event(
            "Fn" + draw(NAMES), phase, draw(st.dictionaries(KEYS, VALUES, max_size=5)),
            None if entry else draw(st.none() | st.integers(0, 0xFFFFFFFF) | st.text(max_size=4)),
            None, time, draw(st.integers(0, 5) | st.just(0xFFFF)), draw(IDS), draw(IDS),
            draw(st.none() | st.integers(0, 255)), endpoint,
        )  # fmt: skip
        if entry and draw(st.booleans()):
            event.args["Status"] = draw(st.integers(0, 2**32))
        if numbered:
            event.seq = following.setdefault(endpoint, draw(st.integers(0, 2**40)))
            following[endpoint] += 1
        found.append(event)
    return found


@settings(max_examples=250, deadline=None)
@given(
    traces(),
    st.booleans(),
    st.sampled_from([4096, 8192, 65536]),
    st.sampled_from(Start),
    st.sampled_from(End),
)
def test_what_is_written_is_read(
    events: list[Event], compressed: bool, size: int, start: Start, end: End
) -> None:
    stream = io.BytesIO()
    write_etl(events, TraceInfo(start=start, end=end), stream, size, compressed)
    reader = open_bytes(stream.getvalue(), "etl")
    items = list(reader)
    expected = [replace(event, time=(event.time or 0) // 100 * 100) for event in events]
    by_endpoint = {event.endpoint for event in events_of(expected)}
    for endpoint in by_endpoint:
        # Endpoints have an order of their own; between them time decides, and may not.
        assert [e for e in events_of(items) if e.endpoint == endpoint] == [
            e for e in events_of(expected) if e.endpoint == endpoint
        ]
    assert len(events_of(items)) == len(events)
    if all(event.seq is None for event in events):
        assert events_of(items) == events_of(expected)
    assert (reader.problems, reader.info.lost_anywhere) == ([], False)
    assert [item for item in items if isinstance(item, Loss)] == []
    if events:
        assert reader.info.start is start
        assert (reader.info.end is End.UNLOADED) == (end is End.UNLOADED)


@settings(max_examples=100, deadline=None)
@given(traces(), st.lists(st.tuples(st.integers(0, 20), st.integers(1, 99)), min_size=1, max_size=3))
def test_losses_keep_their_count(events: list[Event], losses: list[tuple[int, int]]) -> None:
    items: list[Item] = list(events)
    for place, count in losses:
        items.insert(place, Loss(count, True))
    stream = io.BytesIO()
    write_etl(items, TraceInfo(), stream)
    reader = open_bytes(stream.getvalue(), "etl")
    found = [item for item in reader if isinstance(item, Loss) and item.anywhere]
    assert reader.info.lost_anywhere
    assert [loss.count for loss in found] == [sum(count for _, count in losses)]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 400))
@example(b"", 0)
def test_compression_is_undone(data: bytes, limit: int) -> None:
    assert expand(compress(data), limit) == data[:limit]


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 2000))
def test_garbage_expands_within_its_limit(data: bytes, limit: int) -> None:
    try:
        found = expand(data, limit)
    except CompressionError as error:
        found = error.whole
    assert len(found) <= limit


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=120), st.binary(max_size=200))
def test_any_description_with_any_data(schema: bytes, data: bytes) -> None:
    try:
        description = parse_schema(pack("<H", len(schema) + 3) + b"\0" + schema)
    except SchemaError:
        return
    try:
        fields = Decoder(description).decode(data, 0, len(data))
    except DecodeError as error:
        fields = error.fields
    assert len(fields) <= MAX_VALUES
