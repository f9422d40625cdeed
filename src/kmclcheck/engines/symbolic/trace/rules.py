"""Judging rules: at an event, at the end of an object, at the end of the trace."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from kmclcheck.engines.symbolic.circuit import Lit
from kmclcheck.engines.symbolic.trace.books import Books, Fault
from kmclcheck.engines.symbolic.trace.calls import Threads
from kmclcheck.engines.symbolic.trace.facts import Answer
from kmclcheck.engines.symbolic.trace.moves import UNSOLVED
from kmclcheck.engines.symbolic.trace.numbers import Quantity
from kmclcheck.engines.symbolic.trace.objects import Objects, Thing, Values
from kmclcheck.engines.symbolic.trace.recorded import is_dead
from kmclcheck.engines.symbolic.trace.scene import Scene
from kmclcheck.model.event import End, Event, Phase
from kmclcheck.model.spec import Check, Rule

Fields = dict[str, Values]

NOT_DUE = "the end of the trace does not say that the obligation was due"


class Outcome(Enum):
    """What comes of a check: it does not apply, it is kept or broken whatever the facts, or that depends."""

    IDLE = "idle"
    KEPT = "kept"
    BROKEN = "broken"
    OPEN = "open"


@dataclass
class Effects:
    """Everything an event comes to, before anything changes."""

    faults: list[Fault] = field(default_factory=list)
    lapsed: list[Thing] = field(default_factory=list)
    kept: set[tuple[str, str]] = field(default_factory=set)
    births: dict[str, Lit] = field(default_factory=dict)
    fields: dict[str, Fields] = field(default_factory=dict)
    others: list[tuple[Thing, Fields]] = field(default_factory=list)
    numbers: list[tuple[str, str, Quantity]] = field(default_factory=list)


class Rules:
    """Judges checks against what is known."""

    def __init__(self, objects: Objects, threads: Threads, books: Books) -> None:
        self.objects = objects
        self.threads = threads
        self.books = books
        self.plan = objects.plan
        self.facts = objects.facts

    def weigh(self, check: Check, scene: Scene) -> tuple[Outcome, str]:
        """Return what comes of a check, and if it is open why."""
        facts = self.facts
        circuit = facts.circuit
        may_apply, must_apply = scene.level(check.when)
        if facts.answer(may_apply) is Answer.NO:
            return Outcome.IDLE, ""
        may_hold, _ = scene.level(check.require)
        kept = circuit.either(may_hold, -may_apply)
        broken = circuit.both(must_apply, -may_hold)
        found = facts.answer(-kept)
        if found is Answer.NO:
            return Outcome.KEPT, ""
        if found is Answer.YES:
            found = facts.answer(-broken)
            if found is Answer.NO:
                return Outcome.BROKEN, ""
        if found is Answer.UNKNOWN:
            return Outcome.OPEN, UNSOLVED
        cause = self.objects.cause()
        reason = facts.reason(kept, cause) or facts.reason(broken, cause)
        return Outcome.OPEN, reason or "the documents leave open whether the rule applies"

    def judge(self, rule: Rule, check: Check, thing: Thing, scene: Scene, what: Effects) -> None:
        outcome, reason = self.weigh(check, scene)
        if outcome is Outcome.BROKEN:
            what.faults.append(Fault(rule, check, thing, scene))
            if check.each and check.event is not None:
                what.lapsed.append(thing)
        elif outcome is Outcome.OPEN:
            self.books.open(rule.id, reason)
        elif outcome is Outcome.KEPT:
            self.books.decided[rule.id] += 1
            if check.event is not None and not check.each:
                what.kept.add((check.target, rule.id))

    def judge_children(self, rule: Rule, check: Check, scene: Scene, what: Effects) -> None:
        objects, kind = self.objects, self.plan.spec.kinds[check.target]
        parent = scene.things.get(check.each_of or kind.parent or "")
        if parent is None:
            return
        children = objects.children(parent, kind.name)
        for child in children:
            objects.look(child)
            self.judge(rule, check, child, scene.having({**scene.things, kind.name: child}), what)
        if objects.others(parent, kind.name):
            nobody = objects.stand_in(kind, scene.event.endpoint)
            outcome, reason = self.weigh(check, scene.having({**scene.things, kind.name: nobody}))
            if outcome in (Outcome.BROKEN, Outcome.OPEN):
                self.books.open(rule.id, reason or objects.cause())
        elif not children and self.facts.possible(scene.level(check.when)[0]):
            self.books.decided[rule.id] += 1

    def judge_deaths(self, scene: Scene, what: Effects) -> None:
        """Judge the obligations of objects that end here."""
        later = scene.having(scene.things)
        later.stand = what.fields
        for kind, thing in scene.things.items():
            if kind == "thread" or thing.nameless or thing.ended:
                continue
            if not is_dead(thing.kind, self.objects.sets(thing.kind, what.fields[kind])):
                continue
            if kind not in what.births and self.objects.dead(thing):
                continue
            one = later.having({**scene.things})
            if thing.parent is not None:
                one.things.setdefault(thing.parent.kind.name, thing.parent)
            for rule, check in self.plan.ends.get(kind, ()):
                if rule.id not in thing.faults:
                    self.judge(rule, check, thing, one, what)

    def finish(self) -> None:
        """Judge the obligations that are due at the end of the trace."""
        self.objects.moment += 1
        event = Event("end of trace", Phase.WHOLE, {})
        faults: list[Fault] = []
        for kind, checks in self.plan.ends.items():
            for thing in [thing for thing in self.objects.of(kind) if not thing.ended]:
                things = {one.kind.name: one for one in (thing.parent, thing) if one is not None}
                for one in things.values():
                    self.objects.look(one)
                scene = Scene(self.objects, self.threads, event, None, None, things)
                for rule, check in checks:
                    if rule.id not in thing.faults:
                        self._judge_end(Fault(rule, check, thing, scene), faults)
        self.books.report(faults)

    def _judge_end(self, fault: Fault, faults: list[Fault]) -> None:
        rule = fault.rule.id
        outcome, reason = self.weigh(fault.check, fault.scene)
        fault.hung = self._hung(fault.check, fault.thing) if self.objects.info.end is End.HUNG else None
        if outcome is Outcome.KEPT:
            self.books.decided[rule] += 1
        elif outcome is not Outcome.IDLE and self.objects.info.end is not End.UNLOADED and fault.hung is None:
            self.books.open(rule, NOT_DUE)
        elif outcome is Outcome.OPEN:
            self.books.open(rule, reason)
        elif outcome is Outcome.BROKEN:
            faults.append(fault)

    def _hung(self, check: Check, thing: Thing) -> Event | None:
        """Return a call that never returned and waits for the object; one that was a fault does not."""
        for call in self.threads.stacks():
            if call.name in check.hung_in and call.sure and not call.faulty:
                held = call.held.values()
                if any(t in (thing, thing.parent) or self.objects.two_sides(t, thing) for t in held):
                    return call.event
        return None
