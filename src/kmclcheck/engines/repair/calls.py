"""Calls that a driver could make, and callbacks that a library could: the material of insertions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from kmclcheck.engines.cone import Field
from kmclcheck.engines.fill import Filler
from kmclcheck.engines.repair.base import SUCCESS
from kmclcheck.engines.repair.lines import Line, ThreadKey, handles, stack_at, thread_key
from kmclcheck.model import expr as e
from kmclcheck.model.event import ArgValue, Event, Phase
from kmclcheck.model.spec import Check, Direction, EventDecl, EventKind, Spec
from kmclcheck.semantics.index import SpecIndex

HANDLES = 3
"""Objects of a kind that an inserted call is tried with."""

FRESH = 0x7F000000
"""Handles of objects that inserted calls make begin here, if the slice has none of the kind."""


Goals = dict[Field, frozenset[str]]
"""Values of fields that a condition asks for."""


def goals_of(spec: Spec, checks: Iterable[Check]) -> Goals:
    """Return the values of fields that make the conditions true, or help to."""
    found: Goals = {}
    for check in checks:
        for node in e.walk(check.require):
            atom, positive = (node.operand, False) if isinstance(node, e.Not) else (node, True)
            if isinstance(atom, e.AnyChild):
                atom = atom.condition
            if not isinstance(atom, e.FieldIn) or (positive and (atom.kind, atom.field) in found):
                continue
            field = spec.kinds[atom.kind].enums[atom.field]
            wanted = atom.values if positive else frozenset(field.values) - atom.values
            # What is due at the end is mostly that the object ends.
            if check.event is None and wanted & field.dead:
                wanted &= field.dead
            found[atom.kind, atom.field] = wanted
    return found


@dataclass(frozen=True, slots=True)
class Site:
    """A place in a slice and a thread on which something is called there; ``like`` lends the columns."""

    place: int
    like: Event


class Caller:
    """Makes records of calls and callbacks on the objects of a slice."""

    def __init__(
        self, spec: Spec, index: SpecIndex, recorded: frozenset[EventKind], rules: Iterable[str]
    ) -> None:
        self.spec = spec
        self.index = index
        self.recorded = recorded
        self._filler = Filler(spec, rules)
        self._fillings: dict[tuple[str, Phase], list[dict[str, ArgValue]]] = {}

    def functions(self, fields: frozenset[Field], goals: Goals) -> list[EventDecl]:
        """Return the functions of the driver's that change one of the fields.

        Those that lead to a value that is asked for come first, then those that change the least.
        """
        found = [
            ((not self.leads_to(decl, goals), self._changes(decl)), self._changes(decl, fields), decl)
            for decl in self.spec.events.values()
            if not (decl.callback or decl.record or decl.neutral)
            and decl.documented
            and {(decl.name, decl.entry), (decl.name, decl.exit)} <= self.recorded
        ]
        return [decl for _, count, decl in sorted(found, key=lambda x: x[0]) if count]

    def leads_to(self, decl: EventDecl, goals: Goals) -> bool:
        """Return whether an event moves a field to a value that is asked for."""
        return any(
            not line.observe and line.targets & goals.get((kind, name), frozenset())
            for phase in (decl.entry, decl.exit)
            for kind, by_field in self.index.events[decl.name, phase].lines.items()
            for name, lines in by_field.items()
            for line in lines
        )

    def callbacks(self, fields: frozenset[Field]) -> list[EventDecl]:
        """Return the callbacks that change one of the fields."""
        return [
            decl
            for decl in self.spec.events.values()
            if decl.callback
            and {(decl.name, decl.entry), (decl.name, decl.exit)} <= self.recorded
            and self._changes(decl, fields)
        ]

    def _changes(self, decl: EventDecl, fields: frozenset[Field] | None = None) -> int:
        """Return how many of the fields, or of all fields, an event changes."""
        found: set[Field] = set()
        for phase in (decl.entry, decl.exit):
            one = self.index.events[decl.name, phase]
            for lines in (one.lines, one.child_lines, one.any_lines):
                for kind, by_field in lines.items():
                    found |= {
                        (kind, name)
                        for name, transitions in by_field.items()
                        if any(t.targets and not t.observe for t in transitions)
                    }
            found |= {(a.kind, a.field) for a in one.assignments}
        return len(found if fields is None else found & fields)

    def pairs(
        self, decl: EventDecl, site: Site, lines: Sequence[Line], prefer: Sequence[tuple[str, ArgValue]]
    ) -> Iterator[tuple[Event, Event]]:
        """Return entry and exit of calls with every choice of objects, and of arguments that matter."""
        scope = _in_scope(self.spec, lines[: site.place], prefer)
        if any(kind not in scope for kind in self._inputs(decl)):
            return
        for chosen in self._choices(decl, scope):
            outer = _irql_around(self.spec, lines, site)
            for given in self._arguments(decl, decl.entry):
                entry = replace(
                    site.like, name=decl.name, phase=decl.entry, args={**chosen, **given}, status=None,
                    irql=outer, seq=None, time=None, line=0, offset=0,
                )  # fmt: skip
                yield entry, self.exit(decl, entry, scope)

    def success(self, entry: Event, lines: Sequence[Line]) -> Event:
        """Return the exit of a call that succeeds after what the lines show."""
        scope = _in_scope(self.spec, lines, list(handles(self.spec, entry)))
        back = self.exit(self.spec.events[entry.name], entry, scope)
        return replace(back, seq=None, time=None, line=0, offset=0)

    def exit(self, decl: EventDecl, entry: Event, scope: dict[str, list[ArgValue]]) -> Event:
        """Return the exit of a call, with success and with handles that nobody has yet."""
        made: dict[str, ArgValue] = {}
        for kind, param in decl.objects.items():
            if kind not in self._inputs(decl):
                numbers = [value for value in scope.get(kind, ()) if isinstance(value, int)]
                made[param] = max(numbers) + 0x40 if numbers else FRESH
        status = SUCCESS if decl.returns == "NTSTATUS" else None
        given = self._arguments(decl, decl.exit)[0]
        return replace(entry, phase=decl.exit, args={**made, **given}, status=status)

    def _inputs(self, decl: EventDecl) -> list[str]:
        """Return the kinds of objects that a call has to be given."""
        outputs = {p.name for p in decl.params if p.direction is Direction.OUT} | {"Return"}
        return [kind for kind, param in decl.objects.items() if param not in outputs]

    def _choices(self, decl: EventDecl, scope: dict[str, list[ArgValue]]) -> Iterator[dict[str, ArgValue]]:
        kinds = self._inputs(decl)
        for values in product(*(scope[kind][:HANDLES] for kind in kinds)):
            yield {decl.objects[kind]: value for kind, value in zip(kinds, values, strict=True)}

    def _arguments(self, decl: EventDecl, phase: Phase) -> list[dict[str, ArgValue]]:
        """Return choices of the arguments that some condition reads."""
        found = self._fillings.get((decl.name, phase))
        if found is None:
            objects = dict.fromkeys(decl.objects.values(), 1)
            bare = Event(decl.name, phase, dict(objects), irql=0)
            found = [
                {name: value for name, value in one.args.items() if name not in objects}
                for one in self._filler.fillings(bare)
            ]
            self._fillings[decl.name, phase] = found
        return found

    def answers(
        self,
        lines: Sequence[Line],
        place: int,
        decls: Sequence[EventDecl],
        prefer: Sequence[tuple[str, ArgValue]],
    ) -> Iterator[tuple[Event, Event]]:
        """Return callbacks that the library could make at a place, on a thread that does nothing else."""
        like = self._worker(lines, place)
        if like is None:
            return
        for decl in decls:
            yield from self.pairs(decl, Site(place, like), lines, prefer)

    def _worker(self, lines: Sequence[Line], place: int) -> Event | None:
        """Return a record of a thread on which callbacks come and that is idle there, or of a new one."""
        shown = [line.event for line in lines if not line.gone]
        for event in reversed(shown):
            decl = self.spec.events.get(event.name)
            if (
                decl is not None
                and decl.callback
                and not stack_at(self.spec, lines, place, thread_key(event))
            ):
                return replace(event, irql=0 if event.irql is not None else None)
        if not shown or shown[-1].tid is None:
            return None
        last = shown[-1]
        return replace(last, tid=max(e.tid or 0 for e in shown) + 4, irql=None if last.irql is None else 0)


def _in_scope(
    spec: Spec, lines: Sequence[Line], prefer: Sequence[tuple[str, ArgValue]]
) -> dict[str, list[ArgValue]]:
    """Return the handles that the slice has shown so far by kind: the preferred ones, then the latest."""
    shown = [pair for line in reversed(lines) if not line.gone for pair in handles(spec, line.event)]
    scope: dict[str, list[ArgValue]] = {}
    for kind, value in dict.fromkeys([pair for pair in prefer if pair in shown] + shown):
        scope.setdefault(kind, []).append(value)
    # What the slice is about may have been born before it.
    for kind, value in prefer:
        if value not in scope.setdefault(kind, []):
            scope[kind].append(value)
    return scope


def _irql_around(spec: Spec, lines: Sequence[Line], site: Site) -> int | None:
    """Return the IRQL of the callback that a call is put into; outside of all, that of the thread."""
    thread: ThreadKey = thread_key(site.like)
    stack = stack_at(spec, lines, site.place, thread)
    return stack[-1].irql if stack else site.like.irql
