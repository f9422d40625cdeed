"""Positions and messages about bad input. Pure data: nothing here reads or prints."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How much a diagnostic matters: an error stops the work it is about, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a text file: 1-based line and column, and the number of characters marked."""

    path: str
    line: int
    column: int = 1
    length: int = 1


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One message about one place: what is wrong, the source line it stands in, and a way out."""

    level: Level
    message: str
    span: Span | None = None
    source_line: str | None = None
    help: str | None = None

    def render(self) -> str:
        """Return the message in rustc's manner: position, source line, caret, help."""
        lines = [f"{self.level.value}: {self.message}"]
        if self.span is not None:
            lines.append(f"  --> {self.span.path}:{self.span.line}:{self.span.column}")
            if self.source_line is not None:
                number = str(self.span.line)
                shown = self.source_line.replace("\t", " ")
                caret = " " * (self.span.column - 1) + "^" * max(1, self.span.length)
                lines.append(f"  {number} | {shown}")
                lines.append(f"  {' ' * len(number)} | {caret}")
        if self.help:
            lines.append(f"  = help: {self.help}")
        return "\n".join(lines)


class InputError(Exception):
    """Input the user can mend; carries every diagnostic found, never just the first."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        super().__init__("\n".join(d.render() for d in diagnostics))
        self.diagnostics = diagnostics
