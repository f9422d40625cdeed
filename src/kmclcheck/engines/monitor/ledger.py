"""Verdicts and findings of a run: counting, one finding per fault, who yields to whom."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from kmclcheck.engines.monitor.context import Context
from kmclcheck.engines.monitor.store import HistoryEntry, Obj, StateVec
from kmclcheck.model.event import Event
from kmclcheck.model.expr import AnyChild, FieldIn, Scalar, walk
from kmclcheck.model.finding import Finding, HistoryStep, ObjectRef, Verdict, VerdictKind
from kmclcheck.model.spec import Check, Party, Rule, Spec
from kmclcheck.semantics.evaluate import term_value

HOLDERS_KEPT = 16
"""How many children a finding names as the reason why a condition over children is broken."""

KIN_KEPT = 8
"""How many objects that a finding is only loosely about lend their story to its slice."""

HISTORY_SHOWN = 40
"""How many events of an object's own story a finding carries."""


@dataclass(slots=True)
class Evidence:
    """What a finding was decided on, kept for its slice: the stories of the objects concerned."""

    rule: Rule
    check: Check
    number: int
    event: Event | None
    target: ObjectRef
    stories: list[list[HistoryEntry]]
    kin: list[list[HistoryEntry]]
    frames: list[tuple[int, Event]]
    complete: bool
    cut: int


@dataclass(slots=True)
class Broken:
    """A rule broken at an event, before it is known whether it is the one to report."""

    rule: Rule
    check: Check
    obj: Obj
    ctx: Context
    hung_call: Event | None = None


@dataclass(slots=True)
class Ledger:
    """All verdicts and findings of one run. ``made``: how many findings were made, with those taken back."""

    spec: Spec
    rules: tuple[Rule, ...]
    decided: dict[str, int] = field(default_factory=dict)
    opened: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    evidence: dict[int, Evidence] = field(default_factory=dict)
    made: int = 0

    def open(self, rule: str, reason: str, count: int = 1) -> None:
        """Count places at which a rule could not be decided."""
        self.opened[rule] = self.opened.get(rule, 0) + count
        self.reasons.setdefault(rule, reason)

    def decide(self, rule: str, count: int = 1) -> None:
        """Count places at which a rule was decided."""
        self.decided[rule] = self.decided.get(rule, 0) + count

    def report(self, broken: list[Broken], number: int) -> list[Broken]:
        """Report the rules broken at one event; return those that became or repeated a finding."""
        standing = [b for b in broken if not (b.rule.party is Party.LIBRARY and b.obj.blamed)]
        told: list[Broken] = []
        for one in standing:
            self.decide(one.rule.id)
            if not any(self._yields(one, other) for other in standing):
                told.append(one)
        for one in told:
            also = [b.rule.id for b in standing if b is not one and self._yields_indirectly(b, one, standing)]
            self.failed.setdefault(one.rule.id, "")
            for rule in also:
                self.failed.setdefault(rule, f"reported as {one.rule.id}")
            self._tell(one, tuple(dict.fromkeys(also)), number)
        for one in standing:
            if one.rule.party is not Party.LIBRARY:
                one.obj.blamed = True
        return told

    @staticmethod
    def _yields(one: Broken, other: Broken) -> bool:
        return other.rule.id in one.rule.yields_to and related(one.obj, other.obj)

    def _yields_indirectly(self, one: Broken, to: Broken, standing: list[Broken]) -> bool:
        seen, todo = {id(one)}, [one]
        while todo:
            now = todo.pop()
            for other in standing:
                if id(other) not in seen and self._yields(now, other):
                    if other is to:
                        return True
                    seen.add(id(other))
                    todo.append(other)
        return False

    def _tell(self, one: Broken, also: tuple[str, ...], number: int) -> None:
        obj, rule = one.obj, one.rule
        faults = obj.faults if obj.faults is not None else {}
        obj.faults = faults
        earlier = faults.get(rule.id)
        # One that was taken back is none to repeat.
        if earlier is not None and earlier.index in self.evidence:
            earlier.repeats += 1
            return
        event = None if one.check.event is None else one.ctx.event
        finding = Finding(
            rule.id, event, ref(obj), ref(obj.parent) if obj.parent is not None else None, also,
            fill(rule.message, one.ctx), fill(rule.requirement, one.ctx),
            tuple(holders(one)), one.hung_call,
            steps(obj), f"{obj.cut} earlier events left out" if obj.cut else "",
            index=self.made,
        )  # fmt: skip
        self.made += 1
        faults[rule.id] = finding
        self.findings.append(finding)
        self.evidence[finding.index] = _evidence(one, number)

    def verdicts(self) -> list[Verdict]:
        """Return a verdict for every rule, in the order of the specification."""
        found: list[Verdict] = []
        for rule in self.rules:
            decided, opened = self.decided.get(rule.id, 0), self.opened.get(rule.id, 0)
            reason = ""
            if rule.id in self.failed:
                kind, reason = VerdictKind.FAIL, self.failed[rule.id]
            elif opened:
                kind, reason = VerdictKind.OPEN, self.reasons.get(rule.id, "")
            elif decided:
                kind = VerdictKind.PASS
            else:
                kind = VerdictKind.NOT_EXERCISED
            found.append(Verdict(rule.id, kind, decided, opened, reason))
        return found

    def doubt(self, rules: Iterable[str], reason: str) -> None:
        """Count as open what was decided of these rules so far."""
        for rule in rules:
            decided = self.decided.pop(rule, 0)
            if decided:
                self.open(rule, reason, decided)

    def withdraw(self, findings: list[Finding], reason: str) -> None:
        """Take findings back that another order, or lost events, might remove."""
        for finding in findings:
            if finding in self.findings:
                self.findings.remove(finding)
                del self.evidence[finding.index]
                self.open(finding.rule, reason, 1 + finding.repeats)
        still = {f.rule for f in self.findings} | {r for f in self.findings for r in f.also_broken}
        for rule in [r for r in self.failed if r not in still]:
            del self.failed[rule]
            self.open(rule, reason, 0 if rule in self.opened else 1)


