"""How much is looked at, as options say it."""

from __future__ import annotations

from dataclasses import replace

import click

from kmclcheck.cli.nearest import did_you_mean
from kmclcheck.engines.question import Limits
from kmclcheck.model.spec import Spec

BOUND_HELP = "threads=2, depth=3 (calls inside one another), others=1 (objects of each kind), or KIND=1."


def read_limits(bounds: tuple[str, ...], spec: Spec) -> Limits:
    """Return the limits that options like ``threads=2`` ask for. Raises UsageError."""
    limits = Limits()
    for text in bounds:
        name, _, number = text.partition("=")
        if not number.isdecimal() or not 1 <= int(number) <= 9:
            raise click.UsageError(f"--bound {text}: wanted is NAME=N with a number from 1 to 9")
        if name == "threads":
            limits = replace(limits, threads=int(number))
        elif name == "depth":
            limits = replace(limits, depth=int(number))
        elif name == "others":
            limits = replace(limits, others=int(number))
        elif name in spec.kinds and name != "thread":
            limits = replace(limits, objects=(*limits.objects, (name, int(number))))
        else:
            known = ["threads", "depth", "others", *(k for k in spec.kinds if k != "thread")]
            raise click.UsageError(f"--bound {text}: nothing is called {name!r}{did_you_mean(name, known)}")
    return limits
