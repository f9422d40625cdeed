"""Events as JSON lines."""

from __future__ import annotations

import json

import pytest

from kmclcheck.diagnostics import InputError
from kmclcheck.model.event import End, Event, Loss, Phase, Start
from kmclcheck.traces import TraceReader
from kmclcheck.traces.base import Item
from tests.support.etw_text import open_bytes, sniffed

HEAD = (
    '{"kmclcheck-trace":1,"start":"known","end":"unloaded","records":["all","-callbacks.out"],"window":100}\n'
)
EVENT = (
    '{"name":"VmbChannelEnable","phase":"call","args":{"Channel":16},"seq":1,"time":5,"cpu":0,"pid":4,"tid":8}'
    "\n"
)


def read(text: str) -> tuple[list[Item], TraceReader]:
    assert sniffed(text.encode()[:4096]) == ["jsonl"]
    reader = open_bytes(text.encode(), "jsonl")
    return list(reader), reader


def test_a_trace() -> None:
    lost = '{"lost":3,"anywhere":true,"reason":"the disk was full"}\n'
    items, reader = read(HEAD + EVENT + lost + '{"end":"hung"}\n')
    assert items == [
        Event("VmbChannelEnable", Phase.CALL, {"Channel": 16}, None, 1, 5, 0, 4, 8, None, "", 2, len(HEAD)),
        Loss(3, True, "the disk was full", 3),
    ]
    info = reader.info
    assert (info.start, info.end, info.window, info.lost_anywhere) == (Start.KNOWN, End.HUNG, 100, True)
    assert (info.records_all, info.records_not_groups) == (True, {"callbacks.out"})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nonsense", "no JSON"), ("[]", "expected an object"), ('{"name":"F"}', "phase is one of"),
        ('{"name":"F x","phase":"call"}', "name has to be"), ("[" * 60_000, "nested too deeply"),
        ('{"name":"F","phase":"call","seq":-1}', "seq has to be"),
        ('{"name":"F","phase":"call","seq":true}', "seq has to be"),
        ('{"name":"F","phase":"call","irql":256}', "irql has to be"),
        ('{"name":"F","phase":"call","args":[]}', "args has to be"),
        ('{"name":"F","phase":"call","args":{"A":1.5}}', "A has to be"),
        ('{"name":"F","phase":"call","args":{"A B":1}}', "'A B' is not"),
        ('{"name":"F","phase":"call","args":{"A":%s}}' % (1 << 64), "A has to be"),
        ('{"name":"F","phase":"call","args":{"A":%s}}' % ("9" * 5000), "no JSON"),
        ('{"name":"F","phase":"call","speed":1}', "unknown key 'speed'"),
        ('{"name":"F","phase":"ret","status":-1}', "status has to be"),
        ('{"lost":"many"}', "lost has to be"), ('{"end":"soon"}', "end is one of"),
        ("x" * 70_000, "longer than"), ('{"name":"F","phase":"call"', "no JSON"),
    ],
)  # fmt: skip
def test_a_wrong_line_costs_itself(line: str, words: str) -> None:
    items, reader = read(HEAD + EVENT + line + "\n" + EVENT.replace('"seq":1', '"seq":2'))
    assert [type(item) for item in items] == [Event, Loss, Event]
    assert reader.problem_count == 1
    assert words in reader.problems[0].message
    assert reader.problems[0].span is not None
    assert reader.problems[0].span.line == 3


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ('{"kmclcheck-trace":2}', "expected version 1"), ('{"name":"F"}', "expected the header"),
        ('{"kmclcheck-trace":1,"start":"soon"}', "start is one of"), ("", "the file is empty"),
        ('{"kmclcheck-trace":1,"records":["some of it!"]}', "no word"), ("text", "no JSON"),
        ('{"kmclcheck-trace":1,"speed":1}', "unknown key"), ("x" * 70_000, "longer than"),
    ],
)  # fmt: skip
def test_wrong_headers(head: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_bytes((head + "\n").encode(), "jsonl")


def test_too_many_endpoints() -> None:
    lines = "".join(
        json.dumps({"name": "F", "phase": "call", "endpoint": f"e{n}"}) + "\n" for n in range(300)
    )
    items, reader = read(HEAD + lines)
    assert sum(isinstance(item, Event) for item in items) == 256
    assert reader.problem_count == 44


def test_encodings() -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        assert len(list(open_bytes((HEAD + EVENT).encode(encoding), "jsonl"))) == 1
