"""Promela models: SPIN agrees with the engines of the project, and the text is what it should be.

What runs SPIN needs ``spin`` and a C compiler; where they are not installed it is skipped.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from kmclcheck.cli.main import run
from kmclcheck.engines.promela import Bounds, Claims, UnsupportedError, read_trail, write
from kmclcheck.engines.promela.text import member
from kmclcheck.model.event import End, Phase
from kmclcheck.model.expr import FieldIn, Inside, Sometime
from kmclcheck.model.spec import Spec
from kmclcheck.speclang import bundled_spec, load_spec
from tests.support.promela_table import (
    INVARIANTS,
    ONE,
    RULES,
    TWO,
    InvariantCase,
    RuleCase,
    invariant_row,
    rule_row,
)
from tests.support.spin import missing

FILES = Path(__file__).resolve().parents[1] / "data" / "filehandle.kmcl"
CLEANUP = Claims(("channel-cleanup-disabled",))

with_spin = pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()} (Debian: spin, gcc)")


@pytest.fixture(scope="module")
def spec() -> Spec:
    return bundled_spec()


# SPIN's verdicts.


def test_enough_are_checked(spec: Spec) -> None:
    rules = {case.rule for case in RULES}
    invariants = {case.invariant for case in INVARIANTS}
    assert len(rules) >= 5
    assert rules <= set(spec.rules)
    assert len(invariants) >= 5
    assert invariants <= set(spec.invariants)
    for case in INVARIANTS:
        assert case.rule in spec.invariants[case.invariant].assuming


@with_spin
@pytest.mark.parametrize("case", RULES, ids=lambda case: case.rule)
def test_a_shortest_violation_of_a_rule(spec: Spec, case: RuleCase) -> None:
    """It is as long as that of the explicit-state search, and the monitor reports it at its last record."""
    row = rule_row(spec, case)
    assert row.run.violated
    assert row.run.steps == row.records == row.ours
    assert row.replayed == (case.rule,)
    assert row.last


@with_spin
@pytest.mark.parametrize("case", INVARIANTS, ids=lambda case: case.invariant)
def test_an_invariant_holds_and_needs_its_rule(spec: Spec, case: InvariantCase) -> None:
    row = invariant_row(spec, case)
    assert row.proof.result.value == "proved"
    assert not row.holds.violated
    assert row.refuted.result.value == "failed"
    assert row.fails.violated
    assert row.fails.steps == row.ours


@with_spin
@pytest.mark.parametrize(
    ("rule", "bounds"),
    [
        ("channel-cleanup-disabled", Bounds(2, 2, (("channel", 2),))),
        ("gpadl-deleted-by-close", Bounds(1, 3, (("gpadl", 2),))),
    ],
)
def test_more_objects_of_a_kind(spec: Spec, rule: str, bounds: Bounds) -> None:
    assert rule_row(spec, RuleCase(rule, bounds, "")).agrees


@with_spin
def test_another_specification() -> None:
    """Whether a closed file shows its callback is open: that of a file that is not open is never seen."""
    row = rule_row(load_spec([FILES]), RuleCase("file-no-double-close", replace(TWO, unseen=True), ""))
    assert row.agrees


# The text.


def test_the_head_says_what_is_checked_and_what_is_kept(spec: Spec) -> None:
    model = write(spec, CLEANUP, TWO)
    head = " ".join(model.text.partition("*/")[0].replace("\n *", " ").split())
    assert model.monitored == CLEANUP.rules
    assert f"Checked: rule {CLEANUP.rules[0]}. {spec.rules[CLEANUP.rules[0]].statement}" in head
    assert "2 threads, 3 calls inside one another" in head
    assert "channel-no-use-after-cleanup" in model.assumed
    for rule in model.assumed:
        assert f"{rule}: {spec.rules[rule].statement}" in head


def test_only_the_cone_is_in_the_model(spec: Spec) -> None:
    """What decides whether a channel is Disabled: its birth, its life, and nothing of packets."""
    model = write(spec, CLEANUP, TWO)
    life = spec.machines["channel", "life"]
    moving = {t.event[0] for t in life.transitions if t.targets and not t.observe}
    allocated = {b.event[0] for b in spec.kinds["channel"].births if spec.events[b.event[0]].documented}
    documented = {name for name in moving if spec.events[name].documented}
    assert set(model.calls) == documented | allocated
    assert "packet" not in re.sub(r"/\*.*?\*/", "", model.text, flags=re.DOTALL)
    for value in spec.kinds["channel"].enums["life"].values:
        assert f"#define channel_life_{value} " in model.text


def test_every_record_is_one_step(spec: Spec) -> None:
    model = write(spec, CLEANUP, TWO)
    process = model.text.partition("proctype")[2]
    assert process.count(":: d_step {") == process.count("printf(") == model.steps
    for name in model.calls:
        decl = spec.events[name]
        for phase in (decl.entry, decl.exit):
            assert f'printf("{phase.value} {name} ' in process


def test_the_cleanup_of_a_channel(spec: Spec) -> None:
    """The step that the rule is about, as one would write it by hand."""
    model = write(spec, CLEANUP, ONE)
    step = model.text.partition("/* VmbChannelCleanup.call */\n")[2].partition("\n    }")[0]
    assert [line.strip() for line in step.splitlines()] == [
        ":: d_step {",
        "may_call &&",
        "channel[0].known &&  /* there is such a channel */",
        "!only(channel[0].life, channel_life_Freed)  /* channel-no-use-after-cleanup */",
        "->",
        'printf("call VmbChannelCleanup Channel=0x1010 irql=0 tid=0x%x\\n", 16 + 4 * _pid);',
        "assert(may_be(channel[0].life, channel_life_Disabled));  /* channel-cleanup-disabled */",
        "channel[0].life = channel_life_Freed;",
        "enter(VmbChannelCleanup)",
    ]


def test_the_text_is_always_the_same(spec: Spec) -> None:
    claims = Claims(("gpadl-deleted-by-close",), ("gpadl-not-before-open",))
    assert write(spec, claims, TWO).text == write(bundled_spec(), claims, TWO).text


def test_rules_are_added_and_left_out(spec: Spec) -> None:
    model = write(spec, replace(CLEANUP, without=("enable-when-disabled",), assume=("sync-irql",)), TWO)
    assert "sync-irql" in model.assumed
    assert "enable-when-disabled" not in model.assumed
    assert "enable-when-disabled" not in model.text


def test_an_invariant_brings_the_rules_that_it_names(spec: Spec) -> None:
    invariant = spec.invariants["handed-over-untouched"]
    model = write(spec, Claims(invariants=(invariant.id,)), TWO)
    assert set(model.assumed) == set(invariant.assuming)
    assert not model.monitored
    assert f"Checked: invariant {invariant.id}." in model.text


def test_calls_that_mean_the_same_are_one(spec: Spec) -> None:
    model = write(spec, Claims(invariants=("handed-over-untouched",)), TWO)
    others = {other for names in model.calls.values() for other in names}
    assert {"VmbPacketSetPointer", "VmbPacketGetPointer", "VmbPacketGetChannel"} & others
    assert not others & set(model.calls)


def test_words_of_promela_are_no_names() -> None:
    assert member("run") == "run_"
    assert member("life") == "life"


@pytest.mark.parametrize(
    ("rule", "construct"),
    [
        ("etw-completion-has-request", r"transaction\.answers, a counter"),
        ("etw-fetched-within-max", "EtwFetchRoundEnded, a record that the library writes by itself"),
    ],
)
def test_what_cannot_be_expressed_is_named(spec: Spec, rule: str, construct: str) -> None:
    with pytest.raises(UnsupportedError, match=rf"rule {rule}: .*{construct}"):
        write(spec, Claims((rule,)), ONE)


def test_a_moment_is_about_objects(spec: Spec) -> None:
    """What a record carries, or who is inside of what, is not kept from one record to the next."""
    rule = spec.rules["channel-cleaned-up"]
    check = replace(
        spec.rules["channel-cleanup-disabled"].checks[0], require=Sometime(Inside(("VmbChannelPause",)))
    )
    odd = replace(spec, rules={rule.id: replace(rule, checks=(check,))})
    with pytest.raises(UnsupportedError, match=rf"rule {rule.id}: .*sometime"):
        write(odd, Claims((rule.id,)), ONE)


def test_a_rule_that_would_be_kept_but_cannot_be_expressed_is_noted(spec: Spec) -> None:
    check = replace(
        spec.rules["channel-cleanup-disabled"].checks[0], require=Sometime(Inside(("VmbChannelPause",)))
    )
    odd = replace(spec.rules["enable-when-disabled"], checks=(check,))
    model = write(replace(spec, rules={**spec.rules, odd.id: odd}), CLEANUP, ONE)
    assert odd.id not in model.assumed
    assert re.search(rf"Not kept, because a model cannot express it: {odd.id}\.", model.text)


def test_callbacks_are_seen_unless_asked_otherwise(spec: Spec) -> None:
    claims = Claims(("no-disable-in-state-callback",))
    slot = spec.events["EvtVmbChannelOpened"].recorded_when
    assert isinstance(slot, FieldIn)
    assert f"channel_{slot.field}_Filled" not in write(spec, claims, ONE).text
    assert f"channel_{slot.field}_Filled" in write(spec, claims, replace(ONE, unseen=True)).text


# Trails.


def test_a_printed_trail_is_read(spec: Spec) -> None:
    text = (
        "call VmbChannelAllocate IsServer=1 irql=0 tid=0x10\n"
        "      ret VmbChannelAllocate Channel=0x1010 status=0 irql=0 tid=0x14\n"
        "%end unloaded\n"
        "spin: model.pml:9, Error: assertion violated\n"
        "  2:    proc  1 (Thread:1) model.pml:12 (state 17) <valid end state>\n"
    )
    trail = read_trail(spec, text)
    assert trail.end is End.UNLOADED
    call, ret = trail.events
    assert (call.name, call.phase, call.args, call.status) == (
        "VmbChannelAllocate", Phase.CALL, {"IsServer": 1}, None,
    )  # fmt: skip
    assert (ret.phase, ret.args, ret.status, ret.tid) == (Phase.RET, {"Channel": 0x1010}, 0, 0x14)
    with pytest.raises(ValueError, match="VmbNever"):
        read_trail(spec, "call VmbNever irql=0 tid=0x10\n")


# The command.


def test_the_command_writes_a_model(spec: Spec, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "model.pml"
    command = ["export", "promela", "--rule", CLEANUP.rules[0], "--bound", "threads=1"]
    assert run([*command, "-o", str(target)]) == 0
    assert target.read_text(encoding="utf-8") == write(spec, CLEANUP, ONE).text
    assert capsys.readouterr().err.startswith(f"{target}: ")
    assert run(command) == 0
    assert capsys.readouterr().out == target.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name a rule with --rule, or an invariant with --invariant"),
        (["--rule", "channel-cleanup-disable"], "did you mean"),
        (["--invariant", "disposed-while-hold"], "did you mean"),
        (["--rule", "channel-cleaned-up", "--without", "nothing"], "unknown rule 'nothing'"),
        (["--rule", "channel-cleaned-up", "--bound", "threads=0"], "--bound threads=0"),
        (["--rule", "etw-completion-has-request"], "rule etw-completion-has-request: it needs"),
    ],
)
def test_what_the_command_refuses(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "promela", *words]) == 2
    assert message in capsys.readouterr().err
