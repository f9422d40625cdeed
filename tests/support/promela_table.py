"""What SPIN says of rules and invariants, beside what the engines of the project say.

``python -m tests.support.promela_table [--write docs/promela.md]`` from the top of the checkout prints the
tables, or writes them into the page between its markers. With ``--all`` it goes through every rule of the
core, with one thread, and tells of each whether SPIN agrees. It ends with 1 if anything disagrees.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kmclcheck.engines.analysis import need
from kmclcheck.engines.explore.finder import find
from kmclcheck.engines.fill import Filler
from kmclcheck.engines.promela import Bounds, Claims, UnsupportedError, read_trail, write
from kmclcheck.engines.question import Limits, Question
from kmclcheck.engines.shortest import Judge, Outcome, answer, judged_with
from kmclcheck.engines.symbolic import Bounds as SymbolicBounds
from kmclcheck.engines.symbolic.prove import Proof, Result, prove
from kmclcheck.model.spec import Spec
from kmclcheck.speclang import bundled_spec
from tests.support.counterexample_table import core_rules
from tests.support.spin import Run, missing, search

ONE = Bounds(threads=1, depth=3)
TWO = Bounds(threads=2, depth=3)
PAIR = Bounds(threads=2, depth=2)
SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RuleCase:
    """A rule, the bounds that it is checked in, and what is special about it."""

    rule: str
    bounds: Bounds
    shape: str


@dataclass(frozen=True, slots=True)
class InvariantCase:
    """An invariant, the rule that is left out to refute it, and what is special about it."""

    invariant: str
    rule: str
    shape: str


RULES = (
    RuleCase("channel-cleanup-disabled", TWO, "the life of a channel"),
    RuleCase("channel-cleaned-up", TWO, "due at the end of the trace"),
    RuleCase("no-disable-in-state-callback", ONE, "inside a callback"),
    RuleCase("packet-send-when-ready", TWO, "a packet, a late failure"),
    RuleCase("send-within-max-size", ONE, "numbers"),
    RuleCase("incoming-disposed", ONE, "a received packet, due when the trace hangs"),
    RuleCase("gpadl-deleted-by-close", ONE, "every GPADL of a channel"),
    RuleCase("lg-disable-returns-disabled", ONE, "moments before a return"),
)

INVARIANTS = (
    InvariantCase(
        "no-callback-after-disable", "lg-no-callback-while-disabled", "every state between records"
    ),
    InvariantCase("disposed-while-held", "incoming-no-use-after-disposal", "received packets"),
    InvariantCase("external-mdl-released", "lg-completion-exactly-once", "packets, arguments"),
    InvariantCase("mapping-on-one-side", "role-server-only", "GPADLs"),
    InvariantCase("one-save-at-a-time", "save-no-nested-begin", "saving"),
)


@dataclass(frozen=True, slots=True)
class RuleRow:
    """What came of a rule. ``replayed``: the rules that the monitor reports on the trail of SPIN.

    ``last``: the report is about the last record, or about the end.
    """

    case: RuleCase
    ours: int | None
    run: Run
    records: int
    end: str
    replayed: tuple[str, ...]
    last: bool
    steps: int
    assumed: int

    @property
    def agrees(self) -> bool:
        return (
            self.run.violated
            and self.ours == self.run.steps == self.records
            and self.replayed == (self.case.rule,)
            and self.last
        )


@dataclass(frozen=True, slots=True)
class InvariantRow:
    """What came of an invariant, with all its rules and without one of them."""

    case: InvariantCase
    proof: Proof
    holds: Run
    refuted: Proof
    fails: Run
    steps: int
    between: bool

    @property
    def ours(self) -> int | None:
        """The records of the refutation. One that looks between records takes the next one to see it."""
        trace = self.refuted.trace
        return None if trace is None else len(trace.events) - int(self.between)

    @property
    def agrees(self) -> bool:
        return (
            self.proof.result is Result.PROVED
            and not self.holds.violated
            and self.refuted.result is Result.FAILED
            and self.fails.violated
            and self.fails.steps == self.ours
        )


def shortest(spec: Spec, rule: str, bounds: Bounds) -> Outcome:
    """Return the shortest counterexample that the explicit-state search finds."""
    limits = Limits(bounds.threads, bounds.depth, bounds.objects, bounds.others, bounds.unseen)
    return answer(
        spec, find, Question(rule), Judge(spec, judged_with(spec, rule)), limits, SECONDS
    )  # fmt: skip


def rule_row(spec: Spec, case: RuleCase) -> RuleRow:
    """Let SPIN look for the shortest violation of a rule.

    As in every search for counterexamples, what the monitor reports besides is assumed in the next try.
    """
    judged = judged_with(spec, case.rule)
    judge, filler = Judge(spec, judged), Filler(spec, judged)
    assume: set[str] = set()
    while True:
        model = write(spec, Claims((case.rule,), assume=tuple(sorted(assume))), case.bounds)
        run = _search(model.text)
        trail = read_trail(spec, run.trail or "")
        reports = [
            judge.replay(events, trail.end, case.rule)
            for events in (filler.fill(trail.events), list(trail.events))
        ]
        good = [r for r in reports if r.confirms(Question(case.rule), len(trail.events), case.bounds.unseen)]
        report = (good or reports)[0]
        replayed = tuple(finding.rule for finding in report.findings)
        more = set(replayed) - assume - {case.rule}
        if good or not more or not run.violated:
            ours = shortest(spec, case.rule, case.bounds).found
            return RuleRow(
                case, None if ours is None else len(ours.events), run, len(trail.events), trail.end.value,
                replayed, bool(good), model.steps, len(model.assumed),
            )  # fmt: skip
        assume |= more


def invariant_row(spec: Spec, case: InvariantCase) -> InvariantRow:
    """Let SPIN look for violations of an invariant, with all its rules and without one."""
    invariant = spec.invariants[case.invariant]
    model = write(spec, Claims(invariants=(case.invariant,)), PAIR)
    weaker = write(spec, Claims(invariants=(case.invariant,), without=(case.rule,)), PAIR)
    bounds = SymbolicBounds(threads=PAIR.threads, depth=PAIR.depth)
    return InvariantRow(
        case,
        prove(spec, invariant, bounds, SECONDS),
        _search(model.text),
        need(spec, case.invariant, case.rule, SymbolicBounds(), SECONDS).proof,
        _search(weaker.text),
        model.steps,
        all(check.event is None for check in invariant.checks),
    )


def _search(text: str) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        return search(text, Path(folder))


def tables(rules: Sequence[RuleRow], invariants: Sequence[InvariantRow]) -> str:
    """Return the tables of the page."""
    lines = [
        "| rule | what is special | threads | steps of the model | rules kept | records, graph engine "
        "| records, SPIN | end | replayed | states | seconds, compiling and searching |",
        "|---|---|---:|---:|---:|---:|---:|---|---|---:|---:|",
    ]
    for row in rules:
        lines.append(
            f"| {row.case.rule} | {row.case.shape} | {row.case.bounds.threads} | {row.steps} | {row.assumed} "
            f"| {row.ours} | {row.run.steps} | {row.end} "
            f"| {'this rule alone' if row.replayed == (row.case.rule,) and row.last else 'no'} "
            f"| {row.run.states} | {row.run.compiling:.1f} + {row.run.seconds:.1f} |"
        )
    lines += [
        "",
        "| invariant | what is special | steps of the model | `prove` | SPIN | states | seconds "
        "| rule left out | records, `prove` | records, SPIN | states | seconds |",
        "|---|---|---:|---|---|---:|---:|---|---:|---:|---:|---:|",
    ]
    for one in invariants:
        lines.append(
            f"| {one.case.invariant} | {one.case.shape} | {one.steps} | {one.proof.result.value} "
            f"| {'violated' if one.holds.violated else 'no violation'} | {one.holds.states} "
            f"| {one.holds.compiling:.1f} + {one.holds.seconds:.1f} | {one.case.rule} | {one.ours} "
            f"| {one.fails.steps} | {one.fails.states} "
            f"| {one.fails.compiling:.1f} + {one.fails.seconds:.1f} |"
        )
    return "\n".join(lines) + "\n"


def _all(spec: Spec) -> int:
    """Go through every rule of the core, and count."""
    agreeing, wrong, refused = 0, 0, 0
    for rule in core_rules(spec):
        try:
            row = rule_row(spec, RuleCase(rule, ONE, ""))
        except UnsupportedError as error:
            refused += 1
            print(error)
            continue
        agreeing += row.agrees
        wrong += not row.agrees
        print(f"{rule}: {row.ours} records, SPIN {row.run.steps}, {row.run.states} states")
    print(f"{agreeing} agree, {wrong} do not, {refused} cannot be expressed")
    return 1 if wrong else 0


def main(args: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", type=Path)
    parser.add_argument("--all", action="store_true")
    given = parser.parse_args(args)
    if missing():
        print(f"not installed: {missing()}", file=sys.stderr)
        return 2
    spec = bundled_spec()
    if given.all:
        return _all(spec)
    rules = [rule_row(spec, case) for case in RULES]
    invariants = [invariant_row(spec, case) for case in INVARIANTS]
    text = tables(rules, invariants)
    if given.write:
        page = given.write.read_text(encoding="utf-8")
        before, _, rest = page.partition("<!-- tables:begin -->\n")
        _, _, after = rest.partition("<!-- tables:end -->")
        whole = f"{before}<!-- tables:begin -->\n{text}<!-- tables:end -->{after}"
        given.write.write_text(whole, encoding="utf-8")
    else:
        print(text)
    wrong = [r.case.rule for r in rules if not r.agrees]
    wrong += [i.case.invariant for i in invariants if not i.agrees]
    print(f"disagreements: {', '.join(wrong) or 'none'}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
