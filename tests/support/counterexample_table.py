"""Shortest counterexamples and witnesses of all core rules, by length and time.

``python -m tests.support.counterexample_table [--write docs/counterexamples.md] [--golden]`` from the top
of the checkout prints, or writes, a table; ``--golden`` writes the shapes that the tests hold on to. It ends
with 1 if a rule has no counterexample within the limits, or one takes too long.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kmclcheck.engines.explore.finder import find
from kmclcheck.engines.question import Limits, Question
from kmclcheck.engines.shortest import Judge, Outcome, answer, judged_with
from kmclcheck.model.spec import Spec
from kmclcheck.speclang import bundled_spec
from tests.support.shapes import FOLDER, shape

EACH, ALL = 10.0, 120.0
LIMITS = Limits()

HEAD = """# Shortest counterexamples

For every rule of the core, the shortest complete trace that breaks this rule and no other one of the core,
and the shortest one that exercises the rule and breaks none, as the explicit-state search finds them and the
monitor confirms them. Written by
`python -m tests.support.counterexample_table --write docs/counterexamples.md`.
`kmclcheck counterexample RULE` tells a counterexample step by step, `--witness` a witness.

A trace here starts before the driver touched the library, shows every call and callback, and names only
objects that it shows being born (GPADL numbers apart). A thread that is inside the library comes out of it by
a callback, and a callback goes into it by a call. The parameters that are shown are those that matter.
Limits: {limits}. No trace with fewer records will do.

| rule | records | end | rules looked at besides | seconds | witness | seconds |
|---|---:|---|---:|---:|---:|---:|
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What a rule came to."""

    rule: str
    broken: Outcome
    kept: Outcome
    cpu: float
    cpu_kept: float


def core_rules(spec: Spec) -> list[str]:
    """Return the rules that the table is about."""
    some, other = list(spec.rules)[:2]
    return [id for id in spec.rules if id in judged_with(spec, some if id != some else other)]


def look(spec: Spec, rule: str, witness: bool = False, seconds: float = 60.0) -> Outcome:
    """Return the shortest counterexample or witness of a rule."""
    judge = Judge(spec, judged_with(spec, rule))
    return answer(spec, find, Question(rule, witness=witness), judge, LIMITS, seconds)


def rows(spec: Spec) -> list[Row]:
    """Return a row for every rule, with the time of the processor."""
    found = []
    for rule in core_rules(spec):
        started = time.process_time()
        broken = look(spec, rule)
        between = time.process_time()
        kept = look(spec, rule, witness=True)
        found.append(Row(rule, broken, kept, between - started, time.process_time() - between))
    return found


def table(found: Sequence[Row]) -> str:
    """Return the page."""
    lines = []
    for row in found:
        one = row.broken.found
        length, end = ("none", "") if one is None else (str(len(one.events)), one.end.value)
        other = "none" if row.kept.found is None else str(len(row.kept.found.events))
        if row.broken.found is None:
            length = f"more than {row.broken.proved}"
        if row.kept.found is None:
            other = f"more than {row.kept.proved}"
        lines.append(
            f"| {row.rule} | {length} | {end} | {len(row.broken.others)} | {row.cpu:.1f} "
            f"| {other} | {row.cpu_kept:.1f} |"
        )
    total = sum(row.cpu for row in found)
    lines += ["", f"All counterexamples together: {total:.0f} seconds of processor time, one core."]
    return HEAD.format(limits=LIMITS.text()) + "\n".join(lines) + "\n"


def main(args: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", type=Path)
    parser.add_argument("--golden", action="store_true")
    given = parser.parse_args(args)
    spec = bundled_spec()
    found = rows(spec)
    text = table(found)
    if given.write:
        given.write.write_text(text, encoding="utf-8")
    else:
        print(text)
    if given.golden:
        for row in found:
            if row.broken.found is not None:
                lines = shape(row.broken.found.events, row.broken.found.end, spec)
                (FOLDER / f"{row.rule}.txt").write_text(lines, encoding="utf-8")
    missing = [row.rule for row in found if row.broken.found is None]
    slow = [row.rule for row in found if row.cpu > EACH]
    print(
        f"not found: {', '.join(missing) or 'none'}; too slow: {', '.join(slow) or 'none'}", file=sys.stderr
    )
    return 1 if missing or slow or sum(row.cpu for row in found) > ALL else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
