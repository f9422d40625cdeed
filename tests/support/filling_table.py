"""What traces may have missed where they leave rules open: the smallest fillings that keep and break them.

``python -m tests.support.filling_table [--write docs/explain-open.md]`` from the top of the checkout prints,
or writes, the page. It ends with 1 if, where records were cut out of a trace, it is said that no filling as
small as the cut gives back what the whole trace shows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kmclcheck.engines.filling import Explainer, Outcome, Result
from kmclcheck.engines.monitor import Options
from kmclcheck.engines.openings import Place, record
from kmclcheck.engines.replay import check
from kmclcheck.engines.shortest import judged_with
from kmclcheck.engines.symbolic.bounds import UnsupportedError
from kmclcheck.model.event import Event
from kmclcheck.model.finding import TraceResult, VerdictKind
from kmclcheck.model.spec import Profile, Spec
from kmclcheck.speclang import bundled_spec
from kmclcheck.traces import open_trace, read_text
from tests.support.manipulate import columns, cut, no_irql, no_status, without
from tests.support.tracebuilder import Trace

FOLDER = Path(__file__).parents[2] / "traces"
BOUND, SECONDS = 8, 60.0

HEAD = """# What a trace may have missed

`kmclcheck check` leaves a rule *open* where a trace does not tell enough: it starts in mid-life, events
were lost, or something is not recorded. `kmclcheck explain-open TRACE RULE` asks there, with Z3:

* **kept**: which are the fewest missing events with which the rule, and every other rule, is kept? If there
  are none up to the bound (`--bound`, 8), something is probably wrong, though no single event proves it.
* **broken**: which are the fewest with which the rule is broken at this place, and nothing else is broken?
  If nothing that can be missing breaks it, the rule was kept there, or something else was broken first.

## What is looked at

The question is about one place (`--place LINE`, by default the first), and about the part of the trace up
to there that the rule depends on: the story of the objects concerned, with their parents, and with their
children where the rule asks about these. The events of this part are taken exactly as the trace has them;
what they lack (a status, an IRQL, a thread, an argument) may be anything. Missing events may stand where
the trace has gaps:

| the trace | missing events may stand |
|---|---|
| starts in mid-life | before its first event |
| has lost events, at a place | there, and no more than were lost, if their number is known |
| has lost events, nobody knows where | anywhere |
| was stopped | after its last event, when the question is about the end |
| does not record some kinds of events | anywhere, but only events of these kinds |

Every filling that is shown was checked as a complete trace by the monitor: with `kept` it gives no finding
and the rule is decided everywhere; with `broken` it gives this one finding. What the monitor reports
besides is taken into account, and the search goes on. Fewer missing events will not do, as far as the
search tells (`no fewer will do`): within one thread more than the trace shows and one call more inside
another, and with no more objects than it names (one of each kind at least).

## What is not claimed

* *Not decided* (exit code 3) means just that: the time was used up, the monitor does not confirm what Z3
  proposes, or the trace tells of callbacks that no driver registered; these never show, and what the
  library did meanwhile cannot be filled in.
* That nothing breaks the rule *and nothing else* does not exclude that something else was broken first.
* A fault that the trace shows for certain before the place is not filled around, and functions that the
  specification does not know, rules on the library's own records, and counters are not modelled: these are
  errors that say so (exit code 2).

## Figures

Traces of `traces/` with what was taken out of them, the first place at which the rule is open, and the
number of missing events in the smallest fillings (0: none is needed; more than 8: there is none up to 8;
never: nothing that can be missing will do). Seconds are for both questions, on one core. Written by
`python -m tests.support.filling_table --write docs/explain-open.md`.

| trace | without | rule | line | kept | broken | seconds |
|---|---|---|---:|---:|---:|---:|
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A trace with something missing. ``kept`` or ``broken`` is what is known to be enough for that."""

    name: str
    change: str
    text: str
    rule: str
    line: int | None = None
    kept: int | None = None
    broken: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What a case came to."""

    case: Case
    place: Place | None
    kept: Outcome | None
    broken: Outcome | None
    error: str = ""

    @property
    def bad(self) -> bool:
        """Whether a filling that is known to exist was not found."""
        return any(
            known is not None and (one is None or one.result is not Result.FOUND or one.inserted > known)
            for known, one in ((self.case.kept, self.kept), (self.case.broken, self.broken))
        )

    @property
    def wrong(self) -> bool:
        """Whether it was said that there is none."""
        return self.bad and not any(
            one is not None and one.result is Result.UNDECIDED for one in (self.kept, self.broken)
        )


@cache
def spec() -> Spec:
    return bundled_spec()


@cache
def core() -> Options:
    rules = frozenset(r.id for r in spec().rules.values() if r.profile is Profile.CORE)
    return Options(rules=rules, slice_budget=0.0)


def checked(text: str) -> TraceResult:
    """Check a trace against the core rules."""
    return check(spec(), core(), read_text(text))


def sample(name: str) -> Trace:
    """Return a sample trace as events."""
    reader = open_trace(str(FOLDER / f"{name}.kmtrace"))
    trace = Trace(start=reader.info.start)
    trace.lines += [item for item in reader if isinstance(item, Event)]
    trace.end = reader.info.end
    return trace


def explainer(text: str, rule: str, bound: int = BOUND, seconds: float = SECONDS) -> Explainer:
    """Return what answers questions about a trace."""
    reader = read_text(text)
    judged = judged_with(spec(), rule)
    found = record(spec(), reader, rule, judged)
    return Explainer(spec(), found, rule, judged, reader.info.end, bound, seconds)


