"""Repairs of all findings of a trace: checks it, searches, and replays what is proposed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kmclcheck.engines.cone import Cones, reads
from kmclcheck.engines.fill import Filler
from kmclcheck.engines.monitor import Options, Progress
from kmclcheck.engines.monitor.recording import Recording
from kmclcheck.engines.repair.base import Base, Tape, make_bases
from kmclcheck.engines.repair.calls import Caller, goals_of
from kmclcheck.engines.repair.changes import Change, Draft, Grade, Repair, Standing
from kmclcheck.engines.repair.lines import Mark, blocks
from kmclcheck.engines.repair.replayer import Replayer, Watch
from kmclcheck.engines.repair.search import Search
from kmclcheck.engines.replay import Checker
from kmclcheck.model import expr as e
from kmclcheck.model.event import End, Event, Phase, Start, TraceInfo
from kmclcheck.model.finding import Finding, TraceResult
from kmclcheck.model.spec import EventKind, Party, Spec
from kmclcheck.semantics.index import build_index
from kmclcheck.traces.base import Item, TraceReader

WHOLE = 20_000
"""Records of a trace up to which a change is judged in the whole of it, too."""

Fault = tuple[str, str, int, int]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far the search goes: changes in one repair (1 or 2), and seconds for one finding."""

    changes: int = 2
    seconds: float = 20.0


class Repairer:
    """Proposes repairs with one specification and choice of rules."""

    def __init__(self, spec: Spec, options: Options) -> None:
        self.spec = spec
        self.rules = options.enabled(spec)
        self._checker = Checker(spec, options)
        self._index = build_index(spec, self.rules)
        self._filler = Filler(spec, self.rules)
        self._cones = Cones(spec)
        self._replayers: dict[object, Replayer] = {}

    def check(self, reader: TraceReader, progress: Progress | None = None) -> tuple[TraceResult, Tape]:
        """Check a trace; return the result and the trace, for ``repair``."""
        tape = Tape(reader)
        return self._checker.check(tape, progress), tape

    def repair(self, finding: Finding, tape: Tape, bounds: Bounds) -> Repair:
        """Return a repair of one finding of a trace that was checked, or why there is none."""
        started = time.perf_counter()

        def none(standing: Standing, reason: str, tried: int = 0) -> Repair:
            return Repair(finding, standing, reason, time.perf_counter() - started, tried=tried)

        if self.spec.rules[finding.rule].party is Party.LIBRARY:
            return none(Standing.LIBRARY, "the library has to keep this rule; no change of the driver is due")
        if finding.slice is None or not finding.slice.replayed:
            return none(Standing.SLICE, "no part of the trace that reproduces the finding is known")
        recorded = self._recorded(tape)
        caller = Caller(self.spec, self._index, recorded, self.rules)
        deadline = started + bounds.seconds
        found = self._start(finding, tape, recorded, caller, deadline)
        if found is None:
            return none(Standing.SLICE, "the slice does not give the finding without the trace around it")
        base, replayer = found
        replayer.count = 0
        if all(b.decl.callback for b in blocks(self.spec, base.lines[: base.cut])):
            return none(Standing.NONE, "no call of the driver's is in the slice")
        search, accepting = self._search(finding, tape, base, replayer, caller, deadline)
        draft = search.run(bounds.changes)
        if draft is None:
            if search.out_of_time:
                reason = f"no repair found in {bounds.seconds:g} s ({replayer.count} slices replayed)"
                return none(Standing.TIME, reason, replayer.count)
            changes = "1 change" if bounds.changes == 1 else f"up to {bounds.changes} changes"
            return none(Standing.NONE, f"no repair with {changes} of driver calls found", replayer.count)
        records = tuple(draft.records())
        return Repair(
            finding, Standing.FOUND, "", time.perf_counter() - started,
            draft.changes, draft.lines[: draft.cut], records,
            _declared(tape.info, replayer.info, base), accepting.whole.get(draft.changes), replayer.count,
        )  # fmt: skip

    def all(self, result: TraceResult, tape: Tape, bounds: Bounds) -> Iterator[Repair]:
        """Return a repair of every finding, in their order."""
        for finding in result.findings:
            yield self.repair(finding, tape, bounds)

    def _recorded(self, tape: Tape) -> frozenset[EventKind]:
        """Return which kinds of records the trace has."""
        recorded = set(Recording(self.spec, tape.info).recorded)
        for item in tape.items or ():
            if isinstance(item, Event):
                decl = self.spec.events.get(item.name)
                if decl is not None and not decl.record:
                    both = item.phase is Phase.WHOLE
                    recorded |= {(item.name, p) for p in ((decl.entry, decl.exit) if both else (item.phase,))}
        return frozenset(recorded)

    def _search(
        self,
        finding: Finding,
        tape: Tape,
        base: Base,
        replayer: Replayer,
        caller: Caller,
        deadline: float,
    ) -> tuple[Search, _Accepting]:
        accepting = _Accepting(self, finding, tape, base, replayer)
        search = Search(
            self.spec, base, finding, replayer, caller, self._filler, self._cones, accepting.accept, deadline
        )
        return search, accepting

    def _start(
        self,
        finding: Finding,
        tape: Tape,
        recorded: frozenset[EventKind],
        caller: Caller,
        deadline: float,
    ) -> tuple[Base, Replayer] | None:
        """Return what to edit, and a replayer in which it gives the finding and no other before."""
        others: list[tuple[Base, Replayer, Finding]] = []
        for base in make_bases(self.spec, finding, tape, recorded):
            records = Draft(base.lines, base.cut).records()
            for start in (Start.KNOWN, Start.MIDLIFE):
                key = start, recorded
                replayer = self._replayers.get(key)
                if replayer is None:
                    info = TraceInfo(start=start, records=set(recorded))
                    replayer = self._replayers[key] = Replayer(self.spec, self._index, info)
                judged = replayer.judge(records, base.end)
                if judged.findings and all(_same(f, finding) for f in judged.findings):
                    return base, replayer
                others += [(base, replayer, f) for f in judged.findings[:1]]
        for base, replayer, other in others:
            mended = self._without(other, tape, base, replayer, caller, deadline)
            if mended is not None:
                judged = replayer.judge(Draft(mended.lines, mended.cut).records(), mended.end)
                if judged.findings and all(_same(f, finding) for f in judged.findings):
                    return mended, replayer
        return None

    def _without(
        self,
        other: Finding,
        tape: Tape,
        base: Base,
        replayer: Replayer,
        caller: Caller,
        deadline: float,
    ) -> Base | None:
        """Return a slice in which an earlier finding was mended."""
        if other.event is None or self.spec.rules[other.rule].party is Party.LIBRARY:
            return None
        at = next((i for i, line in enumerate(base.lines) if line.event is other.event), None)
        if at is None:
            return None
        sooner = replace(base, cut=at + 1, end=End.STOPPED, fault=other.event)
        search, _ = self._search(other, tape, sooner, replayer, caller, deadline)
        draft = search.run(1)
        if draft is None:
            return None
        added = len(draft.lines) - len(base.lines)
        return replace(base, lines=draft.lines, cut=base.cut + added, changes=draft.changes)


