"""How events of a driver's own become calls and callbacks."""

from __future__ import annotations

import tomllib

import pytest

from kmclcheck.model.event import End, Event, Loss, Phase, Start, TraceInfo
from kmclcheck.traces import read_text
from kmclcheck.traces.etw import EtwReader, Mapping, Record, mapping_from
from kmclcheck.traces.etw.builtin import builtin_mapping
from kmclcheck.traces.etw.mapping import MappingError, Marker
from kmclcheck.traces.etw.shim import shim_records
from kmclcheck.traces.etw.templates import Template, TemplateError
from kmclcheck.traces.etw.values import parse_hex, parse_value


def mapping(text: str) -> Mapping:
    return mapping_from(tomllib.loads(text))


def made(text: str, record: Record) -> Event:
    event = mapping(text).map(record)
    assert isinstance(event, Event)
    return event


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("       1", 1), ("-204", -204), ("0xC06601", 0xC06601), ("True", 1), ("false", 0),
        ("0xC000000D(NT=An invalid parameter was passed.)", 0xC000000D), ("87(WIN=The parameter.)", 87),
        ('"quoted"', "quoted"), ("Mercury", "Mercury"), ("", ""), ("9" * 40, "9" * 40), ("12(", "12("),
    ],
)  # fmt: skip
def test_values(text: str, value: int | str) -> None:
    assert parse_value(text) == value


def test_pointers() -> None:
    assert parse_hex("FFFF910FB4C88360") == 0xFFFF910FB4C88360
    assert parse_hex("ffff910f`b4c88360") == 0xFFFF910FB4C88360
    assert parse_hex("xyz") is None
    assert parse_hex("`") is None


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("{a}.{b}", "Enable.call", {"a": "Enable", "b": "call"}),
        ("{a}.{b}", "Enable", None),
        ("Enter {f} Channel={c:hex}", "Enter Pause Channel=FFFF01", {"f": "Pause", "c": 0xFFFF01}),
        ("Enter {f} Channel={c:hex}", "Enter two words Channel=FFFF01", None),
        ("status {s:int} of {*}", "status -3 of everything else", {"s": -3}),
        ("{*}ch={c:hex} end", "a b ch=10 rest", None),
        ("{*}ch={c:hex} {*}", "a b ch=10 rest", {"c": 16}),
        ("{{{a}}}", "{x}", {"a": "x"}),
        ("fixed", "fixed", {}),
        ("fixed", "fixed!", None),
        ("{why:text}", "anything at all", {"why": "anything at all"}),
    ],
)
def test_templates(pattern: str, text: str, found: dict[str, int | str] | None) -> None:
    assert Template(pattern).match(text) == found


@pytest.mark.parametrize(
    ("pattern", "column"), [("a{", 2), ("a{b}{c}", 5), ("{a} {a}", 5), ("{a:float}", 1), ("}", 1)]
)
def test_wrong_templates(pattern: str, column: int) -> None:
    with pytest.raises(TemplateError) as error:
        Template(pattern)
    assert error.value.column == column


def test_a_pattern_takes_time_in_proportion() -> None:
    # A pattern that goes back would need some 10^15 steps here.
    assert Template("{a:text},{b:text},{c:text},{d:text}!").match("," * 60_000) is None


RULE = """
[[map]]
provider = "Contoso.{*}"
event = "Ch{function}"
phase = "{Step}"
functions = { Enable = "VmbChannelEnable" }
phases = { Before = "call", After = "ret" }
args = { Channel = "Ch" }
constants = { IsServer = true }
seq = "Number"
irql = "Irql"
status = "Result"
"""


def test_a_rule() -> None:
    fields: dict[str, int | str] = {
        "Step": "After",
        "Ch": 16,
        "Number": 7,
        "Irql": 2,
        "Result": -1,
        "Other": 3,
    }
    record = Record("Contoso.Net", "", "ChEnable", fields, time=5, cpu=1, pid=4, tid=8, line=9)
    event = made(RULE, record)
    assert event == Event(
        "VmbChannelEnable", Phase.RET, {"Channel": 16, "IsServer": 1}, 0xFFFFFFFF, 7, 5, 1, 4, 8, 2, "", 9
    )
    assert mapping(RULE).map(Record("Fabrikam.Net", "", "ChEnable", fields)) is None
    fields["Step"] = "Later"
    assert mapping(RULE).map(Record("Contoso.Net", "", "ChEnable", fields)) is None


