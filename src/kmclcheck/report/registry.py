"""The known report formats."""

from __future__ import annotations

import importlib
import pkgutil
from typing import cast

from kmclcheck.report.base import LiveRenderer, Renderer

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


def live_format_names() -> list[str]:
    """Return the names of the formats that can tell findings one by one, in alphabetical order."""
    _load()
    return sorted(name for name, one in _renderers.items() if hasattr(one, "tell"))


def get_live_renderer(name: str) -> LiveRenderer:
    """Return the format of this name, one of ``live_format_names``. Raises KeyError."""
    _load()
    if name not in live_format_names():
        raise KeyError(name)
    return cast(LiveRenderer, _renderers[name])


def get_renderer(name: str) -> Renderer:
    """Return the format of this name. Raises KeyError."""
    _load()
    return _renderers[name]


def wants_density(name: str) -> bool:
    """Return whether a format shows how events lie over a trace: to be counted while reading."""
    return bool(getattr(get_renderer(name), "wants_density", False))
