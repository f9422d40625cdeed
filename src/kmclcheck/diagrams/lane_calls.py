"""Calls of a trace as intervals of its records, and the lanes they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kmclcheck.model.event import Event, Phase
from kmclcheck.model.spec import Spec
from kmclcheck.model.words import thread_text

_ENTRIES = (Phase.CALL, Phase.IN)
_EXITS = (Phase.RET, Phase.OUT)


@dataclass(slots=True)
class Call:
    """A call or callback from its first record to its last one, counted from 0.

    ``first`` or ``last`` is ``None`` where the trace does not show it. ``depth`` is how many others it is
    inside of, on its thread. ``objects`` are named as the states of the trace name them.
    """

    name: str
    callback: bool
    thread: str
    depth: int
    first: int | None
    last: int | None
    objects: dict[str, None]


def calls(spec: Spec, events: Sequence[Event]) -> list[Call]:
    """Return the calls in the order of their first record that is seen."""
    found: list[Call] = []
    stacks: dict[str, list[Call]] = {}
    for number, event in enumerate(events):
        thread = f"thread {thread_text(event) or '?'}"
        stack = stacks.setdefault(thread, [])
        named = _objects(spec, event)
        callback = event.name in spec.events and spec.events[event.name].callback
        if event.phase in _EXITS:
            at = next((i for i in range(len(stack) - 1, -1, -1) if stack[i].name == event.name), None)
            if at is None:
                found.append(Call(event.name, callback, thread, len(stack), None, number, named))
                continue
            stack[at].last = number
            stack[at].objects.update(named)
            del stack[at:]
        else:
            whole = number if event.phase is Phase.WHOLE else None
            call = Call(event.name, callback, thread, len(stack), number, whole, named)
            found.append(call)
            if event.phase in _ENTRIES:
                stack.append(call)
    return found


def _objects(spec: Spec, event: Event) -> dict[str, None]:
    declared = spec.events.get(event.name)
    if declared is None:
        return {}
    named: dict[str, None] = {}
    for kind, param in declared.objects.items():
        handle = event.args.get(param)
        if isinstance(handle, int) and handle:
            named[f"{kind} {handle:#x}"] = None
    return named


def columns(shown: Sequence[Call], end: int) -> tuple[list[int], int]:
    """Return the column of each call beside those that run at the same time, and how many there are.

    ``end`` is the number of records: where a call lasts that does not return.
    """
    taken: list[list[tuple[int, int]]] = []
    places = []
    for call in shown:
        first, last = span(call, end)
        place = next(
            (i for i, used in enumerate(taken) if all(last < a or first > b for a, b in used)), len(taken)
        )
        if place == len(taken):
            taken.append([])
        taken[place].append((first, last))
        places.append(place)
    return places, len(taken)


def span(call: Call, end: int) -> tuple[int, int]:
    """Return the first and the last record of a call, where it is not seen those of the trace."""
    first = 0 if call.first is None else call.first
    return first, end - 1 if call.last is None else call.last
