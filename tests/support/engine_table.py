"""How far the engines that judge whole traces agree with the monitor.

``python -m tests.support.engine_table [--engines graph,z3] [--simulated 300] [--write docs/engines.md]`` from
the top of the checkout prints the tables, or writes them into the document between its marks. It exits with 1
if an engine contradicts the monitor, gives up, or decides more without a reason that is known.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from kmclcheck.cli.judges import MONITOR
from kmclcheck.engines.judging import OutOfTimeError, TooLargeError
from kmclcheck.speclang import bundled_spec
from tests.support.engines import (
    SHARPER,
    Answer,
    Case,
    Contrast,
    answer,
    contrast,
    examples,
    samples,
    simulated,
    weakened,
)

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"

HEAD = (
    "| traces | engine | number | records | verdicts | the same | sharper | contradict "
    "| findings | the same | more | seconds |"
)
RULE = "|---|---|" + "--:|" * 10

REASONS = {
    ("lg-completion-exactly-once", "pass"): (
        "Who has the packet depends on which completion routine it has: with the driver's own it is still "
        "with the library, with the library's it may have been freed already, and that the documents leave "
        "open. Either way the completion is in order. The monitor keeps both fields, and not which values "
        "go together."
    ),
    ("lg-save-packet-window", "pass"): (
        "As for lg-completion-exactly-once: routine and state of the packet together say that it is there, "
        "or that the documents leave it open."
    ),
    ("packet-no-use-after-free", "pass"): (
        "Whether the send succeeded was not recorded. If it failed the driver has the packet, and if not the "
        "documents leave open whether the library has freed it by now; so no call names one that was freed "
        "for certain."
    ),
    ("packet-free-when-ready", "pass"): (
        "Only with the library's routine may the packet have been freed behind the driver's back, and then "
        "the send that failed has given it back. Again it is routine and state together that decide."
    ),
    ("channel-cleanup-disabled", "pass"): (
        "If an Enable overlapped the Disable, the documents do not say which of them counts; if none did, "
        "the channel is Disabled. What is not known decides only whether the documents leave a choice, and "
        "the driver has the benefit of it in either case."
    ),
    ("init-before-enable", "pass"): (
        "As for channel-cleanup-disabled: what is not known decides only whether the documents leave a "
        "choice."
    ),
    ("gpadl-create-when-open", "fail"): (
        "After Closed a client's channel is Disabled and a server's Enabled; it is Closing for neither. "
        "The monitor does not know the role, so it adds up the two and keeps Closing."
    ),
    ("lg-disable-returns-disabled", "pass"): (
        "The promise holds for a client and for a server, each in its way; the monitor does not know "
        "which of them it is and would have to look at both in turn."
    ),
}
"""Why an engine decides a rule that the monitor leaves open, and how."""

Decision = tuple[str, str]


@dataclass
class Row:
    """What came of one group of traces. ``told``: traces and rules on which an engine disagrees."""

    traces: int = 0
    records: int = 0
    verdicts: int = 0
    same: int = 0
    sharper: int = 0
    contradict: int = 0
    findings: int = 0
    found: int = 0
    more: int = 0
    seconds: float = 0.0
    uncounted: int = 0
    told: list[str] = field(default_factory=list)
    decided: Counter[Decision] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)

    def add(self, case: Case, one: Answer, other: Answer, found: Contrast) -> None:
        """Enter what the monitor and another engine say of a trace."""
        self.traces += 1
        self.records += sum(line[:1] not in ("", "%", "#") for line in case.text.splitlines())
        self.verdicts += len(one.verdicts)
        self.same += sum(other.verdicts.get(rule) == kind for rule, kind in one.verdicts.items())
        self.sharper += len(found.decided) + len(found.after)
        self.findings += len(one.findings)
        self.found += sum(place in other.findings for place in one.findings)
        self.more += len(found.more)
        self.uncounted += one.verdicts == other.verdicts and one.counts != other.counts
        self.decided.update(found.decided.items())
        self.after.update(found.after)
        if found.differences:
            self.contradict += 1
            self.told.append(f"{case.sort}, {case.name}: {'; '.join(found.differences)}")


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


Judged = tuple[Answer, dict[str, tuple[Answer | str, float]]]
"""What the monitor says of a trace, and what every engine says (or why it does not), with the seconds."""


def judged(engines: tuple[str, ...], case: Case) -> Judged:
    """Judge a trace by the monitor and by the other engines."""
    found: dict[str, tuple[Answer | str, float]] = {}
    for engine in engines:
        started = time.process_time()
        said: Answer | str
        try:
            said = answer(engine, case)
        except (TooLargeError, OutOfTimeError) as error:
            said = str(error)
        found[engine] = said, time.process_time() - started
    return answer(MONITOR, case), found


def measure(engines: tuple[str, ...], count: int, jobs: int) -> dict[tuple[str, str], Row]:
    """Judge every trace, and compare."""
    rows: dict[tuple[str, str], Row] = {}
    every = list(cases(count))
    with ProcessPoolExecutor(jobs) as pool:
        answers = pool.map(partial(judged, engines), [case for _, case in every], chunksize=8)
        for (group, case), (expected, found) in zip(every, answers, strict=True):
            for engine, (other, seconds) in found.items():
                row = rows.setdefault((group, engine), Row())
                row.seconds += seconds
                if isinstance(other, str):
                    row.told.append(f"{case.sort}, {case.name}: {other}")
                else:
                    row.add(case, expected, other, contrast(expected, other, engine in SHARPER))
    return rows


def table(rows: dict[tuple[str, str], Row]) -> str:
    """Return the table, below it every contradiction, and what is decided where the monitor does not."""
    lines = [HEAD, RULE]
    for (group, engine), row in sorted(rows.items(), key=lambda pair: pair[0][1]):
        figures = (
            row.traces, row.records, row.verdicts, row.same, row.sharper, row.contradict,
            row.findings, row.found, row.more,
        )  # fmt: skip
        cells = " | ".join(f"{figure:,}" for figure in figures)
        lines.append(f"| {group} | {engine} | {cells} | {row.seconds:.0f} |")
    told = [text for row in rows.values() for text in row.told]
    lines += ["", f"Traces on which an engine contradicts the monitor, or gives up: {len(told) or 'none'}."]
    lines += [f"* {text}" for text in told]
    lines += ["", "Traces with the same verdicts, decided or left open at other numbers of places: "]
    uncounted: Counter[str] = Counter()
    for (_, engine), row in rows.items():
        uncounted[engine] += row.uncounted
    lines[-1] += ", ".join(f"{engine} {count}" for engine, count in uncounted.items()) + "."
    return "\n".join([*lines, *_sharper(rows.values())])


def _sharper(rows: Iterable[Row]) -> list[str]:
    decided: Counter[Decision] = sum((row.decided for row in rows), Counter())
    after: Counter[str] = sum((row.after for row in rows), Counter())
    lines = ["", "| rule, open for the monitor | z3 | traces | why |", "|---|---|--:|---|"]
    for rule, kind in sorted({*decided, *REASONS}):
        why = REASONS.get((rule, kind), "not explained")
        lines.append(f"| {rule} | {kind} | {decided[rule, kind]} | {why} |")
    lines += ["", "Where the number is 0, other traces than these show it: those of the tests, other runs."]
    if after:
        lines += [
            "",
            f"Open after such a finding, for less is known of an object at fault: {_listed(after)}.",
        ]
    return lines


def _listed(rules: Counter[str]) -> str:
    return ", ".join(f"{rule} ({count})" for rule, count in sorted(rules.items()))


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engines", default="graph,z3", metavar="A,B")
    parser.add_argument("--simulated", type=int, default=300, metavar="N")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--write", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    rows = measure(tuple(chosen.engines.split(",")), chosen.simulated, chosen.jobs)
    text = table(rows)
    if chosen.write is None:
        print(text)
    else:
        before, _, rest = chosen.write.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        chosen.write.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    unexplained = any(row.decided.keys() - REASONS.keys() for row in rows.values())
    return int(unexplained or any(row.told for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
