"""Going through a trace: every event is worked out in full before anything changes."""

from __future__ import annotations

from kmclcheck.engines.symbolic.circuit import FALSE, TRUE, Lit
from kmclcheck.engines.symbolic.trace.books import Books, Fault
from kmclcheck.engines.symbolic.trace.calls import Call, Thread, Threads
from kmclcheck.engines.symbolic.trace.clocks import Clocks, is_local
from kmclcheck.engines.symbolic.trace.facts import Facts
from kmclcheck.engines.symbolic.trace.moves import Move, learn, mixed, move
from kmclcheck.engines.symbolic.trace.numbers import UNSET, Quantity
from kmclcheck.engines.symbolic.trace.objects import AFTER_FAULT, Objects, Thing
from kmclcheck.engines.symbolic.trace.plan import EventPlan, Plan
from kmclcheck.engines.symbolic.trace.recorded import is_dead
from kmclcheck.engines.symbolic.trace.resolve import Resolver
from kmclcheck.engines.symbolic.trace.rules import Effects, Fields, Outcome, Rules
from kmclcheck.engines.symbolic.trace.scene import Scene
from kmclcheck.model.event import Event, Loss, Phase, TraceInfo
from kmclcheck.model.expr import FieldIn, walk
from kmclcheck.model.spec import Party, Transition

Lines = dict[str, list[Transition]]

BORN_AGAIN = "a handle was born again before its obligations were met"
CHILDREN = "other objects may belong to it"


