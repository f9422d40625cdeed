"""Which of several broken rules are reported."""

from __future__ import annotations

from dataclasses import dataclass

from kmclcheck.engines.symbolic.circuit import FALSE, TRUE, Circuit, Lit
from kmclcheck.engines.symbolic.state import Layout


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that may be broken. ``at`` is the place of the object, ``None`` for that of the event."""

    rule: str
    lit: Lit
    kind: str
    at: int | None


class Reporting:
    """Says of faults at one moment which are reported; ``chosen`` are the objects of the event."""

    def __init__(
        self, circuit: Circuit, layout: Layout, faults: list[Fault], chosen: dict[str, tuple[Lit, ...]]
    ) -> None:
        self.circuit = circuit
        self.layout = layout
        self.faults = faults
        self.chosen = chosen

    def nothing(self) -> Lit:
        """Return whether no rule is broken."""
        return self.circuit.all([-fault.lit for fault in self.faults])

    def alone(self, rule: str) -> Lit:
        """Return whether this rule is reported and no other.

        A rule that yields to one that is left out of the cone may be excused by it.
        """
        circuit = self.circuit
        mine = [fault for fault in self.faults if fault.rule == rule]
        told = [circuit.all([f.lit, *(-lit for lit in self._stronger(f))]) for f in mine]
        others = []
        for fault in self.faults:
            if fault.rule != rule:
                rules = self.layout.cone.rules
                relaxed = any(
                    id not in rules and id in self.layout.spec.rules
                    for id in self.layout.spec.rules[fault.rule].yields_to
                )
                excuse = TRUE if relaxed else circuit.any(self._stronger(fault))
                others.append(circuit.either(-fault.lit, excuse))
        return circuit.all([circuit.any(told), *others])

    def _stronger(self, fault: Fault) -> list[Lit]:
        """Return the faults that a fault yields to."""
        names = self.layout.spec.rules[fault.rule].yields_to
        return [
            self.circuit.both(other.lit, self._related(fault, other))
            for other in self.faults
            if other is not fault and other.rule in names
        ]

    def _related(self, one: Fault, other: Fault) -> Lit:
        """Return whether two faults are about one object, or about a parent and its child."""
        kinds = self.layout.spec.kinds
        if one.kind == other.kind:
            if one.at is None or other.at is None:
                place = other.at if one.at is None else one.at
                return TRUE if place is None else self.chosen[one.kind][place]
            return TRUE if one.at == other.at else FALSE
        if kinds[other.kind].parent == one.kind:
            one, other = other, one
        if kinds[one.kind].parent != other.kind:
            return FALSE
        if one.at is None or other.at is None:
            return TRUE
        return TRUE if self.layout.parents[one.kind][one.at] == other.at else FALSE
