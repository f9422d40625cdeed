"""Shortest counterexamples and witnesses of all core rules: lengths and times of both engines.

``python -m tests.support.counterexample_table [--write docs/counterexamples.md] [--golden]`` from the top
of the checkout prints, or writes, a table; ``--golden`` writes the shapes that the tests hold on to. It ends
with 1 if a rule has no counterexample within the limits, one takes too long, or the engines find different
lengths.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kmclcheck.cli.finders import finder
from kmclcheck.engines.question import Limits, Question
from kmclcheck.engines.shortest import Judge, Outcome, answer, core, judged_with
from kmclcheck.model.spec import Spec
from kmclcheck.speclang import bundled_spec
from tests.support.shapes import FOLDER, shape

EACH, ALL = 10.0, 120.0
LIMITS = Limits()

HEAD = """# Shortest counterexamples

For every rule of the core, the shortest complete trace that breaks this rule and no other one of the core,
and the shortest one that exercises the rule and breaks none. Two engines that share nothing but the
specification and the question look for them, the explicit-state search (`graph`) and the symbolic one
(`z3`), and the monitor confirms what they find. Written by
`python -m tests.support.counterexample_table --write docs/counterexamples.md`.
`kmclcheck counterexample RULE` tells a counterexample step by step, `--witness` a witness, `--engine z3` the
one of the other engine.

A trace here starts before the driver touched the library, shows every call and callback, and names only
objects that it shows being born (GPADL numbers apart). A thread that is inside the library comes out of it by
a callback, and a callback goes into it by a call. The parameters that are shown are those that matter.
Limits: {limits}. No trace with fewer records will do.

The seconds are of the processor. The rules looked at besides are those that had to be asked for by name
before the monitor confirmed.

| rule | records | end | besides, graph | graph, s | besides, z3 | z3, s | witness | s |
|---|---:|---|---:|---:|---:|---:|---:|---:|
"""


@dataclass(frozen=True, slots=True)
class Timed:
    """An outcome, and the seconds of the processor it took."""

    outcome: Outcome
    cpu: float

    @property
    def length(self) -> str:
        """The number of records, or what is known about it."""
        found = self.outcome.found
        return f"more than {self.outcome.proved}" if found is None else str(len(found.events))


@dataclass(frozen=True, slots=True)
class Row:
    """What a rule came to."""

    rule: str
    graph: Timed
    z3: Timed
    kept: Timed

    @property
    def agreed(self) -> bool:
        """Whether both engines found a counterexample, of the same length."""
        return self.graph.outcome.found is not None and self.graph.length == self.z3.length


def core_rules(spec: Spec) -> list[str]:
    """Return the rules that the table is about."""
    return [id for id in spec.rules if id in core(spec)]


def look(
    spec: Spec, rule: str, witness: bool = False, seconds: float = 60.0, engine: str = "graph"
) -> Outcome:
    """Return the shortest counterexample or witness of a rule."""
    judge = Judge(spec, judged_with(spec, rule))
    return answer(spec, finder(engine), Question(rule, witness=witness), judge, LIMITS, seconds)


def timed(spec: Spec, rule: str, witness: bool = False, engine: str = "graph") -> Timed:
    """Return what ``look`` finds, with the time of the processor."""
    started = time.process_time()
    return Timed(look(spec, rule, witness, engine=engine), time.process_time() - started)


def rows(spec: Spec) -> list[Row]:
    """Return a row for every rule."""
    return [
        Row(id, timed(spec, id), timed(spec, id, engine="z3"), timed(spec, id, witness=True))
        for id in core_rules(spec)
    ]


def table(found: Sequence[Row]) -> str:
    """Return the page."""
    lines = []
    for row in found:
        one = row.graph.outcome.found
        length = row.graph.length if row.agreed else f"{row.graph.length} and {row.z3.length}"
        lines.append(
            f"| {row.rule} | {length} | {'' if one is None else one.end.value} "
            f"| {len(row.graph.outcome.others)} | {row.graph.cpu:.1f} "
            f"| {len(row.z3.outcome.others)} | {row.z3.cpu:.1f} | {row.kept.length} | {row.kept.cpu:.1f} |"
        )
    agreed = sum(row.agreed for row in found)
    graph, z3 = [row.graph.cpu for row in found], [row.z3.cpu for row in found]
    lines += [
        "",
        f"The engines find the same length for {agreed} of {len(found)} rules. All counterexamples together "
        f"take {sum(graph):.0f} seconds (graph; the slowest {max(graph):.1f}) and {sum(z3):.0f} seconds "
        f"(z3; the slowest {max(z3):.1f}) of processor time.",
    ]
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
            one = row.graph.outcome.found
            if one is not None:
                lines = shape(one.events, one.end, spec)
                (FOLDER / f"{row.rule}.txt").write_text(lines, encoding="utf-8")
    apart = [row.rule for row in found if not row.agreed]
    slow = [row.rule for row in found if max(row.graph.cpu, row.z3.cpu) > EACH]
    print(
        f"not found, or of different lengths: {', '.join(apart) or 'none'}; "
        f"too slow: {', '.join(slow) or 'none'}",
        file=sys.stderr,
    )
    total = max(sum(row.graph.cpu for row in found), sum(row.z3.cpu for row in found))
    return 1 if apart or slow or total > ALL else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
