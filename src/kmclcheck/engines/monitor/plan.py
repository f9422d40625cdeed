"""One event of the specification, made ready for the monitor.

What an event does follows from the states of the objects it names and from a few context facts
(arguments, status, IRQL, stacks). Both are small, so every combination is worked out once, by the
readable semantics, and looked up from then on: a deterministic automaton built as the trace needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kmclcheck.engines.monitor.context import Context
from kmclcheck.engines.monitor.facts import Facts, make_facts
from kmclcheck.engines.monitor.recording import Recording
from kmclcheck.engines.monitor.store import KindInfo, StateTable, StateVec
from kmclcheck.engines.monitor.watching import Move, Watch
from kmclcheck.model.expr import Expr, FieldIn, Sometime, walk
from kmclcheck.model.spec import Check, Direction, EventKind, Rule
from kmclcheck.semantics.evaluate import evaluate
from kmclcheck.semantics.index import EventIndex, SpecIndex, context_atoms, expressions, latest_groups
from kmclcheck.semantics.transition import move, quarantine
from kmclcheck.semantics.truth import FALSE, MISSING, TRUE, Truth4

Settle = Callable[[StateVec, StateTable, StateVec | None], StateVec]


@dataclass(slots=True)
class Outcome:
    """What the event comes to in one combination of states and facts.

    ``exposing``: objects whose children may, from now on, meet callbacks that nobody sees. ``marks``: what a
    watch noted of it.
    """

    new: tuple[tuple[str, StateVec], ...] = ()
    decided: tuple[str, ...] = ()
    undecided: tuple[tuple[Rule, Check], ...] = ()
    broken: tuple[tuple[Rule, Check], ...] = ()
    births: tuple[tuple[str, Truth4], ...] = ()
    exposing: tuple[str, ...] = ()
    loss: bool = False
    touched: tuple[str, ...] = ()
    plain: bool = True
    hits: int = 0
    marks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Slot:
    """One object of an event: its kind, and the parameter that names it.

    ``output``: the value is made by the call, so it is absent before the return. ``plain``: an
    ordinary handle, unique by itself.
    """

    kind: str
    param: str
    output: bool
    scoped: bool
    parent: str | None
    plain: bool


@dataclass(slots=True)
class EventPlan:
    """An event made ready: its slots, its atoms as functions, and the outcomes met so far.

    ``effects`` are the kinds it may change. ``awaited`` are conditions that must have held at some
    moment of the call, ``groups`` what an entry renews for ``latest``. An ``inert`` return changes
    nothing and is judged by no rule. ``inherits``: a return that takes its objects from its call.
    ``enters``: a thread is inside it until its exit. ``ordered``: it matters what comes first.
    """

    index: EventIndex
    name: str
    entry: bool
    primary: str | None
    named: tuple[Slot, ...]
    derived: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...]
    facts: Facts
    effects: frozenset[str]
    awaited: tuple[Expr, ...]
    groups: tuple[tuple[str, ...], ...]
    tracked: bool
    simple: bool
    enters: bool
    outcomes: dict[object, Outcome] = field(default_factory=dict)
    exit_recorded: bool = False
    settled: bool = False
    inherits: bool = False
    inert: bool = False
    uses_thread: bool = False
    ordered: bool = True
    shapes: set[tuple[str, ...]] = field(default_factory=set)


def make_plans(index: SpecIndex) -> dict[EventKind, EventPlan]:
    """Make every event of the specification ready."""
    groups = latest_groups(index.spec)
    return {
        kind: _make_plan(index, one, tuple(groups.get(kind[0], ()))) for kind, one in index.events.items()
    }


def _make_plan(spec: SpecIndex, index: EventIndex, groups: tuple[tuple[str, ...], ...]) -> EventPlan:
    decl = index.decl
    kinds = spec.spec.kinds
    outputs = {p.name for p in decl.params if p.direction is not Direction.IN} | {"Return"}
    named: list[Slot] = []
    for kind in index.slots:
        param = decl.objects.get(kind)
        if param is not None:
            output, scoped = param in outputs, kinds[kind].scoped
            named.append(Slot(kind, param, output, scoped, kinds[kind].parent, not scoped))
    # Children before parents: a parent's parent is found through the parent.
    others = [kind for kind in reversed(index.slots) if kind not in decl.objects]
    derived = tuple((k, child) for k in others for child in index.slots if kinds[child].parent == k)
    inputs = tuple((s.kind, s.param) for s in named if not s.output)
    links = tuple((s.kind, s.parent) for s in named if s.parent is not None and s.parent in decl.objects)
    moved = {
        k for k, fields in index.lines.items() if any(not t.observe for ls in fields.values() for t in ls)
    }
    at_exit = expressions(spec.events[decl.name, decl.exit])
    return EventPlan(
        index=index,
        name=decl.name,
        entry=index.is_entry,
        primary=index.primary,
        named=tuple(named),
        derived=derived,
        inputs=inputs,
        links=links,
        facts=make_facts(context_atoms(expressions(index))),
        effects=frozenset(moved | {a.kind for a in index.assignments} | set(index.births)),
        awaited=tuple(
            dict.fromkeys(n.condition for e in at_exit for n in walk(e) if isinstance(n, Sometime))
        ),
        groups=groups,
        tracked=decl.name in spec.tracked,
        inherits=not index.is_entry and not index.births and not any(s.output or s.scoped for s in named),
        inert=index.is_inert,
        uses_thread=index.uses_thread,
        simple=not (index.each_checks or index.child_lines or index.any_lines or index.assignments),
        enters=index.is_entry and not decl.record,
        ordered=not decl.unordered,
    )


def compute(
    plan: EventPlan,
    ctx: Context,
    kinds: dict[str, KindInfo],
    recording: Recording,
    watch: Watch | None = None,
) -> Outcome:
    """Work out an event by the semantics; a watch is told what its lines do."""
    index = plan.index

    def guard(expr: Expr) -> Truth4:
        return evaluate(expr, ctx)

    decided: list[str] = []
    undecided: list[tuple[Rule, Check]] = []
    broken: list[tuple[Rule, Check]] = []
    for rule, check in index.checks:
        if check.target not in ctx.objs:
            continue
        level = judge(check, guard)
        if level is None:
            continue
        if level is FALSE:
            broken.append((rule, check))
        elif level is MISSING:
            undecided.append((rule, check))
        else:
            decided.append(rule.id)

    births: list[tuple[str, Truth4]] = []
    loss = False
    for kind, birth in index.births.items():
        if kind not in ctx.objs:
            continue
        level = guard(birth.guard)
        if level is not FALSE:
            births.append((kind, TRUE if level is TRUE else MISSING))
            loss = loss or (level is TRUE and guard(birth.loss_if) is TRUE)

    moved = _move_all(plan, ctx, kinds, dict(births), broken, guard, recording.settle, watch)
    touched = tuple(
        kind
        for kind, vec in moved
        if vec is not ctx.objs[kind].state and kind != plan.primary and kind != "thread"
    )
    exposing = tuple(k for k, vec in moved if recording.hidden(vec) - recording.hidden(ctx.objs[k].state))
    plain = plan.simple and not (births or broken or loss or exposing)
    return Outcome(
        tuple(moved), tuple(decided), tuple(undecided), tuple(broken), tuple(births), exposing, loss,
        touched, plain, marks=() if watch is None else watch.marks(),
    )  # fmt: skip


def judge(check: Check, guard: Callable[[Expr], Truth4]) -> Truth4 | None:
    """Return the truth of a check, or ``None`` where it does not apply."""
    applies = guard(check.when)
    if applies is FALSE:
        return None
    required = guard(check.require)
    if applies is TRUE:
        return required
    return required if required > MISSING else MISSING


def _move_all(
    plan: EventPlan,
    ctx: Context,
    kinds: dict[str, KindInfo],
    births: dict[str, Truth4],
    broken: list[tuple[Rule, Check]],
    guard: Callable[[Expr], Truth4],
    settle: Settle,
    watch: Watch | None,
) -> list[tuple[str, StateVec]]:
    moved: list[tuple[str, StateVec]] = []
    before = {kind: obj.state for kind, obj in ctx.objs.items()}
    reborn: dict[str, StateVec] = {}
    for kind, level in births.items():
        table = kinds[kind].table
        if level is TRUE:
            reborn[kind] = table.born
        else:
            # Perhaps a birth: the newborn's values join the old ones.
            reborn[kind] = table.joined(before[kind], table.born)
    # Guards of a newborn object read the newborn state.
    for kind, vec in reborn.items():
        ctx.objs[kind].state = vec
    results: dict[str, StateVec] = {}
    for kind in ctx.objs:
        vec = reborn.get(kind, before[kind])
        fields, determined = dict(vec.fields), set()
        for name, lines in plan.index.lines.get(kind, {}).items():
            fields[name], sure = move(fields[name], lines, guard)
            if watch is not None:
                watch.moved(Move(kind, name, vec.fields[name], lines, guard, fields[name]))
            if sure:
                determined.add(name)
        if not vec.dead or kind in reborn:
            for name in _faulty_fields(kind, broken):
                if name not in determined:
                    fields[name] = quarantine(kinds[kind].kind.enums[name])
        table = kinds[kind].table
        new = table.intern(fields)
        parent = ctx.objs.get(kinds[kind].kind.parent or "")
        new = settle(new, table, None if parent is None else before[parent.kind])
        results[kind] = new
        if watch is not None and kind in plan.index.decl.objects:
            watch.passed(kind, vec.fields, new.fields)
    for kind, old in before.items():
        ctx.objs[kind].state = old
        if results[kind] is not old or kind in reborn:
            moved.append((kind, results[kind]))
    return moved


def _faulty_fields(kind: str, broken: list[tuple[Rule, Check]]) -> set[str]:
    """Return the fields of the objects at fault that the broken conditions read."""
    return {
        node.field
        for _, check in broken
        if check.target == kind
        for node in walk(check.require)
        if isinstance(node, FieldIn) and node.kind == kind
    }
