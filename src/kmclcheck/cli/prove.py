"""``kmclcheck prove``: what follows from the rules, proved or refuted."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from kmclcheck.cli.console import say
from kmclcheck.cli.exitcodes import ExitCode
from kmclcheck.cli.nearest import did_you_mean
from kmclcheck.cli.solving import need_solver
from kmclcheck.cli.specs import load_specs
from kmclcheck.model.event import Event
from kmclcheck.model.spec import Invariant, Spec
from kmclcheck.report.describe import plural

if TYPE_CHECKING:
    from kmclcheck.engines.symbolic.prove import Proof

_WIDTH = 96
_SHOWN = 20


@click.command("prove", short_help="Prove what is claimed to follow from the rules.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--spec", multiple=True, metavar="PATH", help="A specification to use instead of the bundled one."
)
@click.option("--timeout", type=click.FloatRange(min=0), default=120.0, show_default=True, metavar="SECONDS",
              help="The time for each invariant.")  # fmt: skip
@click.option("--bound", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="How many objects of each kind there may be, for each parent.")  # fmt: skip
@click.option("--without", multiple=True, metavar="RULE", help="A rule that is not assumed.")
@click.option("--list", "only_list", is_flag=True, help="List the invariants and stop.")
def command(
    names: tuple[str, ...], spec: tuple[str, ...], timeout: float, bound: int, without: tuple[str, ...],
    only_list: bool,
) -> int:  # fmt: skip
    """Prove the invariants of the specification, or those with these NAMEs.

    An invariant holds if no trace that keeps the rules violates it. The exit code is 1 if one fails, and 3
    if one stays open because the solver gave up or the time was used up.
    """
    specification = load_specs(spec)
    chosen = _chosen(specification, names)
    if only_list:
        say("\n".join(f"{i.id}\n{_wrapped(i.statement)}" for i in chosen))
        return ExitCode.OK
    for rule in without:
        if rule not in specification.rules:
            raise click.UsageError(f"unknown rule {rule!r}{did_you_mean(rule, specification.rules)}")
    need_solver("prove")
    from kmclcheck.engines.symbolic.bounds import Bounds
    from kmclcheck.engines.symbolic.prove import Result, assumed, prove

    results = []
    for invariant in chosen:
        rules = [id for id in assumed(specification, invariant) if id not in without]
        proof = prove(specification, invariant, Bounds(others=bound), timeout, rules=rules)
        results.append(proof.result)
        say(page(specification, invariant, proof))
    counts = {result: results.count(result) for result in Result}
    say(
        f"{plural(len(results), 'invariant')}: {counts[Result.PROVED]} proved, "
        f"{counts[Result.FAILED]} failed, {counts[Result.OPEN]} open"
    )
    if counts[Result.FAILED]:
        return ExitCode.FINDINGS
    return ExitCode.INCONCLUSIVE if counts[Result.OPEN] else ExitCode.OK


def _chosen(spec: Spec, names: tuple[str, ...]) -> list[Invariant]:
    for name in names:
        if name not in spec.invariants:
            raise click.UsageError(f"unknown invariant {name!r}{did_you_mean(name, spec.invariants)}")
    return [i for i in spec.invariants.values() if not names or i.id in names]


def page(spec: Spec, invariant: Invariant, proof: Proof) -> str:
    """Return what came of an invariant, for people."""
    bounds = proof.bounds
    objects = f"{plural(bounds.others, 'object')} of each kind for each parent"
    lines = [f"{invariant.id}: {proof.result.value}", _wrapped(invariant.statement)]
    if proof.result.value == "proved":
        facts = f"{plural(proof.facts, 'plain fact')}, {plural(proof.lemmas, 'lemma')} found"
        lines.append(f"  by {proof.method}, k = {proof.steps} ({facts})")
    lines.append(
        f"  within {objects}, {plural(bounds.threads, 'thread')}, {bounds.depth} calls inside one another"
    )
    lines.append(f"  {proof.seconds:.1f} s, {proof.solver_seconds:.1f} s of them in the solver")
    some = ", ".join(proof.rules) if len(proof.rules) <= _SHOWN else f"{len(proof.rules)} rules"
    lines.append(_wrapped(f"assuming {some or 'no rule'}"))
    if invariant.instances:
        lines.append(_wrapped("why these numbers do: " + invariant.instances))
    if proof.why:
        lines.append(f"  {proof.why}; no violation with {plural(proof.searched, 'record')} or fewer")
    if proof.trace is not None:
        lines.append(f"  violated by {plural(len(proof.trace.events), 'record')} that keep these rules:")
        lines += _records(proof.trace.events, proof.trace.states)
    elif proof.gap:
        lines.append("  induction does not exclude, though perhaps nothing leads there:")
        lines += [f"      {text}" for text in _state(proof.gap_states[0])]
        lines += _records(proof.gap, proof.gap_states[1:])
    return "\n".join(lines) + "\n"


def _records(events: tuple[Event, ...], states: tuple[dict[str, dict[str, str]], ...]) -> list[str]:
    lines: list[str] = []
    before: dict[str, dict[str, str]] = {}
    for event, state in zip(events, states, strict=True):
        args = " ".join(f"{name}={_value(value)}" for name, value in event.args.items())
        status = "" if event.status is None else f" status={_value(event.status)}"
        lines.append(f"    {event.phase.value} {event.name} tid={event.tid:#x} {args}{status}".rstrip())
        for name, fields in state.items():
            old = before.get(name, {})
            changed = [f"{f} {v}" for f, v in fields.items() if old.get(f) != v and (old or v != "false")]
            if changed:
                lines.append(f"        {name}: {', '.join(changed)}")
        before = state
    return lines


def _state(state: dict[str, dict[str, str]]) -> list[str]:
    return [f"{name}: {', '.join(f'{f} {v}' for f, v in fields.items())}" for name, fields in state.items()]


def _value(value: int | str) -> str:
    return value if isinstance(value, str) else hex(value) if value > 9 else str(value)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
