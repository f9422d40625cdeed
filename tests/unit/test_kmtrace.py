"""The native trace format: what its lines mean, and what stands around them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kmclcheck.diagnostics import InputError
from kmclcheck.model.event import End, Event, Loss, Phase, Start, TraceInfo
from kmclcheck.traces import is_declared, open_trace, read_text, registry
from kmclcheck.traces.formats.kmtrace_writer import format_event, format_loss, write, write_header


def events(text: str) -> list[Event | Loss]:
    reader = read_text(text, defaults=TraceInfo())
    items = list(reader)
    assert reader.problems == []
    return items


def one(line: str) -> Event:
    (item,) = events(line)
    assert isinstance(item, Event)
    return item


def test_full_line() -> None:
    event = one("1042 12481000 2 4.1a4 0 call VmbChannelEnable Channel=0xffffbc8012340000")
    assert event == Event(
        "VmbChannelEnable",
        Phase.CALL,
        {"Channel": 0xFFFFBC8012340000},
        None,
        1042,
        12481000,
        2,
        4,
        0x1A4,
        0,
        "",
        1,
        0,
    )


def test_absent_columns() -> None:
    event = one("- - - - - out EvtVmbChannelOpened status=STATUS_PENDING")
    assert (event.seq, event.time, event.cpu, event.pid, event.tid, event.irql) == (None,) * 6
    assert event.status == "STATUS_PENDING"
    assert event.args == {}


@pytest.mark.parametrize(
    ("word", "ids"), [("-.4a", (None, 0x4A)), ("4.-", (4, None)), ("-", (None, None)), ("-.-", (None, None))]
)
def test_thread_column(word: str, ids: tuple[int | None, int | None]) -> None:
    event = one(f"1 2 3 {word} 0 call F")
    assert (event.pid, event.tid) == ids


def test_short_form() -> None:
    event = one("call F Channel=0x10 tid=0x4 irql=2 cpu=1 seq=7 time=100 pid=4 at=host-1")
    assert (event.tid, event.irql, event.cpu, event.seq, event.time, event.pid) == (4, 2, 1, 7, 100, 4)
    assert event.endpoint == "host-1"
    assert event.args == {"Channel": 16}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-12", -12),
        ("0xFf", 255),
        ("0X10", 16),
        ("TRUE", 1),
        ("FALSE", 0),
        ("true", "true"),
        ("STATUS_PENDING", "STATUS_PENDING"),
        ('""', ""),
        (r'"a \"b\" \\ \n\t\x41\u00e9"', 'a "b" \\ \n\tAé'),
        (r'"\ud83d\ude00 \ud83d"', "\U0001f600 \ufffd"),
        ('"two  blanks"', "two  blanks"),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_values(text: str, value: int | str) -> None:
    assert one(f"call F Value={text}").args == {"Value": value}


@pytest.mark.parametrize("text", ["-1073741823", "0xc0000001", "0xffffffffc0000001", "3221225473"])
def test_status_is_an_unsigned_32_bit_number(text: str) -> None:
    assert one(f"ret F status={text}").status == 0xC0000001


def test_return_becomes_an_argument() -> None:
    assert one("ret F return=0x10").args == {"Return": 16}


def test_odd_blanks_mean_the_same() -> None:
    plain = one("1 2 3 4.5 0 call F A=1")
    odd = one(" \t1  2\t3 4.5   0 call   F  A=1 \t")
    assert (odd.args, odd.seq, odd.tid, odd.name) == (plain.args, plain.seq, plain.tid, plain.name)


def test_header() -> None:
    reader = read_text(
        "%kmtrace 1\n%start known\n%end hung\n%endpoint guest\n%clock resolution=100ns skew=1us\n"
        "%note anything = at <all>\n# comment\n\n"
        "%records all -callbacks.out -EvtVmbChannelSuspend VmbChannelEnable.call functions\n"
        "call F\n%endpoint host\n@x - - - - - call F\ncall F\n%end unloaded\n"
    )
    info = reader.info
    assert (info.start, info.end, info.endpoint, info.window) == (Start.KNOWN, End.HUNG, "guest", 1100)
    assert info.records_all
    assert info.records == {("VmbChannelEnable", Phase.CALL)}
    assert info.records_groups == {"functions"}
    assert info.records_not_groups == {"callbacks.out"}
    assert ("EvtVmbChannelSuspend", Phase.IN) in info.records_not
    assert [item.endpoint for item in reader if isinstance(item, Event)] == ["guest", "x", "host"]
    assert info.end is End.UNLOADED
    assert info.endpoint == "guest"
    assert reader.problems == []


def test_losses() -> None:
    reader = read_text("%kmtrace 1\n%lost\n%lost 3\ncall F\n%lost 3 anywhere\n%lost anywhere\n")
    assert not reader.info.lost_anywhere
    items = [item for item in reader if isinstance(item, Loss)]
    assert [(loss.count, loss.anywhere, loss.line) for loss in items] == [
        (None, False, 2),
        (3, False, 3),
        (3, True, 5),
        (None, True, 6),
    ]
    assert reader.info.lost_anywhere


def test_defaults_are_taken_and_not_changed() -> None:
    defaults = TraceInfo(start=Start.KNOWN, records_all=True)
    reader = read_text("%end unloaded\n%records -F\ncall G", defaults=defaults)
    assert len(list(reader)) == 1
    assert (reader.info.start, reader.info.end) == (Start.KNOWN, End.UNLOADED)
    assert defaults.end is End.STOPPED
    assert defaults.records_not == set()


def test_crlf_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.kmtrace"
    path.write_bytes(b"\xef\xbb\xbf%kmtrace 1\r\n%start known\r\ncall F A=1\r\ncall G\r\n")
    reader = open_trace(str(path))
    first, second = [item for item in reader if isinstance(item, Event)]
    assert reader.problems == []
    assert reader.info.start is Start.KNOWN
    assert (first.args, second.name) == ({"A": 1}, "G")
    data = path.read_bytes()
    assert (first.offset, second.offset) == (data.index(b"call F"), data.index(b"call G"))
    assert reader.bytes_read == len(data)


def test_positions_across_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a.kmtrace"
    lines = ["%kmtrace 1"] + [
        f'call F A={i} B="\u00e9"' if i % 3000 == 0 else f"call F A={i}" for i in range(40_000)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    data = path.read_bytes()
    for index, item in enumerate(open_trace(str(path))):
        assert isinstance(item, Event)
        assert item.line == index + 2
        assert item.args["A"] == index
        assert data[item.offset :].startswith(b"call F A=") if index % 500 == 0 else True


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"%kmtrace 1\ncall F\n")))
    assert [item.name for item in open_trace("-") if isinstance(item, Event)] == ["F"]
    assert not sys.stdin.closed


def test_ordinary_trace_does_not_load_the_grammar() -> None:
    code = (
        "import sys; from kmclcheck.model.event import TraceInfo; from kmclcheck.traces import read_text\n"
        "list(read_text('1 2 3 4.5 0 call  F A=1\\ncall G tid=4\\n# x', defaults=TraceInfo()))\n"
        "assert 'lark' not in sys.modules"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)


@pytest.mark.parametrize(
    ("words", "declared"),
    [
        ("all", "call ret in out"),
        ("functions", "call ret"),
        ("functions.ret callbacks", "ret in out"),
        ("X", "call ret in out"),
        ("X.call X.out", "call out"),
        ("all -callbacks.out", "call ret in"),
        ("X -functions", "in out"),
        ("all -X", ""),
        ("all -X.ret -Y", "call in out"),
    ],
)
def test_declared_records(words: str, declared: str) -> None:
    info = read_text(f"%kmtrace 1\n%records {words}\n").info
    found = {
        phase.value
        for phase in (Phase.CALL, Phase.RET, Phase.IN, Phase.OUT)
        if is_declared(info, "X", phase, phase in (Phase.IN, Phase.OUT))
    }
    assert found == set(declared.split())
    assert is_declared(info, "X", Phase.WHOLE, False) == ({"call", "ret"} <= found)


def test_nothing_declared() -> None:
    assert not is_declared(TraceInfo(), "X", Phase.CALL, False)


def numbers(text: str) -> list[str]:
    """Short notation: a number is an event, ``?n`` a loss of n, ``x`` an event without number."""
    reader = read_text(text, defaults=TraceInfo())
    names = [f"?{i.count}" if isinstance(i, Loss) else "x" if i.seq is None else str(i.seq) for i in reader]
    return [*names, f"problems={reader.problem_count}"] if reader.problem_count else names


def sequence(*words: str) -> str:
    lines = {"x": "call F", "bad": "1 2 bad", "%": "%lost", "%2": "%lost 2"}
    return "\n".join(lines.get(word, f"call F seq={word}") for word in words)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("5 6 7", "5 6 7"),
        ("2 1 3", "1 2 3"),
        ("1 4 2 3 5", "1 2 3 4 5"),
        ("1 2 5", "1 2 ?2 5"),
        ("1 %2 4 5", "1 ?2 4 5"),
        ("1 %2 5 6", "1 ?2 ?3 5 6"),
        ("1 % 4", "1 ?None ?2 4"),
        ("1 bad 3", "1 ?1 3 problems=1"),
        ("1 2 2 3", "1 2 ?1 3 problems=1"),
        ("1 x 2 x 3", "1 x 2 x 3"),
        ("1 3 x 2 4", "1 2 x 3 4"),
    ],
)
def test_sequence(given: str, expected: str) -> None:
    assert numbers(sequence(*given.split())) == expected.split()


def test_sequence_gap_far_from_the_end() -> None:
    given = [str(n) for n in range(5000) if n not in (2000, 3000)]
    found = numbers(sequence(*given))
    assert found.index("?1") == 2000
    assert found.count("?1") == 2
    assert len(found) == 5000
    reader = read_text(sequence(*given), defaults=TraceInfo())
    assert next(i.reason for i in reader if isinstance(i, Loss)) == "sequence number 2000 is missing"


def test_sequence_later_disorder_and_hopeless_lateness() -> None:
    given = list(range(3000))
    given[1000], given[1900] = given[1900], given[1000]
    assert numbers(sequence(*map(str, given))) == [str(n) for n in range(3000)]
    late = [n for n in range(3000) if n != 200] + [200]
    found = numbers(sequence(*map(str, late)))
    assert found[200] == "?1"
    assert found[-2:] == ["?1", "problems=1"]


def test_sequences_are_per_endpoint() -> None:
    text = "\n".join(f"call F at={'ab'[n % 2]} seq={n // 2 + 10 * (n % 2)}" for n in range(400))
    assert "?" not in "".join(numbers(text))
    order = [i.endpoint for i in read_text(text, defaults=TraceInfo()) if isinstance(i, Event)]
    assert order == ["a", "b"] * 200


def test_writer() -> None:
    event = Event("F", Phase.RET, {"A": 0x10000, "B": "x y", "Return": 3}, 0, 1, 2, 3, 4, 0x1A4, 2)
    assert format_event(event) == '1 2 3 4.1a4 2 ret F A=0x10000 B="x y" return=3 status=0'
    assert format_event(event, "guest").startswith("@- 1 ")
    assert format_loss(Loss(3, True)) == "%lost 3 anywhere"
    with pytest.raises(ValueError, match="not a name"):
        format_event(Event("a b", Phase.CALL, {}))
    with pytest.raises(ValueError, match="cannot be named"):
        format_event(Event("F", Phase.CALL, {"tid": 1}))


def test_writer_puts_late_facts_at_the_end() -> None:
    info = TraceInfo(start=Start.KNOWN)

    def items():  # type: ignore[no-untyped-def]
        yield Event("F", Phase.CALL, {})
        info.end = End.UNLOADED
        info.lost_anywhere = True

    stream = io.StringIO()
    write(items(), info, stream)
    assert stream.getvalue().endswith("call F\n%lost anywhere\n%end unloaded\n")
    reader = read_text(stream.getvalue())
    assert [type(item) for item in reader] == [Event, Loss]
    assert reader.info.end is End.UNLOADED
    assert reader.info.lost_anywhere


def test_header_of_many_records() -> None:
    info = TraceInfo(records_not={(f"Function{n}", Phase.CALL) for n in range(500)}, records_all=True)
    text = write_header(info)
    assert max(map(len, text.splitlines())) < 1000
    assert read_text(text).info.records_not == info.records_not


def test_a_tie_between_formats_asks_for_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.kmtrace"
    path.write_text("%kmtrace 1\ncall F\n")
    native = registry.known_formats()["kmtrace"]
    monkeypatch.setattr(registry, "known_formats", lambda: {"kmtrace": native, "other": native})
    with pytest.raises(InputError, match="--trace-format"):
        open_trace(str(path))
    assert len(list(open_trace(str(path), "kmtrace"))) == 1
