"""``kmclcheck repair``: the smallest change of driver calls that mends each finding of a trace."""

from __future__ import annotations

import json
from typing import Any

import click

from kmclcheck import __version__
from kmclcheck.cli.config import ConfiguredCommand
from kmclcheck.cli.console import ColourMode, complain, wants_colour
from kmclcheck.cli.exitcodes import ExitCode
from kmclcheck.cli.nearest import did_you_mean
from kmclcheck.cli.reading import reading, reading_options
from kmclcheck.cli.repairs import as_trace, document, write_repair
from kmclcheck.cli.specs import load_specs
from kmclcheck.cli.writing import check_writable, text_output
from kmclcheck.engines.monitor import Options
from kmclcheck.engines.repair import Bounds, Repair, Repairer, Standing
from kmclcheck.model.spec import Profile
from kmclcheck.report.describe import plural
from kmclcheck.report.paint import Painter

_EPILOG = (
    "Exit codes: 0 every finding that a driver can mend got a repair, or there is none; 2 usage or input; "
    "3 some got no repair within the bounds."
)


@click.command(
    "repair",
    cls=ConfiguredCommand,
    short_help="Propose the smallest change of a driver's calls that mends a finding.",
    epilog=_EPILOG,
)
@click.argument("trace")
@click.option(
    "--rule", multiple=True, metavar="ID", help="Repair findings of this rule only. May be repeated."
)
@click.option(
    "--finding", "number", type=click.IntRange(min=1), metavar="N",
    help="Repair the Nth of these findings only.",
)  # fmt: skip
@click.option("-o", "--output", metavar="FILE", help="Write the repaired slice to FILE, a .kmtrace.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--bound", type=click.IntRange(1, 2), default=2, show_default=True, metavar="N",
    help="How many changes one repair may have, 1 or 2.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=20.0, show_default=True, metavar="SECONDS",
    help="The time for each finding.",
)  # fmt: skip
@click.option(
    "--spec", multiple=True, metavar="PATH", envvar="KMCLCHECK_SPEC",
    help="A specification instead of the bundled one.",
)  # fmt: skip
@click.option("--color", "colour", type=click.Choice([m.value for m in ColourMode]), default="auto")
@reading_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    trace: str,
    rule: tuple[str, ...],
    number: int | None,
    output: str | None,
    format_: str,
    bound: int,
    timeout: float,
    spec: tuple[str, ...],
    colour: str,
    **how: Any,
) -> int:
    """Check TRACE against the rules of the core, and propose how the driver could have kept them.

    A repair moves, inserts or deletes calls of the driver, or passes another value where a rule is about
    values. It is replayed before it is shown: the part of the trace around the fault breaks no rule any
    more, neither one of the driver's nor one of the library's.
    """
    if output is not None:
        check_writable(output)
    specification = load_specs(spec)
    for name in rule:
        if name not in specification.rules:
            raise click.UsageError(f"unknown rule {name!r}{did_you_mean(name, specification.rules)}")
    judged = frozenset(r.id for r in specification.rules.values() if r.profile is Profile.CORE) | set(rule)
    repairer = Repairer(specification, Options(rules=judged))
    result, tape = repairer.check(reading(ctx.obj, **how).open(trace))
    for problem in result.problems:
        complain(problem)
    if not result.complete:
        complain("interrupted: nothing was repaired")
        return ExitCode.ERROR
    chosen = [f for f in result.findings if not rule or f.rule in rule]
    if number is not None:
        if number > len(chosen):
            raise click.UsageError(f"--finding {number}: the trace has {plural(len(chosen), 'such finding')}")
        chosen = [chosen[number - 1]]
    repairs = []
    painter: Painter | None = None
    with text_output(None) as stream:
        if format_ == "text":
            painter = Painter(stream, wants_colour(ColourMode(colour), stream))
        for finding in chosen:
            repairs.append(repairer.repair(finding, tape, Bounds(bound, timeout)))
            if painter is not None:
                write_repair(painter, specification, result, repairs[-1])
                painter.line()
        if painter is not None:
            painter.line((_summary(repairs, len(result.findings)), "bold"))
        else:
            tool = {"name": "kmclcheck", "version": __version__, "spec": specification.name}
            stream.write(json.dumps(document(specification, result, repairs, tool), indent=2) + "\n")
    if output is not None:
        _write_slice(output, repairs)
    missing = [r for r in repairs if not r.found and r.standing is not Standing.LIBRARY]
    return ExitCode.INCONCLUSIVE if missing else ExitCode.OK


def _summary(repairs: list[Repair], findings: int) -> str:
    if not findings:
        return "no findings"
    found = sum(repair.found for repair in repairs)
    text = f"{found} of {plural(len(repairs), 'finding')} repaired"
    library = sum(repair.standing is Standing.LIBRARY for repair in repairs)
    return f"{text}, {library} the library's" if library else text


def _write_slice(output: str, repairs: list[Repair]) -> None:
    found = [repair for repair in repairs if repair.found]
    if len(found) != 1:
        raise click.UsageError(
            f"{output} is to hold one repaired slice, and there are {len(found)}"
            + ("; choose with --rule or --finding" if found else "")
        )
    (repair,) = found
    with text_output(output) as stream:
        stream.write(as_trace(repair))
    complain(f"{output}: {plural(len(repair.records), 'event')}")
