"""Plain LZXPRESS, in which newer sessions compress their buffers.

The data is a series of groups: 32 flag bits, then what they announce, highest bit first. A bit 0 is a byte
taken as it is, a bit 1 a match: 13 bits of distance and 3 bits of length, which longer matches continue in
half bytes, a byte, two bytes or four (published by Microsoft as MS-XCA, section 2.3 and 2.4).
"""

from __future__ import annotations

import struct
from struct import Struct

_FLAGS = Struct("<I")
_PAIR = Struct("<H")
GROUP = 32
MIN_MATCH = 3
# Lengths at which a match goes on in its next, wider place.
_IN_PAIR, _IN_HALF, _IN_BYTE = 7, 15, 255


class CompressionError(ValueError):
    """The data is damaged. ``whole`` is what could be expanded before."""

    def __init__(self, message: str, whole: bytes) -> None:
        super().__init__(message)
        self.whole = whole


def expand(data: bytes, limit: int) -> bytes:
    """Return the first ``limit`` bytes of what was compressed, or all of it.

    Never holds more than ``limit`` bytes of it. Raises CompressionError.
    """
    out = bytearray()
    at, end = 0, len(data)
    shared = -1  # where the half byte lies that the next long match uses
    try:
        while len(out) < limit and at < end:
            (flags,) = _FLAGS.unpack_from(data, at)
            at += 4
            left = GROUP
            while left:
                # All bytes up to the next match at once.
                plain = left - flags.bit_length()
                if plain:
                    out += data[at : at + plain]
                    at += plain
                    left -= plain
                    if at >= end or not left:
                        break
                if at == end or len(out) >= limit:
                    break
                left -= 1
                flags &= (1 << left) - 1
                (pair,) = _PAIR.unpack_from(data, at)
                at += 2
                length = pair & 7
                if length == _IN_PAIR:
                    if shared < 0:
                        shared = at
                        more = data[at] & 15
                        at += 1
                    else:
                        more = data[shared] >> 4
                        shared = -1
                    length += more
                    if more == _IN_HALF:
                        more = data[at]
                        at += 1
                        length += more
                        if more == _IN_BYTE:
                            (length,) = _PAIR.unpack_from(data, at)
                            at += 2
                            if not length:
                                (length,) = _FLAGS.unpack_from(data, at)
                                at += 4
                            if length < _IN_PAIR + _IN_HALF:
                                raise CompressionError("a match is too short for its form", bytes(out))
                length += MIN_MATCH
                start = len(out) - (pair >> 3) - 1
                if start < 0:
                    raise CompressionError("a match begins before the data", bytes(out))
                _copy(out, start, min(length, limit - len(out)))
    except (IndexError, struct.error):
        raise CompressionError("the data ends inside a match", bytes(out[:limit])) from None
    return bytes(out[:limit])


def _copy(out: bytearray, start: int, length: int) -> None:
    """Append ``length`` bytes from ``start`` on; they may run into what is being appended."""
    piece = out[start : start + length]
    if len(piece) < length:
        piece = (piece * (length // len(piece) + 1))[:length]
    out += piece


def compress(data: bytes) -> bytes:
    """Return the data in this form, taken byte by byte without matches: for tests of the reader."""
    pieces = []
    for at in range(0, len(data), GROUP):
        piece = data[at : at + GROUP]
        # Flags beyond the end are 1, which there means the end.
        unused = GROUP - len(piece)
        pieces += [_FLAGS.pack((1 << unused) - 1), piece]
    return b"".join(pieces)
