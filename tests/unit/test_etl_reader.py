"""Whole logs: order, losses, what is damaged, what is not for us."""

from __future__ import annotations

import io
import os
import threading
import tracemalloc
from pathlib import Path
from struct import pack

import pytest

from kmclcheck.diagnostics import InputError
from kmclcheck.model.event import End, Event, Loss, Phase, Start, TraceInfo
from kmclcheck.traces import ByteSource, open_trace
from kmclcheck.traces.base import Item
from kmclcheck.traces.etw.etl import input as etl_input
from kmclcheck.traces.etw.etl.writer import ORIGIN, START, Losses, event_record, write_etl
from tests.support.etl import (
    BUFFERS_LOST,
    BUFFERS_WRITTEN,
    CLOCK,
    CPUS,
    EVENTS_LOST,
    FIRST_BUFFER,
    FREQUENCY,
    MODE,
    Put,
    anywhere,
    classic,
    described,
    kernel,
    log,
    logging,
    manifest,
    message,
    patched,
    plain,
    read,
    shim,
)
from tests.support.etw_text import open_bytes, sniffed, written

CIRCULAR, ONE_QUEUE = 0x2, 0x1000_0000


def items_of(data: bytes) -> list[Item]:
    return list(open_bytes(data, "etl"))


def many(count: int = 60, cpus: int = 3) -> list[Put]:
    return [Put(10 * n, shim("VmbChannelStart.call", n, 10 * n), n * n % cpus) for n in range(count)]


def test_recognised() -> None:
    assert sniffed(log(*many())[:4096]) == ["etl"]
    assert sniffed(b"%kmtrace 1\n") == ["kmtrace"]
    assert sniffed(bytes(4096)) == []


@pytest.mark.parametrize("compressed", [False, True])
def test_records_of_all_cpus_come_in_the_order_of_time(compressed: bool) -> None:
    data = log(*many(200), compressed=compressed)
    found = read(data)
    assert [record.fields["Seq"] for record in found.records] == list(range(200))
    assert [record.time for record in found.records] == [1000 * n for n in range(200)]
    assert [record.line for record in found.records] == list(range(1, 201))
    assert found.losses == []
    info = found.reader.info
    assert (info.format, info.window, info.lost_anywhere) == ("etl", 100, False)
    assert found.reader.bytes_read == len(data)
    if not compressed:
        for record in found.records[:5]:
            assert data[record.offset + 2 : record.offset + 4] == b"\x13\xc0"


def test_what_a_record_holds() -> None:
    record = read(log(Put(3, shim("VmbChannelPause.call", 5, 3), 2))).one
    assert (record.provider, record.event, record.fields) == (
        "KmclTrace.A", "VmbChannelPause.call", {"Seq": 5, "Channel": 0x10},
    )  # fmt: skip
    assert (record.time, record.cpu, record.pid, record.tid, record.id) == (300, 2, 4, 8, 0)


def test_a_late_record_within_a_buffer_and_one_across_two() -> None:
    # A buffer holds five of them.
    order = [0, 1, 3, 2, 4, 6, 7, 8, 9, 10, 11, 5, *range(12, 40)]
    found = read(log(*(Put(n, plain(n)) for n in order)))
    assert [record.time for record in found.records] == [100 * n for n in range(40)]
    assert found.losses == []


def test_a_record_that_is_too_late() -> None:
    order = [0, 1, 2, *range(4, 30), 3, *range(30, 40)]
    found = read(log(*(Put(n, plain(n)) for n in order)))
    assert len(found.records) == 40
    assert found.reader.info.lost_anywhere
    assert "too far from the order of time" in found.reader.problems[0].message


def test_one_queue_for_all_cpus_tells_no_cpu() -> None:
    data = patched(log(*many()), (MODE, "I", ONE_QUEUE))
    found = read(data)
    assert {record.cpu for record in found.records} == {None}
    assert [record.time for record in found.records] == [1000 * n for n in range(60)]


