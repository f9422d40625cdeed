"""Times reports: a check alone, and the same check with a report in each format, on a trace with many faults.

    python benchmarks/reports.py [--events 1000000] [--faults 1000] [--runs 3]

The trace is that of the other benchmark with faults spread over it: a free of packets that never were, and a
configuration of open channels. Medians of CPU time of whole processes, in turn; only differences and ratios
say something on another machine. Nothing passes or fails here.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from run import HERE, Measure, measure, median

FORMATS = ("html", "sarif", "junit")
EVERY = 10
"""One fault in so many is about a channel."""


def faulty(source: Path, target: Path, faults: int) -> int:
    """Spread faults over a trace and number its records anew; return how many records it has."""
    lines = source.read_text(encoding="ascii").splitlines()
    first = next(n for n, line in enumerate(lines) if line[:1].isdigit())
    step = max(1, (len(lines) - first) // (faults + 1))
    channels: list[str] = []
    count = done = 0
    with target.open("w", encoding="ascii", newline="\n") as out:
        out.writelines(f"{line}\n" for line in lines[:first])
        for number, line in enumerate(lines[first:], 1):
            if not line[:1].isdigit():
                out.write(f"{line}\n")
                continue
            count += 1
            rest = line.split(" ", 1)[1]
            out.write(f"{count} {rest}\n")
            opened = re.search(
                r" out EvtVmbChannelPostStarted| in EvtVmbChannelStarted Channel=(0x[0-9a-f]+)", line
            )
            if opened is not None and opened[1]:
                channels.append(opened[1])
            if number % step or done == faults:
                continue
            done += 1
            if channels and done % EVERY == 0:
                name, args = "VmbChannelInitSetMaximumPacketSize", f"Channel={channels.pop()} PacketSize=64"
            else:
                name, args = "VmbPacketFree", f"VmbPacket={0xDEAD0000 + done * 16:#x}"
            time = rest.split(" ", 1)[0]
            for phase, given in (("call", f" {args}"), ("ret", "")):
                count += 1
                out.write(f"{count} {time} 0 4.fff0 0 {phase} {name}{given}\n")
    return count


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plain, trace = Path(folder) / "plain.kmtrace", Path(folder) / "faulty.kmtrace"
        make = [sys.executable, str(HERE / "make_trace.py"), str(args.events), str(plain)]
        subprocess.run(make, check=True, capture_output=True)
        events = faulty(plain, trace, args.faults)
        check = [sys.executable, "-m", "kmclcheck", "check", str(trace), "--format", "concise"]
        paths = {name: Path(folder) / f"run.{name}" for name in FORMATS}
        commands = {"check alone": check}
        for name, path in paths.items():
            commands[f"with {name}"] = [*check, "--report", f"{name}={path}"]
        together = [option for name, path in paths.items() for option in ("--report", f"{name}={path}")]
        commands["with all of them"] = [*check, *together]
        found: dict[str, list[Measure]] = {name: [] for name in commands}
        for _ in range(args.runs):
            for name, command in commands.items():
                found[name].append(measure(command))
        result = {name: median(measures) for name, measures in found.items()}
        sizes = {name: path.stat().st_size / 1e6 for name, path in paths.items()}
    alone = result["check alone"].seconds
    print(f"{events:,} events, {args.faults:,} faults, medians of {args.runs} runs in turn\n")
    print(f"{'':20}{'CPU s':>8}{'more':>8}{'peak MB':>9}{'file MB':>9}")
    for name, one in result.items():
        size = sizes.get(name.removeprefix("with "))
        shown = "" if size is None else f"{size:.1f}"
        print(f"{name:20}{one.seconds:>8.2f}{one.seconds - alone:>8.2f}{one.megabytes:>9.1f}{shown:>9}")


if __name__ == "__main__":
    main()
