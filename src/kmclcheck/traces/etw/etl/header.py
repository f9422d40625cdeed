"""What the first record of a log says about the whole: clock, losses, how it was written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

# A buffer's own header; the first record of the first buffer follows it.
BUFFER_HEADER = 0x48
_SYSTEM = Struct("<HBBHBBIIQ8x")
_FACTS = Struct("<IIIIQIIIIIII")
_CLOCK = Struct("<QQQII")
# Two pointers lie between the facts and the time zone, so the clock's place depends on their width.
_CLOCK_AT = {4: 0xF0, 8: 0xF8}
HEADER_NEEDED = BUFFER_HEADER + _SYSTEM.size + _CLOCK_AT[8] + _CLOCK.size

SEQUENTIAL, CIRCULAR, BUFFERING, COMPRESSED_MODE, ONE_QUEUE = 0x1, 0x2, 0x400, 0x400_0000, 0x1000_0000
FILETIME_TICKS = 10_000_000
_NS = 1_000_000_000
# Windows knows at most 2048 processors.
MAX_CPUS = 2048


class Clock(IntEnum):
    """What the raw times of a log count."""

    QPC = 1
    FILETIME = 2
    CYCLES = 3


class HeaderError(ValueError):
    """The first buffer is not that of a log."""


@dataclass(frozen=True, slots=True)
class LogHeader:
    """The facts of a log. Times are FILETIME (100 ns since 1601), ``origin`` is a raw time.

    ``frequency`` is in ticks a second. ``buffers`` is 0 if the session never ended well.
    """

    buffer_size: int
    cpus: int
    mode: int
    buffers: int
    pointer_size: int
    events_lost: int
    buffers_lost: int
    clock: Clock
    frequency: int
    start_time: int
    origin: int
    doubt: str = ""

    @property
    def resolution(self) -> int:
        """Nanoseconds within which two times may be equal."""
        step = -(-_NS // self.frequency)
        return max(step, 100) if self.clock is Clock.FILETIME else step

    @property
    def keeps_the_newest(self) -> bool:
        """Whether old buffers gave way to new ones, in the file or in memory."""
        return bool(self.mode & (CIRCULAR | BUFFERING))

    @property
    def one_queue(self) -> bool:
        """Whether all CPUs wrote into the same buffers, which then do not tell the CPU."""
        return bool(self.mode & ONE_QUEUE)

    def ns(self, raw: int) -> int:
        """Return the time after the log's origin in nanoseconds."""
        return (raw - self.origin) * _NS // self.frequency

    def raw(self, filetime: int) -> int:
        """Return the raw time of a moment."""
        return self.origin + (filetime - self.start_time) * self.frequency // FILETIME_TICKS


def looks_like_log(head: bytes) -> bool:
    """Say whether a file begins with a buffer whose first record is the header of a log."""
    record = head[BUFFER_HEADER : BUFFER_HEADER + 8]
    # A system header of either width, then the group and type of the header event.
    return len(record) == 8 and record[2] in (1, 2) and record[3] == 0xC0 and record[6:8] == b"\0\0"


def read_header(payload: bytes) -> LogHeader:
    """Read the header from what the first buffer holds. Raises HeaderError."""
    if len(payload) < HEADER_NEEDED - BUFFER_HEADER:
        raise HeaderError("the file ends inside the header of the log")
    _, kind, marker, _, event, group, _, _, origin = _SYSTEM.unpack_from(payload)
    if marker != 0xC0 or kind not in (1, 2) or event or group:
        raise HeaderError("the first record is not the header of an event trace log")
    facts = _FACTS.unpack_from(payload, _SYSTEM.size)
    size, _, _, cpus, _, _, _, mode, buffers, _, width, lost = facts
    if width not in _CLOCK_AT:
        raise HeaderError(f"the header says that a pointer has {width} bytes, not 4 or 8")
    _, frequency, start, clock, buffers_lost = _CLOCK.unpack_from(payload, _SYSTEM.size + _CLOCK_AT[width])
    (megahertz,) = Struct("<I").unpack_from(payload, _SYSTEM.size + _FACTS.size)
    return _with_clock(
        clock, frequency, megahertz,
        size, min(cpus, MAX_CPUS), mode, buffers, width, lost, buffers_lost, start, origin,
    )  # fmt: skip


def _with_clock(
    clock: int, frequency: int, megahertz: int,
    size: int, cpus: int, mode: int, buffers: int, width: int, lost: int, buffers_lost: int, start: int,
    origin: int,
) -> LogHeader:  # fmt: skip
    doubt = ""
    if clock == Clock.FILETIME:
        frequency = FILETIME_TICKS
    elif clock == Clock.CYCLES:
        frequency = megahertz * 1_000_000
    elif clock != Clock.QPC:
        doubt, clock = f"the header names clock {clock}, which is none; taken as the performance counter", 1
    if not frequency or frequency > _NS * 100:
        doubt = f"the clock ticks {frequency} times a second, says the header; times are not to be trusted"
        frequency = FILETIME_TICKS
    return LogHeader(
        size, cpus, mode, buffers, width, lost, buffers_lost, Clock(clock), frequency, start, origin, doubt
    )
