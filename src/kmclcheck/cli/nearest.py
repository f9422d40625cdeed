"""Suggestions for mistyped names."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Return the known names most like the word, best first; none if nothing is near."""
    from difflib import get_close_matches  # only needed when something is already wrong

    names = sorted(known)
    close = get_close_matches(word, names, n=limit, cutoff=0.6)
    return close or [name for name in names if word and word.lower() in name.lower()][:limit]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean a, b or c?``, or "" if nothing is near."""
    names = nearest(word, known)
    if not names:
        return ""
    *most, last = names
    return f"; did you mean {', '.join(most) + ' or ' if most else ''}{last}?"
