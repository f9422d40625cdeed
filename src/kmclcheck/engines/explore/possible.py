"""What is possible: facts that never end, and what makes more of them possible.

A fact says that a field could have a value, that a call could be running, or the like. Once it could be, it
counts as possible for good; arguments and statuses count as free, and all objects of a kind as one. So what
is possible only grows, and a counterexample is never out of reach here if there is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kmclcheck.engines.explore.choices import Bounds, Choices
from kmclcheck.engines.explore.meaning import Lines, Meanings
from kmclcheck.engines.explore.world import Thing, World
from kmclcheck.engines.shown import shown
from kmclcheck.model import expr as e
from kmclcheck.model.spec import Check

_CLAUSES = 64

Clauses = tuple[int, ...]
"""A condition on what is possible: of each set of facts at least one."""

_FALSE: Clauses = (0,)
_ANYWAY = -1


def both(*parts: Clauses) -> Clauses:
    """Return the conjunction."""
    found: dict[int, None] = {}
    for part in parts:
        found.update(dict.fromkeys(part))
    return tuple(found)


def either(parts: Iterable[Clauses]) -> Clauses:
    """Return the disjunction; one that grows too large is forgotten, which only lowers the estimate."""
    result: Clauses | None = None
    for part in parts:
        if result is None:
            result = part
        elif len(result) * len(part) > _CLAUSES:
            return ()
        else:
            result = tuple(dict.fromkeys(a | b for a in result for b in part))
    return _FALSE if result is None else result


@dataclass(slots=True)
class Goal:
    """One way to break the rule: at one more record (``event``), or as things are.

    ``idle``: no call may be running.
    """

    clauses: Clauses
    event: int | None = None
    idle: bool = False

    @property
    def record(self) -> int:
        return 0 if self.event is None else 1


class Relaxed:
    """Events and goals of a search in terms of what is possible."""

    def __init__(
        self, meanings: Meanings, choices: Choices, bounds: Bounds, rule: str, witness: bool = False
    ) -> None:
        self.witness = witness
        self.meanings = meanings
        self.spec = meanings.spec
        self.bounds = bounds
        self.rule = rule
        self.facts: dict[tuple[object, ...], int] = {}
        self._things: dict[Thing, int] = {}
        self._entries = choices.entries
        self._making = choices.making
        self._initial = {
            (k.name, f.name): 1 << f.values.index(f.initial)
            for k in self.spec.kinds.values() for f in k.enums.values()
        }  # fmt: skip
        self._weaker = self._yielding()
        self.needed: dict[tuple[str, bool], Clauses] = {}
        self._banned: dict[tuple[str, bool], int] = {}
        self.effects: list[tuple[Clauses, int, int]] = []
        self._unit = 0
        self.events = sorted(choices.events)
        for number, (name, entry) in enumerate(self.events):
            self._unit = 1 << number
            self._event(name, entry)
        self.same = [
            sum(1 << n for n, other in enumerate(self.effects) if other[2] == effect[2])
            for effect in self.effects
        ]
        self.goals = list(self._goals(choices))

    # Facts.

    def _fact(self, *key: object) -> int:
        made = self.facts.get(key)
        if made is None:
            made = self.facts[key] = 1 << len(self.facts)
        return made

    def _values(self, kind: str, at: int, mask: int) -> int:
        """Return the facts that a field may have one of these values."""
        found, bit = 0, 0
        while mask >> bit:
            if mask >> bit & 1:
                found |= self._fact("value", kind, at, bit)
            bit += 1
        return found

    def possible(self, world: World) -> int:
        """Return what is possible now."""
        found = 0
        alive: set[str] = set()
        for thing in world.things:
            facts = self._things.get(thing)
            if facts is None:
                facts = self._things[thing] = self._of_thing(thing)
            found |= facts
            if not thing.ended:
                alive.add(thing.kind)
        for kind in self.meanings.cone.kinds:
            if kind not in alive:
                found |= self._fact("nobody", kind)
        for kind in self.meanings.cone.kinds:
            if sum(t.kind == kind and not t.replaced for t in world.things) < self.bounds.of(kind):
                found |= self._fact("room", kind)
                if self.spec.kinds[kind].scoped:
                    found |= self._born(kind, True) | self._fact("object", kind)
        for stack in world.stacks:
            for frame in stack:
                found |= self._fact("running", frame.name)
        for own in world.own:
            for at, mask in enumerate(own):
                found |= self._values("thread", at, mask)
        for at, mask in enumerate(self._own()):
            found |= self._values("thread", at, mask)
        return found

    def _own(self) -> tuple[int, ...]:
        kind = self.spec.kinds.get("thread")
        return () if kind is None else tuple(self._initial["thread", f] for f in kind.enums)

    def _of_thing(self, thing: Thing) -> int:
        found = self._fact("object", thing.kind)
        if thing.replaced:
            found = 0
        for at, mask in enumerate(thing.fields):
            found |= self._values(thing.kind, at, mask)
        for at, number in enumerate(thing.numbers):
            if number is not None:
                found |= self._fact("set", thing.kind, at)
        return found

    def _born(self, kind: str, absent: bool) -> int:
        """Return the facts about an object at its birth, or one that is not there."""
        found = 0
        for at, enum in enumerate(self.spec.kinds[kind].enums.values()):
            values = (enum.absent if absent else frozenset()) or frozenset({enum.initial})
            for value in values:
                found |= self._fact("value", kind, at, enum.values.index(value))
        return found

    # Conditions: what has to be possible for them to hold (``wanted``), or not to hold.

    def holds(self, expr: e.Expr, wanted: bool, known: set[str], certain: bool = False) -> Clauses:
        """Return what has to be possible; ``known`` are the kinds of objects that the event speaks of.

        A ``certain`` condition must not be open either: the numbers that it compares have to be set.
        """
        match expr:
            case e.Truth(value):
                return () if value is wanted else _FALSE
            case e.Not(operand):
                return self.holds(operand, not wanted, known, certain)
            case e.And(operands) | e.Or(operands):
                parts = [self.holds(o, wanted, known, certain) for o in operands]
                return both(*parts) if isinstance(expr, e.And) is wanted else either(parts)
            case e.FieldIn(kind, name, values):
                if kind not in known:
                    return ()
                return (self._field(kind, name, values, wanted),)
            case e.IsSet(kind, name):
                if kind not in known or not wanted:
                    return ()
                return (self._fact("set", kind, self.meanings.compiler.numbers[kind][name]),)
            case e.Compare(left=left, right=right) if certain:
                numbers = self.meanings.compiler.numbers
                terms = [t for t in (left, right) if isinstance(t, e.Scalar) and not t.counter]
                return tuple(self._fact("set", t.kind, numbers[t.kind][t.field]) for t in terms)
            case e.Inside(names=names) | e.OpenFrame(names=names) | e.Overlapped(names=names) if wanted:
                found = 0
                for name in names:
                    found |= self._fact("running", name)
                return (found,)
            case e.AnyChild(kind=kind, condition=e.FieldIn(field=name, values=values)):
                facts = self._field(kind, name, values, wanted)
                if wanted:
                    return facts, self._fact("object", kind)
                alone = all(self.bounds.of(k) == 1 for k in (kind, expr.parent))
                return (facts | self._fact("nobody", kind),) if alone else ()
            case e.Sometime(condition):
                return self.holds(condition, wanted, known, certain)
            case _:
                return ()

    def _field(self, kind: str, name: str, values: frozenset[str], wanted: bool) -> int:
        enum = self.spec.kinds[kind].enums[name]
        at = self.meanings.compiler.fields[kind][name]
        mask = sum(1 << n for n, value in enumerate(enum.values) if (value in values) is wanted)
        return self._values(kind, at, mask)

    def _unbroken(self, check: Check, known: set[str]) -> Clauses:
        parts = self.holds(check.when, False, known), self.holds(check.require, True, known)
        return either(parts)

    def _aim(self, check: Check, known: set[str]) -> Clauses:
        """Return what has to be possible for the check to end a search."""
        if self.witness:
            return both(self.holds(check.when, True, known), self.holds(check.require, True, known))
        when = self.holds(check.when, True, known, certain=True)
        return both(when, self.holds(check.require, False, known, certain=True))

    # Events.

    def _speaks_of(self, kinds: Iterable[str]) -> set[str]:
        known = {"thread"}
        for kind in kinds:
            above: str | None = kind
            while above is not None:
                known.add(above)
                above = self.spec.kinds[above].parent
        return known

    def _event(self, name: str, entry: bool) -> None:
        decl, lines = self.spec.events[name], self.meanings.lines[name, entry]
        known = self._speaks_of(decl.objects)
        needed: list[Clauses] = []
        # What an object is at its birth, or before it, needs nothing to be possible already.
        given: list[tuple[int, int]] = []
        births = {kind: (guard, loss) for kind, guard, loss in lines.births}
        if entry:
            fresh = {kind for kind, _ in self._entries[name].fresh}
            for kind, _ in self._entries[name].wanted:
                if kind in fresh:
                    facts = self._born(kind, True) | self._fact("object", kind)
                    given.append((facts, self._fact("room", kind)))
                    needed.append((self._fact("object", kind) | self._fact("room", kind),))
                else:
                    needed.append((self._fact("object", kind),))
            if decl.recorded_when is not None:
                needed.append(self.holds(decl.recorded_when, True, known))
        else:
            needed.append((self._fact("running", name),))
            for kind in births:
                given.append((self._born(kind, True), _ANYWAY))
        kept: list[Clauses] = []
        banned = self._banned[name, entry] = self._hiding(lines)
        for rule, check in lines.checks:
            if not check.each:
                # At the last record the rule is broken, and what yields to it may be too.
                last = not self.witness and (rule.id == self.rule or rule.id in self._weaker)
                (kept if last else needed).append(self._without(self._unbroken(check, known), given))
        self.needed[name, entry] = tuple(c & ~banned for c in both(*needed))
        base = tuple(c & ~banned for c in both(*needed, *kept))
        if entry:
            self.effects.append((base, self._fact("running", name), self._unit))
        for kind, (guard, _) in births.items():
            clauses = both(
                base, self._room(name, entry, kind), self._without(self.holds(guard, True, known), given)
            )
            facts = self._born(kind, False) & ~self._left_at_once(kind, guard, lines)
            self.effects.append((clauses, facts | self._fact("object", kind), self._unit))
        newborn = given + [(self._born(kind, False), _ANYWAY) for kind in births]
        self._moves(name, entry, lines, known, base, newborn)

    def _room(self, name: str, entry: bool, kind: str) -> Clauses:
        """An exit that makes an object does nothing to this kind when there are enough of it already."""
        return (self._fact("room", kind),) if not entry and self._making.get(name) == kind else ()

    def _left_at_once(self, kind: str, birth: e.Expr, lines: Lines) -> int:
        """Return the facts about a newborn that the event of its birth changes for certain."""
        found = 0
        for machine, line in lines.moves:
            enum = self.spec.kinds[kind].enums.get(machine.field) if machine.kind == kind else None
            if enum is None or line.via_parent or line.guard not in (birth, e.Truth(True)):
                continue
            if enum.initial in line.sources and line.targets and enum.initial not in line.targets:
                found |= self._field(kind, machine.field, frozenset({enum.initial}), True)
        return found

    def _hiding(self, lines: Lines) -> int:
        """Return the facts under which the event would make callbacks unseen: none of them can hold at it."""
        found = 0
        if self.bounds.unseen:
            return found
        for part in shown(self.spec):
            # What hides nothing of an object that has ended may be where this one ends.
            late = part.ended
            if not isinstance(late, e.FieldIn):
                continue
            for machine, line in lines.moves:
                mine = (machine.kind, machine.field) == (late.kind, late.field)
                if mine and not line.targets <= late.values:
                    match line.guard:
                        case e.FieldIn(k, name, some):
                            found |= self._field(k, name, some, True)
                        case e.Not(e.FieldIn(k, name, some)):
                            found |= self._field(k, name, some, False)
                        case _:
                            pass
        return found

    def _moves(
        self,
        name: str,
        entry: bool,
        lines: Lines,
        known: set[str],
        base: Clauses,
        given: list[tuple[int, int]],
    ) -> None:
        compiler = self.meanings.compiler
        spoken: dict[tuple[bool, str, str], frozenset[str]] = {}
        for machine, line in lines.moves:
            key = line.via_parent, machine.kind, machine.field
            spoken[key] = spoken.get(key, frozenset()) | line.sources
        for machine, line in lines.moves:
            enum = self.spec.kinds[machine.kind].enums[machine.field]
            at = compiler.fields[machine.kind][machine.field]
            # A value that no line speaks of gives way to what the event implies.
            silent = frozenset(enum.values) - spoken[line.via_parent, machine.kind, machine.field]
            sources = self._values(
                machine.kind,
                at,
                compiler.mask(self.spec.kinds[machine.kind], machine.field, line.sources | silent),
            )
            guard = self.holds(line.guard, True, known)
            if line.targets:
                room = self._room(name, entry, machine.kind)
                clauses = both(base, room, self._without(both(guard, (sources,)), given))
                targets = compiler.mask(self.spec.kinds[machine.kind], machine.field, line.targets)
                self.effects.append((clauses, self._values(machine.kind, at, targets), self._unit))
        for one in lines.assignments:
            if one.value is not None:
                clauses = both(base, self._without(self.holds(one.guard, True, known), given))
                self.effects.append(
                    (clauses, self._fact("set", one.kind, compiler.numbers[one.kind][one.field]), self._unit)
                )

    @staticmethod
    def _without(clauses: Clauses, given: list[tuple[int, int]]) -> Clauses:
        """Return what is still needed where some facts are given, if others hold."""
        found = []
        for clause in clauses:
            for facts, room in given:
                if clause & facts:
                    clause |= room
            if clause >= 0:
                found.append(clause)
        return tuple(found)

    # The rule.

    def _goals(self, choices: Choices) -> Iterable[Goal]:
        rules = self.spec.rules
        for check in rules[self.rule].checks:
            if check.event is None:
                yield from self._ends(check)
                continue
            name, entry = check.event[0], check.event[1] is self.spec.events[check.event[0]].entry
            if (name, entry) not in choices.events:
                continue
            decl = self.spec.events[name]
            known = self._speaks_of([*decl.objects, *([check.target] if check.each else [])])
            clauses = self._aim(check, known)
            if entry:
                for kind, _ in self._entries[name].fresh:
                    clauses = self._without(clauses, [(self._born(kind, True), self._fact("room", kind))])
            banned = self._banned[name, entry]
            parts = [self.needed[name, entry], tuple(c & ~banned for c in clauses)]
            if check.each:
                parts.append((self._fact("object", check.target),))
                if self._dead(check.target):
                    parts.append((self._living(check.target),))
            yield Goal(both(*parts), self.events.index((name, entry)))

    def _ends(self, check: Check) -> Iterable[Goal]:
        """An obligation is broken when its object ends, or when the trace does."""
        known = self._speaks_of([check.target])
        objects = [(self._fact("object", kind),) for kind in sorted(known - {"thread"})]
        broken = both(self._aim(check, known), *objects)
        dead = self._dead(check.target)
        living = self._living(check.target)
        if dead:
            # What has certainly ended has none of the other values any more, but had one before.
            ended = tuple(c & ~living for c in broken)
            yield Goal(both(ended, dead, (living,)))
            broken = both(broken, (living,))
        kept: list[Clauses] = []
        for kind, ends in self.meanings.ends.items():
            for one in ends:
                # An object of this kind, if there is one, must have kept the other obligations or ended.
                other = self.witness or (one.rule.id != self.rule and one.rule.id not in self._weaker)
                if other and self.bounds.of(kind) == 1:
                    ways = [self._unbroken(one.check, self._speaks_of([kind]))]
                    ways += [self._dead(kind)] if self._dead(kind) else []
                    ways += [(self._fact("nobody", kind),)] if kind not in known else []
                    kept.append(either(ways))
        yield Goal(both(broken, *kept), idle=True)
        for name in () if self.witness else check.hung_in:
            yield Goal(both(broken, (self._fact("running", name),)))

    def _dead(self, kind: str) -> Clauses:
        """Return what has to be possible for an object to have ended; nothing if none ever ends."""
        enums = [f for f in self.spec.kinds[kind].enums.values() if f.dead]
        return tuple(self._field(kind, f.name, f.dead, True) for f in enums)

    def _living(self, kind: str) -> int:
        """Return the facts of which one holds as long as an object has not certainly ended."""
        found = 0
        for enum in self.spec.kinds[kind].enums.values():
            if enum.dead:
                found |= self._field(kind, enum.name, enum.dead, False)
        return found

    def _yielding(self) -> set[str]:
        """Return the rules that yield to the rule, directly or through others."""
        found, grown = {self.rule}, True
        while grown:
            more = {r.id for r in self.spec.rules.values() if not found.isdisjoint(r.yields_to)} | found
            found, grown = more, more != found
        return found - {self.rule}

    def allowed(self, now: int) -> frozenset[tuple[str, bool]]:
        """Return the events that could come next, given what is possible."""
        return frozenset(key for key, clauses in self.needed.items() if all(now & c for c in clauses))
