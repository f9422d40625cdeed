"""Checks a trace and tells, event by event, which objects changed their state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from kmclcheck.engines.monitor import Monitor, Options
from kmclcheck.engines.monitor.ledger import field_text
from kmclcheck.engines.monitor.store import Key, Obj, StateVec
from kmclcheck.model.event import Event, Loss
from kmclcheck.model.finding import Finding
from kmclcheck.model.spec import Spec
from kmclcheck.semantics.index import build_index
from kmclcheck.traces.base import TraceReader


@dataclass(frozen=True, slots=True)
class Change:
    """What is known of an object from now on. ``state`` is ``None`` once it has ended.

    ``serial`` tells apart every object of the run, also those that had the same handle.
    """

    serial: int
    kind: str
    handle: int
    incarnation: int
    endpoint: str
    parent: int | None
    state: dict[str, str] | None


@dataclass(frozen=True, slots=True)
class Moment:
    """An item of the trace, and what it came to.

    ``item`` is ``None`` at the end of the trace. ``findings`` are new, and may be taken back until the end.
    """

    item: Event | Loss | None
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]


class _Told(Obj):
    """An object that tells of every change of its state."""

    __slots__ = ("serial",)

    serial: int

    @property
    def state(self) -> StateVec:
        return _get(self)

    @state.setter
    def state(self, state: StateVec) -> None:
        _set(self, state)
        self.tell()

    def tell(self) -> None:
        """Note that the state was set."""
        raise NotImplementedError


_SLOT = Obj.__dict__["state"]  # where the base class keeps the state
_get: Callable[[Obj], StateVec] = _SLOT.__get__
_set: Callable[[Obj, StateVec], None] = _SLOT.__set__


def since(findings: list[Finding], made: int) -> tuple[Finding, ...]:
    """Return the findings that were made after the first ``made`` ones."""
    new = takewhile(lambda finding: finding.index >= made, reversed(findings))
    return tuple(new)[::-1]


class States:
    """A check that is watched. Iterating runs it, once; memory is that of the monitor.

    ``findings`` are final when the iteration is over, as are ``count`` and ``lost``.
    """

    def __init__(self, spec: Spec, options: Options, reader: TraceReader) -> None:
        self.spec = spec
        self._reader = reader
        self._monitor = Monitor(spec, build_index(spec, options.enabled(spec)), reader.info)
        self._changed: dict[_Told, None] = {}
        self._shown: dict[tuple[str, Key], tuple[_Told, StateVec | None]] = {}
        self._serial = 0
        self._doubts = self._signature()
        self._version = -1
        self._texts: dict[StateVec, dict[str, str]] = {}
        self._monitor.store.make = self._class()

    @property
    def findings(self) -> list[Finding]:
        return self._monitor.ledger.findings

    @property
    def count(self) -> int:
        """How many events were judged so far."""
        return self._monitor.count

    @property
    def lost(self) -> int:
        """How many events are missing as far as is known."""
        return self._monitor.run.lost

    def __iter__(self) -> Iterator[Moment]:
        monitor, ledger = self._monitor, self._monitor.ledger
        made = 0
        for item in self._reader:
            if isinstance(item, Loss):
                monitor.lose(item)
            else:
                monitor.feed(item)
            yield Moment(item, tuple(self._changes()), since(ledger.findings, made))
            made = ledger.made
        monitor.finish()
        yield Moment(None, (), since(ledger.findings, made))

    def _class(self) -> type[Obj]:
        """Return a class of objects that report here."""
        states = self

        class Told(_Told):
            __slots__ = ()

            def tell(self) -> None:
                states._changed[self] = None

        return Told

    def _signature(self) -> list[int]:
        """Return what differs once objects became unknown, or were dropped, without being touched."""
        return [n for info in self._monitor.store.kinds.values() for n in (info.now, len(info.bygone))]

    def _changes(self) -> Iterator[Change]:
        store = self._monitor.store
        if store.version != self._version:
            self._version = store.version
            if (doubts := self._signature()) != self._doubts:
                self._doubts = doubts
                yield from self._doubted()
        if not self._changed:
            return
        changed, self._changed = self._changed, {}
        for obj in changed:
            place = obj.kind, obj.key
            earlier = self._shown.get(place)
            if earlier is not None and earlier[0] is not obj:
                if obj.replaced or obj.retired:
                    continue  # the handle is that of another one by now
                yield self._ended(earlier[0])
                earlier = None
            state = obj.state
            if state.dead or obj.replaced or obj.retired:
                if earlier is not None:
                    del self._shown[place]
                    yield self._ended(obj)
            elif earlier is None or earlier[1] is not state:
                self._shown[place] = obj, state
                if earlier is None:
                    self._serial += 1
                    obj.serial = self._serial
                yield self._is(obj, self._text(state))

    def _doubted(self) -> Iterator[Change]:
        """Give the objects of which nothing is known any more; the monitor finds that out only on need."""
        kinds = self._monitor.store.kinds
        for place, (obj, state) in list(self._shown.items()):
            info = kinds[obj.kind]
            if info.live.get(obj.key) is not obj:
                del self._shown[place]
                yield self._ended(obj)
            elif obj.epoch != info.now and state is not info.table.top:
                self._shown[place] = obj, info.table.top
                yield self._is(obj, self._text(info.table.top))

    def _text(self, state: StateVec) -> dict[str, str]:
        text = self._texts.get(state)
        if text is None:
            text = self._texts[state] = {name: field_text(state, name) for name in state.fields}
        return text

    def _ended(self, obj: _Told) -> Change:
        return self._is(obj, None)

    @staticmethod
    def _is(obj: _Told, state: dict[str, str] | None) -> Change:
        parent = None if obj.parent is None else obj.parent.handle
        return Change(obj.serial, obj.kind, obj.handle, obj.incarnation, obj.endpoint, parent, state)
