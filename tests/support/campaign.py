"""The simulator against the checker: conforming runs, captured in every shape, must give no finding.

``python -m tests.support.campaign [--seeds 20] [--workloads 2]`` from the top of the checkout prints a table
and exits with 1 if anything was found that should not be there.
"""

from __future__ import annotations

import argparse
import io
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache

from kmclcheck.engines.monitor import Options
from kmclcheck.engines.replay import Checker
from kmclcheck.engines.simulate import SCENARIOS, Shape, Workload, simulate
from kmclcheck.speclang import bundled_spec
from kmclcheck.traces import read_text

PENDING = "clocks alone"
"""The shape that is shown, but does not count: unnumbered records whose clocks disagree."""

BATCH = 10


@dataclass(frozen=True, slots=True)
class Form:
    """A shape of capture. ``shape`` gets a random generator and the length of the run.

    ``cut``: the capture is stopped somewhere. ``late``: it begins somewhere; either needs the length.
    """

    shape: Callable[[random.Random, int], Shape]
    cut: bool = False
    late: bool = False


def _fixed(shape: Shape, cut: bool = False) -> Form:
    return Form(lambda rng, length: shape, cut)


def _late(view: str, share: float, level: int | None = None, cut: bool = False) -> Form:
    """Capture begins somewhere around this share of the run."""

    def shape(rng: random.Random, length: int) -> Shape:
        seen = length if view == "both" else length // 2
        return Shape(view, level, from_event=1 + int(seen * share * 2 * rng.random()))

    return Form(shape, cut, late=True)


FORMS: dict[str, Form] = {
    "whole": _fixed(Shape()),
    "host": _fixed(Shape("host")),
    "guest": _fixed(Shape("guest")),
    **{
        f"L{level}{'' if view == 'both' else ' ' + view}": _fixed(Shape(view, level))
        for level in range(5)
        for view in ("both", "host", "guest")
        if level < 4 or view == "both"
    },
    "cut in the setup": _late("both", 0.05),
    "cut early": _late("both", 0.2),
    "cut anywhere": _late("both", 0.5),
    "cut at the host": _late("host", 0.3),
    "cut at the guest": _late("guest", 0.3),
    "cut L0": _late("both", 0.2, 0),
    "cut L1": _late("both", 0.3, 1),
    "cut L2": _late("guest", 0.3, 2),
    "stopped": _fixed(Shape(), cut=True),
    "cut at both ends": _late("both", 0.3, cut=True),
    "0.1 % lost": _fixed(Shape(drop_rate=0.001)),
    "5 % lost": _fixed(Shape(drop_rate=0.05)),
    "0.1 % lost in gaps": _fixed(Shape(drop_rate=0.001, markers=False)),
    "5 % lost in gaps": _fixed(Shape(drop_rate=0.05, markers=False)),
    "5 % lost at the host L1": _fixed(Shape("host", 1, drop_rate=0.05)),
    "5 % lost at the guest L0": _fixed(Shape("guest", 0, drop_rate=0.05)),
    "skewed": _fixed(Shape(skew=700)),
    "much skewed": _fixed(Shape(skew=50_000)),
    "unnumbered": _fixed(Shape(sequence=False)),
    "unnumbered host": _fixed(Shape("host", sequence=False)),
    "one processor": _fixed(Shape(cpus=1)),
    "many processors": _fixed(Shape(cpus=64)),
    "all at once": _fixed(Shape("guest", 2, from_event=20, drop_rate=0.05, skew=5000)),
    PENDING: _fixed(Shape(skew=3000, sequence=False)),
}


@dataclass(slots=True)
class Row:
    """What came of one source in one shape. ``found``: how often each thing, ``example``: with which seed."""

    source: str
    form: str
    traces: int = 0
    events: int = 0
    hung: int = 0
    found: Counter[str] = field(default_factory=Counter)
    example: dict[str, int] = field(default_factory=dict)

    def note(self, what: str, seed: int, times: int = 1) -> None:
        """Enter something that should not be."""
        self.found[what] += times
        self.example.setdefault(what, seed)

    def add(self, other: Row) -> None:
        """Take in what another part came to."""
        self.traces += other.traces
        self.events += other.events
        self.hung += other.hung
        self.found += other.found
        self.example = {**other.example, **self.example}

    @property
    def bad(self) -> bool:
        """Whether there is anything that should not be there."""
        return bool(self.found or self.hung)


Source = str | Workload


def name_of(source: Source) -> str:
    return source if isinstance(source, str) else f"{source.events} events on {source.channels} channels"


@cache
def _checker() -> Checker:
    return Checker(bundled_spec(), Options(slice_budget=0.0))


@cache
def announced(source: Source) -> frozenset[str]:
    """Return the rules that a faulty scenario says it breaks."""
    if not isinstance(source, str) or not SCENARIOS[source].faulty:
        return frozenset()
    return frozenset(re.findall(r"[a-z][a-z0-9-]+", SCENARIOS[source].doc)) & frozenset(bundled_spec().rules)


