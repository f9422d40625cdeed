"""What a search has to look at: the events, fields and calls that can decide some rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kmclcheck.engines.shown import shown
from kmclcheck.model import expr as e
from kmclcheck.model.spec import EventKind, Spec

Field = tuple[str, str]


@dataclass
class Cone:
    """Everything that the conditions of some rules depend on, directly or through others.

    ``calls`` are functions and callbacks that matter by being in progress. Records that the library
    writes by itself are left out: nothing of a driver depends on them.
    """

    spec: Spec
    events: set[EventKind] = field(default_factory=set)
    fields: set[Field] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    rules: set[str] = field(default_factory=set)

    def reach(self, rules: Iterable[str]) -> Cone:
        """Add what these rules depend on; return the cone."""
        for id in rules:
            self.rules.add(id)
            for check in self.spec.rules[id].checks:
                if check.event is not None:
                    self._event(check.event)
                self._kind(check.target)
                self._expr(check.when)
                self._expr(check.require)
                for name in check.hung_in:
                    self._call(name)
        self._seen()
        return self

    def _event(self, kind: EventKind) -> None:
        decl = self.spec.events[kind[0]]
        if kind in self.events or decl.record:
            return
        for phase in (decl.entry, decl.exit):
            self.events.add((decl.name, phase))
        for name in decl.objects:
            self._kind(name)

    def _call(self, name: str) -> None:
        self.calls.add(name)
        self._event((name, self.spec.events[name].entry))

    def _kind(self, name: str) -> None:
        if name in self.kinds or name == "thread":
            return
        self.kinds.add(name)
        kind = self.spec.kinds[name]
        if kind.parent is not None:
            self._kind(kind.parent)
        for birth in kind.births:
            # One way to be born is enough, unless a condition asks for another.
            if self.spec.events[birth.event[0]].documented:
                self._event(birth.event)
            self._expr(birth.guard)
        for enum in kind.enums.values():
            if enum.dead:
                self._field((name, enum.name))

    def _field(self, key: Field) -> None:
        if key in self.fields:
            return
        self.fields.add(key)
        self._kind(key[0])
        machine = self.spec.machines.get(key)
        for line in machine.transitions if machine is not None else ():
            if not line.observe and self.spec.events[line.event[0]].documented:
                self._event(line.event)
                self._expr(line.guard)
        for one in self.spec.assignments:
            if (one.kind, one.field) == key:
                self._event(one.event)
                self._expr(one.guard)

    def _seen(self) -> None:
        """Add what can make callbacks unseen, as far as events of the cone do."""
        grown = True
        while grown:
            before = len(self.events), len(self.fields)
            for one in shown(self.spec):
                part = one.condition
                if one.kind not in self.kinds:
                    continue
                if not isinstance(part, e.FieldIn):
                    self._expr(part)
                    continue
                machine = self.spec.machines.get((part.kind, part.field))
                if machine is None:
                    continue
                self.fields.add((part.kind, part.field))
                for line in machine.transitions:
                    if line.event in self.events and not line.targets <= part.values:
                        self._expr(line.guard)
            grown = before != (len(self.events), len(self.fields))

    def _expr(self, expr: e.Expr) -> None:
        for node in e.walk(expr):
            match node:
                case e.FieldIn(kind, name) | e.IsSet(kind, name):
                    self._field((kind, name))
                case e.Compare(left=left, right=right):
                    for term in (left, right):
                        if isinstance(term, e.Scalar):
                            self._field((term.kind, term.field))
                case e.HasBits(term=e.Scalar(kind, name)):
                    self._field((kind, name))
                case e.Inside(names=names) | e.OpenFrame(names=names) | e.Overlapped(names=names):
                    for name in names:
                        self._call(name)
                case e.AnyChild(kind=kind):
                    self._kind(kind)
                case _:
                    pass


__all__ = ["Cone", "Field"]
