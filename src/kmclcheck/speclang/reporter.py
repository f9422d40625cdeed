"""Collects the diagnostics of one run, with source lines and suggestions."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from kmclcheck.diagnostics import Diagnostic, Level, Span
from kmclcheck.speclang.syntax import Name


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was most likely meant, or ``None``."""
    candidates = sorted(set(known))
    folded = {c.lower(): c for c in reversed(candidates)}
    if name.lower() in folded:
        return folded[name.lower()]
    found = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    return found[0] if found else None


class Reporter:
    """Keeps each fault once, however many events or expansions run into it.

    ``broken`` are names whose declaration could not be parsed: not finding them is no second fault.
    """

    def __init__(self, texts: dict[str, str]) -> None:
        self._lines = {path: text.split("\n") for path, text in texts.items()}
        self._seen: set[tuple[Span | None, str]] = set()
        self.diagnostics: list[Diagnostic] = []
        self.broken: set[str] = set()

    def error(self, message: str, span: Span | None, help: str | None = None, topic: str = "") -> None:
        """Record an error. Errors with the same place and ``topic`` count as one."""
        key = (span, topic or message)
        if key in self._seen:
            return
        self._seen.add(key)
        self.diagnostics.append(Diagnostic(Level.ERROR, message, span, self._line(span), help))

    def unknown(self, what: str, name: Name, known: Iterable[str], help: str | None = None) -> None:
        """Record that ``name`` is not a ``what``, and propose the nearest name that is."""
        if name.text in self.broken:
            return
        names = list(known)
        close = nearest(name.text, names)
        if close is not None:
            help = f"did you mean `{close}`?"
        elif help is None and 0 < len(names) <= 12:
            help = f"known here: {', '.join(f'`{n}`' for n in names)}"
        self.error(f"unknown {what} `{name.text}`", name.span, help, topic=f"unknown {what}")

    def ordered(self) -> list[Diagnostic]:
        """Return what was found in the order of the files."""
        order = {path: index for index, path in enumerate(self._lines)}

        def key(diagnostic: Diagnostic) -> tuple[int, int, int]:
            span = diagnostic.span
            return (order.get(span.path, -1), span.line, span.column) if span else (-1, 0, 0)

        return sorted(self.diagnostics, key=key)

    def _line(self, span: Span | None) -> str | None:
        if span is None:
            return None
        lines = self._lines.get(span.path, [])
        return lines[span.line - 1] if 0 < span.line <= len(lines) else None
