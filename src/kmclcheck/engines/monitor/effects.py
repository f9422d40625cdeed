"""What an event does besides moving the fields of its own objects."""

from __future__ import annotations

from kmclcheck.engines.monitor.context import Context
from kmclcheck.engines.monitor.frames import Thread
from kmclcheck.engines.monitor.ledger import Broken
from kmclcheck.engines.monitor.plan import EventPlan, Outcome, judge
from kmclcheck.engines.monitor.reasons import open_reason
from kmclcheck.engines.monitor.state import Run
from kmclcheck.engines.monitor.store import Obj, StateTable, StateVec
from kmclcheck.engines.monitor.watching import Move, Watch
from kmclcheck.model.event import Event
from kmclcheck.model.expr import Expr
from kmclcheck.model.spec import Check, Rule
from kmclcheck.semantics.evaluate import UNSET, NumberValue, added, birth_number, evaluate, term_value
from kmclcheck.semantics.index import FieldLines
from kmclcheck.semantics.transition import move
from kmclcheck.semantics.truth import FALSE, MISSING, TRUE, Possible, Truth4


def take(run: Run, ctx: Context, plan: EventPlan, outcome: Outcome) -> list[Broken]:
    """Take everything an event comes to; return the faults told."""
    broken = [Broken(rule, check, ctx.objs[check.target], ctx) for rule, check in outcome.broken]
    children_at_fault = _each(run, ctx, plan) if plan.index.each_checks else []
    broken += children_at_fault
    told = run.ledger.report(broken, run.count) if broken else []
    numbers = _assignments(ctx, plan, dict(outcome.births))
    children = _child_moves(run, ctx, plan)
    if plan.index.any_lines:
        _any_moves(run, ctx, plan)
    begin_and_move(run, ctx.event, ctx.thread, plan, outcome, ctx.objs)
    for kind, name, value in numbers:
        # A number that is set at a birth is the newborn's.
        obj = ctx.objs[kind]
        obj.numbers = {**(obj.numbers or {}), name: value}
    for child, fields in children:
        _settle(run, child, run.store.kinds[child.kind].table.intern(fields))
    for one in children_at_fault:
        # The obligation was due here and is reported; what becomes of the child is not known.
        one.obj.complete = False
        one.obj.state = run.store.kinds[one.obj.kind].table.top
    return told


def begin_and_move(
    run: Run, event: Event, thread: Thread, plan: EventPlan, outcome: Outcome, objs: dict[str, Obj]
) -> None:
    """Let newborn objects begin, and move everybody's fields."""
    for kind, level in outcome.births:
        old = objs[kind]
        if not old.state.dead:
            _unresolved(run, event, thread, old)
        if level is TRUE:
            objs[kind] = _born(run, objs, plan, old)
        else:
            old.complete = False
            old.numbers = None
    for kind, vec in outcome.new:
        objs[kind].state = vec
    for kind in outcome.exposing:
        for child in list(objs[kind].children or ()):
            run.store.refresh(child)
            _settle(run, child, child.state)


def _settle(run: Run, child: Obj, state: StateVec) -> None:
    """Give a child this state, widened by what may happen to it unseen."""
    above = None if child.parent is None else child.parent.state
    child.state = run.recording.settle(state, run.store.kinds[child.kind].table, above)


def _born(run: Run, objs: dict[str, Obj], plan: EventPlan, old: Obj) -> Obj:
    info = run.store.kinds[old.kind]
    if old.temporary:
        return old
    new = run.store.born(old)
    if info.kind.parent is not None:
        parent = objs.get(info.kind.parent) if info.kind.parent in plan.index.decl.objects else None
        if parent is not None and not parent.temporary and not parent.replaced:
            new.link(parent)
        else:
            info.strays = True
    if run.store.unknown_handles:
        run.store.unknown_handles.discard(new.key)
    return new


def _assignments(
    ctx: Context, plan: EventPlan, births: dict[str, Truth4]
) -> list[tuple[str, str, NumberValue]]:
    found: list[tuple[str, str, NumberValue]] = []
    for assignment in plan.index.assignments:
        obj = ctx.objs.get(assignment.kind)
        if obj is None:
            continue
        place = assignment.kind, assignment.field
        level = evaluate(assignment.guard, ctx)
        if assignment.adds and assignment.value is not None:
            earlier = [v for *at, v in found if tuple(at) == place]
            before = birth_number(obj.number(assignment.field), births.get(assignment.kind, FALSE))
            now = earlier[-1] if earlier else before
            found.append((*place, added(now, term_value(assignment.value, ctx), level)))
        elif level is TRUE:
            term = assignment.value
            found.append((*place, UNSET if term is None else term_value(term, ctx)))
        elif level is not FALSE:
            found.append((*place, None))
    return found


