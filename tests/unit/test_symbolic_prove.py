"""Invariants: proved, refuted when a rule is missing, open when there is no time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kmclcheck.engines.shortest import Judge
from kmclcheck.engines.symbolic import Bounds
from kmclcheck.engines.symbolic.prove import Result, assumed, prove
from kmclcheck.model.event import End
from kmclcheck.model.expr import Truth
from kmclcheck.model.spec import Invariant, Spec
from kmclcheck.speclang.loader import bundled_spec
from tests.support.symbolic_proofs import weakest

QUICK = ("external-mdl-released", "started-with-nothing-held", "no-delivery-after-suspend")
SPEC = bundled_spec()


def test_there_are_enough_of_them() -> None:
    assert len(SPEC.invariants) >= 15
    for invariant in SPEC.invariants.values():
        assert invariant.statement
        assert invariant.instances
        assert invariant.assuming


@pytest.mark.parametrize("name", QUICK)
def test_an_invariant_is_proved(name: str) -> None:
    proof = prove(SPEC, SPEC.invariants[name], Bounds(), 60)
    assert proof.result is Result.PROVED
    assert proof.steps >= 1
    assert proof.trace is None
    assert set(proof.rules) == set(SPEC.invariants[name].assuming)


@pytest.mark.parametrize("name", list(SPEC.invariants))
def test_without_a_rule_it_fails(name: str) -> None:
    """Every invariant rests on its rules: without one, records that keep the others violate it."""
    rule, proof = weakest(SPEC, name)
    assert proof.result is Result.FAILED, rule
    assert proof.trace is not None
    judge = Judge(SPEC, frozenset(SPEC.rules))
    reported = {f.rule for f in judge.replay(proof.trace.events, End.STOPPED, rule).findings}
    assert not reported & (set(SPEC.invariants[name].assuming) - {rule})


def test_no_time_is_no_proof() -> None:
    proof = prove(SPEC, SPEC.invariants[QUICK[0]], Bounds(), 0)
    assert proof.result is Result.OPEN
    assert proof.why


def test_an_invariant_without_rules_rests_on_all() -> None:
    invariant = replace(SPEC.invariants[QUICK[0]], assuming=())
    rules = assumed(SPEC, invariant)
    assert len(rules) > 80
    assert not [rule for rule in rules if rule.startswith("etw-")]


def _unless(invariant: Invariant, spec: Spec) -> Invariant:
    return replace(invariant, checks=tuple(replace(c, require=Truth(False)) for c in invariant.checks))


def test_a_claim_that_cannot_hold_is_refuted_by_records() -> None:
    invariant = _unless(SPEC.invariants["saved-before-cleanup"], SPEC)
    proof = prove(SPEC, invariant, Bounds(), 60)
    assert proof.result is Result.FAILED
    assert proof.trace is not None
    assert [e.name for e in proof.trace.events] == [
        "VmbChannelAllocate", "VmbChannelAllocate", "VmbChannelCleanup"
    ]  # fmt: skip


def test_two_objects_of_a_kind() -> None:
    proof = prove(SPEC, SPEC.invariants["external-mdl-released"], Bounds(objects=(("packet", 2),)), 60)
    assert proof.result is Result.PROVED
