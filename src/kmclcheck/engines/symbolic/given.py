"""The records of a given trace, as far as they tell, and the gaps between them, as constraints on a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kmclcheck.engines.symbolic.alphabet import Alphabet, Call, entry_arguments
from kmclcheck.engines.symbolic.bounds import Bounds, UnsupportedError
from kmclcheck.engines.symbolic.circuit import Bits, Lit
from kmclcheck.engines.symbolic.cone import Cone
from kmclcheck.engines.symbolic.unroll import System
from kmclcheck.model.event import End
from kmclcheck.model.expr import Arg, Compare, CompareOp, Expr, HasBits, walk
from kmclcheck.model.spec import EventKind

WIDEST = 0xFFFFFFFF
"""Numbers beyond are told apart from the smaller ones, and not from each other."""

HIGHEST_IRQL = 2


@dataclass(frozen=True, slots=True)
class Given:
    """A record of the trace. What is missing or ``None`` is left open.

    ``objects`` are the places of the objects it names, by kind; ``None`` for a handle that names nobody.
    ``glued``: it is the second half of one record, so nothing stands between it and the one before.
    ``fresh``: nothing runs on its thread.
    """

    name: str
    entry: bool
    thread: int | None = None
    objects: Mapping[str, int | None] = field(default_factory=dict)
    args: Mapping[str, int] = field(default_factory=dict)
    status: int | None = None
    irql: int | None = None
    glued: bool = False
    fresh: bool = False
    line: int = 0


@dataclass(frozen=True, slots=True)
class Gap:
    """What may have been missed at a place of the trace: any record, or some kinds of them, or nothing.

    ``most`` is how many records were missed there at most, as far as that is known.
    """

    anything: bool = False
    kinds: frozenset[EventKind] = frozenset()
    most: int | None = None

    @property
    def open(self) -> bool:
        return self.anything or bool(self.kinds)


@dataclass(frozen=True, slots=True)
class Task:
    """A trace with gaps, one before each record and one after the last, and what is asked of a filling.

    ``broken``: the last record breaks the rule, and nothing else is broken; otherwise nothing is. With
    ``ends``, the trace ends in one of these ways, and it is the end that breaks the rule. ``anyhow``: rules
    do not matter, only whether the records fit together.
    """

    rule: str
    broken: bool
    given: tuple[Given, ...]
    gaps: tuple[Gap, ...]
    bounds: Bounds
    ends: frozenset[End] = frozenset()
    anyhow: bool = False


def alphabet(cone: Cone, given: tuple[Given, ...]) -> Alphabet:
    """Return the calls of a cone with the names, statuses and numbers of given records told apart.

    Raises UnsupportedError for a number that a condition orders and that is negative.
    """
    names = frozenset(one.name for one in given)
    plain = Alphabet(cone, names)
    widest = 3
    for one in given:
        call = plain.calls[one.name]
        for name in relevant(cone, call, one.entry):
            value = one.args.get(name, 0)
            if value < 0 and name in _ordered(cone, call):
                raise UnsupportedError(f"{one.name} at line {one.line} has a negative {name}")
            if 0 <= value <= WIDEST:
                widest = max(widest, value)
    statuses = {one.status for one in given if one.status is not None}
    return Alphabet(cone, names, statuses, widest)


def relevant(cone: Cone, call: Call, entry: bool) -> set[str]:
    """Return the arguments of a record that conditions read."""
    return entry_arguments(cone, call) if entry else set(call.given)


def _ordered(cone: Cone, call: Call) -> set[str]:
    """Return the arguments of a call for which it matters what is smaller, or what bits they have."""
    found: set[str] = set()
    exprs: list[Expr] = cone.conditions(call.entry) + cone.conditions(call.exit)
    for node in (n for expr in exprs for n in walk(expr)):
        if isinstance(node, Compare) and node.op not in (CompareOp.EQ, CompareOp.NE):
            found |= {t.name for t in (node.left, node.right) if isinstance(t, Arg)}
        elif isinstance(node, HasBits) and isinstance(node.term, Arg):
            found.add(node.term.name)
    return found


def pattern(system: System, one: Given) -> dict[Lit, bool]:
    """Return what a given record says of the inputs of a step."""
    layout, record = system.layout, system.step.record
    call = layout.alphabet.calls[one.name]
    found: dict[Lit, bool] = {}

    def choose(bits: Bits, at: int | None) -> None:
        found.update({bit: number == at for number, bit in enumerate(bits)})

    for name, bit in record.enter.items():
        found[bit] = one.entry and name == call.name
    found[record.leave] = not one.entry
    if one.thread is not None:
        choose(record.thread, one.thread)
    places = dict(one.objects)
    for kind, at in one.objects.items():
        for above in layout.spec.ancestors(kind):
            at = None if at is None else layout.parents[kind][at]
            places.setdefault(above, at)
            kind = above
    concerned = {*call.held, *([call.made] if call.made is not None and not one.entry else [])}
    for kind in layout.kinds:
        if kind not in concerned:
            choose(record.objects[kind], None)
        elif kind in places:
            choose(record.objects[kind], places[kind])
    numbers = relevant(layout.cone, call, one.entry)
    for name, bits in record.args.items():
        if name not in numbers:
            choose(bits, None)
        elif name in one.args:
            value, most = one.args[name], (1 << len(bits)) - 1
            value = value if 0 <= value <= WIDEST else most
            found.update({bit: bool(value >> at & 1) for at, bit in enumerate(bits)})
    status = one.status if not one.entry and call.returns_status else 0
    if status is not None:
        choose(record.status, layout.alphabet.statuses.index(status))
    if one.irql is not None:
        if one.irql > HIGHEST_IRQL:
            raise UnsupportedError(f"{one.name} at line {one.line} runs at IRQL {one.irql}")
        found.update({bit: bool(one.irql >> at & 1) for at, bit in enumerate(record.irql)})
    return {lit: value for lit, value in found.items() if lit > 1}
