"""What a tracer writes down of a run: how much of it, and how badly."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol, TextIO

from kmclcheck.engines.simulate.kernel import Endpoint, Kernel, Thread

VIEWS = ("both", "host", "guest")
LEVELS = range(6)
MAX_CPUS = 2048
MAX_SKEW = 10**12
_EXITS = ("ret", "out")
_BATCH = 512


@dataclass(frozen=True, slots=True)
class Shape:
    """What a capture holds of a run.

    ``level``: L0 entries only, L1 exits and status too, L2 threads, L3 IRQL, L4 scalar arguments, L5 all
    that at both endpoints; by default the highest of the view. ``from_event``: so many records at the
    beginning are left out. ``drop_rate``: the share of records that are lost, with ``%lost`` in their
    place or, without ``markers``, as gaps in the numbers. ``skew``: how many nanoseconds the clocks of two
    processors differ at most. ``sequence``: records are numbered; if not, they come in the order of the
    clocks. The run is the same for every shape, save that ``cpus`` is a fact of the machines.
    """

    view: str = "both"
    level: int | None = None
    from_event: int = 0
    drop_rate: float = 0.0
    markers: bool = True
    cpus: int = 4
    skew: int = 0
    sequence: bool = True

    def __post_init__(self) -> None:
        wrong = self._wrong()
        if wrong:
            raise ValueError(wrong)

    def _wrong(self) -> str:
        if self.view not in VIEWS:
            return f"the view is one of {', '.join(VIEWS)}"
        if self.level is not None and self.level not in LEVELS:
            return f"levels are L{LEVELS[0]} to L{LEVELS[-1]}"
        if self.level == 5 and self.view != "both":
            return f"level L5 means both endpoints; with the view {self.view!r} there is only one"
        if self.from_event < 0:
            return "the first event has a number from 0 on"
        if not 0 <= self.drop_rate < 1:
            return "the drop rate is at least 0 and below 1"
        if not 1 <= self.cpus <= MAX_CPUS:
            return f"a machine has 1 to {MAX_CPUS} processors"
        if not 0 <= self.skew <= MAX_SKEW:
            return f"the skew is 0 to {MAX_SKEW} ns"
        if self.skew and self.cpus == 1:
            return "clocks can only be skewed between processors, and there is only one"
        if self.drop_rate and not self.markers and not self.sequence:
            return "losses would go unseen: without sequence numbers they need markers"
        return ""

    @property
    def depth(self) -> int:
        """The level, given or not."""
        if self.level is not None:
            return self.level
        return 5 if self.view == "both" else 4

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints that are watched."""
        return ("host", "guest") if self.view == "both" else (self.view,)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a fault shows in a trace: a record, with its number if it has one; no text: the end."""

    endpoint: str
    seq: int | None = None
    text: str = ""


class Record(Protocol):
    """Writes down one record."""

    def __call__(
        self, thread: Thread, phase: str, name: str, handles: str, scalars: str = "", result: str = ""
    ) -> None: ...


class Capture:
    """Writes records as lines of the native format, as far as the shape holds them.

    ``record`` takes arguments ready to print: ``handles`` and ``scalars``, each with a space before it,
    and ``result``, the returned status in the same form. It is chosen once, so that a full capture pays
    nothing for the other shapes. After ``events`` records, if given, the run is stopped.

    ``breaks``: the rule that a fault in this run breaks. The fault marks the record where it shows; the trace
    tells in its last lines. ``marked``: there was such a record, whether it was captured or not.
    """

    record: Record

    def __init__(
        self,
        kernel: Kernel,
        stream: TextIO,
        shape: Shape,
        seed: int = 0,
        events: int | None = None,
        note: str = "",
        breaks: str = "",
    ) -> None:
        self._breaks = breaks
        self.marked = False
        self._end_mark: Mark | None = None
        self._kernel = kernel
        self._shape = shape
        self.endpoints = shape.endpoints
        self._write: Callable[[str], object] = stream.write
        self._lines: list[str] = []
        self._left = events
        self._batch = _BATCH if events is None else min(_BATCH, events)
        self._written = 0
        self.end: str | None = None
        self._write(_header(shape, note))
        self._reducer: _Reducer | None = None
        plain = not breaks and shape.depth >= 4
        if plain and shape == Shape(shape.view, shape.level, cpus=shape.cpus):
            self.record = self._record_both if shape.view == "both" else self._record_one
        else:
            self._reducer = _Reducer(kernel, shape, seed, self._take)
            self.record = self._reducer.record
        if events == 0:
            self._close("stopped")
            kernel.stop()

    @property
    def events(self) -> int:
        """How many records were written."""
        return self._written + (len(self._lines) if self.end is None else 0)

    def mark(self, endpoint: Endpoint) -> None:
        """The next record of an endpoint is where a fault shows."""
        self.marked = True
        if self._reducer is not None and self.end is None:
            self._reducer.watched = endpoint.name, endpoint.seq + 1

    def mark_end(self, endpoint: Endpoint) -> None:
        """A fault shows at the end of the trace."""
        self.marked = True
        if endpoint.name in self.endpoints:
            self._end_mark = Mark(endpoint.name)

    @property
    def place(self) -> Mark | None:
        """Where the fault shows in the trace, if it does."""
        if self._end_mark is not None:
            return self._end_mark
        return None if self._reducer is None else self._reducer.seen

    def _record_both(
        self, thread: Thread, phase: str, name: str, handles: str, scalars: str = "", result: str = ""
    ) -> None:
        # Records take time, and no two of them the same moment.
        kernel = self._kernel
        kernel.now += 100
        endpoint = thread.endpoint
        endpoint.seq = seq = endpoint.seq + 1
        lines = self._lines
        lines.append(
            f"@{endpoint.name} {seq} {kernel.now:.0f} {thread.columns}"
            f" {phase} {name}{handles}{scalars}{result}\n"
        )
        if len(lines) >= self._batch:
            self.flush()

    def _record_one(
        self, thread: Thread, phase: str, name: str, handles: str, scalars: str = "", result: str = ""
    ) -> None:
        kernel = self._kernel
        kernel.now += 100
        endpoint = thread.endpoint
        endpoint.seq = seq = endpoint.seq + 1
        if endpoint.name != self._shape.view:
            return
        lines = self._lines
        lines.append(f"{seq} {kernel.now:.0f} {thread.columns} {phase} {name}{handles}{scalars}{result}\n")
        if len(lines) >= self._batch:
            self.flush()

    def _take(self, line: str) -> None:
        """Take a record from elsewhere; ``%lost`` lines before it may be part of the line."""
        self._lines.append(line)
        if len(self._lines) >= self._batch:
            self.flush()

    def flush(self) -> None:
        """Hand over what was collected; stop the run if it is enough."""
        lines = self._lines
        if self.end is None:
            self._write("".join(lines))
            self._written += len(lines)
            if self._left is not None:
                self._left -= len(lines)
                self._batch = min(_BATCH, self._left)
                if not self._left:
                    self._close("stopped")
                    self._kernel.stop()
        # A stopped run takes its last step to the end; nobody watches any more.
        lines.clear()

    def finish(self, end: str) -> None:
        """Write what is left and say why the trace ends, unless it was stopped before."""
        reducer = self._reducer
        if self.end is None and reducer is not None:
            reducer.finish()
        self.flush()
        if self.end is None:
            if reducer is not None:
                self._write(reducer.late_losses())
            self._close(end)

    def _close(self, end: str) -> None:
        self.end = end
        self._batch = _BATCH
        if self._breaks:
            self._write(f"%note {self._told(end)}\n")
        self._write(f"%end {end}\n")

    def _told(self, end: str) -> str:
        place = self.place
        if place is None or (end == "stopped" and not place.text):
            return f"what breaks {self._breaks} was not captured"
        if not place.text:
            return f"{self._breaks} is broken at the end, at {place.endpoint}"
        return f"{self._breaks} is broken here: {place.text.strip()}"


class _Reducer:
    """Records of every other shape: fewer columns, losses, clocks that differ, no numbers.

    Hands complete lines to ``take``. Its randomness is its own, so that the run does not notice.
    """

    def __init__(self, kernel: Kernel, shape: Shape, seed: int, take: Callable[[str], None]) -> None:
        self._kernel = kernel
        self._shape = shape
        self._rng = random.Random(f"capture {seed}")
        self._take = take
        self._depth = shape.depth
        self._clocks = {
            (endpoint, cpu): self._rng.randrange(shape.skew + 1) if shape.skew else 0
            for endpoint in ("host", "guest")
            for cpu in range(shape.cpus)
        }
        self._columns: dict[Thread, str] = {}
        # The record in which a fault shows, by endpoint and number of the run; and what became of it.
        self.watched: tuple[str, int] | None = None
        self.seen: Mark | None = None
        self._seen = 0
        # Only what can be seen is numbered.
        self._numbers = dict.fromkeys(shape.endpoints, 0)
        # Records lost since the last one that was written.
        self._lost = 0
        # Numbers of an endpoint that no written record shows to be missing yet.
        self._gap: dict[str, int] = {}
        # Without numbers: lines (None: a lost one) by their times, as long as one before them may come.
        self._held: list[tuple[float, int, str | None]] = []

    def record(
        self, thread: Thread, phase: str, name: str, handles: str, scalars: str = "", result: str = ""
    ) -> None:
        kernel, shape, endpoint = self._kernel, self._shape, thread.endpoint
        kernel.now += 100
        endpoint.seq += 1
        place = endpoint.name
        if place not in shape.endpoints or (not self._depth and phase in _EXITS):
            return
        self._seen += 1
        if self._seen <= shape.from_event:
            self._numbers[place] += 1
            return
        lost = shape.drop_rate > 0 and self._rng.random() < shape.drop_rate
        if not shape.markers:
            self._numbers[place] += 1
            # Before the first number nothing is missing, so nothing may be lost there.
            if lost and place in self._gap:
                self._gap[place] += 1
                return
            self._gap[place] = 0
            lost = False
        elif not lost:
            self._numbers[place] += 1
        time = kernel.now + self._clocks[place, thread.cpu]
        line = None
        if not lost:
            where = f"@{place} " if shape.view == "both" else ""
            number = self._numbers[place] if shape.sequence else "-"
            if self._depth < 4:
                scalars = ""
            line = (
                f"{where}{number} {time:.0f} {self._who(thread)} {phase} {name}{handles}{scalars}{result}\n"
            )
            if self.watched == (place, endpoint.seq):
                self.seen = Mark(place, self._numbers[place] if shape.sequence else None, line)
        if shape.sequence:
            self._emit(line)
        else:
            heappush(self._held, (time, self._seen, line))
            # No clock is slow, so nothing that comes later has an earlier time than this.
            self._release(kernel.now)

    def _who(self, thread: Thread) -> str:
        columns = self._columns.get(thread)
        if columns is None:
            cpu, who, irql = thread.columns.split(" ")
            columns = f"{cpu} {who if self._depth > 1 else '-'} {irql if self._depth > 2 else '-'}"
            self._columns[thread] = columns
        return columns

    def _release(self, now: float) -> None:
        held = self._held
        while held and held[0][0] <= now:
            self._emit(heappop(held)[2])

    def _emit(self, line: str | None) -> None:
        if line is None:
            self._lost += 1
        elif self._lost:
            lost, self._lost = self._lost, 0
            self._take(f"%lost {lost}\n{line}")
        else:
            self._take(line)

    def finish(self) -> None:
        """Give what is held back."""
        self._release(float("inf"))

    def late_losses(self) -> str:
        """Return a line about losses at the very end, which nothing else shows."""
        lost = self._lost + sum(self._gap.values())
        return f"%lost {lost}\n" if lost else ""


def _header(shape: Shape, note: str) -> str:
    lines = ["%kmtrace 1", f"%start {'midlife' if shape.from_event else 'known'}"]
    lines.append("%records all" if shape.depth else "%records all -functions.ret -callbacks.out")
    if shape.skew:
        lines.append(f"%clock resolution=1ns skew={shape.skew}ns")
    if note:
        lines.append(f"%note {note}")
    return "\n".join(lines) + "\n"