def test_absent_threads() -> None:
    record = event_record(ORIGIN, bytes(16), None, None, b"")
    found = read(log(Put(0, record))).one
    assert (found.pid, found.tid, found.guid) == (None, None, "00000000-0000-0000-0000-000000000000")


def test_clocks() -> None:
    data = log(Put(10, plain(10)), Put(40, plain(40), 1))
    slow = read(patched(data, (FREQUENCY, "Q", 3_000_000)))
    assert [record.time for record in slow.records] == [3333, 13333]
    assert slow.reader.info.window == 334
    file_time = read(patched(data, (CLOCK, "I", 2), (FREQUENCY, "Q", 1)))
    assert [record.time for record in file_time.records] == [1000, 4000]
    assert file_time.reader.info.window == 100
    broken = read(patched(data, (FREQUENCY, "Q", 0)))
    assert "not to be trusted" in broken.reader.problems[0].message


def test_losses_that_the_header_tells() -> None:
    data = log(*many(), losses=Losses(41, 2))
    found = read(data)
    assert [(loss.count, loss.anywhere) for loss in found.losses] == [(41, True), (None, True)]
    assert "41 events" in found.losses[0].reason
    assert "2 buffers" in found.losses[1].reason
    # The numbers of the events show that none of them is among the lost ones, except at the end.
    reader = open_bytes(patched(data, (BUFFERS_LOST, "I", 0)), "etl")
    *_, last = reader
    assert isinstance(last, Loss)
    assert "41 events" in last.reason
    assert (last.anywhere, reader.info.lost_anywhere) == (False, False)
    assert read(patched(data, (BUFFERS_LOST, "I", 0), (EVENTS_LOST, "I", 0))).losses == []


def test_losses_that_buffers_tell() -> None:
    data = log(*many())
    marked = read(patched(data, (FIRST_BUFFER + 0x34, "H", 0x22)))
    assert "1 buffers are marked" in anywhere(marked)[0].reason
    # The second buffer of the file is taken out.
    gone = data[: FIRST_BUFFER + 1024] + data[FIRST_BUFFER + 2048 :]
    count = len(data[FIRST_BUFFER:]) // 1024
    found = read(patched(gone, (BUFFERS_WRITTEN, "I", count)))
    assert "1 buffers are missing by their numbers" in anywhere(found)[0].reason
    assert len(found.records) < 60


def test_a_file_that_keeps_the_newest() -> None:
    puts = [Put(10 * n, plain(10 * n), int(n == 0)) for n in range(40)]
    data = log(*puts)
    # Buffer 1 and 2 were overwritten; CPU 1 has only one record, from the very beginning.
    cut = data[:FIRST_BUFFER] + data[FIRST_BUFFER + 2048 :]
    assert cut[FIRST_BUFFER + 0x18] == 3
    found = list(open_bytes(patched(cut, (MODE, "I", CIRCULAR)), "etl"))
    flushed = int.from_bytes(cut[FIRST_BUFFER + 0x10 : FIRST_BUFFER + 0x18], "little")
    early = [
        item for item in found if isinstance(item, Event) and (item.time or 0) <= (flushed - ORIGIN) * 100
    ]
    losses = [item for item in found if isinstance(item, Loss)]
    assert len(early) == len(losses)
    assert isinstance(found[0], Loss)
    assert "2 older buffers were overwritten" in losses[0].reason
    assert not any(loss.anywhere for loss in losses)
    assert isinstance(found[-1], Event)
    # Without that mode it is a loss like any other.
    assert "first 2 buffers are missing" in anywhere(read(cut))[0].reason


def test_a_load_later_in_the_file() -> None:
    calls = [Put(n, shim("VmbChannelStart.call", n, n), n % 2) for n in range(3, 8)]
    puts = [Put(0, message(0)), Put(1, kernel(1)), Put(2, logging("DriverLoaded", time=2)), *calls]
    reader = open_bytes(patched(log(*puts), (MODE, "I", CIRCULAR)), "etl")
    items = list(reader)
    assert reader.info.start is Start.KNOWN
    assert len(items) == 5