class Run:
    """Judges the events and losses of a trace, given in order."""

    def __init__(self, plan: Plan, info: TraceInfo, facts: Facts) -> None:
        self.plan = plan
        self.info = info
        self.facts = facts
        self.objects = Objects(plan, info, facts)
        self.threads = Threads(self.objects)
        self.resolver = Resolver(self.objects, self.threads)
        self.books = Books(plan.rules)
        self.rules = Rules(self.objects, self.threads, self.books)
        self._all_lossy = info.lost_anywhere
        self._clocks = Clocks(self.objects, self.threads, self.books, info.window) if info.window else None

    def feed(self, item: Event | Loss) -> None:
        """Judge an event and take its effects, or note that events are missing."""
        if isinstance(item, Loss):
            self.lose(item.reason)
            return
        self.facts.check_time()
        if self._all_lossy:
            self.lose("somewhere in the trace")
        for plan in self._plans(item):
            kind = plan.decl.name, plan.phase
            if self.objects.recorded.is_new(kind):
                # Until now such events may have happened to anybody.
                for thing in [*self.objects.all.values(), *self.threads.things()]:
                    self.objects.settle(thing)
                self.objects.recorded.see(kind)
            self._step(item, plan)

    def _plans(self, event: Event) -> list[EventPlan]:
        decl = self.plan.spec.events.get(event.name)
        if decl is None or (decl.record and event.phase is not Phase.WHOLE):
            self._unknown(event)
            return []
        entry, exit_ = self.plan.events[decl.name, decl.entry], self.plan.events[decl.name, decl.exit]
        if decl.record or event.phase in (Phase.CALL, Phase.IN):
            return [entry]
        return [entry, exit_] if event.phase is Phase.WHOLE else [exit_]

    def lose(self, reason: str) -> None:
        """From here on nothing is known but what later events tell."""
        self.objects.lose(reason)
        self.threads.lose()
        self._latch(None)

    def _unknown(self, event: Event) -> None:
        """A function nobody knows may have changed every object it names, and those below."""
        objects = self.objects
        objects.unknown_names.add(event.name)
        for value in event.args.values():
            if isinstance(value, int) and value:
                key = event.endpoint, value
                objects.strange.add(key)
                for thing in [t for t in objects.all.values() if t.key == key and not t.kind.scoped]:
                    for changed in (*thing.children, thing):
                        objects.strayed.add(changed.kind.name)
                        objects.forget(changed)
        self._latch(None)

    # One event.

    def _step(self, event: Event, plan: EventPlan) -> None:
        objects = self.objects
        objects.moment += 1
        thread = self.threads.of(event)
        call: Call | None = None
        if not plan.entry:
            given = Scene(objects, self.threads, event, None, None).given
            call, lost = self.threads.leave(plan, thread, given)
            if lost:
                self.lose("a call did not return")
        scene = self.resolver.resolve(Scene(objects, self.threads, event, thread, call), plan)
        if self._shows_loss(scene, plan):
            self.lose("a handle was born again while it was in use")
            scene = self.resolver.resolve(Scene(objects, self.threads, event, thread, call), plan)
        numbered = event.seq is not None or event.time is None or plan.decl.unordered
        clocks = None if numbered else self._clocks
        now = None if clocks is None else clocks.before(event, thread, scene.things.values())
        found = len(self.books.findings)
        what = self._work_out(scene, plan)
        told = self.books.report(what.faults)
        self._apply(scene, plan, what)
        if plan.entry and not plan.decl.record:
            faulty = any(fault.rule.party is Party.DRIVER for fault in told)
            begun = self.threads.enter(event, plan, thread, scene.things, faulty)
            scene.keep_missing(begun)
            if begun.sure and thread.told:
                begun.latches = dict.fromkeys(plan.awaited, (FALSE, FALSE))
        broken = {fault.rule.id for fault in told}
        for kind, thing in scene.things.items():
            for rule in [rule for of, rule in what.kept if of == kind and rule not in broken]:
                # Broken again after it held, it is a new fault.
                thing.faults.pop(rule, None)
            if thing.ended:
                thing.adopt(None)
        self._latch(thread)
        if clocks is not None and now is not None:
            clocks.after(now, thread, scene.things.values(), self.books.findings[found:])

    def _shows_loss(self, scene: Scene, plan: EventPlan) -> bool:
        """Return whether an object is born that certainly had not ended."""
        return any(
            self.facts.certain(scene.level(birth.guard)[1])
            and self.facts.certain(scene.level(birth.loss_if)[1])
            for kind, birth in plan.births.items()
            if kind in scene.things
        )

    def _work_out(self, scene: Scene, plan: EventPlan) -> Effects:
        what = Effects()
        for rule, check in plan.checks:
            if check.target in scene.things:
                self.rules.judge(rule, check, scene.things[check.target], scene, what)
        for rule, check in plan.each:
            self.rules.judge_children(rule, check, scene, what)
        for kind, birth in plan.births.items():
            if kind in scene.things:
                what.births[kind] = self._fact(scene.level(birth.guard))
        what.births = {kind: lit for kind, lit in what.births.items() if lit != FALSE}
        self._assign(scene, plan, what)
        others = self._move_below(scene, plan) + self._move_anywhere(scene, plan)
        own = self._move_own(scene, plan, what)
        sure = [one for some in own.values() for one in some.values()]
        learn(self.objects, sure + [one for _, _, mix, one in others if not mix])
        merged: dict[int, tuple[Thing, Fields]] = {}
        for thing, name, mix, one in others:
            _, fields = merged.setdefault(id(thing), (thing, dict(thing.fields)))
            fields[name] = mixed(self.objects, one, CHILDREN) if mix else one.after
        what.others = list(merged.values())
        self._settle_own(scene, plan, what, own)
        self.rules.judge_deaths(scene, what)
        return what

    def _fact(self, level: tuple[Lit, Lit]) -> Lit:
        """Return whether a guard holds as a fact; where the documents leave it open, that is unknown."""
        may, must = self.facts.reduced(level)
        if may == must:
            return may
        return self.facts.circuit.either(must, self.facts.circuit.both(may, self.facts.unknown("left open")))

    # Changes.

    def _assign(self, scene: Scene, plan: EventPlan, what: Effects) -> None:
        facts, cause = self.facts, self.objects.cause()
        for one in plan.assignments:
            thing = scene.things.get(one.kind)
            if thing is None:
                continue
            may, must = scene.level(one.guard)
            certain = facts.certain(must)
            if not certain and not facts.possible(may):
                continue
            value = UNSET if one.value is None else scene.term(one.value)
            if one.adds and one.value is not None:
                earlier = [q for kind, name, q in what.numbers if (kind, name) == (one.kind, one.field)]
                now = earlier[-1] if earlier else self._number_before(thing, one.field, what)
                start = 0 if now.unset else now.value
                if certain and start is not None and value.value is not None:
                    value = Quantity(start + value.value)
                else:
                    value = Quantity(None, value.reason or now.reason or cause)
            elif not certain:
                value = Quantity(None, cause)
            what.numbers.append((one.kind, one.field, value))

    def _number_before(self, thing: Thing, name: str, what: Effects) -> Quantity:
        """Return the number that something is added to; a newborn has none yet."""
        born = what.births.get(thing.kind.name, FALSE)
        if born == TRUE:
            return UNSET
        now = thing.number(name, self.objects.cause())
        return now if born == FALSE or now.unset else Quantity(None, self.objects.cause())

    def _moves(self, thing: Thing, lines: Lines, scene: Scene) -> dict[str, Move]:
        fields = self.objects.look(thing)
        return {
            name: move(self.facts, thing.kind.enums[name], fields[name], some, scene.level)
            for name, some in lines.items()
        }

    def _move_below(self, scene: Scene, plan: EventPlan) -> list[tuple[Thing, str, bool, Move]]:
        """Move the children of the event's objects, and those that perhaps are."""
        found: list[tuple[Thing, str, bool, Move]] = []
        for kind, lines in plan.below.items():
            parent = scene.things.get(self.plan.spec.kinds[kind].parent or "")
            if parent is None or parent.nameless:
                self.objects.doubt(kind)
                continue
            for child in self.objects.children(parent, kind):
                found += [(child, name, False, one) for name, one in self._moves(child, lines, scene).items()]
            found += self._perhaps(self.objects.strays(kind), lines, scene)
        return found

    def _move_anywhere(self, scene: Scene, plan: EventPlan) -> list[tuple[Thing, str, bool, Move]]:
        """Every object of the kind may be the one that the event concerns."""
        objects = self.objects
        found: list[tuple[Thing, str, bool, Move]] = []
        for kind, lines in plan.anywhere.items():
            found += self._perhaps([thing for thing in objects.of(kind) if not thing.ended], lines, scene)
            sort, absent = self.plan.spec.kinds[kind], objects.unnamed(kind)
            for name, some in lines.items():
                enum, (values, missing) = sort.enums[name], absent[name]
                one = move(self.facts, enum, objects.values(enum, values, missing), some, scene.level)
                pairs = zip(enum.values, self.facts.reduced(one.after), strict=True)
                wider = values | {value for value, bit in pairs if bit != FALSE}
                absent[name] = (wider, missing or wider != values)
        return found

    def _perhaps(
        self, things: list[Thing], lines: Lines, scene: Scene
    ) -> list[tuple[Thing, str, bool, Move]]:
        """Return moves that each of the objects may take, or not: what is impossible of one shows nothing."""
        found = []
        for thing in things:
            for name, one in self._moves(thing, lines, scene).items():
                found.append((thing, name, True, one))
        return found

    def _move_own(self, scene: Scene, plan: EventPlan, what: Effects) -> dict[str, dict[str, Move]]:
        """Return what the event makes of its own objects; guards about a newborn read its birth."""
        stand: dict[str, Fields] = {}
        for kind, lit in what.births.items():
            old, born = scene.things[kind].fields, self.objects.newborn(scene.things[kind].kind)
            stand[kind] = {n: self.facts.circuit.choose_bits(lit, born[n], old[n]) for n in old}
        scene.stand = stand
        own = {
            kind: {
                name: move(self.facts, thing.kind.enums[name], scene.field(kind, name), lines, scene.level)
                for name, lines in plan.lines.get(kind, {}).items()
            }
            for kind, thing in scene.things.items()
        }
        scene.stand = {}
        what.fields = {kind: dict(stand.get(kind, thing.fields)) for kind, thing in scene.things.items()}
        return own

    def _settle_own(
        self, scene: Scene, plan: EventPlan, what: Effects, own: dict[str, dict[str, Move]]
    ) -> None:
        objects = self.objects
        for kind, thing in scene.things.items():
            fields = what.fields[kind]
            ended = kind not in what.births and is_dead(thing.kind, objects.sets(thing.kind, fields))
            for name, one in own[kind].items():
                fields[name] = one.after
            if not ended:
                for name in self._doubtful(what.faults, thing):
                    if name not in own[kind] or not own[kind][name].sure:
                        fields[name] = objects.unknown(thing.kind.enums[name], AFTER_FAULT)
            above = None
            if thing.parent is not None:
                here = scene.things.get(thing.parent.kind.name) is thing.parent
                parent = what.fields.get(thing.parent.kind.name) if here else thing.parent.fields
                above = None if parent is None else objects.sets(thing.parent.kind, parent)
            what.fields[kind] = objects.widened(thing.kind, fields, above)

    @staticmethod
    def _doubtful(faults: list[Fault], thing: Thing) -> set[str]:
        """Return the fields of an object at fault that the broken conditions read."""
        return {
            node.field
            for fault in faults
            if fault.thing is thing and fault.check.event is not None
            for node in walk(fault.check.require)
            if isinstance(node, FieldIn) and node.kind == thing.kind.name
        }

    def _apply(self, scene: Scene, plan: EventPlan, what: Effects) -> None:
        objects = self.objects
        for kind, lit in what.births.items():
            self._be_born(scene, plan, scene.things[kind], lit)
        changed = {kind for kind, fields in what.fields.items() if fields != scene.things[kind].fields}
        for kind, fields in what.fields.items():
            objects.set(scene.things[kind], fields)
        for kind, name, value in what.numbers:
            # That of the newborn, if there is one.
            scene.things[kind].numbers[name] = value
        for thing, fields in what.others:
            objects.set(thing, fields)
        for thing in what.lapsed:
            # What becomes of an object whose obligation was not met is not known.
            thing.whole = False
            objects.set(thing, {n: objects.unknown(e, AFTER_FAULT) for n, e in thing.kind.enums.items()})
        objects.moment += 1
        for thing in [*scene.things.values(), *(thing for thing, _ in what.others)]:
            objects.settle(thing)
        for kind, thing in scene.things.items():
            thing.named = thing.named or kind == plan.primary or kind in changed or kind in what.births
            told = scene.call is None or scene.call.held.get(kind) is not thing or not plan.idle
            if told and not thing.nameless and kind != "thread":
                thing.ended = objects.dead(thing)
                if not thing.ended:
                    # What was absent came alive without a birth of its own.
                    thing.incarnation = max(1, thing.incarnation)

    def _be_born(self, scene: Scene, plan: EventPlan, old: Thing, lit: Lit) -> None:
        objects = self.objects
        if not objects.dead(old) and (old.named or old.whole):
            for rule, check in self.plan.ends.get(old.kind.name, ()):
                outcome, _ = self.rules.weigh(check, scene.having({old.kind.name: old}))
                if outcome in (Outcome.BROKEN, Outcome.OPEN):
                    self.books.open(rule.id, BORN_AGAIN)
        if lit != TRUE:
            old.whole = False
            old.numbers.clear()
        elif not old.nameless:
            for child in list(old.children):
                child.adopt(None)
            fields = objects.newborn(old.kind)
            new = Thing(old.kind, old.key, old.handle, old.endpoint, fields, True)
            new.incarnation = old.incarnation + (0 if old.incarnation == 1 and not old.named else 1)
            old.replaced = True
            old.adopt(None)
            above = old.kind.parent or ""
            parent = scene.things.get(above) if above in plan.decl.objects else None
            if parent is not None and not parent.nameless and not parent.replaced:
                new.adopt(parent)
            elif above:
                objects.strayed.add(new.kind.name)
            objects.strange.discard((new.endpoint, new.handle))
            objects.all[new.kind.name, new.key] = new
            scene.things[new.kind.name] = new

    def _latch(self, recording: Thread | None) -> None:
        """Note what holds now, for conditions on the moments between two records of a thread."""
        for call in self.threads.calls():
            if call.latches:
                scene = Scene(self.objects, self.threads, call.event, call.thread, call, dict(call.held))
                for thing in call.held.values():
                    self.objects.look(thing)
                for condition, (may, must) in call.latches.items():
                    now = scene.level(condition)
                    if call.thread is not recording:
                        either = self.facts.circuit.either
                        now = either(may, now[0]), either(must, now[1])
                    call.latches[condition] = now

    # The end.

    def finish(self) -> None:
        """Judge the obligations that are due at the end of the trace."""
        if self.info.lost_anywhere and not self._all_lossy:
            # That events are missing somewhere is said only at the end.
            self.lose("somewhere in the trace")
            doubtful = [f for f in self.books.findings if not is_local(self.books.told[f.index].check)]
            reason = self.objects.cause()
            self.books.withdraw(doubtful, reason)
            self.books.doubt([r for r in self.plan.rules if not all(map(is_local, r.checks))], reason)
        self.rules.finish()
