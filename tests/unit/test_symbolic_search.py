"""Shortest counterexamples by the symbolic engine, held against the explicit-state search and the stepper."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kmclcheck.engines.question import Bound, Finder, Limits, Question, Records
from kmclcheck.engines.shortest import Judge, answer, info, judged_with
from kmclcheck.engines.symbolic import Bounds, Found, NoneWithin, OutOfBudgetError, shortest
from kmclcheck.model.event import End, Event
from kmclcheck.model.spec import Spec
from kmclcheck.semantics.index import build_index
from kmclcheck.semantics.stepper import Stepper
from kmclcheck.speclang.loader import bundled_spec
from tests.support.counterexample_table import look

RULES = [
    "channel-cleanup-disabled", "channel-cleaned-up", "incoming-complete-once",
    "incoming-no-complete-while-requeued", "packet-freed-eventually", "packet-initialize-size",
    "packet-free-only-allocated", "gpadl-deleted-by-close", "restore-packet-protocol",
    "sync-not-in-started", "lg-closed-when-drained", "lg-process-packet-irql",
    "sync-completion-size-aligned", "save-packet-size-protocol",
]  # fmt: skip


@pytest.fixture(scope="module")
def spec() -> Spec:
    return bundled_spec()


@pytest.mark.parametrize("rule", RULES)
def test_both_engines_find_the_same_length(rule: str, spec: Spec) -> None:
    one, other = look(spec, rule, engine="z3"), look(spec, rule)
    assert one.found is not None, one.why
    assert other.found is not None, other.why
    assert len(one.found.events) == len(other.found.events)
    if one.found.end is End.STOPPED:
        # Nothing is reported before the last record.
        judge = Judge(spec, judged_with(spec, rule))
        assert not judge.replay(one.found.events[:-1], End.STOPPED, rule).findings
    _states_agree(spec, one.found)


def _states_agree(spec: Spec, records: Records) -> None:
    """The fields after every record but the last are those of the stepper."""
    found = records.origin
    assert isinstance(found, Found)
    stepper = Stepper(spec, build_index(spec, frozenset(spec.rules)), info(found.end))
    steps = list(zip(found.events, found.states, strict=True))
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


def test_traces_are_shorter_where_callbacks_may_go_unseen(spec: Spec) -> None:
    seen, unseen = Bounds(), Bounds(unseen=True)
    rule, others = "incoming-complete-once", frozenset({"lg-process-packet-window"})
    one, other = (shortest(spec, rule, others, bounds, 60) for bounds in (seen, unseen))
    assert isinstance(one, Found)
    assert isinstance(other, Found)
    assert len(other.events) < len(one.events)


def test_out_of_time_is_not_proved(spec: Spec) -> None:
    with pytest.raises(OutOfBudgetError) as caught:
        shortest(spec, "channel-cleanup-disabled", frozenset(), Bounds(), 0)
    assert caught.value.proved == 0
    outcome = look(spec, "channel-cleanup-disabled", seconds=0, engine="z3")
    assert outcome.found is None
    assert outcome.proved == 0


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
    judge = Judge(spec, judged_with(spec, "quota-nonzero"))

    def wrong(spec: Spec, question: Question, limits: Limits, seconds: float) -> Records | Bound:
        return Records(
            (Event("VmbChannelAllocate", spec.events["VmbChannelAllocate"].entry, {}),), End.STOPPED, 0
        )

    finder: Finder = wrong
    outcome = answer(spec, finder, Question("quota-nonzero"), judge, Limits(), 60)
    assert outcome.found is None
    assert "nothing" in outcome.why


def test_records_are_complete(spec: Spec) -> None:
    found = shortest(spec, "max-packet-size-nonzero", frozenset(), Bounds(), 60)
    assert isinstance(found, Found)
    last: Event = found.events[-1]
    assert last.args["PacketSize"] == 0
    assert last.irql == 0
    assert last.tid is not None
    assert [e.seq for e in found.events] == [1, 2, 3]
