"""A SARIF log held against the classes that sarif-om generated from the published schema.

They know the name of every property and which ones are required. What the schema says besides of the
properties that are used here (kinds of values, least numbers, lists that may not be empty) stands below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attr
import sarif_om

# The class of what a property holds, or of each item if it is a list. Others hold plain values.
_CLASSES = {
    "runs": sarif_om.Run,
    "tool": sarif_om.Tool,
    "driver": sarif_om.ToolComponent,
    "rules": sarif_om.ReportingDescriptor,
    "shortDescription": sarif_om.MultiformatMessageString,
    "fullDescription": sarif_om.MultiformatMessageString,
    "help": sarif_om.MultiformatMessageString,
    "defaultConfiguration": sarif_om.ReportingConfiguration,
    "invocations": sarif_om.Invocation,
    "toolExecutionNotifications": sarif_om.Notification,
    "associatedRule": sarif_om.ReportingDescriptorReference,
    "message": sarif_om.Message,
    "artifacts": sarif_om.Artifact,
    "artifactLocation": sarif_om.ArtifactLocation,
    "results": sarif_om.Result,
    "locations": sarif_om.Location,
    "relatedLocations": sarif_om.Location,
    "physicalLocation": sarif_om.PhysicalLocation,
    "region": sarif_om.Region,
    "logicalLocations": sarif_om.LogicalLocation,
    "codeFlows": sarif_om.CodeFlow,
    "threadFlows": sarif_om.ThreadFlow,
}
_FREE = {"properties", "partialFingerprints"}
_LISTS = {
    *("runs", "rules", "invocations", "toolExecutionNotifications", "artifacts", "results", "locations"),
    *("relatedLocations", "logicalLocations", "codeFlows", "threadFlows"),
}
_ENUMS = {
    "level": {"none", "note", "warning", "error"},
    "kind of a result": {"notApplicable", "pass", "fail", "review", "open", "informational"},
    "baselineState": {"new", "unchanged", "updated", "absent"},
    "version of the log": {"2.1.0"},
}
_NOT_EMPTY = {"codeFlows", "threadFlows"}
_REFERENCE = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*:)?[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*\Z")


def problems(log: Any) -> list[str]:
    """Return what is not as the standard says, each with its place."""
    return list(_object(log, sarif_om.SarifLog, "log"))


def _object(value: Any, kind: type, place: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{place}: no object"
        return
    fields = {a.metadata["schema_property_name"]: a for a in attr.fields(kind)}
    for name, field in fields.items():
        if field.default is attr.NOTHING and name not in value:
            yield f"{place}: {name} is missing"
    for name, held in value.items():
        here = f"{place}.{name}"
        if name not in fields:
            yield f"{here}: {kind.__name__} has no such property"
        elif name in _FREE:
            if not isinstance(held, dict):
                yield f"{here}: no object"
        elif isinstance(held, list) != (name in _LISTS):
            yield f"{here}: a list where none belongs, or none where one does"
        elif name in _CLASSES:
            inner = _class(name, kind)
            if name in _NOT_EMPTY and not held:
                yield f"{here}: empty"
            for number, one in enumerate(held if isinstance(held, list) else [held]):
                yield from _object(one, inner, f"{here}[{number}]")
        elif name == "location":
            inner = sarif_om.ArtifactLocation if kind is sarif_om.Artifact else sarif_om.Location
            yield from _object(held, inner, here)
        else:
            yield from _plain(name, held, kind, here)


def _class(name: str, owner: type) -> type:
    # The locations of a thread flow are steps, each of which has a location.
    return sarif_om.ThreadFlowLocation if owner is sarif_om.ThreadFlow else _CLASSES[name]


def _plain(name: str, value: Any, kind: type, place: str) -> Iterator[str]:
    if name in ("startLine", "occurrenceCount"):
        good = type(value) is int and value >= 1
    elif name in ("index", "ruleIndex", "id") and (name != "id" or kind is sarif_om.Location):
        good = type(value) is int and value >= 0
    elif name == "executionSuccessful":
        good = type(value) is bool
    else:
        good = isinstance(value, str)
    if not good:
        yield f"{place}: {value!r} is of another kind"
    owner = {sarif_om.Result: "kind of a result", sarif_om.SarifLog: "version of the log"}.get(kind, "")
    allowed = _ENUMS.get(name) or (_ENUMS.get(owner) if owner.startswith(f"{name} ") else None)
    if allowed is not None and value not in allowed:
        yield f"{place}: {value!r} is none of {sorted(allowed)}"
    if name in ("uri", "helpUri") and not _REFERENCE.match(str(value)):
        yield f"{place}: {value!r} is no address"
    if name == "helpUri" and ":" not in str(value):
        yield f"{place}: not absolute"
