"""A slice that is being edited: its records with marks, and the calls they make up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from kmclcheck.model.event import ArgValue, Event, Phase
from kmclcheck.model.spec import EventDecl, Spec

ThreadKey = tuple[str, int | None, int | None]


class Mark(Enum):
    """What a change does to a record; MOVED_FROM and MOVED_TO belong together."""

    KEPT = " "
    INSERTED = "+"
    DELETED = "-"
    MOVED_FROM = "<"
    MOVED_TO = ">"


GONE = frozenset({Mark.DELETED, Mark.MOVED_FROM})


@dataclass(frozen=True, slots=True)
class Line:
    """A record of an edited slice.

    ``after``: an added record belongs to the one before it rather than to the one behind it. ``assumed``: it
    is no change; the trace ends before it, and the slice needs it.
    """

    event: Event
    mark: Mark = Mark.KEPT
    after: bool = False
    assumed: bool = False

    @property
    def gone(self) -> bool:
        """Whether the edited slice has the record no more."""
        return self.mark in GONE


Lines = tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A call or callback: the places of its entry, of its exit, and of what is inside.

    ``end`` is ``None`` if the slice lacks the exit. ``depth``: calls and callbacks around it on its thread.
    """

    decl: EventDecl
    start: int
    end: int | None
    thread: ThreadKey
    inside: tuple[int, ...]
    depth: int

    def places(self) -> tuple[int, ...]:
        """Return the places of all its records on its thread, in order."""
        return (
            self.start,
            *self.inside,
            *(() if self.end is None or self.end == self.start else (self.end,)),
        )


def thread_key(event: Event) -> ThreadKey:
    """Return what tells threads apart, as far as the record says."""
    return (event.endpoint, event.tid, None if event.tid else event.cpu)


def present(lines: Sequence[Line]) -> list[Event]:
    """Return the records of the edited slice."""
    return [line.event for line in lines if not line.gone]


def stack_at(spec: Spec, lines: Sequence[Line], place: int, thread: ThreadKey) -> list[Event]:
    """Return the entries of the calls and callbacks that a thread is inside of before a place."""
    stack: list[Event] = []
    for line in lines[:place]:
        event = line.event
        if line.gone or thread_key(event) != thread:
            continue
        _step(spec, stack, event)
    return stack


def _step(spec: Spec, stack: list[Event], event: Event) -> None:
    decl = spec.events.get(event.name)
    if decl is None or decl.record or event.phase is Phase.WHOLE:
        return
    if event.phase is decl.entry:
        stack.append(event)
        return
    for at in range(len(stack) - 1, -1, -1):
        if stack[at].name == event.name:
            del stack[at:]
            return


def blocks(spec: Spec, lines: Sequence[Line]) -> list[Block]:
    """Return the calls and callbacks of an edited slice in the order of their entries."""
    stacks: dict[ThreadKey, list[int]] = {}
    inside: dict[int, list[int]] = {}
    ends: dict[int, int] = {}
    depths: dict[int, int] = {}
    for at, line in enumerate(lines):
        event = line.event
        decl = spec.events.get(event.name)
        if line.gone or decl is None or decl.record:
            continue
        stack = stacks.setdefault(thread_key(event), [])
        if event.phase in (decl.entry, Phase.WHOLE):
            for outer in stack:
                inside[outer].append(at)
            inside[at], depths[at] = [], len(stack)
            if event.phase is Phase.WHOLE:
                ends[at] = at
            else:
                stack.append(at)
            continue
        opened = next((o for o in reversed(stack) if lines[o].event.name == event.name), None)
        if opened is not None:
            del stack[stack.index(opened) :]
            ends[opened] = at
        for outer in stack:
            inside[outer].append(at)
    found = []
    for at in sorted(inside):
        event = lines[at].event
        found.append(
            Block(spec.events[event.name], at, ends.get(at), thread_key(event), tuple(inside[at]), depths[at])
        )
    return found


def handles(spec: Spec, event: Event) -> Iterator[tuple[str, ArgValue]]:
    """Return the objects that a record names: kind and handle."""
    decl = spec.events.get(event.name)
    if decl is None:
        return
    for kind, param in decl.objects.items():
        value = event.args.get(param)
        if value:
            yield kind, value
