"""The stepper's books: verdicts, findings, and which of several broken rules is reported."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from kmclcheck.model.finding import Verdict, VerdictKind
from kmclcheck.model.spec import Party, Rule
from kmclcheck.semantics.stepper_world import Thing

Report = tuple[str, int | None, str, int, int, tuple[str, ...], int]
"""Rule, number of the event (none at an end), object kind, handle, incarnation, also broken, repeats."""


@dataclass(eq=False)
class Fault:
    """A rule broken by an object at an event."""

    rule: Rule
    thing: Thing
    number: int | None


@dataclass
class Ledger:
    """What was decided, what stayed open, what was broken."""

    rules: tuple[Rule, ...]
    decided: Counter[str] = field(default_factory=Counter)
    opened: Counter[str] = field(default_factory=Counter)
    failed: set[str] = field(default_factory=set)
    reports: list[Report] = field(default_factory=list)

    def report(self, faults: list[Fault]) -> list[Fault]:
        """Report what was broken at one event; return what became a finding or repeats one.

        Once the driver broke a rule on an object, the library owes nothing for it.
        """
        standing = [f for f in faults if not (f.rule.party is Party.LIBRARY and f.thing.blamed)]
        told = [f for f in standing if not any(_yields(f, g) for g in standing)]
        for fault in standing:
            self.decided[fault.rule.id] += 1
            self.failed.add(fault.rule.id)
        for fault in told:
            self._tell(fault, [f for f in standing if f is not fault and _leads(f, fault, standing)])
        for fault in standing:
            fault.thing.blamed = fault.thing.blamed or fault.rule.party is not Party.LIBRARY
        return told

    def _tell(self, fault: Fault, also: list[Fault]) -> None:
        rule, thing = fault.rule.id, fault.thing
        if rule in thing.faults:
            at = thing.faults[rule]
            self.reports[at] = (*self.reports[at][:6], self.reports[at][6] + 1)
            return
        thing.faults[rule] = len(self.reports)
        names = tuple(dict.fromkeys(f.rule.id for f in also))
        self.reports.append((rule, fault.number, thing.kind.name, thing.handle, thing.incarnation, names, 0))

    def verdicts(self) -> list[Verdict]:
        """Return a verdict for every rule."""
        found: list[Verdict] = []
        for rule in self.rules:
            decided, opened = self.decided[rule.id], self.opened[rule.id]
            kind = VerdictKind.NOT_EXERCISED
            if rule.id in self.failed:
                kind = VerdictKind.FAIL
            elif opened:
                kind = VerdictKind.OPEN
            elif decided:
                kind = VerdictKind.PASS
            found.append(Verdict(rule.id, kind, decided, opened, ""))
        return found


def _yields(one: Fault, other: Fault) -> bool:
    related = one.thing is other.thing or one.thing.parent is other.thing or other.thing.parent is one.thing
    return related and other.rule.id in one.rule.yields_to


def _leads(one: Fault, to: Fault, standing: list[Fault]) -> bool:
    """Return whether one yields to the other, perhaps through others (yielding has no circles)."""
    return any(_yields(one, g) and (g is to or _leads(g, to, standing)) for g in standing)
