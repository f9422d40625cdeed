"""Where a trace leaves a rule open, and what may be missing there: one run of the monitor, written down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from kmclcheck.engines.monitor import Monitor
from kmclcheck.engines.monitor.store import Key, Obj
from kmclcheck.model.event import Event, Loss, Phase, Start
from kmclcheck.model.finding import Finding, Verdict
from kmclcheck.model.spec import EventKind, Spec
from kmclcheck.semantics.evaluate import evaluate_fields
from kmclcheck.semantics.index import build_index, kinds_read
from kmclcheck.semantics.truth import FALSE, TRUE
from kmclcheck.traces.base import TraceReader

ENTRIES = (Phase.CALL, Phase.IN, Phase.WHOLE)


@dataclass(frozen=True, slots=True)
class Thing:
    """What a handle stands for. A scoped handle counts within ``above``.

    Its incarnations are one thing, as long as they have one parent and each begins when no call on the one
    before runs any more; ``life`` counts those for which that is not so.
    """

    kind: str
    endpoint: str
    handle: int
    above: Thing | None = None
    life: int = 0


@dataclass(slots=True)
class Note:
    """An event with what it names; a return names what its call did, too.

    ``lost``: how many records were lost just before it, ``None`` if nobody knows how many.
    ``inside`` are the notes of the calls that run on its thread, by their places. ``unseen`` are the kinds of
    records that the trace does not record, as far as it has shown by then. ``entry`` is the place of the call
    that a return belongs to.
    """

    event: Event
    things: dict[str, Thing]
    inside: tuple[int, ...]
    unseen: frozenset[EventKind]
    lost: int | None = 0
    entry: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rule is open: at the event of a note, or (``at`` is the number of notes) at the end.

    ``things`` are the objects concerned.
    """

    at: int
    things: tuple[Thing, ...]
    event: Event | None

    @property
    def line(self) -> int | None:
        """The line of the event, ``None`` for the end of the trace."""
        return None if self.event is None else self.event.line


@dataclass(slots=True)
class Record:
    """A trace with everything that matters for filling its gaps.

    ``late``: it begins in mid-life. ``lost_until``: records were lost before this note, nobody knows where.
    ``unseen`` is what was not recorded up to the end, ``parents`` which objects belong to which. ``hidden``
    are callbacks that never show for an object, and ``doubtful`` those that perhaps never do.
    """

    notes: list[Note] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    parents: dict[Thing, set[Thing]] = field(default_factory=dict)
    hidden: dict[Thing, set[str]] = field(default_factory=dict)
    doubtful: dict[Thing, set[str]] = field(default_factory=dict)
    unknown: list[int] = field(default_factory=list)
    late: bool = False
    lost_until: int = 0
    lost_at_end: int | None = 0
    unseen: frozenset[EventKind] = frozenset()
    unordered: bool = False
    verdict: Verdict | None = None


def record(spec: Spec, reader: TraceReader, rule: str, judged: frozenset[str]) -> Record:
    """Check a trace and note where it leaves a rule open. Raises InputError."""
    return _Recorder(spec, reader, rule, judged).run()