def test_a_session_that_crashed() -> None:
    data = patched(log(*(Put(n, plain(n), n % 2) for n in range(40))), (BUFFERS_WRITTEN, "I", 0))
    found = read(data)
    assert len(found.records) == 40
    # Each CPU's last records may be missing: from the last one of CPU 0 on nothing is sure.
    losses = [item for item in items_of(data) if isinstance(item, Loss)]
    assert [loss.anywhere for loss in losses] == [False] * 3
    assert "did not end well" in losses[0].reason
    # A CPU without any buffer may have lost everything.
    idle = read(patched(data, (CPUS, "I", 3)))
    assert len(anywhere(idle)) == 1


def test_a_file_that_ends_inside_a_buffer() -> None:
    puts = [Put(n, plain(n)) for n in range(40)]
    data = log(*puts)
    found = read(data[: FIRST_BUFFER + 1024 + 700])
    assert len(found.records) == 8
    assert found.losses[-1].reason == "the file ends inside a buffer"
    assert f"byte {FIRST_BUFFER + 1024}" in found.reader.problems[0].message
    short = read(data[: FIRST_BUFFER + 1024])
    assert "the file has 2 of" in short.reader.problems[0].message
    assert "the file has 2 of" in short.losses[-1].reason
    compressed = log(*puts, compressed=True)
    assert 0 < len(read(compressed[: FIRST_BUFFER + 600]).records) < 8
    inside = read(data[: FIRST_BUFFER + 1024 + 20])
    assert "inside the header of a buffer" in inside.losses[-1].reason


def test_a_file_made_in_its_full_size() -> None:
    found = read(log(*many()) + bytes(50_000))
    assert (len(found.records), found.losses, found.reader.problems) == (60, [], [])
    crashed = read(patched(log(*many()) + bytes(50_000), (BUFFERS_WRITTEN, "I", 0)))
    assert len(crashed.records) == 60
    assert crashed.losses


@pytest.mark.parametrize("size", [0, 1, 0x47, 0xFFFFFFFF])
def test_a_buffer_without_a_sensible_size(size: int) -> None:
    data = log(*many())
    found = read(patched(data, (FIRST_BUFFER + 1024, "I", size)))
    assert 40 < len(found.records) < 60
    assert found.reader.info.lost_anywhere
    assert (
        f"byte {FIRST_BUFFER + 1024}: the header of a buffer makes no sense"
        in found.reader.problems[0].message
    )


def test_a_compressed_buffer_without_a_sensible_size() -> None:
    data = log(*many(), compressed=True)
    found = read(patched(data, (FIRST_BUFFER, "I", 0)))
    assert found.records == []
    assert "makes no sense" in found.losses[0].reason


@pytest.mark.parametrize("size", [1, 79, 0xFFF8])
def test_a_record_without_a_sensible_size(size: int) -> None:
    data = log(*(Put(n, plain(n)) for n in range(20)))
    first = FIRST_BUFFER + 0x48
    found = read(patched(data, (first + 2 * 160, "H", size)))
    assert 0 < len(found.records) < 20
    assert found.reader.info.lost_anywhere
    assert f"byte {first + 2 * 160}: a record of {size} bytes" in found.reader.problems[0].message


def test_damaged_compression() -> None:
    data = log(*(Put(n, plain(n)) for n in range(20)), compressed=True)
    found = read(patched(data, (FIRST_BUFFER + 0x48 + 36 * 8, "I", 0xFFFFFFFF)))
    assert 0 < len(found.records) < 20
    assert "a compressed buffer is damaged" in found.reader.problems[0].message
    assert anywhere(found)


