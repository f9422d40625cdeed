"""How far the engines that judge whole traces agree with the monitor.

``python -m tests.support.engine_table [--engines graph] [--simulated 300] [--write docs/engines.md]`` from
the top of the checkout prints the table, or writes it into the document between its marks.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kmclcheck.cli.judges import MONITOR
from kmclcheck.engines.judging import OutOfTimeError, TooLargeError
from kmclcheck.speclang import bundled_spec
from tests.support.engines import Answer, Case, answer, differences, examples, samples, simulated, weakened

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"

HEAD = "| traces | engine | number | records | verdicts | the same | findings | the same | seconds |"
RULE = "|---|---|--:|--:|--:|--:|--:|--:|--:|"


@dataclass
class Row:
    """What came of one group of traces. ``told``: traces and rules on which an engine disagrees."""

    traces: int = 0
    records: int = 0
    verdicts: int = 0
    same: int = 0
    findings: int = 0
    found: int = 0
    seconds: float = 0.0
    uncounted: int = 0
    told: list[str] = field(default_factory=list)

    def add(self, case: Case, one: Answer, other: Answer) -> None:
        """Enter what the monitor and another engine say of a trace."""
        self.traces += 1
        self.records += sum(line[:1] not in ("", "%", "#") for line in case.text.splitlines())
        self.verdicts += len(one.verdicts)
        self.same += sum(other.verdicts.get(rule) == kind for rule, kind in one.verdicts.items())
        self.findings += len(one.findings)
        self.found += sum(place in other.findings for place in one.findings)
        self.uncounted += one.counts != other.counts
        told = differences(one, other)
        if told:
            self.told.append(f"{case.sort}, {case.name}: {'; '.join(told)}")


def cases(count: int) -> Iterator[tuple[str, Case]]:
    """Return every trace with the group it counts with."""
    for case in samples():
        yield "sample traces", case
    for case in examples(bundled_spec()):
        yield "examples of rules", case
    for case in weakened():
        yield "wrong samples with less in them", case
    for case in simulated(count):
        yield "simulated, with a fault" if "fault" in case.sort else "simulated, conforming", case


def measure(engines: Iterable[str], count: int) -> dict[tuple[str, str], Row]:
    """Judge every trace by the monitor and by the other engines."""
    rows: dict[tuple[str, str], Row] = {}
    for group, case in cases(count):
        expected = answer(MONITOR, case)
        for engine in engines:
            row = rows.setdefault((group, engine), Row())
            started = time.process_time()
            try:
                other = answer(engine, case)
            except (TooLargeError, OutOfTimeError) as error:
                row.told.append(f"{case.sort}, {case.name}: {error}")
                continue
            row.seconds += time.process_time() - started
            row.add(case, expected, other)
    return rows


def table(rows: dict[tuple[str, str], Row]) -> str:
    """Return the table, and below it every disagreement."""
    lines = [HEAD, RULE]
    for (group, engine), row in rows.items():
        lines.append(
            f"| {group} | {engine} | {row.traces:,} | {row.records:,} | {row.verdicts:,} | {row.same:,} "
            f"| {row.findings:,} | {row.found:,} | {row.seconds:.0f} |"
        )
    told = [text for row in rows.values() for text in row.told]
    lines += ["", f"Traces on which an engine disagrees with the monitor: {len(told) or 'none'}."]
    lines += [f"* {text}" for text in told]
    uncounted = sum(row.uncounted for row in rows.values())
    lines.append(
        f"Traces with the same verdicts, decided or left open at other numbers of places: {uncounted}."
    )
    return "\n".join(lines)


def main() -> int:
    """Command line; exits with 1 if an engine disagrees."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engines", default="graph", metavar="A,B")
    parser.add_argument("--simulated", type=int, default=300, metavar="N")
    parser.add_argument("--write", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    rows = measure(chosen.engines.split(","), chosen.simulated)
    text = table(rows)
    if chosen.write is None:
        print(text)
    else:
        before, _, rest = chosen.write.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        chosen.write.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    return int(any(row.told for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