def test_fields_are_parameters_unless_they_mean_something_else() -> None:
    text = '[[map]]\nevent = "{function}.{phase}"\nseq = "Seq"\nwhere = { Kind = 1 }\n'
    fields: dict[str, int | str] = {"Channel": 16, "Seq": 1, "Kind": 1, "Name": "x"}
    assert made(text, Record(event="VmbChannelPause.call", fields=fields)).args == {
        "Channel": 16,
        "Name": "x",
    }
    assert mapping(text).map(Record(event="VmbChannelPause.call", fields={"Kind": 2})) is None


def test_text_messages() -> None:
    text = (
        '[[map]]\nmessage = "-> {function}(ch {Channel:hex})"\nphase = "call"\n'
        '[[map]]\nmessage = "<- {function} = {status:hex}"\nphase = "ret"\nstatus = "status"\n'
        '[[map]]\nmessage = "tick {*}"\nignore = true\n'
    )
    call = made(text, Record(message="-> VmbChannelPause(ch FFFF00)"))
    assert (call.name, call.phase, call.args) == ("VmbChannelPause", Phase.CALL, {"Channel": 0xFFFF00})
    back = made(text, Record(message="<- VmbChannelEnable = c0000001"))
    assert (back.phase, back.status, back.args) == (Phase.RET, 0xC0000001, {})
    assert mapping(text).map(Record(message="tick 12")) == Marker()
    assert mapping(text).map(Record(message="something else")) is None


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("[[map]]\nevnt = 'x'", "evnt", "unknown key"),
        ("[[map]]\nevent = 'x'", "function", "needs a function"),
        ("[[map]]\nevent = '{a}{b}'", "event", "need text between"),
        ("[[map]]\nfunction = 'x'\nphases = { A = 'sideways' }", "phases", "unknown phase"),
        ("[[map]]\nfunction = 3", "function", "a string"),
        ("[[map]]\nend = 'soon'", "end", "is one of"),
        ("[[map]]\nstart = 'yes'", "start", "true or false"),
        ("[[map]]\nfunction = 'x'\nargs = { A = 3 }", "args", "table of strings"),
        ("[[map]]\nfunction = 'x'\nrecords = 'some of it!'", "records", "no word"),
        ("map = 3", "map", "list of tables"),
    ],
)
def test_wrong_rules(text: str, key: str, message: str) -> None:
    with pytest.raises(MappingError, match=message) as error:
        mapping(text)
    assert error.value.key == key


def kit(name: str, driver: str = "A", **fields: int | str) -> Record:
    return Record(f"KmclTrace.{driver}", event=name, fields=dict(fields), pid=4, tid=8)


def read(*records: Record) -> tuple[list[Event | Loss], TraceInfo, EtwReader]:
    reader = EtwReader(TraceInfo(), builtin_mapping(), iter(records), lambda: 0)
    return list(reader), reader.info, reader


LOADED, GONE = kit("DriverLoaded"), kit("DriverUnloaded")


def call(seq: int, driver: str = "A") -> Record:
    return kit("VmbChannelEnable.call", driver, Seq=seq, Irql=0, Channel=16)


def test_what_the_shim_tells() -> None:
    items, info, reader = read(
        LOADED, call(1), kit("VmbChannelEnable.ret", Seq=2, Status=0), GONE, kit("Odd")
    )
    assert (info.start, info.end, info.records_all) == (Start.KNOWN, End.UNLOADED, True)
    first, second = items
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert (first.name, first.phase, first.args) == ("VmbChannelEnable", Phase.CALL, {"Channel": 16})
    assert (first.endpoint, first.irql, second.status, second.args) == ("A", 0, 0, {})
    assert reader.unmapped == {"KmclTrace.A/Odd": 1}


def test_a_capture_that_began_later() -> None:
    _, info, _ = read(call(5), GONE)
    assert (info.start, info.end) == (Start.MIDLIFE, End.UNLOADED)


