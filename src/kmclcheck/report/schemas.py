"""The published JSON Schemas: one file in ``schema/`` for each document of this program.

``kmclcheck.run/1`` is described in ``run-1.json``. A document names its schema in ``schema``; a line of
JSON lines names that of the run, of which it is a part, and is described by ``kmclcheck.run-line/1``.
"""

from __future__ import annotations

from importlib import resources

_FAMILY = "kmclcheck."


def schema_names() -> list[str]:
    """Return the names of all documents that have a schema, in alphabetical order."""
    files = resources.files("kmclcheck.report").joinpath("schema").iterdir()
    stems = [file.name.removesuffix(".json") for file in files if file.name.endswith(".json")]
    return sorted(_FAMILY + "/".join(stem.rsplit("-", 1)) for stem in stems)


def schema_text(name: str) -> str:
    """Return the schema of a document, such as ``kmclcheck.run/1``. Raises KeyError."""
    if name not in schema_names():
        raise KeyError(name)
    file = name.removeprefix(_FAMILY).replace("/", "-") + ".json"
    return resources.files("kmclcheck.report").joinpath("schema", file).read_text("utf-8")
