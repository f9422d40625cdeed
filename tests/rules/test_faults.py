"""Faults of the simulator: each is found where it is, under its own rule, and nothing else with it."""

from __future__ import annotations

import pytest

from kmclcheck.engines.simulate.faults import Fault, all_faults
from kmclcheck.model.spec import Profile
from kmclcheck.speclang import bundled_spec
from tests.support.fault_table import judge

FAULTS = [one for faults in all_faults().values() for one in faults]
SEEDS = 1
"""The table in docs/faults.md has 50."""


def test_every_core_rule_has_faults() -> None:
    # Records of rings come from the library's own tracing; no driver writes them.
    wanted = {
        rule.id
        for rule in bundled_spec().rules.values()
        if rule.profile is Profile.CORE and not rule.id.startswith("etw-")
    }
    assert set(all_faults()) == wanted


def test_shapes_have_names_of_their_own() -> None:
    assert len({(one.rule, one.shape) for one in FAULTS}) == len(FAULTS)
    several = [rule for rule, faults in all_faults().items() if len(faults) > 1]
    assert len(several) > 80


@pytest.mark.parametrize("one", FAULTS, ids=[f"{one.rule}-{one.shape}" for one in FAULTS])
def test_found_alone_at_its_place(one: Fault) -> None:
    row = judge(one, SEEDS)
    assert row.perfect, row
