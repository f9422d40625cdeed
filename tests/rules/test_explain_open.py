"""What traces may have missed: against what is known to be missing, and against shortest counterexamples."""

from __future__ import annotations

import pytest

from kmclcheck.engines.explore.finder import find
from kmclcheck.engines.filling import Line, Outcome, Result
from kmclcheck.engines.question import Limits, Question
from kmclcheck.engines.shortest import Judge, answer, judged_with
from kmclcheck.engines.symbolic.bounds import UnsupportedError
from kmclcheck.model.event import End, Event, Loss, Start
from kmclcheck.model.finding import TraceResult, VerdictKind
from kmclcheck.traces import read_text
from kmclcheck.traces.formats.kmtrace_writer import format_event, write_header
from tests.support.filling_table import Case, ask, checked, explainer, faulty, sample, spec
from tests.support.manipulate import columns, cut, no_irql, no_status, text, without

CLIENT = "scenario-02-client-open"


def as_text(outcome: Outcome) -> str:
    """Return a filled slice as a complete trace, for a check that knows nothing of fillings."""
    header = f"%kmtrace 1\n%start known\n%end {outcome.end.value}\n%records all\n"
    return header + "\n".join(format_event(line.event) for line in outcome.lines) + "\n"


def rules_of(result: TraceResult) -> list[str]:
    return [finding.rule for finding in result.findings]


def ask_about(case: Case, broken: bool) -> Outcome:
    row = ask(case, (broken,))
    assert row.error == ""
    outcome = row.broken if broken else row.kept
    assert outcome is not None
    return outcome


def known_lines(lines: tuple[Line, ...]) -> list[int]:
    return [line.origin.line for line in lines if line.origin is not None]


# Events cut out of a conforming trace: they are a filling that keeps everything.

CUTS = [
    (CLIENT, 1, 1, True, "enable-when-disabled"),
    (CLIENT, 16, 2, False, "lg-opened-needs-enable"),
    (CLIENT, 18, 2, False, "lg-started-after-opened"),
    (CLIENT, 16, 4, True, "lg-started-after-opened"),
    (CLIENT, 40, 4, True, "incoming-disposed"),
    ("packets-reuse", 51, 3, True, "packet-autofree-handoff"),
    ("scenario-02-both-endpoints", 56, 4, True, "packet-autofree-handoff"),
    ("scenario-04-peer-closes-client", 42, 2, True, "incoming-pending-must-return"),
    ("scenario-05-restore", 20, 4, True, "restore-packet-protocol"),
]


@pytest.mark.parametrize(("name", "at", "count", "marked", "rule"), CUTS)
def test_what_was_cut_out_keeps_the_rule(name: str, at: int, count: int, marked: bool, rule: str) -> None:
    whole = sample(name)
    trace = without(whole, range(at, at + count), marked)
    verdicts = {v.rule: v.kind for v in checked(trace).verdicts}
    assert verdicts[rule] is VerdictKind.OPEN
    outcome = ask_about(Case(name, "", trace, rule), broken=False)
    assert outcome.result is Result.FOUND
    assert outcome.inserted <= count
    again = checked(as_text(outcome))
    assert rules_of(again) == []
    assert again.lost == 0


def test_as_many_are_needed_as_were_cut_out() -> None:
    # Without VmbChannelEnable and its return nothing opens: one record alone cannot stand for both.
    trace = without(sample(CLIENT), range(16, 18), marked=True)
    names = [e.name for e in sample(CLIENT).events[16:18]]
    assert names == ["VmbChannelEnable", "VmbChannelEnable"]
    outcome = ask_about(Case(CLIENT, "", trace, "lg-opened-needs-enable"), broken=False)
    filled = [line.event for line in outcome.lines if line.origin is None]
    assert [(e.name, e.phase.value) for e in filled] == [("VmbChannelEnable", "call")]


# Events cut out of a faulty trace, so that the fault is in doubt: they are a filling that breaks the rule.

FAULTY = (
    "wrong-cleanup-while-enabled", "wrong-start-before-enable", "wrong-double-complete",
    "wrong-complete-after-defer", "wrong-free-in-flight", "wrong-use-after-automatic-free",
)  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
def test_what_was_cut_out_breaks_the_rule(name: str) -> None:
    (case,) = faulty((name,))
    assert case.broken is not None
    outcome = ask_about(case, broken=True)
    assert outcome.result is Result.FOUND
    assert outcome.inserted <= case.broken
    again = checked(as_text(outcome))
    assert rules_of(again) == [case.rule]
    assert outcome.finding is not None
    assert outcome.finding.rule == case.rule
    last = again.findings[0].event
    assert last is not None
    assert last.seq == len(outcome.lines)


# The last record of a shortest counterexample by itself: what is missing is the rest of it, and no less.

SHORT = (
    "channel-cleanup-disabled", "save-continue-after-begin", "packet-initialize-size", "role-client-only",
    "incoming-complete-once", "gpadl-delete-live", "init-before-enable", "lg-opened-needs-enable",
)  # fmt: skip


@pytest.mark.parametrize("rule", SHORT)
def test_a_breaking_filling_is_a_shortest_counterexample(rule: str) -> None:
    # A driver may have registered no callback, and then none shows.
    judge = Judge(spec(), judged_with(spec(), rule))
    found = answer(spec(), find, Question(rule), judge, Limits(unseen=True), 60.0).found
    assert found is not None
    assert found.end is End.STOPPED
    trace = text(found.events[-1:], Start.MIDLIFE, End.STOPPED)
    assert {v.rule: v.kind for v in checked(trace).verdicts}[rule] is VerdictKind.OPEN
    outcome = ask_about(Case("", "", trace, rule), broken=True)
    assert outcome.result is Result.FOUND
    assert outcome.smallest
    assert outcome.inserted == len(found.events) - 1


