"""Conditions: names resolved, misuse reported, lowered to expressions in negation normal form."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kmclcheck.diagnostics import Span
from kmclcheck.model import expr as e
from kmclcheck.model.event import Phase
from kmclcheck.model.spec import Direction, EnumField, EventDecl, NumberField
from kmclcheck.speclang import syntax as s
from kmclcheck.speclang.symbols import RETURN, Symbols, returns_status

_MAX_DEPTH = 100
_U32 = 0xFFFFFFFF
_TRUE = e.Truth(True)


@dataclass(frozen=True, slots=True)
class Context:
    """What a condition may refer to where it stands.

    ``event``/``phase`` are ``None`` at the end of a trace (``at_end``) and when the event itself
    could not be resolved (``lenient``: then only what needs no event is checked). ``own`` is the
    kind whose fields need no prefix, ``kinds`` are those with a definite object here.
    """

    where: str
    event: EventDecl | None = None
    phase: Phase | None = None
    kinds: frozenset[str] = frozenset()
    own: str | None = None
    at_end: bool = False
    lenient: bool = False
    objects_only: bool = False

    @property
    def exit(self) -> bool:
        return self.event is not None and self.phase is self.event.exit and not self.event.record


def flatten(expr: e.Expr) -> e.Expr:
    """Merge nested conjunctions and disjunctions, so that equal meanings print and compare equal."""
    match expr:
        case e.And(operands):
            return e.And(tuple(p for o in map(flatten, operands) for p in _parts(o, e.And)))
        case e.Or(operands):
            return e.Or(tuple(p for o in map(flatten, operands) for p in _parts(o, e.Or)))
        case e.Sometime(condition):
            return e.Sometime(flatten(condition))
        case e.Not(operand):
            return e.Not(flatten(operand))
        case _:
            return expr


def _parts(expr: e.Expr, kind: type[e.And] | type[e.Or]) -> tuple[e.Expr, ...]:
    return expr.operands if isinstance(expr, kind) else (expr,)


class Conditions:
    """Lowers conditions and terms. What is wrong is reported and stands as ``true`` in the result."""

    def __init__(self, symbols: Symbols) -> None:
        self._symbols = symbols
        self._report = symbols.report
        self._expanding: list[str] = []

    def lower(self, condition: s.Condition | None, context: Context, default: bool = True) -> e.Expr:
        """Return the expression; a missing condition is ``default``."""
        if condition is None:
            return e.Truth(default)
        return flatten(self._lower(condition, context, 0))

    def _lower(self, node: s.Condition, ctx: Context, depth: int) -> e.Expr:
        if depth > _MAX_DEPTH:
            self._report.error(
                "this condition is nested too deeply", node.span, "name parts of it with `predicate`"
            )
            return _TRUE
        down = depth + 1
        match node:
            case s.Constant(value):
                return e.Truth(value)
            case s.Negation(operand):
                return e.negate(self._lower(operand, ctx, down))
            case s.Conjunction(operands):
                return e.And(tuple(self._lower(o, ctx, down) for o in operands))
            case s.Disjunction(operands):
                return e.Or(tuple(self._lower(o, ctx, down) for o in operands))
            case s.Implication(premise, conclusion):
                return e.Or((e.negate(self._lower(premise, ctx, down)), self._lower(conclusion, ctx, down)))
            case s.SometimeTest(inner, span):
                self._need_exit("`sometime`", span, ctx)
                return e.Sometime(self._lower(inner, ctx, down))
            case s.Reference():
                return self._bare(node, ctx, depth)
            case s.ChildTest():
                return self._child(node, ctx, depth)
            case _:
                return self._atom(node, ctx)

    def _atom(self, node: s.Condition, ctx: Context) -> e.Expr:
        match node:
            case s.Succeeded(negated, span):
                self._need_status(span, ctx)
                return e.Not(e.StatusOk()) if negated else e.StatusOk()
            case s.StatusTest(negated, names, span):
                self._need_status(span, ctx)
                return _signed(e.StatusIn(frozenset(self._status(n) for n in names)), negated)
            case s.ValueTest():
                return self._value_test(node, ctx)
            case s.SetTest(reference, negated, span):
                found = self._field(reference, ctx)
                if found is None:
                    return _TRUE
                if isinstance(found[1], EnumField):
                    self._report.error(
                        f"`{reference}` is not a number field", span, "write `is VALUE`", "set"
                    )
                elif found[1].counter:
                    self._report.error(
                        f"`{reference}` is a counter and always set", span, "compare it", "set"
                    )
                return _signed(e.IsSet(found[0], found[1].name), negated)
            case s.Comparison(operator, left, right):
                return e.Compare(e.CompareOp(operator), self.term(left, ctx), self.term(right, ctx))
            case s.BitTest(term, mask):
                return e.HasBits(self.term(term, ctx), self._mask(mask))
            case s.InsideTest():
                return self._inside(node, ctx)
            case s.RunningTest():
                return self._running(node, ctx)
            case s.OverlapTest(names, span):
                self._need_exit("`overlapped`", span, ctx)
                return e.Overlapped(self._symbols.expand(names))
            case s.LatestTest(names, span):
                self._need_exit("`latest`", span, ctx)
                own = (ctx.event.name,) if ctx.event else ()
                return e.Latest(self._symbols.expand(names) if names else own)
            case _:
                raise AssertionError(node)

    # --- references ---

    def _bare(self, node: s.Reference, ctx: Context, depth: int) -> e.Expr:
        predicate = self._symbols.predicates.get(node.name.text) if node.owner is None else None
        if predicate is not None:
            return self._predicate(predicate, node, ctx, depth)
        found = self._own_or_param(node, ctx)
        if found is None:
            return _TRUE
        if isinstance(found, e.Arg):
            return e.Compare(e.CompareOp.NE, found, e.Number(0))
        if isinstance(found, e.Number):
            self._report.error(
                f"`{node}` is a number, not a condition", node.span, "compare it: `==`, `<`, ..."
            )
            return _TRUE
        kind, field = found
        if isinstance(field, NumberField):
            self._report.error(
                f"`{node}` is a number, not a condition", node.span, f"write `{node} is set` or compare it"
            )
            return _TRUE
        if not field.boolean:
            values = ", ".join(field.values)
            self._report.error(
                f"`{node}` is not a boolean field", node.span, f"write `{node} is VALUE` with one of {values}"
            )
            return _TRUE
        return e.FieldIn(kind, field.name, frozenset({"true"}))

    def _predicate(self, decl: s.PredicateDecl, node: s.Reference, ctx: Context, depth: int) -> e.Expr:
        name = decl.name.text
        if name in self._expanding:
            self._report.error(f"predicate `{name}` refers to itself", decl.name.span)
            return _TRUE
        self._expanding.append(name)
        try:
            return self._lower(decl.condition, ctx, depth + 1)
        finally:
            self._expanding.pop()

    def _own_or_param(
        self, node: s.Reference, ctx: Context
    ) -> tuple[str, EnumField | NumberField] | e.Arg | e.Number | None:
        if node.owner is not None:
            return self._field(node, ctx)
        name = node.name.text
        own = self._symbols.kinds.get(ctx.own) if ctx.own else None
        is_own = own is not None and (name in own.enums or name in own.numbers)
        is_param = ctx.event is not None and any(p.name == name for p in ctx.event.params)
        if is_own and is_param:
            self._report.error(
                f"`{name}` is a field of `{ctx.own}` and a parameter of {ctx.where}",
                node.span,
                f"write `{ctx.own}.{name}` for the field, or rename one of them",
                "ambiguous",
            )
            return None
        if is_own:
            return self._field(node, ctx)
        if not is_param:
            for table in (self._symbols.constants, self._symbols.statuses):
                if name in table:
                    return e.Number(table[name])
            if name in self._symbols.predicates:
                self._report.error(f"`{name}` is a condition, not a number", node.span)
                return None
        return self._param(node, ctx)

    def _param(self, node: s.Reference, ctx: Context) -> e.Arg | None:
        name = node.name.text
        if ctx.lenient:
            return e.Arg(name)
        if ctx.event is None or ctx.objects_only:
            self._report.error(
                f"`{name}` is not known here", node.span, f"{ctx.where} has no arguments", "param"
            )
            return None
        param = next((p for p in ctx.event.params if p.name == name), None)
        if param is None:
            own = self._symbols.kinds.get(ctx.own) if ctx.own else None
            known = [p.name for p in ctx.event.params if p.name != RETURN or ctx.exit]
            known += [*own.enums, *own.numbers] if own else []
            known += [*self._symbols.predicates, *self._symbols.constants, "irql", "status"]
            help = f"{ctx.where} has no parameter of this name"
            self._report.unknown("name", node.name, known, help)
            return None
        if param.direction is Direction.OUT and not ctx.exit:
            exit_event = f"`{ctx.event.name}.{ctx.event.exit.value}`"
            self._report.error(
                f"`{name}` has no value yet at {ctx.where}",
                node.span,
                f"it is returned; it is known at {exit_event}",
                "out",
            )
        return e.Arg(name)

    def _field(self, node: s.Reference, ctx: Context) -> tuple[str, EnumField | NumberField] | None:
        if node.owner is None:
            own = self._symbols.kinds.get(ctx.own) if ctx.own else None
            if own is None:
                known = [
                    f"{k.name}.{node.name.text}"
                    for k in self._symbols.kinds.values()
                    if node.name.text in k.enums
                ]
                help = f"write `{known[0]}`" if known else "write `object.field`"
                self._report.error(f"`{node.name.text}` is not a field", node.span, help, "field")
                return None
            field = self._symbols.any_field(own, node.name)
            if field is None:
                return None
            # The kind's own object can be missing: in a guard of `on parent`, every child is meant.
            return (own.name, field) if self._has_object(own.name, node.span, ctx) else None
        kind = self._symbols.kind(node.owner)
        if kind is None:
            return None
        field = self._symbols.any_field(kind, node.name)
        if field is None or not self._has_object(kind.name, node.owner.span, ctx):
            return None
        return kind.name, field

    def _has_object(self, kind: str, span: Span, ctx: Context) -> bool:
        if ctx.lenient or kind in ctx.kinds:
            return True
        known = ", ".join(f"`{k}`" for k in sorted(ctx.kinds)) or "no object"
        self._report.error(f"{ctx.where} names no `{kind}`", span, f"it names {known}", f"object {kind}")
        return False

    # --- parts ---

    def term(self, node: s.Term, ctx: Context) -> e.Term:
        """Return the number-like term; anything else is reported."""
        match node:
            case s.Literal(value):
                return e.Number(value)
            case s.IrqlTerm(span):
                if ctx.at_end or ctx.objects_only:
                    self._report.error(f"{ctx.where} has no IRQL", span, topic="irql")
                return e.Irql()
        found = self._own_or_param(node, ctx)
        if found is None:
            return e.Number(0)
        if isinstance(found, e.Arg | e.Number):
            return found
        kind, field = found
        if isinstance(field, EnumField):
            help = f"write `{node}`, or `not {node}`" if field.boolean else f"write `{node} is VALUE`"
            self._report.error(f"`{node}` is not a number", node.span, help)
            return e.Number(0)
        return e.Scalar(kind, field.name, field.counter)

    def _value_test(self, node: s.ValueTest, ctx: Context) -> e.Expr:
        reference = node.reference
        name = reference.name.text
        own = self._symbols.kinds.get(ctx.own) if ctx.own else None
        is_own = own is not None and (name in own.enums or name in own.numbers)
        is_param = ctx.event is not None and any(p.name == name for p in ctx.event.params)
        if reference.owner is None and is_param and not is_own:
            self._report.error(
                f"`{name}` is a parameter, not a field", reference.span, "compare it with `==` or `!=`"
            )
            return _TRUE
        found = self._field(reference, ctx)
        if found is None:
            return _TRUE
        kind, field = found
        if isinstance(field, NumberField):
            self._report.error(
                f"`{reference}` is a number and has no named values",
                node.span,
                "use `is set` or a comparison",
            )
            return _TRUE
        values = self._symbols.values(self._symbols.kinds[kind], field, node.values)
        return _signed(e.FieldIn(kind, field.name, values), node.negated)

    def _status(self, node: s.Name | s.Literal) -> int:
        if isinstance(node, s.Literal):
            return node.value & _U32
        if node.text not in self._symbols.statuses:
            self._report.unknown("status", node, self._symbols.statuses)
        return self._symbols.statuses.get(node.text, 0)

    def _mask(self, node: s.Name | s.Literal) -> int:
        value = node.value if isinstance(node, s.Literal) else self._symbols.constants.get(node.text)
        if isinstance(node, s.Name) and value is None:
            self._report.unknown("constant", node, self._symbols.constants)
        elif value is not None and value <= 0:
            self._report.error("a mask needs at least one bit", node.span)
        return value or 0

    def _frame_kind(self, names: tuple[str, ...], kind: s.Name, ctx: Context) -> None:
        if self._symbols.kind(kind) is None or not self._has_object(kind.text, kind.span, ctx):
            return
        for name in names:
            if kind.text not in self._symbols.resolvable(self._symbols.events[name]):
                self._report.error(f"`{name}` names no `{kind.text}`", kind.span, topic="frame")

    def _inside(self, node: s.InsideTest, ctx: Context) -> e.Expr:
        if ctx.at_end or ctx.objects_only:
            self._report.error(f"{ctx.where} has no thread", node.span, topic="inside")
        *first, last = node.names
        if not first or last.text in self._symbols.events or last.text in self._symbols.groups:
            return e.Inside(self._symbols.expand(node.names))
        names = self._symbols.expand(first)
        self._frame_kind(names, last, ctx)
        return e.Inside(names, last.text)

    def _running(self, node: s.RunningTest, ctx: Context) -> e.Expr:
        *first, last = node.names
        if not first:
            self._report.error(
                "`running` needs an object", node.span, f"write `running({last.text}, OBJECT)`"
            )
            return _TRUE
        names = self._symbols.expand(first)
        self._frame_kind(names, last, ctx)
        return e.OpenFrame(names, last.text)

    def _child(self, node: s.ChildTest, ctx: Context, depth: int) -> e.Expr:
        kind, parent = self._symbols.kind(node.kind), self._symbols.kind(node.parent)
        if kind is None or parent is None:
            return _TRUE
        if kind.parent != parent.name:
            self._report.error(
                f"`{kind.name}` is not a child of `{parent.name}`",
                node.parent.span,
                f"its parent is `{kind.parent}`" if kind.parent else f"`{kind.name}` has no parent",
            )
        self._has_object(parent.name, node.parent.span, ctx)
        before = len(self._report.diagnostics)
        inner = replace(ctx, kinds=ctx.kinds | {kind.name}, own=kind.name)
        condition = self._lower(node.condition, inner, depth + 1)
        if isinstance(condition, e.Not) and isinstance(condition.operand, e.FieldIn):
            # Children are judged by the values a field may have: say which, not which not.
            excluded = condition.operand
            field = self._symbols.kinds[excluded.kind].enums[excluded.field]
            condition = e.FieldIn(excluded.kind, field.name, frozenset(field.values) - excluded.values)
        if not (isinstance(condition, e.FieldIn) and condition.kind == kind.name):
            if len(self._report.diagnostics) == before and condition != _TRUE:
                self._report.error(
                    f"a condition on children tests one field of `{kind.name}`",
                    node.condition.span,
                    f"write `with {kind.name}.FIELD is VALUE` or `in {{...}}`",
                )
            return _TRUE
        return _signed(e.AnyChild(parent.name, kind.name, condition), node.negated)

    def _need_exit(self, what: str, span: Span, ctx: Context) -> None:
        if ctx.exit or ctx.lenient:
            return
        self._report.error(f"{what} has a meaning only at a return", span, f"{ctx.where} is not one", "exit")

    def _need_status(self, span: Span, ctx: Context) -> None:
        if ctx.lenient:
            return
        if not ctx.exit or ctx.event is None:
            self._report.error(
                f"{ctx.where} has no status", span, "a status is known only at `.ret` and `.out`", "status"
            )
        elif not returns_status(ctx.event):
            self._report.error(
                f"`{ctx.event.name}` returns no status",
                span,
                f"it returns {ctx.event.returns or 'nothing'}",
                "status",
            )


def _signed(expr: e.Expr, negated: bool) -> e.Expr:
    return e.negate(expr) if negated else expr
