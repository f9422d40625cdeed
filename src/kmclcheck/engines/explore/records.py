"""Records that a search found, as events of a trace."""

from __future__ import annotations

from collections.abc import Sequence

from kmclcheck.engines.explore.world import Choice, World
from kmclcheck.model.event import Event
from kmclcheck.model.spec import Spec

_STEP = 100


def as_events(spec: Spec, choices: Sequence[Choice], worlds: Sequence[World]) -> list[Event]:
    """Return the events with handles, threads and numbers that a person can tell apart."""
    kinds = {kind: number for number, kind in enumerate(spec.kinds, 1)}
    handles: list[int] = []
    born: dict[str, int] = {}
    events: list[Event] = []
    for number, (choice, world) in enumerate(zip(choices, worlds, strict=True), 1):
        decl = spec.events[choice.name]
        args: dict[str, int | str] = {param: handles[at] for param, at in choice.things}
        if choice.fresh is not None:
            kind, param = choice.fresh
            born[kind] = born.get(kind, 0) + 1
            # What is unique only within its parent is a number, anything else an address.
            number_only = spec.kinds[kind].scoped
            handles.append(born[kind] if number_only else kinds[kind] * 0x10000 + 0x100 * born[kind])
            args[param] = handles[-1]
        # An object whose handle went to another one has a place of its own.
        handles += [0] * (len(world.things) - len(handles))
        args |= dict(choice.args)
        phase = decl.entry if choice.entry else decl.exit
        event = Event(choice.name, phase, args, choice.status, number, number * _STEP, line=number)
        event.cpu, event.pid, event.tid = choice.thread, 4, 0x10 + 4 * choice.thread
        event.irql = choice.irql
        events.append(event)
    return events
