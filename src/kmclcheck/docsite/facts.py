"""What follows from a specification by reading it: who looks at what, what is forbidden in which state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kmclcheck.model import expr as e
from kmclcheck.model.event import Phase
from kmclcheck.model.spec import Check, EventKind, Machine, Rule, Spec

Field = tuple[str, str]


def truth(expr: e.Expr, kind: str, name: str, value: str) -> bool | None:
    """Return what a condition comes to while a field has a value; ``None``: other things decide it."""
    match expr:
        case e.Truth(known):
            return known
        case e.FieldIn(k, f, values) if (k, f) == (kind, name):
            return value in values
        case e.Not(operand):
            found = truth(operand, kind, name, value)
            return None if found is None else not found
        case e.And(operands) | e.Or(operands):
            decisive = isinstance(expr, e.Or)
            told = [truth(one, kind, name, value) for one in operands]
            if decisive in told:
                return decisive
            return None if None in told else not decisive
        case _:
            # A child in a state, or a state at another moment, says nothing of this object now.
            return None


def child_truth(expr: e.Expr, kind: str, name: str, value: str) -> bool | None:
    """Return as ``truth`` does, with one child of the kind that has the value.

    Where a rule wants no child in some states, a child in one of them forbids the event.
    """
    match expr:
        case e.AnyChild(_, k, condition) if k == kind:
            return True if truth(condition, kind, name, value) is True else None
        case e.Not(operand):
            found = child_truth(operand, kind, name, value)
            return None if found is None else not found
        case e.And(operands) | e.Or(operands):
            decisive = isinstance(expr, e.Or)
            told = [child_truth(one, kind, name, value) for one in operands]
            if decisive in told:
                return decisive
            return None if None in told else not decisive
        case _:
            return truth(expr, kind, name, value)


def fields_of(exprs: Iterable[e.Expr]) -> list[Field]:
    """Return the enumerated fields and flags that conditions look at, in their order."""
    nodes = [node for expr in exprs for node in e.walk(expr)]
    return list(dict.fromkeys((n.kind, n.field) for n in nodes if isinstance(n, e.FieldIn)))


def numbers_of(exprs: Iterable[e.Expr]) -> list[Field]:
    """Return the number fields and counters that conditions look at."""
    found: dict[Field, None] = {}
    for expr in exprs:
        for node in e.walk(expr):
            match node:
                case e.IsSet(kind, name):
                    found[kind, name] = None
                case e.Compare(_, left, right):
                    for term in (left, right):
                        if isinstance(term, e.Scalar):
                            found[term.kind, term.field] = None
                case e.HasBits(e.Scalar(kind, name), _):
                    found[kind, name] = None
                case _:
                    pass
    return list(found)


def conditions(rule: Rule) -> list[e.Expr]:
    """Return all conditions of a rule."""
    return [one for check in rule.checks for one in (check.when, check.require)]


def events_of(rule: Rule) -> list[str]:
    """Return the functions and callbacks that a rule is judged at, also those of a hang."""
    found: dict[str, None] = {}
    for check in rule.checks:
        if check.event is not None:
            found[check.event[0]] = None
        found.update(dict.fromkeys(check.hung_in))
    return list(found)


def place(check: Check) -> str:
    """Return where a check is judged: an event, or the end of the trace."""
    return "end of the trace" if check.event is None else f"{check.event[0]}.{check.event[1].value}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule forbids an event in a state: always, or (not ``certain``) if more conditions hold."""

    rule: str
    certain: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """An event in a state: the states after it, empty if no line of the machine fits, and who forbids it.

    ``stays``: the machine has no line for the event at all. ``guarded``: unless a condition holds,
    the state stays as it is.
    """

    targets: tuple[str, ...]
    stays: bool
    guarded: bool
    forbidden: tuple[Verdict, ...]


def forbids(check: Check, field: Field, value: str) -> bool | None:
    """Return whether a check excludes its event while a field has a value; ``None``: it may."""
    when = truth(check.when, *field, value)
    if when is False or child_truth(check.require, *field, value) is not False:
        return False
    return True if when else None


def matrix(spec: Spec, machine: Machine) -> dict[EventKind, dict[str, Cell]]:
    """Return the states by events of a machine: all events that it or a rule about its field names."""
    field = machine.kind, machine.field
    enum = spec.kinds[machine.kind].enums[machine.field]
    lines: dict[EventKind, list[int]] = {}
    for number, line in enumerate(machine.transitions):
        if not line.observe:
            lines.setdefault(line.event, []).append(number)
    checks: dict[EventKind, list[tuple[str, Check]]] = {}
    for rule in spec.rules.values():
        for check in rule.checks:
            if check.event is None:
                continue
            if any(forbids(check, field, value) is not False for value in enum.values):
                checks.setdefault(check.event, []).append((rule.id, check))
    rows: dict[EventKind, dict[str, Cell]] = {}
    for event in _ordered(spec, {*lines, *checks}):
        row = {}
        for value in enum.values:
            targets: dict[str, None] = {}
            mine = [machine.transitions[n] for n in lines.get(event, ())]
            mine = [line for line in mine if value in line.sources]
            for line in mine:
                targets.update(dict.fromkeys(v for v in enum.values if v in (line.targets or {value})))
            told: dict[str, bool] = {}
            for id, check in checks.get(event, ()):
                verdict = forbids(check, field, value)
                if verdict is not False:
                    told[id] = told.get(id, False) or verdict is True
            row[value] = Cell(
                tuple(v for v in enum.values if v in targets),
                event not in lines,
                bool(mine) and all(line.guard != e.Truth(True) for line in mine),
                tuple(Verdict(id, certain) for id, certain in told.items()),
            )
        rows[event] = row
    return rows


