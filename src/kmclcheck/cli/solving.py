"""What every command needs that asks Z3."""

from __future__ import annotations

from importlib.util import find_spec

import click


def need_solver(what: str) -> None:
    """Say how to get Z3 if it is not installed; ``what`` needs it. Raises UsageError."""
    if find_spec("z3") is None:
        raise click.UsageError(
            f"{what} needs Z3, which is not installed; it comes with: pip install 'kmclcheck[symbolic]'"
        )
