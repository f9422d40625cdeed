"""Every engine that judges whole traces says of them what the monitor says.

The table in docs/engines.md is about many more traces.
"""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from kmclcheck.cli.judges import MONITOR, NAMES
from kmclcheck.speclang import bundled_spec
from tests.support.detection_table import MANIPULATIONS
from tests.support.engines import Case, answer, differences, examples, run, samples, simulated, weaker
from tests.support.faulty import FAULTY

# The third engine is there only in versions that come with it.
MODULES = {"graph": "kmclcheck.engines.explore.walk.judge", "z3": "kmclcheck.engines.symbolic.judge"}
ENGINES = [name for name in NAMES if name != MONITOR and find_spec(MODULES[name]) is not None]


def _of(cases: list[Case]) -> list[object]:
    return [pytest.param(case, id=f"{case.sort}-{case.name}".replace(" ", "_")) for case in cases]


def test_there_is_a_second_opinion() -> None:
    assert "graph" in ENGINES


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", _of(list(samples())))
def test_samples(engine: str, case: Case) -> None:
    assert differences(answer(MONITOR, case), answer(engine, case)) == []


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", _of(list(examples(bundled_spec()))[::6]))
def test_examples_of_rules(engine: str, case: Case) -> None:
    assert differences(answer(MONITOR, case), answer(engine, case)) == []


# A run is made when its test begins: making them all takes longer than judging them.
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("number", range(40))
def test_simulated(engine: str, number: int) -> None:
    case = run(number, seed=2)
    assert differences(answer(MONITOR, case), answer(engine, case)) == [], case.name


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("what", MANIPULATIONS)
def test_wrong_samples_with_less_in_them(engine: str, what: str) -> None:
    names = sorted(FAULTY)
    first = list(MANIPULATIONS).index(what)
    for name in names[first :: len(MANIPULATIONS)]:
        for case in weaker(what, name):
            assert differences(answer(MONITOR, case), answer(engine, case)) == [], name


def test_the_traces_are_of_all_sorts() -> None:
    """Agreement means little where nothing is found, or nothing is open."""
    answers = [answer(MONITOR, case) for case in [*samples(), *simulated(10, seed=2)]]
    kinds = {kind for one in answers for kind in one.verdicts.values()}
    assert kinds == {"pass", "fail", "open", "not-exercised"}
    assert len({place[0] for one in answers for place in one.findings}) > 30
