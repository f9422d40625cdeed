"""The parts of the reader of logs: compression, descriptions of events, values, layouts of manifests."""

from __future__ import annotations

from struct import pack

import pytest

from kmclcheck.traces.etw.etl.header import Clock, HeaderError, LogHeader, read_header
from kmclcheck.traces.etw.etl.lzxpress import CompressionError, compress, expand
from kmclcheck.traces.etw.etl.manifest import KMCL, KMCL_CHILD, ManifestEvents
from kmclcheck.traces.etw.etl.schema import MAX_DEPTH, MAX_FIELDS, In, Out, SchemaError, parse_schema
from kmclcheck.traces.etw.etl.tracelogging import MAX_ELEMENTS, MAX_VALUES, DecodeError, Decoder
from kmclcheck.traces.etw.etl.writer import describe, describe_field
from kmclcheck.traces.etw.record import FieldValue

LETTERS = b"abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("packed", "plain"),
    [
        ("3f000000" + LETTERS.hex(), LETTERS),
        ("ffffff1f" "616263" "1700" "0f" "ff" "2601", b"abc" * 100),
        ("ffffff7f" "61" "0700" "0f" "ff" "0000" "70110100", b"a" * (1 + 70_000 + 3)),
        ("ffffff7f" "61" "0100", b"a" * 5),
        ("", b""),
    ],
)  # fmt: skip
def test_expansion(packed: str, plain: bytes) -> None:
    assert expand(bytes.fromhex(packed), len(plain)) == plain
    assert expand(bytes.fromhex(packed), 10) == plain[:10]


def test_two_long_matches_share_a_byte() -> None:
    # Lengths 7 + 1 + 3 and 7 + 2 + 3 in the halves of one byte.
    packed = pack("<I", 0x7FFFFFFF) + b"a" + pack("<H", 7) + b"\x21" + pack("<H", 7)
    assert expand(packed, 100) == b"a" * (1 + 11 + 12)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 64, 1000])
def test_compression_is_undone(size: int) -> None:
    plain = bytes(n * 7 & 0xFF for n in range(size))
    assert expand(compress(plain), size + 10) == plain


@pytest.mark.parametrize(
    ("packed", "message", "whole"),
    [
        ("ffffff7f" "61" "0800", "begins before", b"a"),
        ("ffffff7f" "61" "00", "ends inside", b"a"),
        ("ffffff7f" "61" "0700", "ends inside", b"a"),
        ("ffffff7f" "61" "0700" "0f" "ff" "0100", "too short", b"a"),
        ("ffff", "ends inside", b""),
    ],
)  # fmt: skip
def test_damaged_compression(packed: str, message: str, whole: bytes) -> None:
    with pytest.raises(CompressionError, match=message) as error:
        expand(bytes.fromhex(packed), 100)
    assert error.value.whole == whole


def test_a_match_of_four_gigabytes_takes_no_memory() -> None:
    packed = bytes.fromhex("ffffff7f6107000fff0000ffffffff")
    assert expand(packed, 1000) == b"a" * 1000


BYTE = describe_field("a", In.UINT8)


def decoded(fields: list[bytes], data: bytes) -> dict[str, FieldValue]:
    return Decoder(parse_schema(describe("Event", fields))).decode(b"xx" + data + b"yy", 2, 2 + len(data))


@pytest.mark.parametrize(
    ("type_", "out", "data", "value"),
    [
        (In.INT8, 0, b"\xff", -1), (In.UINT8, 0, b"\xff", 255), (In.INT16, 0, b"\xfe\xff", -2),
        (In.UINT16, 0, b"\x01\x02", 0x201), (In.INT32, 0, pack("<i", -5), -5),
        (In.UINT32, 0, pack("<I", 5), 5),
        (In.INT64, 0, pack("<q", -5), -5), (In.UINT64, 0, pack("<Q", 1 << 63), 1 << 63),
        (In.FLOAT, 0, pack("<f", 0.5), "0.5"), (In.DOUBLE, 0, pack("<d", -1.25), "-1.25"),
        (In.BOOL32, 0, pack("<I", 7), 1), (In.UINT8, Out.BOOLEAN, b"\x02", 1),
        (In.BINARY, 0, b"\x02\0\x01\xab", "01ab"),
        (In.GUID, 0, bytes(range(16)), "{03020100-0504-0706-0809-0a0b0c0d0e0f}"),
        (In.FILETIME, 0, pack("<Q", 9), 9),
        (In.SYSTEMTIME, 0, pack("<8H", 2021, 9, 4, 9, 14, 59, 35, 7), "2021-09-09T14:59:35.007"),
        (In.SID, 0, b"\x01\x02" + (5).to_bytes(6, "big") + pack("<II", 32, 544), "S-1-5-32-544"),
        (In.HEX32, 0, pack("<I", 0xC0000001), 0xC0000001), (In.HEX64, 14, pack("<Q", 1), 1),
        (In.WIDE, 0, "aĀb\0".encode("utf-16-le"), "aĀb"), (In.WIDE, 0, "Ā".encode("utf-16-le"), "Ā"),
        (In.NARROW, 0, b"abc\0", "abc"), (In.NARROW, 0, b"abc", "abc"), (In.NARROW, 0, b"\xe9\0", "é"),
        (In.NARROW, Out.UTF8, "é\0".encode(), "é"), (In.COUNTED_NARROW, 0, b"\x03\0a\0b", "a\0b"),
        (In.COUNTED_WIDE, 0, b"\x04\0" + "ab".encode("utf-16-le"), "ab"),
        (In.COUNTED_BINARY, 0, b"\0\0", ""),
    ],
)  # fmt: skip
def test_types(type_: int, out: int, data: bytes, value: FieldValue) -> None:
    both = [describe_field("a", In.UINT8), describe_field("v", type_, out), describe_field("z", In.UINT8)]
    assert decoded([describe_field("v", type_, out)], data) == {"v": value}
    if type_ not in (In.WIDE, In.NARROW) or data[-1] == 0:
        assert decoded(both, b"\x01" + data + b"\x02") == {"a": 1, "v": value, "z": 2}


