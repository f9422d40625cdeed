"""A checker of the trace event format, written from its public description, and a way to make one.

The description is the document "Trace Event Format" of the Chromium project: an object with ``traceEvents``;
``ph`` names the type of an event; ``ts`` is in microseconds; B and E events of a thread nest strictly.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from decimal import Decimal
from typing import Any

from kmclcheck.engines.monitor import Options
from kmclcheck.engines.states import States
from kmclcheck.model.spec import Profile, Spec
from kmclcheck.report import ToolInfo
from kmclcheck.report.timeline import write_timeline
from kmclcheck.traces.base import TraceReader

TOOL = ToolInfo("kmclcheck", "1.0", "kmcl", "KMCL")


def timeline(spec: Spec, reader: TraceReader) -> dict[str, Any]:
    """Return the timeline of a trace, read back; numbers with a fraction are exact."""
    return read(written(spec, reader))


def written(spec: Spec, reader: TraceReader) -> bytes:
    rules = frozenset(r.id for r in spec.rules.values() if r.profile is Profile.CORE)
    stream = io.BytesIO()
    write_timeline(stream, States(spec, Options(rules=rules), reader), reader.info, TOOL)
    return stream.getvalue()


def read(data: bytes) -> dict[str, Any]:
    found = json.loads(data.decode("utf-8"), parse_float=Decimal)
    assert isinstance(found, dict)
    return found


def faults(document: dict[str, Any]) -> list[str]:
    """Return what is wrong with a document by the description of the format; nothing if it is in order."""
    wrong: list[str] = []
    stacks: dict[tuple[int, int], list[str]] = defaultdict(list)
    latest: dict[tuple[int, int], Decimal] = {}
    names: dict[tuple[str, int, int], str] = {}
    owner: dict[int, int] = {}
    used: set[tuple[int, int]] = set()
    if not isinstance(document.get("traceEvents"), list):
        return ["no traceEvents"]
    if document.get("displayTimeUnit") not in ("ms", "ns"):
        wrong.append("displayTimeUnit is ms or ns")
    for number, event in enumerate(document["traceEvents"]):
        phase, pid, tid = event.get("ph"), event.get("pid"), event.get("tid")
        if not (isinstance(event.get("name"), str) and type(pid) is int and type(tid) is int):
            wrong.append(f"{number}: an event has a name, a pid and a tid")
            continue
        if not isinstance(event.get("args", {}), dict):
            wrong.append(f"{number}: args is an object")
        track = pid, tid
        if phase == "M":
            key = event["name"], pid, tid
            if key in names:
                wrong.append(f"{number}: {key} stands twice")
            names[key] = json.dumps(event["args"])
            if event["name"] == "thread_name" and owner.setdefault(tid, pid) != pid:
                wrong.append(f"{number}: the number of a track stands for two")
            continue
        used.add(track)
        ts = event.get("ts")
        if isinstance(ts, bool) or not isinstance(ts, int | Decimal) or ts < 0:
            wrong.append(f"{number}: ts is a number")
            continue
        if ts < latest.get(track, Decimal(0)):
            wrong.append(f"{number}: the time of {track} goes back")
        latest[track] = Decimal(ts)
        stack = stacks[track]
        if phase == "B":
            stack.append(event["name"])
        elif phase == "E":
            if not stack or stack.pop() != event["name"]:
                wrong.append(f"{number}: {event['name']} ends what has not begun")
        elif phase == "X":
            if not isinstance(event.get("dur"), int | Decimal) or event["dur"] < 0:
                wrong.append(f"{number}: dur is a number")
        elif phase == "i":
            if event.get("s") not in ("g", "p", "t"):
                wrong.append(f"{number}: an instant has a scope")
        else:
            wrong.append(f"{number}: unknown type {phase!r}")
    wrong += [f"{track}: {stack} never ends" for track, stack in stacks.items() if stack]
    wrong += [f"{track} has no name" for track in used if ("thread_name", *track) not in names]
    wrong += [f"{pid} has no name" for pid, _ in used if ("process_name", pid, 0) not in names]
    return wrong


def track_names(document: dict[str, Any]) -> dict[int, str]:
    """Return the names of the tracks by their numbers."""
    return {e["tid"]: e["args"]["name"] for e in document["traceEvents"] if e["name"] == "thread_name"}


def on(document: dict[str, Any], track: str) -> list[tuple[str, str, Any]]:
    """Return type, name and time of everything on the track of that name."""
    tids = {tid for tid, name in track_names(document).items() if name == track}
    return [
        (e["ph"], e["name"], e["ts"]) for e in document["traceEvents"] if e["ph"] != "M" and e["tid"] in tids
    ]
