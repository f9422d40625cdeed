"""Records that SPIN prints when it replays a trail, as events of a trace."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kmclcheck.model.event import ArgValue, End, Event, Phase
from kmclcheck.model.spec import Spec

_STEP = 100
_RECORD = re.compile(r"^\s*(call|ret|in|out) (\w+)((?: \w+=\w+)*)$")
_END = re.compile(r"^\s*%end (\w+)$")


@dataclass(frozen=True, slots=True)
class Trail:
    """The records of a trail in order, and how the trace ends."""

    events: tuple[Event, ...]
    end: End


def read_trail(spec: Spec, text: str) -> Trail:
    """Return the records in what ``spin -T -t MODEL`` prints; other lines are passed over.

    Raises ValueError if a record names a function or callback that the specification does not know.
    """
    events: list[Event] = []
    end = End.STOPPED
    for line in text.splitlines():
        if found := _END.match(line):
            end = End(found[1])
        elif found := _RECORD.match(line):
            events.append(_event(spec, found[1], found[2], found[3], len(events) + 1))
    return Trail(tuple(events), end)


def _event(spec: Spec, phase: str, name: str, words: str, number: int) -> Event:
    if name not in spec.events:
        raise ValueError(f"the trail names {name}, which the specification does not know")
    values = {key: int(value, 0) for key, value in (word.split("=") for word in words.split())}
    irql, tid = values.pop("irql", 0), values.pop("tid", 0)
    status = values.pop("status", None)
    args: dict[str, ArgValue] = {"Return" if key == "return" else key: v for key, v in values.items()}
    event = Event(name, Phase(phase), args, status, number, number * _STEP, line=number)
    event.cpu, event.pid, event.tid, event.irql = (tid - 16) // 4, 4, tid, irql
    return event
