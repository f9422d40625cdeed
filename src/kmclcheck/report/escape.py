"""Text of unknown origin made safe to show: traces and paths are untrusted."""

from __future__ import annotations

from kmclcheck.model.words import safe as safe


def encodable(text: str, encoding: str | None) -> str:
    """Return the text with what the encoding cannot carry shown as an escape."""
    try:
        text.encode(encoding or "ascii")
    except UnicodeEncodeError:
        return text.encode(encoding or "ascii", "backslashreplace").decode(encoding or "ascii")
    except LookupError:
        return text.encode("ascii", "backslashreplace").decode("ascii")
    return text
