"""``kmclcheck explain``: the page of a rule in the terminal."""

from __future__ import annotations

import textwrap
from dataclasses import replace

import click

from kmclcheck.cli.console import say
from kmclcheck.cli.nearest import did_you_mean
from kmclcheck.cli.specs import load_specs
from kmclcheck.model.expr import Truth
from kmclcheck.model.spec import Check, Rule, Spec
from kmclcheck.speclang import format_expr

_WIDTH = 96


@click.command("explain", short_help="Tell what a rule means and how to keep it.")
@click.argument("rule", required=False)
@click.option(
    "--spec", multiple=True, metavar="PATH", help="A specification to use instead of the bundled one."
)
def command(rule: str | None, spec: tuple[str, ...]) -> int:
    """Tell what RULE means, who has to keep it, and how. Without RULE, list the rules."""
    specification = load_specs(spec)
    if rule is None:
        say(rule_list(specification))
        return 0
    if rule not in specification.rules:
        raise click.UsageError(f"unknown rule {rule!r}{did_you_mean(rule, specification.rules)}")
    say(rule_page(specification.rules[rule], specification))
    return 0


def rule_list(spec: Spec) -> str:
    """Return a line per rule, under the kind of object it is about."""
    lines: list[str] = []
    width = max((len(r.id) for r in spec.rules.values()), default=0)
    for scope in dict.fromkeys(r.scope for r in spec.rules.values()):
        lines += ["", scope] if lines else [scope]
        for rule in spec.rules.values():
            if rule.scope == scope:
                kind = f"{rule.party.value} {rule.severity.value} {rule.profile.value}"
                lines.append(f"  {rule.id:<{width}}  {kind:<24}  {rule.statement}")
    return "\n".join(lines)


def rule_page(rule: Rule, spec: Spec) -> str:
    """Return everything the specification says about a rule."""
    parts = [
        rule.id,
        "",
        *_wrapped(rule.statement, "  "),
        "",
        f"  severity    {rule.severity.value}",
        f"  kept by     {rule.party.value}",
        f"  profile     {rule.profile.value}",
        f"  about       {rule.scope}",
        *_labelled("applies to", ", ".join(dict.fromkeys(_place(check) for check in rule.checks))),
    ]
    parts += _section("formal form", _formal(rule, spec))
    parts += _section("why", _wrapped(rule.consequence, "  "))
    parts += _section("how to fix", _wrapped(rule.fix, "  "))
    parts += _section("our reading, where the documents are unclear", _wrapped(rule.reading, "  "))
    parts += _section("sources", [f"  {source}" for source in rule.sources])
    parts += _section("follows from", [f"  {name}" for name in rule.implied_by])
    parts += _section("not reported together with", [f"  {name}" for name in rule.yields_to])
    for passes, title in ((True, "a trace that passes"), (False, "a trace that fails")):
        for example in rule.examples:
            if example.passes is passes:
                parts += _section(title, [f"  {line}" for line in example.text.strip("\n").split("\n")])
    return "\n".join(parts)


def _place(check: Check) -> str:
    if check.event is None:
        return "end of trace" + "".join(f", hang in {name}" for name in check.hung_in)
    return f"{check.event[0]}.{check.event[1].value}"


def _formal(rule: Rule, spec: Spec) -> list[str]:
    """Return the conditions, each once with all the places it is judged at."""
    places: dict[Check, list[str]] = {}
    for check in rule.checks:
        places.setdefault(replace(check, event=None), []).append(_place(check))
    lines: list[str] = []
    for check, names in places.items():
        head = f"at {', '.join(names)}"
        if check.each:
            head += f" each {check.target}" + (f" of {check.each_of}" if check.each_of else "")
        lines += _wrapped(head, "  ")
        if check.when != Truth(True):
            lines += _wrapped(f"when {format_expr(check.when, spec)}", "    ")
        lines += _wrapped(f"require {format_expr(check.require, spec)}", "    ")
    return lines


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", f"{title}:", *lines] if any(line.strip() for line in lines) else []


def _wrapped(text: str, indent: str) -> list[str]:
    paragraphs = [" ".join(p.split()) for p in text.split("\n\n")]
    lines: list[str] = []
    for paragraph in paragraphs:
        lines += [indent + line for line in textwrap.wrap(paragraph, _WIDTH, break_long_words=False)]
    return lines


def _labelled(label: str, text: str) -> list[str]:
    first, *rest = textwrap.wrap(text, _WIDTH - 12, break_long_words=False) or [""]
    return [f"  {label:<12}{first}", *(f"{'':14}{line}" for line in rest)]
