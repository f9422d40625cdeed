"""``kmclcheck counterexample``: the shortest trace that breaks a rule, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec

import click

from kmclcheck.cli.console import ColourMode, complain, say, wants_colour
from kmclcheck.cli.exitcodes import ExitCode
from kmclcheck.cli.finders import NAMES, bounds_of, finder
from kmclcheck.cli.limits import BOUND_HELP, read_limits
from kmclcheck.cli.nearest import did_you_mean
from kmclcheck.cli.specs import load_specs
from kmclcheck.cli.stories import as_itf, write
from kmclcheck.cli.writing import text_output
from kmclcheck.diagrams.lanes import Fault, lane_picture, rule_fields
from kmclcheck.engines.question import Finder, Limits, Question, Records
from kmclcheck.engines.shortest import Judge, Outcome, answer, core, info, judged_with
from kmclcheck.engines.story import steps
from kmclcheck.model.event import End, Event
from kmclcheck.model.spec import Spec
from kmclcheck.report.describe import headline, plural
from kmclcheck.report.paint import Painter
from kmclcheck.traces.formats.kmtrace_writer import format_event, write_header

_EPILOG = "Exit codes: 0 found, 2 usage or input, 3 not found within the limits."


@dataclass(frozen=True, slots=True)
class _Search:
    """What is asked of every rule of a run."""

    spec: Spec
    engine: str
    find: Finder
    limits: Limits
    seconds: float

    def judge(self, rule: str) -> Judge:
        return Judge(self.spec, judged_with(self.spec, rule))

    def answer(self, question: Question) -> Outcome:
        judge = self.judge(question.rule)
        return answer(self.spec, self.find, question, judge, self.limits, self.seconds)


@click.command(
    "counterexample", short_help="Find the shortest trace that breaks a rule and no other.", epilog=_EPILOG
)
@click.argument("rule", required=False)
@click.option("--all", "folder", metavar="DIR", help="Write one trace per core rule into DIR.")
@click.option("-o", "--output", metavar="FILE", help="Write the trace to FILE instead of telling it.")
@click.option(
    "--format", "format_", type=click.Choice(["text", "kmtrace", "json", "svg"]),
    help="text tells it, kmtrace is the trace itself, json has the states of every step (ITF), svg draws it. "
    "By default text, or with -o what the suffix says.",
)  # fmt: skip
@click.option(
    "--witness", is_flag=True, help="Find the shortest trace that exercises the rule and keeps all."
)
@click.option("--minimal-pair", is_flag=True, help="Find both, differing as little as possible.")
@click.option("--engine", type=click.Choice(NAMES), default="graph", show_default=True)
@click.option("--timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, metavar="SECONDS")
@click.option(
    "--bound", "bounds", multiple=True, metavar="NAME=N",
    help=BOUND_HELP,
)  # fmt: skip
@click.option("--unseen", is_flag=True, help="Accept traces whose callbacks are partly not recorded.")
@click.option("--spec", multiple=True, metavar="PATH", help="A specification instead of the bundled one.")
@click.option("--color", "colour", type=click.Choice([m.value for m in ColourMode]), default="auto")
def command(
    rule: str | None,
    folder: str | None,
    output: str | None,
    format_: str | None,
    witness: bool,
    minimal_pair: bool,
    engine: str,
    timeout: float,
    bounds: tuple[str, ...],
    unseen: bool,
    spec: tuple[str, ...],
    colour: str,
) -> int:
    """Find the shortest trace that breaks RULE and no other rule of the core, and tell it step by step.

    The trace is complete: it starts before the driver touched the library, and every call and callback is
    recorded. Of a rule for drivers it shows a library that keeps its guarantees, and the other way round.
    """
    specification = load_specs(spec)
    limits = replace(read_limits(bounds, specification), unseen=unseen)
    search = _Search(specification, engine, finder(engine), limits, timeout)
    if (rule is None) == (folder is None):
        raise click.UsageError("name a rule, or a folder for all of them with --all")
    if witness and minimal_pair:
        raise click.UsageError("--minimal-pair has a witness already; leave out --witness")
    if folder is not None:
        return _all(search, folder, witness)
    assert rule is not None
    if rule not in specification.rules:
        raise click.UsageError(f"unknown rule {rule!r}{did_you_mean(rule, specification.rules)}")
    found = [search.answer(Question(rule, witness=witness))]
    if minimal_pair and found[0].found is not None:
        found.append(search.answer(Question(rule, witness=True, near=found[0].found)))
    format_ = format_ or ("text" if output is None else _by_suffix(output))
    if len(found) > 1 and format_ != "text":
        raise click.UsageError("a pair is told as text only")
    return _one(search, found, output, format_, ColourMode(colour))


def _by_suffix(output: str) -> str:
    suffix = os.path.splitext(output)[1]
    return {".json": "json", ".svg": "svg"}.get(suffix, "kmtrace")


def _one(
    search: _Search, found: Sequence[Outcome], output: str | None, format_: str, mode: ColourMode
) -> int:
    last = found[-1]
    with text_output(output) as stream:
        for one in found:
            if one.found is None:
                break
            records = one.found
            if format_ == "kmtrace":
                stream.write(as_trace(records.events, records.end, _comments(search.spec, one)))
            elif format_ == "json":
                story = steps(search.spec, records.events, records.end)
                document = as_itf(search.spec, _title(one), story, records.end)
                stream.write(json.dumps(document, indent=1) + "\n")
            elif format_ == "svg":
                stream.write(_picture(search.spec, one, records))
            else:
                painter = Painter(stream, wants_colour(mode, stream))
                painter.line((_title(one), "bold"))
                finding = next(iter(one.replay.findings), None) if one.replay is not None else None
                write(
                    painter,
                    search.spec,
                    steps(search.spec, records.events, records.end),
                    records.end,
                    finding,
                )
                painter.line((_proof(search, one), "dim"))
                painter.line()
    if last.found is None:
        say(_not_found(search, last))
        return ExitCode.INCONCLUSIVE
    if output is not None:
        complain(f"{output}: {plural(len(last.found.events), 'event')}")
    return ExitCode.OK


def _picture(spec: Spec, one: Outcome, records: Records) -> str:
    finding = next(iter(one.replay.findings), None) if one.replay is not None else None
    fault = None
    if finding is not None:
        # Records are numbered by their lines.
        index = None if finding.event is None else finding.event.line - 1
        thing = f"{finding.object.kind} {finding.object.handle:#x}"
        fault = Fault(headline(finding, spec.rules[finding.rule]), index, thing)
    story = steps(spec, records.events, records.end)
    focus = rule_fields(spec.rules[one.question.rule])
    return lane_picture(spec, story, _title(one), fault=fault, end=records.end, focus=focus)


def _all(search: _Search, folder: str, witness: bool) -> int:
    """Write a trace for every rule of the core; tell which were not found."""
    os.makedirs(folder, exist_ok=True)
    missing = 0
    chosen = core(search.spec)
    for id in (id for id in search.spec.rules if id in chosen):
        one = search.answer(Question(id, witness=witness))
        if one.found is None:
            missing += 1
            say(_not_found(search, one))
            continue
        path = os.path.join(folder, f"{id}.kmtrace")
        with text_output(path) as stream:
            stream.write(as_trace(one.found.events, one.found.end, _comments(search.spec, one)))
        say(f"{path}: {plural(len(one.found.events), 'event')}, {one.seconds:.1f} s")
    return ExitCode.INCONCLUSIVE if missing else ExitCode.OK


def as_trace(events: Sequence[Event], end: End, comments: Sequence[str]) -> str:
    """Return a native trace that a check judges as the search did."""
    lines = [write_header(info(end)).rstrip("\n"), *(f"# {text}" for text in comments)]
    lines += [format_event(event) for event in events]
    return "\n".join(lines) + "\n"


def _comments(spec: Spec, one: Outcome) -> list[str]:
    rule = spec.rules[one.question.rule]
    return [_title(one), rule.statement]


def _title(one: Outcome) -> str:
    count = 0 if one.found is None else len(one.found.events)
    if one.question.near is not None:
        return f"{one.question.rule}: kept by {plural(count, 'record')}, as like the ones above as can be"
    what = "kept" if one.question.witness else "broken"
    return f"{one.question.rule}: {what} by {plural(count, 'record')}"


def _proof(search: _Search, one: Outcome) -> str:
    found = f"replayed; {one.seconds:.1f} s, engine {search.engine}"
    if one.question.near is not None:
        return found
    return f"no fewer records will do, with {search.limits.text()}; {found}"


def _not_found(search: _Search, one: Outcome) -> str:
    what = "witness" if one.question.witness else "counterexample"
    limits = search.limits.text()
    if not one.question.witness and find_spec("z3") is not None:
        from kmclcheck.engines.analysis import implying

        by = implying(search.spec, one.question.rule, bounds_of(search.limits), search.seconds)
        if by is not None:
            how = f"cannot be broken alone: whatever breaks it breaks {' or '.join(by)} too"
            return f"{one.question.rule}: {how if by else 'can never be broken'} (proved, with {limits})"
    if one.exhausted:
        return f"{one.question.rule}: there is no {what} of any length with {limits}"
    reason = f" ({one.why})" if one.why else ""
    return (
        f"{one.question.rule}: not found in {one.seconds:.1f} s{reason}; "
        f"there is no {what} with up to {plural(one.proved, 'record')}, with {limits}"
    )