def test_structures_and_arrays() -> None:
    fields = [
        b"outer\0" + bytes([In.STRUCT | 0x80, 3]),
        describe_field("text", In.NARROW),
        b"inner\0" + bytes([In.STRUCT | 0xC0, 1]),
        describe_field("n", In.UINT8),
        b"two\0" + bytes([In.UINT16 | 0x20, 2, 0]),
        b"chars\0" + bytes([In.UINT8 | 0xC0, Out.STRING]),
        b"words\0" + bytes([In.NARROW | 0x40]),
        describe_field("nothing", In.NULL),
        describe_field("last", In.UINT8),
    ]
    data = b"ab\0\x02\0\x07\x08\x01\0\x02\0\x03\0xyz\x02\0p\0q\0\x09"
    assert decoded(fields, data) == {
        "outer.text": "ab", "outer.inner.0.n": 7, "outer.inner.1.n": 8, "outer.two.0": 1, "outer.two.1": 2,
        "chars": "xyz", "words.0": "p", "words.1": "q", "last": 9,
    }  # fmt: skip


def test_tags_are_skipped() -> None:
    body = b"\x81\x82\x03Event\0a\0" + bytes([In.UINT8 | 0x80, 0x80 | Out.BOOLEAN, 0x85, 0x05])
    description = parse_schema(pack("<H", len(body) + 2) + body)
    assert (description.name, Decoder(description).decode(b"\x05", 0, 1)) == ("Event", {"a": 1})


def test_long_arrays_are_shortened() -> None:
    found = decoded(
        [b"a\0" + bytes([In.UINT8 | 0x40]), describe_field("z", In.UINT8)],
        pack("<H", 60_000) + bytes(60_000) + b"\x07",
    )
    assert len(found) == MAX_ELEMENTS + 1
    assert found["z"] == 7


@pytest.mark.parametrize(
    ("fields", "data", "message", "kept"),
    [
        ([BYTE, describe_field("b", In.UINT32)], b"\1\2\3", "too early", {"a": 1}),
        ([BYTE, describe_field("b", In.COUNTED_NARROW)], b"\1\xff\xff", "too early", {"a": 1}),
        ([BYTE, describe_field("b", 31)], b"\1\2", "unknown type", {"a": 1}),
        ([BYTE, b"b\0" + bytes([In.UINT8 | 0x60, 1, 0, 0])], b"\1\2", "of its own", {"a": 1}),
        ([BYTE, b"b"], b"\1", "no end", {"a": 1}),
        ([BYTE, b"b\0"], b"\1", "ends inside a field", {"a": 1}),
        ([b"a\0" + bytes([In.NULL | 0x40])], b"\xff\xff", "array of nothing", {}),
        ([b"a\0" + bytes([In.STRUCT | 0xC0, 0])], b"\xff\xff", "array of nothing", {}),
        ([b"a\0" + bytes([In.SID | 0x40])], b"\xff\xff", "too early", {}),
    ],
)  # fmt: skip
def test_what_cannot_be_decoded(
    fields: list[bytes], data: bytes, message: str, kept: dict[str, FieldValue]
) -> None:
    with pytest.raises(DecodeError, match=message) as error:
        decoded(fields, data)
    assert error.value.fields == kept


