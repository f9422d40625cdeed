"""What a step means, in the open: slow, readable, and the oracle of the engines.

Nothing is compiled, cached or thrown away. An event is worked out in full before anything changes;
then its consequences are entered, and every object is widened by what the trace does not record.
The order of events is taken as given: clocks play no part here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kmclcheck.model.event import End, Event, Loss, Phase, Start, TraceInfo
from kmclcheck.model.expr import FieldIn, Sometime, walk
from kmclcheck.model.finding import Verdict
from kmclcheck.model.spec import Check, Party, Rule, Spec
from kmclcheck.semantics.evaluate import UNSET, NumberValue, added, birth_number, evaluate, term_value
from kmclcheck.semantics.index import EventIndex, FieldLines, SpecIndex, expressions, latest_groups
from kmclcheck.semantics.stepper_ledger import Fault, Ledger, Report
from kmclcheck.semantics.stepper_recording import Records, is_dead
from kmclcheck.semantics.stepper_scene import Scene
from kmclcheck.semantics.stepper_stacks import leave
from kmclcheck.semantics.stepper_world import Frame, Thing, Thread, World
from kmclcheck.semantics.transition import move, quarantine
from kmclcheck.semantics.truth import FALSE, MISSING, TRUE, Possible, Truth4, known, unknown

Fields = dict[str, Possible]


@dataclass
class Consequences:
    """Everything an event comes to, worked out before anything changes."""

    faults: list[Fault] = field(default_factory=list)
    broken: list[tuple[Thing, Check]] = field(default_factory=list)
    lapsed: list[Thing] = field(default_factory=list)
    decided: set[tuple[str, str]] = field(default_factory=set)
    births: dict[str, Truth4] = field(default_factory=dict)
    moved: dict[str, Fields] = field(default_factory=dict)
    children: list[tuple[Thing, Fields]] = field(default_factory=list)
    numbers: list[tuple[str, str, NumberValue]] = field(default_factory=list)


class Stepper:
    """Judges a stream of events and losses, given in order, against a specification."""

    def __init__(self, spec: Spec, index: SpecIndex, info: TraceInfo) -> None:
        self.spec = spec
        self.index = index
        self.info = info
        self.records = Records(spec, info)
        self.world = World(spec, self.records, info.start is Start.KNOWN and not info.lost_anywhere)
        self.ledger = Ledger(index.rules)
        self.count = 0
        self._serial = 0
        self._groups = latest_groups(spec)

    def feed(self, item: Event | Loss) -> None:
        """Judge one event and take its effects, or note that events are missing."""
        if isinstance(item, Loss):
            self.lose()
            return
        self.count += 1
        if self.info.lost_anywhere:
            self.lose()
        decl = self.spec.events.get(item.name)
        if decl is None:
            self._unknown(item)
            return
        if decl.record and item.phase is not Phase.WHOLE:
            self._unknown(item)
            return
        entry, exit_ = self.index.events[decl.name, decl.entry], self.index.events[decl.name, decl.exit]
        if decl.record or item.phase in (Phase.CALL, Phase.IN):
            steps = [entry]
        elif item.phase in (Phase.RET, Phase.OUT):
            steps = [exit_]
        else:
            steps = [entry, exit_]
        for index in steps:
            self.records.see(decl.name, index.phase)
            self._step(item, index)

    def verdicts(self) -> list[Verdict]:
        """Return a verdict for every rule, in the order of the specification."""
        return self.ledger.verdicts()

    @property
    def reported(self) -> list[Report]:
        """The findings, in the order in which they were made."""
        return self.ledger.reports

    # Data that is missing.

    def lose(self) -> None:
        """From here on nothing is known but what later events tell."""
        self.world.lose()
        self._latch(None)

    def _unknown(self, event: Event) -> None:
        """A function nobody knows may have changed every object it names, and those below it."""
        for value in event.args.values():
            if isinstance(value, int) and value:
                self.world.strange.add((event.endpoint, value))
                for thing in list(self.world.things.values()):
                    if not thing.kind.scoped and thing.key == (event.endpoint, value):
                        below = [t for t in self.world.things.values() if t.parent is thing]
                        for changed in (thing, *below):
                            self.world.orphaned.add(changed.kind.name)
                            changed.forget()
        self._latch(None)

    # One event.

    def _step(self, event: Event, index: EventIndex) -> None:
        thread = self.world.thread(event)
        frame, lost = (None, False) if index.is_entry else leave(self.world, event, index, thread)
        if lost:
            self.lose()
        scene = self._resolve(Scene(self.world, event, thread, frame), index)
        if self._shows_loss(scene, index):
            self.lose()
            scene = self._resolve(Scene(self.world, event, thread, frame), index)
        what = self._work_out(scene, index)
        told = self.ledger.report(what.faults)
        self._apply(scene, index, what)
        if index.is_entry and not index.decl.record:
            faulty = any(f.rule.party is Party.DRIVER for f in told)
            self._enter(scene, index, thread, faulty)
        for name, thing in scene.things.items():
            for rule in [r for kind, r in what.decided if kind == name]:
                if not any(f.rule.id == rule for f in told):
                    # Broken again after it held, it is a new fault.
                    thing.faults.pop(rule, None)
            if thing.ended:
                thing.parent = None
        self._latch(thread)

    def _work_out(self, scene: Scene, index: EventIndex) -> Consequences:
        what = Consequences()
        for rule, check in index.checks:
            if check.target in scene.things:
                self._judge(rule, check, scene.things[check.target], scene, what)
        self._judge_children(scene, index, what)
        for kind, birth in index.births.items():
            if kind in scene.things:
                level = evaluate(birth.guard, scene)
                if level is not FALSE:
                    what.births[kind] = TRUE if level is TRUE else MISSING
        self._assign(scene, index, what)
        self._move_children(scene, index, what)
        self._move_any(scene, index, what)
        self._move(scene, index, what)
        self._judge_deaths(scene, what)
        return what

    # Rules.

    def _judge(self, rule: Rule, check: Check, thing: Thing, scene: Scene, what: Consequences) -> None:
        level = verdict(check, scene)
        if level is None:
            return
        if level is FALSE:
            what.faults.append(Fault(rule, thing, None if check.event is None else self.count))
            what.broken.append((thing, check))
            if check.each and check.event is not None:
                what.lapsed.append(thing)
        elif level is MISSING:
            self.ledger.opened[rule.id] += 1
        else:
            self.ledger.decided[rule.id] += 1
            if check.event is not None and not check.each:
                what.decided.add((check.target, rule.id))

    def _judge_children(self, scene: Scene, index: EventIndex, what: Consequences) -> None:
        for rule, check in index.each_checks:
            parent = scene.things.get(check.each_of or self.spec.kinds[check.target].parent or "")
            if parent is None:
                continue
            for child in self.world.children(parent, check.target):
                self._judge(rule, check, child, scene.having({**scene.things, check.target: child}), what)
            if not self.world.others(parent, check.target):
                if not self.world.children(parent, check.target) and evaluate(check.when, scene) is not FALSE:
                    self.ledger.decided[rule.id] += 1
            else:
                nobody = self.world.nobody(self.spec.kinds[check.target], scene.event.endpoint)
                unseen = scene.having({**scene.things, check.target: nobody})
                if verdict(check, unseen) in (FALSE, MISSING):
                    self.ledger.opened[rule.id] += 1

    def _judge_deaths(self, scene: Scene, what: Consequences) -> None:
        """Judge the obligations of objects that end here."""
        after = {k: t for k, t in scene.things.items() if not t.passing and k != "thread"}
        later = Scene(self.world, scene.event, scene.thread, scene.frame, dict(scene.things))
        later.newborn = what.moved
        ending = [t for kind, t in after.items() if not t.ended and is_dead(t.kind, what.moved[kind])]
        for thing in ending:
            if not thing.dead or thing.kind.name in what.births:
                one = later.having({**scene.things, thing.kind.name: thing})
                if thing.parent is not None:
                    one.things.setdefault(thing.parent.kind.name, thing.parent)
                for rule, check in self.index.end_checks.get(thing.kind.name, ()):
                    if rule.id not in thing.faults:
                        self._judge(rule, check, thing, one, what)

    # Changes.

    def _shows_loss(self, scene: Scene, index: EventIndex) -> bool:
        """Return whether an object is born that certainly had not ended."""
        return any(
            evaluate(birth.guard, scene) is TRUE and evaluate(birth.loss_if, scene) is TRUE
            for kind, birth in index.births.items()
            if kind in scene.things
        )

    def _assign(self, scene: Scene, index: EventIndex, what: Consequences) -> None:
        for assignment in index.assignments:
            thing = scene.things.get(assignment.kind)
            if thing is None:
                continue
            level = evaluate(assignment.guard, scene)
            value: NumberValue = None
            if assignment.adds and assignment.value is not None:
                earlier = [v for k, n, v in what.numbers if (k, n) == (assignment.kind, assignment.field)]
                birth = what.births.get(assignment.kind, FALSE)
                now = earlier[-1] if earlier else birth_number(thing.number(assignment.field), birth)
                value = added(now, term_value(assignment.value, scene), level)
            elif level is TRUE:
                value = UNSET if assignment.value is None else term_value(assignment.value, scene)
            if level is not FALSE:
                what.numbers.append((assignment.kind, assignment.field, value))

    def _move(self, scene: Scene, index: EventIndex, what: Consequences) -> None:
        """Work out the fields of the event's objects after it."""
        for kind, level in what.births.items():
            # Guards about a newborn read the state of its birth.
            enums = self.spec.kinds[kind].enums.values()
            now = {f.name: scene.things[kind].fields[f.name] for f in enums}
            born = {f.name: known(f.initial) for f in enums}
            scene.newborn[kind] = born if level is TRUE else {n: _join(now[n], born[n]) for n in now}
        for kind, thing in scene.things.items():
            start = scene.newborn.get(kind, thing.fields)
            fields, determined = dict(start), set()
            for name, lines in index.lines.get(kind, {}).items():
                fields[name], sure = move(start[name], lines, lambda e: evaluate(e, scene))
                if sure:
                    determined.add(name)
            if kind in what.births or not is_dead(thing.kind, start):
                for name in _read_by(what.broken, thing) - determined:
                    fields[name] = quarantine(thing.kind.enums[name])
            what.moved[kind] = self._widened(thing, fields, scene, what)
        scene.newborn = {}

    def _widened(self, thing: Thing, fields: Fields, scene: Scene, what: Consequences) -> Fields:
        parent, above = thing.parent, None
        if parent is not None:
            here = scene.things.get(parent.kind.name) is parent
            above = what.moved.get(parent.kind.name) if here else parent.fields
        return self.records.widen(thing.kind, fields, above)

    def _move_children(self, scene: Scene, index: EventIndex, what: Consequences) -> None:
        for kind, lines in index.child_lines.items():
            parent = scene.things.get(self.spec.kinds[kind].parent or "")
            if parent is None or parent.passing:
                self.world.doubt(kind)
                continue
            for child in self.world.children(parent, kind) + self.world.strays(kind):
                fields = dict(child.fields)
                for name, field_lines in lines.items():
                    now, _ = move(fields[name], field_lines, lambda e: evaluate(e, scene))
                    # Perhaps it is the child of another.
                    fields[name] = now if child.parent is parent else _join(fields[name], now)
                what.children.append((child, fields))

    def _move_any(self, scene: Scene, index: EventIndex, what: Consequences) -> None:
        """Every object of the kind may be the one that the event concerns, or another is."""
        for kind, lines in index.any_lines.items():

            def perhaps(fields: Fields, lines: FieldLines = lines) -> Fields:
                moved = dict(fields)
                for name, field_lines in lines.items():
                    moved[name] = _join(fields[name], move(fields[name], field_lines, scene.guard)[0])
                return moved

            for thing in self.world.things.values():
                if thing.kind.name == kind and not thing.ended:
                    what.children.append((thing, perhaps(thing.fields)))
            self.world.unseen[kind] = perhaps(self.world.unseen[kind])

    def _apply(self, scene: Scene, index: EventIndex, what: Consequences) -> None:
        for kind, level in what.births.items():
            self._be_born(scene, index, scene.things[kind], level)
        changed = {kind for kind, fields in what.moved.items() if fields != scene.things[kind].fields}
        for kind, fields in what.moved.items():
            scene.things[kind].fields = fields
        for kind, name, value in what.numbers:
            scene.things[kind].numbers[name] = value
        for child, fields in what.children:
            child.fields = fields
        for child in what.lapsed:
            # What becomes of an object whose obligation was not met is not known.
            child.complete = False
            child.fields = {f.name: unknown(f) for f in child.kind.enums.values()}
        for thing in self.world.things.values():
            above = thing.parent.fields if thing.parent is not None else None
            thing.fields = self.records.widen(thing.kind, thing.fields, above)
        for kind, thing in scene.things.items():
            thing.named = thing.named or kind == index.primary or kind in changed or kind in what.births
            told = scene.frame is None or scene.frame.held.get(kind) is not thing or not index.is_inert
            if told and not thing.passing and kind != "thread":
                thing.ended = thing.dead

    def _be_born(self, scene: Scene, index: EventIndex, old: Thing, level: Truth4) -> None:
        if not old.dead and (old.named or old.complete):
            for rule, check in self.index.end_checks.get(old.kind.name, ()):
                # The handle is used again; what became of the old object is not known.
                if verdict(check, scene.having({old.kind.name: old})) in (FALSE, MISSING):
                    self.ledger.opened[rule.id] += 1
        if level is not TRUE:
            old.complete = False
            old.numbers = {}
            return
        if old.passing:
            return
        for child in self.world.things.values():
            if child.parent is old:
                child.parent = None
        fields = {f.name: known(f.initial) for f in old.kind.enums.values()}
        new = Thing(old.kind, old.key, old.handle, old.endpoint, fields, True)
        new.incarnation = old.incarnation + (0 if old.incarnation == 1 and not old.named else 1)
        old.replaced, old.parent = True, None
        above = new.kind.parent or ""
        parent = scene.things.get(above) if above in index.decl.objects else None
        new.parent = parent if parent is not None and not parent.passing and not parent.replaced else None
        if new.parent is None and above:
            self.world.orphaned.add(new.kind.name)
        self.world.strange.discard((new.endpoint, new.handle))
        self.world.things[new.kind.name, new.key] = new
        scene.things[new.kind.name] = new

    # The objects of an event.

    def _resolve(self, scene: Scene, index: EventIndex) -> Scene:
        """Find the objects of the event; a return speaks of those of its call."""
        decl, event, frame = index.decl, scene.event, scene.frame
        named = decl.objects
        for kind in index.slots:
            if kind not in named:
                continue
            handle = scene.value(named[kind])
            held = frame.held.get(kind) if frame is not None else None
            output = decl.is_output(named[kind])
            if held is not None and not (held.passing and handle):
                thing = held
            elif handle is None:
                if output and (index.is_entry or scene.failed()):
                    continue
                thing = self._nobody(kind, index, event)
            elif handle == 0 and output:
                continue
            else:
                sort = self.spec.kinds[kind]
                thing = self.world.find(sort, handle, event.endpoint, scene.things.get(sort.parent or ""))
                if thing.passing:
                    thing = self._nobody(kind, index, event)
            scene.things[kind] = thing
        for kind in reversed(index.slots):
            if kind not in scene.things and kind not in named:
                below = [t for t in scene.things.values() if t.kind.parent == kind]
                if below:
                    scene.things[kind] = below[0].parent or self._nobody(kind, index, event)
        if index.uses_thread and scene.thread is not None and scene.thread.thing is not None:
            scene.things["thread"] = scene.thread.thing
            if not scene.thread.identified and self._changes("thread", index):
                for other in self.world.strangers(scene.thread):
                    assert other.thing is not None
                    other.thing.forget()
        for thing in scene.things.values():
            parent = scene.things.get(thing.kind.parent or "")
            ours = parent is not None and parent.kind.name in named and not parent.passing
            if ours and thing.kind.name in named and not thing.passing and not thing.replaced:
                thing.parent = parent
        return scene

    def _nobody(self, kind: str, index: EventIndex, event: Event) -> Thing:
        """Stand in for an object that is not named; whichever it is, the event may have changed it."""
        if self._changes(kind, index):
            self.world.doubt(kind)
        if kind in index.births:
            self.world.orphaned.add(kind)
        if index.is_entry:
            for thing in self.world.things.values():
                if thing.kind.name == kind:
                    for group in self._groups.get(index.decl.name, ()):
                        thing.entries.pop(group, None)
        return self.world.nobody(self.spec.kinds[kind], event.endpoint)

    @staticmethod
    def _changes(kind: str, index: EventIndex) -> bool:
        """Return whether the event may change an object of the kind that it concerns."""
        moves = any(not line.observe for lines in index.lines.get(kind, {}).values() for line in lines)
        return moves or kind in index.births or any(a.kind == kind for a in index.assignments)

    # Stacks.

    def _enter(self, scene: Scene, index: EventIndex, thread: Thread, faulty: bool) -> None:
        self._serial += 1
        name = index.decl.name
        held = dict(scene.things)
        primary = held.get(index.primary or "")
        if primary is not None:
            if primary.parent is not None:
                held.setdefault(primary.parent.kind.name, primary.parent)
            for group in self._groups.get(name, ()):
                primary.entries[group] = self._serial
        frame = Frame(name, scene.event, thread, self._serial, held, index.primary, faulty=faulty)
        frame.certain = self.records.exit(name)
        for other in self.world.frames():
            alone = other.thread.identified and thread.identified
            if other.shares(frame) and not (other.thread is thread and alone):
                level = TRUE if other.certain and frame.certain and alone else MISSING
                other.overlaps[name] = max(level, other.overlaps.get(name, FALSE))
                frame.overlaps[other.name] = max(level, frame.overlaps.get(other.name, FALSE))
        (thread.frames if frame.certain else thread.loose).append(frame)
        exprs = expressions(self.index.events[name, index.decl.exit])
        if frame.certain and thread.identified:
            frame.latch = {n.condition: FALSE for e in exprs for n in walk(e) if isinstance(n, Sometime)}

    def _latch(self, recording: Thread | None) -> None:
        """Note what holds now, for conditions on the moments between two records of a thread."""
        for frame in self.world.frames():
            scene = Scene(self.world, frame.event, frame.thread, frame)
            scene.things = dict(frame.held)
            for condition, before in frame.latch.items():
                now = evaluate(condition, scene)
                frame.latch[condition] = now if frame.thread is recording else max(before, now)

    # The end.

    def finish(self) -> None:
        """Judge the obligations that are due at the end of the trace."""
        event = Event("end of trace", Phase.WHOLE, {})
        faults: list[Fault] = []
        for kind, checks in self.index.end_checks.items():
            for thing in [t for t in self.world.things.values() if t.kind.name == kind and not t.ended]:
                things = {kind: thing}
                if thing.parent is not None:
                    things[thing.parent.kind.name] = thing.parent
                for rule, check in checks:
                    level = verdict(check, Scene(self.world, event, None, None, things))
                    if level is None or rule.id in thing.faults:
                        continue
                    if level > MISSING:
                        self.ledger.decided[rule.id] += 1
                    elif level is FALSE and self._due(check, thing):
                        faults.append(Fault(rule, thing, None))
                    else:
                        self.ledger.opened[rule.id] += 1
        self.ledger.report(faults)

    def _due(self, check: Check, thing: Thing) -> bool:
        """Return whether the trace ended by unloading, or in a call that waits for the object."""
        if self.info.end is not End.HUNG:
            return self.info.end is End.UNLOADED
        waiting = (
            frame
            for thread in self.world.threads.values()
            for frame in thread.frames
            if frame.name in check.hung_in and frame.certain and not frame.faulty
        )
        return any(
            t is thing or t is thing.parent or self.world.peers(t, thing)
            for frame in waiting
            for t in frame.held.values()
        )


def verdict(check: Check, scene: Scene) -> Truth4 | None:
    """Return how certain it is that a check is kept, or ``None`` where it does not apply."""
    applies = evaluate(check.when, scene)
    if applies is FALSE:
        return None
    required = evaluate(check.require, scene)
    # Kept in any case if it holds; otherwise open unless it certainly applies.
    return required if applies is TRUE else max(required, MISSING)


def _join(now: Possible, other: Possible) -> Possible:
    return now if other.values <= now.values else Possible(now.values | other.values, True)


def _read_by(broken: list[tuple[Thing, Check]], thing: Thing) -> set[str]:
    """Return the fields of an object at fault that the conditions it broke read."""
    return {
        node.field
        for target, check in broken
        if target is thing
        for node in walk(check.require)
        if isinstance(node, FieldIn) and node.kind == thing.kind.name
    }
