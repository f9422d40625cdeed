"""XML as tracerpt writes it: its shapes, its encodings, and what breaks it."""

from __future__ import annotations

import pytest

from kmclcheck.diagnostics import InputError
from kmclcheck.model.event import Event, Loss
from tests.support.etw_text import SAMPLES, Result, needs_samples, open_bytes, read_records, sniffed

HEAD = '<Events>\n<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event">'
TAIL = "</Event>\n</Events>\n"
SYSTEM = (
    '<System><Provider Name="Contoso.Net" Guid="{575BA31F-2b45-58c2-64fd-f5dc757b6137}" />'
    "<EventID>{id}</EventID><Version>1</Version><Level>5</Level><Task>0</Task><Opcode>0</Opcode>"
    '<TimeCreated SystemTime="2026-09-15T10:14:30.992846100+00:59" />'
    '<Execution ProcessID="4" ThreadID="400" ProcessorID="6" KernelTime="0" UserTime="0" />'
    "<Channel /><Computer /></System>"
)
TIME = 1789467270_992846100


def event(body: str, id: int = 0) -> str:
    return f"<Event>{SYSTEM.replace('{id}', str(id))}{body}</Event>\n"


def read(text: str | bytes, encoding: str = "utf-8") -> Result:
    data = text if isinstance(text, bytes) else text.encode(encoding)
    assert sniffed(data[:4096]) == ["tracerpt-xml"]
    return read_records(data, "tracerpt-xml")


def events(*bodies: str, id: int = 0) -> str:
    return "<Events>\n" + "".join(event(body, id) for body in bodies) + "</Events>\n"


def data(**fields: str) -> str:
    return "<EventData>" + "".join(f'<Data Name="{n}">{v}</Data>' for n, v in fields.items()) + "</EventData>"


@needs_samples
def test_a_real_file() -> None:
    result = read((SAMPLES / "usb4-rundown.excerpt.xml").read_bytes())
    assert [r.event for r in result.records] == [
        "RundownStart", "HostRouterInformationPci", "DomainSleepInformation", "USB3AdapterInformation",
    ]  # fmt: skip
    first, second, third, fourth = result.records
    assert (first.provider, first.guid) == (
        "Microsoft.Windows.USB.USB4.HostRouter",
        "575ba31f-2b45-58c2-64fd-f5dc757b6137",
    )
    assert (first.fields, first.cpu, first.pid, first.tid) == ({}, 6, 15232, 48784)
    assert first.time == 1789467270_992846000
    assert second.fields["DomainID"] == 0xC06601
    assert second.fields["AcpiBiosDeviceName"] == r"\_SB_.PCI0.GP19.NHI1"
    assert str(second.fields["DeviceInstancePath"]).startswith(r"PCI\VEN_1022&DEV_1669")
    assert third.fields["NumberOfDomainPowerDownRequests"] == 1
    assert [fourth.fields[f"TopologyID.{n}"] for n in range(7)] == [0] * 7
    assert "TopologyID" not in fourth.fields
    assert (fourth.line, fourth.time) == (81, 1789467271_065565500)
    assert not result.reader.problems
    assert result.reader.info.window == 100


def test_the_parts_of_an_event() -> None:
    body = data(A="0x10", B="      -3", C="text &amp; more", D="0xC0000001(NT=Failed)", E="")
    record = read(events(body + "<RenderingInfo><Task>Enable.call</Task></RenderingInfo>")).one
    assert record.fields == {"A": 16, "B": -3, "C": "text & more", "D": 0xC0000001, "E": ""}
    assert (record.event, record.time, record.version, record.id) == ("Enable.call", TIME, 1, 0)
    assert (record.cpu, record.pid, record.tid, record.line) == (6, 4, 400, 2)


def test_the_task_names_only_events_without_an_id() -> None:
    record = read(events("<RenderingInfo><Task>Some</Task></RenderingInfo>", id=7)).one
    assert (record.event, record.id) == ("", 7)


def test_nested_and_foreign_data() -> None:
    body = (
        '<EventData><ComplexData Name="Range"><Data Name="Low">1</Data><Data Name="High">2</Data>'
        "</ComplexData>"
        "<Data>x</Data><Data>y</Data></EventData>"
    )
    assert read(events(body)).one.fields == {"Range.Low": 1, "Range.High": 2, "Data.0": "x", "Data.1": "y"}
    body = '<Info xmlns="urn:x"><p:Size xmlns:p="urn:p">5</p:Size><In><It>a</It></In></Info>'
    assert read(events(f"<UserData>{body}</UserData>")).one.fields == {"Size": 5, "In.It": "a"}


