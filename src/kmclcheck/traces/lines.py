"""Lines of a text trace, read in blocks: bounded memory, however long a line is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

from kmclcheck.traces.base import ByteSource

MAX_LINE = 64 * 1024
BLOCK_SIZE = 32 * 1024

# Stands in for a line above MAX_LINE; compared by identity, so no input can forge it.
TOO_LONG = "".join(["\x00", "line too long"])


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Consecutive lines without their ends, and the byte offset of each.

    ``replaced`` holds the indices of lines with bytes that are not UTF-8. ``unfinished``: the
    input ended inside the last line.
    """

    first: int
    lines: list[str]
    offsets: list[int]
    replaced: frozenset[int] = frozenset()
    unfinished: bool = False
    ascii: bool = False


def read_lines(source: ByteSource) -> Iterator[LineBlock]:
    """Give the lines of a source. LF and CRLF end a line; a UTF-8 byte-order mark is dropped."""
    number, offset = 1, 0
    rest = b""
    skipped = 0  # bytes of an overlong line that were read and forgotten
    begun = False
    while piece := source.read(BLOCK_SIZE):
        if skipped:
            cut = piece.find(b"\n")
            if cut < 0:
                skipped += len(piece)
                continue
            yield LineBlock(number, [TOO_LONG], [offset])
            number += 1
            offset += skipped + cut + 1
            skipped = 0
            piece = piece[cut + 1 :]
        data = rest + piece if rest else piece
        if not begun:
            begun = True  # the first piece is never shorter than the mark
            if data.startswith(b"\xef\xbb\xbf"):
                data = data[3:]
                offset = 3
        cut = data.rfind(b"\n")
        rest = data[cut + 1 :]
        if cut >= 0:
            block = _block(data[:cut], number, offset)
            yield block
            number += len(block.lines)
            offset += cut + 1
        if len(rest) > MAX_LINE:
            skipped, rest = len(rest), b""
    if skipped:
        yield LineBlock(number, [TOO_LONG], [offset], unfinished=True)
    elif rest:
        block = _block(rest, number, offset)
        yield replace(block, unfinished=True)


def _block(data: bytes, first: int, offset: int) -> LineBlock:
    replaced = set[int]()
    if data.isascii():
        lines = data.decode("ascii").split("\n")
        sizes = [len(line) + 1 for line in lines]
    else:
        pieces = data.split(b"\n")
        sizes = [len(piece) + 1 for piece in pieces]
        lines = []
        for index, piece in enumerate(pieces):
            try:
                lines.append(piece.decode("utf-8"))
            except UnicodeDecodeError:
                lines.append(piece.decode("utf-8", "replace"))
                replaced.add(index)
    if b"\r" in data:
        lines = [line[:-1] if line.endswith("\r") else line for line in lines]
    if max(sizes) > MAX_LINE + 1:
        lines = [TOO_LONG if size > MAX_LINE + 1 else line for line, size in zip(lines, sizes, strict=True)]
    offsets = list(accumulate(sizes, initial=offset))
    return LineBlock(first, lines, offsets, frozenset(replaced), ascii=data.isascii())
