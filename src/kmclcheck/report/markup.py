"""Text of unknown origin in Markdown, where it must not become markup."""

from __future__ import annotations

import re

from kmclcheck.report.escape import safe

_LINE = 1000
_MARKUP = re.compile(r"[\\`*_\[\]<>&|~#@]|:(?=//)|(?<=www)\.|^[-+=]")


def code(text: str) -> str:
    """Return the text as a code span, in a longer row of backticks than any that is in it."""
    shown = _shown(text)
    ticks = "`" * (_longest_row(shown) + 1)
    # A space at both sides is taken away again; without, backticks at the edge would join.
    return f"{ticks} {shown} {ticks}" if "`" in shown or not shown.strip() else f"{ticks}{shown}{ticks}"


def fenced(lines: list[str]) -> list[str]:
    """Return the lines as a block of code that nothing in them can end."""
    shown = [_shown(line) for line in lines]
    fence = "`" * max(3, 1 + max((_longest_row(line) for line in shown), default=0))
    return [f"{fence}text", *shown, fence]


def escaped(text: str) -> str:
    """Return words of a specification with everything escaped that could be markup."""
    return _MARKUP.sub(r"\\\g<0>", _shown(" ".join(text.split())))


def _shown(text: str) -> str:
    shown = safe(text)
    return shown if len(shown) <= _LINE else f"{shown[:_LINE]}... ({len(shown) - _LINE:,} more characters)"


def _longest_row(text: str) -> int:
    return max((len(row) for row in re.findall("`+", text)), default=0)