def test_a_small_buffer_that_claims_to_be_huge() -> None:
    # 100 times a match of 4 GB of zeros.
    match = bytes.fromhex("07000fff0000ffffffff")
    body = pack("<I", 0x7FFFFFFF) + b"\0" + match * 31
    buffer = bytearray(log(Put(0, plain(0)), compressed=True)[FIRST_BUFFER : FIRST_BUFFER + 0x48])
    huge = patched(bytes(buffer), (0, "I", 0x48 + len(body)), (0x30, "I", 16 << 20)) + body
    data = log()[:FIRST_BUFFER] + huge * 100
    found = read(data)
    assert found.records == []
    assert found.reader.problem_count >= 100


def test_events_that_cannot_be_decoded_are_lost_if_they_may_be_ours() -> None:
    long = logging("VmbChannelPause.call", [b"Channel\0\x15"], b"\1\2\3", 1)
    other = logging("Odd", [b"Field\0\x15"], b"\1\2\3", 2, provider="Contoso.Net")
    nameless = described(pack("<H", 3) + b"\x80", time=3)
    ring = manifest(bytes.fromhex("710dd916cacad95ca6188210d93015f3"), 1, 7, b"new", 4)
    reader = open_bytes(
        log(*(Put(n, record) for n, record in enumerate((long, other, nameless, ring)))), "etl"
    )
    losses = [item for item in reader if isinstance(item, Loss)]
    assert [(loss.count, loss.anywhere) for loss in losses] == [(1, False)] * 3
    assert "KmclTrace.A/VmbChannelPause.call could not be decoded" in losses[0].reason
    assert reader.unmapped == {"Contoso.Net/Odd": 1}
    assert [f"byte {FIRST_BUFFER + 0x48}" in problem.message for problem in reader.problems] == [
        True,
        False,
        False,
    ]


def test_a_schema_of_zeros() -> None:
    record = described(pack("<H", 65_000) + bytes(64_000))
    (loss,) = items_of(log(Put(0, record), buffer_size=1 << 17))
    assert isinstance(loss, Loss)
    assert "more than 1024 fields" in loss.reason


def test_messages_of_wpp_are_counted() -> None:
    guid = "03020100-0504-0706-0809-0a0b0c0d0e0f"
    puts = [
        Put(0, message(0)), Put(1, message(1, 0x3D), 1), Put(2, message(2, 0), 1), Put(3, kernel(3)),
        Put(4, classic(4)), *(Put(10 + put.time, put.record, put.cpu) for put in many(3)),
    ]  # fmt: skip
    reader = open_bytes(log(*puts), "etl")
    assert sum(isinstance(item, Event) for item in reader) == 3
    assert reader.unmapped == {
        f"WPP {{{guid}}}": 1, "WPP component 77": 1, "WPP": 1, "Windows Kernel/Process 1": 1,
        f"{{{guid}}}/type 35": 1,
    }  # fmt: skip


def test_only_messages_of_wpp() -> None:
    with pytest.raises(InputError, match="only WPP messages") as error:
        open_bytes(log(Put(0, message(0)), Put(1, kernel(1)), Put(2, message(2))), "etl")
    assert 'tracefmt "trace" -i DRIVER.sys' in str(error.value)


