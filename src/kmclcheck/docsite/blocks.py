"""What pages are made of: inline pieces and blocks that know nothing of HTML or Markdown.

Texts are plain: a renderer escapes them. A link names a page and perhaps a place on it; the renderer makes
it relative to the page it stands on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Code:
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A short word that stands out; ``kind`` is the class of its style."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Link:
    """To a page (``rules/some-id``), and to a place on it; ``file`` is any other file of the site."""

    text: str
    page: str
    anchor: str = ""
    code: bool = False
    file: bool = False


Inline = Text | Code | Mark | Link
Line = Sequence[Inline]


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Para:
    line: Line
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Bullets:
    entries: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Facts:
    """Terms with what is said of each."""

    rows: Sequence[tuple[str, Line]]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table; ``kind`` is the class of its style."""

    line: Line
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    cells: Sequence[Cell]
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """``dense`` tables scroll sideways on a small screen; the rows of others become cards."""

    head: Sequence[str]
    rows: Sequence[Row]
    dense: bool = False


@dataclass(frozen=True, slots=True)
class Pre:
    """Text that keeps its lines; ``label`` says what it is to those who cannot see it."""

    text: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture as SVG, or as Mermaid where there is one; ``caption`` is plain text."""

    svg: str
    caption: str
    mermaid: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Lines that stand apart, with a title; ``kind`` is the class of the style."""

    title: str
    lines: Sequence[Line]
    kind: str


Block = Heading | Para | Bullets | Facts | Table | Pre | Figure | Note


@dataclass(slots=True)
class Page:
    """A page: ``path`` has no suffix, ``kind`` is what the search says it is, ``summary`` its first line.

    ``words`` are found by the search besides; ``menu`` is the title in the menu, if it is another one.
    """

    path: str
    title: str
    kind: str
    summary: str
    blocks: list[Block] = field(default_factory=list)
    words: str = ""
    menu: str = ""

    def heading(self, text: str, anchor: str = "", level: int = 2) -> None:
        """Begin a section; without an anchor it is called after its text, in small letters."""
        self.blocks.append(Heading(level, text, anchor or anchor_of(text).lower()))


def anchor_of(text: str) -> str:
    """Return a name for a place on a page, made from its text: letters, digits, dots, ``_`` and ``-``."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text)
    return kept.strip("-") or "place"


def plain(line: Line) -> str:
    """Return the words of a line without what they link to."""
    return "".join(piece.text for piece in line)


def joined(lines: Sequence[Line], between: str = ", ") -> list[Inline]:
    """Return the lines as one."""
    found: list[Inline] = []
    for line in lines:
        if found:
            found.append(Text(between))
        found += line
    return found
