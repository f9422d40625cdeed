"""``kmclcheck export``: the specification in the languages of other tools."""

from __future__ import annotations

import click

from kmclcheck.cli.console import complain
from kmclcheck.cli.limits import BOUND_HELP, read_limits
from kmclcheck.cli.nearest import did_you_mean
from kmclcheck.cli.specs import load_specs
from kmclcheck.cli.writing import text_output
from kmclcheck.report.describe import plural


@click.group("export", short_help="Write the specification for other tools.")
def command() -> None:
    """Write the specification, or a part of it, in the language of another tool."""


@command.command("promela", short_help="Write a model for the model checker SPIN.")
@click.option("--rule", "rules", multiple=True, metavar="ID", help="A rule to check; may be repeated.")
@click.option("--invariant", "invariants", multiple=True, metavar="ID",
              help="An invariant to check; may be repeated.")  # fmt: skip
@click.option("--assume", multiple=True, metavar="RULE", help="A rule that every record keeps besides.")
@click.option("--without", multiple=True, metavar="RULE", help="A rule that records need not keep.")
@click.option("--bound", "bounds", multiple=True, metavar="NAME=N", help=BOUND_HELP)
@click.option("--unseen", is_flag=True, help="Let callback slots be empty, so that callbacks go unseen.")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE instead of standard output.")
@click.option("--spec", multiple=True, metavar="PATH", help="A specification instead of the bundled one.")
def promela(
    rules: tuple[str, ...], invariants: tuple[str, ...], assume: tuple[str, ...], without: tuple[str, ...],
    bounds: tuple[str, ...], unseen: bool, output: str | None, spec: tuple[str, ...],
) -> int:  # fmt: skip
    """Write a Promela model in which SPIN finds the shortest records that break a rule or an invariant.

    The model is of a bounded number of threads, open calls and objects. A record that breaks what is checked
    violates an assertion; every other record keeps the rules that the head of the model lists.
    """
    from kmclcheck.engines.promela import Bounds, Claims, UnsupportedError, write

    specification = load_specs(spec)
    if not rules and not invariants:
        raise click.UsageError("name a rule with --rule, or an invariant with --invariant")
    for id in (*rules, *assume, *without):
        if id not in specification.rules:
            raise click.UsageError(f"unknown rule {id!r}{did_you_mean(id, specification.rules)}")
    for id in invariants:
        if id not in specification.invariants:
            raise click.UsageError(f"unknown invariant {id!r}{did_you_mean(id, specification.invariants)}")
    limits = read_limits(bounds, specification)
    try:
        model = write(
            specification,
            Claims(rules, invariants, assume, without),
            Bounds(limits.threads, limits.depth, limits.objects, limits.others, unseen),
        )
    except UnsupportedError as error:
        raise click.ClickException(str(error)) from None
    with text_output(output) as stream:
        stream.write(model.text)
    if output is not None:
        complain(f"{output}: {plural(model.steps, 'step')}, {plural(len(model.assumed), 'rule')} kept")
    return 0
