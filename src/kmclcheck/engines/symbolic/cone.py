"""What some rules depend on: the events, fields and calls that can decide them, and nothing else.

An event outside of the cone changes nothing that the rules look at, so leaving it out of a trace leaves
a shorter one that breaks the same rules. That is why a search inside of the cone finds the shortest.
"""

from __future__ import annotations

from collections.abc import Iterable

from kmclcheck.engines.shown import Shown, shown_by
from kmclcheck.engines.symbolic.bounds import UnsupportedError
from kmclcheck.model.expr import (
    AnyChild,
    Arg,
    Compare,
    Expr,
    FieldIn,
    HasBits,
    Inside,
    IsSet,
    Latest,
    OpenFrame,
    Overlapped,
    Scalar,
    Term,
    walk,
)
from kmclcheck.model.spec import Birth, Check, EventKind, Rule, Spec, Transition

Field = tuple[str, str]


class Cone:
    """A specification cut down to what a set of rules depends on.

    ``events`` are the functions and callbacks whose records may occur, by name; ``fields`` and
    ``numbers`` those that are kept; ``kinds`` the objects.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.rules: set[str] = set()
        self.events: set[str] = set()
        self.fields: set[Field] = set()
        self.numbers: set[Field] = set()
        self.kinds: set[str] = set()
        self.shown: set[Shown] = set()
        self.claims: list[Check] = []
        self._lines: dict[EventKind, list[tuple[Field, Transition]]] = {}
        for machine in spec.machines.values():
            for line in machine.transitions:
                if not line.observe and not line.anywhere:
                    self._lines.setdefault(line.event, []).append(((machine.kind, machine.field), line))

    def copy(self) -> Cone:
        """Return a cone that can grow without this one."""
        other = Cone.__new__(Cone)
        other.spec, other._lines = self.spec, self._lines
        other.rules, other.events = set(self.rules), set(self.events)
        other.fields, other.numbers, other.kinds = set(self.fields), set(self.numbers), set(self.kinds)
        other.claims = list(self.claims)
        other.shown = set(self.shown)
        return other

    @property
    def size(self) -> tuple[int, int]:
        return len(self.events), len(self.fields) + len(self.numbers) + len(self.kinds)

    def aim(self, rule: str) -> Cone:
        """Add a rule that is to be broken: its events occur."""
        for check in self.spec.rules[rule].checks:
            if check.event is not None:
                self.event(check.event[0])
            else:
                self.kind(check.target)
        return self.keep([rule])

    def claim(self, checks: Iterable[Check]) -> Cone:
        """Add conditions that are claimed to hold at their events, or at every moment."""
        for check in checks:
            self.claims.append(check)
            if check.event is not None:
                self.event(check.event[0])
            else:
                self._life(check.target)
            self.kind(check.target)
            self.expr(check.when)
            self.expr(check.require)
        return self

    def grant(self, checks: Iterable[Check]) -> Cone:
        """Add what is taken for granted at events that occur anyway."""
        for check in checks:
            if check.event is not None and check.event[0] in self.events:
                if check not in self.claims:
                    self.claims.append(check)
                self.expr(check.when)
                self.expr(check.require)
        return self

    def keep(self, rules: Iterable[str]) -> Cone:
        """Add rules that are to be kept: they matter only at events that occur anyway."""
        self.rules.update(rules)
        while True:
            before = self.size
            for id in self.rules:
                for check in self.spec.rules[id].checks:
                    if check.event is None or check.event[0] in self.events:
                        self.check(check)
            if self.size == before:
                return self

    def show(self, everything: bool = False) -> Cone:
        """Let every callback that could change something be one that is recorded if it happens.

        With ``everything``, all callbacks that may go unseen.
        """
        while True:
            before = self.size
            for event, lines in self._lines.items():
                condition = self.spec.events[event[0]].recorded_when
                matters = everything or any(key in self.fields for key, _ in lines)
                if condition is not None and matters:
                    self.expr(condition)
                    for part in shown_by(self.spec, condition):
                        self.shown.add(part)
                        if part.ended != part.condition:
                            self._life(part.kind)
            self.keep(())
            if self.size == before:
                return self

    def _life(self, kind: str) -> None:
        """Add what says whether objects of a kind have ended."""
        for enum in self.spec.kinds[kind].enums.values():
            if enum.dead:
                self.field((kind, enum.name))

    def check(self, check: Check) -> None:
        """Add what a check depends on."""
        if check.event is None:
            if check.target not in self.kinds and not self._may_be(check.target):
                return
            self._life(check.target)
            for name in check.hung_in:
                self.event(name)
        self.kind(check.target)
        self.expr(check.when)
        self.expr(check.require)

    def _may_be(self, kind: str) -> bool:
        """Return whether objects of the kind occur already, so that their end may come."""
        births = self.spec.kinds[kind].births
        return any(birth.event[0] in self.events for birth in births)

    def event(self, name: str) -> None:
        """Add a function or callback."""
        if name in self.events:
            return
        decl = self.spec.events[name]
        if decl.record:
            raise UnsupportedError(f"{name} is a record of the library")
        self.events.add(name)
        for kind in decl.objects:
            self.kind(kind)

    def kind(self, name: str) -> None:
        """Add a kind of object with the ways in which it comes to be."""
        if name in self.kinds:
            return
        self.kinds.add(name)
        kind = self.spec.kinds[name]
        if kind.parent is not None:
            self.kind(kind.parent)
        for birth in self.births(name):
            self.event(birth.event[0])
            self.expr(birth.guard)

    def births(self, kind: str) -> list[Birth]:
        """Return the births by documented events: of the others only the name is published."""
        return [b for b in self.spec.kinds[kind].births if self.spec.events[b.event[0]].documented]

    def field(self, key: Field) -> None:
        """Add an enumerated field with everything that changes it."""
        if key in self.fields:
            return
        self.fields.add(key)
        self.kind(key[0])
        machine = self.spec.machines.get(key)
        for line in machine.transitions if machine is not None else ():
            if line.anywhere:
                raise UnsupportedError(f"{key[0]}.{key[1]} is changed by events that do not name it")
            documented = self.spec.events[line.event[0]].documented
            if documented and not line.observe and not self._idle(key, line.event):
                self.event(line.event[0])
                self.expr(line.guard)

    def _idle(self, key: Field, event: EventKind) -> bool:
        """Return whether an event can never change a field, although it has lines for it."""
        lines = [line for field, line in self._lines.get(event, ()) if field == key]
        covered = frozenset[str]().union(*(line.sources for line in lines))
        everything = covered == set(self.spec.kinds[key[0]].enums[key[1]].values)
        return everything and not any(line.targets for line in lines)

    def number(self, key: Field) -> None:
        """Add a number field with everything that sets it."""
        if key in self.numbers:
            return
        if self.spec.kinds[key[0]].numbers[key[1]].counter:
            raise UnsupportedError(f"{key[0]}.{key[1]} is a counter")
        self.numbers.add(key)
        self.kind(key[0])
        for one in self.spec.assignments:
            if (one.kind, one.field) == key and self.spec.events[one.event[0]].documented:
                self.event(one.event[0])
                self.expr(one.guard)
                if one.value is not None:
                    self._term(one.value)

    def expr(self, expr: Expr) -> None:
        """Add what a condition reads."""
        for node in walk(expr):
            match node:
                case FieldIn(kind, name):
                    self.field((kind, name))
                case IsSet(kind, name):
                    self.number((kind, name))
                case Compare(left=left, right=right):
                    self._term(left)
                    self._term(right)
                case HasBits(term=term):
                    self._term(term)
                case Inside(names=names) | OpenFrame(names=names) | Overlapped(names=names):
                    for name in names:
                        self.event(name)
                case Latest(names=names):
                    for name in names:
                        self.event(name)
                case AnyChild(kind=kind):
                    self.kind(kind)
                case _:
                    pass

    def reads(self, expr: Expr) -> bool:
        """Return whether everything is kept that a condition on fields reads."""
        return all(
            (node.kind, node.field) in (self.fields if isinstance(node, FieldIn) else self.numbers)
            for node in walk(expr)
            if isinstance(node, FieldIn | IsSet)
        )

    def rebirths(self) -> Cone:
        """Add what tells whether the handle of an object may be given to a new one."""
        while True:
            before = self.size
            for kind in sorted(self.kinds):
                for birth in self.births(kind):
                    self.expr(birth.loss_if)
            if self.size == before:
                return self

    def _term(self, term: Term) -> None:
        if isinstance(term, Scalar):
            self.number((term.kind, term.field))

    def lines(self, event: EventKind) -> list[tuple[Field, Transition]]:
        """Return the transitions of kept fields at an event."""
        return [(key, line) for key, line in self._lines.get(event, ()) if key in self.fields]

    def checks(self, event: EventKind) -> list[tuple[Rule, Check]]:
        """Return the checks of the chosen rules at an event."""
        chosen = [self.spec.rules[id] for id in self.spec.rules if id in self.rules]
        return [(rule, check) for rule in chosen for check in rule.checks if check.event == event]

    def end_checks(self) -> list[tuple[Rule, Check]]:
        """Return the checks of the chosen rules at the end of an object or of the trace."""
        chosen = [self.spec.rules[id] for id in self.spec.rules if id in self.rules]
        return [
            (rule, c) for rule in chosen for c in rule.checks if c.event is None and c.target in self.kinds
        ]

    def conditions(self, event: EventKind) -> list[Expr]:
        """Return every condition that is asked at an event."""
        found = [line.guard for _, line in self.lines(event)]
        for kind in self.kinds:
            found += [birth.guard for birth in self.births(kind) if birth.event == event]
        for one in self.spec.assignments:
            if one.event == event and (one.kind, one.field) in self.numbers:
                found.append(one.guard)
        for check in [*(check for _, check in self.checks(event)), *self.claimed(event)]:
            found += [check.when, check.require]
        return found

    def claimed(self, event: EventKind | None) -> list[Check]:
        """Return what is claimed or granted at an event, or (``None``) at every moment."""
        return [check for check in self.claims if check.event == event]


def arguments(exprs: Iterable[Expr]) -> set[str]:
    """Return the parameters that conditions read."""
    found: set[str] = set()
    for expr in exprs:
        for node in walk(expr):
            match node:
                case Compare(left=left, right=right):
                    found |= {t.name for t in (left, right) if isinstance(t, Arg)}
                case HasBits(term=Arg(name)):
                    found.add(name)
                case _:
                    pass
    return found


__all__ = ["Cone", "Field", "arguments"]
