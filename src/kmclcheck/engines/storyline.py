"""The part of a trace that a rule depends on at one place, as a task for the search for fillings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from kmclcheck.engines.openings import Note, Place, Record, Thing
from kmclcheck.engines.symbolic.bounds import Bounds, UnsupportedError
from kmclcheck.engines.symbolic.cone import Cone
from kmclcheck.engines.symbolic.given import Gap, Given, Task
from kmclcheck.model.event import End, Phase
from kmclcheck.model.expr import AnyChild, Expr, Inside, Latest, OpenFrame, Overlapped, walk
from kmclcheck.model.spec import EventKind, Spec

MOST_RECORDS = 240
MOST_THREADS = 6
MOST_OBJECTS = 16
_FRESH = 0xFFFF_0000_0000_1000


@dataclass(slots=True)
class Slice:
    """Records of a trace with the gaps between them, and what the places of a task stand for.

    ``halves`` say of each given record which record of the trace it is, or is a half of. ``handles`` are
    those of all objects, by kind and place, and ``family`` the objects. ``orphans``: of some the trace does
    not tell what they belong to. ``doubt`` is why nothing may follow from it. Of the callbacks that matter,
    ``hidden`` ones never show, and ``doubtful`` ones perhaps.
    """

    halves: list[int]
    handles: dict[tuple[str, int], int]
    given: tuple[Given, ...]
    gaps: tuple[Gap, ...]
    bounds: Bounds
    family: frozenset[Thing]
    doubt: str
    orphans: bool
    hidden: frozenset[str]
    doubtful: frozenset[str]

    def task(self, rule: str, broken: bool, ends: frozenset[End]) -> Task:
        """Return the task of filling the gaps."""
        return Task(rule, broken, self.given, self.gaps, self.bounds, ends)

    def name(self, kind: str, place: int) -> int:
        """Return the handle of an object; one that no record names gets a new one."""
        return self.handles.get((kind, place)) or _FRESH + 0x10 * place


def cut(spec: Spec, record: Record, place: Place, cone: Cone, end: End, adopt: bool = True) -> Slice:
    """Return the slice of a trace up to a place that a cone depends on.

    With ``adopt``, an object of which the trace does not tell what it belongs to belongs to what the trace
    named last; otherwise to something that the trace does not show.
    Raises UnsupportedError if it is too large, or holds what is not modelled.
    """
    return _Cutter(spec, record, place, cone, end, adopt).slice()


class _Cutter:
    def __init__(self, spec: Spec, record: Record, place: Place, cone: Cone, end: End, adopt: bool) -> None:
        self.spec = spec
        self.record = record
        self.place = place
        self.cone = cone
        self.end = end
        self.last = min(place.at, len(record.notes) - 1)
        self.adopt = adopt
        self.orphans = self.guessed = False
        self.parents = {child: set(above) for child, above in record.parents.items()}
        self.asked: set[str] = set()
        self.children: set[str] = set()
        for expr in _conditions(cone):
            for node in walk(expr):
                match node:
                    case (
                        Inside(names=names)
                        | OpenFrame(names=names)
                        | Overlapped(names=names)
                        | Latest(names=names)
                    ):
                        self.asked.update(names)
                    case AnyChild(kind=kind):
                        self.children.add(kind)
                    case _:
                        pass
        for id in cone.rules:
            self.children |= {c.target for c in spec.rules[id].checks if c.each}

    def slice(self) -> Slice:
        notes = self._notes()
        for at in self.record.unknown:
            note = self.record.notes[at]
            if at <= self.last and {t.handle for t in self.family} & set(note.event.args.values()):
                raise UnsupportedError(
                    f"{note.event.name} at line {note.event.line} is not in the specification, "
                    "and may have changed anything of what it names"
                )
        if len(notes) > MOST_RECORDS:
            raise UnsupportedError(
                f"{len(notes)} records of the trace matter to this, more than {MOST_RECORDS}"
            )
        places = self._places(notes)
        given: list[Given] = []
        halves: list[int] = []
        gaps: list[Gap] = []
        threads = self._threads(notes)
        before = -1
        for at in notes:
            one = self.record.notes[at]
            gap = self._gap(before, at)
            before = at
            for number, entry in enumerate(_halves(one.event.phase)):
                thread = threads.get(self._thread(at))
                made = self._given(one, entry, places, thread, number > 0)
                given.append(replace(made, fresh=at in self.fresh and not number))
                halves.append(at)
                gaps.append(Gap() if number else gap)
        gaps.append(self._gap(before, None) if self.place.event is None else Gap())
        kept = set(notes)
        deepest = max([sum(i in kept for i in self.record.notes[at].inside) + 1 for at in notes], default=1)
        bounds = Bounds(
            max(threads.values(), default=-1) + 2,
            deepest + 1,
            self._counts(places),
            1,
            nested=True,
            named=True,
        )
        handles = {(thing.kind, at): thing.handle for thing, at in places.items()}
        hidden = self._callbacks(self.record.hidden)
        return Slice(
            halves,
            handles,
            tuple(given),
            tuple(gaps),
            bounds,
            frozenset(self.family),
            self._doubt(),
            self.orphans,
            hidden,
            self._callbacks(self.record.doubtful) - hidden,
        )

    def _doubt(self) -> str:
        if self.fresh:
            return "there are more threads than are told apart"
        return "the trace does not tell what belongs to what" if self.guessed else ""

    def _callbacks(self, found: dict[Thing, set[str]]) -> frozenset[str]:
        return frozenset(n for t in self.family for n in found.get(t, ()) if n in self.cone.events)

    # Which records matter.

    def _notes(self) -> list[int]:
        """Return the records that matter, and find the objects that they are about."""
        record, cone = self.record, self.cone
        names = [at for at in range(self.last + 1) if record.notes[at].event.name in cone.events]
        returns = {
            note.entry: at for at, note in enumerate(record.notes[: self.last + 1]) if note.entry is not None
        }
        self.family: set[Thing] = set()
        self._join(thing for thing in self.place.things if thing.kind in cone.kinds)
        kept: set[int] = set()
        if self.place.event is not None:
            kept.add(self.place.at)
        movers = [at for at in names if self._moves_thread(record.notes[at])]
        returned = {note.entry for note in record.notes}
        unreturned = [at for at in names if at not in returned and self._makes(record.notes[at])]
        while True:
            size = len(kept), len(self.family)
            kept |= {at for at in names if self._matters(record.notes[at])}
            threads = {self._thread(at) for at in kept}
            kept |= {at for at in movers if self._thread(at) in threads}
            for at in list(kept):
                note = record.notes[at]
                kept |= {i for i in note.inside if record.notes[i].event.name in self.asked & cone.events}
            kept |= {entry for at in kept if (entry := record.notes[at].entry) is not None}
            kept |= {returns[at] for at in kept if at in returns}
            # What a call was about to make may be an object of the family, if its return was missed.
            kept.update(unreturned if self.family else ())
            for at in kept:
                self._join(t for t in record.notes[at].things.values() if t.kind in cone.kinds)
            if (len(kept), len(self.family)) == size:
                return sorted(kept)

    def _moves_thread(self, note: Note) -> bool:
        """Return whether a record changes something about its thread that matters."""
        decl = self.spec.events[note.event.name]
        lines = [*self.cone.lines((decl.name, decl.entry)), *self.cone.lines((decl.name, decl.exit))]
        return any(kind == "thread" for (kind, _), _ in lines)

    def _makes(self, note: Note) -> bool:
        """Return whether a record begins a call whose return makes an object."""
        decl = self.spec.events[note.event.name]
        exit_ = decl.name, decl.exit
        births = [birth for kind in self.cone.kinds for birth in self.cone.births(kind)]
        return note.event.phase in (Phase.CALL, Phase.IN) and any(b.event == exit_ for b in births)

    def _join(self, things: Iterable[Thing]) -> None:
        todo = [thing for thing in things if thing not in self.family]
        while todo:
            thing = todo.pop()
            if thing in self.family:
                continue
            self.family.add(thing)
            self._find_parent(thing)
            todo += self.parents.get(thing, ())
            todo += [
                child
                for child, above in self.parents.items()
                if thing in above and child.kind in self.children
            ]

    def _find_parent(self, thing: Thing) -> None:
        """Give a parent to an object of which the trace does not tell whose it is."""
        parent = self.spec.kinds[thing.kind].parent
        if parent is None or self.parents.get(thing):
            return
        self.orphans = True
        if not self.adopt:
            return
        named = [note.things.get(parent) for note in self.record.notes[: self.last + 1]]
        candidates = [t for t in named if t is not None and t.endpoint == thing.endpoint]
        if candidates:
            self.parents[thing] = {candidates[-1]}
            self.guessed = self.guessed or len(set(candidates)) > 1

    def _matters(self, note: Note) -> bool:
        things = {k: t for k, t in note.things.items() if k in self.cone.kinds}
        mine = {kind for kind, thing in things.items() if thing in self.family}
        if not mine:
            return False
        if len(mine) == len(things):
            return True
        name = note.event.name
        if name in self.asked:
            return True
        decl = self.spec.events[name]
        for event in ((name, decl.entry), (name, decl.exit)):
            for (kind, _), line in self.cone.lines(event):
                above = self.spec.kinds[kind].parent
                if kind in mine or (line.via_parent and above in mine):
                    return True
            if any(birth.event == event for kind in mine for birth in self.cone.births(kind)):
                return True
            if any(a.event == event and a.kind in mine for a in self.spec.assignments):
                return True
            if any(check.target in mine for _, check in self.cone.checks(event)):
                return True
        return False

    # What stands for what.

    def _places(self, notes: list[int]) -> dict[Thing, int]:
        """Return the place of every object: those of one parent stand together."""
        things: dict[Thing, None] = {}
        for at in notes:
            for thing in self.record.notes[at].things.values():
                if thing.kind in self.cone.kinds:
                    things[thing] = None
        for thing in self.family:
            things[thing] = None
        groups: dict[tuple[str, Thing | None], list[Thing]] = {}
        ordered = sorted(things, key=lambda t: self.spec.depth(t.kind))
        for thing in ordered:
            groups.setdefault((thing.kind, self._above(thing, ordered)), []).append(thing)
        self._most: dict[str, int] = {}
        for (kind, _), members in groups.items():
            self._most[kind] = max(self._most.get(kind, 1), len(members))
        places: dict[Thing, int] = {}
        for (kind, above), members in groups.items():
            parent = self.spec.kinds[kind].parent
            row = places[above] if above is not None else 0
            if above is None and parent is not None:
                row = max([at + 1 for t, at in places.items() if t.kind == parent], default=0)
                self._most[parent] = max(self._most.get(parent, 1), row + 1)
            first = row * self._most[kind]
            places.update({thing: first + number for number, thing in enumerate(members)})
        for kind, most in self._most.items():
            if most > MOST_OBJECTS:
                raise UnsupportedError(
                    f"{most} objects of the kind {kind} matter to this, more than {MOST_OBJECTS}"
                )
        return places

    def _above(self, thing: Thing, things: list[Thing]) -> Thing | None:
        parent = self.spec.kinds[thing.kind].parent
        if parent is None:
            return None
        above = [t for t in self.parents.get(thing, ()) if t in things]
        if len(above) > 1:
            raise UnsupportedError(f"{thing.kind} {thing.handle:#x} belongs to one {parent} after another")
        return above[0] if above else None

    def _counts(self, places: dict[Thing, int]) -> tuple[tuple[str, int], ...]:
        return tuple(sorted((kind, most) for kind, most in self._most.items()))

    def _thread(self, at: int) -> object:
        event = self.record.notes[at].event
        if event.tid is None or (event.tid == 0 and event.cpu is None):
            return None
        return event.endpoint, event.tid, event.cpu if event.tid == 0 else None

    def _threads(self, notes: list[int]) -> dict[object, int]:
        """Return a number for every thread.

        If there are too many, those that follow each other share one: then nothing may run on it when the
        next one comes.
        """
        first: dict[object, int] = {}
        last: dict[object, int] = {}
        for at in notes:
            thread = self._thread(at)
            if thread is not None:
                first.setdefault(thread, at)
                last[thread] = at
        ordered = sorted(first, key=lambda t: first[t])
        self.fresh: set[int] = set()
        if len(ordered) <= MOST_THREADS:
            return {thread: number for number, thread in enumerate(ordered)}
        if any(kind == "thread" for kind, _ in self.cone.fields):
            raise UnsupportedError(f"{len(ordered)} threads matter to this, more than {MOST_THREADS}")
        ends: list[int] = []
        found: dict[object, int] = {}
        for thread in ordered:
            note = self.record.notes[last[thread]]
            goes_on = bool(note.inside) or note.event.phase in (Phase.CALL, Phase.IN)
            free = next((n for n, end in enumerate(ends) if end < first[thread]), None)
            if free is None:
                free = len(ends)
                ends.append(0)
            else:
                self.fresh.add(first[thread])
            ends[free] = len(self.record.notes) if goes_on else last[thread]
            found[thread] = free
        if len(ends) > MOST_THREADS:
            raise UnsupportedError(f"{len(ends)} threads at once matter to this, more than {MOST_THREADS}")
        return found

    # Records and gaps.

    def _given(
        self, note: Note, entry: bool, places: dict[Thing, int], thread: int | None, glued: bool
    ) -> Given:
        event, spec = note.event, self.spec
        decl = spec.events[event.name]
        objects: dict[str, int | None] = {k: places[t] for k, t in note.things.items() if t in places}
        for kind, param in decl.objects.items():
            if event.args.get(param) == 0 and kind not in objects:
                objects[kind] = None
        named = {**spec.constants, **spec.statuses}
        args = {
            name: number
            for name, value in event.args.items()
            if name not in decl.objects.values()
            and (number := named.get(value) if isinstance(value, str) else value) is not None
        }
        status = event.status
        if isinstance(status, str):
            status = spec.statuses.get(status)
        return Given(
            event.name, entry, thread, objects, args,
            None if status is None or entry else status & 0xFFFFFFFF, event.irql, glued, line=event.line,
        )  # fmt: skip

    def _gap(self, before: int, at: int | None) -> Gap:
        """Return what may have been missed between a record that matters and the next one."""
        record = self.record
        until = len(record.notes) - 1 if at is None else at
        lost = [record.notes[n].lost for n in range(before + 1, until + 1)]
        if at is None:
            lost.append(record.lost_at_end)
        unseen = record.notes[before + 1].unseen if before + 1 < len(record.notes) else record.unseen
        kinds = frozenset(kind for kind in unseen if self._possible(kind))
        stopped = at is None and self.end is End.STOPPED
        unlimited = stopped or (record.late and before < 0) or before + 1 < record.lost_until
        if unlimited or None in lost:
            return Gap(True)
        count = sum(n or 0 for n in lost)
        if not count:
            return Gap(False, kinds)
        return Gap(True, kinds, None if kinds else count)

    def _possible(self, kind: EventKind) -> bool:
        return kind[0] in self.cone.events and self.spec.events[kind[0]].documented


def _halves(phase: Phase) -> tuple[bool, ...]:
    """Return the halves of a record: entries are true."""
    return (True, False) if phase is Phase.WHOLE else (phase in (Phase.CALL, Phase.IN),)


def _conditions(cone: Cone) -> list[Expr]:
    found: list[Expr] = []
    for name in cone.events:
        decl = cone.spec.events[name]
        found += cone.conditions((name, decl.entry)) + cone.conditions((name, decl.exit))
    for _, check in cone.end_checks():
        found += [check.when, check.require]
    return found
