"""Which events a trace declares as recorded: only of those does absence mean anything."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kmclcheck.model.event import Phase, TraceInfo

_GROUPS = frozenset({"functions", "callbacks"})
_PHASES = {phase.value: phase for phase in (Phase.CALL, Phase.RET, Phase.IN, Phase.OUT)}


_WORD = re.compile(
    r"all|-?functions(\.(call|ret))?|-?callbacks(\.(in|out))?"
    r"|-?(?!(all|functions|callbacks)\b)[A-Za-z_]\w*(\.(call|ret|in|out))?",
    re.ASCII,
)


def split_words(text: str) -> list[str]:
    """Return the words of a declaration.

    Raises:
        ValueError: a word is not well formed; it is the error's text.

    """
    words = text.replace(",", " ").split()
    for word in words:
        if not _WORD.fullmatch(word):
            raise ValueError(word)
    return words


def declare(info: TraceInfo, words: Iterable[str]) -> None:
    """Enter the words of a ``%records`` line into ``info``; the words are already well formed."""
    for word in words:
        excluded = word.startswith("-")
        body = word.removeprefix("-")
        name, _, phase = body.partition(".")
        if body == "all":
            info.records_all = True
        elif name in _GROUPS:
            (info.records_not_groups if excluded else info.records_groups).add(body)
        else:
            target = info.records_not if excluded else info.records
            target.update((name, p) for p in ([_PHASES[phase]] if phase else Phase))


def declared_words(info: TraceInfo) -> list[str]:
    """Return words which, given to ``declare``, make the same declaration."""
    words = ["all"] if info.records_all else []
    words += sorted(info.records_groups)
    words += _names(info.records)
    words += ["-" + word for word in sorted(info.records_not_groups)]
    words += ["-" + word for word in _names(info.records_not)]
    return words


def _names(records: set[tuple[str, Phase]]) -> list[str]:
    words: list[str] = []
    for name in sorted({name for name, _ in records}):
        phases = [word for word, phase in _PHASES.items() if (name, phase) in records]
        whole = (name, Phase.WHOLE) in records or len(phases) == len(_PHASES)
        words += [name] if whole else [f"{name}.{word}" for word in phases]
    return words


def excludes(info: TraceInfo, name: str, phase: Phase, callback: bool = False) -> bool:
    """Say whether the trace declares that such events are not recorded."""
    group = "callbacks" if callback else "functions"
    words = {group, f"{group}.{phase.value}"}
    return (name, phase) in info.records_not or not words.isdisjoint(info.records_not_groups)


def is_record_declared(info: TraceInfo, name: str) -> bool:
    """Say whether every record of this name stands in the trace, apart from losses.

    Records that the library writes by itself come from another source than calls and callbacks, so only
    their own name declares them, not ``all``. Exclusions win.
    """
    kind = name, Phase.WHOLE
    return kind in info.records and kind not in info.records_not


def is_declared(info: TraceInfo, name: str, phase: Phase, callback: bool) -> bool:
    """Say whether every such event stands in the trace, apart from losses. Exclusions win.

    A WHOLE record counts as declared if entry and exit both are.
    """
    if phase is Phase.WHOLE:
        entry, leave = (Phase.IN, Phase.OUT) if callback else (Phase.CALL, Phase.RET)
        return is_declared(info, name, entry, callback) and is_declared(info, name, leave, callback)
    group = "callbacks" if callback else "functions"
    kind, words = (name, phase), {group, f"{group}.{phase.value}"}
    if excludes(info, name, phase, callback):
        return False
    return info.records_all or kind in info.records or not words.isdisjoint(info.records_groups)
