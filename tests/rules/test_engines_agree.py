"""Every engine that judges whole traces says of them what the monitor says.

One that sees more may decide what the monitor leaves open; nothing else may be different. The tables in
docs/engines.md are about many more traces.
"""

from __future__ import annotations

import pytest

from kmclcheck.cli.judges import MONITOR, NAMES
from kmclcheck.model.spec import Rule
from kmclcheck.speclang import bundled_spec
from tests.support.campaign import FORMS
from tests.support.detection_table import MANIPULATIONS
from tests.support.engines import (
    Answer,
    Case,
    answer,
    by_monitor,
    contrast,
    differences,
    examples,
    run,
    samples,
    simulated,
    weaker,
)
from tests.support.faulty import FAULTY

ENGINES = [name for name in NAMES if name != MONITOR]
SPEC = bundled_spec()


def test_there_are_a_second_and_a_third_opinion() -> None:
    assert ENGINES == ["graph", "z3"]


# Where nothing is missing, no engine has more to go by than another.
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", list(samples()), ids=lambda case: case.name)
def test_samples(engine: str, case: Case) -> None:
    found = contrast(by_monitor(case), answer(engine, case))
    assert found.differences == []


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rule", SPEC.rules.values(), ids=lambda rule: rule.id)
def test_examples_of_rules(engine: str, rule: Rule) -> None:
    for case in examples(SPEC, rule.id):
        assert contrast(by_monitor(case), answer(engine, case)).differences == [], case.name


# A run is made when its test begins: making them all takes longer than judging them. Of each shape of
# capture there is one, by turns of a run that keeps the rules and of one with a fault.
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", range(len(FORMS)), ids=list(FORMS))
def test_simulated(engine: str, form: int) -> None:
    case = run(2 * form + form % 2, seed=2)
    assert differences(engine, case) == [], case.name


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("what", MANIPULATIONS)
def test_wrong_samples_with_less_in_them(engine: str, what: str) -> None:
    names = sorted(FAULTY)
    first = list(MANIPULATIONS).index(what)
    for name in names[first :: len(MANIPULATIONS)]:
        for case in weaker(what, name):
            assert differences(engine, case) == [], name


def test_the_traces_are_of_all_sorts() -> None:
    """Agreement means little where nothing is found, or nothing is open."""
    answers = [by_monitor(case) for case in [*samples(), *simulated(10, seed=2)]]
    kinds = {kind for one in answers for kind in one.verdicts.values()}
    assert kinds == {"pass", "fail", "open", "not-exercised"}
    assert len({place[0] for one in answers for place in one.findings}) > 30


PLACE = ("r", 3, "file", 1, "")
OTHER = ("s", 4, "file", 1, "")


def _said(r: str, s: str, *found: tuple[str, int, str, int, str]) -> Answer:
    return Answer({"r": r, "s": s}, list(found), dict.fromkeys(found, ((), 0)))


class TestComparison:
    """What a sharper engine may say of two rules, and what is a contradiction whoever says it."""

    @pytest.mark.parametrize(
        ("one", "two"),
        [
            (_said("open", "pass"), _said("pass", "pass")),
            (_said("open", "pass"), _said("fail", "pass", PLACE)),
            # What an object at fault is like is not known any more.
            (_said("open", "pass"), _said("fail", "open", PLACE)),
            (_said("open", "fail", OTHER), _said("fail", "fail", PLACE, OTHER)),
        ],
    )
    def test_deciding_more(self, one: Answer, two: Answer) -> None:
        found = contrast(one, two, sharper=True)
        assert (found.differences, list(found.decided)) == ([], ["r"])
        assert contrast(one, two).differences != []

    @pytest.mark.parametrize(
        ("one", "two"),
        [
            (_said("pass", "pass"), _said("open", "pass")),
            (_said("pass", "pass"), _said("fail", "pass", PLACE)),
            (_said("fail", "pass", PLACE), _said("pass", "pass")),
            (_said("fail", "pass", PLACE), _said("open", "pass")),
            (_said("open", "pass"), _said("not-exercised", "pass")),
            (_said("not-exercised", "pass"), _said("pass", "pass")),
            (_said("open", "pass"), _said("pass", "open")),
            (_said("open", "fail", OTHER), _said("fail", "open", PLACE)),
            (_said("fail", "fail", PLACE), _said("fail", "fail", PLACE, OTHER)),
            (_said("fail", "pass", PLACE), _said("fail", "pass", PLACE, PLACE)),
        ],
    )
    def test_contradictions(self, one: Answer, two: Answer) -> None:
        assert contrast(one, two, sharper=True).differences != []
