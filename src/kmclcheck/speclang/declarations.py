"""Declarations that only introduce names: statuses, constants, objects, functions, groups."""

from __future__ import annotations

from collections.abc import Iterable

from kmclcheck.model.spec import Direction, EnumField, EventDecl, NumberField, ObjectKind, Param
from kmclcheck.speclang import syntax as s
from kmclcheck.speclang.symbols import NO_RESULT, RETURN, STATUS_TYPE, THREAD, Symbols

_U32 = 0xFFFFFFFF
# Words that the grammar reads as keywords where a value can stand, or next to it.
_NOT_VALUES = frozenset(
    ("true", "false", "same", "seen", "set", "not", "and", "or", "implies", "in", "is", "has")
)


def declare_numbers(symbols: Symbols, decls: Iterable[s.Declaration]) -> None:
    """Enter statuses, constants and predicates."""
    for decl in decls:
        match decl:
            case s.StatusDecl(name, value):
                if symbols.declare("number", "status", name):
                    symbols.statuses[name.text] = value.value & _U32
                if not -0x80000000 <= value.value <= _U32:
                    symbols.report.error("a status has 32 bits", value.span)
            case s.ConstantDecl(name, value):
                if symbols.declare("number", "constant", name):
                    symbols.constants[name.text] = value.value
            case s.PredicateDecl(name):
                if symbols.declare("number", "predicate", name):
                    symbols.predicates[name.text] = decl
            case _:
                pass


def declare_objects(symbols: Symbols, decls: Iterable[s.Declaration]) -> None:
    """Enter the object kinds with their fields; births come later, when events are known."""
    objects = [d for d in decls if isinstance(d, s.ObjectDecl)]
    for decl in objects:
        if symbols.declare("event", "object", decl.name):
            symbols.kinds[decl.name.text] = _object(symbols, decl)
    for decl in objects:
        _check_parent(symbols, decl)


def _check_parent(symbols: Symbols, decl: s.ObjectDecl) -> None:
    report, name = symbols.report, decl.name.text
    if decl.handle_type is None and name != THREAD:
        help = f"write `object {name} TYPE`; only `{THREAD}` has no handle"
        report.error(f"object `{name}` has no handle type", decl.name.span, help)
    if name == THREAD and (decl.handle_type or decl.parent):
        report.error(f"`{THREAD}` has neither handle type nor parent", decl.name.span)
    if decl.scoped and decl.parent is None:
        report.error(f"`{name}` is scoped but has no parent", decl.name.span, "write `of PARENT`")
    if decl.parent is None:
        return
    if decl.parent.text == THREAD:
        report.error(f"`{THREAD}` cannot be a parent", decl.parent.span)
    if symbols.kind(decl.parent) is not None:
        chain = symbols.ancestors(decl.parent.text)
        if name in chain:
            report.error(f"object `{name}` is its own ancestor", decl.parent.span)


def _object(symbols: Symbols, decl: s.ObjectDecl) -> ObjectKind:
    enums: dict[str, EnumField] = {}
    numbers: dict[str, NumberField] = {}
    for field in decl.fields:
        if not symbols.declare(f"field {decl.name.text}", "field", field.name):
            continue
        if field.values is None:
            numbers[field.name.text] = NumberField(field.name.text, field.doc, field.counter)
        else:
            enums[field.name.text] = _enum(symbols, field)
    return ObjectKind(
        name=decl.name.text,
        handle_type=decl.handle_type.text if decl.handle_type else "",
        parent=decl.parent.text if decl.parent else None,
        scoped=decl.scoped,
        enums=enums,
        numbers=numbers,
        births=(),
        unknown_if_absent=decl.unknown_if_absent,
        doc=decl.doc,
    )


def _enum(symbols: Symbols, field: s.FieldDecl) -> EnumField:
    report, name = symbols.report, field.name.text
    values: list[str] = []
    for value in field.values or ():
        if value.text in values:
            report.error(f"`{value.text}` is named twice", value.span)
        elif not field.boolean and value.text in _NOT_VALUES:
            report.error(f"`{value.text}` is a keyword and cannot name a value", value.span)
        values.append(value.text)
    known = dict.fromkeys(values)
    for one in (*((field.initial,) if field.initial else ()), *field.dead, *(field.absent or ())):
        if one.text not in known:
            report.unknown(f"value of `{name}`", one, known)
    if field.initial is None and not field.boolean:
        report.error(f"field `{name}` has no value at a birth", field.name.span, f"write `= {values[0]}`")
    initial = field.initial.text if field.initial else ("false" if field.boolean else values[0])
    return EnumField(
        name=name,
        values=tuple(known),
        initial=initial,
        boolean=field.boolean,
        absent=frozenset(known if field.absent is None else (n.text for n in field.absent)),
        dead=frozenset(n.text for n in field.dead),
        doc=field.doc,
    )


