"""The walk: event after event, every object goes its ways through its state graphs, and rules are judged.

An event is worked out in full before anything moves: rules and guards look at the state before it.
"""

from __future__ import annotations

from collections.abc import Callable

from kmclcheck.engines.explore.walk.answers import KEPT, LACKING, NO, SURELY, YES, Answer
from kmclcheck.engines.explore.walk.books import Books, Fault
from kmclcheck.engines.explore.walk.calls import Call, Thread, Threads
from kmclcheck.engines.explore.walk.clocks import Clocks
from kmclcheck.engines.explore.walk.conditions import success
from kmclcheck.engines.explore.walk.instances import Instance, Population
from kmclcheck.engines.explore.walk.occasions import THREAD, Occasion, Protocol
from kmclcheck.engines.explore.walk.outcome import Outcome, Reckoning, why_open
from kmclcheck.engines.explore.walk.recorded import Recorded, anywhere, newborn
from kmclcheck.engines.explore.walk.scene import Scene, World
from kmclcheck.model.event import End, Event, Loss, Phase, Start, TraceInfo
from kmclcheck.model.finding import UNDECLARED
from kmclcheck.model.spec import Check, Party

NOT_DUE = "the trace does not say that it ended where this was due"
REUSED = "a handle was used again before this was settled"


