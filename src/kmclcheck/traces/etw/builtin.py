"""The mapping that every reader of Windows events has, after the user's own."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from kmclcheck.traces.etw.mapping import Mapping, mapping_from
from kmclcheck.traces.options import ReadOptions


@cache
def builtin_mapping() -> Mapping:
    """Return the rules of ``builtin.toml``."""
    text = files(__package__).joinpath("builtin.toml").read_text(encoding="utf-8")
    return mapping_from(tomllib.loads(text))


def mapping_for(options: ReadOptions) -> Mapping:
    """Return the rules for a run: the user's first."""
    builtin = builtin_mapping()
    return builtin if options.mapping is None else options.mapping + builtin
