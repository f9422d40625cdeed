"""Text of tracefmt and netsh: prefixes, JSON, messages, and what is no line of theirs."""

from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kmclcheck.diagnostics import InputError
from kmclcheck.traces import ReadOptions
from kmclcheck.traces.etw import Mapping, mapping_from
from kmclcheck.traces.formats._tracefmt_prefix import PrefixError, by_grammar, ordinary
from tests.support.etw_text import SAMPLES, Result, needs_samples, open_bytes, read_records, sniffed

COARSE = "[0]0004.183C::08/21/2025-09:46:11.496 [km]"
FINE = "[2]1C10.1B78::2023/06/23-19:45:16.265726200 [Contoso]"
TIME = 1755769571_496000000


def line(event: str, time: str = "2023-06-24T02:45:16.2657262Z", prefix: str = FINE, **fields: object) -> str:
    meta = {"provider": "Contoso", "event": event, "time": time, "cpu": 2, "pid": 7184, "tid": 7032}
    return prefix + json.dumps({**fields, "meta": meta}) + "\n"


def read(text: str | bytes, prefix: str = "", mapping: Mapping | None = None) -> Result:
    data = text if isinstance(text, bytes) else text.encode()
    return read_records(data, "tracefmt", prefix, mapping)


@needs_samples
def test_real_lines() -> None:
    text = (SAMPLES / "netsh-tracelogging.excerpt.md").read_text(encoding="utf-8")
    lines = [part.strip() for part in text.splitlines() if "]::" not in part and "::20" in part]
    data = "\n".join(lines) + "\n"
    assert sniffed(data.encode()[:4096]) == ["tracefmt"]
    result = read(data)
    assert len(result.records) == len(lines) == 8
    assert not result.reader.problems
    assert result.reader.info.window == 100
    third = result.records[2]
    assert third.fields == {"Api": "ebpf_core_invoke_protocol_handler", "status": 0xC000000D}
    assert (third.provider, third.event) == ("EbpfForWindowsProvider", "EbpfApiError")
    assert (third.cpu, third.pid, third.tid, third.time) == (2, 7184, 7032, 1687574716_265740500)
    assert result.records[3].fields["last_error"] == 87
    assert result.records[4].fields["*guid1"] == "{f1832a85-85d5-45b0-98a0-7069d63013b0}"


def test_messages() -> None:
    result = read(COARSE + "Enter AddDevice PDO FFFF910FB4C88360\r\n")
    record = result.one
    assert (record.provider, record.message) == ("km", "Enter AddDevice PDO FFFF910FB4C88360")
    assert (record.cpu, record.pid, record.tid, record.time) == (0, 4, 0x183C, TIME)
    assert result.reader.info.window == 1_000_000


def test_fields_of_json() -> None:
    record = read(
        line("E", A=1, B=True, C=None, D=[1, {"E": "0x10"}], F={"G": {"H": "x"}}, I=1.5, J="87(WIN=x)")
    ).one
    assert record.fields == {
        "A": 1, "B": 1, "C": "", "D.0": 1, "D.1.E": 16, "F.G.H": "x", "I": "1.5", "J": 87,
    }  # fmt: skip


def test_one_clock_for_local_time_and_utc() -> None:
    both = line("E")
    message = FINE + "a message\n"
    hours = 7 * 3600 * 10**9
    first, second = read(both + message).records
    assert first.time == second.time == 1687574716_265726200
    first, second = read(message + both).records
    assert first.time == second.time == 1687574716_265726200 - hours


@pytest.mark.parametrize("rule", ["message = '{*}'\nfunction = 'F'", "event = 'E'\nfunction = 'F'"])
def test_the_clock_is_as_fine_as_what_can_become_an_event(rule: str) -> None:
    text = line("E", prefix=COARSE) + COARSE + "message\n"
    mapping = mapping_from(tomllib.loads("[[map]]\n" + rule))
    window = 1_000_000 if "message" in rule else 100
    assert read(text, mapping=mapping).reader.info.window == window


