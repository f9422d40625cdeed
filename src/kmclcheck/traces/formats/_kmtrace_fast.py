"""The fast path of the native format: ordinary event lines, by splitting and remembering words.

It accepts only what the grammar accepts, and with the same result; whatever is unusual it
declines, and the grammar decides. Words repeat, so each is checked once and then looked up.
"""

from __future__ import annotations

import re
import sys

from kmclcheck.model.event import ArgValue, Event, Phase
from kmclcheck.traces.formats._kmtrace_values import (
    BOOLEANS,
    COLUMN_LIMITS,
    MAX_ARGUMENTS,
    MAX_CPU,
    MAX_IRQL,
    NAME_PATTERN,
    PHASES,
    PLACE_PATTERN,
    number,
    status_value,
)
from kmclcheck.traces.lines import LineBlock

# Handles come and go; a full memory is emptied, since counting uses would cost more.
_MEMORY = 1 << 15

_NAME = re.compile(NAME_PATTERN)
_PLACE = re.compile(PLACE_PATTERN)
_THREAD = re.compile(r"(-|[0-9a-fA-F]{1,16})\.(-|[0-9a-fA-F]{1,16})")
_ARGUMENT = re.compile(rf"({NAME_PATTERN})=(?:(0[xX][0-9a-fA-F]{{1,16}}|-?[0-9]{{1,20}})|({NAME_PATTERN}))")


_NO_ARGUMENTS: dict[str, ArgValue] = {}  # shared: nobody changes an event's arguments


class _Names(dict[str, str]):
    def __missing__(self, word: str) -> str:
        if not _NAME.fullmatch(word):
            raise KeyError(word)
        if len(self) >= _MEMORY:
            self.clear()
        self[word] = name = sys.intern(word)
        return name


class _Counts(dict[str, int | None]):
    def __init__(self, limit: int) -> None:
        super().__init__({"-": None})
        self._limit = limit

    def __missing__(self, word: str) -> int:
        if not word.isdigit() or len(word) > 20 or int(word) > self._limit:
            raise KeyError(word)
        self[word] = value = int(word)
        return value


class _Threads(dict[str, tuple[int | None, int | None]]):
    def __missing__(self, word: str) -> tuple[int | None, int | None]:
        match = _THREAD.fullmatch(word)
        if match is None:
            raise KeyError(word)
        if len(self) >= _MEMORY:
            self.clear()
        pid, tid = match.groups()
        ids = (None if pid == "-" else int(pid, 16)), (None if tid == "-" else int(tid, 16))
        self[word] = ids
        return ids


class _Arguments(dict[str, tuple[str, ArgValue]]):
    def __init__(self, columns: bool) -> None:
        super().__init__()
        self._columns = columns

    def __missing__(self, word: str) -> tuple[str, ArgValue]:
        pair = self._read(word)
        if len(self) >= _MEMORY:
            self.clear()
        self[word] = pair
        return pair

    def _read(self, word: str) -> tuple[str, ArgValue]:
        if word.startswith("at="):
            place = word[3:]
            if not self._columns or not (place == "-" or _PLACE.fullmatch(place)):
                raise KeyError(word)
            return "at", "" if place == "-" else place
        match = _ARGUMENT.fullmatch(word)
        if match is None:
            raise KeyError(word)
        key, digits, name = match.groups()
        value: ArgValue = number(digits) if digits else BOOLEANS.get(name, sys.intern(name or ""))
        if key in COLUMN_LIMITS:
            if not self._columns or isinstance(value, str) or name or not 0 <= value <= COLUMN_LIMITS[key]:
                raise KeyError(word)
        elif key == "status":
            value = status_value(value)
        elif key == "return":
            key = "Return"
        return sys.intern(key), value


class _Single(dict[str, tuple[dict[str, ArgValue], ArgValue | None]]):
    """The arguments and the status of an event that has one of both. Events share them."""

    def __init__(self, arguments: _Arguments) -> None:
        super().__init__()
        self._arguments = arguments

    def __missing__(self, word: str) -> tuple[dict[str, ArgValue], ArgValue | None]:
        key, value = self._arguments[word]
        if len(self) >= _MEMORY:
            self.clear()
        found = self[word] = (_NO_ARGUMENTS, value) if key == "status" else ({key: value}, None)
        return found


_Head = tuple[str, Phase, int | None, int | None, int | None, int | None]