class Walker:
    """Judges a stream of events and losses."""

    def __init__(self, protocol: Protocol, info: TraceInfo) -> None:
        self.spec = spec = protocol.spec
        self.info = info
        self.protocol = protocol
        self.recorded = Recorded(self.protocol, info)
        whole = info.start is Start.KNOWN and not info.lost_anywhere
        self.population = Population(self.protocol, self.recorded, whole, info.start_of)
        self.threads = Threads(self.recorded)
        self.world = World(spec, self.recorded, self.population, self.threads)
        self.books = Books(self.protocol.rules)
        self._clocks = Clocks(info.window, self.population, self.threads, self.books)
        self._entries = 0
        self._watched: dict[Call, None] = {}
        self._lost = ""
        self._strange_names = False

    def feed(self, item: Event | Loss) -> None:
        """Judge one event and take its effects, or note that events are missing."""
        if isinstance(item, Loss):
            self.lose(item.reason)
            return
        if self.info.lost_anywhere:
            self.lose("somewhere in the trace")
        decl = self.spec.events.get(item.name)
        if decl is None or (decl.record and item.phase is not Phase.WHOLE):
            self._unknown(item)
            return
        if decl.record or item.phase in (Phase.CALL, Phase.IN):
            phases = [decl.entry]
        elif item.phase in (Phase.RET, Phase.OUT):
            phases = [decl.exit]
        else:
            phases = [decl.entry, decl.exit]
        for phase in phases:
            self.recorded.shows((decl.name, phase))
            self._take(item, self.protocol.occasions[decl.name, phase])

    # Data that is missing.

    def lose(self, reason: str) -> None:
        """From here on nothing is known but what later events tell."""
        self._lost = self._lost or reason
        self.population.lose()
        self.threads.lose()
        self._watch(None)

    def _unknown(self, event: Event) -> None:
        """A function that nobody knows may have changed every object that it names, and their children."""
        self._strange_names = True
        population = self.population
        for value in event.args.values():
            if not isinstance(value, int) or not value:
                continue
            population.strange.add((event.endpoint, value))
            for kind in self.spec.kinds.values():
                one = None if kind.scoped else population.named(kind.name, event.endpoint, value)
                if one is not None:
                    for changed in (one, *one.children):
                        population.scattered.add(changed.kind.name)
                        changed.forget()
        self._watch(None)

    def _cause(self) -> str:
        """Return why data may be missing."""
        if self._lost:
            return f"events were lost ({self._lost})"
        if self.info.start is not Start.KNOWN:
            return "the trace starts in mid-life"
        if self._strange_names:
            return "unknown functions were called"
        declared = self.info.records_all or self.info.records_groups or self.info.records
        return "not everything is recorded" if declared else UNDECLARED

    # One event.

    def _take(self, event: Event, occasion: Occasion) -> None:
        thread = self._thread(event)
        call, gap = None, False
        if not occasion.entry:
            call, gap = self.threads.leave(event, occasion, thread, self._fitting(event, occasion))
        if gap:
            self.lose("a return without its call, or a call without its return")
        scene = self._set(Scene(self.world, event, thread, call), occasion)
        record = self._clocks.before(scene, occasion)
        if self._contradicts(scene, occasion):
            self.lose("a handle was born again while it was in use")
            scene = self._set(Scene(self.world, event, thread, call), occasion)
        made = len(self.books.faults)
        outcome = Reckoning(self.protocol, self.books, self._cause(), scene, occasion).outcome()
        told = self.books.report(outcome.faults)
        self._change(scene, occasion, outcome)
        if occasion.entry and not occasion.decl.record:
            at_fault = any(fault.rule.party is Party.DRIVER for fault in told)
            self._enter(scene, occasion, thread, at_fault)
        for kind, rule in outcome.kept:
            # Broken again after it held, a rule makes a new finding.
            if not any(fault.rule.id == rule for fault in told):
                scene.on[kind].broken.pop(rule, None)
        for one in scene.on.values():
            if one.over:
                one.adopt_by(None)
        self._watch(thread)
        self._clocks.after(scene, record, made)

    def _thread(self, event: Event) -> Thread:
        thread = self.threads.get(event)
        if thread is None:
            one = None
            if THREAD in self.spec.kinds:
                kind = self.spec.kinds[THREAD]
                # What records without a thread id changed may have been this thread.
                sure = self.population.whole and not self.threads.has_nameless(event.endpoint)
                fields = self.recorded.widen(kind, newborn(kind) if sure else anywhere(kind), None)
                one = Instance(kind, event.tid or 0, event.endpoint, fields, sure)
            thread = self.threads.add(event, self.population.whole, one)
        if thread.self is not None and not thread.identified:
            # It stands for many threads.
            thread.self.forget()
        return thread

    def _fitting(self, event: Event, occasion: Occasion) -> Callable[[Call], bool]:
        """Return a test whether a call is about the objects that a return repeats, if it does."""
        repeated = {
            kind: self.world.value(event, param)
            for kind, param in occasion.decl.objects.items()
            if param not in occasion.outputs
        }

        def fits(call: Call) -> bool:
            for kind, handle in repeated.items():
                one = call.on.get(kind)
                if handle is not None and one is not None and not one.stand_in and one.handle != handle:
                    return False
            return True

        return fits

    # The objects of an event.

    def _set(self, scene: Scene, occasion: Occasion) -> Scene:
        """Find the objects of an event; an exit speaks of those of its entry."""
        named = occasion.decl.objects
        for kind in occasion.concerns:
            if kind in named:
                one = self._named(scene, occasion, kind, named[kind])
                if one is not None:
                    scene.on[kind] = one
        for kind in reversed(occasion.concerns):
            if kind not in named:
                below = [one for one in scene.on.values() if one.kind.parent == kind]
                if below:
                    scene.on[kind] = below[0].parent or self._somebody(kind, occasion, scene.event)
        thread = scene.thread
        if thread is not None and thread.self is not None:
            scene.on[THREAD] = thread.self
            if not thread.identified and occasion.changes(THREAD):
                for other in self.threads.confusable(thread):
                    if other.self is not None:
                        other.self.forget()
        for kind, one in scene.on.items():
            parent = scene.on.get(one.kind.parent or "")
            if parent is None or parent.stand_in or one.stand_in or one.succeeded:
                continue
            if kind in named and parent.kind.name in named and one.parent is not parent:
                one.adopt_by(parent)
            self.population.touched(one)
        return scene

    def _named(self, scene: Scene, occasion: Occasion, kind: str, param: str) -> Instance | None:
        handle = self.world.value(scene.event, param)
        held = None if scene.call is None else scene.call.on.get(kind)
        if held is not None and not (held.stand_in and handle):
            return held
        output = param in occasion.outputs
        if handle is None:
            # What the library makes is there only after it did not fail.
            if output and (occasion.entry or success(scene.status()) is False):
                return None
            return self._somebody(kind, occasion, scene.event)
        if handle == 0 and output:
            return None
        sort = self.spec.kinds[kind]
        one = self.population.find(sort, handle, scene.event.endpoint, scene.on.get(sort.parent or ""))
        return one or self._somebody(kind, occasion, scene.event)

    def _somebody(self, kind: str, occasion: Occasion, event: Event) -> Instance:
        """Return a stand-in for an object that is not named. Whoever it is, the event may have changed it."""
        if occasion.changes(kind):
            self.population.unsettle(kind)
        if kind in occasion.births:
            self.population.scattered.add(kind)
        if occasion.entry:
            for one in self.population.of_kind(kind):
                for group in occasion.groups:
                    one.entries.pop(group, None)
        return self.population.stand_in(self.spec.kinds[kind], event.endpoint)

    def _contradicts(self, scene: Scene, occasion: Occasion) -> bool:
        """Return whether an object is born that certainly had not ended: then events are missing."""
        return any(
            kind in scene.on and scene.ask(birth.guard) & SURELY and scene.ask(birth.loss_if) & SURELY
            for kind, birth in occasion.births.items()
        )

    # Taking the effects.

    def _change(self, scene: Scene, occasion: Occasion, outcome: Outcome) -> None:
        for kind, answer in outcome.births.items():
            self._be_born(scene, occasion, kind, answer)
        changed: list[Instance] = []
        for kind, fields in outcome.fields.items():
            one = scene.on[kind]
            one.met = one.met or kind == occasion.subject or kind in outcome.births or fields != one.fields
            one.fields = fields
            changed.append(one)
        for (kind, name), value in outcome.numbers.items():
            scene.on[kind].numbers[name] = value
        for other, fields in outcome.others:
            other.fields = fields
            changed.append(other)
        for lapsed in outcome.lapsed:
            # What becomes of an object whose obligation was not met is not known.
            lapsed.complete = False
            lapsed.fields = anywhere(lapsed.kind)
            changed.append(lapsed)
        self.population.settle(changed)
        for kind, one in scene.on.items():
            untouched = scene.call is not None and scene.call.on.get(kind) is one and occasion.says_nothing
            if not (untouched or one.stand_in or kind == THREAD):
                one.over = one.dead

    def _be_born(self, scene: Scene, occasion: Occasion, kind: str, answer: Answer) -> None:
        old = scene.on[kind]
        if not old.dead and (old.met or old.complete):
            # What became of the old object nobody saw.
            before = Scene(self.world, scene.event, scene.thread, scene.call, {kind: old})
            for rule, check in self.protocol.due_at_end.get(kind, ()):
                kept = before.judge(check)
                if kept is not None and not kept & KEPT:
                    self.books.leave_open(rule, REUSED)
        if answer != YES:
            old.complete = False
            old.numbers = {}
            return
        if old.stand_in:
            return
        above = self.spec.kinds[kind].parent
        new = self.population.succeed(old)
        scene.on[kind] = new
        if above is not None:
            parent = scene.on.get(above) if above in occasion.decl.objects else None
            if parent is None or parent.stand_in or parent.succeeded:
                self.population.scattered.add(kind)
            else:
                new.adopt_by(parent)

    def _enter(self, scene: Scene, occasion: Occasion, thread: Thread, at_fault: bool) -> None:
        self._entries += 1
        name = occasion.decl.name
        on = dict(scene.on)
        subject = on.get(occasion.subject or "")
        if subject is not None:
            if subject.parent is not None:
                on.setdefault(subject.parent.kind.name, subject.parent)
            for group in occasion.groups:
                subject.entries[group] = self._entries
        sure = self.recorded.exit(name)
        call = Call(name, scene.event, thread, self._entries, on, occasion.subject, sure, at_fault=at_fault)
        if name in self.protocol.overlapping:
            for other in self.threads.calls():
                same = other.thread is thread and thread.identified
                if other.name in self.protocol.overlapping and not same and other.shares_object(call):
                    apart = other.thread.identified and thread.identified
                    answer = YES if other.sure and sure and apart else LACKING
                    other.overlaps[name] = other.overlaps.get(name, NO) | answer
                    call.overlaps[other.name] = call.overlaps.get(other.name, NO) | answer
        (thread.stack if sure else thread.floating).append(call)
        if sure and thread.identified:
            call.moments = dict.fromkeys(occasion.awaited, NO)
            if call.moments:
                self._watched[call] = None

    def _watch(self, recording: Thread | None) -> None:
        """Note what holds now, for conditions on the moments between two records of a thread."""
        running = set(self.threads.calls()) if self._watched else set()
        for call in list(self._watched):
            if call not in running:
                del self._watched[call]
                continue
            scene = Scene(self.world, call.event, call.thread, call, dict(call.on))
            for condition, before in call.moments.items():
                now = scene.ask(condition)
                call.moments[condition] = now if call.thread is recording else before | now

    # The end.

    def finish(self) -> None:
        """Judge what is due at the end of the trace."""
        event = Event("end of trace", Phase.WHOLE, {})
        faults: list[Fault] = []
        for kind, checks in self.protocol.due_at_end.items():
            for one in [o for o in self.population.of_kind(kind) if not o.over]:
                on = {kind: one}
                if one.parent is not None:
                    on[one.parent.kind.name] = one.parent
                scene = Scene(self.world, event, None, None, on)
                for rule, check in checks:
                    kept = None if rule.id in one.broken else scene.judge(check)
                    if kept is None:
                        continue
                    if kept & KEPT:
                        self.books.decided[rule.id] += 1
                    elif not self._was_due(check, one):
                        self.books.leave_open(rule, NOT_DUE)
                    elif kept == NO:
                        faults.append(Fault(rule, check, one, None))
                    else:
                        self.books.leave_open(rule, why_open(check, scene, self._cause()))
        self.books.report(faults)

    def _was_due(self, check: Check, one: Instance) -> bool:
        """Return whether the driver was unloaded, or hangs in a call that waits for the object.

        A call that was itself a fault waits for its own thread, not for the object.
        """
        if self.info.end is not End.HUNG:
            return self.info.end is End.UNLOADED
        for thread in self.threads:
            for call in thread.stack:
                if call.name in check.hung_in and call.sure and not call.at_fault:
                    for held in call.on.values():
                        if held is one or held is one.parent or self.population.two_sides(held, one):
                            return True
        return False
