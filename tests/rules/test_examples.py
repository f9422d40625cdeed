"""Every example of the bundled specification does what its rule says of it."""

from __future__ import annotations

import pytest

from kmclcheck.engines.monitor import Options
from kmclcheck.engines.replay import check
from kmclcheck.model.event import End, Start, TraceInfo
from kmclcheck.model.finding import TraceResult, Verdict, VerdictKind
from kmclcheck.model.spec import Example, Profile, Rule
from kmclcheck.speclang import bundled_spec
from kmclcheck.traces import read_text

SPEC = bundled_spec()

RULES = [pytest.param(rule, id=rule.id) for rule in SPEC.rules.values()]


def _examples(passes: bool) -> list[object]:
    """Every example of one sort, named by its rule and its place among the rule's examples of that sort."""
    return [
        pytest.param(rule, example, id=f"{rule.id}-{number}")
        for rule in SPEC.rules.values()
        for number, example in enumerate((e for e in rule.examples if e.passes is passes), 1)
    ]


def _check(example: Example) -> TraceResult:
    defaults = TraceInfo(start=Start.KNOWN, end=End.STOPPED, records_all=True)
    return check(SPEC, Options(), read_text(example.text, defaults=defaults))


def _verdict(result: TraceResult, rule: Rule) -> Verdict:
    return next(verdict for verdict in result.verdicts if verdict.rule == rule.id)


def _lines(example: Example) -> list[tuple[int, str]]:
    lines = enumerate(example.text.splitlines(), 1)
    return [(number, line) for number, line in lines if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("rule", RULES)
def test_every_core_rule_has_examples_of_both_sorts(rule: Rule) -> None:
    if rule.profile is Profile.CORE:
        assert {example.passes for example in rule.examples} == {True, False}


@pytest.mark.parametrize("rule", RULES)
def test_no_example_is_given_twice(rule: Rule) -> None:
    texts = [example.text for example in rule.examples]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize(("rule", "example"), _examples(passes=True))
def test_passing_example_exercises_its_rule_and_breaks_none(rule: Rule, example: Example) -> None:
    result = _check(example)
    assert result.problems == []
    assert result.unknown_names == {}
    assert [finding.rule for finding in result.findings] == []
    verdict = _verdict(result, rule)
    assert (verdict.kind, verdict.open) == (VerdictKind.PASS, 0), verdict.reason
    assert verdict.decided >= 1


@pytest.mark.parametrize(("rule", "example"), _examples(passes=False))
def test_failing_example_breaks_its_rule_at_the_last_event_and_no_other(rule: Rule, example: Example) -> None:
    result = _check(example)
    assert result.problems == []
    assert result.unknown_names == {}
    assert [finding.rule for finding in result.findings] == [rule.id]
    (finding,) = result.findings
    assert finding.repeats == 0
    assert finding.slice is not None
    assert finding.slice.replayed, finding.slice.note
    assert _verdict(result, rule).kind is VerdictKind.FAIL
    number, last = _lines(example)[-1]
    if last.startswith("%end"):
        assert finding.event is None or finding.event.line == _lines(example)[-2][0]
    else:
        assert finding.event is not None
        assert finding.event.line == number


@pytest.mark.parametrize(("rule", "example"), [*_examples(passes=True), *_examples(passes=False)])
def test_example_is_decided_completely(rule: Rule, example: Example) -> None:
    """An example shows everything its rules look at, so only what is due at an end stays open."""
    open_rules = {verdict.rule for verdict in _check(example).verdicts if verdict.open}
    assert open_rules <= {r.id for r in SPEC.rules.values() if any(c.event is None for c in r.checks)}
