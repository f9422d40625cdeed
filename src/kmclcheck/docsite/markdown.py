"""Pages as Markdown: tables, relative links and Mermaid, as readers of repositories show them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from kmclcheck.docsite.blocks import (
    Block,
    Bullets,
    Code,
    Facts,
    Figure,
    Heading,
    Inline,
    Line,
    Link,
    Mark,
    Note,
    Page,
    Para,
    Pre,
    Table,
)
from kmclcheck.docsite.places import relative
from kmclcheck.docsite.site import Site
from kmclcheck.model.words import safe

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&!])")
_LINE_START = re.compile(r"^(\d+)([.)])|^([-+])(?=\s|$)")


def render(site: Site, pages: Sequence[Page]) -> dict[str, str]:
    """Return the pages by path."""
    return {f"{page.path}.md": _page(page) for page in pages}


def _page(page: Page) -> str:
    folder = posixpath.dirname(page.path)
    parts = [f"# {_text(page.title)}"]
    if page.path != "index":
        home = relative(Link("", "index"), folder, ".md")
        parts.append(f"[Home]({home})")
    if page.summary:
        parts.append(_start(_text(" ".join(page.summary.split()))))
    parts += [text for block in page.blocks if (text := _block(block, folder))]
    return "\n\n".join(parts) + "\n"


def _block(block: Block, folder: str) -> str:
    match block:
        case Heading(level, text, anchor):
            # An anchor of its own: readers of Markdown do not agree on how headings are called.
            return f'<a id="{anchor}"></a>\n\n{"#" * level} {_text(text)}'
        case Para(line):
            return _start(_line(line, folder))
        case Bullets(entries):
            return "\n".join(f"- {_line(entry, folder)}" for entry in entries)
        case Facts(rows):
            return "\n".join(f"- **{_text(term)}**: {_line(line, folder)}" for term, line in rows)
        case Table():
            return _table(block, folder)
        case Pre(text):
            return _fenced(text, "text")
        case Figure(_, caption, mermaid):
            # A picture of a trace has no Mermaid; the trace itself stands below it.
            return f"{_fenced(mermaid, 'mermaid')}\n\n{_start(_text(caption))}" if mermaid else ""
        case Note(title, lines):
            told = [f"**{_text(title)}.**", *(_line(line, folder) for line in lines)]
            return "\n>\n".join(f"> {text}" for text in told)


def _table(table: Table, folder: str) -> str:
    lines = [_row([_text(head) for head in table.head]), _row(["---"] * len(table.head))]
    for row in table.rows:
        cells = [_line(cell.line, folder, table=True) for cell in row.cells]
        if row.anchor:
            cells[0] = f'<a id="{row.anchor}"></a>{cells[0]}'
        lines.append(_row(cells))
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _line(line: Line, folder: str, table: bool = False) -> str:
    return "".join(_inline(piece, folder, table) for piece in line).strip()


def _inline(piece: Inline, folder: str, table: bool) -> str:
    match piece:
        case Link(text, code=code):
            return f"[{_code(text, table) if code else _text(text)}]({relative(piece, folder, '.md')})"
        case Code(text):
            # Spaces at an end belong beside the code, not into it.
            body = text.strip()
            lead, tail = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
            return f"{lead}{_code(body, table)}{tail}" if body else text
        case Mark(text):
            return f"**{_text(text)}**"
        case _:
            return _text(piece.text)


def _code(text: str, table: bool) -> str:
    text = safe(" ".join(text.split()))
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    # In a table even code ends at a bar.
    text = text.replace("|", "\\|") if table else text
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _text(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", safe(text.replace("\n", " ")))


def _start(text: str) -> str:
    return _LINE_START.sub(lambda m: f"{m[1]}\\{m[2]}" if m[1] else f"\\{m[3]}", text)


def _fenced(text: str, language: str) -> str:
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    body = "\n".join(safe(line) for line in text.split("\n"))
    return f"{ticks}{language}\n{body}\n{ticks}"