def declare_functions(symbols: Symbols, decls: Iterable[s.Declaration]) -> None:
    """Enter functions and callbacks, then groups."""
    everything = list(decls)
    # A scoped handle is a plain number of its API: its type alone does not make a handle.
    types: dict[str, list[str]] = {}
    for kind in symbols.kinds.values():
        if kind.handle_type and not kind.scoped:
            types.setdefault(kind.handle_type, []).append(kind.name)
    for decl in everything:
        if isinstance(decl, s.FunctionDecl):
            what = "callback" if decl.callback else "record" if decl.record else "function"
            if symbols.declare("event", what, decl.name):
                symbols.events[decl.name.text] = _function(symbols, decl, types)
    for decl in everything:
        if isinstance(decl, s.GroupDecl) and symbols.declare("event", "group", decl.name):
            symbols.groups[decl.name.text] = _group(symbols, decl)


def _group(symbols: Symbols, decl: s.GroupDecl) -> tuple[str, ...]:
    members: dict[str, None] = {}
    for member in decl.members:
        if member.text not in symbols.events:
            symbols.report.unknown("function or callback", member, symbols.events)
        elif member.text in members:
            symbols.report.error(f"`{member.text}` is named twice", member.span)
        else:
            members[member.text] = None
    return tuple(members)


def _function(symbols: Symbols, decl: s.FunctionDecl, types: dict[str, list[str]]) -> EventDecl:
    report, where = symbols.report, f"parameter {decl.name.text}"
    for name in decl.repeated:
        report.error(f"`{name.text}` is given twice", name.span)
    _check_record(symbols, decl)
    params: list[Param] = []
    spans: dict[str, s.Name] = {}
    for index, param in enumerate(decl.params):
        if not symbols.declare(where, "parameter", param.name):
            continue
        if param.name.text == RETURN:
            report.error(f"`{RETURN}` is the returned value and cannot name a parameter", param.name.span)
        if not param.extra and index and decl.params[index - 1].extra:
            report.error("ordinary parameters stand before every `extra`", param.name.span)
        kind = _handle_kind(symbols, param.type, param.kind, types)
        direction = Direction(param.direction)
        params.append(Param(param.name.text, param.type.text, direction, kind, param.optional, param.extra))
        spans[param.name.text] = param.name
    returns = decl.result.text if decl.result else ""
    if decl.result is not None and returns not in NO_RESULT and returns != STATUS_TYPE:
        kind = _handle_kind(symbols, decl.result, decl.result_kind, types)
        params.append(Param(RETURN, returns, Direction.OUT, kind))
        spans[RETURN] = decl.result
    return EventDecl(
        name=decl.name.text,
        callback=decl.callback,
        params=tuple(params),
        returns=returns,
        role=decl.role,
        interface=decl.interface,
        documented=not decl.undocumented,
        neutral=decl.neutral,
        objects=_objects(symbols, params, spans),
        irql=decl.irql,
        doc=decl.doc,
        sources=decl.sources,
        span=decl.name.span,
        record=decl.record,
        unordered=decl.unordered,
    )


def _check_record(symbols: Symbols, decl: s.FunctionDecl) -> None:
    name = decl.name
    if not decl.record:
        if decl.unordered:
            symbols.report.error(f"only a record can be unordered, and `{name.text}` is none", name.span)
        return
    if decl.result is not None:
        symbols.report.error(f"`{name.text}` is a record and returns nothing", decl.result.span)
    for param in decl.params:
        if param.direction != "in":
            symbols.report.error(f"`{name.text}` is a record: all it has is `in`", param.name.span)
    if decl.recorded is not None:
        help = "a record counts as recorded where the trace declares it"
        symbols.report.error(f"`{name.text}` is a record and has no `recorded when`", name.span, help)


def _objects(symbols: Symbols, params: list[Param], spans: dict[str, s.Name]) -> dict[str, str]:
    objects: dict[str, str] = {}
    for param in params:
        if param.kind is None:
            continue
        if param.kind in objects:
            symbols.report.error(
                f"`{objects[param.kind]}` and `{param.name}` are both a `{param.kind}`",
                spans[param.name].span,
                "an event names at most one object of a kind",
            )
            continue
        objects[param.kind] = param.name
    # A scoped handle says nothing without its parent.
    return {
        k: p for k, p in objects.items() if not symbols.kinds[k].scoped or symbols.kinds[k].parent in objects
    }


def _handle_kind(
    symbols: Symbols, type_name: s.Name, kind: s.Name | None, types: dict[str, list[str]]
) -> str | None:
    if kind is not None:
        if kind.text == THREAD:
            symbols.report.error(f"`{THREAD}` is never a parameter", kind.span)
            return None
        return kind.text if symbols.kind(kind) is not None else None
    kinds = types.get(type_name.text, [])
    if len(kinds) > 1:
        names = " or ".join(f"`as {k}`" for k in kinds)
        symbols.report.error(
            f"`{type_name.text}` is the handle type of several objects", type_name.span, f"write {names}"
        )
    return kinds[0] if len(kinds) == 1 else None
