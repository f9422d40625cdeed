"""A trace as a timeline, in the trace event format that Perfetto and Chrome show; ``docs/timeline.md``.

Everything is written as it comes. What is kept is what is open: calls that have not returned, living
objects, and the names of a bounded number of tracks that may be used again.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import BinaryIO

from kmclcheck.engines.states import Change, States
from kmclcheck.model.event import Event, Loss, Phase, TraceInfo
from kmclcheck.model.finding import Finding
from kmclcheck.model.spec import EnumField, Spec
from kmclcheck.report.base import ToolInfo
from kmclcheck.report.describe import event_text, headline, object_text, path_text, status_text, thread_text
from kmclcheck.traces.records import excludes

STEP = 1000
"""Nanoseconds between events of a trace without times."""

DEPTH = 64
"""How many calls of a thread are shown in each other; more are those of a trace without returns."""

TRACKS_KEPT = 4096
"""How many tracks that hold nothing open are remembered, for the same handle or thread to use again."""

_FINDINGS, _LOSSES, _THREADS, _OBJECTS = 0, 1, 2, 100
_NO_RETURN = "no return in the trace"
_EVEN = "the events have no times: they stand 1 us apart, in their order"


@dataclass(slots=True)
class _Process:
    """An endpoint, its clock, and the track of its findings. ``timed``: some event had a time."""

    pid: int
    now: int = 0
    timed: bool = False
    findings: int = 0


@dataclass(slots=True)
class _Calls:
    """The track of a thread and the names of its open calls. Only an identified thread has a stack."""

    track: int
    stack: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Life:
    """The track of a living object and what it shows: the main state, and other fields within it."""

    track: int
    pid: int
    place: tuple[object, ...]
    outer: str = ""
    inner: str = ""


def write_timeline(stream: BinaryIO, states: States, info: TraceInfo, tool: ToolInfo) -> None:
    """Check a trace and write its timeline. Raises InputError if the trace cannot be read on."""
    _Writer(stream, states, info, tool).write()


class _Writer:
    def __init__(self, stream: BinaryIO, states: States, info: TraceInfo, tool: ToolInfo) -> None:
        self._stream = stream
        self._states = states
        self._info = info
        self._tool = tool
        self._spec: Spec = states.spec
        self._first = True
        self._number = 0
        self._moved = 0
        self._untimed = 0
        self._tracks = 0
        self._losses = 0
        self._processes: dict[str, _Process] = {}
        self._threads: OrderedDict[tuple[object, ...], _Calls] = OrderedDict()
        self._busy: dict[tuple[object, ...], _Calls] = {}
        self._lives: dict[int, _Life] = {}
        self._free: OrderedDict[tuple[object, ...], int] = OrderedDict()
        self._told: dict[int, tuple[int, bool]] = {}
        self._mains = {name: _main(list(k.enums.values())) for name, k in self._spec.kinds.items()}
        self._kinds = {name: number for number, name in enumerate(self._spec.kinds)}

    def write(self) -> None:
        self._stream.write(b'{"displayTimeUnit":"ns","traceEvents":[')
        for moment in self._states:
            item = moment.item
            if isinstance(item, Event):
                self._event(item)
            elif item is not None:
                self._loss(item)
            for change in moment.changes:
                self._change(change)
            for finding in moment.findings:
                process = self._process(finding.object.endpoint)
                self._told[finding.index] = process.now, item is None
        self._close()
        for finding in self._states.findings:
            self._finding(finding)
        self._stream.write(b'],"otherData":' + _json(self._about()) + b"}\n")

    # Events and calls.

    def _event(self, event: Event) -> None:
        process = self._process(event.endpoint)
        self._number += 1
        self._tick(process, event)
        key, name, identified = _thread(event)
        calls = self._busy.get(key) or self._threads.get(key) or self._new_calls(key, name, process)
        about = self._about_event(event)
        if event.phase is Phase.WHOLE:
            self._put("X", process, calls.track, event.name, {**about, "return": "same record"})
        elif not identified:
            # Calls of several threads do not nest in each other.
            self._instant(process, calls.track, event_text(event, self._spec), about)
        elif event.phase in (Phase.CALL, Phase.IN):
            exit_ = Phase.RET if event.phase is Phase.CALL else Phase.OUT
            if excludes(self._info, event.name, exit_, event.phase is Phase.IN):
                self._put("X", process, calls.track, event.name, {**about, "return": "not recorded"})
                return
            if len(calls.stack) >= DEPTH:
                self._leave(process, calls, 0)
            self._put("B", process, calls.track, event.name, about)
            if not calls.stack:
                self._busy[key] = self._threads.pop(key)
            calls.stack.append(event.name)
        elif event.name in calls.stack:
            at = len(calls.stack) - 1 - calls.stack[::-1].index(event.name)
            self._leave(process, calls, at + 1)
            calls.stack.pop()
            self._put("E", process, calls.track, event.name, {"returned": about})
            if not calls.stack:
                self._threads[key] = self._busy.pop(key)
        else:
            text = f"{event_text(event, self._spec)} without its call"
            self._instant(process, calls.track, text, about)

    def _leave(self, process: _Process, calls: _Calls, depth: int) -> None:
        """Close the calls above a depth, whose returns are missing."""
        while len(calls.stack) > depth:
            self._put("E", process, calls.track, calls.stack.pop(), {"unfinished": _NO_RETURN})

    def _tick(self, process: _Process, event: Event) -> None:
        """Set the clock of an endpoint to an event; it never goes back."""
        if event.time is None:
            if not self._untimed:
                self._meta("process_labels", process.pid, 0, {"labels": _EVEN})
            self._untimed += 1
            if not process.timed:
                process.now = max(process.now, self._number * STEP)
            return
        process.timed = True
        self._moved += event.time < process.now
        process.now = max(process.now, event.time)

    def _about_event(self, event: Event) -> dict[str, object]:
        about: dict[str, object] = {"line": event.line} if event.line else {}
        if event.args:
            about["args"] = {name: _value(value) for name, value in event.args.items()}
        if event.status is not None:
            about["status"] = status_text(event.status, self._spec)
        for name in ("irql", "cpu", "seq"):
            if (value := getattr(event, name)) is not None:
                about[name] = value
        return about

    def _loss(self, loss: Loss) -> None:
        process = self._process(self._info.endpoint) if not self._processes else self._any_process()
        if not self._losses:
            self._losses = self._track(process.pid, "losses", _LOSSES)
        count = "unknown" if loss.count is None else loss.count
        about: dict[str, object] = {
            "count": count,
            "anywhere": loss.anywhere,
            "reason": loss.reason,
            "line": loss.line,
        }
        now = max(one.now for one in self._processes.values())
        self._put("i", process, self._losses, "events lost", about, scope="g", at=now)

    def _any_process(self) -> _Process:
        return next(iter(self._processes.values()))

    # Objects.

    def _change(self, change: Change) -> None:
        process = self._process(change.endpoint)
        life = self._lives.get(change.serial)
        if change.state is None:
            if life is not None:
                self._show(process, life, "", "", {})
                del self._lives[change.serial]
                self._release(life)
            return
        if life is None:
            life = self._lives[change.serial] = self._new_life(change, process)
        main = self._mains[change.kind]
        outer = "alive"
        if main is not None:
            outer = _label(main, change.state[main.name])
        fields = [
            f for f in self._spec.kinds[change.kind].enums.values() if change.state[f.name] != f.initial
        ]
        others = [
            f"{f.name}: {change.state[f.name]}"
            for f in fields
            if f is not main and not f.boolean and change.state[f.name] != "unknown"
        ]
        about: dict[str, object] = {"incarnation": change.incarnation}
        if fields:
            about["not_initial"] = {f.name: change.state[f.name] for f in fields}
        if change.parent is not None:
            about["parent"] = f"{change.parent:#x}"
        self._show(process, life, outer, ", ".join(others), about)

    def _show(self, process: _Process, life: _Life, outer: str, inner: str, about: dict[str, object]) -> None:
        if (life.outer, life.inner) == (outer, inner):
            return
        if life.inner:
            self._put("E", process, life.track, life.inner)
        if life.outer != outer:
            if life.outer:
                self._put("E", process, life.track, life.outer)
            if outer:
                self._put("B", process, life.track, outer, about)
        if inner:
            self._put("B", process, life.track, inner, about)
        life.outer, life.inner = outer, inner

    def _new_life(self, change: Change, process: _Process) -> _Life:
        """Return a track: that of an earlier object with the handle, if there is one."""
        kind = self._spec.kinds[change.kind]
        name = f"{change.kind} {change.handle:#x}"
        parent = change.parent if kind.scoped else None
        if parent is not None:
            name += f" of {kind.parent} {parent:#x}"
        place = process.pid, change.kind, change.handle, parent
        track = self._free.pop(place, 0)
        if not track:
            track = self._track(process.pid, name, _OBJECTS + self._kinds[change.kind])
        return _Life(track, process.pid, place)

    def _release(self, life: _Life) -> None:
        self._free[life.place] = life.track
        if len(self._free) > TRACKS_KEPT:
            self._free.popitem(last=False)

    # Findings and the end.

    def _finding(self, finding: Finding) -> None:
        process = self._process(finding.object.endpoint)
        if not process.findings:
            process.findings = self._track(process.pid, "findings", _FINDINGS)
        rule = self._spec.rules[finding.rule]
        at, ended = self._told[finding.index]
        about: dict[str, object] = {
            "rule": rule.id, "message": headline(finding, rule), "statement": rule.statement,
            "object": object_text(finding.object), "fix": rule.fix,
        }  # fmt: skip
        if finding.event is not None:
            about |= {"event": event_text(finding.event, self._spec), "line": finding.event.line}
            if (thread := thread_text(finding.event)) is not None:
                about["thread"] = thread
        if finding.also_broken:
            about["also_broken"] = list(finding.also_broken)
        if finding.repeats:
            about["repeats"] = finding.repeats
        name = f"{rule.severity.value}[{rule.id}]"
        self._put("i", process, process.findings, name, about, scope="g" if ended else "t", at=at)

    def _close(self) -> None:
        """End what is still open, at the last moment of its endpoint."""
        by_pid = {process.pid: process for process in self._processes.values()}
        for key, calls in self._busy.items():
            process = self._processes[str(key[0])]
            self._leave(process, calls, 0)
        for life in self._lives.values():
            self._show(by_pid[life.pid], life, "", "", {})

    def _about(self) -> dict[str, object]:
        times = "recorded"
        if self._untimed:
            times = _EVEN if self._untimed == self._number else f"missing on {self._untimed} events"
        return {
            "tool": f"{self._tool.name} {self._tool.version}",
            "specification": self._tool.spec,
            "trace": path_text(self._info.path),
            "start": self._info.start.value,
            "end": self._info.end.value,
            "events": self._states.count,
            "lost": self._states.lost,
            "findings": len(self._states.findings),
            "times": times,
            "events_moved_to_keep_their_order": self._moved,
        }

    # Tracks and the lines of the file.

    def _process(self, endpoint: str) -> _Process:
        process = self._processes.get(endpoint)
        if process is None:
            process = self._processes[endpoint] = _Process(len(self._processes) + 1)
            self._meta("process_name", process.pid, 0, {"name": endpoint or "driver"})
            self._meta("process_sort_index", process.pid, 0, {"sort_index": process.pid})
        return process

    def _new_calls(self, key: tuple[object, ...], name: str, process: _Process) -> _Calls:
        calls = self._threads[key] = _Calls(self._track(process.pid, name, _THREADS))
        if len(self._threads) > TRACKS_KEPT:
            self._threads.popitem(last=False)
        return calls

    def _track(self, pid: int, name: str, order: int) -> int:
        """Return a new track; its number is unique in the whole file."""
        self._tracks += 1
        self._meta("thread_name", pid, self._tracks, {"name": name})
        self._meta("thread_sort_index", pid, self._tracks, {"sort_index": order})
        return self._tracks

    def _meta(self, what: str, pid: int, tid: int, about: dict[str, object]) -> None:
        self._line(
            b'{"ph":"M","pid":%d,"tid":%d,"name":"%s","args":%s}' % (pid, tid, what.encode(), _json(about))
        )

    def _instant(self, process: _Process, track: int, name: str, about: dict[str, object]) -> None:
        self._put("i", process, track, name, about, scope="t")

    def _put(
        self, phase: str, process: _Process, track: int, name: str, about: dict[str, object] | None = None,
        scope: str = "", at: int | None = None,
    ) -> None:  # fmt: skip
        micros, nanos = divmod(process.now if at is None else at, 1000)
        text = f'{{"ph":"{phase}","pid":{process.pid},"tid":{track},"ts":{micros}'
        if nanos:
            text += f".{nanos:03d}"
        if phase == "X":
            text += ',"dur":0'
        if scope:
            text += f',"s":"{scope}"'
        line = text.encode() + b',"name":' + _json(name)
        if about:
            line += b',"args":' + _json(about)
        self._line(line + b"}")

    def _line(self, line: bytes) -> None:
        self._stream.write(b"\n" + line if self._first else b",\n" + line)
        self._first = False


def _json(value: object) -> bytes:
    # Half a surrogate pair is no character, and readers stumble over it.
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def _value(value: int | str) -> str:
    return value if isinstance(value, str) else f"{value:#x}"


def _thread(event: Event) -> tuple[tuple[object, ...], str, bool]:
    """Return by what a thread is known, its name, and whether its calls can be told from others'."""
    if event.tid:
        return (event.endpoint, event.tid), f"thread {thread_text(event)}", True
    if event.tid == 0 and event.cpu is not None:
        return (event.endpoint, 0, event.cpu), f"idle thread of CPU {event.cpu}", True
    return (event.endpoint, None), "no thread known", False


def _main(fields: list[EnumField]) -> EnumField | None:
    """Return the field that says whether the object lives, or else the first one."""
    return min(fields, key=lambda one: not one.dead, default=None)


def _label(field: EnumField, value: str) -> str:
    return f"{field.name}: {value}" if field.boolean or value == "unknown" else value