def trace(source: Source, seed: int, form: str) -> tuple[str, int, int]:
    """Return the trace of a run in a shape, how many events it has, and how many drivers hang."""
    one = FORMS[form]
    rng = random.Random(f"{form} {seed}")
    length = simulate(source, seed, io.StringIO()).events if one.cut or one.late else 0
    shape = one.shape(rng, length)
    stream = io.StringIO()
    events = rng.randrange(1, max(2, length - shape.from_event)) if one.cut else None
    outcome = simulate(source, seed, stream, shape, events)
    return stream.getvalue(), outcome.events, len(outcome.hanging)


def judge(source: Source, form: str, seeds: Iterable[int]) -> Row:
    """Simulate and check with each of the seeds."""
    row = Row(name_of(source), form)
    expected = announced(source)
    lossy = FORMS[form].shape(random.Random(0), 1).drop_rate > 0
    for seed in seeds:
        try:
            text, events, hung = trace(source, seed, form)
        except Exception as error:
            row.note(f"crash: {type(error).__name__}", seed)
            continue
        row.traces += 1
        row.events += events
        row.hung += hung
        if hung:
            row.example.setdefault("hung", seed)
        reader = read_text(text)
        result = _checker().check(reader)
        rules = Counter(finding.rule for finding in result.findings)
        for rule, times in rules.items():
            if rule not in expected:
                row.note(rule, seed, times)
        if form == "whole":
            for rule in expected - rules.keys():
                row.note(f"without {rule}", seed)
        for name in result.unknown_names:
            row.note(f"unknown name {name}", seed)
        for problem in result.problems:
            row.note(f"problem: {problem}", seed)
        if result.lost and not lossy:
            row.note("loss", seed)
        if result.events != events:
            row.note("other number of events", seed)
    return row


def _judge(work: tuple[Source, str, range]) -> Row:
    return judge(*work)


def campaign(
    scenarios: Sequence[str], seeds: int, workloads: Sequence[Workload], forms: Sequence[str], jobs: int = 1
) -> list[Row]:
    """Judge every scenario with so many seeds, and every workload with one, in every shape."""
    work: list[tuple[Source, str, range]] = [
        (name, form, range(start, min(start + BATCH, seeds)))
        for name in scenarios
        for form in forms
        for start in range(0, seeds, BATCH)
    ]
    work += [(load, form, range(n, n + 1)) for n, load in enumerate(workloads) for form in forms]
    rows: dict[tuple[str, str], Row] = {}
    if jobs == 1:
        _gather(rows, map(_judge, work))
    else:
        with ProcessPoolExecutor(jobs) as pool:
            _gather(rows, pool.map(_judge, work))
    return list(rows.values())


def _gather(rows: dict[tuple[str, str], Row], done: Iterable[Row]) -> None:
    for row in done:
        rows.setdefault((row.source, row.form), Row(row.source, row.form)).add(row)


def table(rows: Iterable[Row]) -> str:
    """Return the rows as Markdown."""
    lines = ["| source | shape | traces | events | findings | hung |", "|---|---|---|---|---|---|"]
    for row in rows:
        found = ", ".join(f"{what} ({n}, seed {row.example[what]})" for what, n in row.found.most_common())
        hung = f"{row.hung} (seed {row.example['hung']})" if row.hung else "0"
        lines.append(
            f"| {row.source} | {row.form} | {row.traces} | {row.events} | {found or 'none'} | {hung} |"
        )
    return "\n".join(lines)


def summary(rows: Iterable[Row]) -> str:
    """Return one line for each shape, over all sources."""
    forms: dict[str, Row] = {}
    for row in rows:
        forms.setdefault(row.form, Row("all", row.form)).add(row)
    return table(forms.values())


def _names(text: str, known: Iterable[str]) -> list[str]:
    names = [name.strip() for name in text.split(",")] if text else list(known)
    unknown = [name for name in names if name not in set(known)]
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are: {', '.join(known)}")
    return names


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20, help="runs of every scenario in every shape")
    parser.add_argument("--scenarios", default="", metavar="A,B", help="by default all")
    parser.add_argument("--workloads", type=int, default=0, metavar="N", help="random workloads, as well")
    parser.add_argument(
        "--events", type=int, default=200_000, metavar="N", help="the length of each workload"
    )
    parser.add_argument("--shapes", default="", metavar="A,B", help=f"of {'; '.join(FORMS)}; by default all")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--summary", action="store_true", help="one line a shape, and lines with findings")
    args = parser.parse_args()
    forms = _names(args.shapes, FORMS)
    loads = [Workload(args.events, 2 + 3 * (n % 8)) for n in range(args.workloads)]
    rows = campaign(_names(args.scenarios, SCENARIOS), args.seeds, loads, forms, args.jobs)
    counted = [row for row in rows if row.form != PENDING]
    pending = [row for row in rows if row.form == PENDING]
    if args.summary:
        print(summary(counted))
        counted_bad = [row for row in counted if row.bad]
        print("\n" + (table(counted_bad) if counted_bad else "nothing found"))
    else:
        print(table(counted))
    if pending:
        print("\nNot counted:\n\n" + (summary(pending) if args.summary else table(pending)))
    return int(any(row.bad for row in counted))


if __name__ == "__main__":
    sys.exit(main())
