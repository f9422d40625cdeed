"""Which files a command line names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from kmclcheck.report.base import InputFailure
from kmclcheck.traces import known_formats
from kmclcheck.traces.base import HEAD_SIZE

# What stands in a folder under these names is a trace only if it looks like one.
_COMMON = (".txt", ".xml", ".csv")


def find_traces(paths: Iterable[str]) -> tuple[list[str], list[InputFailure]]:
    """Return the files to check in order, each once, and the folders that hold no trace.

    A folder stands for the files below it with a suffix that a trace format claims, in the order of
    their paths; of texts, tables and XML files only those that look like a trace. A file that is named is
    taken whatever its suffix.
    """
    files: dict[str, None] = {}
    failures: list[InputFailure] = []
    suffixes = tuple(sorted({s.lower() for f in known_formats().values() for s in f.suffixes}))
    for path in paths:
        if path != "-" and os.path.isdir(path):
            found = _below(Path(path), suffixes)
            if not found:
                wanted = ", ".join("*" + suffix for suffix in suffixes)
                message = f"error: {path}: no trace in this folder (looked for {wanted})"
                failures.append(InputFailure(path, message))
            files.update(dict.fromkeys(found))
        else:
            files[path] = None
    return list(files), failures


def _below(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    found = []
    for parent, folders, names in os.walk(folder):
        folders.sort()
        found += [Path(parent, name) for name in names if name.lower().endswith(suffixes)]
    return [str(path) for path in sorted(found, key=lambda p: p.parts) if _is_trace(path)]


def _is_trace(path: Path) -> bool:
    if not path.name.lower().endswith(_COMMON):
        return True
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_SIZE)
    except OSError:
        return True  # reading it will tell what is wrong
    return any(format.sniff(head) for format in known_formats().values())
