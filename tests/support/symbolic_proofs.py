"""All invariants: proved, and refuted with each of their rules left out.

python -m tests.support.symbolic_proofs [NAME...]
"""

from __future__ import annotations

import sys
import time

from kmclcheck.engines.analysis import need
from kmclcheck.engines.symbolic import Bounds
from kmclcheck.engines.symbolic.prove import Proof, Result, prove
from kmclcheck.model.spec import Spec
from kmclcheck.speclang.loader import bundled_spec

SECONDS = 300.0


def weakest(spec: Spec, name: str) -> tuple[str, Proof]:
    """Leave out the first rule that an invariant names."""
    rule = spec.invariants[name].assuming[0]
    return rule, need(spec, name, rule, Bounds(), SECONDS).proof


def main() -> int:
    spec = bundled_spec()
    wrong = 0
    for name in sys.argv[1:] or spec.invariants:
        before = time.process_time()
        proof = prove(spec, spec.invariants[name], Bounds(), SECONDS)
        wrong += proof.result is not Result.PROVED
        seconds = time.process_time() - before
        print(
            f"{name}: {proof.result.value} by {proof.method}, k {proof.steps}, {proof.facts} facts, "
            f"{proof.lemmas} lemmas, {seconds:.1f} s ({proof.solver_seconds:.1f} s in the solver) {proof.why}"
        )
        for rule in spec.invariants[name].assuming:
            weaker = need(spec, name, rule, Bounds(), SECONDS).proof
            wrong += weaker.result is not Result.FAILED
            length = "" if weaker.trace is None else f" by {len(weaker.trace.events)} records"
            print(f"    without {rule}: {weaker.result.value}{length}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
