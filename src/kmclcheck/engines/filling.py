"""Fillings of the gaps of a trace in which an open rule is kept, or broken: the monitor has the last word.

The symbolic engine proposes the fewest records that may have been missed. A proposal counts once the monitor
judged the filled slice as a complete trace and found just what was asked for. What it finds besides is
taken into account, and the question is asked again; more rules can only make the answer longer.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from kmclcheck.engines.fill import Filler
from kmclcheck.engines.monitor import Monitor
from kmclcheck.engines.openings import Place, Record, Thing
from kmclcheck.engines.shortest import info
from kmclcheck.engines.storyline import Slice, cut
from kmclcheck.engines.symbolic.bounds import OutOfBudgetError, UnsupportedError
from kmclcheck.engines.symbolic.cone import Cone, arguments
from kmclcheck.engines.symbolic.filling import Filled, Placed, Puzzle
from kmclcheck.engines.symbolic.given import relevant
from kmclcheck.engines.symbolic.search import settle
from kmclcheck.engines.symbolic.solver import Answer
from kmclcheck.model.event import ArgValue, End, Event, Phase
from kmclcheck.model.finding import Finding
from kmclcheck.model.spec import Spec
from kmclcheck.semantics.index import build_index

TRIES = 24
"""How many proposals that the monitor does not confirm are passed over."""

_NEW_THREAD = 0xF000


class Result(Enum):
    """FOUND, or NONE (proved, within what was searched), or UNDECIDED: nothing is claimed."""

    FOUND = "found"
    NONE = "none"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Line:
    """An event of a filled trace. Without ``origin`` it was filled in; ``added`` is what the trace lacks."""

    event: Event
    origin: Event | None
    added: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a question. No filling has ``searched`` records or fewer, besides the one found.

    ``exhausted``: none of any size will do, for that is all that can have been missed. ``smallest``: the one
    found is. ``rules``, ``fields`` and ``args`` were looked at. ``assuming``: if these callbacks are
    registered. ``why`` says what stood in the way of an answer.
    """

    broken: bool
    result: Result
    searched: int
    lines: tuple[Line, ...] = ()
    end: End = End.STOPPED
    finding: Finding | None = None
    exhausted: bool = False
    smallest: bool = True
    fields: frozenset[tuple[str, str]] = frozenset()
    args: frozenset[str] = frozenset()
    assuming: tuple[str, ...] = ()
    rules: frozenset[str] = frozenset()
    seconds: float = 0.0
    why: str = ""

    @property
    def inserted(self) -> int:
        return sum(line.origin is None for line in self.lines)


@dataclass(frozen=True, slots=True)
class _Replay:
    """What the monitor makes of a filled trace. ``open``: somewhere it could not decide the rule."""

    findings: tuple[Finding, ...]
    lost: bool
    open: bool

    def confirms(self, rule: str, broken: bool, count: int, at_end: bool) -> bool:
        if self.lost:
            return False
        if not broken:
            return not self.findings and not self.open
        if len(self.findings) != 1 or self.findings[0].rule != rule:
            return False
        event = self.findings[0].event
        return event is None if at_end else event is not None and event.line == count


@dataclass
class Explainer:
    """Fills the gaps of one trace. ``judged`` are the rules that count; ``end`` is how the trace ends.

    ``bound`` is how many records a filling has at most, ``seconds`` the time for each question.
    """

    spec: Spec
    record: Record
    rule: str
    judged: frozenset[str]
    end: End
    bound: int
    seconds: float
    _filler: Filler = field(init=False)

    def __post_init__(self) -> None:
        self._index = build_index(self.spec, self.judged)
        self._filler = Filler(self.spec, self.judged)

    def ask(self, place: Place, broken: bool) -> Outcome:
        """Return the smallest filling in which the rule is broken at a place, and nothing else, or kept.

        Raises UnsupportedError for what is not modelled.
        """
        search = _Search(self, place, broken, True, self.bound)
        first = search.run()
        if not search.orphans:
            return first
        # It may also belong to something that the trace does not show.
        found = first.result is Result.FOUND
        bound = first.inserted - 1 if found else self.bound
        if bound < 0:
            return first
        second = _Search(self, place, broken, False, bound).run()
        spent = first.seconds + second.seconds
        if second.result is Result.FOUND or (first.result is Result.NONE and not second.exhausted):
            smallest = second.smallest and first.result is not Result.UNDECIDED
            return replace(second, seconds=spent, smallest=smallest)
        smallest = first.smallest and second.result is Result.NONE
        return replace(first, seconds=spent, smallest=smallest)

    def certain(self, place: Place) -> Finding | None:
        """Return what the trace breaks up to the place, however its gaps are filled."""
        cone = settle(Cone(self.spec).aim(self.rule))
        family = cut(self.spec, self.record, place, cone, self.end).family
        before = {id(note.event) for note in self.record.notes[: place.at + 1]}
        for finding in self.record.findings:
            ref = finding.object
            mine = any((t.kind, t.handle, t.endpoint) == (ref.kind, ref.handle, ref.endpoint) for t in family)
            here = place.event is None if finding.event is None else id(finding.event) in before
            if mine and here:
                return finding
        return None

    def replay(self, lines: Sequence[Line], end: End, at_end: bool) -> _Replay:
        """Return what the monitor makes of a filled trace.

        Unless the question is about its end, obligations are not due where it stops.
        """
        monitor = Monitor(self.spec, self._index, info(end))
        for line in lines:
            monitor.feed(line.event)
        monitor.bank()
        before = monitor.ledger.opened.get(self.rule, 0)
        monitor.finish()
        opened = monitor.ledger.opened.get(self.rule, 0) if at_end else before
        return _Replay(tuple(monitor.ledger.findings), bool(monitor.run.lost), opened > 0)


