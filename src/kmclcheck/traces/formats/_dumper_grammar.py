"""Lines of ``xperf -a dumper`` read by their grammar: the definition, and the path for all but rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lark import Lark


class Kind(Enum):
    """What a line is."""

    BEGIN = "begin"
    END = "end"
    FACTS = "facts"
    ROW = "row"


@dataclass(frozen=True, slots=True)
class DumperLine:
    """A line with its cells, without blanks around them; strings keep their quotes."""

    kind: Kind
    cells: tuple[str, ...]


@cache
def _parser() -> Lark:
    from importlib.resources import files

    from lark import Lark

    grammar = files("kmclcheck.traces.formats").joinpath("dumper.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer="contextual", propagate_positions=False)


def by_grammar(line: str) -> DumperLine:
    """Read a line. Every text is a line of some kind."""
    from lark import Token

    (node,) = _parser().parse(line).children
    assert not isinstance(node, Token)
    kind = Kind(str(node.data))
    cells: list[str] = []
    for child in node.children:
        if isinstance(child, Token):
            cells.append(str(child).strip(" \t"))
        else:
            cells.append("".join(str(token) for token in child.children).strip(" \t"))
    return DumperLine(kind, tuple(cells))
