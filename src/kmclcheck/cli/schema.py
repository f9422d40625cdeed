"""``kmclcheck schema``: print the JSON Schema of a document."""

from __future__ import annotations

import click

from kmclcheck.cli.console import say
from kmclcheck.cli.nearest import did_you_mean
from kmclcheck.report.schemas import schema_names, schema_text


@click.command("schema", short_help="Print the JSON Schema of a document.")
@click.argument("name", required=False)
def command(name: str | None) -> int:
    """Print the JSON Schema of the document NAME, such as kmclcheck.run/1. Without NAME, list them."""
    names = schema_names()
    if name is None:
        say("\n".join(names))
    elif name not in names:
        raise click.UsageError(f"no document {name!r}{did_you_mean(name, names)}")
    else:
        say(schema_text(name).rstrip("\n"))
    return 0
