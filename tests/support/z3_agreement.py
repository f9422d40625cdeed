"""The judge that asks Z3 against the monitor: they share nothing but the specification.

``python -m tests.support.z3_agreement [--seeds 2] [--forms A,B]`` at the top of the checkout judges samples,
the examples of the rules and simulated traces with both, and prints a table. It exits with 1 if they
contradict each other. Z3 may decide what the monitor leaves open, for it sees relations between facts: that
is counted apart.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache

from kmclcheck.engines.judging import Judged, TooLargeError
from kmclcheck.engines.monitor import Options
from kmclcheck.engines.replay import check
from kmclcheck.engines.simulate import SCENARIOS, simulate
from kmclcheck.engines.simulate.faults import all_faults
from kmclcheck.engines.simulate.faults.running import faulty_run
from kmclcheck.engines.symbolic.judge import judge
from kmclcheck.model.event import End, Start, TraceInfo
from kmclcheck.model.finding import Finding, Verdict, VerdictKind
from kmclcheck.model.spec import Spec
from kmclcheck.speclang import bundled_spec
from kmclcheck.traces import read_text
from kmclcheck.traces.base import TraceReader
from tests.support import campaign
from tests.support.detection_table import MANIPULATIONS, wrong_samples
from tests.support.write_samples import FOLDER

SECONDS = 600.0

LESS, FAULTY = "wrong samples, ", "faults, "
"""How the names of two sorts of traces begin: samples that show less than there was, and simulated faults."""

EXAMPLE = TraceInfo(start=Start.KNOWN, end=End.STOPPED, records_all=True)
"""What an example of a rule does not say of itself."""

Place = tuple[str, int | None, str, int]
"""What a finding is known by: rule, line (none: at the end), kind of object, handle."""


@dataclass
class Comparison:
    """What two engines make of one trace. ``sharper``: what the monitor leaves open and Z3 decides."""

    name: str
    events: int = 0
    seconds: float = 0.0
    findings: int = 0
    open: int = 0
    sharper: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    skipped: str = ""


@cache
def spec() -> Spec:
    return bundled_spec()


def compare(name: str, text: str, defaults: TraceInfo | None = None) -> Comparison:
    """Judge a trace with both engines."""
    expected = check(spec(), Options(slice_budget=0.0), _read(text, defaults))
    row = Comparison(name, expected.events, findings=len(expected.findings))
    reader = _read(text, defaults)
    started = time.perf_counter()
    try:
        judged = judge(spec(), frozenset(spec().rules), reader.info, reader, SECONDS)
    except TooLargeError as error:
        row.skipped = str(error)
        return row
    row.seconds = time.perf_counter() - started
    row.open = sum(verdict.kind is VerdictKind.OPEN for verdict in judged.verdicts)
    contrast(row, expected.verdicts, expected.findings, judged)
    return row


def contrast(
    row: Comparison, verdicts: Sequence[Verdict], findings: Sequence[Finding], judged: Judged
) -> None:
    """Enter where Z3 differs from the verdicts and findings of the monitor."""
    _compare_verdicts(verdicts, judged.verdicts, row)
    undecided = {verdict.rule for verdict in verdicts if verdict.kind is VerdictKind.OPEN}
    one, other = Counter(map(_place, findings)), Counter(map(_place, judged.findings))
    row.differences += [f"only the monitor finds {place}" for place in one - other]
    for place in other - one:
        (row.sharper if place[0] in undecided else row.differences).append(f"only Z3 finds {place}")


def _read(text: str, defaults: TraceInfo | None) -> TraceReader:
    return read_text(text) if defaults is None else read_text(text, defaults=defaults)


def _compare_verdicts(expected: Iterable[Verdict], judged: Iterable[Verdict], row: Comparison) -> None:
    pairs = [(one, other) for one, other in zip(expected, judged, strict=True) if one.kind is not other.kind]
    # After a fault that only Z3 finds it knows less of the object than the monitor.
    broken = any(one.kind is VerdictKind.OPEN and other.kind is VerdictKind.FAIL for one, other in pairs)
    for one, other in pairs:
        what = f"{one.rule}: {one.kind.value} ({one.reason}), Z3 {other.kind.value} ({other.reason})"
        decided = one.kind is VerdictKind.OPEN and other.kind is not VerdictKind.NOT_EXERCISED
        after = broken and other.kind is VerdictKind.OPEN
        (row.sharper if decided or after else row.differences).append(what)


def _place(finding: Finding) -> Place:
    line = None if finding.event is None else finding.event.line
    return finding.rule, line, finding.object.kind, finding.object.handle


Source = tuple[str, str, int]
"""A sort of trace, its name, and a seed or number."""


def sources(seeds: int, forms: Iterable[str]) -> Iterator[Source]:
    """Return all traces to be judged."""
    for path in sorted(FOLDER.glob("*.kmtrace")):
        yield "sample", path.name, 0
    for rule in spec().rules.values():
        for number in range(len(rule.examples)):
            yield "example", rule.id, number
    for what in MANIPULATIONS:
        for name in wrong_samples():
            yield f"{LESS}{what}", name, 0
    for form in forms:
        for scenario in SCENARIOS:
            for seed in range(seeds):
                yield form, scenario, seed
        for rule, shapes in all_faults().items():
            for number in range(len(shapes)):
                yield f"{FAULTY}{form}", rule, number


def run(source: Source) -> Comparison:
    """Make a trace and judge it."""
    sort, name, number = source
    if sort == "sample":
        return compare(name, (FOLDER / name).read_text(encoding="utf-8"))
    if sort == "example":
        return compare(f"{name} {number}", spec().rules[name].examples[number].text, EXAMPLE)
    if sort.startswith(LESS):
        texts = MANIPULATIONS[sort.removeprefix(LESS)](wrong_samples()[name])
        return compare(f"{name} {sort}", next(texts))
    if sort.startswith(FAULTY):
        form = campaign.FORMS[sort.removeprefix(FAULTY)]
        driver = faulty_run(all_faults()[name][number], 1)
        stream = io.StringIO()
        length = 400 if form.late or form.cut else 0
        simulate(driver, 1, stream, form.shape(random.Random(f"{name} {number}"), length))
        return compare(f"{name} {number} {sort}", stream.getvalue())
    text, _, _ = campaign.trace(name, number, sort)
    return compare(f"{name} {number} {sort}", text)


def table(rows: dict[str, list[Comparison]]) -> str:
    """Return a line for each sort of trace, as Markdown."""
    lines = [
        "| traces | number | events | findings | open | sharper | contradict | s | slowest |",
        "|" + "---|" * 9,
    ]
    for sort, some in rows.items():
        lines.append(
            f"| {sort} | {len(some)} | {sum(r.events for r in some)} | {sum(r.findings for r in some)} "
            f"| {sum(r.open for r in some)} | {sum(len(r.sharper) for r in some)} "
            f"| {sum(len(r.differences) for r in some)} | {sum(r.seconds for r in some):.1f} "
            f"| {max(r.seconds for r in some):.1f} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="runs of every scenario in every shape")
    parser.add_argument("--forms", default="", metavar="A,B", help="shapes of capture; by default all")
    parser.add_argument("--sorts", default="", metavar="TEXT", help="only sorts whose names begin so")
    parser.add_argument(
        "--sample", type=int, default=0, metavar="N", help="only so many traces, drawn at random"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    args = parser.parse_args()
    forms = [form.strip() for form in args.forms.split(",")] if args.forms else list(campaign.FORMS)
    work = list(sources(args.seeds, forms))
    if args.sorts:
        work = [source for source in work if source[0].startswith(args.sorts)]
    if args.sample:
        work = sorted(random.Random(1).sample(work, min(args.sample, len(work))), key=work.index)
    rows: dict[str, list[Comparison]] = {}
    with ProcessPoolExecutor(args.jobs) as pool:
        for source, row in zip(work, pool.map(run, work), strict=True):
            rows.setdefault(source[0], []).append(row)
            for what in row.differences:
                print(f"{row.name}: {what}", flush=True)
            for what in row.sharper:
                print(f"{row.name}: sharper: {what}", flush=True)
            if row.skipped:
                print(f"{row.name}: {row.skipped}", flush=True)
    print(table(rows))
    return int(any(row.differences for some in rows.values() for row in some))


if __name__ == "__main__":
    sys.exit(main())
