"""Lines of coloured text on a stream that may carry neither colour nor every character."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from kmclcheck.model.spec import Severity
from kmclcheck.report.escape import encodable, safe

if TYPE_CHECKING:
    from rich.console import Console

Segment = tuple[str, str]
"""A piece of a line and its style in rich's words; an empty style is plain."""


class Painter:
    """Writes lines. Escapes whatever does not print, so callers pass text as it came.

    ``unicode`` says whether the glyphs ``→ │ ┊`` can be used; ASCII stands in for them otherwise.
    """

    def __init__(self, stream: TextIO, colour: bool) -> None:
        self._stream = stream
        self._encoding: str | None = getattr(stream, "encoding", None) or "utf-8"
        self._console: Console | None = _console(stream) if colour else None
        self.unicode = encodable("→│┊", self._encoding) == "→│┊"
        self.arrow = "→" if self.unicode else "->"
        self.bar = "│" if self.unicode else "|"
        self.gap = "┊" if self.unicode else ":"

    def line(self, *segments: Segment) -> None:
        """Write one line made of the segments."""
        cleaned = [(encodable(safe(text), self._encoding), style) for text, style in segments]
        if self._console is None:
            self._stream.write("".join(text for text, _ in cleaned).rstrip() + "\n")
            return
        from rich.text import Text

        # Text.append takes the words as they are: no markup is read out of a trace.
        line = Text(no_wrap=True, overflow="ignore")
        for text, style in cleaned:
            line.append(text, style=style or None)
        self._console.print(line, soft_wrap=True)

    @staticmethod
    def severity(severity: Severity) -> str:
        """Return the style of a severity."""
        return "bold red" if severity is Severity.ERROR else "bold yellow"


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(
        file=stream, force_terminal=True, color_system="standard", markup=False, highlight=False, emoji=False
    )
