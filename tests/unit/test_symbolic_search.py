"""Shortest counterexamples by the symbolic engine, replayed in the monitor."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kmclcheck.engines.symbolic import Bounds, NoneWithin, Outcome, OutOfBudgetError, counterexample, shortest
from kmclcheck.model.event import End, Event, Start, TraceInfo
from kmclcheck.model.spec import Spec
from kmclcheck.semantics.index import build_index
from kmclcheck.semantics.stepper import Stepper
from kmclcheck.speclang.loader import bundled_spec
from tests.support.symbolic_replay import Replayer

LENGTHS = {
    "channel-cleanup-disabled": 4,
    "channel-cleaned-up": 2,
    "incoming-complete-once": 5,
    "incoming-no-complete-while-requeued": 12,
    "packet-freed-eventually": 6,
    "packet-initialize-size": 5,
    "packet-free-only-allocated": 5,
    "send-within-max-size": 8,
    "gpadl-deleted-by-close": 9,
    "restore-packet-protocol": 5,
    "sync-not-in-started": 7,
    "lg-closed-when-drained": 7,
    "lg-pause-returns-quiet": 5,
    "lg-pending-redelivered": 8,
}


@pytest.fixture(scope="module")
def spec() -> Spec:
    return bundled_spec()


@pytest.fixture(scope="module")
def replay(spec: Spec) -> Replayer:
    return Replayer(spec)


@pytest.mark.parametrize("rule", sorted(LENGTHS))
def test_the_shortest_records_break_the_rule_alone(rule: str, spec: Spec, replay: Replayer) -> None:
    outcome = counterexample(spec, rule, Bounds(), 60, replay)
    assert outcome.found is not None, outcome.why
    assert len(outcome.found.events) == LENGTHS[rule]
    assert replay(outcome.found.events, outcome.found.end) == {rule}
    if outcome.found.end is End.STOPPED:
        # Nothing is reported before the last record.
        assert not replay(outcome.found.events[:-1], End.STOPPED)
    _states_agree(spec, outcome)


def _states_agree(spec: Spec, outcome: Outcome) -> None:
    """The fields after every record but the last are those of the stepper."""
    assert outcome.found is not None
    info = TraceInfo(start=Start.KNOWN, end=outcome.found.end, records_all=True)
    stepper = Stepper(spec, build_index(spec, frozenset(spec.rules)), info)
    steps = list(zip(outcome.found.events, outcome.found.states, strict=True))
    for event, state in steps[:-1]:
        stepper.feed(event)
        for name, fields in state.items():
            kind, handle = name.split()
            same = [t for t in stepper.world.things.values() if t.kind.name == kind]
            thing = next(t for t in same if t.handle == int(handle, 16))
            for field, text in fields.items():
                possible = thing.fields.get(field)
                if possible is not None and not possible.missing:
                    assert set(text.split(" or ")) == possible.values, (event, name, field)


def test_calls_inside_calls_are_shorter_where_they_may_be(spec: Spec, replay: Replayer) -> None:
    apart = counterexample(spec, "packet-send-when-ready", Bounds(), 60, replay)
    inside = counterexample(spec, "packet-send-when-ready", Bounds(nested=True), 60, replay)
    assert apart.found is not None
    assert inside.found is not None
    assert len(apart.found.events) == len(inside.found.events) + 1


def test_out_of_time_is_not_proved(spec: Spec, replay: Replayer) -> None:
    with pytest.raises(OutOfBudgetError) as caught:
        shortest(spec, "channel-cleanup-disabled", frozenset(), Bounds(), 0)
    assert caught.value.proved == 0
    outcome = counterexample(spec, "channel-cleanup-disabled", Bounds(), 0, replay)
    assert outcome.found is None
    assert outcome.proved == 0
    assert outcome.why


def test_a_rule_that_another_one_implies(spec: Spec) -> None:
    rule = spec.rules["quota-nonzero"]
    twin = replace(rule, id="twin")
    both = replace(spec, rules={**spec.rules, "twin": twin})
    bounds = Bounds(length=6)
    assert isinstance(shortest(both, "quota-nonzero", frozenset({"twin"}), bounds, 60), NoneWithin)
    yielding = replace(twin, yields_to=("quota-nonzero",))
    found = shortest(
        replace(spec, rules={**spec.rules, "twin": yielding}),
        "quota-nonzero",
        frozenset({"twin"}),
        bounds,
        60,
    )
    assert not isinstance(found, NoneWithin)
    assert len(found.events) == 3


def test_the_monitor_has_the_last_word(spec: Spec) -> None:
    def deaf(events: object, end: End) -> frozenset[str]:
        return frozenset()

    outcome = counterexample(spec, "quota-nonzero", Bounds(), 60, deaf)
    assert outcome.found is None
    assert "nothing" in outcome.why


def test_records_are_complete(spec: Spec, replay: Replayer) -> None:
    outcome = counterexample(spec, "max-packet-size-nonzero", Bounds(), 60, replay)
    assert outcome.found is not None
    last: Event = outcome.found.events[-1]
    assert last.args["PacketSize"] == 0
    assert last.irql == 0
    assert last.tid is not None
    assert [e.seq for e in outcome.found.events] == [1, 2, 3]