def test_encodings() -> None:
    text = line("Größe", A="x") + "\r\n" + line("B")
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"):
        result = read(text.encode(encoding))
        assert [r.event for r in result.records] == ["Größe", "B"]
        whole = text.encode(encoding)
        start = "[2]1C10".encode(encoding).removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe")
        assert whole[result.records[1].offset :].startswith(start)
        assert result.records[1].line == 3
        assert not result.reader.problems


def test_a_closing_summary() -> None:
    summary = (
        "\nFiles Processed:\n    C:\\a.etl\nTotal Buffers Processed 8\nTotal Events  Processed 2\n"
        "Total Events  Lost      {}\nTotal Format  Errors    0\nElapsed Time            330 sec\n"
        "+----------------+\n|EventCount  EventName |\n|  36    km    x  |\n"
    )
    result = read(line("A") + summary.format(0))
    assert (result.losses, result.reader.problems, result.reader.info.lost_anywhere) == ([], [], False)
    result = read(line("A") + summary.format(41))
    assert [(loss.count, loss.anywhere) for loss in result.losses] == [(41, True)]
    assert result.reader.info.lost_anywhere
    assert read(line("A") + "EventsLost: 3\n").losses[0].count == 3
    assert read(line("A") + "EventsLost: 3\n" + line("B")).records[1].event == "B"


def test_events_without_names() -> None:
    with pytest.raises(InputError, match="-jsonMeta 0"):
        read(COARSE + '{"A":1}\n')
    with pytest.raises(InputError, match="-jsonMeta 0"):
        read(COARSE + '{"A":1,"meta":{"provider":"Contoso"}}\n')
    assert read(line("A") + COARSE + '{"A":1}\n').records[1].message == '{"A":1}'
    assert read(COARSE + "{ not JSON\n").one.message == "{ not JSON"


def test_another_prefix() -> None:
    text = "08/21/2025-09:46:11.496 | km | 0004.183C cpu 3 | message here\n"
    with pytest.raises(InputError) as error:
        read(text)
    assert text[:30] in str(error.value)
    assert "--trace-prefix" in str(error.value)
    record = read(text, "{time} | {component} | {pid:hex}.{tid:hex} cpu {cpu} | ").one
    assert (record.message, record.provider, record.time) == ("message here", "km", TIME)
    assert (record.pid, record.tid, record.cpu) == (4, 0x183C, 3)
    record = read(COARSE + " hello\n", "[%9!d!]%8!04X!.%3!04X!::%4!s! [%1!s!]").one
    assert (record.message, record.provider, record.time, record.tid) == ("hello", "km", TIME, 0x183C)
    record = read("12 f.c(3): hello\n", "{seq} {where}: ").one
    assert (record.fields, record.message) == ({"seq": 12, "where": "f.c(3)"}, "hello")
    assert read("<5> " + line("E", prefix=""), "<{cpu}> ").one.event == "E"


def test_wrong_prefixes() -> None:
    with pytest.raises(InputError, match="column 6:"):
        read(COARSE, "{cpu}{pid}")
    with pytest.raises(InputError, match="no line has the given prefix"):
        read(COARSE + "x\n", "{cpu} - ")
    with pytest.raises(InputError, match="no line has the default prefix"):
        read('{"A":1}\n')


@pytest.mark.parametrize(
    "stray", ["wrapped rest", "[0]0004.18", "x" * 100_000, "\x00\x00", "}", "[0]0004.183C::"]
)
def test_a_stray_line_is_a_problem_and_a_loss(stray: str) -> None:
    result = read(line("A") + stray + "\n" + stray + "\n\n" + line("B"))
    assert [r.event for r in result.records] == ["A", "B"]
    assert len(result.losses) == 1
    assert result.losses[0].count == (None if len(stray) > 1000 else 2)
    assert result.reader.problem_count == 2
    assert [p.span.line for p in result.reader.problems if p.span] == [2, 3]


