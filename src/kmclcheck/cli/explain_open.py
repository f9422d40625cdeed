"""``kmclcheck explain-open``: what a trace may have missed where it leaves a rule open."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import click

from kmclcheck.cli.config import ConfiguredCommand
from kmclcheck.cli.console import ColourMode, complain, say, wants_colour
from kmclcheck.cli.exitcodes import ExitCode
from kmclcheck.cli.nearest import did_you_mean
from kmclcheck.cli.reading import reading, reading_options
from kmclcheck.cli.solving import need_solver
from kmclcheck.cli.specs import load_specs
from kmclcheck.cli.writing import check_writable, text_output
from kmclcheck.engines.openings import Place, Record, lines, record
from kmclcheck.engines.shortest import info, judged_with
from kmclcheck.model.finding import Verdict, VerdictKind
from kmclcheck.model.spec import Spec
from kmclcheck.report.describe import plural
from kmclcheck.report.paint import Painter
from kmclcheck.traces.base import TraceReader
from kmclcheck.traces.formats.kmtrace_writer import format_event, write_header

if TYPE_CHECKING:
    from kmclcheck.engines.filling import Explainer, Outcome

_PLACES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class _Answers:
    """What is shown: the place where the rule is open, and what became of each question."""

    spec: Spec
    path: str
    rule: str
    verdict: Verdict
    place: Place
    outcomes: tuple[Outcome, ...]


@click.command(
    "explain-open",
    cls=ConfiguredCommand,
    short_help="Tell what a trace may have missed where a rule is open.",
    epilog="Exit codes: 0 every question has an answer, or the rule is not open; 2 usage, input, or what "
    "cannot be asked; 3 not decided, or none found up to the bound.",
)
@click.argument("trace")
@click.argument("rule")
@click.option("--place", metavar="LINE|end", help="Where the rule is open; by default the first such place.")
@click.option("--kept", "only", flag_value="kept", help="Ask only whether the rule may have been kept.")
@click.option("--broken", "only", flag_value="broken", help="Ask only whether it may have been broken.")
@click.option(
    "--bound", type=click.IntRange(0, 32), default=8, show_default=True, metavar="N",
    help="Fill in up to N events.",
)  # fmt: skip
@click.option("--timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, metavar="SECONDS",
              help="The time for each question.")  # fmt: skip
@click.option("--format", "format_", type=click.Choice(["text", "kmtrace", "json"]),
              help="By default text, or with -o what the suffix says.")  # fmt: skip
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Write the result to FILE."
)
@click.option("--spec", multiple=True, metavar="PATH", help="A specification instead of the bundled one.")
@click.option("--color", "colour", type=click.Choice([m.value for m in ColourMode]), default="auto")
@reading_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    trace: str,
    rule: str,
    place: str | None,
    only: str | None,
    bound: int,
    timeout: float,
    format_: str | None,
    output: str | None,
    spec: tuple[str, ...],
    colour: str,
    **how: Any,
) -> int:
    """Tell whether RULE, which a check of TRACE leaves open, may have been kept or broken.

    Where events are missing, the fewest are looked for with which the rule is kept and nothing is broken, and
    with which it is broken and nothing else is. The part of the trace that matters is shown with them; it was
    checked as a complete trace. If none up to the bound keep the rule, something is probably wrong.
    """
    specification = load_specs(spec)
    if rule not in specification.rules:
        raise click.UsageError(f"unknown rule {rule!r}{did_you_mean(rule, specification.rules)}")
    if output is not None:
        check_writable(output)
    default = {"json": "json", "kmtrace": "kmtrace"}.get((output or "").rpartition(".")[2], "text")
    format_ = format_ or default
    if format_ == "kmtrace" and only is None:
        raise click.UsageError("a trace shows one filling; name it with --kept or --broken")
    filling = _engine()
    reader = reading(ctx.obj, **how).open(trace)
    judged = judged_with(specification, rule)
    found = record(specification, reader, rule, judged)
    verdict = found.verdict
    assert verdict is not None
    if verdict.kind is not VerdictKind.OPEN:
        say(_settled(verdict))
        return ExitCode.OK
    chosen = _chosen(found, verdict, place)
    explainer: Explainer = filling.Explainer(
        specification, found, rule, judged, reader.info.end, bound, timeout
    )
    outcomes = _ask(filling, explainer, chosen, reader, only)
    answers = _Answers(specification, trace, rule, verdict, chosen, outcomes)
    return _show(answers, found, format_, output, ColourMode(colour))


def _engine() -> Any:
    """Return the engine. Raises UsageError if Z3 is not installed."""
    need_solver("explain-open")
    return importlib.import_module("kmclcheck.engines.filling")


def _settled(verdict: Verdict) -> str:
    times = plural(verdict.decided, "time")
    words = {
        VerdictKind.PASS: f"kept, decided {times}",
        VerdictKind.FAIL: "broken; kmclcheck check tells where",
        VerdictKind.NOT_EXERCISED: "not exercised: none of its events occurs",
    }
    return f"{verdict.rule} is not open: {words[verdict.kind]}"


def _chosen(found: Record, verdict: Verdict, place: str | None) -> Place:
    """Return the place to ask about. Raises ClickException, UsageError if there is no such place."""
    if not found.places:
        raise click.ClickException(
            f"{verdict.rule} is open ({verdict.reason}), but at no event in particular"
        )
    if place is None:
        return found.places[0]
    if place != "end" and not place.isdecimal():
        raise click.UsageError(f"--place {place}: wanted is the number of a line, or end")
    line = None if place == "end" else int(place)
    fitting = [one for one in found.places if one.line == line]
    if not fitting:
        where = lines(found.places)
        more = f" and {len(where) - _PLACES_SHOWN} more" if len(where) > _PLACES_SHOWN else ""
        raise click.UsageError(
            f"{verdict.rule} is not open there; it is at {', '.join(where[:_PLACES_SHOWN])}{more}"
        )
    return fitting[0]


def _ask(
    filling: Any, explainer: Explainer, place: Place, reader: TraceReader, only: str | None
) -> tuple[Outcome, ...]:
    where = f"{reader.info.path}:{place.line}" if place.line is not None else f"{reader.info.path} (end)"
    try:
        certain = explainer.certain(place)
        if certain is not None:
            at = "" if certain.event is None else f" at line {certain.event.line}"
            raise click.ClickException(
                f"{where}: the trace breaks {certain.rule}{at} for certain, whatever is missing from it; "
                "what follows a fault cannot be filled in"
            )
        asked = [broken for name, broken in (("kept", False), ("broken", True)) if only in (None, name)]
        return tuple(explainer.ask(place, broken) for broken in asked)
    except filling.UnsupportedError as error:
        raise click.ClickException(f"{where}: this cannot be asked: {error}") from None


def _show(answers: _Answers, found: Record, format_: str, output: str | None, colour: ColourMode) -> ExitCode:
    from kmclcheck.cli import fillings

    if format_ == "kmtrace" and not answers.outcomes[0].lines:
        complain(fillings.sentence(answers.outcomes[0]))
    else:
        with text_output(output) as stream:
            if format_ == "json":
                document = fillings.document(
                    answers.spec, answers.path, answers.verdict, answers.place, answers.outcomes
                )
                stream.write(json.dumps(document, indent=1) + "\n")
            elif format_ == "kmtrace":
                _write_trace(stream, answers)
            else:
                painter = Painter(stream, wants_colour(colour, stream))
                fillings.write(
                    painter, answers.spec, answers.path, answers.verdict, answers.place,
                    lines(found.places), answers.outcomes,
                )  # fmt: skip
        if output is not None:
            complain(f"{output}: written")
    return ExitCode.OK if all(map(fillings.answered, answers.outcomes)) else ExitCode.INCONCLUSIVE


def _write_trace(stream: TextIO, answers: _Answers) -> None:
    """Write the filled slice as a complete trace; a comment stands before each event that was filled in."""
    outcome = answers.outcomes[0]
    what = "broken" if outcome.broken else "kept"
    stream.write(write_header(info(outcome.end)))
    stream.write(f"# {answers.rule}: {what}, with {plural(outcome.inserted, 'event')} filled in\n")
    for line in outcome.lines:
        if line.origin is None:
            stream.write("# filled in:\n")
        stream.write(format_event(line.event) + "\n")
