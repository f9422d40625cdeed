"""What an event comes to, worked out in full before anything changes."""

from __future__ import annotations

from dataclasses import dataclass, field

from kmclcheck.engines.explore.walk.answers import (
    KEPT,
    LACKING,
    NO,
    POSSIBLY,
    UNASSIGNED,
    YES,
    Answer,
    Value,
    perhaps_also,
)
from kmclcheck.engines.explore.walk.books import Books, Fault
from kmclcheck.engines.explore.walk.conditions import term
from kmclcheck.engines.explore.walk.graphs import EventGraph, Fields, Reach, follow
from kmclcheck.engines.explore.walk.instances import Instance, perhaps_born
from kmclcheck.engines.explore.walk.occasions import THREAD, Occasion, Protocol
from kmclcheck.engines.explore.walk.recorded import anywhere, has_ended, newborn
from kmclcheck.engines.explore.walk.scene import Scene
from kmclcheck.model import expr as e
from kmclcheck.model.spec import Assignment, Check, Rule


@dataclass(slots=True)
class Outcome:
    """What becomes of whom.

    ``faults`` with the object as it was; ``lapsed``: children whose obligation was not met; ``kept``: rules
    that held, by kind of object; ``fields`` and ``numbers`` after the event, by kind; ``others``: objects
    that the event does not name, with their fields after it.
    """

    faults: list[Fault] = field(default_factory=list)
    lapsed: list[Instance] = field(default_factory=list)
    kept: set[tuple[str, str]] = field(default_factory=set)
    births: dict[str, Answer] = field(default_factory=dict)
    fields: dict[str, Fields] = field(default_factory=dict)
    others: list[tuple[Instance, Fields]] = field(default_factory=list)
    numbers: dict[tuple[str, str], Value] = field(default_factory=dict)


