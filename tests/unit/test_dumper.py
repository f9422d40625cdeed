"""Text of xperf's dumper: declared columns, rows, and the grammar that defines both."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kmclcheck.diagnostics import InputError
from kmclcheck.traces.formats._columns import split_columns
from kmclcheck.traces.formats._dumper_grammar import Kind, by_grammar
from tests.support.etw_text import Result, read_records, sniffed

WHO = "  TimeStamp,     Process Name ( PID),   ThreadID, CPU"
HEAD = (
    "BeginHeader\r\n"
    "FirstReliableEventTimeStamp, TimeStamp\r\n"
    f"   UnknownEvent/Crimson,{WHO},                             ProviderId,     Id,   Task, Version\r\n"
    f"                T-Start,  TimeStamp,     Process Name ( PID),   ThreadID, StackBase\r\n"
    f" Contoso/Enable/win:Info,{WHO}, etw:ActivityId, Channel, Name\r\n"
    "EndHeader\r\n"
)
FACTS = (
    "OS Version: 10.0.22621, Trace Size: 1024KB, Events Lost: {}, Buffers lost: {}, Trace Start: 1, "
    "Trace Length: 1 sec, PointerSize: 8, Trace Name: a.etl\r\n"
)
ABOUT = "FirstReliableEventTimeStamp, 12\r\n"


def row(channel: str = "0x10", name: str = '"n"', time: str = "123456") -> str:
    return f"Contoso/Enable/win:Info,  {time},    app.exe (1234),    5678,   3, {{0}}, {channel}, {name}\r\n"


def read(text: str, encoding: str = "utf-8") -> Result:
    data = text.encode(encoding)
    assert sniffed(data[:4096]) == ["xperf-dumper"]
    return read_records(data, "xperf-dumper")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_rows(encoding: str) -> None:
    result = read(HEAD + FACTS.format(0, 0) + ABOUT + row(name='"a "quoted", ü"'), encoding)
    record = result.one
    assert (record.provider, record.event) == ("Contoso", "Enable")
    assert record.fields == {
        "etw.ActivityId": "{0}", "Channel": 16, "Name": 'a "quoted', "8": 'ü"', "etw.Opcode": "win:Info",
    }  # fmt: skip
    assert (record.time, record.pid, record.tid, record.cpu) == (123456000, 1234, 5678, 3)
    assert (result.losses, result.reader.problems) == ([], [])
    assert result.reader.info.window == 1000


def test_kernel_and_unknown_events() -> None:
    unknown = (
        "UnknownEvent/Crimson, 5, Unknown (  -1), -1, 0, {16D90D71-CACA-5CD9-A618-8210D93015F3}, 2, 0, 1\r\n"
    )
    first, second = read(HEAD + "T-Start, 7, a b.exe (   4), 8, 0xFFFF\r\n" + unknown).records
    assert (first.provider, first.event, first.pid, first.fields) == ("", "T-Start", 4, {"StackBase": 0xFFFF})
    assert (second.guid, second.id, second.version) == ("16d90d71-caca-5cd9-a618-8210d93015f3", 2, 1)
    assert (second.pid, second.tid, second.cpu) == (None, None, 0)
    assert second.damaged


def test_losses() -> None:
    (loss,) = read(HEAD + FACTS.format(3, 0) + row()).losses
    assert (loss.count, loss.anywhere) == (3, True)
    (loss,) = read(HEAD + FACTS.format(0, 2) + row()).losses
    assert (loss.count, loss.anywhere) == (None, True)


@pytest.mark.parametrize(
    "wrong",
    ["Undeclared, 1, 2", row(time="soon"), row(time="-5"), "x" * 70_000, "\x00", "Contoso/Enable/win:Info"],
)
def test_a_wrong_row_costs_itself(wrong: str) -> None:
    result = read(HEAD + row("1") + wrong.strip() + "\n" + row("2"))
    assert [r.fields["Channel"] for r in result.records] == [1, 2]
    assert len(result.losses) == 1
    assert result.reader.problem_count == 1


def test_cut_and_foreign_files() -> None:
    result = read(HEAD + row("1") + row("2").rstrip())
    assert len(result.records) == 1
    assert len(result.losses) == 1
    for text in (b"something else\n", b"x, y\n" * 200):
        with pytest.raises(InputError, match="does not begin with BeginHeader"):
            read_records(text, "xperf-dumper")


CELLS = st.sampled_from(
    [
        "a",
        " a b ",
        '"a"',
        '"a, b"',
        ' "x "y" z" ',
        '"open',
        "",
        " ",
        "1",
        '""',
        '"',
        "OS Version: 1",
        "Begin",
        "é",
    ]
)
LINES = st.lists(CELLS, max_size=6).map(",".join) | st.text('", a\t', max_size=12) | st.text(max_size=10)


@settings(max_examples=800, deadline=None)
@given(LINES)
@example('"a" "b", c')
@example("EndHeader ")
@example(" BeginHeader")
@example("EndHeader, x")
def test_rows_are_split_as_the_grammar_says(line: str) -> None:
    found = by_grammar(line)
    if found.kind is Kind.ROW:
        assert list(found.cells) == split_columns(line)
    else:
        assert line.strip(" \t").startswith(("BeginHeader", "EndHeader", "OS Version:"))
