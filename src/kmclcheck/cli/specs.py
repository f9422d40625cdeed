"""The specifications a command line names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kmclcheck.model.spec import Spec
from kmclcheck.speclang import bundled_spec, load_spec
from kmclcheck.speclang.loader import bundled_paths

BUNDLED = "kmcl"


def load_specs(names: Sequence[str]) -> Spec:
    """Return the bundled specification if no name is given, else what all named files make together.

    ``kmcl`` names the bundled one. Raises InputError.
    """
    if all(name == BUNDLED for name in names):
        return bundled_spec()
    return load_spec(spec_paths(names))


def spec_paths(names: Sequence[str]) -> list[str | Path]:
    """Return files and folders for these names."""
    paths: list[str | Path] = []
    for name in dict.fromkeys(names):
        if name == BUNDLED:
            paths += [path for _, path in bundled_paths()]
        else:
            paths.append(name)
    return paths