def test_bombs() -> None:
    deep = [b"s\0" + bytes([In.STRUCT | 0x80, 1])] * 5000
    assert str(MAX_DEPTH) in parse_schema(describe("Event", deep)).problem
    many = b"\0" * 65_535
    description = parse_schema(pack("<H", 65_535) + many[2:])
    assert str(MAX_FIELDS) in description.problem
    assert (description.name, len(description.fields)) == ("", MAX_FIELDS)
    # Structures in arrays in structures: each level multiplies.
    nested = [b"s\0" + bytes([In.STRUCT | 0x80 | 0x20, 1, 0xFF, 0xFF])] * (MAX_DEPTH - 1)
    with pytest.raises(DecodeError, match=str(MAX_VALUES)):
        decoded([*nested, describe_field("a", In.UINT8)], bytes(60_000))


@pytest.mark.parametrize("data", [b"", b"\0", b"\x05\0", b"\x05\0\x80\x80", b"\xff\xff\0abc"])
def test_descriptions_without_a_name(data: bytes) -> None:
    with pytest.raises(SchemaError):
        parse_schema(data)


KEY = bytes(16) + bytes(range(16))


@pytest.mark.parametrize(
    ("version", "tail", "boolean", "fields"),
    [
        (0, pack("<QI", 9, 1), 4, {"TransactionId": 9, "IsCompletionPacket": 1}),
        (0, pack("<QB", 9, 1), 1, {"TransactionId": 9, "IsCompletionPacket": 1}),
        (1, pack("<QIH", 9, 0, 3), 4, {"TransactionId": 9, "IsCompletionPacket": 0, "Channel": 3}),
        (1, pack("<QBH", 9, 0, 3), 1, {"TransactionId": 9, "IsCompletionPacket": 0, "Channel": 3}),
    ],
)
def test_ring_records(version: int, tail: bytes, boolean: int, fields: dict[str, FieldValue]) -> None:
    told: list[str] = []
    events = ManifestEvents(told.append)
    data = b"...." + KEY + tail
    for _ in range(2):
        found, problem = events.decode(KMCL_CHILD, 1, version, data, 4, len(data))
        assert problem == ""
        assert found == {
            "VmId": "{00000000-0000-0000-0000-000000000000}",
            "InstanceId": "{03020100-0504-0706-0809-0a0b0c0d0e0f}",
            **fields,
        }
    noun = "byte" if boolean == 1 else "bytes"
    assert told == [
        f"IsCompletionPacket of Microsoft-Windows-Hyper-V-KMCL-Child has {boolean} {noun} in this file"
    ]


def test_other_ring_records() -> None:
    told: list[str] = []
    events = ManifestEvents(told.append)
    found, _ = events.decode(KMCL, 3, 1, KEY + pack("<IIH", 1, 2, 3), 0, 42)
    assert found is not None
    assert (found["PacketFetched"], found["MaximumFetchAllowed"], found["Channel"]) == (1, 2, 3)
    assert events.decode(KMCL_CHILD, 4, 0, KEY, 0, 32)[0] is not None
    assert events.decode(KMCL_CHILD, 4, 0, KEY, 0, 31) == (
        None, "version 0 of event 4 with 31 bytes has no known layout",
    )  # fmt: skip
    assert events.decode(KMCL, 4, 0, KEY, 0, 31) == (None, "")
    assert events.decode(KMCL_CHILD, 99, 0, KEY, 0, 31) == (None, "")
    assert told == []


def header(clock: int = 1, frequency: int = 10_000_000, width: int = 8, megahertz: int = 2000) -> LogHeader:
    system = pack("<HBBHBBIIQ8x", 2, 2, 0xC0, 0, 0, 0, 0, 0, 5)
    facts = pack("<IIIIQIIIIIIII", 4096, 0, 0, 2, 0, 0, 0, 0, 1, 1, width, 3, megahertz)
    pointers = bytes(2 * width + 172 + 4)
    return read_header(system + facts + pointers + pack("<QQQII", 0, frequency, 77, clock, 2) + bytes(16))


@pytest.mark.parametrize("width", [4, 8])
def test_header(width: int) -> None:
    found = header(width=width)
    assert (found.start_time, found.origin, found.events_lost, found.buffers_lost) == (77, 5, 3, 2)
    assert (found.frequency, found.resolution, found.ns(25)) == (10_000_000, 100, 2000)


def test_clocks() -> None:
    assert header(1, 3_579_545).resolution == 280
    assert (header(2, 1).frequency, header(2, 1).resolution) == (10_000_000, 100)
    assert (header(3, 1).frequency, header(3, 1).resolution) == (2_000_000_000, 1)
    odd = header(7)
    assert (odd.clock, "clock 7" in odd.doubt) == (Clock.QPC, True)
    still = header(1, 0)
    assert (still.frequency, "0 times" in still.doubt) == (10_000_000, True)


def test_no_header() -> None:
    with pytest.raises(HeaderError, match="3 bytes"):
        header(width=3)
    with pytest.raises(HeaderError, match="ends inside"):
        read_header(b"x" * 100)
    with pytest.raises(HeaderError, match="first record"):
        read_header(b"x" * 400)
