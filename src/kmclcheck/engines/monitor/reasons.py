"""Why a rule could not be decided, in words for the summary."""

from __future__ import annotations

from kmclcheck.engines.monitor.context import Context
from kmclcheck.model.event import Event, Start
from kmclcheck.model.expr import (
    And,
    AnyChild,
    Arg,
    Compare,
    Expr,
    FieldIn,
    HasBits,
    Inside,
    Irql,
    Not,
    Or,
    Scalar,
    StatusIn,
    StatusOk,
    Term,
    walk,
)
from kmclcheck.model.finding import UNDECLARED
from kmclcheck.model.spec import Check
from kmclcheck.semantics.evaluate import evaluate
from kmclcheck.semantics.truth import MISSING


def open_reason(check: Check, ctx: Context, cause: str) -> str:
    """Return why a check could not be decided, in words for the summary."""
    for expr in (check.when, check.require):
        atom = _first_missing(expr, ctx)
        if atom is not None:
            return _why(atom, ctx, cause)
    return cause


def _first_missing(expr: Expr, ctx: Context) -> Expr | None:
    if evaluate(expr, ctx) is not MISSING:
        return None
    match expr:
        case And(operands) | Or(operands):
            for operand in operands:
                found = _first_missing(operand, ctx)
                if found is not None:
                    return found
            return None
        case Not(operand) if not isinstance(operand, AnyChild):
            return operand
        case _:
            return expr


def _why(atom: Expr, ctx: Context, cause: str) -> str:
    match atom:
        case Compare(left=left, right=right):
            for term in (left, right):
                if isinstance(term, Irql) and ctx.event.irql is None:
                    return "no IRQL in the trace"
                if isinstance(term, Arg) and ctx.argument(term.name) is None:
                    return f"no {term.name} argument in the trace"
                if isinstance(term, Scalar):
                    return _unknown_field(term.kind, term.field, ctx, cause)
        case HasBits(term=Arg(name)):
            return f"no {name} argument in the trace"
        case StatusOk() | StatusIn():
            return "no returned status in the trace"
        case Inside() if not ctx.thread.identified:
            return "no thread ids in the trace"
        case FieldIn(kind=kind) if (obj := ctx.objs.get(kind)) is not None and obj.faults:
            return "the state is not known after an earlier fault"
        case FieldIn(kind=kind, field=field):
            return _unknown_field(kind, field, ctx, cause)
        case _:
            pass
    return cause


def _unknown_field(kind: str, field: str, ctx: Context, cause: str) -> str:
    """Return why a field is not known. Of objects known from records alone more can be said."""
    run, obj = ctx.run, ctx.objs.get(kind)
    info = run.store.kinds[kind]
    if obj is None or not info.told or run.loss_reason or run.info.start is not Start.KNOWN:
        return cause
    untold = run.recording.untold(kind)
    if untold is not None:
        source = run.spec.events[untold].interface
        return f"{untold} is not declared as recorded" + (f" ({source})" if source else "")
    if run.store.start_of is not None and obj.endpoint not in run.store.start_of:
        return f"the trace does not tell that it starts before this {kind}"
    for _, event, _ in obj.history:
        name = _absent_argument(kind, field, event, ctx)
        if name is not None:
            return f"no {name} argument in the trace"
    parent = info.kind.parent
    above = run.store.kinds[parent].why if parent is not None else ""
    if above or info.why:
        return above or info.why
    return "not everything is recorded" if cause == UNDECLARED else cause


def _absent_argument(kind: str, field: str, event: Event, ctx: Context) -> str | None:
    """Return an argument that an event lacks, and on which depends what it did to the field."""
    spec = ctx.run.spec
    machine = spec.machines.get((kind, field))
    guards = [t.guard for t in machine.transitions if t.event[0] == event.name] if machine else []
    guards += [
        a.guard for a in spec.assignments if (a.kind, a.field, a.event[0]) == (kind, field, event.name)
    ]
    terms: list[Term] = []
    for node in [n for guard in guards for n in walk(guard)]:
        if isinstance(node, Compare):
            terms += [node.left, node.right]
        elif isinstance(node, HasBits):
            terms.append(node.term)
    names = (t.name for t in terms if isinstance(t, Arg))
    return next((name for name in names if event.args.get(name) is None), None)