# What a filling is.


def test_known_records_stand_as_they_are() -> None:
    trace = cut(sample(CLIENT), 20)
    originals = {e.line: e for e in read_text(trace) if isinstance(e, Event)}
    outcome = ask_about(Case(CLIENT, "", trace, "gpadl-create-when-open"), broken=False)
    assert outcome.inserted > 0
    lines = known_lines(outcome.lines)
    assert lines == sorted(lines)
    for line in outcome.lines:
        if line.origin is not None:
            told = originals[line.origin.line]
            assert (line.event.name, line.event.phase, line.event.tid) == (told.name, told.phase, told.tid)
            assert told.args.items() <= line.event.args.items()
            assert told.status in (None, line.event.status)


def test_mid_life_fills_in_before_the_first_event_only() -> None:
    trace = cut(sample(CLIENT), 20)
    outcome = ask_about(Case(CLIENT, "", trace, "gpadl-create-when-open"), broken=False)
    filled = [line.origin is None for line in outcome.lines]
    assert filled == sorted(filled, reverse=True)


def test_no_more_than_was_lost() -> None:
    # One record is missing by its number, so nothing that takes two can have happened.
    whole = sample(CLIENT)
    case = Case(CLIENT, "", without(whole, [12], marked=False), "role-client-only", 34)
    marked = Case(CLIENT, "", without(whole, [12, 13], marked=True), "role-client-only", 34)
    row = ask(case, (True,))
    assert row.broken is not None
    assert (row.broken.result, row.broken.exhausted, row.broken.searched) == (Result.NONE, True, 1)
    # A second life of the handle as a server's takes a cleanup and an allocation, each with its return.
    other = ask_about(marked, broken=True)
    assert (other.result, other.inserted) == (Result.FOUND, 4)


def test_a_missing_value_is_found() -> None:
    case = Case(CLIENT, "", columns(sample(CLIENT), no_irql), "channel-allocate-at-passive")
    kept, broken = ask_about(case, False), ask_about(case, True)
    assert (kept.inserted, kept.lines[-1].event.irql) == (0, 0)
    assert broken.inserted == 0
    assert broken.lines[-1].event.irql in (1, 2)
    assert "irql" in broken.lines[-1].added


def test_a_missing_status_is_found() -> None:
    case = Case(CLIENT, "", columns(sample(CLIENT), no_status), "lg-opened-needs-enable")
    broken = ask_about(case, True)
    (returned,) = [
        line.event
        for line in broken.lines
        if line.event.name == "VmbChannelEnable" and line.event.phase.value == "ret"
    ]
    assert isinstance(returned.status, int)
    assert returned.status & 0x80000000


def test_the_end_of_a_stopped_trace() -> None:
    whole = sample(CLIENT)
    trace = text(whole.events[:20], Start.KNOWN, End.STOPPED)
    case = Case(CLIENT, "", trace, "channel-cleaned-up")
    broken, kept = ask_about(case, True), ask_about(case, False)
    assert (broken.result, broken.inserted, broken.end) == (Result.FOUND, 0, End.UNLOADED)
    assert kept.result is Result.FOUND
    assert "VmbChannelCleanup" in {line.event.name for line in kept.lines if line.origin is None}
    assert rules_of(checked(as_text(kept))) == []


# What is not claimed.


def test_callbacks_that_never_show_stand_in_the_way() -> None:
    trace = sample("scenario-08-no-callbacks-registered")
    case = Case("", "", text(trace.events, trace.start, trace.end), "lg-process-packet-window")
    outcome = ask_about(case, False)
    assert outcome.result is Result.UNDECIDED
    assert "EvtVmbChannelStarted" in outcome.why


def test_time_that_is_used_up_is_no_answer() -> None:
    one = explainer(cut(sample(CLIENT), 20), "lg-disable-returns-disabled", seconds=0.0)
    outcome = one.ask(one.record.places[0], True)
    assert (outcome.result, outcome.why) == (Result.UNDECIDED, "the time was used up")


def test_records_that_cannot_be_are_no_proof() -> None:
    # Somebody else made the channel, so no record of its birth can be missing.
    trace = sample("wrong-scenario-10-hafl2")
    case = Case("", "", text(trace.events, trace.start, trace.end), "channel-no-use-after-cleanup")
    assert ask_about(case, False).result is Result.UNDECIDED


def test_a_certain_fault_is_not_filled_around() -> None:
    trace = sample("wrong-mapped-twice")
    row = ask(Case("", "", text(trace.events, trace.start, trace.end), "gpadl-unmap-mapped"))
    assert row.error == "gpadl-single-mapping is broken"


def test_an_unknown_function_is_named() -> None:
    whole = sample(CLIENT)
    lines = [format_event(e) for e in whole.events[:18]]
    handle = f"0x{whole.events[1].args['Channel']:x}"
    lines.insert(3, f"- - 0 4.3e8 0 call VmbNobodyKnows Channel={handle}")
    header = write_header(read_text("%kmtrace 1\n%start known\n%end stopped\n%records all\n").info)
    one = explainer(header + "\n".join(lines) + "\n", "enable-when-disabled")
    with pytest.raises(UnsupportedError, match="VmbNobodyKnows"):
        one.ask(one.record.places[0], False)


def test_losses_are_read_with_their_number() -> None:
    (loss,) = [x for x in read_text(without(sample(CLIENT), [12], marked=False)) if isinstance(x, Loss)]
    assert loss.count == 1
