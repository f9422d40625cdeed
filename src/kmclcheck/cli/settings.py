"""``--show-config``: every setting, its value and where it comes from."""

from __future__ import annotations

import json

import click
from click.core import ParameterSource

from kmclcheck.cli.config import Config
from kmclcheck.cli.console import say

_NOT_SETTINGS = {"paths", "output", "follow", "idle", "show_config", "help"}


def show_settings(ctx: click.Context) -> None:
    """Print the settings as a settings file would hold them, with the origin as a comment."""
    config = ctx.obj if isinstance(ctx.obj, Config) else Config()
    say(f"# settings file: {config.path or 'none'}")
    rows = []
    for param in ctx.command.params:
        name = param.name
        if name is None or name in _NOT_SETTINGS:
            continue
        value = ctx.params.get(name)
        if name == "report":
            value = ["=".join(pair) for pair in value or ()]
        text = f"{name.replace('_', '-')} = {json.dumps(value)}"
        if value is None:
            text = f"# {name.replace('_', '-')} is not set"
        rows.append((text, _origin(ctx, param, config)))
    width = max(len(text) for text, _ in rows)
    for text, origin in rows:
        say(f"{text:<{width}}  # {origin}")


def _origin(ctx: click.Context, param: click.Parameter, config: Config) -> str:
    source = ctx.get_parameter_source(param.name or "")
    if source is ParameterSource.COMMANDLINE:
        return "command line"
    if source is ParameterSource.ENVIRONMENT:
        return f"environment, {param.envvar}"
    if source is ParameterSource.DEFAULT_MAP:
        return str(config.path)
    return "default"
