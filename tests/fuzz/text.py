"""Attacks the readers of text formats for as long as one likes.

    python -m tests.fuzz.text [--seconds 60] [--seed 1] [--format NAME]

A file that makes one fail is written to the current folder.
"""

from __future__ import annotations

import argparse
import io
import json
from itertools import count
from pathlib import Path
from time import monotonic

from kmclcheck.model.event import End, Event, Loss, Phase, Start, TraceInfo
from kmclcheck.traces import known_formats
from kmclcheck.traces.formats._tracerpt_writer import write_xml
from kmclcheck.traces.wide import LITTLE
from tests.fuzz.mutate import FoundError, Outcome, attack
from tests.support.etw_text import open_bytes

_CASES_A_ROUND = 200
XML_WORDS = (
    b"<Event>", b"</Event>", b"<Events>", b"</Events>", b"<!--", b"-->", b"<![CDATA[", b"]]>",
    b"<!DOCTYPE Events [", b'<!ENTITY a "b">', b"&a;", b"&#0;", b"&amp;", b"<?xml version='1.0'?>",
    b"<Data Name='A'>", b"</Data>", b"<UserData>", b"<BinaryEventData>", b"\xff\xfe", b"\0",
    b"<a><a><a><a>", b'="', b"\xed\xa0\x80",
)  # fmt: skip
TEXT_WORDS = (
    b"\n", b"\r\n", b"\n\n", b'{"', b'"}', b"[[[[[[", b'"meta":', b'"meta":{"event":"F.call"}', b"::",
    b"[0]", b'"', b",", b"0x", b"99999999999999999999999999", b"-1", b"null", b"1e999", b"NaN", b"\\u0000",
    b"\\ud800", b"\xff", b"\0", b"EventsLost: 5\n", b"Total Events  Lost      3\n", b"EndHeader\n",
    b"BeginHeader\n", b"OS Version: 1, Events Lost: 9", b"Event Name, Type,", b"EventTrace, Header, 0,",
    b'"a, b"', b'{"lost":1}\n', b'{"end":"hung"}\n', b"-07:00", b"(NT=",
)  # fmt: skip
FORMATS = ("jsonl", "tracefmt", "tracerpt-csv", "tracerpt-xml", "xperf-dumper")


def _trace() -> tuple[list[Event | Loss], TraceInfo]:
    items: list[Event | Loss] = []
    for number in range(30):
        name, phase = ("EvtVmbChannelOpened", Phase.IN) if number % 3 else ("VmbChannelEnable", Phase.CALL)
        args: dict[str, int | str] = {"Channel": 0xFFFF_BC80_1200_0000 + number, "Name": 'a, "b" <c> ü'}
        seq = number if number < 20 else None
        items.append(Event(name, phase, args, None, seq, number * 100, number % 4, 4, 8 + number, 0, "A"))
        if number == 25:
            items.append(Loss(3))
    return items, TraceInfo(start=Start.KNOWN, end=End.UNLOADED, records_all=True)


def _csv() -> str:
    head = (
        "Event Name, Type, Event ID, Version, Channel, Level, Opcode, Task, Keyword, PID, TID, "
        "Processor Number, Instance ID, Parent Instance ID, Activity ID, Related Activity ID, Clock-Time, "
        "Kernel(ms), User(ms), User Data\n"
    )
    row = "{}, {}, 1, 0, 0, 4, 0, 0, 0x1, 0x4, 0x8, 1, , , {{0}}, , {}, 0, 0, {}\n"
    rows = [row.format("EventTrace", "Header", 134353010808889287, ", ".join(["1"] * 11 + ["0"] * 9))]
    rows += [
        row.format("KmclTrace.A", "VmbChannelEnable.call", 134353010808889287 + n, f'{n}, 0x10, "a, b"')
        for n in range(30)
    ]
    return head + "".join(rows)


def _dumper() -> str:
    who = "TimeStamp, Process Name ( PID), ThreadID, CPU"
    head = (
        f"BeginHeader\nKmclTrace.A/VmbChannelEnable.call/win:Info, {who}, etw:ActivityId, Seq, Channel\n"
        f"UnknownEvent/Crimson, {who}, ProviderId, Id, Version\nEndHeader\n"
        "OS Version: 10.0, Trace Size: 1KB, Events Lost: 0, Buffers lost: 0, Trace Name: a\n"
    )
    rows = [
        f"KmclTrace.A/VmbChannelEnable.call/win:Info, {n}, a.exe (  4), 8, {n % 4}, {{0}}, {n}, 0x10\n"
        for n in range(30)
    ]
    unknown = "UnknownEvent/Crimson, 99, x (4), 8, 0, {16d90d71-caca-5cd9-a618-8210d93015f3}, 1, 1\n"
    return head + "".join(rows) + unknown


def seeds(format: str) -> list[bytes]:
    """Return whole files of a format."""
    items, info = _trace()
    if format == "tracerpt-csv":
        return [_csv().encode(), _csv().encode("utf-16")]
    if format == "xperf-dumper":
        return [_dumper().encode(), _dumper().encode("utf-16")]
    stream = io.BytesIO()
    known_formats()[format].write(stream, items, info)
    found = [stream.getvalue()]
    if format == "tracerpt-xml":
        wide = io.BytesIO()
        write_xml(wide, items, info, LITTLE)
        return [*found, wide.getvalue()]
    if format == "tracefmt":
        meta = json.dumps(
            {"Deep": [[{"A": [1, 2]}]], "meta": {"event": "E", "time": "2025-08-21T09:46:11.4960000Z"}}
        )
        line = f"[0]0004.183C::08/21/2025-09:46:11.496 [km]{meta}\n"
        message = "[0]0004.183C::08/21/2025-09:46:11.496 [km]Enter AddDevice PDO FFFF910FB4C88360\n"
        found.append((line * 5 + message * 5 + "Total Events  Lost      0\n").encode())
    return found


def run(format: str, cases: int, seed: int, seconds: float | None = None) -> Outcome:
    """Attack one reader."""
    words = XML_WORDS if format == "tracerpt-xml" else TEXT_WORDS

    def read(data: bytes) -> None:
        for _ in open_bytes(data, format):
            pass

    return attack(read, seeds(format), cases, seed, words, seconds)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--format", choices=FORMATS)
    args = parser.parse_args()
    chosen = [args.format] if args.format else list(FORMATS)
    total = {name: Outcome() for name in chosen}
    started = monotonic()
    for seed in count(args.seed):
        for name in chosen:
            try:
                outcome = run(name, _CASES_A_ROUND, seed)
            except FoundError as error:
                path = Path(f"fuzz-{name}-{seed}.bin")
                path.write_bytes(error.data)
                print(f"{name}: {error}; the file is {path}")
                raise SystemExit(1) from error
            sums = total[name]
            sums.cases += outcome.cases
            sums.refused += outcome.refused
            sums.slowest = max(sums.slowest, outcome.slowest)
            sums.most_memory = max(sums.most_memory, outcome.most_memory)
        if monotonic() - started > args.seconds:
            break
    for name, sums in total.items():
        print(
            f"{name:13} {sums.cases:7} files, {sums.refused} refused, slowest {sums.slowest:.3f} s, "
            f"memory up to {sums.most_memory:.1f} times the file"
        )


if __name__ == "__main__":
    main()
