"""Broken native traces: the message, the loss, and that the rest is read."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from kmclcheck.diagnostics import InputError, Level
from kmclcheck.model.event import Event, Loss
from kmclcheck.traces import open_trace, read_text
from kmclcheck.traces.base import MAX_PROBLEMS, Item, TraceReader


def read(tmp_path: Path, data: bytes, name: str = "a.kmtrace") -> tuple[TraceReader, list[Item]]:
    path = tmp_path / name
    path.write_bytes(data)
    reader = open_trace(str(path))
    return reader, list(reader)


def failure(tmp_path: Path, data: bytes, name: str = "a.kmtrace", format: str | None = None) -> str:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        list(open_trace(str(path), format))
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ("1 2 3 4.1 0 cal F", 13, "expected a phase (call, ret, in, out or whole), found 'cal'"),
        ("cal F", 1, "expected an event line, a % line or a # comment, found 'cal'"),
        ("call", 5, "expected the name of a function or callback, found the end of the line"),
        ("1 2", 4, "expected a CPU number or -, found the end of the line"),
        ("1 x 3 4.1 0 call F", 3, "expected a time in nanoseconds or -, found 'x'"),
        ("1 2 3 4 0 call F", 7, "expected PID.TID in hexadecimal or -, found '4'"),
        ("1 2 3 4.1 999 call F", 11, "an IRQL is at most 255"),
        ("call F Flag", 8, "expected KEY=VALUE, found 'Flag'"),
        ("call F A=", 10, "expected a value"),
        ("call F A=0x11112222333344445", 10, "expected a value (a number of at most 64 bits"),
        ("call F A=99999999999999999999", 10, "the number does not fit 64 bits"),
        ("call F A=1 A=2", 12, "A= stands twice"),
        ("call F return=1 Return=2", 17, "Return= stands twice"),
        ("call F " + " ".join(f"A{n}=1" for n in range(65)), 382, "more than 64 arguments"),
        ('call F A="x', 10, 'expected a "string" closed by a quote'),
        ("call F status=0x100000000", 15, "the status does not fit 32 bits"),
        ("call F irql=-1", 13, "irql must be between 0 and 255"),
        ("1 2 3 4.1 0 call F tid=4", 20, "expected KEY=VALUE, found 'tid=4'"),
        ("%strat known", 1, "unknown % line '%strat'"),
        ("%start knwon", 8, "expected known or midlife, found 'knwon'"),
        ("%records functions.in", 10, "expected all, functions, callbacks or a name"),
        ("%clock resolution=5", 8, "expected resolution=N or skew=N"),
        ("%kmtrace 1", 1, "%kmtrace stands only in the first line"),
        ("call F\x00", 6, "expected the name of a function or callback, found 'F\\x00'"),
    ],
)
def test_malformed_line(line: str, column: int, message: str) -> None:
    reader = read_text(f"%kmtrace 1\ncall Before\n{line}\ncall After\n", "t.kmtrace")
    before, loss, after = list(reader)
    assert isinstance(before, Event)
    assert isinstance(after, Event)
    assert isinstance(loss, Loss)
    assert (after.name, after.line) == ("After", 4)
    assert (loss.reason, loss.line) == ("line 3 could not be read", 3)
    (problem,) = reader.problems
    assert problem.level is Level.WARNING
    assert problem.message.startswith(message)
    assert problem.span is not None
    assert (problem.span.line, problem.span.column) == (3, column)
    assert "\x00" not in problem.render()


def test_problem_is_drawn() -> None:
    reader = read_text("%kmtrace 1\n1 2 3 4.1 0 cal F\n", "t.kmtrace")
    list(reader)
    assert reader.problems[0].render() == (
        "warning: expected a phase (call, ret, in, out or whole), found 'cal'\n"
        "  --> t.kmtrace:2:13\n"
        "  2 | 1 2 3 4.1 0 cal F\n"
        "    |             ^^^"
    )


def test_source_line_is_shortened() -> None:
    reader = read_text(f"%kmtrace 1\ncall F {'x' * 500}\n")
    list(reader)
    (problem,) = reader.problems
    assert problem.source_line is not None
    assert len(problem.source_line) == 120
    assert problem.span is not None
    assert problem.span.length <= 120


def test_header_line_after_events_is_refused() -> None:
    reader = read_text("%kmtrace 1\n%records all\ncall F\n%records -F\n")
    list(reader)
    assert "%records stands before the first event" in reader.problems[0].message
    assert reader.info.records_not == set()


def test_problems_are_bounded() -> None:
    reader = read_text("%kmtrace 1\n" + "bad\n" * 500)
    assert sum(isinstance(item, Loss) for item in reader) == 500
    assert (len(reader.problems), reader.problem_count) == (MAX_PROBLEMS, 500)


def test_endpoints_are_bounded() -> None:
    reader = read_text("%kmtrace 1\n" + "".join(f"call F at=e{n}\n" for n in range(300)))
    assert sum(isinstance(item, Event) for item in reader) == 256
    assert "more than 256 endpoints" in reader.problems[0].message


@pytest.mark.parametrize("end", [b"\ncall After\n", b""])
def test_ten_megabyte_line(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "a.kmtrace"
    path.write_bytes(b"%kmtrace 1\ncall Before\n" + b"x" * 10_000_000 + end)
    tracemalloc.start()
    reader = open_trace(str(path))
    items = list(reader)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000
    assert [type(item) for item in items[:2]] == [Event, Loss]
    assert "longer than 65536 bytes" in reader.problems[0].message
    assert reader.problem_count == 1
    if end:
        after = items[2]
        assert isinstance(after, Event)
        assert (after.name, after.line) == ("After", 4)
        assert after.offset == 23 + 10_000_000 + 1


def test_line_of_just_above_the_limit(tmp_path: Path) -> None:
    legal = b"call F A=1" + b" " * (65536 - 10)
    _reader, items = read(tmp_path, b"%kmtrace 1\n" + legal + b"\n" + legal + b" \ncall G\n")
    assert [type(item) for item in items] == [Event, Loss, Event]


def test_half_line(tmp_path: Path) -> None:
    reader, items = read(tmp_path, b"%kmtrace 1\ncall F\ncall VmbChannelEnable Channel=0xffff")
    assert [type(item) for item in items] == [Event, Loss]
    assert "the file ends inside this line" in reader.problems[0].message
    reader, items = read(tmp_path, b"%kmtrace 1\ncall F\n1 2 3")
    assert [type(item) for item in items] == [Event, Loss]
    assert "the file ends inside this line" in reader.problems[0].message


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    reader, items = read(tmp_path, b'%kmtrace 1\ncall F A="\xe9"\n')
    (event,) = items
    assert isinstance(event, Event)
    assert event.args == {"A": "\ufffd"}
    assert "not UTF-8" in reader.problems[0].message


def test_zeros_at_the_end_cost_one_line(tmp_path: Path) -> None:
    _reader, items = read(tmp_path, b"%kmtrace 1\ncall F\n" + bytes(3000))
    assert [type(item) for item in items] == [Event, Loss]


def test_empty_file(tmp_path: Path) -> None:
    assert "the file is empty" in failure(tmp_path, b"")
    assert "the file is empty" in failure(tmp_path, b"\n\n")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_trace(str(tmp_path / "none.kmtrace"))
    with pytest.raises(InputError, match="folder"):
        open_trace(str(tmp_path))


def test_binary_file(tmp_path: Path) -> None:
    message = failure(tmp_path, bytes(range(256)) * 10)
    assert "binary file" in message
    assert "kmtrace" in message
    assert "binary file" in failure(tmp_path, bytes(range(256)), format="kmtrace")


def test_utf16_file(tmp_path: Path) -> None:
    message = failure(tmp_path, "%kmtrace 1\ncall F\n".encode("utf-16"))
    assert "UTF-16" in message
    assert "utf8" in message


def test_wrong_version(tmp_path: Path) -> None:
    assert "expected version 1 of the native trace format, found version '2'" in failure(
        tmp_path, b"%kmtrace 2\n"
    )
    assert "found no version" in failure(tmp_path, b"%kmtrace\n")
    assert "found version 'x y'" not in failure(tmp_path, b"%kmtrace x y\n")


def test_missing_first_line(tmp_path: Path) -> None:
    assert "expected %kmtrace 1, found 'call F'" in failure(tmp_path, b"call F\n")
    with pytest.raises(InputError, match="expected %kmtrace 1"):
        read_text("call F\n")


def test_unknown_format(tmp_path: Path) -> None:
    message = failure(tmp_path, b"hello\n", "a.trace")
    assert "is of no known trace format; it begins with 'hello'" in message
    assert "kmtrace" in message
    assert "unknown trace format 'nope'" in failure(tmp_path, b"hello\n", format="nope")