def related(one: Obj, other: Obj) -> bool:
    """Return whether two objects are one, or parent and child."""
    return one is other or one.parent is other or other.parent is one


def ref(obj: Obj) -> ObjectRef:
    """Return the object as reports name it."""
    return ObjectRef(obj.kind, obj.handle, obj.incarnation, obj.endpoint)


def steps(obj: Obj) -> tuple[HistoryStep, ...]:
    """Return the object's own story with the fields each event changed.

    The first step carries every field, with nothing before it.
    """
    found: list[HistoryStep] = []
    before: dict[str, str] = {}
    for _, event, state in obj.history:
        after = {name: field_text(state, name) for name in state.fields}
        changed = [n for n in after if before.get(n) != after[n]]
        found.append(
            HistoryStep(event, {n: before[n] for n in changed if n in before}, {n: after[n] for n in changed})
        )
        before = after
    return tuple(found[-HISTORY_SHOWN:])


def field_text(state: StateVec, name: str) -> str:
    """Return what is known of a field, in words."""
    now = state.fields[name]
    return "unknown" if len(now.values) == len(state.kind.enums[name].values) else now.text()


def holders(one: Broken) -> list[ObjectRef]:
    """Return the children on account of which a condition over children is broken."""
    found: list[ObjectRef] = []
    for node in walk(one.check.require):
        if isinstance(node, AnyChild) and isinstance(node.condition, FieldIn):
            parent = one.ctx.objs.get(node.parent)
            for child in list(parent.children or ()) if parent is not None else ():
                values = node.condition.values
                if child.kind == node.kind and child.state.fields[node.condition.field].values <= values:
                    found.append(ref(child))
    return found[:HOLDERS_KEPT]


def _evidence(one: Broken, number: int) -> Evidence:
    objs = [o for o in one.ctx.objs.values() if not o.temporary and o.kind != "thread"]
    for node in walk(one.check.require):
        if isinstance(node, AnyChild):
            parent = one.ctx.objs.get(node.parent)
            objs += list(parent.children or ())[:HOLDERS_KEPT] if parent is not None else []
    if one.obj not in objs:
        objs.append(one.obj)
    if one.obj.parent is not None and one.obj.parent not in objs:
        objs.append(one.obj.parent)
    thread = one.ctx.thread
    others: dict[int, Obj] = {}
    for frame in [*thread.frames, *(f for o in objs for f in o.frames or ())]:
        others.update((id(o), o) for o in frame.objs.values() if o.kind != "thread" and not o.temporary)
    for obj in objs:
        others.update((id(o), o) for o in _named(one.ctx, obj))
        others.update((id(o), o) for o in list(obj.children or ())[-KIN_KEPT:])
    kin = [o for o in others.values() if o not in objs][-KIN_KEPT:]
    return Evidence(
        rule=one.rule,
        check=one.check,
        number=number,
        event=None if one.check.event is None else one.ctx.event,
        target=ref(one.obj),
        stories=[list(o.history) for o in objs],
        kin=[list(o.history) for o in kin],
        frames=[(f.number, f.event) for f in thread.frames],
        complete=all(o.complete for o in objs),
        cut=sum(o.cut for o in objs),
    )


def _named(ctx: Context, obj: Obj) -> list[Obj]:
    """Return the other objects that the events of a story name, as far as they are remembered."""
    found: list[Obj] = []
    run = ctx.run
    for _, event, _ in obj.history[-HISTORY_SHOWN:]:
        decl = run.spec.events.get(event.name)
        for kind, param in decl.objects.items() if decl is not None else ():
            handle = run.handle(event, param)
            if kind != obj.kind and handle is not None and not run.spec.kinds[kind].scoped:
                other = run.store.known(kind, run.key(event, handle))
                if other is not None:
                    found.append(other)
    return found


_HOLE = re.compile(r"\{([A-Za-z_]+)(?:\.([A-Za-z_]+))?\}")


def fill(text: str, ctx: Context) -> str:
    """Return a short text of the spec with event, fields and arguments filled in."""

    def value(match: re.Match[str]) -> str:
        name, field_name = match.group(1), match.group(2)
        if field_name:
            obj = ctx.objs.get(name)
            if obj is None:
                return "unknown"
            if field_name in obj.state.fields:
                return field_text(obj.state, field_name)
            number_field = ctx.run.spec.kinds[name].numbers.get(field_name)
            counter = number_field is not None and number_field.counter
            number = term_value(Scalar(name, field_name, counter), ctx)
            return str(number) if isinstance(number, int) else "unknown"
        if name == "event":
            return ctx.event.name
        if name == "irql":
            return "unknown" if ctx.event.irql is None else str(ctx.event.irql)
        argument = ctx.argument(name)
        return "unknown" if argument is None else str(argument)

    return _HOLE.sub(value, text)