class _Search:
    """One question."""

    def __init__(self, explainer: Explainer, place: Place, broken: bool, adopt: bool, bound: int) -> None:
        self.adopt = adopt
        self.bound = bound
        self.orphans = False
        self.explainer = explainer
        self.spec = explainer.spec
        self.place = place
        self.broken = broken
        self.at_end = place.event is None
        self.started = time.perf_counter()
        self.deadline = self.started + explainer.seconds
        self.cone = Cone(self.spec).aim(explainer.rule)
        self.least = 0
        self.passed = 0
        self.shown = False
        self.reborn = False

    def run(self) -> Outcome:
        while True:
            wide = settle(self.cone)
            record, end = self.explainer.record, self.explainer.end
            part = cut(self.spec, record, self.place, wide, end, self.adopt)
            self.orphans = part.orphans
            task = part.task(self.explainer.rule, self.broken, self._ends(end))
            try:
                puzzle = Puzzle(wide, task, part.name, self.bound, self.deadline)
                for _ in range(self.least):
                    puzzle.more()
                found = self._solve(puzzle, part, wide)
            except OutOfBudgetError as error:
                proved = self._sure(part, max(error.proved, self.least - 1))
                return self._outcome(Result.UNDECIDED, proved, wide, str(error))
            if found is not None:
                return found

    def _ends(self, end: End) -> frozenset[End]:
        """Return the ends that the trace may come to, if the question is about its end."""
        if not self.at_end:
            return frozenset()
        if end is not End.STOPPED:
            return frozenset({end})
        # Where a trace hangs, only some obligations are due, so hanging does not show that a rule is kept.
        return frozenset({End.UNLOADED, End.HUNG} if self.broken else {End.UNLOADED})

    def _outcome(self, result: Result, searched: int, wide: Cone, why: str = "") -> Outcome:
        spent = time.perf_counter() - self.started
        fields = frozenset(wide.fields | wide.numbers)
        rules = frozenset(wide.rules)
        decls = [self.spec.events[name] for name in sorted(wide.events)]
        exprs = [e for d in decls for p in (d.entry, d.exit) for e in wide.conditions((d.name, p))]
        args = frozenset(arguments(exprs))
        return Outcome(
            self.broken, result, searched, fields=fields, args=args, rules=rules, seconds=spent, why=why
        )

    def _solve(self, puzzle: Puzzle, part: Slice, wide: Cone) -> Outcome | None:
        """Return what the question comes to, ``None`` if it has to be asked with more rules."""
        while True:
            answer = puzzle.check()
            if answer is Answer.UNKNOWN:
                late = time.perf_counter() >= self.deadline
                why = "the time was used up" if late else "the solver gave up"
                return self._outcome(Result.UNDECIDED, self._sure(part, puzzle.inserted - 1), wide, why)
            if answer is Answer.NO:
                found = self._none(puzzle, part, wide)
                if found is not None:
                    return found
                puzzle.more()
                continue
            self.least = puzzle.inserted
            lines, end = self._read(puzzle, part)
            replay = self._confirmed(lines, end)
            if replay is not None:
                puzzle.tidy(min(self.deadline, time.perf_counter() + 5))
                plain, plain_end = self._read(puzzle, part)
                again = self._confirmed(plain, plain_end)
                if again is not None:
                    lines, end, replay = plain, plain_end, again
                found = self._outcome(Result.FOUND, self.least - 1, wide)
                return replace(
                    found, lines=tuple(lines), end=end, finding=next(iter(replay.findings), None),
                    smallest=not (self.passed or self._reservation(part)),
                )  # fmt: skip
            if self._learn(lines, end, wide):
                return None
            self.passed += 1
            if self.passed > TRIES:
                return self._outcome(Result.UNDECIDED, -1, wide, self._doubt(lines, end))
            puzzle.exclude()

    def _none(self, puzzle: Puzzle, part: Slice, wide: Cone) -> Outcome | None:
        """Return the answer that there is no filling, ``None`` while larger ones have to be tried."""
        room = puzzle.room
        exhausted = room is not None and puzzle.inserted >= room
        if not exhausted and puzzle.inserted < self.bound:
            return None
        why = self._reservation(part)
        if not why and not self._possible(wide, part, puzzle.inserted):
            why = "the records of the trace do not fit together in what is modelled"
        if why:
            return self._outcome(Result.UNDECIDED, -1, wide, why)
        found = self._outcome(Result.NONE, puzzle.inserted, wide)
        return replace(found, exhausted=exhausted, assuming=tuple(sorted(part.doubtful)))

    def _sure(self, part: Slice, searched: int) -> int:
        """Return up to how many records there is no filling for certain."""
        return -1 if self.passed or self._reservation(part) else searched

    def _possible(self, wide: Cone, part: Slice, most: int) -> bool:
        """Return whether the trace can be at all, with up to so many missing records and any fault.

        If it cannot, something in it is not modelled, and nothing follows.
        """
        task = replace(part.task(self.explainer.rule, False, frozenset()), anyhow=True)
        puzzle = Puzzle(wide, task, part.name, most, self.deadline)
        while puzzle.check() is not Answer.YES:
            if puzzle.inserted >= most:
                return False
            puzzle.more()
        return True

    def _reservation(self, part: Slice) -> str:
        """Return why it does not follow that there is no filling, "" if it does."""
        if part.hidden:
            return f"{', '.join(sorted(part.hidden))} never show: no callback is registered there"
        if self.shown:
            return "callbacks that are not registered never show"
        if self.passed:
            return "the monitor does not confirm what would do"
        if part.doubt:
            return part.doubt
        if self.explainer.record.unordered:
            return "without sequence numbers, the records may stand in another order"
        return ""

    def _confirmed(self, lines: list[Line], end: End) -> _Replay | None:
        one = self.explainer
        for variant in (lines, self._harmless(lines)):
            replay = one.replay(variant, end, self.at_end)
            if replay.confirms(one.rule, self.broken, len(variant), self.at_end):
                lines[:] = variant
                return replay
        return None

    def _harmless(self, lines: list[Line]) -> list[Line]:
        """Return the lines with harmless values for all arguments that the trace lacks."""
        events = self.explainer._filler.fill([line.event for line in lines])
        return [
            replace(
                line,
                event=event,
                added=(*line.added, *(name for name in event.args if name not in line.event.args)),
            )
            for line, event in zip(lines, events, strict=True)
        ]

    def _learn(self, lines: list[Line], end: End, wide: Cone) -> bool:
        """Take into account what the monitor made of a proposal; return whether that is anything new."""
        replay = self.explainer.replay(lines, end, self.at_end)
        if replay.lost and not self.reborn:
            self.reborn = True
            self.cone.rebirths()
            return True
        told = {finding.rule for finding in replay.findings}
        more = told - wide.rules - {self.explainer.rule}
        if not more:
            rules = self.spec.rules
            yielding = {id for f in replay.findings for id in (*f.also_broken, *rules[f.rule].yields_to)}
            more = (yielding & self.explainer.judged) - wide.rules - {self.explainer.rule}
        if more:
            self.cone.keep(more)
            return True
        if not self.shown and self.explainer.rule not in told and not replay.lost:
            # What callbacks that go unseen may have done leaves the monitor in doubt.
            self.shown = True
            self.cone.show()
            return True
        return False

    def _doubt(self, lines: list[Line], end: End) -> str:
        replay = self.explainer.replay(lines, end, self.at_end)
        told = ", ".join(sorted({finding.rule for finding in replay.findings})) or (
            "that events are missing" if replay.lost else "open" if replay.open else "kept"
        )
        return f"of what would do, the monitor says: {told}"

    # Records as events.

    def _read(self, puzzle: Puzzle, part: Slice) -> tuple[list[Line], End]:
        found = puzzle.read()
        return _Writer(self, puzzle, part, found).lines(), found.end