def test_payloads_that_were_not_decoded() -> None:
    assert read(events("<BinaryEventData>00 01\nFF</BinaryEventData>")).one.payload == b"\x00\x01\xff"
    assert read(events("<BinaryEventData>0 nonsense</BinaryEventData>")).one.payload == b""
    body = (
        "<ProcessingErrorData><ErrorCode>15005</ErrorCode><DataItemName>A</DataItemName>"
        "<EventPayload>0102</EventPayload></ProcessingErrorData>"
    )
    assert read(events(body)).one.payload == b"\x01\x02"
    assert read(events("<ProcessingErrorData></ProcessingErrorData>")).one.damaged


def test_text_between_events_may_hide_some() -> None:
    result = read(events(data(A="1")).replace("</Events>", "\x00" * 5000 + event(data(A="2")) + "</Events>"))
    assert [r.fields["A"] for r in result.records] == [1, 2]
    assert len(result.losses) == 1


def test_ring_records_of_the_library_are_decoded() -> None:
    def ring(payload: bytes, version: int) -> str:
        text = events(f"<BinaryEventData>{payload.hex().upper()}</BinaryEventData>", id=1)
        text = text.replace("<Version>1<", f"<Version>{version}<")
        return text.replace("575BA31F-2b45-58c2-64fd-f5dc757b6137", "16D90D71-CACA-5CD9-A618-8210D93015F3")

    payload = bytes(range(32)) + (77).to_bytes(8, "little") + b"\x01\0\0\0"
    result = read(ring(payload, 0))
    assert {k: v for k, v in result.one.fields.items() if k in ("TransactionId", "IsCompletionPacket")} == {
        "TransactionId": 77, "IsCompletionPacket": 1,
    }  # fmt: skip
    assert not result.one.damaged
    assert read(ring(payload + b"\x05\0", 1)).one.fields["Channel"] == 5
    reader = open_bytes(ring(payload, 0).encode(), "tracerpt-xml")
    (fetched,) = reader
    assert isinstance(fetched, Event)
    assert fetched.name == "EtwPacketFetched"
    assert read(ring(payload[:-2], 1)).one.damaged
    # Nobody knows what it was, so it is missing.
    assert [type(item) for item in open_bytes(ring(payload[:-2], 1).encode(), "tracerpt-xml")] == [Loss]


def test_wpp_and_classic_events() -> None:
    body = (
        "<DebugData><SequenceNumber>1</SequenceNumber><Component>net</Component>"
        "<Message>Enter VmbChannelPause FFFF</Message></DebugData>"
    )
    text = events(body).replace('Name="Contoso.Net" ', "")
    record = read(text).one
    assert (record.message, record.provider) == ("Enter VmbChannelPause FFFF", "net")
    zero = "00000000-0000-0000-0000-000000000000"
    text = events(
        "<ExtendedTracingInfo><EventGuid>{3D6FA8D0-FE05-11D0-9DDA-00C04FD7BA7C}</EventGuid></ExtendedTracingInfo>"
    ).replace("575BA31F-2b45-58c2-64fd-f5dc757b6137", zero)
    assert read(text).one.guid == "3d6fa8d0-fe05-11d0-9dda-00c04fd7ba7c"


def test_nobody_is_no_process() -> None:
    record = read(events("").replace('ProcessID="4"', 'ProcessID="4294967295"').replace("400", "x")).one
    assert (record.pid, record.tid) == (None, None)


@pytest.mark.parametrize(
    ("events_lost", "buffers_lost", "count"), [(3, 0, 3), (0, 2, None), (3, 2, None), (0, 0, 0)]
)
def test_the_header_tells_losses(events_lost: int, buffers_lost: int, count: int | None) -> None:
    header = event(data(EventsLost=str(events_lost), BuffersLost=f"    {buffers_lost}", PerfFreq="10"))
    header = header.replace("575BA31F-2b45-58c2-64fd-f5dc757b6137", "68FDD900-4A3E-11D1-84F4-0000F80464E3")
    result = read(f"<Events>{header}{event('')}</Events>")
    assert len(result.records) == 1
    assert [(loss.count, loss.anywhere) for loss in result.losses] == ([(count, True)] if count != 0 else [])
    assert result.reader.info.lost_anywhere is (count != 0)


