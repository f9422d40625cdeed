"""Text of unknown origin made safe to show: traces and paths are untrusted."""

from __future__ import annotations


def safe(text: str) -> str:
    r"""Return the text with everything that does not print shown as ``\x1b``, ``\u202e`` and so on.

    Covers control characters (terminal escapes, line ends), invisible and bidirectional format
    characters, and lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def encodable(text: str, encoding: str | None) -> str:
    """Return the text with what the encoding cannot carry shown as an escape."""
    try:
        text.encode(encoding or "ascii")
    except UnicodeEncodeError:
        return text.encode(encoding or "ascii", "backslashreplace").decode(encoding or "ascii")
    except LookupError:
        return text.encode("ascii", "backslashreplace").decode("ascii")
    return text


def _escaped(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    return f"\\U{code:08x}"
