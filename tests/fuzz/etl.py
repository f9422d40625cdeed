"""Attacks the reader of logs for as long as one likes.

    python -m tests.fuzz.etl [--seconds 60] [--seed 1]

A file that makes it fail is written to the current folder.
"""

from __future__ import annotations

import argparse
from itertools import count
from pathlib import Path
from struct import pack
from time import monotonic

from kmclcheck.traces.etw.etl.schema import In
from kmclcheck.traces.etw.etl.writer import describe_field
from tests.fuzz.mutate import FoundError, Outcome, attack
from tests.support.etl import Put, classic, kernel, log, logging, manifest, message, shim
from tests.support.etw_text import open_bytes

KMCL_CHILD = bytes.fromhex("710dd916cacad95ca6188210d93015f3")
_CASES_A_ROUND = 1000
# Markers of records, ends of names, types of fields with arrays and structures, items.
WORDS = (
    b"\x13\xc0", b"\x12\xc0", b"\x90", b"\x02\xc0", b"\x11\xc0", b"\x14\xc0", b"\0", b"\0" * 8, b"\x98\x80",
    b"\xb8\x02\xff\xff", b"\x58", b"\x18", b"\x44", b"\x24\xff\xff", b"\x60", b"\x0c\0\x01\0", b"\x0b\0\0\0",
    b"\xff\xff\xff\xff", b"\x48\0\0\0", b"\x07\0" * 4, b"\xff" * 12,
)  # fmt: skip


def seeds() -> list[bytes]:
    """Return whole logs that hold every kind of record."""
    nested = [
        b"outer\0" + bytes([In.STRUCT | 0x80, 2]),
        describe_field("text", In.NARROW),
        b"list\0" + bytes([In.UINT16 | 0x40]),
        describe_field("wide", In.WIDE),
        b"three\0" + bytes([In.HEX32 | 0x20, 3, 0]),
        describe_field("sid", In.SID),
        describe_field("counted", In.COUNTED_WIDE),
        describe_field("id", In.GUID),
        describe_field("rate", In.DOUBLE),
    ]
    data = (
        b"abc\0" + pack("<H2H", 2, 5, 6) + "xy\0".encode("utf-16-le") + pack("<3I", 1, 2, 3)
        + b"\x01\x01\0\0\0\0\0\x05\x12\0\0\0" + pack("<H4s", 4, b"a\0b\0") + bytes(16) + pack("<d", 1.5)
    )  # fmt: skip
    puts = [
        Put(10 * n, shim(f"VmbChannelPause.{'call' if n % 2 else 'ret'}", n, 10 * n), n % 3)
        for n in range(30)
    ]
    puts += [
        Put(301, logging("Nested", nested, data, 301), 1),
        Put(302, message(302), 2),
        Put(303, message(303, 0x3D), 0),
        Put(304, kernel(304), 0),
        Put(305, classic(305), 1),
        Put(306, manifest(KMCL_CHILD, 1, 1, bytes(46), 306), 1),
        Put(307, pack("<HBBHBBQ", 2, 0x11, 0xC0, 16, 38, 0x18, 10_000_000_307), 2),
    ]
    return [log(*puts), log(*puts, compressed=True), log(*puts, buffer_size=4096)]


def read(data: bytes) -> None:
    """Read a file to its end."""
    reader = open_bytes(data, "etl")
    for _ in reader:
        pass


def run(cases: int, seed: int, seconds: float | None = None) -> Outcome:
    """Attack the reader."""
    return attack(read, seeds(), cases, seed, WORDS, seconds)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    left, cases = args.seconds, 0
    for seed in count(args.seed):
        begun = monotonic()
        try:
            outcome = run(_CASES_A_ROUND, seed, left)
        except FoundError as error:
            place = Path(f"fuzz-etl-{seed}.etl")
            place.write_bytes(error.data)
            raise SystemExit(f"{error}\nwritten to {place}") from error
        left -= monotonic() - begun
        cases += outcome.cases
        print(
            f"seed {seed}: {outcome.cases} cases, {outcome.refused} refused, "
            f"slowest {outcome.slowest:.2f} s, most memory {outcome.most_memory:.1f} bytes a byte"
        )
        if left <= 0:
            break
    print(f"{cases} cases, no fault")


if __name__ == "__main__":
    main()
