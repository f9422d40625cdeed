"""Puts the files of the kit together."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from kmclcheck.capturekit.header import header_parts
from kmclcheck.capturekit.provider import c_initializer, provider_guid
from kmclcheck.model.spec import Spec
from kmclcheck.traces.etw.shim import provider_name

HEADER, MAPPING, PROFILE, README = "kmcltrace.h", "kmcltrace.toml", "kmcltrace.wprp", "README.md"
KIT_FILES = (HEADER, MAPPING, PROFILE, README)

_SHIM_RULE = 'provider = "KmclTrace.{endpoint}"'
_MAPPING_HEAD = """\
# What the events of kmcltrace.h mean. kmclcheck knows these rules by itself; this file is for
# changing them, and for other tools.
"""


def kit_files(spec: Spec, driver: str) -> dict[str, str]:
    """Return the files of the kit for a driver, by name. ``driver`` is a C identifier."""
    provider = provider_name(driver)
    guid = provider_guid(provider)
    words = {
        "driver": driver,
        "provider": provider,
        "guid": str(guid),
        "guid_c": c_initializer(guid),
        "later": _later_names(spec),
    }
    return {
        HEADER: _filled(HEADER, {**words, **header_parts(spec)}),
        MAPPING: _MAPPING_HEAD + "\n" + "\n\n".join(_shim_rules()) + "\n",
        PROFILE: _filled(PROFILE, words),
        README: _filled(README, words),
    }


def _filled(name: str, words: dict[str, str]) -> str:
    text = files(__package__).joinpath("templates", f"{name}.in").read_text(encoding="utf-8")
    return Template(text).substitute(words)


def _shim_rules() -> list[str]:
    """Return the rules of the built-in mapping that are about the shim, with the comments before each."""
    text = files("kmclcheck.traces.etw").joinpath("builtin.toml").read_text(encoding="utf-8")
    return [block.strip() for block in text.split("\n\n") if _SHIM_RULE in block]


def _later_names(spec: Spec) -> str:
    """Return the functions that the shim cannot record and that change something, as a list."""
    later = [d.name for d in spec.events.values() if not (d.documented or d.neutral or d.callback)]
    return "\n".join(f"* `{name}`" for name in later)
