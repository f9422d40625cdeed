"""What hostile and broken files of events as text come to: a message, bounded time, bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from time import process_time

import pytest

from kmclcheck.diagnostics import InputError
from kmclcheck.model.event import Event, Loss
from kmclcheck.traces.base import MAX_PROBLEMS
from tests.fuzz.text import seeds
from tests.support.etw_text import open_bytes

MB = 1 << 20


@contextmanager
def bounded(megabytes: float) -> Iterator[None]:
    """Check what the block allocates at its worst moment."""
    list(open_bytes(seeds("tracefmt")[1], "tracefmt"))  # what is loaded once does not count
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < megabytes * MB


def read(data: bytes, format: str) -> tuple[int, int]:
    """Return how many events and losses a file holds."""
    reader = open_bytes(data, format)
    events = losses = 0
    for item in reader:
        events += isinstance(item, Event)
        losses += isinstance(item, Loss)
    assert len(reader.problems) <= MAX_PROBLEMS
    return events, losses


def test_a_bomb_does_not_go_off() -> None:
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(30))
    bomb = f'<!DOCTYPE Events [<!ENTITY e0 "ha">{entities}]><Events>&e30;</Events>'
    with bounded(2), pytest.raises(InputError, match="document type"):
        read(bomb.encode(), "tracerpt-xml")


XML = {
    "attribute": b'<Event a="' + b"x" * (10 * MB) + b'"/>',
    "text": b"<Event><EventData><Data>" + b"x" * (10 * MB) + b"</Data></EventData></Event>",
    "deep": b"<a>" * (3 * MB),
    "deep in an event": b"<Event>" + b"<a>" * (3 * MB),
    "open tags": b"<Event " * MB,
    "open events": b"<Event>" * (MB // 2),
    "comment": b"<!--" + b"-" * (10 * MB),
    "names": b"".join(b"<n%d/>" % n for n in range(300_000)),
    "fields": b"<Event><EventData>" + b"<Data Name='A'>1</Data>" * 300_000 + b"</EventData></Event>",
    "zeros": b"\0" * (5 * MB),
    "references": b"&" * MB,
}


@pytest.mark.parametrize("part", XML)
def test_xml_without_end(part: str) -> None:
    data = b"<Events>" + XML[part] + b"</Events>"
    with bounded(8):
        assert read(data, "tracerpt-xml")[1] >= 1


TEXT = {
    "short lines": b"x\n" * 20_000,
    "empty lines": b"\n" * 50_000,
    "long line": b"x" * (10 * MB) + b"\n",
    "zeros": b"\0" * MB + b"\n",
    "nesting": b"[" * 60_000 + b"\n",
    "no text": b"\xff\n" * 20_000,
    "open strings": b'{"' * 30_000 + b"\n",
    "prefixes": b"[0]" * 20_000 + b"\n",
    "quotes": b'"' * 60_000 + b"\n",
    "commas": b"," * 60_000 + b"\n",
    "quoted commas": b'",' * 30_000 + b"\n",
    "open quotes": b'"x,' * 20_000 + b"\n",
}


@pytest.mark.parametrize("format", ["tracefmt", "tracerpt-csv", "xperf-dumper", "jsonl"])
@pytest.mark.parametrize("part", TEXT)
def test_text_without_sense(format: str, part: str) -> None:
    whole = seeds(format)[0]
    data = whole + TEXT[part] + whole
    begun = process_time()
    with bounded(16 if part == "commas" else 8):
        read(data, format)
    assert process_time() - begun < 30


@pytest.mark.parametrize("format", ["tracefmt", "tracerpt-csv", "xperf-dumper", "jsonl", "tracerpt-xml"])
def test_utf16_that_ends_in_half_a_character(format: str) -> None:
    text = seeds(format)[0].decode()
    for encoding, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        data = mark + text.encode(encoding)
        whole = read(data, format)
        for cut in (1, 2, 3, 101):
            events, losses = read(data[:-cut], format)
            assert whole[0] - 1 <= events <= whole[0]
            # What is cut off may have been the end of a line and nothing else.
            assert losses >= whole[1] or cut < 4


def test_json_that_no_machine_would_write() -> None:
    head = "[0]0004.183C::08/21/2025-09:46:11.496 [km]"
    good = head + '{"A":1,"meta":{"event":"E"}}\n'
    for body in (
        '{"A":' + "[" * 60_000, '{"A":' + "[" * 20_000 + "]" * 20_000 + ',"meta":{"event":"E"}}',
        '{"A":' + "9" * 60_000 + "}", '{"A":1e99999,"meta":{"event":"E"}}', '{"A":NaN,"meta":{"event":"E"}}',
        '{"A":"\\ud800","meta":{"event":"\\ud800"}}', '{"meta":{"event":"E","time":"9999-99-99T99:99:99Z"}}',
        '{"meta":{"event":"E","cpu":1e9,"pid":-1,"tid":"x","time":5,"provider":[1]}}',
    ):  # fmt: skip
        with bounded(8):
            read((good + head + body + "\n" + good).encode(), "tracefmt")
