"""What the rules come to: implications, states, nestings; what is shown by records is replayed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kmclcheck.cli.specs import load_specs
from kmclcheck.engines.analysis import (
    Answer,
    Ask,
    Implication,
    implications,
    implying,
    nesting,
    settle,
    values,
)
from kmclcheck.engines.shortest import Judge, core
from kmclcheck.engines.symbolic import Bounds
from kmclcheck.engines.symbolic.questions import broken, reached
from kmclcheck.model.event import End
from kmclcheck.model.spec import Machine, Spec
from tests.support.analysis_table import FURTHER

SECONDS = 120.0
FOLLOWS = {
    "incoming-complete-once", "channel-no-double-cleanup", "channel-disable-enabled", "packet-no-double-free",
    "packet-no-routine-change-inflight",
}  # fmt: skip


@pytest.fixture(scope="module")
def spec() -> Spec:
    return load_specs(("kmcl", FURTHER))


@pytest.mark.parametrize("rule", sorted(FOLLOWS))
def test_an_implication_is_proved(spec: Spec, rule: str) -> None:
    found = _implication(spec, rule)
    assert found.alone.answer is Answer.NEVER
    assert set(found.alone.kept) == set(spec.rules[rule].implied_by)
    # Of itself it is not kept.
    settled = settle(spec, _breaking(spec, rule), (), frozenset(), SECONDS, rule)
    assert settled.answer is Answer.POSSIBLE


def _breaking(spec: Spec, rule: str) -> Ask:
    return lambda keeping, left: broken(spec, rule, keeping, Bounds(), left)


@pytest.mark.parametrize("rule", ["lg-server-started-needs-start"])
def test_an_implication_is_refuted_by_records_that_keep_all_other_rules(spec: Spec, rule: str) -> None:
    found = _implication(spec, rule)
    assert found.together.answer is Answer.POSSIBLE
    judge = Judge(spec, core(spec) | {rule, *found.by})
    replay = judge.replay(found.together.events, found.together.end)
    assert {f.rule for f in replay.findings} == {rule}
    assert not replay.findings[0].also_broken
    assert not replay.lost


def _implication(spec: Spec, rule: str) -> Implication:
    others = {id: replace(other, implied_by=()) for id, other in spec.rules.items() if id != rule}
    (found,) = implications(replace(spec, rules={**others, rule: spec.rules[rule]}), Bounds(), SECONDS)
    return found


def test_a_rule_that_others_imply_says_so(spec: Spec) -> None:
    rule = spec.rules["quota-nonzero"]
    both = replace(spec, rules={**spec.rules, "twin": replace(rule, id="twin")})
    assert implying(both, "quota-nonzero", Bounds(), SECONDS) == ("twin",)
    assert implying(spec, "quota-nonzero", Bounds(), SECONDS) is None


def test_every_value_of_a_machine_is_reached(spec: Spec) -> None:
    one = _machine(spec, "life")
    found = {value.value: value for value in values(one, Bounds(), SECONDS)}
    assert set(found) == set(spec.kinds["channel"].enums["life"].values)
    for name, value in found.items():
        if name == "None":
            assert value.absent
            assert value.settled.answer is Answer.NEVER
        else:
            assert value.settled.answer is Answer.POSSIBLE, name
    # Where the open failed the documents leave open what the channel is.
    assert [name for name, value in found.items() if not value.certain] == ["None", "FailedOpen"]


def test_a_value_that_nothing_leads_to_is_never_reached(spec: Spec) -> None:
    machine = spec.machines["channel", "life"]
    lines = tuple(t for t in machine.transitions if t.targets != {"Open"})
    closed = replace(spec, machines={("channel", "life"): replace(machine, transitions=lines)})
    proof = reached(closed, ("channel", "life"), "Open", (), Bounds(), SECONDS, certainly=False)
    assert proof.result.value == "proved"


def _machine(spec: Spec, field: str) -> Spec:
    chosen: dict[tuple[str, str], Machine] = {}
    chosen["channel", field] = spec.machines["channel", field]
    rest = {key: machine for key, machine in spec.machines.items() if key not in chosen}
    # The other machines stay, behind the one that is asked about; asking stops before them.
    return replace(spec, machines={**chosen, **{key: replace(m, transitions=()) for key, m in rest.items()}})


def test_disable_never_returns_inside_a_state_callback(spec: Spec) -> None:
    found = nesting(spec, "VmbChannelDisable", "EvtVmbChannelOpened", Bounds(), SECONDS)
    assert found.hangs
    assert "VmbChannelEnable" in found.unless
    last = found.made.events[-1]
    assert (last.name, last.phase.value) == ("VmbChannelDisable", "call")
    told = Judge(spec, core(spec)).replay(found.made.events, End.STOPPED).findings
    assert [f.rule for f in told] == ["no-disable-in-state-callback"]


def test_disable_returns_inside_other_callbacks(spec: Spec) -> None:
    found = nesting(spec, "VmbChannelDisable", "EvtVmbChannelProcessingComplete", Bounds(), SECONDS)
    assert found.returned.answer is Answer.POSSIBLE
    assert not found.hangs


def test_no_time_leaves_everything_open(spec: Spec) -> None:
    settled = settle(spec, _breaking(spec, "quota-nonzero"), (), frozenset(), 0, "quota-nonzero")
    assert settled.answer is Answer.OPEN
    assert settled.why