class FastLines:
    """Reads ordinary event lines; one instance for a trace, whose words it remembers.

    ``endpoint`` is that of events which name none. ``endpoints`` are the names it may accept;
    a new one is declined, so that the caller can limit their number.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self.endpoints: set[str] = {""}
        self._names = _Names()
        self._cpus = _Counts(MAX_CPU)
        self._irqls = _Counts(MAX_IRQL)
        self._threads = _Threads({"-": (None, None)})
        self._arguments = _Arguments(columns=False)
        self._single = _Single(self._arguments)
        self._short_arguments = _Arguments(columns=True)
        # Everything between the time and the arguments, remembered whole for lines with at most one.
        self._heads: dict[str, _Head] = {}

    def parse(self, line: str, number: int = 0, offset: int = 0) -> Event | None:
        """Return the event of the line, or ``None`` if the line is not an ordinary event."""
        words = line.split(" ")
        first = words[0]
        if first in PHASES:
            return self._short(words, number, offset)
        try:
            endpoint = self.endpoint
            if first[:1] == "@":
                endpoint = first[1:] if first != "@-" else ""
                if endpoint not in self.endpoints or first == "@":
                    return None
                del words[0]
            seq, time, cpu, thread, irql, phase, name, *rest = words
            # Only ASCII digits are digits here, and 19 of them always fit 64 bits.
            if not line.isascii() or len(seq) > 19 or len(time) > 19:
                return None
            pid, tid = self._threads[thread]
            args = dict(map(self._arguments.__getitem__, rest))
            status = args.pop("status", None) if "status" in args else None
            if len(args) + (status is not None) != len(rest) or len(rest) > MAX_ARGUMENTS:
                return None
            event = Event(
                self._names[name],
                PHASES[phase],
                args or _NO_ARGUMENTS,
                status,
                None if seq == "-" else int(seq) if seq.isdigit() else int("x"),
                None if time == "-" else int(time) if time.isdigit() else int("x"),
                self._cpus[cpu],
                pid,
                tid,
                self._irqls[irql],
                endpoint,
                number,
                offset,
            )
            if len(rest) <= 1 and first[0] != "@":
                if len(self._heads) >= _MEMORY:
                    self._heads.clear()
                head = f"{cpu} {thread} {irql} {phase} {name}"
                self._heads[head] = (event.name, event.phase, event.cpu, pid, tid, event.irql)
            return event
        except (KeyError, ValueError):
            return None

    def block(self, block: LineBlock) -> list[Event | None]:
        """Return what ``parse`` says of each line of a block of ASCII text.

        Most lines differ from an earlier one in their numbers and one argument only; they are read here,
        all at once, since a call for each would cost as much as the reading.
        """
        heads, single, parse, endpoint = self._heads, self._single, self.parse, self.endpoint
        events: list[Event | None] = []
        number = block.first
        for line, offset in zip(block.lines, block.offsets, strict=False):
            event = None
            try:
                seq, time, tail = line.split(" ", 2)
                args, status = _NO_ARGUMENTS, None
                head = heads.get(tail)
                if head is None:
                    words, _, last = tail.rpartition(" ")
                    head = heads.get(words)
                    if head is not None:
                        args, status = single[last]
                if head and seq.isdigit() and time.isdigit() and len(seq) <= 19 and len(time) <= 19:
                    name, phase, cpu, pid, tid, irql = head
                    event = Event(
                        name, phase, args, status, int(seq), int(time), cpu, pid, tid, irql, endpoint, number,
                        offset,
                    )  # fmt: skip
            except (KeyError, ValueError):
                event = None
            events.append(event if event is not None else parse(line, number, offset))
            number += 1
        return events

    def _short(self, words: list[str], number: int, offset: int) -> Event | None:
        try:
            phase, name, *rest = words
            args = dict(map(self._short_arguments.__getitem__, rest))
            if len(args) != len(rest) or len(rest) > MAX_ARGUMENTS:
                return None
            place = args.pop("at", None)
            if place is not None and place not in self.endpoints:
                return None
            counts = {key: int(args.pop(key)) for key in COLUMN_LIMITS if key in args}
            return Event(
                self._names[name],
                PHASES[phase],
                args,
                args.pop("status", None),
                counts.get("seq"),
                counts.get("time"),
                counts.get("cpu"),
                counts.get("pid"),
                counts.get("tid"),
                counts.get("irql"),
                self.endpoint if place is None else str(place),
                number,
                offset,
            )
        except (KeyError, ValueError):
            return None
