"""Which transitions of the specification the simulator's scenarios take.

``python -m tests.support.coverage_table [--seeds 50]`` from the top of the checkout prints those not taken.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from kmclcheck.engines.monitor import Options, effects, plan
from kmclcheck.engines.replay import check
from kmclcheck.engines.simulate.scenarios import SCENARIOS
from kmclcheck.engines.simulate.simulation import Simulation
from kmclcheck.model.expr import Expr
from kmclcheck.model.spec import Spec, Transition
from kmclcheck.semantics import transition
from kmclcheck.semantics.truth import FALSE, MISSING, Possible, Truth4
from kmclcheck.speclang import bundled_spec
from kmclcheck.traces import read_text

LIMIT = 5e8


@contextmanager
def counting(taken: Counter[int]) -> Iterator[None]:
    """Count, by identity, the lines that apply for reasons that the trace shows.

    The monitor works every combination of states out once, so each line that is ever taken shows here.
    """

    def move(
        now: Possible, lines: Sequence[Transition], guard: Callable[[Expr], Truth4]
    ) -> tuple[Possible, bool]:
        for line in lines:
            if not line.observe and now.values & line.sources and guard(line.guard) not in (FALSE, MISSING):
                taken[id(line)] += 1
        return transition.move(now, lines, guard)

    modules = (plan, effects)
    for module in modules:
        module.move = move  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in modules:
            module.move = transition.move  # type: ignore[attr-defined]


def measure(spec: Spec, seeds: int) -> Counter[int]:
    """Run every scenario with so many seeds."""
    taken: Counter[int] = Counter()
    with counting(taken):
        for scenario in SCENARIOS.values():
            for seed in range(seeds):
                stream = io.StringIO()
                sim = Simulation(seed, stream)
                scenario.setup(sim)
                stuck = sim.run(LIMIT)
                body = "".join(s for s in stream.getvalue().splitlines(True) if not s.startswith("%"))
                head = f"%kmtrace 1\n%start known\n%end {'hung' if stuck else 'unloaded'}\n%records all\n"
                check(spec, Options(slice_budget=0.0), read_text(head + body))
    return taken


def missing(spec: Spec, taken: Counter[int]) -> list[str]:
    """Return the transitions that were not taken, as lines of text."""
    found: list[str] = []
    for machine in spec.machines.values():
        for line in machine.transitions:
            if not line.observe and not taken[id(line)]:
                name, phase = line.event
                sources = ", ".join(sorted(line.sources))
                targets = ", ".join(sorted(line.targets)) or "same"
                where = f"line {line.span.line}" if line.span is not None else ""
                found.append(
                    f"{machine.kind}.{machine.field}: {sources} -> {targets} on {name}.{phase.value} {where}"
                )
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=50)
    args = parser.parse_args()
    spec = bundled_spec()
    left = missing(spec, measure(spec, args.seeds))
    total = sum(not line.observe for m in spec.machines.values() for line in m.transitions)
    print(f"{total - len(left)} of {total} transitions taken\n")
    print("\n".join(left))


if __name__ == "__main__":
    main()
