"""The names that the files declare, and how references to them are resolved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kmclcheck.diagnostics import Span
from kmclcheck.model.event import Phase
from kmclcheck.model.spec import EnumField, EventDecl, EventKind, NumberField, ObjectKind
from kmclcheck.speclang.reporter import Reporter
from kmclcheck.speclang.syntax import EventRef, Name, PredicateDecl

THREAD = "thread"
RETURN = "Return"
STATUS_TYPE = "NTSTATUS"
NO_RESULT = frozenset({"", "VOID", "void"})
# A name that is a keyword in conditions could be declared but never referred to.
RESERVED = frozenset(
    (
        *("and", "or", "not", "implies", "true", "false", "no", "some", "sometime", "in", "is", "has", "set"),
        *("succeeded", "failed", "status", "irql", "inside", "running", "overlapped", "latest"),
        *("same", "seen"),
    )
)
_PHASES = {phase.value: phase for phase in Phase}


@dataclass(slots=True)
class Symbols:
    """Everything declared so far, with the one place that knows how to look a name up."""

    report: Reporter
    statuses: dict[str, int] = field(default_factory=dict)
    constants: dict[str, int] = field(default_factory=dict)
    predicates: dict[str, PredicateDecl] = field(default_factory=dict)
    kinds: dict[str, ObjectKind] = field(default_factory=dict)
    events: dict[str, EventDecl] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _first: dict[tuple[str, str], Span] = field(default_factory=dict)

    def declare(self, namespace: str, what: str, name: Name) -> bool:
        """Return whether the name is new in its namespace; report it otherwise."""
        first = self._first.get((namespace, name.text))
        if first is not None:
            where = f"first declared at {first.path}:{first.line}"
            self.report.error(f"{what} `{name.text}` is declared twice", name.span, where)
            return False
        self._first[namespace, name.text] = name.span
        if namespace != "rule" and name.text in RESERVED:
            self.report.error(f"`{name.text}` is a keyword and cannot name a {what}", name.span)
        return True

    def kind(self, name: Name) -> ObjectKind | None:
        """Return the object kind of that name."""
        found = self.kinds.get(name.text)
        if found is None:
            self.report.unknown("object", name, self.kinds)
        return found

    def any_field(self, kind: ObjectKind, name: Name) -> EnumField | NumberField | None:
        """Return the field of that name, enumerated or number."""
        found = kind.enums.get(name.text) or kind.numbers.get(name.text)
        if found is None and kind.name not in self.report.broken:
            self.report.unknown(f"field of `{kind.name}`", name, [*kind.enums, *kind.numbers])
        return found

    def values(self, kind: ObjectKind, owner: EnumField, names: Iterable[Name]) -> frozenset[str]:
        """Return the values, after reporting those that the field does not have."""
        found: set[str] = set()
        for name in names:
            if name.text not in owner.values:
                self.report.unknown(f"value of `{kind.name}.{owner.name}`", name, owner.values)
            elif name.text in found:
                self.report.error(f"`{name.text}` is named twice", name.span)
            found.add(name.text)
        return frozenset(found)

    def members(self, name: Name) -> tuple[str, ...]:
        """Return the functions and callbacks that a name or group stands for."""
        if name.text in self.groups:
            return self.groups[name.text]
        if name.text in self.events:
            return (name.text,)
        self.report.unknown("function, callback or group", name, [*self.events, *self.groups])
        return ()

    def expand(self, names: Iterable[Name]) -> tuple[str, ...]:
        """Return the members of all names, each once, in order."""
        return tuple(dict.fromkeys(m for name in names for m in self.members(name)))

    def event_kinds(self, refs: Iterable[EventRef]) -> list[tuple[EventKind, Span]]:
        """Return the events meant, after reporting phases that do not exist or do not fit."""
        found: dict[EventKind, Span] = {}
        for ref in refs:
            phase = _PHASES.get(ref.phase.text)
            if phase is None:
                self.report.unknown("phase", ref.phase, _PHASES)
            for member in self.members(ref.name):
                declared = self.events[member]
                if phase is None:
                    continue
                if phase not in (declared.entry, declared.exit):
                    noun = "callback" if declared.callback else "record" if declared.record else "function"
                    phases = dict.fromkeys((declared.entry.value, declared.exit.value))
                    shown = " and ".join(f"`.{value}`" for value in phases)
                    self.report.error(
                        f"`{member}` is a {noun} and has no `.{phase.value}`",
                        ref.phase.span,
                        f"a {noun} has {shown}",
                        topic="phase",
                    )
                    continue
                if (member, phase) in found:
                    self.report.error(f"`{member}.{phase.value}` is named twice", ref.name.span)
                found[member, phase] = ref.name.span
        return list(found.items())

    def ancestors(self, kind: str) -> list[str]:
        """Return the kind and its parents, nearest first (a cycle is cut)."""
        chain: list[str] = []
        step: str | None = kind
        while step is not None and step in self.kinds and step not in chain:
            chain.append(step)
            step = self.kinds[step].parent
        return chain

    def resolvable(self, event: EventDecl) -> frozenset[str]:
        """Return the kinds of which the event names one object: its handles, their parents, the thread."""
        found = {a for kind in event.objects for a in self.ancestors(kind)}
        if THREAD in self.kinds:
            found.add(THREAD)
        return frozenset(found)


def returns_status(event: EventDecl) -> bool:
    """Whether the event returns a status, so that `succeeded` and `failed` make sense."""
    return event.returns == STATUS_TYPE
