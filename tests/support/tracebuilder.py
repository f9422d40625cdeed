"""Builds native traces event by event: threads with call nesting, one clock, sequence numbers.

Knows the columns of a trace and nothing of the rules. A builder marks by hand at which event it
expects a finding, so that expectations do not come from the program under test.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from kmclcheck.model.event import ArgValue, End, Event, Phase, Start, TraceInfo
from kmclcheck.traces.formats.kmtrace_writer import format_event, write_header

PASSIVE, APC, DISPATCH = 0, 1, 2
HANDLES = frozenset(
    {"Channel", "PacketObject", "VmbPacket", "Packet", "PacketCompletionContext", "GpadlHandle"}
)
"""Arguments that a return repeats."""


Outs = Mapping[str, ArgValue] | None
"""What only a return tells."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A finding that the author of a trace expects: at an event (by index), or at the end."""

    rule: str
    handle: int
    at: int | None


@dataclass(slots=True)
class Trace:
    """A trace being built; ``lines`` holds events, and comments as text.

    ``stays_open`` names rules that the trace cannot decide though nothing is wrong with it.
    """

    shows: str = ""
    start: Start = Start.KNOWN
    end: End = End.UNLOADED
    endpoint: str = ""
    lines: list[Event | str] = field(default_factory=list)
    expected: list[Expected] = field(default_factory=list)
    stays_open: tuple[str, ...] = ()
    clock: int = 0
    _seq: dict[str, int] = field(default_factory=dict)
    _pace: random.Random = field(default_factory=lambda: random.Random(2016))

    @property
    def events(self) -> list[Event]:
        return [line for line in self.lines if isinstance(line, Event)]

    @property
    def info(self) -> TraceInfo:
        """The header: everything is recorded."""
        return TraceInfo(start=self.start, end=self.end, records_all=True, endpoint=self.endpoint)

    def thread(
        self, tid: int, cpu: int = 0, irql: int = PASSIVE, pid: int = 4, endpoint: str | None = None
    ) -> Thread:
        return Thread(self, tid, cpu, irql, pid, self.endpoint if endpoint is None else endpoint)

    def wait(self, nanoseconds: int) -> None:
        """Let time pass."""
        self.clock += nanoseconds

    def note(self, text: str) -> None:
        """Put a comment into the file."""
        self.lines.append(f"# {text}")

    def expect(self, rule: str, handle: int) -> None:
        """Expect a finding at the latest event."""
        self.expected.append(Expected(rule, handle, len(self.lines) - 1))

    def expect_at_end(self, rule: str, handle: int) -> None:
        self.expected.append(Expected(rule, handle, None))

    def add(
        self, thread: Thread, phase: Phase, name: str, args: Mapping[str, ArgValue], status: ArgValue | None
    ) -> None:
        seq = self._seq[thread.endpoint] = self._seq.get(thread.endpoint, 1000) + 1
        self.clock += self._pace.choice((100, 200, 300, 400, 700, 1200, 2500, 6100))
        self.lines.append(
            Event(
                name,
                phase,
                dict(args),
                status=status,
                seq=seq,
                time=self.clock,
                cpu=thread.cpu,
                pid=thread.pid,
                tid=thread.tid,
                irql=thread.irql,
                endpoint=thread.endpoint,
            )
        )

    def text(self) -> str:
        """Return the file."""
        body = [x if isinstance(x, str) else format_event(x, self.endpoint) for x in self.lines]
        return write_header(self.info) + "".join(line + "\n" for line in body)

    def line_of(self, index: int) -> int:
        """Return the line number of ``lines[index]`` in the file."""
        return write_header(self.info).count("\n") + index + 1


@dataclass(slots=True)
class Thread:
    """A thread of the trace; its methods add records with its columns."""

    trace: Trace
    tid: int
    cpu: int
    irql: int
    pid: int
    endpoint: str

    def fn(self, name: str, status: ArgValue | None = None, outs: Outs = None, /, **args: ArgValue) -> None:
        """A whole call: entry and return with nothing of this thread between them."""
        self.call(name, **args)
        self.ret(name, status, outs, **args)

    def call(self, name: str, **args: ArgValue) -> None:
        self.trace.add(self, Phase.CALL, name, args, None)

    def ret(self, name: str, status: ArgValue | None = None, outs: Outs = None, /, **args: ArgValue) -> None:
        """A return; of the arguments it repeats the handles."""
        kept = {k: v for k, v in args.items() if k in HANDLES} | dict(outs or {})
        self.trace.add(self, Phase.RET, name, kept, status)

    def enter(self, name: str, **args: ArgValue) -> None:
        """The library enters a callback."""
        self.trace.add(self, Phase.IN, name, args, None)

    def leave(
        self, name: str, status: ArgValue | None = None, outs: Outs = None, /, **args: ArgValue
    ) -> None:
        kept = {k: v for k, v in args.items() if k in HANDLES} | dict(outs or {})
        self.trace.add(self, Phase.OUT, name, kept, status)

    @contextmanager
    def during(
        self, name: str, status: ArgValue | None = None, outs: Outs = None, /, **args: ArgValue
    ) -> Iterator[None]:
        """A call; what the block adds happens while it runs."""
        self.call(name, **args)
        yield
        self.ret(name, status, outs, **args)

    @contextmanager
    def cb(
        self, name: str, status: ArgValue | None = None, outs: Outs = None, /, **args: ArgValue
    ) -> Iterator[None]:
        """A callback; the block is its body."""
        self.enter(name, **args)
        yield
        self.leave(name, status, outs, **args)

    @contextmanager
    def at(self, irql: int) -> Iterator[None]:
        """The block runs at another IRQL."""
        before, self.irql = self.irql, irql
        yield
        self.irql = before