@pytest.mark.parametrize("mark", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "declaration",
    ["", '<?xml version="1.0" encoding="UTF-16"?>\n', '<?xml version="1.0" encoding="UTF-8"?>\n'],
)
def test_encodings(mark: bool, encoding: str, declaration: str) -> None:
    # The declaration need not be true: files are saved anew in other encodings.
    text = declaration + events(data(A="grün \U0001f600"), data(A="0"), data(A="1"))
    result = read((("\ufeff" if mark else "") + text).encode(encoding))
    assert [r.fields["A"] for r in result.records] == ["grün \U0001f600", 0, 1]
    assert not result.reader.problems
    assert result.losses == []
    first, second, _ = result.records
    whole = ("\ufeff" if mark else "") + text
    assert first.offset == len(whole[: whole.index("<Event>")].encode(encoding))
    assert second.offset == len(whole[: whole.index("<Event>", whole.index("</Event>"))].encode(encoding))
    assert first.line == 2 + bool(declaration)


def test_a_file_larger_than_a_block() -> None:
    text = events(*(data(A=str(n), B="x" * 200, C="é") for n in range(3000)))
    for encoding in ("utf-8", "utf-16-le"):
        result = read(text, encoding)
        assert [r.fields["A"] for r in result.records] == list(range(3000))
        assert [r.line for r in result.records] == list(range(2, 3002))
        record = result.records[2999]
        at = text.rindex("<Event>")
        assert record.offset == len(text[:at].encode(encoding))


def test_a_file_cut_in_the_middle() -> None:
    text = events(data(A="1"), data(A="2"), data(A="3"))
    for at in range(text.index("<Event>") + 1, len(text) - 2, 7):
        result = read(text[:at])
        whole = text[:at].count("</Event>")
        assert [r.fields["A"] for r in result.records] == [1, 2, 3][:whole]
        assert [(loss.count, loss.anywhere) for loss in result.losses] == [(None, False)]
        assert result.reader.problem_count == 1
        assert "the file ends inside" in result.reader.problems[0].message


@pytest.mark.parametrize(
    "broken",
    ["<Data", "&nothing;", "</x>", "<a><b></a>", "&#1;", "<a b=1/>", "<Event>", "]]>", "<?xml?>"],
)
def test_a_broken_event_costs_itself(broken: str) -> None:
    text = (
        "<Events>\n"
        + event(data(A="1"))
        + event(broken)
        + event(data(A="2"))
        + event(data(A="3"))
        + "</Events>"
    )
    result = read(text)
    kept = [r.fields.get("A") for r in result.records]
    assert kept[0] == 1
    assert kept[-1] == 3
    assert len(result.losses) == 1
    assert result.reader.problem_count >= 1
    assert result.reader.problems[0].span is not None
    assert result.reader.problems[0].span.line >= 3
    assert result.records[-1].line == 5


def test_files_one_after_the_other() -> None:
    result = read(events(data(A="1")) + '<?xml version="1.0"?>\n' + events(data(A="2")))
    assert [r.fields["A"] for r in result.records] == [1, 2]
    assert result.losses == []
    assert result.reader.problem_count == 1


def test_forbidden_characters_are_replaced() -> None:
    result = read(events(data(A="a\x00b\x01"), data(A="grü\x02n")))
    assert [r.fields["A"] for r in result.records] == ["a?b?", "gr\u00fc?n"]


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE Events [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><Events>&b;</Events>',
        '<?xml version="1.0"?>\n<!DOCTYPE Events SYSTEM "file:///etc/passwd"><Events></Events>',
    ],
)
def test_document_types_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="declares a document type"):
        read(text)


def test_other_documents_are_refused() -> None:
    with pytest.raises(InputError, match="begins with the element <Report>"):
        read_records(b"<Report><Event/></Report>", "tracerpt-xml")
    with pytest.raises(InputError, match="holds no element <Events>"):
        read_records(b"just text", "tracerpt-xml")


def test_limits() -> None:
    deep = "<a>" * 100 + "</a>" * 100
    many = "<EventData>" + "".join(f'<Data Name="F{n}">1</Data>' for n in range(5000)) + "</EventData>"
    names = "".join(f"<n{n}/>" for n in range(20_000))
    for body, words in (
        (deep, "nested more than"),
        (data(A="x" * 300_000), "longer than 262144 characters"),
        (many, "more than 4096 fields"),
        (f'<EventData><Data Name="{"x" * 10_000_000}">1</Data></EventData>', "goes on for more than"),
        (f"<!--{'x' * 1_000_000}-->", "goes on for more than"),
        (names, "names of elements"),
        (deep * 3, "nested"),
    ):
        result = read(events(data(A="1"), body, data(A="2"), data(A="3")))
        kept = [r.fields.get("A") for r in result.records]
        assert (kept[0], kept[-1]) == (1, 3), words
        assert len(result.losses) == 1
        assert words in result.reader.problems[0].message
