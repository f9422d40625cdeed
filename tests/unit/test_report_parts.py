"""Fingerprints, counts and words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmclcheck.model.event import Phase
from kmclcheck.model.finding import HistoryStep, ObjectRef, Slice, Verdict, VerdictKind
from kmclcheck.report import fingerprint
from kmclcheck.report.describe import sorted_findings, time_text
from kmclcheck.report.escape import encodable, safe
from kmclcheck.report.fingerprint import abstract_state
from kmclcheck.report.story import change_text, story
from kmclcheck.report.summary import count, open_groups
from tests.unit.report_samples import event, make_finding, make_spec, make_trace

SPEC = make_spec()


def test_fingerprint_does_not_depend_on_place_handle_or_unrelated_fields() -> None:
    one, two = make_finding(), make_finding()
    fault = event(77, "VmbChannelCleanup", time=1)
    two.object = ObjectRef("channel", 0x10, 5)
    two.event = fault
    two.history = (
        HistoryStep(
            event(5, "VmbChannelEnable"), {"life": "Disabled"}, {"life": "Enabled", "window": "false"}
        ),
        HistoryStep(fault, {}, {}),
    )
    assert fingerprint(one, SPEC) == fingerprint(two, SPEC)
    assert abstract_state(two, SPEC) == "life=Enabled"


def test_fingerprint_depends_on_rule_state_and_event() -> None:
    base = make_finding()
    rule, state, where, kind = (make_finding() for _ in range(4))
    rule.rule = "channel-irql"
    state.history = ()
    assert base.event is not None
    where.event = replace(base.event, phase=Phase.RET)
    kind.object = ObjectRef("packet", 1, 1)
    prints = {fingerprint(f, SPEC) for f in (base, rule, state, where, kind)}
    assert len(prints) == 5
    assert all(len(p) == 16 for p in prints)


def test_counts_take_the_worst_verdict_of_a_rule() -> None:
    one, two = make_trace("a"), make_trace("b")
    two.verdicts = [Verdict("channel-idle", VerdictKind.PASS, 5, 0, "")]
    two.findings = []
    counts = count([one, two], SPEC)
    assert (counts.rules, counts.exercised, counts.failed, counts.open, counts.passed) == (4, 3, 2, 1, 1)
    assert (counts.findings, counts.errors, counts.warnings) == (2, 1, 1)
    two.lost = None
    assert count([one, two], SPEC).lost is None


def test_open_rules_are_grouped_by_reason() -> None:
    groups = open_groups([make_trace("a"), make_trace("b")])
    assert [(g.reason, g.rules, g.places) for g in groups] == [("no IRQL in the trace", ("channel-irql",), 8)]


def test_findings_at_the_end_come_last() -> None:
    assert [f.event is None for f in sorted_findings(make_trace())] == [False, True]


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "+0 ns"),
        (999, "+999 ns"),
        (1500, "+1.500 us"),
        (12_481_000, "+12.481 ms"),
        (61_000_000_000, "+61.000 s"),
    ],
)
def test_time_text(time: int, text: str) -> None:
    assert time_text(time) == text


@given(st.text())
def test_safe_text_is_printable_and_encodable(text: str) -> None:
    assert safe(text).isprintable()
    for encoding in ("cp1252", "ascii", "no-such-encoding", None):
        encodable(safe(text), encoding)


def test_a_birth_tells_the_life_of_the_object_and_no_other_first_value() -> None:
    born = change_text({}, {"life": "Disabled", "window": "false"}, "life")
    assert born == "life: Disabled"
    later = change_text(
        {"life": "Disabled", "window": "false"}, {"life": "Enabled", "window": "false"}, "life"
    )
    assert later == "life: Disabled -> Enabled"
    assert change_text({"window": "true"}, {}, "life") == "window: true -> unset"


def test_a_story_is_shortened_from_its_beginning() -> None:
    finding = make_finding()
    events = tuple(event(n, "VmbChannelStart") for n in range(1, 101))
    finding.slice = Slice(events, replayed=True, reduced=False)
    lines = story(finding, SPEC)
    # 100 events and that of the finding, of which 60 are shown.
    assert lines[0].strip() == ": 41 earlier events"
    assert lines[1].split()[0] == "42"
    assert lines[-1].endswith("^ requires Disabled")
