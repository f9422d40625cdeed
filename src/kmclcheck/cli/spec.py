"""``kmclcheck spec``: check a specification, or show parts of it."""

from __future__ import annotations

import click

from kmclcheck.cli.console import complain, say
from kmclcheck.cli.exitcodes import ExitCode
from kmclcheck.cli.nearest import did_you_mean
from kmclcheck.cli.specs import load_specs, spec_paths
from kmclcheck.diagnostics import Level
from kmclcheck.model.spec import Spec
from kmclcheck.report.describe import plural
from kmclcheck.speclang import check_spec, show_machine, show_rule


@click.group("spec", short_help="Check a specification, or show parts of it.")
def command() -> None:
    """Check a specification, or show parts of it."""


@command.command("check")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def check(files: tuple[str, ...]) -> int:
    """Say whether the FILEs (or folders), taken together, are in order; kmcl is the bundled specification."""
    diagnostics = check_spec(spec_paths(files))
    if diagnostics:
        complain("\n".join(d.render() for d in diagnostics))
    if any(d.level is Level.ERROR for d in diagnostics):
        return ExitCode.ERROR
    spec = load_specs(files)
    say(f"{spec.name}: {_size(spec)}; {plural(len(diagnostics), 'warning')}")
    return ExitCode.OK


@command.command("show")
@click.argument("name", metavar="RULE|MACHINE")
@click.option(
    "--spec", multiple=True, metavar="PATH", help="A specification to use instead of the bundled one."
)
def show(name: str, spec: tuple[str, ...]) -> int:
    """Show a rule, or a machine such as channel.life, as the checker understood it."""
    specification = load_specs(spec)
    machines = [f"{kind}.{field}" for kind, field in specification.machines]
    if name in specification.rules:
        say(show_rule(specification, name).rstrip())
    elif name in machines:
        say(show_machine(specification, name).rstrip())
    else:
        known = [*specification.rules, *machines]
        raise click.UsageError(f"no rule or machine {name!r}{did_you_mean(name, known)}")
    return ExitCode.OK


def _size(spec: Spec) -> str:
    return ", ".join(
        (
            plural(len(spec.kinds), "object"),
            plural(len(spec.events), "event"),
            plural(len(spec.machines), "machine"),
            plural(len(spec.rules), "rule"),
        )
    )
