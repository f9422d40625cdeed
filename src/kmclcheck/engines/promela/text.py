"""Pieces of Promela: conditions that fold as far as they are known, and sets of values as bit masks."""

from __future__ import annotations

import re
from collections.abc import Iterable

Bool = str | bool
"""A condition: known, or the text of an expression that is a name, in parentheses, or ``!`` before these."""

# The second part are words of C: members of a typedef become members of a C struct.
_WORDS = """
    active always assert atomic bit bool break byte chan d_step do else empty enabled end eval eventually
    false fi for full get_priority goto hidden if in init inline int len local ltl mtype nempty never nfull
    notrace np_ nr_pr od of pc_value pid printf printm priority proctype progress provided return run
    select set_priority short show skip timeout trace true typedef union unless unsigned until weak xr xs
    auto case char const continue default double enum extern float long register restrict signed sizeof
    static struct switch void volatile while accept known call depth frame
"""
_RESERVED = frozenset(_WORDS.split())
_WORD = re.compile(r"\W")


def member(name: str) -> str:
    """Return a name that Promela and C take as one of a member."""
    plain = _WORD.sub("_", name)
    return plain + "_" if plain in _RESERVED else plain


def negation(one: Bool) -> Bool:
    """Return the negation of a condition."""
    if isinstance(one, bool):
        return not one
    return one[1:] if one.startswith("!") else "!" + one


def every(parts: Iterable[Bool]) -> Bool:
    """Return the conjunction of conditions."""
    return _joined(parts, " && ", True)


def some(parts: Iterable[Bool]) -> Bool:
    """Return the disjunction of conditions."""
    return _joined(parts, " || ", False)


def _joined(parts: Iterable[Bool], word: str, neutral: bool) -> Bool:
    kept: dict[str, None] = {}
    for part in parts:
        if isinstance(part, str):
            if negation(part) in kept:
                return not neutral
            kept[part] = None
        elif part is not neutral:
            return part
    if not kept:
        return neutral
    return next(iter(kept)) if len(kept) == 1 else f"({word.join(kept)})"


def bare(one: Bool) -> str:
    """Return the text of a condition without parentheses that nothing asks for."""
    if isinstance(one, bool):
        return "true" if one else "false"
    return one[1:-1] if one.startswith("(") else one


def when(condition: Bool, yes: str, no: str) -> str:
    """Return a conditional expression."""
    if isinstance(condition, bool):
        return yes if condition else no
    return yes if yes == no else f"({condition} -> {yes} : {no})"


def union(parts: Iterable[str]) -> str:
    """Return the union of bit sets; 0 is the empty one."""
    kept = list(dict.fromkeys(part for part in parts if part != "0"))
    if not kept:
        return "0"
    return kept[0] if len(kept) == 1 else f"({' | '.join(kept)})"


def said(text: str) -> str:
    """Return text that can stand in a comment."""
    return " ".join(text.replace("*/", "* /").replace("/*", "/ *").split())
