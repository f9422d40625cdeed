"""Times the readers of all trace formats on the same events, each written in its own way, and prints a table.

    python benchmarks/readers.py [--events 200000] [--runs 3] [FORMAT...]

Only reading and mapping are timed, not judging: CPU time of one process, the median of the runs. A format
that is not written by this project gets its file from ``OTHERS``. Nothing passes or fails here.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from time import process_time
from typing import BinaryIO

from kmclcheck.model.event import Loss, TraceInfo
from kmclcheck.traces import ReadOptions, known_formats, open_trace
from kmclcheck.traces.base import Item
from kmclcheck.traces.etw import mapping_from
from kmclcheck.traces.etw.record import Record
from kmclcheck.traces.etw.shim import shim_records

HERE = Path(__file__).resolve().parent
FILETIME = 134_353_010_808_889_287
Writer = Callable[[BinaryIO, Iterable[Item], TraceInfo], None]


def records(items: Iterable[Item], info: TraceInfo) -> Iterable[Record]:
    return (record for record in shim_records(items, info) if not isinstance(record, Loss))


def write_messages(stream: BinaryIO, items: Iterable[Item], info: TraceInfo) -> None:
    """WPP messages with the default prefix."""
    for number, record in enumerate(records(items, info)):
        name, _, phase = record.event.partition(".")
        second, fraction = divmod(number // 10, 1000)
        stamp = f"08/21/2025-{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{fraction:03}"
        head = f"[{record.cpu or 0}]{record.pid or 0:04X}.{record.tid or 0:04X}::{stamp} [driver]"
        stream.write(f"{head}{name} {phase or 'whole'} {number}\n".encode())


def write_csv(stream: BinaryIO, items: Iterable[Item], info: TraceInfo) -> None:
    """CSV of tracerpt."""
    stream.write(
        b"Event Name, Type, Event ID, Version, Channel, Level, Opcode, Task, Keyword, PID, TID, "
        b"Processor Number, Instance ID, Parent Instance ID, Activity ID, Related Activity ID, Clock-Time, "
        b"Kernel(ms), User(ms), User Data\n"
    )
    for record in records(items, info):
        user = ", ".join(f'"{v}"' if isinstance(v, str) else f"{v:#x}" for v in record.fields.values())
        stream.write(
            f"{record.provider}, {record.event}, 0, 0, 0, 4, 0, 0, 0x0000000000000000, "
            f"{record.pid or 0:#010x}, {record.tid or 0:#010x}, {record.cpu or 0:8}, , , "
            f"{{00000000-0000-0000-0000-000000000000}}, , {FILETIME + (record.time or 0) // 100}, "
            f"0, 0, {user}\n".encode()
        )


def write_dumper(stream: BinaryIO, items: Iterable[Item], info: TraceInfo) -> None:
    """Text of xperf's dumper: the header knows all events, so they are gone through twice."""
    found = list(records(items, info))
    who = "  TimeStamp,     Process Name ( PID),   ThreadID, CPU"
    kinds = {f"{r.provider}/{r.event}": r.fields for r in found}
    stream.write(b"BeginHeader\n")
    for name, fields in kinds.items():
        stream.write(f"{name}, {who}, {', '.join(fields)}\n".encode())
    stream.write(b"EndHeader\n")
    for record in found:
        values = ", ".join(str(value) for value in record.fields.values())
        stream.write(
            f"{record.provider}/{record.event}, {(record.time or 0) // 1000:10}, "
            f"app.exe ({record.pid or 0:4}), {record.tid or 0:10}, {record.cpu or 0:3}, {values}\n".encode()
        )


OTHERS: dict[str, tuple[str, str, Writer]] = {
    "tracefmt, messages": ("tracefmt", ".txt", write_messages),
    "tracerpt-csv": ("tracerpt-csv", ".csv", write_csv),
    "xperf-dumper": ("xperf-dumper", ".dump", write_dumper),
}


def read(path: Path, format: str, options: ReadOptions) -> tuple[int, float]:
    """Return how many events a file has, and the seconds that reading it took."""
    begun = process_time()
    count = sum(not isinstance(item, Loss) for item in open_trace(str(path), format, options))
    return count, process_time() - begun


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("formats", nargs="*")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    # Messages, and columns without names, need a mapping of one's own.
    messages = ReadOptions(mapping_from({"map": [{"message": "{function} {phase} {Seq:int}", "seq": "Seq"}]}))
    columns = ReadOptions(mapping_from({"map": [{"event": "{function}.{phase}", "args": {"Channel": "2"}}]}))
    rows: dict[str, tuple[str, str, Writer]] = {
        name: (name, f.suffixes[0], f.write) for name, f in known_formats().items() if f.writes
    }
    rows.update(OTHERS)
    print(f"{'':22}{'events/s':>12}{'MB/s':>8}{'bytes/event':>13}")
    with tempfile.TemporaryDirectory() as folder:
        native = Path(folder) / "bench.kmtrace"
        command = [sys.executable, str(HERE / "make_trace.py"), str(args.events), str(native)]
        subprocess.run(command, check=True, capture_output=True)
        for name, (format, suffix, write) in rows.items():
            if args.formats and format not in args.formats:
                continue
            path = Path(folder) / f"written{suffix}"
            reader = open_trace(str(native))
            with path.open("wb") as stream:
                write(stream, reader, reader.info)
            options = {write_messages: messages, write_csv: columns}.get(write, ReadOptions())
            found = [read(path, format, options) for _ in range(args.runs)]
            count, seconds = found[0][0], statistics.median(seconds for _, seconds in found)
            size = path.stat().st_size
            path.unlink()
            print(f"{name:22}{count / seconds:>12,.0f}{size / seconds / 1e6:>8.1f}{size / count:>13.0f}")


if __name__ == "__main__":
    main()
