"""One record of a trace, and what a trace says about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

ArgValue = int | str


class Phase(Enum):
    """Which edge of a call or callback a record stands for; WHOLE is entry and exit at once."""

    CALL = "call"
    RET = "ret"
    IN = "in"
    OUT = "out"
    WHOLE = "whole"

    # Members are singletons; Enum's own hash is a call of Python code on the hot path.
    __hash__ = object.__hash__


class Start(Enum):
    """Whether the trace begins before the driver touched the library."""

    KNOWN = "known"
    MIDLIFE = "midlife"


class End(Enum):
    """Why the trace ends: driver unloaded, a call that never returned, or capture stopped."""

    UNLOADED = "unloaded"
    HUNG = "hung"
    STOPPED = "stopped"


@dataclass(slots=True)
class Event:
    """One record. Absent facts are ``None``; times are nanoseconds from the trace's origin.

    ``status`` is a number, or a name that the specification resolves. ``line`` is 1-based,
    ``offset`` the byte position of the record in its file. Treat as immutable: it is not frozen
    only because building a frozen instance costs four times as much on the hot path.
    """

    name: str
    phase: Phase
    args: dict[str, ArgValue]
    status: ArgValue | None = None
    seq: int | None = None
    time: int | None = None
    cpu: int | None = None
    pid: int | None = None
    tid: int | None = None
    irql: int | None = None
    endpoint: str = ""
    line: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Loss:
    """Events are missing: at this place in the stream, or (``anywhere``) at an unknown place.

    ``count`` is ``None`` when the number is not known. ``reason`` says how the loss was noticed.
    """

    count: int | None = None
    anywhere: bool = False
    reason: str = "the trace says so"
    line: int = 0


@dataclass(slots=True)
class TraceInfo:
    """Header facts. ``records`` holds declared event kinds as ``(name, phase)``.

    ``window`` is the time in nanoseconds within which events of different CPUs have no order
    (clock resolution plus skew); it matters only where events carry no sequence number.
    ``end`` and ``hung_in`` may become known only when the stream is exhausted. ``start_of``: the
    endpoints whose start is known, ``None`` for all of them.
    """

    path: str = "-"
    format: str = "kmtrace"
    start: Start = Start.MIDLIFE
    end: End = End.STOPPED
    records_all: bool = False
    records: set[tuple[str, Phase]] = field(default_factory=set)
    records_not: set[tuple[str, Phase]] = field(default_factory=set)
    records_groups: set[str] = field(default_factory=set)
    records_not_groups: set[str] = field(default_factory=set)
    window: int = 0
    endpoint: str = ""
    lost_anywhere: bool = False
    start_of: frozenset[str] | None = None
