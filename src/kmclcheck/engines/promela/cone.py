"""What some claims depend on: the events, fields and rules that go into a model, and nothing else.

An event outside of the cone changes nothing that is looked at, so a model without it has the same shortest
violations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from kmclcheck.engines.promela.bounds import UnsupportedError
from kmclcheck.model import expr as e
from kmclcheck.model.spec import (
    Assignment,
    Birth,
    Check,
    Direction,
    EventDecl,
    EventKind,
    Invariant,
    Rule,
    Spec,
    Transition,
)

Field = tuple[str, str]


class Cone:
    """A specification cut down to what some rules and invariants depend on.

    ``events`` are functions and callbacks by name; ``fields`` and ``numbers`` those that are kept; ``kinds``
    the objects. ``fixed`` are fields that never change because every callback is to be seen: a record that
    would empty a slot is not possible. ``left_out``: rules that would be assumed, but cannot be expressed.
    """

    def __init__(self, spec: Spec, unseen: bool = False) -> None:
        self.spec = spec
        self.events: set[str] = set()
        self.fields: set[Field] = set()
        self.numbers: set[Field] = set()
        self.kinds: set[str] = set()
        self.monitored: set[str] = set()
        self.assumed: set[str] = set()
        self.left_out: set[str] = set()
        self.invariants: tuple[Invariant, ...] = ()
        self.fixed: dict[Field, frozenset[str]] = {} if unseen else _fixed(spec)
        self._unseen = unseen
        self._for = "the specification"

    def copy(self) -> Cone:
        """Return a cone that can grow without this one."""
        other = Cone(self.spec, self._unseen)
        for name in ("events", "fields", "numbers", "kinds", "monitored", "assumed"):
            setattr(other, name, set(getattr(self, name)))
        other.invariants = self.invariants
        return other

    @property
    def size(self) -> tuple[int, int]:
        return len(self.events), len(self.fields) + len(self.numbers) + len(self.kinds)

    @property
    def rules(self) -> list[Rule]:
        """The rules of the model in the order of the specification."""
        return [r for r in self.spec.rules.values() if r.id in self.monitored or r.id in self.assumed]

    @contextmanager
    def _concerning(self, name: str) -> Iterator[None]:
        before, self._for = self._for, name
        try:
            yield
        finally:
            self._for = before

    def _no(self, construct: str) -> UnsupportedError:
        return UnsupportedError(f"{self._for}: {construct}, which a Promela model cannot express")

    # What is asked for.

    def monitor(self, rules: Iterable[str]) -> Cone:
        """Add rules that are to be checked: their events occur."""
        for id in rules:
            self.monitored.add(id)
            with self._concerning(f"rule {id}"):
                for check in self.spec.rules[id].checks:
                    if check.event is not None:
                        self.event(check.event[0])
                    else:
                        self.kind(check.target)
        return self.settle()

    def claim(self, invariants: Iterable[Invariant]) -> Cone:
        """Add invariants that are to be checked."""
        self.invariants = (*self.invariants, *invariants)
        for invariant in self.invariants:
            with self._concerning(f"invariant {invariant.id}"):
                for check in invariant.checks:
                    if check.event is not None:
                        self.event(check.event[0])
                    self.kind(check.target)
                    self._condition(check)
                    if check.event is None:
                        self._ends(check.target)
        return self.settle()

    def assume(self, rules: Iterable[str]) -> Cone:
        """Add rules that are to be kept: they matter only at events that occur anyway."""
        self.assumed.update(set(rules) - self.monitored)
        return self.settle()

    def live(self) -> Cone:
        """Add the life of every object: from when to when it can be used."""
        while True:
            before = self.size
            for kind in sorted(self.kinds):
                self._ends(kind)
            self.settle()
            if self.size == before:
                return self

    def settle(self) -> Cone:
        """Add what the rules depend on at the events that occur, until nothing is missing."""
        while True:
            before = self.size
            for rule in self.rules:
                with self._concerning(f"rule {rule.id}"):
                    for check in rule.checks:
                        self._check(check)
            for invariant in self.invariants:
                with self._concerning(f"invariant {invariant.id}"):
                    for check in invariant.given:
                        if check.event is not None and check.event[0] in self.events:
                            self._condition(check)
            for kind, name in sorted(self.fixed):
                for line in self._emptying(kind, name):
                    if line.event[0] in self.events and kind in self.kinds:
                        self._expr(line.guard)
            if self.size == before:
                return self

    def _check(self, check: Check) -> None:
        if check.event is None:
            if check.target not in self.kinds:
                return
            self._ends(check.target)
            for name in check.hung_in:
                self.event(name)
        elif check.event[0] not in self.events:
            return
        self.kind(check.target)
        self._condition(check)

    def _condition(self, check: Check) -> None:
        self._expr(check.when)
        self._expr(check.require)

    def _ends(self, kind: str) -> None:
        for enum in self.spec.kinds[kind].enums.values():
            if enum.dead:
                self.field((kind, enum.name))

    # What it depends on.

    def event(self, name: str) -> None:
        """Add a function or callback."""
        if name in self.events:
            return
        decl = self.spec.events[name]
        if decl.record:
            raise self._no(f"it looks at {name}, a record that the library writes by itself")
        self.events.add(name)
        for kind in decl.objects:
            self.kind(kind)
        if decl.recorded_when is not None:
            self._expr(decl.recorded_when)

    def kind(self, name: str) -> None:
        """Add a kind of object with the ways in which it comes to be."""
        if name in self.kinds or name == "thread":
            return
        kind = self.spec.kinds[name]
        self.kinds.add(name)
        if kind.parent is not None:
            self.kind(kind.parent)
        for birth in self.births(name):
            self.event(birth.event[0])
            self._expr(birth.guard)
            if not is_made(self.spec.events[birth.event[0]], name):
                self._expr(birth.loss_if)

    def field(self, key: Field) -> None:
        """Add an enumerated field with everything that changes it."""
        if key in self.fields or key in self.fixed:
            return
        self.fields.add(key)
        self.kind(key[0])
        machine = self.spec.machines.get(key)
        for line in machine.transitions if machine is not None else ():
            if line.anywhere:
                raise self._no(f"it needs {'.'.join(key)}, which events change that do not name the object")
            if self._counts(line) and not self._idle(key, line.event):
                self.event(line.event[0])
                self._expr(line.guard)

    def number(self, key: Field) -> None:
        """Add a number field with everything that sets it."""
        if key in self.numbers:
            return
        if self.spec.kinds[key[0]].numbers[key[1]].counter:
            raise self._no(f"it needs {'.'.join(key)}, a counter")
        self.numbers.add(key)
        self.kind(key[0])
        for one in self.spec.assignments:
            if (one.kind, one.field) == key and self.spec.events[one.event[0]].documented:
                self.event(one.event[0])
                self._expr(one.guard)
                self._term(one.value)

    def _expr(self, expr: e.Expr) -> None:
        for node in e.walk(expr):
            match node:
                case e.FieldIn(kind, name):
                    self.field((kind, name))
                case e.IsSet(kind, name):
                    self.number((kind, name))
                case e.Compare(left=left, right=right):
                    self._term(left)
                    self._term(right)
                case e.HasBits(term=term):
                    self._term(term)
                case e.Inside(names=names) | e.OpenFrame(names=names) | e.Overlapped(names=names):
                    for name in names:
                        self.event(name)
                case e.Latest(names=names):
                    for name in names:
                        self.event(name)
                case e.Sometime(condition):
                    self._moment(condition)
                case e.AnyChild(kind=kind):
                    self._ends(kind)
                    self.kind(kind)
                case _:
                    pass

    def _moment(self, condition: e.Expr) -> None:
        """See to it that a condition on other moments is about nothing but the state of objects."""
        for node in e.walk(condition):
            terms = [node.left, node.right] if isinstance(node, e.Compare) else []
            terms += [node.term] if isinstance(node, e.HasBits) else []
            if (
                isinstance(node, e.Inside | e.Overlapped | e.Latest | e.StatusOk | e.StatusIn | e.Sometime)
                or (isinstance(node, e.FieldIn) and node.kind == "thread")
                or any(isinstance(term, e.Arg | e.Irql) for term in terms)
            ):
                raise self._no("it asks whether something of a record or a thread held sometime")

    def _term(self, term: e.Term | None) -> None:
        if isinstance(term, e.Scalar):
            self.number((term.kind, term.field))

    # What holds at an event.

    def _counts(self, line: Transition) -> bool:
        return not line.observe and self.spec.events[line.event[0]].documented

    def _idle(self, key: Field, event: EventKind) -> bool:
        """Return whether an event can never change a field, although it has lines for it."""
        lines = [t for t in self.spec.machines[key].transitions if t.event == event and not t.observe]
        covered = frozenset[str]().union(*(line.sources for line in lines))
        everything = covered == set(self.spec.kinds[key[0]].enums[key[1]].values)
        return everything and not any(line.targets for line in lines)

    def _emptying(self, kind: str, name: str) -> list[Transition]:
        """Return the transitions that would let a callback go unseen."""
        machine = self.spec.machines.get((kind, name))
        values = self.fixed[kind, name]
        initial = self.spec.kinds[kind].enums[name].initial
        return [
            line
            for line in (machine.transitions if machine is not None else ())
            if self._counts(line) and initial in line.sources and not line.targets <= values
        ]

    def emptying(self, event: EventKind) -> list[tuple[str, Transition]]:
        """Return the transitions at an event that would let a callback go unseen, by kind of object."""
        return [
            (k, line) for k, n in sorted(self.fixed) for line in self._emptying(k, n) if line.event == event
        ]

    def births(self, kind: str) -> list[Birth]:
        """Return the births by documented events: of the others only the name is published."""
        return [b for b in self.spec.kinds[kind].births if self.spec.events[b.event[0]].documented]

    def lines(self, event: EventKind) -> list[tuple[Field, Transition]]:
        """Return the transitions of kept fields at an event."""
        return [
            (key, line)
            for key, machine in self.spec.machines.items()
            if key in self.fields
            for line in machine.transitions
            if line.event == event and self._counts(line)
        ]

    def assignments(self, event: EventKind) -> list[Assignment]:
        """Return the assignments to kept numbers at an event."""
        return [a for a in self.spec.assignments if a.event == event and (a.kind, a.field) in self.numbers]

    def checks(self, event: EventKind) -> list[tuple[Rule, Check]]:
        """Return the checks of the rules at an event."""
        return [(rule, check) for rule in self.rules for check in rule.checks if check.event == event]

    def ends(self) -> list[tuple[Rule, Check]]:
        """Return the obligations at the end of an object or of the trace."""
        return [(r, c) for r in self.rules for c in r.checks if c.event is None and c.target in self.kinds]

    def conditions(self, event: EventKind) -> list[e.Expr]:
        """Return every condition that is asked at an event, other than whether its callbacks are seen."""
        found = [line.guard for _, line in self.lines(event)]
        for kind in sorted(self.kinds):
            for birth in self.births(kind):
                if birth.event == event:
                    found.append(birth.guard)
        found += [one.guard for one in self.assignments(event)]
        checks = [check for _, check in self.checks(event)]
        checks += [c for i in self.invariants for c in (*i.checks, *i.given) if c.event == event]
        return [*found, *(condition for c in checks for condition in (c.when, c.require))]


def _fixed(spec: Spec) -> dict[Field, frozenset[str]]:
    """Return the fields that let callbacks be recorded, with the values that do."""
    found: dict[Field, frozenset[str]] = {}
    for decl in spec.events.values():
        condition = decl.recorded_when
        if isinstance(condition, e.FieldIn):
            initial = spec.kinds[condition.kind].enums[condition.field].initial
            if initial in condition.values:
                found[condition.kind, condition.field] = condition.values
    return found


def is_made(decl: EventDecl, kind: str) -> bool:
    """Return whether the library makes the object: of its handle, or in storage that the caller gives."""
    param = decl.objects[kind]
    return param == "Return" or any(p.name == param and p.direction is Direction.OUT for p in decl.params)