def ask(case: Case, questions: Sequence[bool] = (False, True)) -> Row:
    """Ask whether the rule may have been kept (``False``), and whether broken."""
    one = explainer(case.text, case.rule)
    places = [p for p in one.record.places if case.line is None or p.line == case.line]
    if not places:
        return Row(case, None, None, None, "not open there")
    try:
        certain = one.certain(places[0])
        if certain is not None:
            return Row(case, places[0], None, None, f"{certain.rule} is broken")
        kept = one.ask(places[0], False) if False in questions else None
        broken = one.ask(places[0], True) if True in questions else None
    except UnsupportedError as error:
        return Row(case, places[0], None, None, str(error))
    return Row(case, places[0], kept, broken)


def opened(text: str) -> list[str]:
    """Return the rules that a check leaves open."""
    return [v.rule for v in checked(text).verdicts if v.kind is VerdictKind.OPEN]


def as_they_are() -> Iterator[Case]:
    """Give the open rules of the sample traces themselves."""
    for path in sorted(FOLDER.glob("*.kmtrace")):
        text = path.read_text(encoding="utf-8")
        for rule in opened(text):
            yield Case(path.stem, "nothing", text, rule)


def conforming() -> Iterator[Case]:
    """Give rules that cuts open in conforming traces; what was cut keeps them."""
    for name, first, count, marked in (
        ("scenario-02-client-open", 8, 2, True),
        ("scenario-04-peer-closes-server", 30, 1, False),
        ("scenario-05-save", 24, 2, False),
    ):
        trace = sample(name)
        text = without(trace, range(first, first + count), marked)
        where = f"events {first + 1} to {first + count}" if count > 1 else f"event {first + 1}"
        for rule in opened(text):
            yield Case(name, where + ("" if marked else " (by number)"), text, rule, kept=count)


def late() -> Iterator[Case]:
    """Give the open rules of traces that begin in mid-life, or lack a column."""
    trace = sample("scenario-02-client-open")
    text = cut(trace, 20)
    for rule in opened(text):
        yield Case("scenario-02-client-open", "its first 20 events", text, rule)
    for change, text in (("IRQLs", columns(trace, no_irql)), ("statuses", columns(trace, no_status))):
        for rule in opened(text)[:: 4 if change == "statuses" else 1]:
            yield Case("scenario-02-client-open", change, text, rule)


def faulty(names: Sequence[str] = ()) -> Iterator[Case]:
    """Give cuts that open the broken rule of a faulty trace; what was cut breaks it."""
    for path in sorted(FOLDER.glob("wrong-*.kmtrace")):
        if names and path.stem not in names:
            continue
        trace = sample(path.stem)
        findings = checked(path.read_text(encoding="utf-8")).findings
        if len(findings) != 1 or findings[0].event is None:
            continue
        case = _opened_by_a_cut(path.stem, trace, findings[0].rule, findings[0].event)
        if case is not None:
            yield case


def _opened_by_a_cut(name: str, trace: Trace, rule: str, fault: Event) -> Case | None:
    """Return the latest cut of two events or one before a fault that leaves its rule open there."""
    last = next(n for n, event in enumerate(trace.events) if event.seq == fault.seq)
    for at in range(last - 1, 0, -1):
        for count in (1, 2):
            if at + count > last:
                continue
            text = without(trace, range(at, at + count), marked=False)
            if rule not in opened(text):
                continue
            places = explainer(text, rule).record.places
            here = next((p for p in places if p.event is not None and p.event.seq == fault.seq), None)
            if here is not None:
                where = f"events {at + 1} and {at + 2}" if count > 1 else f"event {at + 1}"
                return Case(name, f"{where} (by number)", text, rule, here.line, broken=count)
    return None


def cell(outcome: Outcome | None) -> str:
    """Return what a question came to, in a word."""
    if outcome is None:
        return ""
    if outcome.result is Result.FOUND:
        return str(outcome.inserted)
    if outcome.result is Result.UNDECIDED:
        return "not decided"
    return "never" if outcome.exhausted else f"more than {outcome.searched}"


def line(row: Row) -> str:
    """Return a row of the table."""
    case, place = row.case, row.place
    at = "" if place is None else "end" if place.line is None else str(place.line)
    seconds = sum(one.seconds for one in (row.kept, row.broken) if one is not None)
    if row.error:
        return f"| {case.name} | {case.change} | {case.rule} | {at} | {row.error} | | |"
    return (
        f"| {case.name} | {case.change} | {case.rule} | {at} | {cell(row.kept)} | {cell(row.broken)} "
        f"| {seconds:.1f} |"
    )


def main(args: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", type=Path)
    given = parser.parse_args(args)
    lines: list[str] = []
    bad: list[Row] = []
    known = after = 0
    for case in (*as_they_are(), *late(), *conforming(), *faulty()):
        row = ask(case)
        if row.error and case.change == "nothing":
            # Most of what samples with a fault leave open follows the fault.
            after += 1
            continue
        lines.append(line(row))
        print(("BAD " if row.bad else "") + lines[-1], file=sys.stderr)
        known += case.kept is not None or case.broken is not None
        if row.bad:
            bad.append(row)
    lines += [
        "",
        f"In {known} of these rows it is known what was taken out, and that it keeps the rule, or breaks it",
        "(in the traces whose names begin with `wrong`). A filling as small or smaller was found in",
        f"{known - len(bad)} of them; the others are not decided.",
        "",
        f"{after} more rules of the sample traces with faults are open after the fault, where nothing is "
        "filled in.",
    ]
    text = HEAD + "\n".join(lines) + "\n"
    if given.write:
        given.write.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 1 if any(row.wrong for row in bad) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
