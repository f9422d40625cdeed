"""Mappings from files: ``[[map]]`` in the settings file, and ``--map FILE``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kmclcheck.cli.nearest import did_you_mean
from kmclcheck.diagnostics import Diagnostic, InputError, Level, Span
from kmclcheck.traces.etw.mapping import KEYS, Mapping, MappingError, mapping_from

_RULE = re.compile(r"\s*\[\[\s*map\s*\]\]")
_POSITION = re.compile(r"\(at line (\d+), column (\d+)\)")


def load_mapping(path: Path) -> Mapping:
    """Return the rules in a file. Raises InputError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError([_at(path, f"cannot be read: {error.strerror or error}")]) from None
    except UnicodeDecodeError:
        raise InputError([_at(path, "is not UTF-8 text")]) from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError([toml_problem(path, text, error)]) from None
    unknown = [key for key in table if key != "map"]
    if unknown:
        message = f"unknown key {unknown[0]!r}; a mapping has rules only: [[map]]"
        raise InputError([_at(path, message, text, None, unknown[0])])
    if not table:
        raise InputError([_at(path, "holds no rule; a rule begins with [[map]]")])
    return mapping_in(path, text, table)


def mapping_in(path: Path, text: str, table: dict[str, Any]) -> Mapping:
    """Return the rules that a table of a file holds. Raises InputError with the position in the file."""
    try:
        return mapping_from(table)
    except MappingError as error:
        message = str(error)
        if message.startswith("unknown key"):
            message += did_you_mean(error.key, KEYS)
        raise InputError([_at(path, message, text, error.rule, error.key)]) from None


def toml_problem(path: Path, text: str, error: tomllib.TOMLDecodeError) -> Diagnostic:
    """Return a message about a file that is no TOML, at the place that the error names."""
    found = _POSITION.search(str(error))
    if found is None:
        return Diagnostic(Level.ERROR, f"{path}: is not valid TOML: {error}")
    line = int(found[1])
    lines = text.split("\n")
    shown = lines[line - 1] if line <= len(lines) else None
    message = f"is not valid TOML: {_POSITION.sub('', str(error)).strip()}"
    return Diagnostic(Level.ERROR, message, Span(str(path), line, int(found[2])), shown)


def all_mappings(mappings: Iterable[Mapping]) -> Mapping | None:
    """Return one mapping with the rules of all in order, or ``None`` without any."""
    found: Mapping | None = None
    for mapping in mappings:
        found = mapping if found is None else found + mapping
    return found


def _at(path: Path, message: str, text: str = "", rule: int | None = None, key: str = "") -> Diagnostic:
    """Return a message at the key of a rule, if it can be told where that is."""
    seen = -1
    header: tuple[int, str] | None = None
    for number, line in enumerate(text.split("\n"), 1):
        if _RULE.match(line):
            seen += 1
            if seen == rule:
                header = number, line
        elif key and (rule is None or seen == rule) and re.match(rf"\s*[\"']?{re.escape(key)}\b", line):
            column = line.index(key) + 1
            return Diagnostic(Level.ERROR, message, Span(str(path), number, column, len(key)), line)
    if header is not None:
        return Diagnostic(Level.ERROR, message, Span(str(path), header[0]), header[1])
    return Diagnostic(Level.ERROR, f"{path}: {message}")