def test_a_second_driver_that_was_running_before() -> None:
    items, info, _ = read(LOADED, call(1), call(100, "B"), GONE)
    assert [type(item) for item in items] == [Event, Loss, Event]
    assert (info.start, info.end) == (Start.KNOWN, End.STOPPED)


def test_a_driver_that_is_loaded_again() -> None:
    items, info, _ = read(LOADED, call(1), call(2), GONE, LOADED, call(1), call(2))
    assert [item.seq for item in items if isinstance(item, Event)] == [1, 2, 3, 4]
    assert len(items) == 4
    assert info.end is End.STOPPED


def test_ring_records_have_one_key_for_three_fields() -> None:
    guid = "16d90d71-caca-5cd9-a618-8210d93015f3"
    fields: dict[str, int | str] = {
        "VmId": "{A}",
        "InstanceId": "{b}",
        "TransactionId": 9,
        "IsCompletionPacket": 0,
    }
    items, _, _ = read(
        Record("", guid, "", fields, id=1),
        Record("", guid, "", {**fields, "VmId": "{a}"}, id=2),
        Record("", guid, "", {**fields, "Channel": 1}, id=2, version=1),
    )
    first, second, third = items
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert isinstance(third, Event)
    assert (first.name, second.name) == ("EtwPacketFetched", "EtwPacketPut")
    assert first.args["Ring"] == second.args["Ring"] != third.args["Ring"]
    assert first.phase is Phase.WHOLE


NATIVE = """%kmtrace 1
%start known
%end unloaded
%records all
@host 1 100 0 4.8 0 call VmbChannelEnable Channel=0x10
@guest 1 200 1 4.c 0 call VmbChannelEnable Channel=0x20
%lost 3
@host 2 300 0 4.8 0 ret VmbChannelEnable status=0xc0000001
"""


def test_what_the_shim_would_have_written_means_the_same() -> None:
    before = read_text(NATIVE)
    items, info, _ = read(*(r for r in shim_records(before, before.info) if isinstance(r, Record)))
    assert (info.start, info.end, info.records_all) == (Start.KNOWN, End.UNLOADED, True)
    names = [(i.name, i.phase, i.endpoint, i.args, i.irql) for i in items if isinstance(i, Event)]
    assert names == [
        (e.name, e.phase, e.endpoint, e.args, e.irql) for e in read_text(NATIVE) if isinstance(e, Event)
    ]
    assert [item.count for item in items if isinstance(item, Loss)] == [3]
    back = items[-1]
    assert isinstance(back, Event)
    assert (back.status, back.time, back.tid, back.cpu) == (0xC0000001, 300, 8, 0)


def lossy(*records: Record | Loss) -> tuple[list[Event | Loss], EtwReader]:
    reader = EtwReader(TraceInfo(), builtin_mapping(), iter(records), lambda: 0)
    return list(reader), reader


SESSION = Loss(3, True, "the session lost 3 events")


def test_numbers_show_that_what_the_session_lost_was_not_the_drivers() -> None:
    items, reader = lossy(SESSION, LOADED, call(1), call(2), kit("DriverUnloaded", Seq=3))
    assert [type(item) for item in items] == [Event, Event]
    assert not reader.info.lost_anywhere
    assert "the session lost 3 events; the numbers" in reader.problems[0].message


def test_numbers_do_not_show_what_is_missing_at_the_end() -> None:
    for end in ([], [GONE], [kit("DriverUnloaded", Seq=5)]):
        items, reader = lossy(LOADED, call(1), call(2), *end, SESSION)
        assert [type(item) for item in items] == [Event, Event, Loss]
        assert not reader.info.lost_anywhere


def test_without_numbers_anything_may_be_missing() -> None:
    for place in range(3):
        records: list[Record | Loss] = [LOADED, kit("VmbChannelEnable.call", Channel=16)]
        records.insert(place, SESSION)
        items, reader = lossy(*records)
        assert SESSION in items
        assert reader.info.lost_anywhere


def test_a_tracer_that_missed_events_is_not_trusted_with_numbers() -> None:
    items, reader = lossy(SESSION, LOADED, call(1), kit("Incomplete"), call(3))
    assert SESSION in items
    assert reader.info.lost_anywhere