class _Recorder:
    def __init__(self, spec: Spec, reader: TraceReader, rule: str, judged: frozenset[str]) -> None:
        self.spec = spec
        self.reader = reader
        self.rule = rule
        self.monitor = Monitor(spec, build_index(spec, judged), reader.info)
        self.found = Record(late=reader.info.start is not Start.KNOWN)
        self._asked = {c.event for c in spec.rules[rule].checks}
        self._kinds = {(d.name, p) for d in spec.events.values() if not d.record for p in (d.entry, d.exit)}
        self._unseen: frozenset[EventKind] = frozenset()
        self._recorded = -1
        self._stacks: dict[object, list[int]] = {}
        self._lives: dict[Thing, int] = {}
        self._objs: dict[Thing, Obj] = {}
        self._conditions = {
            decl.name: (decl.recorded_when, kinds_read([decl.recorded_when]))
            for decl in spec.events.values()
            if decl.recorded_when is not None
        }

    def run(self) -> Record:
        found, monitor = self.found, self.monitor
        lost: int | None = 0
        for item in self.reader:
            if isinstance(item, Loss):
                if not item.anywhere:
                    lost = None if lost is None or item.count is None else lost + item.count
                monitor.lose(item)
            else:
                self._feed(item, lost)
                lost = 0
        info = self.reader.info
        found.lost_at_end = lost
        if info.lost_anywhere:
            found.lost_until = len(found.notes) + 1
        monitor.bank()
        before = list(monitor.ledger.findings)
        late = monitor.endings.undecided(self.rule)
        opened = monitor.ledger.opened.get(self.rule, 0)
        monitor.finish()
        gone = [one for one in before if one not in monitor.ledger.findings and one.rule == self.rule]
        for one in gone:
            # It was found, and withdrawn when the trace told at its end that records were lost.
            at = next((n for n, note in enumerate(found.notes) if note.event is one.event), None)
            if at is not None:
                self._place(at)
        if monitor.ledger.opened.get(self.rule, 0) > opened:
            things = [thing for obj in late if (thing := self._thing(obj)) is not None]
            found.places += [Place(len(found.notes), (thing,), None) for thing in things]
        found.places.sort(key=lambda place: place.at)
        self._see()
        found.unseen = self._unseen
        found.findings = list(monitor.ledger.findings)
        found.verdict = next(v for v in monitor.ledger.verdicts() if v.rule == self.rule)
        return found

    def _see(self) -> None:
        recorded = self.monitor.recording.recorded
        if len(recorded) != self._recorded:
            self._recorded = len(recorded)
            self._unseen = frozenset(self._kinds - recorded)

    def _feed(self, event: Event, lost: int | None) -> None:
        found, monitor, run = self.found, self.monitor, self.monitor.run
        at = len(found.notes)
        self._see()
        losses = run.lost
        if self._asks(event):
            monitor.bank()
        opened = monitor.ledger.opened.get(self.rule, 0)
        monitor.feed(event)
        if self._asks(event):
            monitor.bank()
        if run.lost > losses:
            found.lost_until = at + 1
        if run.info.window and event.seq is None:
            found.unordered = True
        decl = self.spec.events.get(event.name)
        if decl is None:
            found.unknown.append(at)
        stack = self._stacks.setdefault(self._thread(event), [])
        note = Note(event, {}, tuple(stack), self._unseen, lost)
        found.notes.append(note)
        ordinary = decl is not None and not decl.record
        if ordinary and event.phase in (Phase.RET, Phase.OUT):
            note.entry = self._left(event, stack)
            note.inside = tuple(stack)
        # A return is about what its call named, whatever the handles stand for by now.
        called = {} if note.entry is None else found.notes[note.entry].things
        note.things = {**self._things(event, called), **called}
        if ordinary and event.phase in (Phase.CALL, Phase.IN):
            stack.append(at)
        if monitor.ledger.opened.get(self.rule, 0) > opened:
            self._place(at)

    def _asks(self, event: Event) -> bool:
        decl = self.spec.events.get(event.name)
        if decl is None:
            return False
        phases = (decl.entry, decl.exit) if event.phase is Phase.WHOLE else (event.phase,)
        return any((event.name, phase) in self._asked for phase in phases)

    def _place(self, at: int) -> None:
        note = self.found.notes[at]
        self.found.places.append(Place(at, tuple(note.things.values()), note.event))

    def _thread(self, event: Event) -> object:
        if event.tid == 0:
            return event.endpoint, "cpu", event.cpu
        return event.endpoint, event.tid

    def _left(self, event: Event, stack: list[int]) -> int | None:
        """Return the entry that a return ends, and take it and what is above it off the stack."""
        notes = self.found.notes
        for depth in range(len(stack) - 1, -1, -1):
            if notes[stack[depth]].event.name == event.name:
                found = stack[depth]
                if event.tid is not None:
                    del stack[depth:]
                else:
                    # Without thread ids a return is that of the only open call of its name, or of nobody's.
                    if sum(notes[one].event.name == event.name for one in stack) > 1:
                        return None
                    del stack[depth]
                return found
        return None

    def _things(self, event: Event, called: dict[str, Thing]) -> dict[str, Thing]:
        """Return the objects that an event names, and note whose they are. ``called``: those of its call."""
        decl = self.spec.events.get(event.name)
        found: dict[str, Thing] = {}
        if decl is None or decl.record:
            return found
        store = self.monitor.store
        # Parents first: the number of an object may count within its parent.
        for kind in sorted(decl.objects, key=self.spec.depth):
            handle = self.monitor.run.handle(event, decl.objects[kind])
            if not handle:
                continue
            sort = self.spec.kinds[kind]
            above = found.get(sort.parent or "") or called.get(sort.parent or "")
            if kind in called:
                found[kind] = called[kind]
                continue
            if sort.scoped and above is None:
                continue
            key: Key = self.monitor.run.key(event, handle)
            if sort.scoped and above in self._objs:
                parent_obj = self._objs[above]
                key = parent_obj.key, parent_obj.incarnation, handle
            obj = store.known(kind, key)
            thing = Thing(kind, event.endpoint, handle, above if sort.scoped else None)
            found[kind] = self._living(thing, obj)
            if obj is not None:
                self._look(found[kind], obj)
            parent = above
            if parent is None:
                parent = None if obj is None or obj.parent is None else self._thing(obj.parent)
            if parent is None:
                continue
            parents = self.found.parents.setdefault(found[kind], {parent})
            if parent not in parents:
                # The handle is that of an object of another parent now.
                self._lives[thing] = found[kind].life + 1
                found[kind] = replace(thing, life=self._lives[thing])
                self.found.parents[found[kind]] = {parent}
        return found

    def _look(self, thing: Thing, obj: Obj) -> None:
        """Note which callbacks of an object do not show."""
        for name, (condition, kinds) in self._conditions.items():
            if thing.kind in kinds and not obj.state.dead:
                level = evaluate_fields(condition, obj.state.fields, thing.kind)
                if level is FALSE:
                    self.found.hidden.setdefault(thing, set()).add(name)
                elif level is not TRUE:
                    self.found.doubtful.setdefault(thing, set()).add(name)

    def _living(self, thing: Thing, obj: Obj | None) -> Thing:
        """Return a thing as it is now: a new life has begun if a call on the one before still runs."""
        old = self._objs.get(thing)
        if obj is not None:
            self._objs[thing] = obj
        life = self._lives.get(thing, 0)
        if old is not None and obj is not None and old is not obj:
            now = replace(thing, life=life)
            stacks = [at for stack in self._stacks.values() for at in stack]
            if any(now in self.found.notes[at].things.values() for at in stacks):
                life = self._lives[thing] = life + 1
        return replace(thing, life=life)

    def _thing(self, obj: Obj) -> Thing | None:
        """Return what an object of the monitor is here."""
        if obj.temporary or obj.kind == "thread":
            return None
        thing = Thing(obj.kind, obj.endpoint, obj.handle)
        if self.spec.kinds[obj.kind].scoped:
            # After a loss, the monitor does not tell any more what it belongs to.
            known = next((t for t, one in self._objs.items() if one is obj), None)
            if known is None:
                return None
            thing = known
        return replace(thing, life=self._lives.get(thing, 0))


def lines(places: Iterable[Place]) -> list[str]:
    """Return where places are, for people."""
    return list(dict.fromkeys("the end" if p.line is None else f"line {p.line}" for p in places))