def _child_moves(run: Run, ctx: Context, plan: EventPlan) -> list[tuple[Obj, dict[str, Possible]]]:
    """Work out the transitions of children whose parent the event names."""
    found: list[tuple[Obj, dict[str, Possible]]] = []

    def guard(expr: Expr) -> Truth4:
        return evaluate(expr, ctx)

    for kind, lines in plan.index.child_lines.items():
        info = run.store.kinds[kind]
        parent = ctx.objs.get(info.kind.parent or "")
        if parent is None:
            continue
        if parent.temporary:
            run.store.doubt(info)
            continue
        strays = (
            []
            if run.store.complete and not info.strays
            else [o for o in info.live.values() if o.parent is None]
        )
        for child in [c for c in (parent.children or ()) if c.kind == kind] + strays:
            run.store.refresh(child)
            fields = dict(child.state.fields)
            for name, field_lines in lines.items():
                now, _ = move(fields[name], field_lines, guard)
                if run.watch is not None:
                    sure = child.parent is not None
                    run.watch.other(Move(kind, name, fields[name], field_lines, guard, now), sure)
                if child.parent is None and not now.values >= fields[name].values:
                    now = Possible(now.values | fields[name].values, True)
                fields[name] = now
            found.append((child, fields))
    return found


def _any_moves(run: Run, ctx: Context, plan: EventPlan) -> None:
    """Move every object that the event may concern; each of them may stay where it is, too."""
    for kind, lines in plan.index.any_lines.items():
        info = run.store.kinds[kind]
        for obj in info.live.values():
            run.store.refresh(obj)
            if run.watch is not None:
                _tell(run.watch, obj.state, lines, ctx)
            wider = _perhaps(obj.state, info.table, lines, ctx)
            if wider is not obj.state:
                info.why = info.why or f"{plan.name} came in between, perhaps for this {kind}"
                _settle(run, obj, wider)
        base = info.base or info.table.absent
        info.base = _perhaps(base, info.table, lines, ctx)
        if info.base is not base:
            info.why = info.why or f"{plan.name} came before, perhaps for this {kind}"
            info.absent = run.recording.settle(info.base, info.table, None)


def _tell(watch: Watch, state: StateVec, lines: FieldLines, ctx: Context) -> None:
    def guard(expr: Expr) -> Truth4:
        return evaluate(expr, ctx)

    for name, field_lines in lines.items():
        before = state.fields[name]
        after, _ = move(before, field_lines, guard)
        watch.other(Move(state.kind.name, name, before, field_lines, guard, after), False)


def _perhaps(state: StateVec, table: StateTable, lines: FieldLines, ctx: Context) -> StateVec:
    fields = dict(state.fields)
    for name, field_lines in lines.items():
        now, _ = move(fields[name], field_lines, lambda e: evaluate(e, ctx))
        if not now.values <= fields[name].values:
            fields[name] = Possible(now.values | fields[name].values, True)
    return table.intern(fields)


def _each(run: Run, ctx: Context, plan: EventPlan) -> list[Broken]:
    """Judge the checks that hold for every child."""
    broken: list[Broken] = []
    for rule, check in plan.index.each_checks:
        info = run.store.kinds[check.target]
        parent = ctx.objs.get(check.each_of or info.kind.parent or "")
        if parent is None:
            continue
        if judge(check, lambda e, c=check: evaluate(e, ctx) if e is c.when else MISSING) is None:  # type: ignore[misc]
            continue
        children, others = ctx.children(parent.kind, check.target)
        for child in children:
            one = Context(
                run, ctx.event, ctx.thread, ctx.frame, {**ctx.objs, check.target: child}, ctx.status_value
            )
            weigh(run, rule, check, child, one, broken)
        if others:
            run.ledger.open(rule.id, run.cause())
        elif not children:
            run.ledger.decide(rule.id)
    return broken


def weigh(run: Run, rule: Rule, check: Check, obj: Obj, ctx: Context, broken: list[Broken]) -> None:
    """Judge one check outside the table of outcomes."""
    level = judge(check, lambda e: evaluate(e, ctx))
    if level is None:
        return
    if level is FALSE:
        broken.append(Broken(rule, check, obj, ctx))
    elif level is MISSING:
        run.ledger.open(rule.id, open_reason(check, ctx, run.cause()))
    else:
        run.ledger.decide(rule.id)


def _unresolved(run: Run, event: Event, thread: Thread, obj: Obj) -> None:
    """A handle was born again: what became of the old object is not known."""
    if not obj.history and not obj.complete:
        return
    one = Context(run, event, thread, None, {obj.kind: obj})
    for rule, check in run.index.end_checks.get(obj.kind, ()):
        if judge(check, lambda e: evaluate(e, one)) in (FALSE, MISSING):
            run.ledger.open(rule.id, "a handle was born again before its obligations were met")