def test_a_message_may_have_several_lines() -> None:
    rule = mapping_from(tomllib.loads("[[map]]\nmessage = 'Enter {function} {Channel:hex}'\nphase = 'call'"))
    text = COARSE + "Enter F FF\n" + "00\n" + COARSE + "banner\n" + "of two lines\n" + COARSE + "Enter G 10\n"
    reader = open_bytes(text.encode(), "tracefmt", ReadOptions(rule))
    items = list(reader)
    # The first may have been cut within its number.
    assert [getattr(item, "name", "lost") for item in items] == ["lost", "G"]
    assert reader.problem_count == 2
    assert reader.unmapped == {"km/message": 1}
    reader = open_bytes((COARSE + "Enter F FF").encode(), "tracefmt", ReadOptions(rule))
    assert [getattr(item, "name", "lost") for item in reader] == ["lost"]


def test_messages_without_symbols_are_told_once() -> None:
    text = (COARSE + "Unknown( 10): GUID=x (No Format Information found).\n") * 3
    result = read(text)
    assert len(result.records) == 3
    assert [p.message for p in result.reader.problems] == [
        "messages without format information: give tracefmt the driver's symbols, -pdb FOLDER"
    ]


@pytest.mark.parametrize(
    "body",
    [
        '{"A":' + "[" * 30_000, '{"A":' + "[" * 30_000 + "]" * 30_000 + "}", '{"A":' + "9" * 6000 + "}",
        '{"A":{"A":' * 20 + "1" + "}" * 40, '{"A', '{"A":1,}',
        '{"a":' + "[" * 20 + "]" * 20 + ',"meta":{"event":"x"}}',
    ],
)  # fmt: skip
def test_broken_json(body: str) -> None:
    result = read(line("A") + FINE + body + "\n" + line("B"))
    assert [r.event for r in result.records if r.event] == ["A", "B"]
    assert len(result.losses) + sum(bool(r.message) for r in result.records) == 1


def test_great_numbers_become_text() -> None:
    assert read(line("A", N=10**3000)).one.fields["N"] == "1" + "0" * 3000
    assert read(line("A", N=2**64 - 1)).one.fields["N"] == 2**64 - 1


COARSE_TIME, FINE_TIME = "08/21/2025-09:46:11.496", "2023/06/23-19:45:16.265726200"
WRONG_TIMES = ["13/41/2025-09:46:11.496", "99/99/2025-09:46:11.496", "-", "1:2"]
TIMES = st.sampled_from([COARSE_TIME, FINE_TIME, "8/1/2025-09:46:11.496", *WRONG_TIMES])
PLAIN = [
    "[0]",
    "[-]",
    "[65536]",
    "0004.183C",
    "-.-",
    "xyz.1",
    "::",
    " ",
    "\t",
    "[km]",
    "[]",
    "[a b]",
    "]",
    "é",
]
LINES = st.lists(st.sampled_from(PLAIN) | TIMES, max_size=10).map("".join) | st.tuples(
    st.sampled_from([" ", ""]), st.sampled_from(["[0]", "[12]", "[123456]"]),
    st.sampled_from(["0004.183C", "A.B", "4.-"]), st.just("::"), TIMES, st.sampled_from([" ", "", "  "]),
    st.sampled_from(["[km]", "[ a ]", "[]"]), st.text(max_size=5),
).map("".join)  # fmt: skip


@settings(max_examples=800, deadline=None)
@given(LINES)
@example(COARSE)
@example(FINE + " a\nb")
def test_the_fast_path_agrees_with_the_grammar(text: str) -> None:
    fast = ordinary(text)
    try:
        exact = by_grammar(text)
    except PrefixError:
        exact = None
    assert fast is None or fast == exact


def test_the_fast_path_takes_ordinary_lines() -> None:
    assert ordinary(COARSE + "x") is not None
    assert ordinary(FINE + "{}") is not None
