"""Prints rules, machines and conditions of the IR in the language they were written in.

What is printed reads back to the same IR: groups and predicates appear expanded, ``*`` and
``same`` as the values they stand for.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from kmclcheck.diagnostics import Diagnostic, InputError, Level
from kmclcheck.model import expr as e
from kmclcheck.model.spec import Check, EventKind, Machine, Spec, Transition

_OR, _AND, _NOT = 1, 2, 3


def format_expr(expr: e.Expr, spec: Spec | None = None) -> str:
    """Return the condition as text. With a specification, statuses are named and values in its order."""
    return _expr(expr, spec, 0)


def format_checks(checks: Sequence[Check], spec: Spec) -> list[str]:
    """Return checks as they are written: those that differ in their events only are one."""
    return [_check(group, spec) for group in _check_groups(checks)]


def show_rule(spec: Spec, id: str) -> str:
    """Return the rule as a declaration. Raises ``InputError`` when there is none of that id."""
    rule = spec.rules.get(id)
    if rule is None:
        raise _missing("rule", id, spec.rules)
    lines = [f"rule {rule.id} {{", f"    {rule.party.value} {rule.severity.value} {rule.profile.value}"]
    if rule.scope:
        lines.append(f"    on {rule.scope}")
    lines += _texts(("statement", rule.statement))
    lines += [f"    {check}" for check in format_checks(rule.checks, spec)]
    lines += _texts(
        ("message", rule.message),
        ("needs", rule.requirement),
        ("consequence", rule.consequence),
        ("fix", rule.fix),
    )
    if rule.sources:
        lines.append("    source " + ", ".join(_quoted(s) for s in rule.sources))
    for key, ids in (("implied_by", rule.implied_by), ("yields_to", rule.yields_to)):
        if ids:
            lines.append(f"    {key} {', '.join(ids)}")
    lines += _texts(("reading", rule.reading))
    for example in rule.examples:
        body = [f"        {line}" if line else "" for line in example.text.strip("\n").split("\n")]
        lines += [f'    {"passes" if example.passes else "fails"} """', *body, '    """']
    return "\n".join([*lines, "}"]) + "\n"


def show_machine(spec: Spec, name: str) -> str:
    """Return the machine ``kind.field`` as a declaration. Raises ``InputError`` when there is none."""
    machine = {f"{kind}.{field}": m for (kind, field), m in spec.machines.items()}.get(name)
    if machine is None:
        raise _missing("machine", name, [f"{kind}.{field}" for kind, field in spec.machines])
    lines = [f"machine {name} {{"]
    lines += _texts(("doc", machine.doc))
    groups: list[list[Transition]] = []
    for transition in machine.transitions:
        if groups and _same_line(groups[-1], transition):
            groups[-1].append(transition)
        else:
            groups.append([transition])
    lines += [f"    {_line(group, machine, spec)}" for group in groups]
    return "\n".join([*lines, "}"]) + "\n"


def _same_line(group: list[Transition], transition: Transition) -> bool:
    if transition.event in [t.event for t in group]:
        return False
    return replace(group[-1], event=transition.event, span=None) == replace(transition, span=None)


def _line(group: list[Transition], machine: Machine, spec: Spec) -> str:
    one = group[0]
    values = spec.kinds[machine.kind].enums[machine.field].values
    sources = ", ".join(v for v in values if v in one.sources)
    targets = ", ".join(v for v in values if v in one.targets) or "same"
    text = f"seen {sources}" if one.observe else f"{sources} -> {targets}"
    text += " on parent " if one.via_parent else " on any " if one.anywhere else " on "
    return text + _events([t.event for t in group]) + _when(one.guard, spec)


def _events(events: Iterable[EventKind]) -> str:
    return ", ".join(f"{name}.{phase.value}" for name, phase in events)


def _when(guard: e.Expr, spec: Spec) -> str:
    return "" if guard == e.Truth(True) else f" when {format_expr(guard, spec)}"


def _check_groups(checks: Sequence[Check]) -> list[list[Check]]:
    groups: list[list[Check]] = []
    for check in checks:
        last = groups[-1] if groups else []
        joined = (
            last
            and check.event is not None
            and last[-1].event is not None
            and check.event not in [c.event for c in last]
            and replace(last[-1], event=check.event) == check
        )
        if joined:
            last.append(check)
        else:
            groups.append([check])
    return groups


def _check(group: Sequence[Check], spec: Spec) -> str:
    one = group[0]
    events = [c.event for c in group if c.event is not None]
    text = f"at {_events(events)}" if events else "at end"
    if one.hung_in:
        text += f", hung {', '.join(one.hung_in)}"
    text += _when(one.when, spec)
    if one.each:
        text += f" each {one.target}" + (f" of {one.each_of}" if one.each_of else "")
    return f"{text} require {format_expr(one.require, spec)}"


def _texts(*items: tuple[str, str]) -> list[str]:
    return [f"    {key} {_quoted(text)}" for key, text in items if text]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


# --- conditions ---------------------------------------------------------------------------------


def _expr(expr: e.Expr, spec: Spec | None, level: int) -> str:
    match expr:
        case e.Or(operands):
            return _grouped(" or ".join(_expr(o, spec, _OR) for o in operands), level >= _OR)
        case e.And(operands):
            return _grouped(" and ".join(_expr(o, spec, _AND) for o in operands), level >= _AND)
        case e.Not(operand):
            return _negated(operand, spec)
        case _:
            return _atom(expr, spec)


def _grouped(text: str, needed: bool) -> str:
    return f"({text})" if needed else text


def _negated(operand: e.Expr, spec: Spec | None) -> str:
    match operand:
        case e.FieldIn(kind, field, values):
            return f"{kind}.{field} {_membership(_ordered(kind, field, values, spec), True)}"
        case e.StatusIn(codes):
            return f"status {_membership(_codes(codes, spec), True)}"
        case e.IsSet(kind, field):
            return f"{kind}.{field} is not set"
        case e.StatusOk():
            return "failed"
        case e.AnyChild(parent, kind, condition):
            return f"no {kind} of {parent} with {_expr(condition, spec, _NOT)}"
        case _:
            return f"not {_expr(operand, spec, _NOT)}"


def _atom(expr: e.Expr, spec: Spec | None) -> str:
    match expr:
        case e.Truth(value):
            return "true" if value else "false"
        case e.FieldIn(kind, field, values):
            if values == {"true"}:
                return f"{kind}.{field}"
            return f"{kind}.{field} {_membership(_ordered(kind, field, values, spec), False)}"
        case e.IsSet(kind, field):
            return f"{kind}.{field} is set"
        case e.Compare(e.CompareOp.NE, e.Arg(name), e.Number(0)):
            return name
        case e.Compare(operator, left, right):
            return f"{_term(left)} {operator.value} {_term(right)}"
        case e.HasBits(term, mask):
            return f"{_term(term)} has {mask:#x}"
        case e.StatusOk():
            return "succeeded"
        case e.StatusIn(codes):
            return f"status {_membership(_codes(codes, spec), False)}"
        case e.Inside(names, owner):
            return f"inside({', '.join((*names, owner) if owner else names)})"
        case e.OpenFrame(names, kind):
            return f"running({', '.join((*names, kind))})"
        case e.Overlapped(names):
            return f"overlapped({', '.join(names)})"
        case e.Latest(names):
            return f"latest({', '.join(names)})"
        case e.AnyChild(parent, kind, condition):
            return f"some {kind} of {parent} with {_expr(condition, spec, _NOT)}"
        case e.Sometime(condition):
            return f"sometime ({_expr(condition, spec, 0)})"
        case _:
            raise AssertionError(expr)


def _membership(values: list[str], negated: bool) -> str:
    if len(values) == 1:
        return f"is not {values[0]}" if negated else f"is {values[0]}"
    return f"{'not ' if negated else ''}in {{ {', '.join(values)} }}"


def _ordered(kind: str, field: str, values: frozenset[str], spec: Spec | None) -> list[str]:
    if spec is None or kind not in spec.kinds or field not in spec.kinds[kind].enums:
        return sorted(values)
    return [v for v in spec.kinds[kind].enums[field].values if v in values]


def _codes(codes: frozenset[int], spec: Spec | None) -> list[str]:
    names = {code: name for name, code in reversed(spec.statuses.items())} if spec else {}
    return [names.get(code, f"{code:#010x}") for code in sorted(codes)]


def _term(term: e.Term) -> str:
    match term:
        case e.Number(value):
            return str(value) if abs(value) < 0x10000 else f"{value:#x}"
        case e.Arg(name):
            return name
        case e.Irql():
            return "irql"
        case e.Scalar(kind, field):
            return f"{kind}.{field}"


def _missing(what: str, name: str, known: Iterable[str]) -> InputError:
    close = difflib.get_close_matches(name, list(known), n=1)
    help = f"did you mean `{close[0]}`?" if close else None
    return InputError([Diagnostic(Level.ERROR, f"no {what} `{name}` in the specification", None, None, help)])
