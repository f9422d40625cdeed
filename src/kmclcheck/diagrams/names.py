"""Short names of events, as far as a specification leaves them unambiguous."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from kmclcheck.model.spec import EventDecl, Spec

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*|[a-z0-9]+|_+|[^A-Za-z0-9_]+")
_NAME = re.compile(r"\w+")
_SHARE = 1 / 3
_FEWEST = 3


@dataclass(frozen=True, slots=True)
class ShortNames:
    """``short`` gives the short name of every event, ``prefixes`` what was left out, longest first."""

    short: dict[str, str]
    prefixes: tuple[str, ...]

    def event(self, text: str) -> str:
        """Return the text, such as ``VmbChannelEnable.call``, with the names of events in it shortened."""
        return _NAME.sub(lambda found: self.short.get(found[0], found[0]), text)


def short_names(spec: Spec) -> ShortNames:
    """Return names without the beginnings that many of them share.

    A beginning is left out if a third of the functions, or of the callbacks, or of the records has it. Names
    that would be the same without it keep their last word of it, and so on until they differ.
    """
    families: dict[tuple[bool, bool], list[EventDecl]] = {}
    for event in spec.events.values():
        families.setdefault((event.callback, event.record), []).append(event)
    words: dict[str, list[str]] = {}
    left_out: dict[str, int] = {}
    for family in families.values():
        for event in family:
            words[event.name] = _WORD.findall(event.name)
        counts = Counter(
            tuple(words[event.name][:size]) for event in family for size in range(1, len(words[event.name]))
        )
        common = {prefix for prefix, count in counts.items() if count >= max(_FEWEST, len(family) * _SHARE)}
        for event in family:
            own = words[event.name]
            left_out[event.name] = max((n for n in range(1, len(own)) if tuple(own[:n]) in common), default=0)
    while True:
        short = {name: "".join(words[name][count:]) for name, count in left_out.items()}
        seen = Counter(short.values())
        clashing = [name for name, text in short.items() if seen[text] > 1 and left_out[name]]
        # A short name must not be the full name of another event either.
        clashing += [name for name, text in short.items() if text in words and left_out[name]]
        if not clashing:
            break
        for name in set(clashing):
            left_out[name] -= 1
    prefixes = {"".join(words[name][:count]) for name, count in left_out.items() if count}
    return ShortNames(short, tuple(sorted(prefixes, key=lambda text: (-len(text), text))))