class RepairingChecker:
    """Checks traces, and says with each finding what mends it; the repairs have one budget in seconds."""

    def __init__(self, spec: Spec, options: Options, budget: float) -> None:
        self._repairer = Repairer(spec, options)
        self._left = budget

    def check(self, reader: TraceReader, progress: Progress | None = None) -> TraceResult:
        """Check one trace."""
        result, tape = self._repairer.check(reader, progress)
        for finding in result.findings if result.complete else ():
            if self._left <= 0:
                break
            repair = self._repairer.repair(finding, tape, Bounds(seconds=min(self._left, Bounds().seconds)))
            self._left -= repair.seconds
            finding.repair = repair.summary if repair.found else ""
        return result


class _Accepting:
    """The last word on drafts of one finding: judged anew, and with the rest of the trace."""

    def __init__(
        self, repairer: Repairer, finding: Finding, tape: Tape, base: Base, replayer: Replayer
    ) -> None:
        self.finding = finding
        self.tape = tape
        self.base = base
        self.replayer = replayer
        self.whole: dict[tuple[Change, ...], bool | None] = {}
        self._spec = repairer.spec
        self._index = repairer._index
        before = Draft(base.lines, base.cut).records()
        self._watch = _watch(repairer.spec, finding)
        self._story = replayer.story(before, self._watch)
        self._doubt = 0 if base.fault is None else self._story.doubts[id(base.fault)]
        self._open = replayer.confirm(before, base.end, finding.rule)[1]
        # What follows a call that never returned is another story if it does.
        hung = tape.info.end is End.HUNG or tape.items is None or len(tape.items) > WHOLE
        self._items = None if hung else tape.items
        self._faults: set[Fault] | None = None
        # The rest of the trace is told by the driver's calls, and by what the library made of the fault.
        self._full = Replayer(self._spec, self._index, tape.info) if self._items is not None else None

    def accept(self, draft: Draft) -> Grade | None:
        """Return how good a draft is; ``None`` rejects it, for it does not conform, or is poor."""
        if self._is_poor(draft):
            return None
        whole = self._in_whole(draft)
        findings, open_, lost = self.replayer.confirm(draft.records(), self.base.end, self.finding.rule)
        if findings or lost or open_ > self._open + (self.finding.event is None):
            return None
        self.whole[draft.changes] = whole
        return Grade.SLICE if whole is False else Grade.GOOD

    def _is_poor(self, draft: Draft) -> bool:
        """Return whether a draft conforms only in form.

        A call comes to nothing because of it, it is less certain what happens, an object ends before the
        call at fault, or callbacks are taken as not recorded.
        """
        story = self.replayer.story(draft.records(), self._watch)
        moved = {
            (line.event.name, line.event.phase): line.event
            for line in draft.lines
            if line.mark is Mark.MOVED_FROM
        }
        for block in blocks(self._spec, draft.lines[: draft.cut]):
            if block.decl.callback:
                continue
            lines = [draft.lines[at] for at in (block.start, block.end) if at is not None]
            has = {name for line in lines for name in story.effects[id(line.event)]}
            mark = lines[0].mark
            if mark is Mark.MOVED_TO and block.end is not None and not has and self._acts(block.decl.name):
                return True
            if mark not in (Mark.MOVED_TO, Mark.KEPT):
                continue
            events = [
                moved.get((line.event.name, line.event.phase)) if mark is Mark.MOVED_TO else line.event
                for line in lines
            ]
            had = {name for event in events for name in self._story.effects.get(id(event), ())}
            if not had or any(event is self.base.fault for event in events):
                continue
            if not has or any((kind, name) in self._watch.near for kind, _, name in had - has):
                return True
        if story.hidden - self._story.hidden:
            return True
        return any(story.doubts[id(event)] > self._doubt for event in self._at_fault(draft))

    def _at_fault(self, draft: Draft) -> list[Event]:
        """Return the record at fault where the draft has it."""
        fault = self.base.fault
        if fault is None:
            return []
        kind = fault.name, fault.phase
        return [
            line.event
            for line in draft.lines[: draft.cut]
            if (line.event is fault and not line.gone)
            or (line.mark is Mark.MOVED_TO and (line.event.name, line.event.phase) == kind)
        ][:1]

    def _acts(self, name: str) -> bool:
        """Return whether a function is there to change a state, and does not just set a number."""
        decl = self._spec.events[name]
        found = False
        for phase in (decl.entry, decl.exit):
            one = self._index.events[name, phase]
            lines = (t for fields in one.lines.values() for group in fields.values() for t in group)
            found |= any(t.targets and not t.observe and not _asks_for_status(t.guard) for t in lines)
            if one.assignments:
                return False
        return found

    def _in_whole(self, draft: Draft) -> bool | None:
        """Return whether the whole trace, changed, has lost the finding and got no other."""
        if self._full is None or self._items is None:
            return None
        if self._faults is None:
            self._faults = self._judged(self._items)
        after = self._judged(edited(self._items, self.base, draft))
        return after <= self._faults - {_fault(self.finding)}

    def _judged(self, items: list[Item]) -> set[Fault]:
        assert self._full is not None
        return {_fault(f) for f in self._full.findings(items, self.tape.info.end)}


