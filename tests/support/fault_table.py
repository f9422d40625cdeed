"""Whether every fault of the simulator is found: at its place, under its rule, and nothing else.

``python -m tests.support.fault_table [--seeds 50] [--rule ID] [--jobs 2] [--write docs/faults.md]`` from the
top of the checkout prints the table.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from kmclcheck.engines.simulate import Mark, simulate
from kmclcheck.engines.simulate.faults import Fault, all_faults
from kmclcheck.engines.simulate.faults.running import NoOccasionError, faulty_run
from tests.support.checking import result_of

HEAD = """# Faults of the simulator, and whether they are found

Each fault breaks one rule once, at a place that the seed chooses. It counts as found if the checker
reports that rule, under its own name, at the record that the simulator marked (or at the end of the trace,
where the fault shows there), once. An *extra* finding is anything else that is reported.

`kmclcheck simulate --fault RULE --fault-shape WORDS --seed N` makes such a trace. Written by
`python -m tests.support.fault_table --write docs/faults.md`, with {seeds} runs each; a seed whose run has no
occasion for the fault is left out and another one taken.

"""
# Seeds beyond which a fault that finds no occasion is given up.
PATIENCE = 3


@dataclass
class Row:
    """What came of one fault over all seeds."""

    injected: int = 0
    found: int = 0
    without: list[int] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)
    extra: Counter[str] = field(default_factory=Counter)
    example: dict[str, int] = field(default_factory=dict)

    @property
    def perfect(self) -> bool:
        """Whether there was an occasion, the fault was found every time, and nothing else was."""
        return bool(self.injected) and self.found == self.injected and not self.extra


def run(one: Fault, seed: int) -> tuple[str, Mark | None]:
    """Return the trace of a run with the fault, and where it shows. Raises NoOccasionError."""
    stream = io.StringIO()
    outcome = simulate(faulty_run(one, seed), seed, stream)
    return stream.getvalue(), outcome.place


def judge(one: Fault, seeds: int) -> Row:
    """Run a fault with so many seeds that have an occasion for it."""
    row = Row()
    for seed in count():
        if row.injected == seeds or len(row.without) > seeds * PATIENCE:
            break
        try:
            text, place = run(one, seed)
        except NoOccasionError:
            row.without.append(seed)
            continue
        row.injected += 1
        assert place is not None
        result = result_of(text)
        hits = 0
        for finding in result.findings:
            where = (finding.object.endpoint, None if finding.event is None else finding.event.seq)
            if finding.rule == one.rule and where == (place.endpoint, place.seq):
                hits += 1
            else:
                row.extra[finding.rule] += 1
                row.example.setdefault(finding.rule, seed)
        row.found += hits == 1
        if hits != 1:
            row.missed.append(seed)
    return row


def _judge(work: tuple[str, str, int]) -> Row:
    rule, shape, seeds = work
    return judge(next(one for one in all_faults()[rule] if one.shape == shape), seeds)


def lines(seeds: int, rule: str | None, jobs: int) -> Iterator[str]:
    """Give the table as Markdown."""
    yield "| rule | fault | runs | found | extra findings |"
    yield "|---|---|---|---|---|"
    chosen = [one for name, faults in all_faults().items() if rule in (None, name) for one in faults]
    perfect = 0
    with ProcessPoolExecutor(jobs) as pool:
        rows = pool.map(_judge, [(one.rule, one.shape, seeds) for one in chosen])
        for one, row in zip(chosen, rows, strict=True):
            extra = ", ".join(f"{r} ({n}, seed {row.example[r]})" for r, n in row.extra.most_common())
            missed = f" (missed: seeds {', '.join(map(str, row.missed[:5]))})" if row.missed else ""
            perfect += row.perfect
            yield f"| {one.rule} | {one.shape} | {row.injected} | {row.found}{missed} | {extra or 'none'} |"
    yield ""
    yield f"{perfect} of {len(chosen)} faults are found in every run, and nothing else with them."


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--rule")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="FILE")
    args = parser.parse_args()
    table = []
    for line in lines(args.seeds, args.rule, args.jobs):
        print(line, flush=True)
        table.append(line + "\n")
    if args.write is not None:
        args.write.write_text(HEAD.format(seeds=args.seeds) + "".join(table), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
