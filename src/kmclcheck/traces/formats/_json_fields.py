"""The fields of an event from a JSON object, flat."""

from __future__ import annotations

from typing import Any

from kmclcheck.traces.etw.record import FieldValue
from kmclcheck.traces.etw.values import MAX_DIGITS, parse_value

MAX_DEPTH = 16
MAX_FIELDS = 4096
_GREATEST = 10**MAX_DIGITS


class FieldsError(Exception):
    """An object is beyond the limits."""


def fields_of(values: dict[str, Any]) -> dict[str, FieldValue]:
    """Return the members; nested ones are named ``outer.inner``, elements ``name.0``. Raises FieldsError."""
    fields: dict[str, FieldValue] = {}
    for name, value in values.items():
        if type(value) is str:
            fields[name] = parse_value(value)
        elif type(value) is int and -_GREATEST < value < _GREATEST:
            fields[name] = value
        else:
            _add(fields, name, value, 1)
    if len(fields) > MAX_FIELDS:
        raise FieldsError(f"it has more than {MAX_FIELDS} fields")
    return fields


def _add(fields: dict[str, FieldValue], name: str, value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise FieldsError(f"it is nested more than {MAX_DEPTH} deep")
    if len(fields) > MAX_FIELDS:
        raise FieldsError(f"it has more than {MAX_FIELDS} fields")
    if isinstance(value, dict):
        for key, inner in value.items():
            _add(fields, f"{name}.{key}", inner, depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _add(fields, f"{name}.{index}", inner, depth + 1)
    elif isinstance(value, str):
        fields[name] = parse_value(value)
    elif isinstance(value, bool):
        fields[name] = int(value)
    elif isinstance(value, int) and -_GREATEST < value < _GREATEST:
        fields[name] = value
    else:
        fields[name] = "" if value is None else str(value)