def test_numbers_of_the_shim_tell_losses() -> None:
    puts = [put for n, put in enumerate(many(30)) if n not in (10, 11, 20)]
    found = [item for item in items_of(log(*puts)) if isinstance(item, Loss)]
    assert [loss.count for loss in found] == [2, 1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (log()[:60], "inside the header of its first buffer"),
        (log()[:200], "inside the header of the log"),
        (patched(log(), (0, "I", 0)), "first buffer makes no sense"),
        (patched(log(), (0, "I", 0xFFFFFFFF)), "first buffer makes no sense"),
        (patched(log(), (0x94, "I", 5)), "a pointer has 5 bytes"),
        (b"x" * 5000, "makes no sense"),
    ],
)
def test_no_log(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_bytes(data, "etl")


def test_a_log_without_records() -> None:
    found = read(log())
    assert (found.records, found.losses, found.reader.problems) == ([], [], [])


class _Pipe(io.RawIOBase):
    """A stream that cannot go back."""

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        piece = self._inner.read(min(len(buffer), 1000))
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("memory", [1000, 1 << 20])
def test_a_pipe(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    monkeypatch.setattr(etl_input, "MEMORY", memory)
    data = log(*many())
    from kmclcheck.traces import ReadOptions
    from kmclcheck.traces.formats.etl import FORMAT

    reader = FORMAT.open(ByteSource(_Pipe(data), "-"), ReadOptions())  # type: ignore[arg-type]
    whole = [event for event in items_of(data) if isinstance(event, Event)]
    assert list(reader) == whole


def test_a_named_pipe(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    path = tmp_path / "pipe.etl"
    os.mkfifo(path)
    data = log(*many())
    writer = threading.Thread(target=path.write_bytes, args=(data,))
    writer.start()
    assert len(list(open_trace(str(path)))) == 60
    writer.join()


def test_memory_stays_far_below_the_size_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "trace.etl"
    path.write_bytes(
        log(*(Put(n, shim("VmbChannelStart.call", n, n), n % 4) for n in range(15_000)), buffer_size=8192)
    )
    size = path.stat().st_size
    reader = open_trace(str(path))
    tracemalloc.start()
    count = sum(1 for _ in reader)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 15_000
    assert peak < size / 10


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "trace.etl"
    path.write_bytes(log(*many()))
    reader = open_trace(str(path))
    assert (reader.info.format, len(list(reader))) == ("etl", 60)


EVENT = Event(
    "VmbChannelEnable", Phase.CALL, {"Channel": 0x10, "Text": "a b", "Low": -3}, seq=1, time=250, tid=8
)


def test_writing() -> None:
    info = TraceInfo(start=Start.KNOWN, end=End.UNLOADED)
    ret = Event("VmbChannelEnable", Phase.RET, {"Nul": "a\0b"}, "STATUS_PENDING", 2, 300, 1, 4, 8, 2, "guest")
    data = written("etl", [EVENT, Loss(3, True), ret], info)
    reader = open_bytes(data, "etl")
    first, lost, second = [item for item in reader if not (isinstance(item, Loss) and not item.anywhere)]
    assert isinstance(lost, Loss)
    assert (lost.count, lost.anywhere) == (3, True)
    assert isinstance(first, Event)
    assert (first.args, first.time, first.endpoint) == (EVENT.args, 200, "driver")
    assert isinstance(second, Event)
    assert (second.args, second.status, second.irql, second.endpoint) == (
        ret.args,
        "STATUS_PENDING",
        2,
        "guest",
    )
    assert (reader.info.start, reader.info.lost_anywhere) == (Start.KNOWN, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"args": {"Seq": 1}}, "cannot be named 'Seq'"),
        ({"args": {"A": 1 << 64}}, "does not fit 64 bits"),
        ({"args": {"A": "x" * 70_000}}, "too long"),
        ({"args": {"A": "x" * 65_000}, "name": "n" * 1000}, "too long"),
        ({"args": {"A\0B": 1}}, "ends it"),
        ({"tid": 0xFFFFFFFF}, "thread id"),
        ({"cpu": 1 << 16}, "CPU"),
        ({"time": -1}, "time"),
        ({"status": 1}, "cannot have a status"),
    ],
)
def test_what_cannot_be_written(change: dict[str, object], message: str) -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match=message):
        written("etl", [replace(EVENT, **change)], TraceInfo())  # type: ignore[arg-type]


def test_equal_traces_give_equal_files() -> None:
    streams = [io.BytesIO(), io.BytesIO()]
    for stream in streams:
        write_etl([EVENT], TraceInfo(), stream)
    assert streams[0].getvalue() == streams[1].getvalue()
    assert START
