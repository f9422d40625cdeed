"""Machines, births and assignments of number fields."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kmclcheck.diagnostics import Span
from kmclcheck.model.expr import Expr
from kmclcheck.model.spec import (
    Assignment,
    Birth,
    EnumField,
    EventDecl,
    EventKind,
    Machine,
    NumberField,
    ObjectKind,
    Transition,
)
from kmclcheck.speclang import syntax as s
from kmclcheck.speclang.conditions import Conditions, Context
from kmclcheck.speclang.symbols import THREAD, Symbols


def event_context(symbols: Symbols, event: EventKind, own: str | None = None) -> Context:
    """Return what a condition at this event may refer to."""
    decl = symbols.events[event[0]]
    return Context(f"`{event[0]}.{event[1].value}`", decl, event[1], symbols.resolvable(decl), own)


class Machines:
    """Lowers what changes state."""

    def __init__(self, symbols: Symbols, conditions: Conditions) -> None:
        self._symbols = symbols
        self._report = symbols.report
        self._conditions = conditions

    # --- machines ---

    def machine(self, decl: s.MachineDecl) -> Machine | None:
        """Return the machine, or ``None`` when its field is not known."""
        kind = self._symbols.kind(decl.kind)
        if kind is None:
            return None
        field = self._symbols.any_field(kind, decl.field)
        qualified = s.Name(f"{kind.name}.{decl.field.text}", decl.field.span)
        if not self._symbols.declare("machine", "machine", qualified) or field is None:
            return None
        if isinstance(field, NumberField):
            self._report.error(
                f"`{qualified.text}` is a number and has no machine", decl.field.span, "use `set` and `unset`"
            )
            return None
        named = self._named(decl)
        transitions = [t for line in decl.lines for t in self._line(kind, field, line, named)]
        self._duplicates(transitions)
        return Machine(kind.name, field.name, tuple(transitions), decl.doc, decl.kind.span)

    def _named(self, decl: s.MachineDecl) -> dict[EventKind, set[str]]:
        """Return, per event, the values that its lines name: those that its ``*`` does not stand for."""
        named: dict[EventKind, set[str]] = {}
        for line in decl.lines:
            if line.seen or line.sources is None:
                continue
            for event, _ in self._symbols.event_kinds(line.events):
                named.setdefault(event, set()).update(n.text for n in line.sources)
        return named

    def _line(
        self, kind: ObjectKind, field: EnumField, line: s.MachineLine, named: dict[EventKind, set[str]]
    ) -> list[Transition]:
        targets = self._symbols.values(kind, field, [t for t in line.targets if t is not None])
        stays = None in line.targets
        given = self._symbols.values(kind, field, line.sources or ())
        events = self._symbols.event_kinds(line.events)
        if not events:
            self._conditions.lower(line.guard, Context("this event", own=kind.name, lenient=True))
        found: list[Transition] = []
        for event, span in events:
            guard = self._guard(kind, line, event, span)
            sources = given if line.sources is not None else set(field.values) - named.get(event, set())
            one = Transition(
                frozenset(sources), targets, event, guard, line.seen, line.parent, line.span, line.anywhere
            )
            if line.seen or not stays:
                found += [one] if sources else []
            elif not targets:
                found += [replace(one, targets=frozenset())] if sources else []
            else:
                ordered = [v for v in field.values if v in sources]
                found += [replace(one, sources=frozenset({v}), targets=targets | {v}) for v in ordered]
        if line.sources is None and events and not found:
            self._report.error(
                f"`*` stands for no value: every value of `{kind.name}.{field.name}` is named",
                line.span,
                "other lines of the same event name them all",
            )
        return found

    def _guard(self, kind: ObjectKind, line: s.MachineLine, event: EventKind, span: Span) -> Expr:
        decl = self._symbols.events[event[0]]
        self._not_neutral(decl, span, line.seen)
        context = event_context(self._symbols, event, kind.name)
        if line.parent:
            if kind.parent is None:
                self._report.error(f"`{kind.name}` has no parent", line.span, topic="parent")
            elif kind.parent not in context.kinds:
                self._report.error(f"{context.where} names no `{kind.parent}`", span, topic="parent")
            # One record moves all children: no single child is meant that a guard could look at.
            above = {*self._symbols.ancestors(kind.parent or ""), THREAD}
            context = replace(context, own=None, kinds=context.kinds & above)
        elif line.anywhere:
            if line.seen:
                self._report.error("`any` object may be meant, so nothing is seen of one", line.span)
            if kind.name in context.kinds:
                self._report.error(f"{context.where} names its `{kind.name}`", span, "leave out `any`")
            context = replace(context, own=None)
        elif kind.name not in context.kinds:
            help = "`on parent EVENT` moves every child" if kind.parent in context.kinds else None
            self._report.error(f"{context.where} names no `{kind.name}`", span, help, "object")
            context = replace(context, kinds=context.kinds | {kind.name})
        return self._conditions.lower(line.guard, context)

    def _duplicates(self, transitions: list[Transition]) -> None:
        seen: set[Transition] = set()
        for transition in transitions:
            bare = replace(transition, span=None)
            if bare in seen:
                event = f"{transition.event[0]}.{transition.event[1].value}"
                self._report.error("this line stands twice", transition.span, f"for `{event}`", "twice")
            seen.add(bare)

    def _not_neutral(self, decl: EventDecl, span: Span, seen: bool = False) -> None:
        if decl.neutral and not seen:
            self._report.error(
                f"`{decl.name}` is declared neutral and cannot change anything",
                span,
                "remove `neutral` from its declaration",
                "neutral",
            )

    # --- births ---

    def births(self, decls: Iterable[s.BirthsDecl]) -> dict[str, tuple[Birth, ...]]:
        """Return the births of every kind."""
        found: dict[str, list[Birth]] = {}
        for decl in decls:
            kind = self._symbols.kind(decl.kind)
            if kind is None:
                continue
            for line in decl.lines:
                found.setdefault(kind.name, []).extend(self._birth(kind, line))
        return {name: tuple(births) for name, births in found.items()}

    def _birth(self, kind: ObjectKind, line: s.BirthLine) -> list[Birth]:
        births: list[Birth] = []
        for event, span in self._symbols.event_kinds(line.events):
            decl = self._symbols.events[event[0]]
            self._not_neutral(decl, span)
            context = event_context(self._symbols, event, kind.name)
            if kind.name not in decl.objects:
                self._report.error(f"{context.where} names no `{kind.name}`", span, topic="object")
                context = replace(context, kinds=context.kinds | {kind.name})
            guard = self._conditions.lower(line.guard, context)
            births.append(Birth(event, guard, self._conditions.lower(line.loss_if, context, default=False)))
        return births

    # --- numbers ---

    def assignments(self, decl: s.AssignmentDecl) -> list[Assignment]:
        """Return one assignment for each event of a ``set`` or ``unset``."""
        kind = self._symbols.kind(decl.kind)
        field = self._symbols.any_field(kind, decl.field) if kind is not None else None
        if kind is None or field is None:
            return []
        if isinstance(field, EnumField):
            self._report.error(
                f"`{kind.name}.{field.name}` is not a number field",
                decl.field.span,
                f"a `machine {kind.name}.{field.name}` moves it",
            )
            return []
        if field.counter is not decl.adds:
            what = "is a counter" if field.counter else "is not a counter"
            help = "use `add`" if field.counter else "use `set`, or declare it as `counter`"
            self._report.error(f"`{kind.name}.{field.name}` {what}", decl.field.span, help)
        found: list[Assignment] = []
        for event, span in self._symbols.event_kinds(decl.events):
            self._not_neutral(self._symbols.events[event[0]], span)
            context = event_context(self._symbols, event, kind.name)
            if kind.name not in context.kinds:
                self._report.error(f"{context.where} names no `{kind.name}`", span, topic="object")
            value = None if decl.value is None else self._conditions.term(decl.value, context)
            guard = self._conditions.lower(decl.guard, context)
            found.append(Assignment(kind.name, field.name, event, guard, value, decl.adds))
        return found
