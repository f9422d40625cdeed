"""The books of a walk: verdicts, findings, and which of several broken rules is the one to report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from kmclcheck.engines.explore.walk.instances import Instance
from kmclcheck.model import expr as e
from kmclcheck.model.event import Event
from kmclcheck.model.finding import Finding, ObjectRef, Verdict, VerdictKind
from kmclcheck.model.spec import Check, Party, Rule


@dataclass(eq=False, slots=True)
class Fault:
    """A rule that an object broke, at an event (none at the end of the trace or of its life)."""

    rule: Rule
    check: Check
    one: Instance
    event: Event | None

    def yields_to(self, other: Fault) -> bool:
        kin = self.one is other.one or self.one.parent is other.one or other.one.parent is self.one
        return kin and other.rule.id in self.rule.yields_to


@dataclass
class Books:
    """What was decided, what was left open and why, and what was broken."""

    rules: tuple[Rule, ...]
    decided: Counter[str] = field(default_factory=Counter)
    opened: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def leave_open(self, rule: Rule, reason: str, places: int = 1) -> None:
        self.opened[rule.id] += places
        self.reasons.setdefault(rule.id, reason)

    def report(self, faults: list[Fault]) -> list[Fault]:
        """Enter what was broken at one event; return what became a finding, or repeats one.

        The library owes nothing for an object on which the driver broke a rule before. A rule is not reported
        if it yields to another broken one, on the same object or on its parent or child.
        """
        due = [f for f in faults if f.rule.party is not Party.LIBRARY or not f.one.owed_nothing]
        told = [f for f in due if not any(f.yields_to(other) for other in due)]
        for fault in due:
            self.decided[fault.rule.id] += 1
        for fault in told:
            self.failed[fault.rule.id] = ""
        for fault in due:
            leading = [t for t in told if t is not fault and _leads(fault, t, due)]
            for one in leading:
                self.failed.setdefault(fault.rule.id, f"reported as {one.rule.id}")
        for fault in told:
            under = (f.rule.id for f in due if f is not fault and _leads(f, fault, due))
            self._tell(fault, tuple(dict.fromkeys(under)))
        for fault in due:
            if fault.rule.party is not Party.LIBRARY:
                fault.one.owed_nothing = True
        return told

    def _tell(self, fault: Fault, also: tuple[str, ...]) -> None:
        one, rule = fault.one, fault.rule.id
        if rule in one.broken:
            # The same fault goes on as long as the rule did not hold in between.
            next(f for f in self.findings if f.index == one.broken[rule]).repeats += 1
            return
        index = len(self.faults)
        one.broken[rule] = index
        self.faults.append(fault)
        parent = None if one.parent is None else _ref(one.parent)
        self.findings.append(Finding(rule, fault.event, _ref(one), parent, also_broken=also, index=index))

    def withdraw(self, indices: list[int], reason: str) -> None:
        """Take findings back that may be none, all but those of rules that look at their record alone."""
        for finding in [f for f in self.findings if f.index in indices]:
            fault = self.faults[finding.index]
            if not _looks_at_record_alone(fault.check):
                self.findings.remove(finding)
                self.leave_open(fault.rule, reason, 1 + finding.repeats)
                # Broken again for sure, the rule makes a finding after all.
                fault.one.broken.pop(finding.rule, None)
        standing = {rule for f in self.findings for rule in (f.rule, *f.also_broken)}
        for rule in [r for r in self.rules if r.id in self.failed and r.id not in standing]:
            del self.failed[rule.id]
            self.leave_open(rule, reason, 0 if self.opened[rule.id] else 1)

    def verdicts(self) -> tuple[Verdict, ...]:
        """Return a verdict for every rule, in the order of the specification."""
        found: list[Verdict] = []
        for rule in self.rules:
            decided, opened = self.decided[rule.id], self.opened[rule.id]
            kind, reason = VerdictKind.NOT_EXERCISED, ""
            if rule.id in self.failed:
                kind, reason = VerdictKind.FAIL, self.failed[rule.id]
            elif opened:
                kind, reason = VerdictKind.OPEN, self.reasons[rule.id]
            elif decided:
                kind = VerdictKind.PASS
            found.append(Verdict(rule.id, kind, decided, opened, reason))
        return tuple(found)


def _leads(one: Fault, to: Fault, due: list[Fault]) -> bool:
    """Return whether one yields to the other, perhaps by way of others; yielding has no circles."""
    return any(one.yields_to(next_) and (next_ is to or _leads(next_, to, due)) for next_ in due)


def _looks_at_record_alone(check: Check) -> bool:
    """Return whether a check looks at nothing but arguments, status and IRQL."""
    plain = e.Arg | e.Irql | e.Number
    for node in [*e.walk(check.when), *e.walk(check.require)]:
        match node:
            case e.And() | e.Or() | e.Not() | e.Truth() | e.StatusOk() | e.StatusIn():
                pass
            case e.Compare(left=left, right=right) if isinstance(left, plain) and isinstance(right, plain):
                pass
            case e.HasBits(term=one) if isinstance(one, plain):
                pass
            case _:
                return False
    return True


def _ref(one: Instance) -> ObjectRef:
    return ObjectRef(one.kind.name, one.handle, one.incarnation, one.endpoint)
