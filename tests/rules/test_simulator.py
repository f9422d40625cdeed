"""A small part of the campaign: what the simulator runs is in order, in every shape of capture."""

from __future__ import annotations

import pytest

from kmclcheck.engines.simulate import SCENARIOS, Workload
from kmclcheck.speclang import bundled_spec
from tests.support.campaign import FORMS, PENDING, announced, campaign, judge, table
from tests.support.coverage_table import REASONS, measure, missing, silent, transitions

COUNTED = [form for form in FORMS if form != PENDING]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_finding_in_whole_traces(scenario: str) -> None:
    rows = campaign([scenario], 6, [], ["whole"])
    assert not rows[0].bad, table(rows)


@pytest.mark.parametrize("form", COUNTED)
def test_no_finding_in_any_shape(form: str) -> None:
    # Every shape meets a few of the scenarios, with seeds of its own.
    first = COUNTED.index(form)
    mine = [list(SCENARIOS)[(first + 5 * n) % len(SCENARIOS)] for n in range(3)]
    rows = [judge(scenario, form, range(100 * first, 100 * first + 3)) for scenario in mine]
    assert not any(row.bad for row in rows), table(rows)


def test_a_workload() -> None:
    rows = campaign([], 0, [Workload(2000, 6)], ["whole", "cut anywhere", "5 % lost", "L0"])
    assert not any(row.bad for row in rows), table(rows)


def test_faulty_scenarios_name_their_rules() -> None:
    for scenario in SCENARIOS.values():
        assert bool(announced(scenario.name)) == scenario.faulty


def test_the_scenarios_take_every_transition() -> None:
    spec = bundled_spec()
    known = {text for machine in transitions(spec).values() for text in machine}
    assert known >= REASONS.keys()
    taken = measure(spec, 200, complete=True)
    assert not missing(spec, taken)
    assert not silent(spec, taken)
