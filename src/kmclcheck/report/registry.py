"""The known report formats."""

from __future__ import annotations

import importlib
import pkgutil

from kmclcheck.report.base import Renderer

_renderers: dict[str, Renderer] = {}


def register(renderer: Renderer) -> None:
    """Make a format known. Raises ValueError if the name is taken by another one."""
    known = _renderers.get(renderer.name)
    if known is not None and type(known) is not type(renderer):
        raise ValueError(f"two report formats are named {renderer.name!r}")
    _renderers[renderer.name] = renderer


def _load() -> None:
    from kmclcheck.report import formats

    for module in pkgutil.iter_modules(formats.__path__):
        importlib.import_module(f"{formats.__name__}.{module.name}")


def format_names() -> list[str]:
    """Return the names of all formats, in alphabetical order."""
    _load()
    return sorted(_renderers)


def get_renderer(name: str) -> Renderer:
    """Return the format of this name. Raises KeyError."""
    _load()
    return _renderers[name]


def wants_density(name: str) -> bool:
    """Return whether a format shows how events lie over a trace: to be counted while reading."""
    return bool(getattr(get_renderer(name), "wants_density", False))