class Reckoning:
    """Works out one event."""

    def __init__(
        self, protocol: Protocol, books: Books, cause: str, scene: Scene, occasion: Occasion
    ) -> None:
        self._protocol = protocol
        self._books = books
        self._cause = cause
        self._scene = scene
        self._occasion = occasion
        self._population = scene.world.population
        self._kinds = scene.world.spec.kinds

    def outcome(self) -> Outcome:
        """Return what the event comes to; what was decided well, or not, is in the books already."""
        outcome, scene, occasion = Outcome(), self._scene, self._occasion
        for rule, check in occasion.checks:
            if check.each:
                self._judge_children(rule, check, outcome)
            elif check.target in scene.on:
                answer = self._judge(rule, check, scene.on[check.target], scene, outcome)
                if answer is not None and answer & KEPT:
                    outcome.kept.add((check.target, rule.id))
        for kind, birth in occasion.births.items():
            answer = scene.ask(birth.guard) if kind in scene.on else NO
            if answer & POSSIBLY:
                outcome.births[kind] = YES if answer == YES else LACKING
        for assignment in occasion.assignments:
            self._assign(assignment, outcome)
        self._move_children(outcome)
        self._move_any(outcome)
        self._move_named(outcome)
        self._judge_ends(outcome)
        return outcome

    # Rules.

    def _judge(
        self, rule: Rule, check: Check, one: Instance, scene: Scene, outcome: Outcome
    ) -> Answer | None:
        answer = scene.judge(check)
        if answer is None:
            return None
        if answer == NO:
            outcome.faults.append(Fault(rule, check, one, None if check.event is None else scene.event))
        elif answer & KEPT:
            self._books.decided[rule.id] += 1
        else:
            self._books.leave_open(rule, why_open(check, scene, self._cause))
        return answer

    def _judge_children(self, rule: Rule, check: Check, outcome: Outcome) -> None:
        scene, kind = self._scene, self._kinds[check.target]
        parent = scene.on.get(check.each_of or kind.parent or "")
        if parent is None:
            return
        children = self._population.children(parent, check.target)
        for child in children:
            one = scene.with_objects(**{check.target: child})
            if self._judge(rule, check, child, one, outcome) == NO:
                outcome.lapsed.append(child)
        if self._population.may_have_others(parent, check.target):
            other = self._population.stand_in(kind, scene.event.endpoint)
            answer = scene.with_objects(**{check.target: other}).judge(check)
            if answer is not None and not answer & KEPT:
                self._books.leave_open(rule, self._cause)
        elif not children and scene.ask(check.when) != NO:
            self._books.decided[rule.id] += 1

    def _judge_ends(self, outcome: Outcome) -> None:
        """Judge what was due by the end of the objects that end here."""
        now = self._scene
        after = Scene(now.world, now.event, now.thread, now.call, dict(now.on), outcome.fields)
        for kind, one in now.on.items():
            if one.stand_in or one.over or kind == THREAD or not has_ended(one.kind, outcome.fields[kind]):
                continue
            if one.dead and kind not in outcome.births:
                continue
            if one.parent is not None:
                after.on.setdefault(one.parent.kind.name, one.parent)
            broken = {fault.rule.id for fault in outcome.faults if fault.one is one} | set(one.broken)
            for rule, check in self._protocol.due_at_end.get(kind, ()):
                if rule.id not in broken:
                    self._judge(rule, check, one, after, outcome)

    # Moves.

    def _assign(self, assignment: Assignment, outcome: Outcome) -> None:
        scene, place = self._scene, (assignment.kind, assignment.field)
        one = scene.on.get(assignment.kind)
        answer = scene.ask(assignment.guard)
        if one is None or answer == NO:
            return
        value: Value = None
        if assignment.value is None:
            value = UNASSIGNED if answer == YES else None
        elif answer == YES:
            value = term(assignment.value, scene)
        if assignment.adds:
            now = outcome.numbers.get(place, self._before(assignment, one, outcome))
            total = 0 if now is UNASSIGNED else now
            value = total + value if isinstance(total, int) and isinstance(value, int) else None
        outcome.numbers[place] = value

    def _before(self, assignment: Assignment, one: Instance, outcome: Outcome) -> Value:
        """Return what a number is that the event adds to; what is born has none yet."""
        now, birth = one.number(assignment.field), outcome.births.get(assignment.kind, NO)
        if birth == YES:
            return UNASSIGNED
        return now if birth == NO or now is UNASSIGNED else None

    def _move_named(self, outcome: Outcome) -> None:
        """Work out where the event's own objects are after it."""
        scene = self._scene
        before = {kind: one.fields for kind, one in scene.on.items()}
        for kind, answer in outcome.births.items():
            sort = self._kinds[kind]
            before[kind] = newborn(sort) if answer == YES else perhaps_born(before[kind], sort)
            # Guards about a newborn look at the state of its birth.
            scene.instead[kind] = before[kind]
        for kind, one in scene.on.items():
            fields = dict(before[kind])
            determined: set[str] = set()
            for name, graph in self._occasion.moves[Reach.NAMED].get(kind, {}).items():
                fields[name], sure = follow(fields[name], graph, scene.ask)
                if sure:
                    determined.add(name)
            if kind in outcome.births or not has_ended(one.kind, before[kind]):
                # Where an object at fault is, only the event can tell.
                doubtful = _looked_at(outcome.faults, one) - determined
                fields.update({name: anywhere(one.kind)[name] for name in doubtful})
            outcome.fields[kind] = fields
        scene.instead = {}
        for kind, one in scene.on.items():
            above: Fields | None = None
            if one.parent is not None:
                beside = scene.on.get(one.parent.kind.name) is one.parent
                above = outcome.fields[one.parent.kind.name] if beside else one.parent.fields
            outcome.fields[kind] = scene.world.recorded.widen(one.kind, outcome.fields[kind], above)

    def _move_children(self, outcome: Outcome) -> None:
        """Work out where the children of an object that the event names are after it."""
        scene = self._scene
        for kind, graphs in self._occasion.moves[Reach.CHILDREN].items():
            parent = scene.on.get(self._kinds[kind].parent or "")
            if parent is None or parent.stand_in:
                self._population.unsettle(kind)
                continue
            for child in self._population.children(parent, kind):
                moved = {n: follow(child.fields[n], graph, scene.ask)[0] for n, graph in graphs.items()}
                outcome.others.append((child, {**child.fields, **moved}))
            for stray in self._population.strays(kind):
                outcome.others.append((stray, self._perhaps_moved(stray.fields, graphs)))

    def _move_any(self, outcome: Outcome) -> None:
        """Work out where the objects may be that the event may concern: it does not tell which."""
        for kind, graphs in self._occasion.moves[Reach.ANY].items():
            for one in self._population.of_kind(kind):
                if not one.over:
                    outcome.others.append((one, self._perhaps_moved(one.fields, graphs)))
            unmet = self._population.unmet
            unmet[kind] = self._perhaps_moved(unmet[kind], graphs)

    def _perhaps_moved(self, fields: Fields, graphs: dict[str, EventGraph]) -> Fields:
        """Return where an object may be that either moved or stayed."""
        found = dict(fields)
        for name, graph in graphs.items():
            moved, _ = follow(fields[name], graph, self._scene.ask)
            found[name] = perhaps_also(fields[name], moved.values)
        return found


def why_open(check: Check, scene: Scene, cause: str) -> str:
    """Return, in words, what is missing to decide a check; ``cause`` is why anything may be missing."""
    for node in [*e.walk(check.when), *e.walk(check.require)]:
        terms: list[e.Term] = []
        match node:
            case e.Compare(left=left, right=right):
                terms = [left, right]
            case e.HasBits(term=bits):
                terms = [bits]
            case e.StatusOk() | e.StatusIn() if scene.status() is None:
                return "no returned status in the trace"
            case _:
                pass
        for one in terms:
            if isinstance(one, e.Irql) and scene.irql() is None:
                return "no IRQL in the trace"
            if isinstance(one, e.Arg) and scene.argument(one.name) is None:
                return f"no {one.name} argument in the trace"
    return cause


def _looked_at(faults: list[Fault], one: Instance) -> set[str]:
    """Return the fields of an object that the conditions it broke look at."""
    return {
        node.field
        for fault in faults
        if fault.one is one
        for node in e.walk(fault.check.require)
        if isinstance(node, e.FieldIn) and node.kind == one.kind.name
    }
