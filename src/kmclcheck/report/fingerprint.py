"""The identity of a finding across runs, for baselines and for services that track findings."""

from __future__ import annotations

from hashlib import sha256

from kmclcheck.model.expr import Expr, FieldIn, walk
from kmclcheck.model.finding import Finding
from kmclcheck.model.spec import Rule, Spec


def fingerprint(finding: Finding, spec: Spec) -> str:
    """Return 16 hex digits made of rule, abstract state, event and kind of object.

    The same fault in another capture, at another line, on another handle, has the same fingerprint.
    """
    event = finding.event
    where = f"{event.name}.{event.phase.value}" if event is not None else "end"
    text = "\n".join((finding.rule, abstract_state(finding, spec), where, finding.object.kind))
    return sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def abstract_state(finding: Finding, spec: Spec) -> str:
    """Return the fields of the object that the rule looks at, as they were before the event.

    Fields the rule does not read are left out, and so are numbers: two faults that differ in them
    alone are the same fault. A field the shown history says nothing of is ``?``.
    """
    rule = spec.rules.get(finding.rule)
    kind = finding.object.kind
    if rule is None:
        return ""
    values = dict.fromkeys(_fields_read(rule, kind), "?")
    for step in finding.history:
        at_fault = finding.event is not None and step.event == finding.event
        for field, value in step.before.items():
            if field in values:
                values[field] = value
        if at_fault:
            break
        for field, value in step.after.items():
            if field in values:
                values[field] = value
    return ", ".join(f"{field}={values[field]}" for field in sorted(values))


def _fields_read(rule: Rule, kind: str) -> set[str]:
    read: set[str] = set()
    for check in rule.checks:
        conditions: tuple[Expr, ...] = (check.when, check.require)
        for condition in conditions:
            read.update(e.field for e in walk(condition) if isinstance(e, FieldIn) and e.kind == kind)
    return read
