"""What the events of a cone mean, compiled: transitions as masks, conditions as functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kmclcheck.engines.explore.conditions import NO, YES, Compiler, Condition, Level, Moment, Value
from kmclcheck.engines.explore.cone import Cone
from kmclcheck.engines.explore.world import Group
from kmclcheck.engines.shown import shown
from kmclcheck.model import expr as e
from kmclcheck.model.spec import Assignment, Check, EventDecl, EventKind, Machine, Rule, Spec, Transition


@dataclass(slots=True)
class Line:
    """A transition as masks. No targets: the value stays."""

    sources: int
    targets: int
    guard: Condition


@dataclass(slots=True)
class Move:
    """The transitions of one field at one event. ``spoken``: the values that some line names."""

    field: int
    lines: list[Line]
    spoken: int

    def apply(self, now: int, moment: Moment) -> int:
        """Return the values of the field after the event."""
        acting: list[tuple[Line, Level]] = []
        for line in self.lines:
            level = line.guard(moment)
            if level != NO:
                acting.append((line, level))
        after = 0
        rest = now & self.spoken
        while rest:
            value = rest & -rest
            rest ^= value
            certain = False
            for line, level in acting:
                if line.sources & value:
                    after |= line.targets or value
                    certain = certain or level == YES
            if not certain:
                after |= value
        if after:
            return after
        # No value that was possible goes with this event: the field takes what the event implies.
        for line, _ in acting:
            after |= line.targets or line.sources
        return after or now


@dataclass(slots=True)
class Judged:
    """A check of a rule as functions."""

    rule: Rule
    check: Check
    when: Condition
    require: Condition

    def broken(self, moment: Moment) -> bool:
        """Return whether the check certainly applies and certainly fails."""
        return self.when(moment) == YES and self.require(moment) == NO

    def kept(self, moment: Moment) -> bool:
        """Return whether the check applies and is satisfied, as far as the documents go."""
        return self.when(moment) != NO and self.require(moment) != NO


@dataclass(slots=True)
class Meaning:
    """Everything one event means.

    ``args``, ``overlaps``, ``asked`` (groups) and ``latches`` say what an exit reads of its frame;
    ``groups`` are those that an entry belongs to.
    """

    decl: EventDecl
    entry: bool
    births: dict[str, tuple[Condition, Condition]] = field(default_factory=dict)
    moves: dict[str, list[Move]] = field(default_factory=dict)
    child_moves: dict[str, list[Move]] = field(default_factory=dict)
    assignments: list[tuple[str, int, Condition, Value | None, bool]] = field(default_factory=list)
    checks: list[Judged] = field(default_factory=list)
    each: list[Judged] = field(default_factory=list)
    groups: tuple[Group, ...] = ()
    recorded: Condition | None = None
    args: frozenset[str] = frozenset()
    overlaps: frozenset[str] = frozenset()
    asked: frozenset[Group] = frozenset()
    latches: tuple[int, ...] = ()

    @property
    def inert(self) -> bool:
        """Whether the event changes nothing and nothing is judged at it."""
        return not (
            self.births or self.moves or self.child_moves or self.assignments or self.checks or self.each
        )


@dataclass(slots=True)
class Lines:
    """What a specification says about one event, as far as a cone goes: uncompiled."""

    births: list[tuple[str, e.Expr, e.Expr]]
    moves: list[tuple[Machine, Transition]]
    assignments: list[Assignment]
    checks: list[tuple[Rule, Check]]

    def meaning(self) -> tuple[object, ...]:
        """Return all of it but the names: events of which it is the same mean the same."""
        return (
            frozenset(self.births),
            frozenset((m.kind, m.field, t.sources, t.targets, t.guard, t.via_parent) for m, t in self.moves),
            frozenset((a.kind, a.field, a.guard, a.value, a.adds) for a in self.assignments),
            frozenset((r.id, c.when, c.require, c.target, c.each, c.each_of) for r, c in self.checks),
        )

    def conditions(self) -> Iterator[e.Expr]:
        """Give every condition that is asked at the event."""
        for _, guard, loss in self.births:
            yield from (guard, loss)
        yield from (line.guard for _, line in self.moves)
        yield from (one.guard for one in self.assignments)
        for _, check in self.checks:
            yield from (check.when, check.require)


def lines_at(spec: Spec, cone: Cone, rules: Iterable[str], kind: EventKind) -> Lines:
    """Return what matters at an event for some rules."""
    return Lines(
        [(k.name, b.guard, b.loss_if) for k in spec.kinds.values() for b in k.births if b.event == kind],
        [
            (machine, line)
            for machine in spec.machines.values()
            if (machine.kind, machine.field) in cone.fields
            for line in machine.transitions
            if line.event == kind and not line.observe and not line.anywhere
        ],
        [a for a in spec.assignments if a.event == kind and (a.kind, a.field) in cone.fields],
        [
            (spec.rules[id], check)
            for id in sorted(rules)
            for check in spec.rules[id].checks
            if check.event == kind
        ],
    )


class Meanings:
    """The meaning of the events and rules that a search looks at.

    Fields outside the cone stay as they were at the birth of their object.
    """

    def __init__(self, spec: Spec, cone: Cone, rules: frozenset[str]) -> None:
        self.spec = spec
        self.cone = cone
        self.rules = rules
        self.compiler = compiler = Compiler(spec)
        self.lines: dict[tuple[str, bool], Lines] = {}
        self.events: dict[tuple[str, bool], Meaning] = {}
        self.ends: dict[str, list[Judged]] = {}
        for kind in sorted(cone.events, key=lambda k: (k[0], k[1].value)):
            decl = spec.events[kind[0]]
            at = decl.name, kind[1] is decl.entry
            self.lines[at] = lines_at(spec, cone, rules, kind)
            self.events[at] = self._meaning(decl, at[1], self.lines[at])
        asked = {group for meaning in self.events.values() for group in meaning.asked}
        for meaning in self.events.values():
            if meaning.entry:
                meaning.groups = tuple(g for g in sorted(asked) if meaning.decl.name in g)
        for id in sorted(rules):
            for check in spec.rules[id].checks:
                if check.event is None:
                    self.ends.setdefault(check.target, []).append(self._judged(spec.rules[id], check))
        self.latched = [compiler.condition(expr) for expr in compiler.latches]
        # By kind, what has to hold so that every callback of an object is seen, and what once it has ended.
        self.seen: dict[str, list[tuple[Condition, Condition]]] = {}
        for part in shown(spec):
            pair = compiler.condition(part.condition), compiler.condition(part.ended)
            self.seen.setdefault(part.kind, []).append(pair)
        # Calls of which it matters neither that they run nor that they end.
        self.neutral = frozenset(
            name for name, entry in self.events
            if entry and name not in cone.calls and self.events[name, False].inert
        )  # fmt: skip

    def _judged(self, rule: Rule, check: Check) -> Judged:
        condition = self.compiler.condition
        return Judged(rule, check, condition(check.when), condition(check.require))

    def _meaning(self, decl: EventDecl, entry: bool, lines: Lines) -> Meaning:
        compiler = self.compiler
        meaning = Meaning(decl, entry)
        for kind, guard, loss in lines.births:
            meaning.births[kind] = compiler.condition(guard), compiler.condition(loss)
        grouped: dict[tuple[bool, str, str], list[Line]] = {}
        for machine, line in lines.moves:
            key = line.via_parent, machine.kind, machine.field
            grouped.setdefault(key, []).append(self._line(machine, line))
        for (through, kind, name), some in grouped.items():
            spoken = 0
            for made in some:
                spoken |= made.sources
            target = meaning.child_moves if through else meaning.moves
            target.setdefault(kind, []).append(Move(compiler.fields[kind][name], some, spoken))
        for one in lines.assignments:
            at = compiler.numbers[one.kind][one.field]
            value = None if one.value is None else compiler.value(one.value)
            meaning.assignments.append((one.kind, at, compiler.condition(one.guard), value, one.adds))
        for rule, check in lines.checks:
            (meaning.each if check.each else meaning.checks).append(self._judged(rule, check))
        if entry:
            if decl.recorded_when is not None:
                meaning.recorded = compiler.condition(decl.recorded_when)
        else:
            self._reads(meaning, lines)
        return meaning

    def _reads(self, meaning: Meaning, lines: Lines) -> None:
        """Note what an exit asks of the frame of its call."""
        nodes = [node for expr in lines.conditions() for node in e.walk(expr)]
        terms: list[e.Term | None] = [one.value for one in lines.assignments]
        for node in nodes:
            if isinstance(node, e.Compare):
                terms += [node.left, node.right]
            elif isinstance(node, e.HasBits):
                terms.append(node.term)
        meaning.args = frozenset(term.name for term in terms if isinstance(term, e.Arg))
        meaning.overlaps = frozenset(n for x in nodes if isinstance(x, e.Overlapped) for n in x.names)
        meaning.asked = frozenset(x.names for x in nodes if isinstance(x, e.Latest))
        latches = self.compiler.latches
        meaning.latches = tuple(
            dict.fromkeys(latches[x.condition] for x in nodes if isinstance(x, e.Sometime))
        )

    def _line(self, machine: Machine, line: Transition) -> Line:
        sort, mask = self.spec.kinds[machine.kind], self.compiler.mask
        return Line(
            mask(sort, machine.field, line.sources), mask(sort, machine.field, line.targets),
            self.compiler.condition(line.guard),
        )  # fmt: skip