def _ordered(spec: Spec, wanted: set[EventKind]) -> list[EventKind]:
    return [(name, phase) for name in spec.events for phase in Phase if (name, phase) in wanted]


@dataclass(frozen=True, slots=True)
class Edge:
    """The part of a machine that a rule is about: states to show, and those where it forbids its event."""

    machine: Machine
    check: Check
    keep: tuple[str, ...]
    bad: tuple[str, ...]


def edges(spec: Spec, rule: Rule) -> list[Edge]:
    """Return for each machine that a rule constrains what to draw: fields of several states first."""
    found: dict[Field, Edge] = {}
    for check in rule.checks:
        for field in fields_of([check.require]):
            machine = spec.machines.get(field)
            if machine is None or field in found:
                continue
            enum = spec.kinds[field[0]].enums[field[1]]
            bad = tuple(v for v in enum.values if forbids(check, field, v) is not False)
            if not bad:
                continue
            good = [v for v in enum.values if v not in bad]
            found[field] = Edge(machine, check, tuple(good), bad)
    several = [edge for (kind, name), edge in found.items() if not spec.kinds[kind].enums[name].boolean]
    return several or list(found.values())


def main_machine(spec: Spec, kind: str) -> Machine | None:
    """Return the machine that tells the life of a kind: one that can end, or has most states."""
    mine = [m for m in spec.machines.values() if m.kind == kind]
    enums = spec.kinds[kind].enums
    return max(
        mine,
        key=lambda m: (
            bool(enums[m.field].dead),
            not enums[m.field].boolean,
            len(enums[m.field].values),
            len(m.transitions),
        ),
        default=None,
    )


def same_events(spec: Spec, rule: Rule) -> list[str]:
    """Return the other rules that are judged at an event of this one."""
    mine = {check.event for check in rule.checks if check.event is not None}
    return [r.id for r in spec.rules.values() if r.id != rule.id and any(c.event in mine for c in r.checks)]


def duals(spec: Spec, rule: Rule) -> list[str]:
    """Return rules that the other side keeps about a state that this one requires, most alike first."""
    mine = set(_required(spec, rule))
    alike = []
    for other in spec.rules.values():
        shared = mine & set(_required(spec, other))
        if other.party is not rule.party and shared:
            alike.append((-len(shared), other.id))
    order = {id: number for number, id in enumerate(spec.rules)}
    return [id for _, id in sorted(alike, key=lambda pair: (pair[0], order[pair[1]]))]


def _required(spec: Spec, rule: Rule) -> list[Field]:
    fields = fields_of(check.require for check in rule.checks)
    return [f for f in fields if f[1] in spec.kinds[f[0]].enums and not spec.kinds[f[0]].enums[f[1]].boolean]


def needs(spec: Spec, rule: Rule) -> list[str]:
    """Return what a trace has to show for the rule to be decided, in words."""
    nodes = [node for expr in conditions(rule) for node in e.walk(expr)]
    terms = [t for n in nodes if isinstance(n, e.Compare) for t in (n.left, n.right)]
    terms += [n.term for n in nodes if isinstance(n, e.HasBits)]
    found = []
    if fields_of(conditions(rule)) or any(isinstance(n, e.AnyChild) for n in nodes):
        found.append("the start of the object, or enough of its later records to know its state")
    if any(isinstance(t, e.Irql) for t in terms):
        found.append("the IRQL of the record")
    arguments = list(dict.fromkeys(t.name for t in terms if isinstance(t, e.Arg)))
    if arguments:
        found.append(f"the argument{'s' if len(arguments) > 1 else ''} {', '.join(arguments)}")
    if any(isinstance(n, e.StatusOk | e.StatusIn) for n in nodes):
        found.append("the returned status")
    if any(isinstance(n, e.Inside | e.OpenFrame | e.Overlapped | e.Latest | e.Sometime) for n in nodes):
        found.append("the thread of each record, with entries and exits of the calls it names")
    if any(isinstance(n, e.Scalar) for n in terms):
        found.append("the records that set the numbers it compares")
    if any(check.event is None for check in rule.checks):
        found.append("how the trace ends: an obligation is judged when the driver is unloaded or hangs")
    return found
