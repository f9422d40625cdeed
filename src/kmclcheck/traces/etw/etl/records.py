"""Records in a buffer: where they lie, how long they are, when they were written."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct

# The byte at +3 tells the family of a record, the one before it the kind within the family.
_MARKED, WPP = 0x80, 0x90
_START = Struct("<HBB")
_SIZE_LATER = Struct("<H")
_TIME = Struct("<Q")

# Kinds by where their size stands, where their time stands, and the bytes of their header.
SYSTEM = frozenset({1, 2})
COMPACT = frozenset({3, 4})
PERF = frozenset({16, 17})
FULL = frozenset({10, 20})
INSTANCE = frozenset({11, 21})
EVENT = frozenset({18, 19})
_SIZE_AT_4 = SYSTEM | COMPACT | PERF
_TIME_AT = {**dict.fromkeys(SYSTEM | COMPACT | FULL | INSTANCE | EVENT, 16), **dict.fromkeys(PERF, 8)}
HEADER_SIZE = {
    **dict.fromkeys(SYSTEM, 32), **dict.fromkeys(COMPACT, 24), **dict.fromkeys(PERF, 16),
    **dict.fromkeys(FULL | INSTANCE, 48), **dict.fromkeys(EVENT, 80),
}  # fmt: skip
# A WPP message: what follows its 8 bytes is told by flags, in this order.
MESSAGE_HEADER = 8
HAS_SEQUENCE, HAS_GUID, HAS_COMPONENT, HAS_TIME, HAS_PERF_TIME, HAS_THREAD = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20
_MESSAGE_FLAGS = Struct("<HH")
ALIGN = 8
# Places of several buffers of the largest size.
PLACE_BITS = 26
PLACE = (1 << PLACE_BITS) - 1


def message_layout(flags: int) -> tuple[int, int | None, int | None, int]:
    """Return where GUID or component, time, and thread of a message stand, and where its data begins.

    0 or ``None`` stands for what is absent.
    """
    at = MESSAGE_HEADER + (4 if flags & HAS_SEQUENCE else 0)
    who, time, thread = 0, None, None
    if flags & HAS_GUID:
        who, at = at, at + 16
    elif flags & HAS_COMPONENT:
        who, at = at, at + 4
    if flags & (HAS_TIME | HAS_PERF_TIME):
        time, at = at, at + 8
    if flags & HAS_THREAD:
        thread, at = at, at + 8
    return who, time, thread, at


def first_time(data: bytes) -> int | None:
    """Return the raw time of the record that ``data`` begins with, if it has one."""
    if len(data) < MESSAGE_HEADER:
        return None
    _, kind, marker = _START.unpack_from(data)
    at: int | None
    if marker & 0xF0 == WPP:
        at = message_layout(_MESSAGE_FLAGS.unpack_from(data, 4)[1])[1]
    else:
        at = _TIME_AT.get(kind) if marker & _MARKED else None
    if at is None or at + _TIME.size > len(data):
        return None
    time: int = _TIME.unpack_from(data, at)[0]
    return time


@dataclass(slots=True)
class Scan:
    """The records of a buffer, and from where on it could not be read.

    An entry is a record's raw time above PLACE_BITS bits of its place: one number takes a third of the
    memory of a pair, and is compared faster.
    """

    entries: list[int] = field(default_factory=list)
    broken: tuple[int, str] | None = None


def scan(data: bytes, time: int) -> Scan:
    """Find the records of a buffer. A record without a time gets that of its predecessor, or ``time``."""
    found = Scan()
    add = found.entries.append
    start, time_at = _START.unpack_from, _TIME.unpack_from
    at, end = 0, len(data)
    while at + MESSAGE_HEADER <= end:
        size, kind, marker = start(data, at)
        if kind in EVENT and marker & _MARKED and marker & 0xF0 != WPP:
            if size < 80 or at + size > end:
                found.broken = at, _wrong_size(size, at, end)
                break
            (time,) = time_at(data, at + 16)
        else:
            problem, size, time = _other(data, at, end, time)
            if problem:
                found.broken = at, problem
                break
            if not size:
                break
        add(time << PLACE_BITS | at)
        at += (size + 7) & -ALIGN
    else:
        if at < end and any(data[at:end]):
            found.broken = at, "the buffer ends inside the header of a record"
    return found


def _other(data: bytes, at: int, end: int, time: int) -> tuple[str, int, int]:
    """Return what is wrong with a record of a rarer kind, its size, and its time.

    A size of 0 stands for the end of the buffer.
    """
    size, kind, marker = _START.unpack_from(data, at)
    if not marker & _MARKED:
        # The rest of a buffer may be zeros, or what was there before.
        if any(data[at : at + MESSAGE_HEADER]):
            return "no record begins here", 0, time
        return "", 0, time
    time_at: int | None
    if marker & 0xF0 == WPP:
        _, time_at, _, least = message_layout(_MESSAGE_FLAGS.unpack_from(data, at + 4)[1])
    elif kind in _TIME_AT:
        if kind in _SIZE_AT_4:
            (size,) = _SIZE_LATER.unpack_from(data, at + 4)
        least, time_at = HEADER_SIZE[kind], _TIME_AT[kind]
    else:
        return f"a record is of kind {kind}, which nobody knows", 0, time
    if size < least or at + size > end:
        return _wrong_size(size, at, end), 0, time
    if time_at is not None:
        (time,) = _TIME.unpack_from(data, at + time_at)
    return "", size, time


def _wrong_size(size: int, at: int, end: int) -> str:
    if at + size > end:
        return f"a record of {size} bytes begins {end - at} bytes before the end of the buffer"
    return f"a record of {size} bytes is shorter than its header"
