"""The table of the symbolic engine: for every core rule the shortest records that break it alone.

    python -m tests.support.symbolic_table [-o FILE] [RULE...]

Every result is replayed in the monitor. Times are of the processor, on one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from kmclcheck.engines.symbolic import Bounds, Outcome, counterexample
from kmclcheck.model.spec import Profile, Spec
from kmclcheck.speclang.loader import bundled_spec
from tests.support.symbolic_replay import Replayer

SECONDS_PER_RULE = 60.0


def api_rules(spec: Spec) -> list[str]:
    """Return the core rules on functions and callbacks: all but those on the library's own records."""
    return [
        rule.id
        for rule in spec.rules.values()
        if rule.profile is Profile.CORE
        and all(spec.kinds[check.target].births or check.target == "thread" for check in rule.checks)
    ]


def row(outcome: Outcome, seconds: float) -> str:
    """Return a row of the table."""
    found = outcome.found
    if found is None:
        length, last, end = f"more than {outcome.proved}", outcome.why, ""
    else:
        event = found.events[-1]
        length, last, end = str(len(found.events)), f"{event.name}.{event.phase.value}", found.end.value
    return f"| {outcome.rule} | {length} | {last} | {end} | {outcome.rounds} | {seconds:.2f} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("rules", nargs="*")
    chosen = parser.parse_args()
    spec = bundled_spec()
    replay = Replayer(spec)
    lines = ["| rule | records | last record | end | rounds | seconds |", "|---|--:|---|---|--:|--:|"]
    missing = 0
    slowest = 0.0
    started = time.process_time()
    for rule in chosen.rules or api_rules(spec):
        before = time.process_time()
        outcome = counterexample(spec, rule, Bounds(), SECONDS_PER_RULE, replay)
        seconds = time.process_time() - before
        slowest = max(slowest, seconds)
        missing += outcome.found is None
        lines.append(row(outcome, seconds))
        print(lines[-1], file=sys.stderr)
    total = time.process_time() - started
    lines += ["", f"{len(lines) - 2} rules, {total:.1f} s in all, the slowest {slowest:.1f} s."]
    text = "\n".join(lines) + "\n"
    if chosen.output is None:
        print(text)
    else:
        chosen.output.write_text(text)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