class _Writer:
    """Writes a filled trace: the events as the trace has them, and those that were missed."""

    def __init__(self, search: _Search, puzzle: Puzzle, part: Slice, found: Filled) -> None:
        self.search = search
        self.spec = search.spec
        self.puzzle = puzzle
        self.part = part
        self.found = found
        self.notes = search.explainer.record.notes

    def lines(self) -> list[Line]:
        owners = self._owners()
        lines: list[Line] = []
        irqls: dict[int, list[int]] = {}
        last: int | None = None
        place: Event = (
            self.notes[self.part.halves[0]].event if self.part.halves else Event("", Phase.CALL, {})
        )
        for placed, owner in zip(self.found.records, owners, strict=True):
            entry = placed.phase in (Phase.CALL, Phase.IN)
            stack = irqls.setdefault(placed.thread, [])
            irql = placed.irql if entry or not stack else stack.pop()
            if placed.given is None:
                event = Event(
                    placed.name, placed.phase, self._named(placed), placed.status, None, place.time,
                    owner.cpu, owner.pid, owner.tid, irql, owner.endpoint,
                )  # fmt: skip
                line = Line(event, None)
            else:
                at = self.part.halves[placed.given]
                place = self.notes[at].event
                if place.irql is not None:
                    irql = place.irql
                line = self._known(lines.pop() if at == last else None, place, placed, owner)
                last = at
            if entry:
                stack.append(irql)
            lines.append(line)
        return [
            replace(line, event=replace(line.event, seq=number, line=number, offset=0))
            for number, line in enumerate(lines, 1)
        ]

    def _known(self, half: Line | None, origin: Event, placed: Placed, owner: Event) -> Line:
        """Return an event of the trace with what it lacks. ``half``: its entry, if it stands for both."""
        event = origin if half is None else half.event
        added = () if half is None else half.added
        decl = self.spec.events[placed.name]
        layout = self.puzzle.system.layout
        call = layout.alphabet.calls[layout.alphabet.stands_for[placed.name]]
        entry = placed.phase is decl.entry
        wanted = relevant(layout.cone, call, entry)
        # A return names again what its call named, or does not; only what it makes is missed.
        made = {decl.objects[k] for k in ([call.made] if call.made is not None and not entry else [])}
        wanted |= {p for p in decl.objects.values() if not decl.is_result(p)} if entry else made
        more = {name: placed.args[name] for name in placed.args if name in wanted and name not in event.args}
        fields: dict[str, ArgValue | None] = {}
        if event.status is None and placed.status is not None:
            fields["status"] = placed.status
        if event.irql is None:
            fields["irql"] = placed.irql
        if event.tid is None:
            fields["tid"] = owner.tid
        changed = replace(event, args={**event.args, **more}, **fields)  # type: ignore[arg-type]
        return Line(changed, origin, (*added, *more, *fields))

    def _named(self, placed: Placed) -> dict[str, ArgValue]:
        """Return the arguments of a missed record; its return names the objects of its call again."""
        if placed.phase in (Phase.CALL, Phase.IN):
            return placed.args
        decl = self.spec.events[placed.name]
        again: dict[str, ArgValue] = {
            param: self.part.name(kind, placed.objects[kind])
            for kind, param in decl.objects.items()
            if kind in placed.objects and not decl.is_result(param)
        }
        return {**again, **placed.args}

    def _owners(self) -> list[Event]:
        """Return, for each record, an event of the thread it is on.

        From one moment at which nothing runs on a thread to the next, its records are those of one thread.
        """
        records = self.found.records
        found: list[Event | None] = [None] * len(records)
        spans: dict[int, list[list[int]]] = {}
        depth: dict[int, int] = {}
        for number, placed in enumerate(records):
            slot = placed.thread
            if not depth.get(slot):
                spans.setdefault(slot, []).append([])
            spans[slot][-1].append(number)
            entry = placed.phase in (Phase.CALL, Phase.IN)
            depth[slot] = depth.get(slot, 0) + (1 if entry else -1)
        endpoint = next((self.notes[at].event.endpoint for at in self.part.halves), "")
        for slot, parts in spans.items():
            told = [self._owner(part) for part in parts]
            latest = next((event for event in told if event is not None), None)
            if latest is None:
                latest = Event("", Phase.CALL, {}, tid=_NEW_THREAD + slot, cpu=slot, endpoint=endpoint)
            for numbers, owner in zip(parts, told, strict=True):
                latest = owner or latest
                for n in numbers:
                    found[n] = latest
        return [event for event in found if event is not None]

    def _owner(self, numbers: list[int]) -> Event | None:
        """Return the first of some records of which the trace tells the thread."""
        given = [g for n in numbers if (g := self.found.records[n].given) is not None]
        events = [self.notes[self.part.halves[g]].event for g in given]
        return next((event for event in events if event.tid is not None), None)


__all__ = ["Explainer", "Line", "Outcome", "Result", "Thing", "UnsupportedError"]
