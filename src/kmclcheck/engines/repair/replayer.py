"""Replays edited slices in the monitor, thousands of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kmclcheck.engines.monitor import Monitor
from kmclcheck.model.event import End, Event, Loss, TraceInfo
from kmclcheck.model.finding import Finding, ObjectRef
from kmclcheck.model.spec import Spec
from kmclcheck.semantics.index import SpecIndex

StateKey = tuple[object, ...]
Effect = frozenset[tuple[str, int, str]]
"""Fields of objects that a record changed: kind, handle and name."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the monitor makes of records: the findings of the first record that has any.

    ``incarnation`` is that of the object asked about, ``state`` that of all objects before the record asked
    about.
    """

    findings: tuple[Finding, ...]
    lost: bool
    incarnation: int
    state: StateKey | None

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings and not self.lost


ENDED = 1000
"""An object that has ended counts as this many values that a field may have."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched for doubt: objects, and fields of them. Objects of ``mortal`` kinds may have ended."""

    about: tuple[ObjectRef, ...]
    near: frozenset[tuple[str, str]]
    mortal: frozenset[str]


@dataclass(frozen=True, slots=True)
class Story:
    """What records did, by the ``id`` of each: the fields it changed, and how much was in doubt before it.

    ``hidden``: callbacks of objects that may have gone unseen.
    """

    effects: dict[int, Effect]
    doubts: dict[int, int]
    hidden: frozenset[tuple[str, int, str]]


class Replayer:
    """Judges records as traces that say the same about themselves, apart from the end."""

    def __init__(self, spec: Spec, index: SpecIndex, info: TraceInfo) -> None:
        self.spec = spec
        self.index = index
        self.info = info
        self._monitor = Monitor(spec, index, replace(info))
        self.count = 0

    def judge(
        self,
        events: Sequence[Event],
        end: End,
        about: ObjectRef | None = None,
        before: Event | None = None,
    ) -> Judgement:
        """Return what becomes of records; stop at the first finding."""
        self.count += 1
        monitor = self._monitor
        monitor.restart()
        monitor.run.info.end = end
        state: StateKey | None = None
        findings = monitor.ledger.findings
        for event in events:
            if event is before:
                state = self._state()
            monitor.feed(event)
            if findings:
                break
        else:
            if before is None:
                state = self._state()
            monitor.endings.trace_ended()
        incarnation = 0 if about is None else self._incarnation(about)
        return Judgement(tuple(findings), bool(monitor.run.lost), incarnation, state)

    def findings(self, items: Sequence[Event | Loss], end: End) -> list[Finding]:
        """Return all findings of a trace."""
        monitor = self._monitor
        monitor.restart()
        monitor.run.info.end = end
        for item in items:
            if isinstance(item, Loss):
                monitor.lose(item)
            else:
                monitor.feed(item)
        monitor.endings.trace_ended()
        return list(monitor.ledger.findings)

    def story(self, events: Sequence[Event], watch: Watch) -> Story:
        """Return what records did."""
        monitor = self._monitor
        monitor.restart()
        effects: dict[int, Effect] = {}
        doubts: dict[int, int] = {}
        hidden: set[tuple[str, int, str]] = set()
        before = self._values(watch)
        for event in events:
            doubts[id(event)] = before[1]
            monitor.feed(event)
            after = self._values(watch)
            effects[id(event)] = frozenset(
                name
                for name, value in after[0].items()
                if _differs(before[0].get(name, self._absent(name)), value)
            )
            before = after
            hidden |= {
                (kind, obj.handle, name)
                for kind, info in monitor.store.kinds.items()
                for obj in info.live.values()
                for name in monitor.recording.hidden(obj.state)
            }
        return Story(effects, doubts, frozenset(hidden))

    def _values(self, watch: Watch) -> tuple[dict[tuple[str, int, str], object], int]:
        found: dict[tuple[str, int, str], object] = {}
        doubt = 0
        watched = {(ref.kind, ref.handle) for ref in watch.about}
        for kind, info in self._monitor.store.kinds.items():
            for obj in (*info.dead.values(), *info.live.values()):
                mine = (kind, obj.handle) in watched
                if mine and obj.state.dead and kind not in watch.mortal:
                    doubt += ENDED
                for name, now in obj.state.fields.items():
                    found[kind, obj.handle, name] = now.values
                    if mine and (kind, name) in watch.near:
                        doubt += len(now.values) - 1
                for name, value in (obj.numbers or {}).items():
                    found[kind, obj.handle, name] = value
        return found, doubt

    def _absent(self, name: tuple[str, int, str]) -> object:
        """Return the value of a field of an object that no record has named yet."""
        kind, _, field = name
        now = self._monitor.store.kinds[kind].table.absent.fields.get(field)
        return None if now is None else now.values

    def fields(
        self, events: Sequence[Event], about: ObjectRef
    ) -> tuple[dict[str, frozenset[str]], dict[tuple[str, str], int]]:
        """Return the values an object's fields may have after records, and all objects' numbers."""
        self._monitor.restart()
        for event in events:
            self._monitor.feed(event)
        found: dict[str, frozenset[str]] = {}
        numbers: dict[tuple[str, str], int] = {}
        for kind, info in self._monitor.store.kinds.items():
            for obj in (*info.dead.values(), *info.live.values()):
                values = (obj.numbers or {}).items()
                numbers |= {(kind, name): value for name, value in values if isinstance(value, int)}
                if (kind, obj.handle, obj.endpoint) == (about.kind, about.handle, about.endpoint):
                    found = {name: frozenset(now.values) for name, now in obj.state.fields.items()}
        return found, numbers

    def confirm(self, events: Sequence[Event], end: End, rule: str) -> tuple[list[Finding], int, bool]:
        """Judge records in a monitor of their own; return findings, open places of a rule, and losses."""
        monitor = Monitor(self.spec, self.index, replace(self.info, end=end))
        for event in events:
            monitor.feed(event)
        monitor.finish()
        verdict = next(v for v in monitor.ledger.verdicts() if v.rule == rule)
        return list(monitor.ledger.findings), verdict.open, bool(monitor.run.lost)

    def _state(self) -> StateKey:
        store = self._monitor.store
        found: list[object] = [
            (
                kind,
                obj.endpoint,
                obj.handle,
                id(obj.state),
                tuple(sorted((obj.numbers or {}).items(), key=str)),
            )
            for kind, info in store.kinds.items()
            if kind != "thread"
            for obj in info.live.values()
        ]
        found += [
            (str(key), tuple(frame.name for frame in thread.frames))
            for key, thread in self._monitor.run.threads.items()
            if thread.frames
        ]
        return tuple(sorted(found, key=str))

    def _incarnation(self, about: ObjectRef) -> int:
        info = self._monitor.store.kinds[about.kind]
        found = [
            obj.incarnation
            for group in (info.live, info.dead, info.pinned)
            for obj in group.values()
            if obj.handle == about.handle and obj.endpoint == about.endpoint
        ]
        return max(found, default=0)


def _differs(old: object, new: object) -> bool:
    """Return whether a value changed. One that is only less certain than before did not."""
    if isinstance(old, frozenset) and isinstance(new, frozenset):
        return not old <= new
    return old != new
