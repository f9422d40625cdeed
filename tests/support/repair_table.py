"""How many findings get a repair, of which kind, and in what time.

``python -m tests.support.repair_table [--write docs/repair.md] [--seeds 1] [--shapes N]`` from the top of
the checkout prints the tables, or writes them behind the text of the page. Looked at are the faulty sample
traces, the failing examples of all rules, and the faults of the simulator.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from kmclcheck.engines.monitor import Options
from kmclcheck.engines.repair import Bounds, Repair, Repairer
from kmclcheck.engines.simulate.faults import all_faults
from kmclcheck.engines.simulate.faults.running import NoOccasionError
from kmclcheck.model.event import End, Start, TraceInfo
from kmclcheck.model.spec import Party, Profile, Rule, Spec
from kmclcheck.speclang import bundled_spec
from kmclcheck.traces import TraceReader, read_text
from tests.support.fault_table import PATIENCE, run
from tests.support.write_samples import FOLDER

MARK = "<!-- figures: written by tests/support/repair_table.py -->\n"
KINDS = ("move", "insert", "argument", "delete", "several", "library", "none")


@dataclass
class Tally:
    """What became of the findings of one sort of traces."""

    kinds: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    rest: int = 0
    none: list[str] = field(default_factory=list)

    def add(self, what: str, repair: Repair) -> None:
        self.kinds[kind_of(repair)] += 1
        self.rest += repair.whole is False
        if kind_of(repair) != "library":
            self.seconds.append(repair.seconds)
        if kind_of(repair) == "none":
            self.none.append(f"{repair.finding.rule} ({what}): {repair.reason}")

    def row(self, name: str) -> str:
        """Return the line of a table."""
        total = sum(self.kinds.values())
        cells = " | ".join(str(self.kinds[kind]) for kind in KINDS)
        middle = sorted(self.seconds)[len(self.seconds) // 2] if self.seconds else 0.0
        slowest = max(self.seconds, default=0.0)
        return f"| {name} | {total} | {cells} | {self.rest} | {middle:.1f} | {slowest:.1f} |"


def kind_of(repair: Repair) -> str:
    """Return the kind of a repair's change, or why there is none."""
    if not repair.found:
        return "library" if repair.standing.value == "library" else "none"
    return repair.changes[0].kind.value if len(repair.changes) == 1 else "several"


def repairer(spec: Spec) -> Repairer:
    """Return what ``kmclcheck repair`` uses; slices are never given up for want of time."""
    core = frozenset(rule.id for rule in spec.rules.values() if rule.profile is Profile.CORE)
    return Repairer(spec, Options(rules=core, slice_budget=600.0))


def repairs(one: Repairer, reader: TraceReader, seconds: float = 120.0) -> list[Repair]:
    """Return a repair of every finding of a trace."""
    result, tape = one.check(reader)
    return list(one.all(result, tape, Bounds(2, seconds)))


def example_readers(rule: Rule) -> Iterator[TraceReader]:
    """Return the failing examples of a rule."""
    for example in rule.examples:
        if not example.passes:
            defaults = TraceInfo(start=Start.KNOWN, end=End.STOPPED, records_all=True)
            yield read_text(example.text, defaults=defaults)


def samples(one: Repairer) -> tuple[Tally, list[str]]:
    """Return the figures of the faulty samples, and a line for each of their findings."""
    tally, lines = Tally(), []
    for path in sorted(FOLDER.glob("wrong-*.kmtrace")):
        for repair in repairs(one, read_text(path.read_text(encoding="utf-8"))):
            tally.add(path.stem, repair)
            lines.append(
                f"| {path.stem.removeprefix('wrong-')} | {repair.finding.rule} | {repair.summary} "
                f"| {repair.seconds:.1f} |"
            )
    return tally, lines


def examples(one: Repairer) -> tuple[Tally, list[str]]:
    """Return the figures of the failing examples of the drivers' rules, and a line for each."""
    tally, lines = Tally(), []
    for rule in one.spec.rules.values():
        if rule.party is not Party.DRIVER:
            continue
        for reader in example_readers(rule):
            for repair in repairs(one, reader):
                tally.add("example", repair)
                lines.append(f"| {rule.id} | {repair.summary} | {rule.fix} |")
    return tally, lines


def faults(one: Repairer, seeds: int, most: int | None, progress: bool = False) -> Tally:
    """Return the figures of the simulator's faults that break rules for drivers."""
    tally = Tally()
    for rule, shapes in all_faults().items():
        if one.spec.rules[rule].party is not Party.DRIVER:
            continue
        for fault in shapes[:most]:
            wanted = seeds
            for seed in count(1):
                if not wanted or seed > seeds * PATIENCE + 20:
                    break
                try:
                    text, _ = run(fault, seed)
                except NoOccasionError:
                    continue
                wanted -= 1
                for repair in repairs(one, read_text(text)):
                    tally.add(f"{fault.shape}, seed {seed}", repair)
                    if progress:
                        kind = f"{kind_of(repair)}, {repair.seconds:.1f} s, whole {repair.whole}"
                        print(f"{rule}, {fault.shape}: {repair.summary} [{kind}]", file=sys.stderr)
    return tally


def page(spec: Spec, seeds: int, most: int | None, progress: bool) -> str:
    """Return the tables."""
    one = repairer(spec)
    started = time.perf_counter()
    sampled, sample_lines = samples(one)
    shown, example_lines = examples(one)
    injected = faults(one, seeds, most, progress)
    spent = time.perf_counter() - started
    none = [*sampled.none, *shown.none, *injected.none]
    left = ["No finding of the drivers' rules is left without a repair."]
    if none:
        left = ["Without a repair:", "", *(f"* {text}" for text in none)]
    lines = [
        "## Figures", "",
        "Findings of the faulty samples, of the failing examples of all rules for drivers, and of the "
        f"simulator's faults ({'all' if most is None else most} of the shapes of each rule, {seeds} run"
        f"{'s' if seeds > 1 else ''} of each). *several*: two changes. *rest*: what the trace shows after "
        "the fault would not fit the change.", "",
        f"| findings of | all | {' | '.join(KINDS)} | rest | seconds, median | slowest |",
        "|---|" + "---:|" * (len(KINDS) + 4),
        sampled.row("samples"), shown.row("examples"), injected.row("simulator"), "",
        f"All of it took {spent:.0f} s on one core, on a machine with other work to do.", "",
        *left, "",
        "### Samples", "", "| sample | rule | repair | seconds |", "|---|---|---|---:|", *sample_lines, "",
        "### Examples", "", "| rule | repair | what the rule says |", "|---|---|---|", *example_lines,
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main(args: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--shapes", type=int, help="shapes of each rule's faults, all by default")
    parser.add_argument("--progress", action="store_true")
    given = parser.parse_args(args)
    text = page(bundled_spec(), given.seeds, given.shapes, given.progress)
    if given.write:
        prose = given.write.read_text(encoding="utf-8").partition(MARK)[0]
        given.write.write_text(prose + MARK + "\n" + text, encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
