"""``kmclcheck check``: judge traces and report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from kmclcheck import __version__
from kmclcheck.cli.baselines import load_baseline, store_baseline
from kmclcheck.cli.config import ConfiguredCommand
from kmclcheck.cli.console import ColourMode, complain, drop_stdout, is_closed_pipe, wants_colour
from kmclcheck.cli.exitcodes import ExitCode, FailOn, decide
from kmclcheck.cli.follow import Follower, refuse
from kmclcheck.cli.inputs import find_traces
from kmclcheck.cli.judges import NAMES as ENGINES
from kmclcheck.cli.judges import Judging, judge
from kmclcheck.cli.metering import metered
from kmclcheck.cli.nearest import did_you_mean
from kmclcheck.cli.progress import Progress
from kmclcheck.cli.reading import Reading, reading, reading_options
from kmclcheck.cli.settings import show_settings
from kmclcheck.cli.specs import load_specs
from kmclcheck.cli.writing import check_writable, text_output
from kmclcheck.diagnostics import InputError
from kmclcheck.engines.judging import OutOfTimeError, TooLargeError
from kmclcheck.engines.monitor import Options
from kmclcheck.engines.replay import Checker
from kmclcheck.model.finding import TraceResult
from kmclcheck.model.spec import Profile, Spec
from kmclcheck.report import (
    InputFailure,
    ReportOptions,
    RunResult,
    ToolInfo,
    format_names,
    get_renderer,
    wants_density,
)
from kmclcheck.report.base import MONITOR
from kmclcheck.report.baseline import without_known
from kmclcheck.traces import TraceReader

_FOR_TERMINALS = ("text", "concise")

Check = Callable[[TraceReader, Progress], TraceResult]


def _report_targets(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Split each ``FORMAT=PATH``; a path may hold further equals signs."""
    targets = []
    for value in values:
        name, _, path = value.partition("=")
        if name not in format_names():
            known = ", ".join(format_names())
            raise click.BadParameter(f"unknown format {name!r}; known are {known}", ctx, param)
        if not path:
            raise click.BadParameter(f"no path in {value!r}; write {name}=PATH", ctx, param)
        targets.append((name, path))
    return tuple(targets)


