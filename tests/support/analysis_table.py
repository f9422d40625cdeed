"""What the analysis of the rules comes to, as a page.

``python -m tests.support.analysis_table [--write docs/analysis.md] [--seconds 300]`` from the top of the
checkout. It ends with 1 if a rule can never be broken, an invariant does not need a rule that it names, or
a value of a machine is never reached.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kmclcheck.cli.analyze import Line, answers
from kmclcheck.cli.finders import bounds_of
from kmclcheck.cli.specs import load_specs
from kmclcheck.engines.question import Limits

FURTHER = "tests/data/implied.kmcl"

HEAD = """# What the rules come to

`kmclcheck analyze` asks Z3 about the rules themselves. An answer is either proved (by induction with lemmas
that are found, within one object of each kind for each parent, two threads and two calls inside one another)
or shown by records that the monitor was run on. This page is written by
`python -m tests.support.analysis_table --write docs/analysis.md`; the times are seconds on a shared machine.

Records keep the rules that the monitor found necessary, one after the other: a proof with few of them stands
for all of them, and records count only if the monitor reports nothing else of the core.
"""

IMPLICATIONS = """
## Implications

What the rule catalogue says with `implied_by`: a trace that keeps the rules on the right keeps the one on the
left. Six of the rules are of the extended profile and not part of the bundled specification yet; their
conditions stand in `tests/data/implied.kmcl`.

An implication that does not follow holds in ordinary runs. The records that refute it are legal all the same:
calls of two threads overlap, or the documents leave open in which state a channel is. So the rule is worth
checking besides those that are said to imply it.

| rule | from | answer | seconds |
|---|---|---|---:|
"""

STATES = """
## States

Each value of each machine is reached while all rules of the core are kept: the rules do not contradict one
another, and no state is dead weight. Some values only stand for what is not there, as before a birth.

| field | value | answer | seconds |
|---|---|---|---:|
"""

INVARIANTS = """
## What the invariants rest on

Each rule that an invariant names is left out of the specification in turn. The invariant then fails: that is
what the rule is good for.

| invariant | without | answer | seconds |
|---|---|---|---:|
"""

NESTINGS = """
## Calls inside callbacks that never return

A call is made inside a callback on its thread, and all rules are kept but those that forbid the call itself.
Only calls are looked at whose return the library guarantees something about. The calls behind "unless
meanwhile" are kept from overlapping such a return on another thread: where one of them does, the guarantees
do not tell which of the two brought about what they promise.

A promise about a return is kept by any moment since the call, for that is how calls take effect. So a call
inside a delivery, or inside a callback about the run of a channel, can return in records in which another
call is under way: an open that races with a disable is the usual one.

| call | inside | answer | seconds |
|---|---|---|---:|
"""

RULES = """
## Rules

Each rule of the core can be broken alone; [counterexamples.md](counterexamples.md) lists the lengths.
"""


def _row(cells: Sequence[str], line: Line) -> str:
    return f"| {' | '.join(cells)} | {line.answer} | {line.seconds:.1f} |"


def page(seconds: float) -> tuple[str, list[Line]]:
    """Return the page, and all answers."""
    spec, wider = load_specs(()), load_specs(("kmcl", FURTHER))
    bounds = bounds_of(Limits(depth=2))
    found: list[Line] = []
    parts = [HEAD]

    def section(title: str, lines: list[Line], cells: Sequence[str]) -> None:
        found.extend(lines)
        parts.append(
            title + "\n".join(_row([str(line.facts[c]) for c in cells], line) for line in lines) + "\n"
        )

    implied = list(answers(wider, "implications", bounds, seconds))
    for line in implied:
        line.facts["by"] = ", ".join(line.facts["by"])
    section(IMPLICATIONS, implied, ("rule", "by"))
    section(STATES, list(answers(spec, "states", bounds, seconds)), ("field", "value"))
    section(INVARIANTS, list(answers(spec, "invariants", bounds, seconds)), ("invariant", "rule"))
    section(NESTINGS, list(answers(spec, "nestings", bounds, seconds)), ("call", "callback"))
    rules = list(answers(spec, "rules", bounds, seconds))
    found.extend(rules)
    alone = sum(line.good is True for line in rules)
    parts.append(f"{RULES}{alone} of {len(rules)} can.\n")
    return "".join(parts), found


def main(args: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0)
    given = parser.parse_args(args)
    text, found = page(given.seconds)
    if given.write:
        given.write.write_text(text, encoding="utf-8")
    else:
        print(text)
    wrong = [line for line in found if line.good is False and line.subject != "implications"]
    for line in [*wrong, *(line for line in found if line.good is None)]:
        print(f"{'open' if line.good is None else 'no'}: {line.about}: {line.answer}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
