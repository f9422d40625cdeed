"""``kmclcheck analyze``: what the rules of a specification come to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from kmclcheck.cli.exitcodes import ExitCode
from kmclcheck.cli.finders import bounds_of, finder
from kmclcheck.cli.solving import need_solver
from kmclcheck.cli.specs import load_specs
from kmclcheck.cli.writing import text_output
from kmclcheck.engines.question import Limits, Question
from kmclcheck.engines.shortest import Judge, answer, core, judged_with
from kmclcheck.model.event import Event
from kmclcheck.model.spec import Spec
from kmclcheck.report.describe import plural, record_words

if TYPE_CHECKING:
    from kmclcheck.engines.analysis import Settled
    from kmclcheck.engines.symbolic import Bounds


@dataclass(frozen=True, slots=True)
class Line:
    """One answer. ``good`` is ``None`` where the time did not do; ``facts`` are for other tools."""

    subject: str
    about: str
    answer: str
    good: bool | None
    seconds: float
    facts: dict[str, Any]
    events: tuple[Event, ...] = ()


_SUBJECTS = {
    "rules": "Each rule can be broken alone, or which others imply it.",
    "implications": "What a rule says of itself with implied_by follows, or does not.",
    "invariants": "Each invariant needs each of its rules.",
    "states": "Each value of each machine is reached while all rules are kept.",
    "nestings": "Calls inside callbacks that can never return.",
}


@click.command(
    "analyze",
    short_help="Tell what the rules come to: implications, states, calls that hang.",
    epilog="Exit codes: 0 everything answered, 1 something is not as the specification says, "
    "2 usage or input, 3 something stayed open.",
)
@click.argument("subjects", nargs=-1, metavar="[" + "|".join(_SUBJECTS) + "]...")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--output", "-o", metavar="FILE", help="Write to FILE instead of standard output.")
@click.option("--timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, metavar="SECONDS",
              help="The time for each question.")  # fmt: skip
@click.option("--bound", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="How many objects of each kind there may be, for each parent.")  # fmt: skip
@click.option("--verbose", "-v", is_flag=True, help="Show the records that answer a question.")
@click.option("--spec", multiple=True, metavar="PATH", help="A specification instead of the bundled one.")
def command(
    subjects: tuple[str, ...],
    format_: str,
    output: str | None,
    timeout: float,
    bound: int,
    verbose: bool,
    spec: tuple[str, ...],
) -> int:
    """Ask the solver about the rules themselves; without a subject, about all of them.

    rules: each can be broken alone, or which others imply it. implications: what implied_by says follows.
    invariants: each needs each of its rules. states: each value of each machine is reached while all rules
    are kept. nestings: calls inside callbacks that can never return.
    """
    for subject in subjects:
        if subject not in _SUBJECTS:
            raise click.UsageError(f"unknown subject {subject!r}; known are {', '.join(_SUBJECTS)}")
    need_solver("analyze")
    specification = load_specs(spec)
    bounds = bounds_of(Limits(depth=2, others=bound))
    found: list[Line] = []
    with text_output(output) as stream:
        for subject in subjects or _SUBJECTS:
            for line in answers(specification, subject, bounds, timeout):
                found.append(line)
                if format_ == "text":
                    stream.write("\n".join(_text(line, verbose)) + "\n")
        if format_ == "json":
            json.dump(_document(found), stream, indent=2)
            stream.write("\n")
        else:
            stream.write(_summary(found) + "\n")
    if any(line.good is False for line in found):
        return ExitCode.FINDINGS
    return ExitCode.INCONCLUSIVE if any(line.good is None for line in found) else ExitCode.OK


def answers(spec: Spec, subject: str, bounds: Bounds, seconds: float) -> Iterator[Line]:
    """Yield the answers about a subject, each within so many seconds."""
    yield from _ASKED[subject](spec, bounds, seconds)


def _text(line: Line, verbose: bool) -> list[str]:
    mark = {True: " ", False: "!", None: "?"}[line.good]
    lines = [f"{mark} {line.about}: {line.answer} ({line.seconds:.1f} s)"]
    if verbose:
        lines += [f"      {record_words(event)}" for event in line.events]
    return lines


def _summary(found: list[Line]) -> str:
    wrong = sum(line.good is False for line in found)
    undecided = sum(line.good is None for line in found)
    return (
        f"{plural(len(found), 'answer')}: {len(found) - wrong - undecided} as the specification says, "
        f"{wrong} not, {undecided} open"
    )


def _document(found: list[Line]) -> dict[str, Any]:
    return {
        "schema": "kmclcheck.analysis/1",
        "answers": [
            {
                "subject": line.subject,
                "about": line.about,
                "answer": line.answer,
                "good": line.good,
                "seconds": round(line.seconds, 3),
                **line.facts,
                "events": [record_words(event) for event in line.events],
            }
            for line in found
        ],
    }


def _rules(spec: Spec, bounds: Bounds, seconds: float) -> Iterator[Line]:
    from kmclcheck.engines.analysis import implying

    limits = Limits()
    for id in (id for id in spec.rules if id in core(spec)):
        judge = Judge(spec, judged_with(spec, id))
        one = answer(spec, finder("graph"), Question(id), judge, limits, seconds)
        if one.found is not None:
            count = len(one.found.events)
            text = f"can be broken alone, by {plural(count, 'record')}"
            yield Line("rules", id, text, True, one.seconds, {"length": count}, one.found.events)
            continue
        by = implying(spec, id, bounds, seconds)
        if by is None:
            text = f"not broken by up to {plural(one.proved, 'record')}"
            yield Line("rules", id, text, None, one.seconds, {"length": None})
        else:
            text = f"cannot be broken alone: {', '.join(by)} imply it" if by else "can never be broken"
            yield Line("rules", id, text, False, one.seconds, {"implied_by": list(by)})


def _implications(spec: Spec, bounds: Bounds, seconds: float) -> Iterator[Line]:
    from kmclcheck.engines.analysis import Answer, implications

    for one in implications(spec, bounds, seconds):
        about = f"{one.rule} from {', '.join(one.by)}"
        facts: dict[str, Any] = {"rule": one.rule, "by": list(one.by)}
        shown = one.together if one.together.answer is Answer.POSSIBLE else one.alone
        if one.alone.answer is Answer.NEVER:
            text, good = "follows", True
        elif one.together.answer is Answer.NEVER:
            more = [id for id in one.together.kept if id not in one.by]
            text, good = f"follows if these are kept too: {', '.join(more)}", True
            facts["besides"] = more
        elif one.together.answer is Answer.POSSIBLE:
            text, good = f"does not follow: {_shown(one.together)} keep all other rules and break it", False
        elif one.alone.answer is Answer.POSSIBLE:
            text, good = f"does not follow from these alone; with all other rules {_why(one.together)}", None
        else:
            text, good = _why(one.alone), None
        yield Line("implications", about, text, good, _seconds(one.alone, one.together), facts, shown.events)


def _invariants(spec: Spec, bounds: Bounds, seconds: float) -> Iterator[Line]:
    from kmclcheck.engines.analysis import needs
    from kmclcheck.engines.symbolic.prove import Result

    for one in needs(spec, bounds, seconds):
        about = f"{one.invariant} without {one.rule}"
        events = () if one.proof.trace is None else one.proof.trace.events
        good = {Result.FAILED: True, Result.PROVED: False, Result.OPEN: None}[one.proof.result]
        text = {
            Result.FAILED: f"fails, by {plural(len(events), 'record')}",
            Result.PROVED: "is proved all the same: the rule is not needed",
            Result.OPEN: f"open: {one.proof.why}",
        }[one.proof.result]
        facts = {"invariant": one.invariant, "rule": one.rule}
        yield Line("invariants", about, text, good, one.proof.seconds, facts, events)


def _states(spec: Spec, bounds: Bounds, seconds: float) -> Iterator[Line]:
    from kmclcheck.engines.analysis import Answer, values

    for one in values(spec, bounds, seconds):
        about = f"{one.kind}.{one.field} {one.value}"
        facts = {"field": f"{one.kind}.{one.field}", "value": one.value, "certain": one.certain}
        good = {Answer.POSSIBLE: True, Answer.NEVER: False, Answer.OPEN: None}[one.settled.answer]
        if one.absent and good is False:
            good = True
        text = {
            Answer.POSSIBLE: f"reached by {_shown(one.settled)}"
            + ("" if one.certain else ", as one of several that the documents leave open"),
            Answer.NEVER: "only of what is not there, as before a birth"
            if one.absent
            else "never reached while the rules are kept",
            Answer.OPEN: _why(one.settled),
        }[one.settled.answer]
        yield Line("states", about, text, good, one.settled.seconds, facts, one.settled.events)


def _nestings(spec: Spec, bounds: Bounds, seconds: float) -> Iterator[Line]:
    from kmclcheck.engines.analysis import Answer, nestings

    for one in nestings(spec, bounds, seconds):
        about = f"{one.call} inside {one.callback}"
        facts = {"call": one.call, "callback": one.callback, "hangs": one.hangs, "unless": list(one.unless)}
        good: bool | None = True
        if one.made.answer is not Answer.POSSIBLE:
            text = "cannot be made" if one.made.answer is Answer.NEVER else _why(one.made)
            good = True if one.made.answer is Answer.NEVER else None
        elif one.hangs:
            text = "can never return" + (f", unless meanwhile: {', '.join(one.unless)}" if one.unless else "")
        elif one.returned.answer is Answer.POSSIBLE:
            text = f"can return, after {_shown(one.returned)}"
        else:
            text, good = _why(one.returned), None
        events = one.returned.events or one.made.events
        yield Line("nestings", about, text, good, _seconds(one.made, one.returned), facts, events)


def _shown(settled: Settled) -> str:
    return plural(len(settled.events), "record")


def _why(settled: Settled) -> str:
    return f"open: {settled.why}"


def _seconds(one: Settled, other: Settled) -> float:
    return one.seconds if one is other else one.seconds + other.seconds


_ASKED: dict[str, Callable[[Spec, Bounds, float], Iterator[Line]]] = {
    "rules": _rules,
    "implications": _implications,
    "invariants": _invariants,
    "states": _states,
    "nestings": _nestings,
}
