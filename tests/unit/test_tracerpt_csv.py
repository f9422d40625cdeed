"""CSV as tracerpt writes it, which is not quite CSV."""

from __future__ import annotations

import tomllib

import pytest

from kmclcheck.diagnostics import InputError
from kmclcheck.model.event import Event
from kmclcheck.traces import ReadOptions
from kmclcheck.traces.etw import mapping_from
from kmclcheck.traces.formats._columns import column_value, split_columns
from tests.support.etw_text import Result, open_bytes, read_records, sniffed

NAMES = (
    "Event Name, Type, Event ID, Version, Channel, Level, Opcode, Task, Keyword, PID, TID, "
    "Processor Number, Instance ID, Parent Instance ID, Activity ID, Related Activity ID, Clock-Time, "
    "Kernel(ms), User(ms), User Data"
)
HEAD = ",".join(f"{name:>18}" for name in NAMES.split(",")) + "\r\n"
FILETIME = 134353010808889287
TIME = (FILETIME - 116444736000000000) * 100


def row(name: str, kind: str, user: str, id: int = 0) -> str:
    zero = "{00000000-0000-0000-0000-000000000000}"
    return (
        f"{name:>18}, {kind:>10}, {id:>10}, 1, 0, 4, 0, 0, 0x0000000000000001, 0x00001F94, 0x0000FFFF, "
        f"  3, , , {zero}, , {FILETIME:>20}, 30, 15, {user}\r\n"
    )


def header(events: int, buffers: int) -> str:
    user = f'65536, 83951878, 10586, 4, 1, 156250, 0, 0x1, 25, 1, 8, {events}, 2496, "NT", "a.etl", 1, 1, 1, '
    return row("EventTrace", "Header", f"{user}{buffers}")


def read(text: str, encoding: str = "utf-8") -> Result:
    data = text.encode(encoding)
    assert sniffed(data[:4096]) == ["tracerpt-csv"]
    return read_records(data, "tracerpt-csv")


def test_a_row() -> None:
    result = read(HEAD + row("Contoso", "Start ", '0x1F1F, 12, "a, b", text , -5, "7"', 42))
    record = result.one
    assert record.fields == {"0": 0x1F1F, "1": 12, "2": "a, b", "3": "text", "4": -5, "5": "7"}
    assert (record.provider, record.event, record.id, record.version) == ("Contoso", "Start", 42, 1)
    assert (record.pid, record.tid, record.cpu, record.time) == (0x1F94, 0xFFFF, 3, TIME)
    assert (record.line, record.offset) == (2, len(HEAD))
    assert not result.reader.problems


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_encodings(encoding: str) -> None:
    assert read(HEAD + row("Größe", "E", '"ü"'), encoding).one.fields == {"0": "ü"}


def test_losses() -> None:
    assert read(HEAD + header(0, 0)).losses == []
    (loss,) = read(HEAD + header(7, 0) + row("A", "B", "")).losses
    assert (loss.count, loss.anywhere) == (7, True)
    (loss,) = read(HEAD + header(7, 1)).losses
    assert (loss.count, loss.anywhere) == (None, True)
    short = row("EventTrace", "Header", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 3, 2496")
    assert read(HEAD + short).losses[0].count == 3


def test_a_mapping_names_columns_by_their_place() -> None:
    text = (
        '[[map]]\nprovider = "Contoso"\nevent = "{function}.{phase}"\n'
        'args = { Channel = "1" }\nseq = "0"\nstatus = "2"\n'
    )
    options = ReadOptions(mapping_from(tomllib.loads(text)))
    data = HEAD + row("Contoso", "VmbChannelEnable.ret", "7, 0xFFFF00, 0xC0000001")
    (event,) = open_bytes(data.encode(), "tracerpt-csv", options)
    assert isinstance(event, Event)
    assert (event.name, event.args, event.seq, event.status) == (
        "VmbChannelEnable", {"Channel": 0xFFFF00}, 7, 0xC0000001,
    )  # fmt: skip


@pytest.mark.parametrize(
    "wrong", ["nonsense", "a, b", row("A", "B", "").replace(str(FILETIME), "soon"), "x" * 70_000, "\x00"]
)
def test_a_wrong_row_costs_itself(wrong: str) -> None:
    result = read(HEAD + row("A", "E", "1") + wrong.strip() + "\n" + row("A", "E", "2"))
    assert [r.fields["0"] for r in result.records] == [1, 2]
    assert len(result.losses) == 1
    assert result.reader.problem_count == 1


def test_a_cut_file() -> None:
    result = read(HEAD + row("A", "E", "1") + row("A", "E", "22").rstrip())
    assert [r.fields["0"] for r in result.records] == [1]
    assert "the file ends inside" in result.reader.problems[0].message


def test_other_columns() -> None:
    with pytest.raises(InputError, match="'Clock-Time' is missing"):
        read_records(b"Event Name, Type, User Data\n", "tracerpt-csv")
    with pytest.raises(InputError, match="not the last"):
        read_records(b"Event Name, Type, Clock-Time, User Data, X\n", "tracerpt-csv")


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", [""]), (" a , b", ["a", "b"]),
        ('"a, b", c', ['"a, b"', "c"]), ('"a "b" c", d', ['"a "b" c"', "d"]),
        ('"open, b', ['"open', "b"]), ('x "y", z', ['x "y"', "z"]), ('"a" x, b', ['"a" x', "b"]),
        ('"", ""', ['""', '""']), ('"a"', ['"a"']), (",,", ["", "", ""]),
    ],
)  # fmt: skip
def test_columns(text: str, columns: list[str]) -> None:
    assert split_columns(text) == columns


def test_columns_take_time_in_proportion() -> None:
    assert len(split_columns('"x,' * 20_000 + '" ' * 20_000 + "z")) == 20_001
    assert column_value('"5"') == "5"
    assert column_value("5") == 5
