"""Settings from a file: ``kmclcheck.toml``, or ``[tool.kmclcheck]`` in ``pyproject.toml``.

The nearest file upward counts, alone; files are not merged. In one folder ``kmclcheck.toml`` wins.
"""

from __future__ import annotations

import tomllib
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from kmclcheck.cli.mapping import mapping_in, toml_problem
from kmclcheck.cli.nearest import did_you_mean
from kmclcheck.diagnostics import Diagnostic, InputError, Level, Span
from kmclcheck.traces.etw.mapping import Mapping

Value = str | bool | float | list[str]

# Name of the long option and the type of its value.
_KEYS: dict[str, type] = {
    "format": str,
    "report": list,
    "color": str,
    "quiet": bool,
    "verbose": bool,
    "strict": bool,
    "fail-on": str,
    "profile": str,
    "rule": list,
    "disable": list,
    "spec": list,
    "trace-format": str,
    "slice-budget": float,
    "engine": str,
    "engine-timeout": float,
    "trace-prefix": str,
    "start": str,
    "end": str,
    "records": str,
    "baseline": str,
    "write-baseline": str,
    "docs-url": str,
}
_PATHS = ("baseline", "write-baseline")
_MAP = "map"
_WORDS = {str: "a string", list: "a list of strings", bool: "true or false", float: "a number"}


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of a file. ``path`` is ``None`` if there is none. ``mapping``: its ``[[map]]`` rules."""

    path: Path | None = None
    values: dict[str, Value] = field(default_factory=dict)
    mapping: Mapping | None = None


def find_config(folder: Path) -> Config:
    """Return the settings that hold in a folder. Raises InputError."""
    for place in (folder, *folder.parents):
        own = place / "kmclcheck.toml"
        if own.is_file():
            return _config(own, _load(own))
        project = place / "pyproject.toml"
        if project.is_file():
            tool = _load(project).get("tool")
            table = tool.get("kmclcheck") if isinstance(tool, dict) else None
            if isinstance(table, dict):
                return _config(project, table)
    return Config()


def _config(path: Path, table: dict[str, object]) -> Config:
    rules = {key: value for key, value in table.items() if key == _MAP}
    values = _checked(path, {key: value for key, value in table.items() if key != _MAP})
    mapping = mapping_in(path, _text(path), rules) if rules else None
    return Config(path, values, mapping)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig", errors="replace")


def _load(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise _error(path, f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise _error(path, f"is not valid TOML: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError([toml_problem(path, _text(path), error)]) from None


def _checked(path: Path, table: dict[str, object]) -> dict[str, Value]:
    problems: list[Diagnostic] = []
    values: dict[str, Value] = {}
    for key, value in table.items():
        expected = _KEYS.get(key)
        if expected is None:
            problems.append(
                _problem(path, f"unknown setting {key!r}{did_you_mean(key, (*_KEYS, _MAP))}", key)
            )
        elif (usable := _usable(value, expected)) is None:
            problems.append(_problem(path, f"setting {key!r} has to be {_WORDS[expected]}", key))
        elif key == "spec" and isinstance(usable, list):
            values[key] = [_relative(path.parent, name) for name in usable]
        elif key in _PATHS and isinstance(usable, str):
            values[key] = str(path.parent / usable)
        else:
            values[key] = usable
    if problems:
        raise InputError(problems)
    return values


def _usable(value: object, expected: type) -> Value | None:
    if expected is list:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return list(value)
        return None
    if expected is float:
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    if isinstance(value, bool) and expected is bool:
        return value
    return value if isinstance(value, str) and expected is str else None


def _relative(folder: Path, name: str) -> str:
    """Paths in a file are relative to it; a plain word that is no file names a bundled spec."""
    candidate = folder / name
    return str(candidate) if candidate.exists() or "/" in name or "\\" in name else name


def _problem(path: Path, message: str, key: str) -> Diagnostic:
    """Return a message at the line of the key, if it can be told."""
    text = _text(path)
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().strip("\"'").startswith(key):
            span = Span(str(path), number, line.index(key) + 1, len(key))
            return Diagnostic(Level.ERROR, message, span, line)
    return Diagnostic(Level.ERROR, f"{path}: {message}")


def _error(path: Path, message: str) -> InputError:
    return InputError([Diagnostic(Level.ERROR, f"{path}: {message}")])


class ConfiguredCommand(click.Command):
    """A command whose defaults come from the settings file of the current folder."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        config = find_config(Path.cwd())
        defaults: MutableMapping[str, Any] = {k.replace("-", "_"): v for k, v in config.values.items()}
        extra["default_map"] = defaults
        extra["obj"] = config
        return super().make_context(info_name, args, parent, **extra)
