"""The compiled monitor says of every trace what the readable stepper says of it."""

from __future__ import annotations

import os
from copy import deepcopy
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from kmclcheck.engines.monitor import Monitor, Options
from kmclcheck.model.event import End, Event, Loss, Phase, Start, TraceInfo
from kmclcheck.model.spec import EventDecl, Spec
from kmclcheck.semantics.index import SpecIndex, build_index
from kmclcheck.semantics.stepper import Stepper
from kmclcheck.speclang import load_spec

ROOT = Path(__file__).parents[2]
EXAMPLES = int(os.environ.get("KMCLCHECK_EXAMPLES", "150"))
PROFILE = settings(
    max_examples=EXAMPLES,
    derandomize="KMCLCHECK_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
Item = Event | Loss

# A life of the API's objects that mostly goes well; a walk plays a part of it before it strays.
KMCL_STORY = (
    "VmbChannelAllocate", "VmbChannelInitSetStateChangeCallbacks", "VmbChannelInitSetMaximumPacketSize",
    "VmbChannelEnable", "VmbChannelStart", "EvtVmbChannelOpened", "EvtVmbChannelStarted",
    "EvtVmbChannelPostStarted", "VmbPacketAllocate", "VmbPacketSetCompletionRoutine", "VmbPacketSend",
    "EvtVmbPacketCompletionRoutine", "VmbPacketFree", "EvtVmbChannelProcessPacket",
    "VmbChannelPacketComplete", "VmbChannelCreateGpadlFromBuffer", "EvtVmbChannelProcessPacket",
    "VmbChannelPause", "EvtVmbChannelSuspend", "VmbChannelPacketComplete", "VmbChannelDeleteGpadl",
    "EvtVmbChannelClosed", "VmbChannelDisable", "VmbChannelCleanup",
)  # fmt: skip
# Records of the library, with what makes their rings doubtful.
RING_STORY = (
    "EtwPacketPut", "EtwPacketFetched", "EtwPacketFetched", "EtwPacketPut", "EtwFetchRoundEnded",
    "EtwPacketPut", "EtwPacketFetched", "EtwPacketFetched", "EtwPacketPut", "EtwPacketPut",
    "EtwPacketFetched", "EvtVmbChannelClosed", "EtwPacketPut", "VmbChannelRestoreFromBuffer",
    "EtwPacketFetched",
)  # fmt: skip
FILE_STORY = (
    "FileOpen", "FileWrite", "FileSize", "FileLock", "FileRead", "OnFileGone", "FileUnlock", "FileClose",
    "DiskWrote", "DiskWrote", "DiskLost",
)  # fmt: skip


@cache
def indexed(name: str) -> tuple[Spec, SpecIndex, tuple[str, ...]]:
    """Return a specification, its index, and the names that a walk prefers."""
    path, story = {
        "kmcl": (ROOT / "specs" / "kmcl", KMCL_STORY),
        "rings": (ROOT / "specs" / "kmcl", RING_STORY),
        "filehandle": (ROOT / "tests" / "data" / "filehandle.kmcl", FILE_STORY),
    }[name]
    spec = load_spec([str(path)])
    return spec, build_index(spec, Options().enabled(spec)), story


class Walk:
    """Draws a trace: a story with mishaps, on a few threads with call stacks."""

    def __init__(self, spec: Spec, story: tuple[str, ...], draw: st.DrawFn) -> None:
        self.spec = spec
        self.story = story
        self.draw = draw
        self.touchy = tuple(n for n, d in spec.events.items() if d.objects)
        self.stacks: dict[int, list[Event]] = {}
        self.items: list[Item] = []
        self.numbered = draw(st.sampled_from([True, True, True, False]))
        self.endpoints = draw(st.sampled_from([("",), ("",), ("a", "b")]))

    def odd(self, chance: int) -> bool:
        """Return true about once in ``chance``; shrinks to false."""
        return self.draw(st.integers(0, chance - 1)) == chance - 1

    def run(self) -> list[Item]:
        """Return the trace."""
        for name in self.story[: self.draw(st.integers(0, len(self.story)))]:
            if not self.odd(12):
                self.enter(name, 1)
                if not self.odd(12):
                    self.leave(1)
        for _ in range(self.draw(st.integers(0, 25))):
            self.act()
        return self.items

    def act(self) -> None:
        thread = self.draw(st.integers(0, 3))
        what = self.draw(st.integers(0, 29))
        if what <= 12:
            self.enter(self.draw(st.sampled_from(self.story)), thread)
        elif what <= 14:
            self.enter(self.draw(st.sampled_from(self.touchy)), thread)
        elif what <= 24:
            self.leave(thread)
        elif what <= 26:
            decl = self.spec.events[self.draw(st.sampled_from(self.touchy))]
            self.items.append(self.event(decl, self.draw(st.sampled_from(list(Phase))), thread, {}))
        elif what == 27:
            self.items.append(Loss(self.draw(st.sampled_from([None, 1]))))
        elif what == 28:
            args: dict[str, int | str] = {"X": self.handle("channel"), "Y": self.handle("packet")}
            self.items.append(Event("Mystery", Phase.CALL, args, tid=thread if self.numbered else None))
        else:
            self.enter(self.draw(st.sampled_from(self.story)), thread, Phase.WHOLE)

    def enter(self, name: str, thread: int, phase: Phase | None = None) -> None:
        decl = self.spec.events[name]
        event = self.event(decl, phase or decl.entry, thread, {})
        self.items.append(event)
        if phase is None:
            self.stacks.setdefault(thread, []).append(event)

    def leave(self, thread: int) -> None:
        stack = self.stacks.get(thread)
        if stack:
            call = stack.pop(-2 if len(stack) > 1 and self.odd(12) else -1)
            decl = self.spec.events[call.name]
            if not self.odd(15):
                self.items.append(self.event(decl, decl.exit, thread, call.args))

    def handle(self, kind: str) -> int:
        if self.odd(40) and kind != "ring":
            return 0
        if self.odd(40):
            return 0x10
        bases = {"channel": 0x10, "file": 0x10, "gpadl": 1, "lock": 1, "incoming": 0x30, "transaction": 0}
        return bases.get(kind, 0x20) + self.draw(st.integers(0, 1))

    def event(self, decl: EventDecl, phase: Phase, thread: int, call: dict[str, int | str]) -> Event:
        """Return a record of the call or callback; a return repeats the handles of its call."""
        args: dict[str, int | str] = {}
        for param in decl.params:
            given = phase is Phase.WHOLE or (param.direction.value == "in") == (phase is decl.entry)
            kind = next((k for k, p in decl.objects.items() if p == param.name), None)
            if kind is not None and (given or param.name in call or self.odd(10)):
                if self.odd(200 if decl.record else 25):
                    continue
                same = param.name in call and not self.odd(25)
                args[param.name] = call[param.name] if same else self.handle(kind)
            elif kind is None and given and not self.odd(200 if decl.record else 8):
                args[param.name] = self.draw(st.sampled_from([1, 0, 8, 64] if not decl.record else [1, 0]))
        if "Return" in decl.objects.values() and phase is not decl.entry and not self.odd(15):
            args["Return"] = self.handle(next(k for k, p in decl.objects.items() if p == "Return"))
        elif phase is not decl.entry and decl.returns not in ("VOID", "NTSTATUS") and self.odd(3):
            args["Return"] = self.draw(st.sampled_from([8, 0]))
        status: int | str | None = None
        if phase is not decl.entry and decl.returns == "NTSTATUS" and not self.odd(15):
            status = self.draw(st.sampled_from([0, 0, 0, 0, 0xC0000001, 0x103, "STATUS_SUCCESS", -1]))
        return Event(
            decl.name, phase, args, status,
            tid=thread if self.numbered and not self.odd(60) else None,
            cpu=None if self.odd(8) else self.draw(st.integers(0, 1)),
            irql=self.draw(st.sampled_from([0, 0, 0, 2, None])),
            endpoint=self.draw(st.sampled_from(self.endpoints)),
            line=len(self.items) + 1,
        )  # fmt: skip


@st.composite
def headers(draw: st.DrawFn, spec: Spec) -> TraceInfo:
    """Return what a trace may say about itself."""
    info = TraceInfo(
        start=draw(st.sampled_from([Start.KNOWN, Start.KNOWN, Start.MIDLIFE])),
        end=draw(st.sampled_from(list(End))),
        records_all=draw(st.sampled_from([True, True, False])),
        lost_anywhere=draw(st.integers(0, 30)) == 30,
    )
    if not info.records_all:
        groups = ["functions", "functions.call", "callbacks", "callbacks.in"]
        info.records_groups |= draw(st.sets(st.sampled_from(groups)))
    names = st.sampled_from(sorted(spec.events))
    phases = st.sampled_from(list(Phase))
    info.records |= draw(st.just(set()) | st.sets(st.tuples(names, phases), max_size=4))
    info.records_not |= draw(st.just(set()) | st.sets(st.tuples(names, phases), max_size=3))
    for name, decl in spec.events.items():
        if decl.record and draw(st.integers(0, 15)):
            info.records.add((name, Phase.WHOLE))
    info.start_of = draw(st.sampled_from([None, None, frozenset({"a"})]))
    return info


@st.composite
def traces(draw: st.DrawFn, name: str) -> tuple[TraceInfo, list[Item]]:
    """Return a header and a trace."""
    spec, _, story = indexed(name)
    return draw(headers(spec)), Walk(spec, story, draw).run()


def by_monitor(name: str, info: TraceInfo, items: list[Item]) -> list[str]:
    """Return verdicts and findings of the monitor, as lines."""
    spec, index, _ = indexed(name)
    monitor = Monitor(spec, index, deepcopy(info))
    for item in items:
        if isinstance(item, Event):
            monitor.feed(item)
        else:
            monitor.lose(item)
    monitor.finish()
    places = {id(event): at for at, event in enumerate((i for i in items if isinstance(i, Event)), 1)}
    lines = [f"{v.rule} {v.kind.value}" for v in monitor.ledger.verdicts()]
    for f in monitor.ledger.findings:
        at = None if f.event is None else places[id(f.event)]
        place = (at, f.object.kind, hex(f.object.handle), f.object.incarnation)
        lines.append(f"finding {f.rule} {place} {sorted(f.also_broken)} {f.repeats}")
    return sorted(lines)


def by_stepper(name: str, info: TraceInfo, items: list[Item]) -> list[str]:
    """Return verdicts and findings of the stepper, as lines."""
    spec, index, _ = indexed(name)
    stepper = Stepper(spec, index, deepcopy(info))
    for item in items:
        stepper.feed(item)
    stepper.finish()
    lines = [f"{v.rule} {v.kind.value}" for v in stepper.verdicts()]
    for rule, at, kind, handle, incarnation, also, repeats in stepper.reported:
        lines.append(f"finding {rule} {(at, kind, hex(handle), incarnation)} {sorted(also)} {repeats}")
    return sorted(lines)


def brief(item: TraceInfo | Item) -> str:
    """Return a part of a trace for a reader, without what it leaves at the default."""
    values = {f.name: getattr(item, f.name) for f in fields(item)}
    plain = {f.name: f.default if f.default is not MISSING else None for f in fields(item)}
    told = {k: str(v) for k, v in values.items() if v != plain[k] and v not in (None, set())}
    return f"{type(item).__name__} " + " ".join(f"{k}={v}" for k, v in told.items() if k != "line")


@pytest.mark.parametrize("name", ["kmcl", "rings", "filehandle"])
def test_agree(name: str) -> None:
    @PROFILE
    @given(traces(name))
    def agree(trace: tuple[TraceInfo, list[Item]]) -> None:
        info, items = trace
        monitor, stepper = set(by_monitor(name, info, items)), set(by_stepper(name, info, items))
        for item in (info, *items):
            note(brief(item))
        assert (monitor - stepper, stepper - monitor) == (set(), set()), "monitor alone, stepper alone"

    agree()
