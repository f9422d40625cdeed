"""The fast path agrees with the grammar, and the reader with the writer."""

from __future__ import annotations

import io
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kmclcheck.model.event import End, Event, Loss, Phase, Start, TraceInfo
from kmclcheck.traces import read_text
from kmclcheck.traces.base import Item
from kmclcheck.traces.formats._kmtrace_fast import FastLines
from kmclcheck.traces.formats._kmtrace_grammar import Directive, LineError, parse_line
from kmclcheck.traces.formats._kmtrace_values import COLUMN_LIMITS
from kmclcheck.traces.formats.kmtrace import _collapse
from kmclcheck.traces.formats.kmtrace_writer import write
from kmclcheck.traces.lines import LineBlock

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
KEYS = NAMES.filter(lambda key: key not in {*COLUMN_LIMITS, "at", "status", "return"})
PLACES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.:/\-]{0,8}", fullmatch=True)
UNSIGNED = st.integers(0, 2**64 - 1)
VALUES = st.integers(-(2**63), 2**64 - 1) | NAMES | st.text(max_size=12) | st.sampled_from(["TRUE", "FALSE"])

WORDS = (
    st.sampled_from(
        [
            *("-", "0", "7", "12", "99999999999999999999", "18446744073709551615", "18446744073709551616"),
            *("4.1a4", "-.4a", "4.-", "-.-", "4.1g", "65536", "256", "255", "@host", "@-", "@", "@a b"),
            *("call", "ret", "in", "out", "whole", "Call", "VmbChannelEnable", "A=1", "A=-1", "A=--1"),
            *(
                "A=0x1",
                "B=0X1f",
                "B=0x",
                "B=0x11112222333344445",
                "C=TRUE",
                "C=NAME",
                "C=",
                "=1",
                "C",
                "C==1",
            ),
            *("status=0", "status=-5", "status=STATUS_PENDING", "status=0x1ffffffff", "return=1", "Return=2"),
            *(
                "tid=4",
                "tid=0x4",
                "tid=-4",
                "tid=X",
                "irql=2",
                "irql=256",
                "seq=7",
                "time=1",
                "cpu=1",
                "pid=4",
            ),
            *(
                "at=host",
                "at=TRUE",
                "at=5",
                "at=-",
                "at=h-1",
                "at=",
                'D="x"',
                'D="x y"',
                'D="\\u00e9"',
                'D="',
            ),
            *(
                "",
                "\t",
                "A=1_0",
                "A=+1",
                "\u0661",
                "A=\u0661",
                "\u00b2",
                "A=0x1_0",
                "at=new",
                "1\r",
                "#",
                "%lost",
            ),
        ]
    )
    | st.integers().map(str)
    | NAMES
)
COLUMNS = st.tuples(
    st.sampled_from(["", "@host ", "@- "]),
    st.sampled_from(["1", "-", "18446744073709551615"]),
    st.sampled_from(["12", "-"]),
    st.sampled_from(["0", "-", "65535"]),
    st.sampled_from(["4.1a4", "-", "-.4a"]),
    st.sampled_from(["0", "-", "2"]),
).map(lambda parts: parts[0] + " ".join(parts[1:]) + " ")


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A line that is nearly legal, or legal, or neither."""
    if draw(st.booleans()):
        head = draw(COLUMNS | st.just(""))
        line = f"{head}{draw(st.sampled_from(['call', 'ret', 'whole']))} {draw(NAMES)}"
        line = " ".join([line, *draw(st.lists(WORDS, max_size=6))])
    else:
        line = " ".join(draw(st.lists(WORDS, max_size=12)))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(line)))
        line = (
            line[:place]
            + draw(st.sampled_from([" ", "=", "x", "0", "-", "\u0661", "\x0b", "\u00a0", "."]))
            + (line[place + draw(st.integers(0, 1)) :])
        )
    return line.replace("\n", " ")


def by_grammar(line: str) -> Event | None:
    try:
        found = parse_line(line, "default", 3, 99)
    except LineError:
        return None
    return None if isinstance(found, Directive) else found


@settings(max_examples=1500, deadline=None)
@given(lines())
@example("1 2 3 4.5 0 call F " + " ".join(f"A{n}=1" for n in range(64)))
@example("1 2 3 4.5 0 call F " + " ".join(f"A{n}=1" for n in range(65)))
@example("call F " + " ".join(f"A{n}=1" for n in range(65)))
@example("1 2 3 4.5 0 call F return=1 Return=2")
def test_fast_path_agrees_with_grammar(line: str) -> None:
    reader = FastLines()
    reader.endpoint = "default"
    reader.endpoints |= {"default", "host"}
    expected = by_grammar(line)
    for candidate in (line, _collapse(line)):
        # Twice: the second time every word is remembered.
        for _ in range(2):
            events = [reader.parse(candidate, 3, 99)]
            if candidate.isascii():
                events += reader.block(LineBlock(3, [candidate], [99], ascii=True))
            for event in events:
                assert event is None or event == expected


@settings(max_examples=300, deadline=None)
@given(COLUMNS, NAMES, st.dictionaries(KEYS, st.integers(-(10**17), 2**59), max_size=5))
def test_fast_path_takes_ordinary_lines(columns: str, name: str, args: dict[str, int]) -> None:
    reader = FastLines()
    reader.endpoints.add("host")
    line = f"{columns}call {name} " + " ".join(
        f"{key}={value:#x}" for key, value in args.items() if value >= 0
    )
    if "18446744073709551615" not in line:
        assert reader.parse(line.rstrip()) is not None


EVENTS = st.builds(
    Event,
    name=NAMES,
    phase=st.sampled_from(Phase),
    args=st.dictionaries(KEYS | st.just("Return"), VALUES, max_size=5),
    status=st.none() | st.integers(0, 0xFFFFFFFF) | NAMES | st.text(max_size=4),
    time=st.none() | UNSIGNED,
    cpu=st.none() | st.integers(0, 0xFFFF),
    pid=st.none() | UNSIGNED,
    tid=st.none() | UNSIGNED,
    irql=st.none() | st.integers(0, 255),
    endpoint=st.just("") | PLACES,
)
LOSSES = st.builds(Loss, count=st.none() | st.integers(0, 10**9), anywhere=st.booleans())
RECORDS = st.sets(
    st.tuples(
        NAMES.filter(lambda name: name not in {"all", "functions", "callbacks"}),
        st.sampled_from([Phase.CALL, Phase.RET, Phase.IN, Phase.OUT]),
    ),
    max_size=4,
)
GROUPS = st.sets(
    st.sampled_from(
        ["functions", "callbacks", "functions.ret", "functions.call", "callbacks.in", "callbacks.out"]
    )
)
INFOS = st.builds(
    TraceInfo,
    path=st.just("<text>"),
    start=st.sampled_from(Start),
    end=st.sampled_from(End),
    records_all=st.booleans(),
    records=RECORDS,
    records_not=RECORDS,
    records_groups=GROUPS,
    records_not_groups=GROUPS,
    window=st.integers(0, 10**12),
    endpoint=st.just("") | PLACES,
)


def bare(item: Item) -> Item:
    return replace(item, line=0, offset=0) if isinstance(item, Event) else replace(item, line=0)


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS | LOSSES, max_size=12), INFOS, st.integers(0, 2**40), st.booleans())
def test_what_is_written_is_read(items: list[Item], info: TraceInfo, first: int, numbered: bool) -> None:
    if numbered:
        following: dict[str, int] = {}
        for item in items:
            if isinstance(item, Event):
                item.seq = following.get(item.endpoint, first)
                following[item.endpoint] = item.seq + 1
    info.lost_anywhere = any(isinstance(item, Loss) and item.anywhere for item in items)
    stream = io.StringIO()
    write(items, info, stream)
    reader = read_text(stream.getvalue())
    assert [bare(item) for item in reader] == items
    assert reader.problems == []
    assert reader.info == info


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | lines().map(str.encode))
def test_no_input_makes_the_reader_fail(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    reader = read_text("%kmtrace 1\n" + text + "\ncall Last")
    items = list(reader)
    assert isinstance(items[-1], Event)
    assert items[-1].name == "Last"
    losses = sum(isinstance(item, Loss) for item in items)
    assert reader.problem_count <= losses


@settings(max_examples=200, deadline=None)
@given(st.permutations(range(30)), st.sets(st.integers(1, 28)))
def test_order_is_restored(order: list[int], missing: set[int]) -> None:
    kept = [n for n in order if n not in missing]
    text = "\n".join(f"call F seq={n}" for n in kept)
    items = list(read_text(text, defaults=TraceInfo()))
    assert [item.seq for item in items if isinstance(item, Event)] == sorted(kept)
    assert sum(item.count or 0 for item in items if isinstance(item, Loss)) == 30 - len(kept)
