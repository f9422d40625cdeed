"""Text that may be UTF-16: most Windows tools write it as soon as their output is redirected."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from itertools import accumulate

from kmclcheck.traces.base import ByteSource
from kmclcheck.traces.lines import BLOCK_SIZE, MAX_LINE, TOO_LONG, LineBlock, read_lines

UTF8, LITTLE, BIG = "utf-8", "utf-16-le", "utf-16-be"
_MARKS = ((b"\xff\xfe", LITTLE), (b"\xfe\xff", BIG), (b"\xef\xbb\xbf", UTF8))
_REPLACEMENT = "\ufffd"
_LONE = re.compile("[\ud800-\udfff]")
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


def encoding_of(head: bytes) -> tuple[str, int]:
    """Return the encoding that a text begins to be in, and the length of its byte-order mark.

    Without a mark, text whose first character has a zero byte is UTF-16: traces begin in ASCII.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    if len(head) > 1 and head[0] and not head[1]:
        return LITTLE, 0
    if len(head) > 1 and head[1] and not head[0]:
        return BIG, 0
    return UTF8, 0


def head_text(head: bytes) -> str:
    """Return the first piece of a file as text, for recognising its format."""
    encoding, mark = encoding_of(head)
    return head[mark:].decode(encoding, "replace")


def read_text_lines(source: ByteSource) -> Iterator[LineBlock]:
    """Give the lines of a source in UTF-8 or UTF-16; offsets are those of the file."""
    encoding, mark = encoding_of(source.head)
    return read_lines(source) if encoding == UTF8 else _read_wide(source, encoding, mark)


def _read_wide(source: ByteSource, encoding: str, mark: int) -> Iterator[LineBlock]:
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    number, offset = 1, mark
    rest = ""
    skipped = 0  # bytes of an overlong line that were read and forgotten
    begun = False
    while piece := source.read(BLOCK_SIZE):
        text = decoder.decode(piece)
        if not begun:
            begun = True
            text = text[1:] if mark else text
        if skipped:
            cut = text.find("\n")
            if cut < 0:
                skipped += _size(text)
                continue
            yield LineBlock(number, [TOO_LONG], [offset])
            number += 1
            offset += skipped + _size(text[: cut + 1])
            skipped = 0
            text = text[cut + 1 :]
        text = rest + text
        cut = text.rfind("\n")
        rest = text[cut + 1 :]
        if cut >= 0:
            block = _block(text[:cut], number, offset)
            yield block
            number += len(block.lines)
            offset = block.offsets[-1]
        if len(rest) > MAX_LINE:
            skipped, rest = _size(rest), ""
    cut_off = bool(decoder.getstate()[0])  # half a character
    if skipped:
        yield LineBlock(number, [TOO_LONG], [offset], unfinished=True)
    elif rest or cut_off:
        block = _block(rest + _REPLACEMENT * cut_off, number, offset)
        replaced = block.replaced | {0} if cut_off else block.replaced
        yield LineBlock(number, block.lines, block.offsets, replaced, unfinished=True)


def _size(text: str) -> int:
    return 2 * (len(text) + (0 if text.isascii() else len(_ASTRAL.findall(text))))


def _block(text: str, first: int, offset: int) -> LineBlock:
    lines = text.split("\n")
    offsets = list(accumulate((_size(line) + 2 for line in lines), initial=offset))
    replaced = set[int]()
    ascii = text.isascii()
    for index, line in enumerate(lines):
        if len(line) > MAX_LINE:
            lines[index] = TOO_LONG
            continue
        if not ascii and _LONE.search(line):
            line = _LONE.sub(_REPLACEMENT, line)
            replaced.add(index)
        lines[index] = line.removesuffix("\r")
    return LineBlock(first, lines, offsets, frozenset(replaced), ascii=ascii)
