"""Whether every fault of the simulator is found: at its place, under its rule, and nothing else.

``python -m tests.support.fault_table [--seeds 50] [--rule ID] [--write docs/faults.md]`` from the top of the
checkout prints the table.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from dataclasses import dataclass, field

from kmclcheck.engines.simulate.faults import Fault, Injector, Place, all_faults
from kmclcheck.engines.simulate.scenarios import SCENARIOS
from kmclcheck.engines.simulate.simulation import Simulation
from tests.support.checking import result_of

LIMIT = 5e8
Where = tuple[str, int | None]


@dataclass
class Row:
    """What came of one fault over all seeds."""

    injected: int = 0
    found: int = 0
    missed: list[int] = field(default_factory=list)
    extra: Counter[str] = field(default_factory=Counter)
    example: dict[str, int] = field(default_factory=dict)


def run(one: Fault, seed: int, turn: int | None = None) -> tuple[str, Place | None]:
    """Return the trace of a run with the fault, and where it shows."""
    stream = io.StringIO()
    sim = Simulation(seed, stream)
    SCENARIOS[one.scenario].setup(sim)
    injector = Injector(sim, seed, turn)
    one.inject(injector)
    stuck = sim.run(LIMIT)
    if injector.place is None and turn is None:
        return run(one, seed, 0)
    body = "".join(line for line in stream.getvalue().splitlines(True) if not line.startswith("%"))
    end = "stopped" if sim.kernel.stopped else "hung" if stuck else "unloaded"
    return f"%kmtrace 1\n%start known\n%end {end}\n%records all\n{body}", injector.place


def judge(one: Fault, seeds: int) -> Row:
    """Run a fault with so many seeds."""
    row = Row()
    for seed in range(seeds):
        text, place = run(one, seed)
        if place is None:
            continue
        row.injected += 1
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


def table(seeds: int, rule: str | None) -> str:
    """Return the table as Markdown."""
    lines = ["| rule | fault | injected | found | extra findings |", "|---|---|---|---|---|"]
    for name, faults in all_faults().items():
        for one in faults:
            if rule is None or rule == name:
                row = judge(one, seeds)
                extra = ", ".join(f"{r} ({n}, seed {row.example[r]})" for r, n in row.extra.most_common())
                missed = f" (missed: seeds {', '.join(map(str, row.missed[:5]))})" if row.missed else ""
                lines.append(
                    f"| {name} | {one.shape} | {row.injected} | {row.found}{missed} | {extra or 'none'} |"
                )
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--rule")
    args = parser.parse_args()
    print(table(args.seeds, args.rule))


if __name__ == "__main__":
    main()
