"""What a finding's repair starts from: its slice, and what the trace shows of the same objects afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from kmclcheck.engines.repair.changes import Change
from kmclcheck.engines.repair.lines import Line, Lines, Mark, handles, thread_key
from kmclcheck.model.event import ArgValue, End, Event, Loss, Phase, Start
from kmclcheck.model.finding import Finding
from kmclcheck.model.spec import EventKind, Spec
from kmclcheck.traces.base import Item, TraceReader

KEPT = 100_000
"""Records of a trace that are kept, to look around a finding; of a longer one there are only slices."""

STORY = 400
"""Records up to a finding that are edited; of a longer story only the slice is."""

AFTERWARDS = 60
"""Records after a finding that a call can be moved behind."""

LOOKED_AT = 5_000
"""Records after a finding that are looked at for those."""

SUCCESS = 0


class Tape(TraceReader):
    """A reader that keeps what it gives, up to a limit."""

    def __init__(self, inner: TraceReader) -> None:
        super().__init__(inner.info)
        self._inner = inner
        self.items: list[Item] | None = []
        self.places: dict[int, int] = {}
        self.problems = inner.problems
        self.unmapped = inner.unmapped

    @property
    def bytes_read(self) -> int:
        return self._inner.bytes_read

    def __iter__(self) -> Iterator[Item]:
        for item in self._inner:
            self.problem_count = self._inner.problem_count
            if self.items is not None:
                self.items.append(item)
                if len(self.items) > KEPT:
                    self.items = None
            yield item
        self.problem_count = self._inner.problem_count
        self.places = {id(item): at for at, item in enumerate(self.items or ())}

    def after(self, event: Event) -> list[Item]:
        """Return what came after a record, as far as it is looked at."""
        at = self.places.get(id(event))
        return [] if at is None or self.items is None else self.items[at + 1 : at + 1 + LOOKED_AT]


@dataclass(frozen=True, slots=True)
class Base:
    """A slice with its sequel.

    ``cut``: where the slice ends. ``end``: how a trace of the slice ends. ``fault``: the record of the
    finding. ``places``: where the trace has the records, by their ``id``. ``changes``: made already, for
    earlier findings.
    """

    lines: Lines
    cut: int
    end: End
    fault: Event | None
    places: dict[int, int]
    changes: tuple[Change, ...] = ()


def make_bases(spec: Spec, finding: Finding, tape: Tape, recorded: frozenset[EventKind]) -> Iterator[Base]:
    """Return what can be edited, the best first. The finding has a slice that was replayed.

    The story of everything around the object at fault is better than the slice: the slice leaves out what
    does not matter to the fault, and a change may make it matter.
    """
    assert finding.slice is not None
    events = list(finding.slice.events)
    objects = {pair for event in events for pair in handles(spec, event)}
    for ref in (finding.object, finding.parent, *finding.holders):
        if ref is not None and ref.kind != "thread":
            objects.add((ref.kind, ref.handle))
    story = _story(spec, finding, tape, events, objects)
    if story is not None:
        yield _base(spec, finding, tape, recorded, story, set(objects))
    yield _base(spec, finding, tape, recorded, events, set(objects))


def _base(
    spec: Spec,
    finding: Finding,
    tape: Tape,
    recorded: frozenset[EventKind],
    events: list[Event],
    objects: set[tuple[str, ArgValue]],
) -> Base:
    lines = [Line(event) for event in events]
    cut = len(lines)
    end = tape.info.end
    if finding.event is not None:
        end = End.STOPPED
        lines += _sequel(spec, events, finding.event, tape, objects)
        lines += _exits(spec, lines, finding.event, recorded)
    places: dict[int, int] = {}
    fault: Event | None = None
    made = []
    for line in lines:
        copied = replace(line.event, seq=None)
        if id(line.event) in tape.places:
            places[id(copied)] = tape.places[id(line.event)]
        if line.event is finding.event:
            fault = copied
        made.append(replace(line, event=copied))
    return Base(tuple(made), cut, end, fault, places)


def _story(
    spec: Spec, finding: Finding, tape: Tape, events: list[Event], objects: set[tuple[str, ArgValue]]
) -> list[Event] | None:
    """Return all records of the objects up to the fault, and of what was there together with them.

    ``None`` if the trace does not show all of it, or it is too long.
    """
    if tape.items is None or tape.info.start is not Start.KNOWN or tape.info.lost_anywhere:
        return None
    upto = len(tape.items)
    if finding.event is not None:
        upto = tape.places.get(id(finding.event), -1) + 1
    in_slice = {id(event) for event in events}
    open_: dict[object, list[tuple[str, bool]]] = {}
    found: list[Event] = []
    for item in tape.items[:upto]:
        if isinstance(item, Loss):
            return None
        named = list(handles(spec, item))
        wanted = id(item) in in_slice or any(pair in objects for pair in named)
        if _follow(spec, open_, item, wanted):
            objects.update(named)
            found.append(item)
        if len(found) > STORY:
            return None
    return found if upto and found else None


def _sequel(
    spec: Spec, events: list[Event], fault: Event, tape: Tape, objects: set[tuple[str, ArgValue]]
) -> list[Line]:
    """Return later records of the same objects, and the exits of what they and the slice entered."""
    open_: dict[object, list[tuple[str, bool]]] = {}
    for event in events:
        _follow(spec, open_, event, True)
    found: list[Line] = []
    for item in tape.after(fault):
        if isinstance(item, Loss) or len(found) >= AFTERWARDS:
            break
        wanted = any(pair in objects for pair in handles(spec, item))
        if _follow(spec, open_, item, wanted):
            found.append(Line(item))
    return found


def _follow(spec: Spec, open_: dict[object, list[tuple[str, bool]]], event: Event, wanted: bool) -> bool:
    """Keep book of open calls; return whether a record is wanted. An exit is wanted if its entry was."""
    decl = spec.events.get(event.name)
    if decl is None or decl.record or event.phase is Phase.WHOLE:
        return wanted
    stack = open_.setdefault(thread_key(event), [])
    if event.phase is decl.entry:
        stack.append((event.name, wanted))
        return wanted
    for at in range(len(stack) - 1, -1, -1):
        if stack[at][0] == event.name:
            wanted = stack[at][1]
            del stack[at:]
            return wanted
    return False


def _exits(spec: Spec, lines: list[Line], fault: Event, recorded: frozenset[EventKind]) -> list[Line]:
    """Return the exits that are missing at the end of the thread at fault: the trace ended before them."""
    stack: list[Event] = []
    for line in lines:
        decl = spec.events.get(line.event.name)
        if decl is None or decl.record or thread_key(line.event) != thread_key(fault):
            continue
        if line.event.phase is decl.entry:
            stack.append(line.event)
        elif any(e.name == line.event.name for e in stack):
            while stack.pop().name != line.event.name:
                pass
    found = []
    for entry in reversed(stack):
        decl = spec.events[entry.name]
        if (decl.name, decl.exit) not in recorded:
            break
        found.append(Line(exit_of(spec, entry), Mark.KEPT, assumed=True))
    return found


def exit_of(spec: Spec, entry: Event) -> Event:
    """Return the exit of a call or callback, with success."""
    decl = spec.events[entry.name]
    status = SUCCESS if decl.returns == "NTSTATUS" else None
    return replace(entry, phase=decl.exit, args={}, status=status, seq=None, time=None, line=0, offset=0)
