"""Times the checker beside the naive script, on one trace in one run, and prints a table.

    python benchmarks/run.py [--events 1000000] [--runs 3]

Both are whole processes: start, read, judge, report. Figures are medians of CPU time (user and system),
which a busy machine disturbs less than the clock; only their ratio says something on another machine.
The simulator is timed, too: as many events of short runs, written to nowhere. The same trace as a raw log
(.etl) is read, which includes merging the buffers of four CPUs, decoding and mapping, and checked.
Peak memory is given above that of a process that only imports the command line. Nothing passes or fails here.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent

# One run of a scenario is short, so many are written one after the other.
SIMULATE = """
import os, sys
from kmclcheck.engines.simulate import simulate
left, seed = int(sys.argv[1]), 0
with open(os.devnull, "w") as nowhere:
    while left > 0:
        left -= simulate("echo", seed, nowhere).events
        seed += 1
"""

WRITE_LOG = """
import sys
from kmclcheck.traces import known_formats, open_trace
reader = open_trace(sys.argv[1])
with open(sys.argv[2], "wb") as stream:
    known_formats()["etl"].write(stream, reader, reader.info)
"""

READ = """
import sys
from kmclcheck.traces import open_trace
for _ in open_trace(sys.argv[1]):
    pass
"""


@dataclass(frozen=True, slots=True)
class Measure:
    """CPU seconds and peak memory in MB of one process."""

    seconds: float
    megabytes: float


def measure(command: list[str]) -> Measure:
    """Run a command to its end and return what it used."""
    with Path(os.devnull).open("w", encoding="ascii") as nothing:
        process = subprocess.Popen(command, stdout=nothing)
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
    return Measure(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def median(measures: list[Measure]) -> Measure:
    """Return the medians."""
    return Measure(
        statistics.median(m.seconds for m in measures), statistics.median(m.megabytes for m in measures)
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "bench.kmtrace"
        made = subprocess.run(
            [sys.executable, str(HERE / "make_trace.py"), str(args.events), str(trace)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        events = int(made.stdout.split()[0])
        megabytes = trace.stat().st_size / 1e6
        log = Path(folder) / "bench.etl"
        subprocess.run([sys.executable, "-c", WRITE_LOG, str(trace), str(log)], check=True)
        log_megabytes = log.stat().st_size / 1e6
        commands = {
            "naive script, two properties": [sys.executable, str(HERE / "naive.py"), str(trace)],
            "kmclcheck check, all core rules": [sys.executable, "-m", "kmclcheck", "check", str(trace)],
            "kmclcheck coverage": [sys.executable, "-m", "kmclcheck", "coverage", str(trace)],
            "raw log: read": [sys.executable, "-c", READ, str(log)],
            "raw log: kmclcheck check": [sys.executable, "-m", "kmclcheck", "check", str(log)],
            "simulator, whole captures": [sys.executable, "-c", SIMULATE, str(events)],
            "import only": [sys.executable, "-c", "import kmclcheck.cli.check, kmclcheck.engines.replay"],
        }
        found: dict[str, list[Measure]] = {name: [] for name in commands}
        for _ in range(args.runs + 1):
            for name, command in commands.items():
                found[name].append(measure(command))
        result = {name: median(measures[1:]) for name, measures in found.items()}
    naive, ours, coverage, log_read, log_checked, simulator, bare = result.values()
    print(f"{events:,} events, {megabytes:.0f} MB, medians of {args.runs} runs in turn\n")
    print(f"{'':34}{'events/s':>12}{'CPU s':>8}{'MB/s':>8}{'peak MB':>9}")
    sizes = [megabytes, megabytes, megabytes, log_megabytes, log_megabytes]
    rows = list(result)[:5]
    for name, one, size in zip(rows, (naive, ours, coverage, log_read, log_checked), sizes, strict=True):
        print(
            f"{name:34}{events / one.seconds:>12,.0f}{one.seconds:>8.2f}"
            f"{size / one.seconds:>8.1f}{one.megabytes:>9.1f}"
        )
    # Not the same trace, so its size says nothing here.
    name = "simulator, whole captures"
    print(
        f"{name:34}{events / simulator.seconds:>12,.0f}{simulator.seconds:>8.2f}"
        f"{'':>8}{simulator.megabytes:>9.1f}"
    )
    print(f"{'import only':34}{'':>12}{bare.seconds:>8.2f}{'':>8}{bare.megabytes:>9.1f}")
    print(f"\nrate against the naive script: {naive.seconds / ours.seconds:.2f}")
    print(f"coverage takes {coverage.seconds / ours.seconds:.2f} times as long as a check")
    print(f"memory above the import: {ours.megabytes - bare.megabytes:.1f} MB")


if __name__ == "__main__":
    main()
