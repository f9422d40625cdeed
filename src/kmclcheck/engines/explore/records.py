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
    events: list[Event] = []
    for number, (choice, world) in enumerate(zip(choices, worlds, strict=True), 1):
        decl = spec.events[choice.name]
        args: dict[str, int | str] = {param: handles[at] for param, at in choice.things}
        if choice.fresh is not None:
            kind, param = choice.fresh
            born = sum(handle // 0x1000 == kinds[kind] for handle in handles)
            handles.append(kinds[kind] * 0x1000 + 0x10 * (born + 1))
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
