"""Verdicts and findings: what was decided and what not, and which of several broken rules is reported."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from kmclcheck.engines.symbolic.circuit import FALSE
from kmclcheck.engines.symbolic.trace.objects import Thing
from kmclcheck.engines.symbolic.trace.scene import Scene
from kmclcheck.model.event import Event
from kmclcheck.model.expr import Scalar
from kmclcheck.model.finding import Finding, Verdict, VerdictKind
from kmclcheck.model.spec import Check, Party, Rule


@dataclass(eq=False, slots=True)
class Fault:
    """A rule that is broken on an object, whatever the facts are."""

    rule: Rule
    check: Check
    thing: Thing
    scene: Scene
    hung: Event | None = None

    def yields_to(self, other: Fault) -> bool:
        """Return whether the rule is not reported where the other is broken."""
        kin = (
            self.thing is other.thing or self.thing.parent is other.thing or other.thing.parent is self.thing
        )
        return kin and other.rule.id in self.rule.yields_to


@dataclass(slots=True)
class Books:
    """All verdicts and findings of a trace."""

    rules: tuple[Rule, ...]
    decided: Counter[str] = field(default_factory=Counter)
    opened: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    told: dict[int, Fault] = field(default_factory=dict)

    def open(self, rule: str, reason: str, count: int = 1) -> None:
        """Count places at which a rule was not decided."""
        self.opened[rule] += count
        self.reasons.setdefault(rule, reason)

    def report(self, faults: list[Fault]) -> list[Fault]:
        """Enter what is broken at one event; return what is a finding or repeats one.

        Once the driver broke a rule on an object, the library owes nothing for it.
        """
        standing = [f for f in faults if f.rule.party is not Party.LIBRARY or not f.thing.blamed]
        told = [f for f in standing if not any(f.yields_to(other) for other in standing)]
        for fault in standing:
            self.decided[fault.rule.id] += 1
        for fault in told:
            behind = _followers(fault, standing)
            also = tuple(dict.fromkeys(f.rule.id for f in standing if f in behind))
            self.failed.setdefault(fault.rule.id, "")
            for rule in also:
                self.failed.setdefault(rule, f"reported as {fault.rule.id}")
            self._tell(fault, also)
        for fault in standing:
            if fault.rule.party is not Party.LIBRARY:
                fault.thing.blamed = True
        return told

    def _tell(self, fault: Fault, also: tuple[str, ...]) -> None:
        rule, thing = fault.rule, fault.thing
        earlier = thing.faults.get(rule.id)
        if earlier is not None:
            earlier.repeats += 1
            return
        finding = Finding(
            rule.id,
            None if fault.check.event is None else fault.scene.event,
            thing.ref,
            None if thing.parent is None else thing.parent.ref,
            also,
            _fill(rule.message, fault.scene),
            _fill(rule.requirement, fault.scene),
            hung_call=fault.hung,
            index=len(self.told),
        )
        thing.faults[rule.id] = finding
        self.findings.append(finding)
        self.told[finding.index] = fault

    def withdraw(self, findings: Iterable[Finding], reason: str) -> None:
        """Take findings back that other facts might remove."""
        for finding in findings:
            if finding in self.findings:
                self.findings.remove(finding)
                self.open(finding.rule, reason, 1 + finding.repeats)
                # Whoever breaks the rule later does not repeat what perhaps never was.
                self.told[finding.index].thing.faults.pop(finding.rule, None)
        still = {rule for finding in self.findings for rule in (finding.rule, *finding.also_broken)}
        for rule in [rule for rule in self.failed if rule not in still]:
            del self.failed[rule]
            if not self.opened[rule]:
                self.open(rule, reason)

    def doubt(self, rules: Iterable[Rule], reason: str) -> None:
        """Leave open what was decided of rules so far, but for those of which a finding stands."""
        broken = {finding.rule for finding in self.findings}
        for rule in rules:
            if rule.id not in broken and self.decided[rule.id]:
                self.open(rule.id, reason, self.decided.pop(rule.id))

    def verdicts(self) -> tuple[Verdict, ...]:
        """Return a verdict for every rule, in the order of the specification."""
        return tuple(self._verdict(rule.id) for rule in self.rules)

    def _verdict(self, rule: str) -> Verdict:
        decided, opened = self.decided[rule], self.opened[rule]
        if rule in self.failed:
            return Verdict(rule, VerdictKind.FAIL, decided, opened, self.failed[rule])
        if opened:
            return Verdict(rule, VerdictKind.OPEN, decided, opened, self.reasons.get(rule, ""))
        return Verdict(rule, VerdictKind.PASS if decided else VerdictKind.NOT_EXERCISED, decided, 0, "")


def _followers(fault: Fault, standing: list[Fault]) -> list[Fault]:
    """Return what yields to a fault, perhaps through others."""
    found = [fault]
    for one in found:
        found += [other for other in standing if other not in found and other.yields_to(one)]
    return found[1:]


_HOLE = re.compile(r"\{([A-Za-z_]+)(?:\.([A-Za-z_]+))?\}")


def _fill(text: str, scene: Scene) -> str:
    """Return a short text of the specification with event, fields and arguments filled in."""
    return _HOLE.sub(lambda match: _text(match.group(1), match.group(2), scene), text)


def _text(name: str, part: str | None, scene: Scene) -> str:
    number: int | None
    if part is not None:
        thing = scene.things.get(name)
        if thing is None:
            return "unknown"
        if part in thing.fields:
            enum = thing.kind.enums[part]
            pairs = zip(enum.values, scene.field(name, part), strict=True)
            values = [value for value, bit in pairs if bit != FALSE]
            return "unknown" if len(values) == len(enum.values) else " or ".join(sorted(values))
        sort = thing.kind.numbers.get(part)
        number = scene.term(Scalar(name, part, sort is not None and sort.counter)).value
    elif name == "event":
        return scene.event.name
    elif name == "irql":
        number = scene.event.irql
    else:
        number = scene.argument(name).value
    return "unknown" if number is None else str(number)
