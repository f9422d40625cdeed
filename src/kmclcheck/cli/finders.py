"""The engines that find shortest traces, by the name a command line gives them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import click

from kmclcheck.cli.solving import need_solver
from kmclcheck.engines.question import Bound, Finder, Limits, Question, Records
from kmclcheck.model.spec import Spec

if TYPE_CHECKING:
    from kmclcheck.engines.symbolic import Bounds

NAMES = ("graph", "z3")


def finder(name: str) -> Finder:
    """Return an engine; only then is its code loaded. Raises UsageError if it is not installed."""
    if name == "graph":
        from kmclcheck.engines.explore.finder import find

        return find
    need_solver("the engine z3")
    return _by_z3


def _by_z3(spec: Spec, question: Question, limits: Limits, seconds: float) -> Records | Bound:
    symbolic = importlib.import_module("kmclcheck.engines.symbolic")
    if question.witness:
        raise click.UsageError("the engine z3 finds counterexamples only; use --engine graph")
    bounds = bounds_of(limits)
    try:
        found = symbolic.shortest(spec, question.rule, question.others, bounds, seconds, question.candidates)
    except symbolic.OutOfBudgetError as error:
        return Bound(error.proved, False, seconds)
    except symbolic.UnsupportedError as error:
        raise click.UsageError(f"the engine z3 cannot do this: {error}") from None
    if isinstance(found, symbolic.NoneWithin):
        return Bound(found.length, False, found.seconds)
    return Records(found.events, found.end, found.seconds, found)


def bounds_of(limits: Limits) -> Bounds:
    """Return limits in the terms of the symbolic engine."""
    symbolic = importlib.import_module("kmclcheck.engines.symbolic")
    found: Bounds = symbolic.Bounds(
        limits.threads, limits.depth, limits.objects, limits.others, unseen=limits.unseen
    )
    return found
