"""Real logs of other projects, beside this checkout."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from kmclcheck.model.event import Loss, TraceInfo
from kmclcheck.traces import open_trace
from kmclcheck.traces.base import open_source
from kmclcheck.traces.etw.etl import EtlStream
from kmclcheck.traces.etw.record import Record
from tests.support.etl import SAMPLES, needs_samples

pytestmark = needs_samples
_PAIR = re.compile(r"([\w]+)=([^;]*);")


def records(name: str) -> list[Record]:
    """Return the records of a sample, which lost nothing and has no fault."""
    info = TraceInfo()
    problems: list[object] = []
    found = list(EtlStream(open_source(str(SAMPLES / name)), info, problems.append).records())
    assert problems == []
    assert not info.lost_anywhere
    assert not any(isinstance(item, Loss) for item in found)
    assert info.window == 100
    return [item for item in found if isinstance(item, Record)]


def test_every_scalar_type_agrees_with_the_text() -> None:
    text = (SAMPLES / "primitive-types.baseline.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in text if "solar_system/PrimitiveTypesTest PID" in line]
    found = [record for record in records("primitive-types.etl") if record.provider == "solar_system"]
    assert len(found) == len(lines) == 5
    for line, record in zip(lines, found, strict=True):
        fields = dict(_PAIR.findall(line))
        assert record.event == "PrimitiveTypesTest"
        assert (record.pid, record.tid, record.cpu) == (
            int(fields["PID"]), int(fields["TID"]), int(fields["ProceNum"]),
        )  # fmt: skip
        milliseconds = line.split()[1].rstrip(":").replace(",", "")
        assert record.time is not None
        assert f"{record.time / 1_000_000:.3f}" == milliseconds
        for name, value in record.fields.items():
            shown = fields[name]
            if name in ("string_type", "boolean_type"):
                assert str(value) == shown.replace("True", "1").replace("False", "0")
            elif name == "guid_type":
                assert str(value).strip("{}").startswith(shown.rstrip("."))
            elif name.endswith("_type") and "time" not in name:
                # The text takes the unsigned number of 64 bits for a signed one.
                assert (int(value) - int(shown)) % (1 << 64) == 0
        assert str(record.fields["system_time_type"]).startswith("2021-09-09T14:59:3")
        assert len(record.fields) == 12


def test_a_structure_in_a_compressed_buffer() -> None:
    (record,) = [r for r in records("SelfDescribingSingleEvent.etl") if r.event == "TestEvent"]
    assert (record.provider, record.fields) == ("MySource", {"a.b": "Hello", "a.c": "World!"})


def test_compressed_buffers_of_eight_cpus_come_in_the_order_of_time() -> None:
    found = records("net.4.5.2.x86.etl")
    times = [record.time or 0 for record in found]
    assert times == sorted(times)
    assert {record.cpu for record in found} == set(range(8))
    labels = Counter(record.label for record in found)
    assert labels["{a669021c-c450-4609-a035-5af59af4df18}/event 144"] == 13_783
    assert labels["Windows Kernel/PerfInfo 46"] == 88_809
    assert not any(record.damaged for record in found)
    # The kernel's sampling and stack records have 16 bytes of header and no thread.
    assert sum(record.tid is None for record in found) > 100_000


def test_a_trace_of_a_kernel_driver() -> None:
    found = [record for record in records("lxcore_kernel.etl") if record.guid]
    assert [record.label for record in found] == ["Microsoft.Windows.Subsystem.LxCore/BreakPoint"] * 2
    assert [(record.cpu, record.fields["Function"]) for record in found] == [
        (5, "LxpDrvFsTypeMount"), (3, "LxpInstanceStart"),
    ]  # fmt: skip
    assert found[0].fields["Line"] == 10528


@pytest.mark.parametrize(
    ("name", "count"),
    [("primitive-types.etl", 6), ("lxcore_kernel.etl", 3), ("SelfDescribingSingleEvent.etl", 22)],
)
def test_what_no_rule_fits_is_counted(name: str, count: int) -> None:
    reader = open_trace(str(SAMPLES / name))
    assert list(reader) == []
    assert reader.unmapped.total() == count
    assert reader.info.format == "etl"
