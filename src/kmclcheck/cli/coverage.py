"""``kmclcheck coverage``: which states, transitions, rules and functions a set of traces covered."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import click

from kmclcheck import __version__
from kmclcheck.cli.config import ConfiguredCommand
from kmclcheck.cli.console import complain
from kmclcheck.cli.exitcodes import ExitCode
from kmclcheck.cli.inputs import find_traces
from kmclcheck.cli.nearest import did_you_mean
from kmclcheck.cli.progress import Progress
from kmclcheck.cli.reading import Reading, reading, reading_options
from kmclcheck.cli.solving import need_solver
from kmclcheck.cli.specs import load_specs
from kmclcheck.cli.writing import check_writable, text_output
from kmclcheck.diagnostics import InputError
from kmclcheck.engines.coverage import Coverage, Coverer, State, Universe
from kmclcheck.engines.coverage.missing import Gaps, Missing, Proof, gaps
from kmclcheck.model.spec import Profile, Spec
from kmclcheck.report import InputFailure, ToolInfo
from kmclcheck.report.coverage_document import coverage_document, floor_percent, read_coverage
from kmclcheck.report.coverage_pictures import WRITERS, svg
from kmclcheck.report.coverage_text import coverage_text
from kmclcheck.report.describe import plural

FORMATS = ("text", "json", "svg", *WRITERS)


@dataclass(slots=True)
class Measured:
    """What the traces came to; ``complete``: all of them were read to the end."""

    coverage: Coverage
    failures: list[InputFailure] = field(default_factory=list)
    interrupted: bool = False
    complete: bool = True


@click.command(
    "coverage",
    cls=ConfiguredCommand,
    short_help="Tell which states, transitions and rules traces covered.",
    epilog="Exit codes: 0 done, 1 fewer transitions were covered than --fail-under asks for, "
    "2 something could not be read.",
)
@click.argument("paths", nargs=-1, metavar="TRACE...")
@click.option(
    "--format", "-f", "format_", type=click.Choice(FORMATS), default="text", show_default=True,
    help="Form of the result; svg (of one machine), dot and mermaid are state diagrams with counts.",
)  # fmt: skip
@click.option("--output", "-o", metavar="FILE", help="Write the result to a file.")
@click.option(
    "--diagrams", metavar="DIR", type=click.Path(file_okay=False),
    help="Draw a state diagram of each machine, too: DIR/NAME.svg.",
)  # fmt: skip
@click.option(
    "--verbose",
    "-v",
    "details",
    is_flag=True,
    help="Tell the count of everything, and list the missing events that let a value stay, too.",
)
@click.option("--missing", is_flag=True, help="Tell what was never exercised, with a shortest way there.")
@click.option(
    "--prove", is_flag=True,
    help="With --missing: ask the solver for records that keep all rules and reach each missing value "
    "(needs Z3).",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=10.0, show_default=True, metavar="SECONDS",
    help="With --prove: the time for each value.",
)  # fmt: skip
@click.option(
    "--machine", multiple=True, metavar="NAME",
    help="Look at this machine only, such as channel.life. May be repeated.",
)  # fmt: skip
@click.option(
    "--fail-under", type=click.FloatRange(0, 100), metavar="PERCENT",
    help="Exit code 1 if fewer of the transitions were covered for certain.",
)  # fmt: skip
@click.option(
    "--merge", multiple=True, metavar="FILE", type=click.Path(dir_okay=False),
    help="Add the counts of an earlier run, written with --format json. May be repeated.",
)  # fmt: skip
@click.option(
    "--profile", type=click.Choice([*(p.value for p in Profile), "all"]), default="core", show_default=True,
    envvar="KMCLCHECK_PROFILE", help="Which rules to count.",
)  # fmt: skip
@click.option(
    "--spec", multiple=True, metavar="PATH", envvar="KMCLCHECK_SPEC",
    help="A specification instead of the bundled one. May be repeated.",
)  # fmt: skip
@reading_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    paths: tuple[str, ...],
    format_: str,
    output: str | None,
    diagrams: str | None,
    details: bool,
    missing: bool,
    prove: bool,
    timeout: float,
    machine: tuple[str, ...],
    fail_under: float | None,
    merge: tuple[str, ...],
    profile: str,
    spec: tuple[str, ...],
    **how: Any,
) -> int:
    """Tell what the traces in TRACE... covered: files, folders, or - for standard input.

    Only what is certain counts: a value that an object had for sure, a line of a machine that was taken for
    sure. What may have been covered is told apart, as perhaps.
    """
    if not paths and not merge:
        raise click.UsageError("no trace given; name files or folders, - for standard input, or --merge", ctx)
    if prove and not missing:
        raise click.UsageError("--prove is about what is missing: it goes with --missing")
    if prove:
        need_solver("--prove")
    if output is not None:
        check_writable(output)
    specification = load_specs(spec)
    chosen = [r.id for r in specification.rules.values() if profile in ("all", r.profile.value)]
    universe = Universe(specification, chosen)
    machines = _machines(universe, machine)
    if format_ == "svg" and len(machines) > 1:
        raise click.UsageError("svg is a picture of one machine: choose it with --machine, or use --diagrams")
    if diagrams is not None:
        os.makedirs(diagrams, exist_ok=True)
    earlier = [read_coverage(path, universe) for path in merge]
    measured = _measure(paths, universe, reading(ctx.obj, **how))
    for coverage, complete in earlier:
        measured.coverage.add(coverage)
        measured.complete = measured.complete and complete
    for failure in measured.failures:
        complain(failure.message)
    if measured.interrupted:
        complain("interrupted: this is what was covered so far")
    found = gaps(measured.coverage, machines, stays=details) if missing else None
    if found is not None and prove:
        found = _proved(found, universe, timeout)
    with text_output(output) as stream:
        stream.write(_text(measured, machines, format_, details, found, specification))
    if diagrams is not None:
        for name in machines:
            with text_output(os.path.join(diagrams, f"{name}.svg")) as stream:
                stream.write(svg(measured.coverage, name))
        complain(f"{diagrams}: {plural(len(machines), 'diagram')}")
    if measured.failures or measured.interrupted:
        return ExitCode.ERROR
    return _decide(measured.coverage, machines, fail_under)


def _proved(found: Gaps, universe: Universe, seconds: float) -> Gaps:
    """Return the gaps with what the solver says of the missing values of machines that calls move."""
    from kmclcheck.cli.finders import bounds_of
    from kmclcheck.engines.analysis import Answer, value
    from kmclcheck.engines.question import Limits

    bounds = bounds_of(Limits(depth=2, others=1))
    answers = {Answer.POSSIBLE: True, Answer.NEVER: False, Answer.OPEN: None}

    def asked(one: Missing) -> Missing:
        machine = universe.machines[one.what.machine]
        records = any(universe.spec.events[t.event[0]].record for t in machine.transitions)
        if records or not isinstance(one.what, State):
            return one
        said = value(universe.spec, machine, one.what.value, bounds, seconds)
        settled = said.settled
        events = settled.events if settled.answer is Answer.POSSIBLE else ()
        return replace(one, proof=Proof(answers[settled.answer], said.certain, events))

    return replace(found, machines=tuple(asked(one) for one in found.machines))


def _machines(universe: Universe, names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in universe.machines:
            raise click.UsageError(f"unknown machine {name!r}{did_you_mean(name, universe.machines)}")
    return [name for name in universe.machines if not names or name in names]


def _measure(paths: Sequence[str], universe: Universe, how: Reading) -> Measured:
    files, failures = find_traces(paths)
    coverer = Coverer(universe)
    measured = Measured(coverer.total, failures, complete=not failures)
    progress = Progress()
    try:
        for path in files:
            progress.begin(path)
            try:
                result = coverer.cover(how.open(path), progress)
            except InputError as error:
                failures.append(InputFailure(path, str(error)))
                measured.complete = False
            else:
                for problem in result.problems:
                    complain(problem)
                if not result.complete:
                    measured.interrupted = True
                    break
            finally:
                progress.clear()
    except KeyboardInterrupt:
        measured.interrupted = True
    measured.complete = measured.complete and not measured.interrupted
    return measured


def _text(
    measured: Measured, machines: list[str], format_: str, details: bool, found: Gaps | None, spec: Spec
) -> str:
    coverage = measured.coverage
    if format_ == "json":
        tool = ToolInfo("kmclcheck", __version__, spec.name, spec.title)
        document = coverage_document(coverage, machines, tool, measured.failures, measured.complete, found)
        return json.dumps(document, ensure_ascii=True, indent=1) + "\n"
    if format_ == "text":
        return coverage_text(coverage, machines, details, found)
    if format_ == "svg":
        return svg(coverage, machines[0])
    return "\n".join(WRITERS[format_](coverage, machines)) + "\n"


def _decide(coverage: Coverage, machines: list[str], least: float | None) -> ExitCode:
    share = coverage.edge_share(machines)
    if least is None or share.percent >= Fraction(str(least)):
        return ExitCode.OK
    complain(
        f"{share.covered} of {share.total} transitions were covered, {floor_percent(share)}%;"
        f" {least:g}% was asked for"
    )
    return ExitCode.FINDINGS
