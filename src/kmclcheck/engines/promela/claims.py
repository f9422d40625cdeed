"""Which rules and invariants a model checks, and which rules it takes as kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kmclcheck.engines.promela.bounds import UnsupportedError
from kmclcheck.engines.promela.cone import Cone
from kmclcheck.model.spec import Invariant, Profile, Rule, Spec


@dataclass(frozen=True, slots=True)
class Claims:
    """Rules and invariants to check.

    ``assume`` are rules that every record keeps besides, ``without`` rules that records need not keep.
    """

    rules: tuple[str, ...] = ()
    invariants: tuple[str, ...] = ()
    assume: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def chosen(spec: Spec, claims: Claims, unseen: bool = False) -> Cone:
    """Return the cone of a model.

    An invariant brings the rules that it names. For a rule, every rule of the core is taken as kept that
    brings no other events; one that cannot be expressed is left out, and noted. Raises UnsupportedError
    if what is asked for, or what it depends on, cannot be expressed.
    """
    cone = Cone(spec, unseen).monitor(claims.rules)
    if claims.rules:
        cone.live()
    cone.claim(spec.invariants[id] for id in claims.invariants)
    kept = set(claims.assume)
    for id in claims.invariants:
        kept.update(_assumed(spec, spec.invariants[id]))
    cone.assume(kept - set(claims.without))
    if claims.rules:
        _settle(cone, set(claims.without))
    return cone


def _assumed(spec: Spec, invariant: Invariant) -> list[str]:
    """Return the rules that an invariant rests on."""
    if invariant.assuming:
        return [id for id in invariant.assuming if id in spec.rules]
    return [rule.id for rule in spec.rules.values() if not _on_records(spec, rule)]


def _on_records(spec: Spec, rule: Rule) -> bool:
    return any(
        spec.events[c.event[0]].record if c.event else not spec.kinds[c.target].births for c in rule.checks
    )


def _settle(cone: Cone, without: set[str]) -> None:
    """Assume every rule that brings no events, and those by which faults are reported as others."""
    spec = cone.spec
    for rule in spec.rules.values():
        ready = rule.id not in cone.monitored | cone.assumed | without
        if ready and rule.profile is Profile.CORE and not _on_records(spec, rule):
            try:
                wider = cone.copy().assume([rule.id])
            except UnsupportedError:
                if _matters(cone, rule):
                    cone.left_out.add(rule.id)
                continue
            if wider.events == cone.events and _matters(cone, rule):
                cone.assume([rule.id])
    while True:
        more = {id for one in cone.assumed for id in _between(spec, one, cone.monitored)}
        more -= cone.monitored | cone.assumed | without
        if not more:
            return
        cone.assume(more)


def _matters(cone: Cone, rule: Rule) -> bool:
    """Return whether a rule is judged at all where only the events of the cone occur."""
    return any(
        c.event[0] in cone.events if c.event is not None else c.target in cone.kinds for c in rule.checks
    )


def _between(spec: Spec, rule: str, goals: Iterable[str]) -> set[str]:
    """Return the rules by which a rule yields to one of the goals."""
    found: set[str] = set()
    wanted = set(goals)

    def leads(id: str) -> bool:
        if id not in spec.rules:
            return False
        ways = [next_ for next_ in spec.rules[id].yields_to if next_ in wanted or leads(next_)]
        found.update(ways)
        return bool(ways)

    leads(rule)
    return found - wanted