def _address(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value and not value.lower().startswith(("http://", "https://", "file://")):
        raise click.BadParameter(
            f"{value!r} is no absolute address; it begins with https://, http:// or file://", ctx, param
        )
    return value


def _choice(values: list[str]) -> click.Choice[str]:
    return click.Choice(values, case_sensitive=False)


@click.command(
    "check",
    cls=ConfiguredCommand,
    short_help="Check traces against the rules.",
    epilog="Exit codes: 0 no finding at or above --fail-on, 1 findings, 2 something could not be run, "
    "3 inconclusive (--strict).",
)
@click.argument("paths", nargs=-1, metavar="PATHS...")
@click.option(
    "--format",
    "-f",
    type=_choice(format_names()),
    default="text",
    show_default=True,
    envvar="KMCLCHECK_FORMAT",
    help="Form of the result.",
)
@click.option(
    "--output", "-o", metavar="FILE", type=click.Path(dir_okay=False), help="Write the result to a file."
)
@click.option(
    "--report",
    multiple=True,
    metavar="FORMAT=PATH",
    callback=_report_targets,
    envvar="KMCLCHECK_REPORT",
    help="Write one more report to a file. May be repeated.",
)
@click.option("--quiet", "-q", is_flag=True, envvar="KMCLCHECK_QUIET", help="Findings only.")
@click.option("--verbose", "-v", is_flag=True, envvar="KMCLCHECK_VERBOSE", help="Shorten nothing.")
@click.option(
    "--color",
    type=_choice([m.value for m in ColourMode]),
    default="auto",
    show_default=True,
    envvar="KMCLCHECK_COLOR",
    help="Colour the text; auto: on a terminal.",
)
@click.option(
    "--strict", is_flag=True, envvar="KMCLCHECK_STRICT", help='Exit code 3 if the answer is "do not know".'
)
@click.option(
    "--fail-on",
    type=_choice([f.value for f in FailOn]),
    default="error",
    show_default=True,
    envvar="KMCLCHECK_FAIL_ON",
    help="Least severity of a finding that makes the exit code 1.",
)
@click.option(
    "--profile",
    type=_choice([*(p.value for p in Profile), "all"]),
    default="core",
    show_default=True,
    envvar="KMCLCHECK_PROFILE",
    help="Which rules to check.",
)
@click.option(
    "--rule",
    multiple=True,
    metavar="ID",
    envvar="KMCLCHECK_RULE",
    help="Check this rule only, of whatever profile. May be repeated.",
)
@click.option(
    "--disable",
    multiple=True,
    metavar="ID",
    envvar="KMCLCHECK_DISABLE",
    help="Do not check this rule. May be repeated.",
)
@click.option(
    "--spec",
    multiple=True,
    metavar="PATH",
    envvar="KMCLCHECK_SPEC",
    help="A specification to use instead of the bundled one, which is named kmcl. May be repeated.",
)
@reading_options
@click.option(
    "--slice-budget",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    envvar="KMCLCHECK_SLICE_BUDGET",
    help="Time for finding the events that reproduce a finding, for all traces together.",
)
@click.option(
    "--engine",
    type=_choice(list(ENGINES)),
    default=MONITOR,
    show_default=True,
    envvar="KMCLCHECK_ENGINE",
    help="Who judges. The other two are second opinions on short traces: slow, and without explanations.",
)
@click.option(
    "--engine-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    envvar="KMCLCHECK_ENGINE_TIMEOUT",
    help="Time for each trace, for an engine other than the monitor.",
)
@click.option(
    "--repairs",
    is_flag=True,
    envvar="KMCLCHECK_REPAIRS",
    help="Say for each finding which change of the driver's calls mends it; the command repair shows it.",
)
@click.option(
    "--repair-budget",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    envvar="KMCLCHECK_REPAIR_BUDGET",
    help="Time for repairs, for all traces together.",
)
@click.option(
    "--baseline",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    envvar="KMCLCHECK_BASELINE",
    help="Findings that are known: they are counted, but neither shown nor a reason for exit code 1.",
)
@click.option(
    "--write-baseline",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    envvar="KMCLCHECK_WRITE_BASELINE",
    help="Write all findings of this run to a file for --baseline.",
)
@click.option(
    "--docs-url",
    metavar="URL",
    default="",
    callback=_address,
    envvar="KMCLCHECK_DOCS_URL",
    help="Address of the documentation, for the links to rules in sarif and markdown.",
)
@click.option(
    "--follow",
    is_flag=True,
    help="Report findings while the one trace given, a file or -, is being written.",
)
@click.option(
    "--idle",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="With --follow: end when nothing came for so long.",
)
@click.option("--show-config", is_flag=True, help="Print every setting and where it comes from, then exit.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    paths: tuple[str, ...],
    format: str,
    output: str | None,
    report: tuple[tuple[str, str], ...],
    quiet: bool,
    verbose: bool,
    color: str,
    strict: bool,
    fail_on: str,
    profile: str,
    rule: tuple[str, ...],
    disable: tuple[str, ...],
    spec: tuple[str, ...],
    slice_budget: float,
    engine: str,
    engine_timeout: float,
    repairs: bool,
    repair_budget: float,
    baseline: str | None,
    write_baseline: str | None,
    docs_url: str,
    follow: bool,
    idle: float | None,
    show_config: bool,
    **how: Any,
) -> int:
    """Check the traces in PATHS: files, folders, or - for standard input."""
    if show_config:
        show_settings(ctx)
        return ExitCode.OK
    if not paths:
        raise click.UsageError("no trace given; name files or folders, or - for standard input", ctx)
    if follow:
        unfit = {
            "--output": output is not None,
            "--report": bool(report),
            "--repairs": repairs,
            "--baseline": baseline is not None,
            "--write-baseline": write_baseline is not None,
            "another --engine": engine != MONITOR,
        }
        refuse(paths, format, unfit)
    elif idle is not None:
        raise click.UsageError("--idle goes with --follow", ctx)
    for path in [*(path for _, path in report), output, write_baseline]:
        if path:
            check_writable(path)
    known = load_baseline(baseline) if baseline else None
    specification = load_specs(spec)
    options = _monitor_options(specification, profile, rule, disable, slice_budget)
    if follow:
        shown = ReportOptions(quiet, verbose, wants_colour(ColourMode(color), sys.stdout))
        watched = Follower(specification, options, format, shown).follow(
            paths[0], reading(ctx.obj, **how), idle
        )
        return decide(watched, specification, FailOn(fail_on), strict)
    checker = _checker(specification, options, engine, engine_timeout, repair_budget if repairs else None)
    if any(wants_density(name) for name in (format, *(name for name, _ in report))):
        checker = metered(checker)
    how_to_read = reading(ctx.obj, **how)
    run = _check_all(paths, specification, checker, engine, how_to_read, Progress(enabled=not quiet))
    run = replace(run, options=ReportOptions(quiet=quiet, verbose=verbose, docs=docs_url))
    if write_baseline:
        store_baseline(run, specification, write_baseline)
    if known is not None:
        run = without_known(run, known, specification)
    for failure in run.failures:
        complain(failure.message)
    if run.interrupted:
        complain("interrupted: this is what was found so far")
    for name, path in report:
        _write_file(run, specification, name, path)
    if output:
        _write_file(run, specification, format, output)
    elif run.traces or format not in _FOR_TERMINALS:
        _write_stdout(run, specification, format, ColourMode(color))
    return decide(run, specification, FailOn(fail_on), strict)


def _monitor_options(
    spec: Spec, profile: str, rules: tuple[str, ...], disabled: tuple[str, ...], slice_budget: float
) -> Options:
    for name in (*rules, *disabled):
        if name not in spec.rules:
            raise click.UsageError(f"unknown rule {name!r}{did_you_mean(name, spec.rules)}")
    if rules:
        chosen = frozenset(rules)
    else:
        chosen = frozenset(r.id for r in spec.rules.values() if profile in ("all", r.profile.value))
        if not chosen:
            raise click.UsageError(
                f"the specification {spec.name} has no rule of the profile {profile!r} yet"
            )
    return Options(rules=chosen, disabled=frozenset(disabled), slice_budget=slice_budget)


def _check_all(
    paths: tuple[str, ...], spec: Spec, checker: Check, engine: str, how: Reading, progress: Progress
) -> RunResult:
    files, failures = find_traces(paths)
    traces: list[TraceResult] = []
    interrupted = False
    try:
        for path in files:
            progress.begin(path)
            try:
                traces.append(checker(how.open(path), progress))
            except InputError as error:
                failures.append(InputFailure(path, str(error)))
            except (TooLargeError, OutOfTimeError) as error:
                # Not judged is not passed.
                failures.append(InputFailure(path, f"error: {path}: not checked: {error}"))
            finally:
                progress.clear()
            if traces and not traces[-1].complete:
                interrupted = True
                break
    except KeyboardInterrupt:
        interrupted = True
    tool = ToolInfo("kmclcheck", __version__, spec.name, spec.title, engine)
    return RunResult(traces, tool, failures=tuple(failures), interrupted=interrupted)


def _checker(spec: Spec, options: Options, engine: str, seconds: float, budget: float | None) -> Check:
    """Return what checks one trace; with a budget it looks for repairs, too."""
    if engine != MONITOR:
        if budget is not None:
            raise click.UsageError(f"--repairs needs the engine {MONITOR}; the others explain nothing")
        return Judging(spec, options.enabled(spec), judge(engine), seconds).check
    if budget is None:
        return Checker(spec, options).check
    from kmclcheck.engines.repair import RepairingChecker

    return RepairingChecker(spec, options, budget).check


def _write_file(run: RunResult, spec: Spec, name: str, path: str) -> None:
    with text_output(path) as stream:
        get_renderer(name).render(run, spec, stream)


def _write_stdout(run: RunResult, spec: Spec, name: str, colour: ColourMode) -> None:
    options = replace(run.options, colour=wants_colour(colour, sys.stdout))
    try:
        get_renderer(name).render(replace(run, options=options), spec, sys.stdout)
        sys.stdout.flush()
    except OSError as error:
        # Whoever reads the output has seen enough; the exit code still tells what was found.
        if not is_closed_pipe(error):
            raise
        drop_stdout()