def edited(items: list[Item], base: Base, draft: Draft) -> list[Item]:
    """Return a whole trace with the changes of a draft."""
    before: dict[int, list[Item]] = {}
    gone: set[int] = set()
    lines = draft.lines
    known = [base.places.get(id(line.event)) for line in lines]
    for at, line in enumerate(lines):
        place = known[at]
        if line.gone:
            if place is not None:
                gone.add(place)
            continue
        if line.mark is Mark.KEPT and not line.assumed:
            continue
        earlier = next((p for p in reversed(known[:at]) if p is not None), None)
        later = next((p for p in known[at + 1 :] if p is not None), None)
        to = earlier + 1 if earlier is not None and (line.after or later is None) else later
        before.setdefault(len(items) if to is None else to, []).append(line.event)
    made: list[Item] = []
    for at in range(len(items) + 1):
        made += before.get(at, [])
        if at < len(items) and at not in gone:
            made.append(items[at])
    return made


def _asks_for_status(guard: e.Expr) -> bool:
    """Return whether a guard wants a failure, or one special status."""
    return any(
        isinstance(node, e.StatusIn) or (isinstance(node, e.Not) and isinstance(node.operand, e.StatusOk))
        for node in e.walk(guard)
    )


def _watch(spec: Spec, finding: Finding) -> Watch:
    checks = spec.rules[finding.rule].checks
    near = reads([c for check in checks for c in (check.require, check.when)])[0]
    mortal = {
        kind
        for (kind, name), wanted in goals_of(spec, checks).items()
        if wanted and wanted <= spec.kinds[kind].enums[name].dead
    }
    if finding.event is not None and spec.events[finding.event.name].callback:
        mortal.add(finding.object.kind)  # the library calls back all the same
    about = (finding.object, *([finding.parent] if finding.parent is not None else []))
    return Watch(about, frozenset(near), frozenset(mortal))


def _declared(trace: TraceInfo, slice_: TraceInfo, base: Base) -> TraceInfo:
    """Return what the edited slice says about itself when it is written."""
    return TraceInfo(
        start=slice_.start,
        end=base.end,
        records_all=trace.records_all,
        records=set(trace.records) if trace.records_all else set(slice_.records),
        records_not=set(trace.records_not),
        records_not_groups=set(trace.records_not_groups),
        endpoint=trace.endpoint,
    )


def _same(one: Finding, other: Finding) -> bool:
    return (one.rule, one.object.kind, one.object.handle) == (
        other.rule, other.object.kind, other.object.handle
    )  # fmt: skip


def _fault(finding: Finding) -> Fault:
    at = -1 if finding.event is None else finding.event.line or finding.event.offset
    return finding.rule, finding.object.kind, finding.object.handle, at
