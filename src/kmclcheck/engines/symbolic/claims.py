"""Where a claim fails: at a record, or in a state between records."""

from __future__ import annotations

from kmclcheck.engines.symbolic.circuit import TRUE, Lit
from kmclcheck.engines.symbolic.conditions import Moment, alive
from kmclcheck.engines.symbolic.step import Step, only
from kmclcheck.model.spec import Check, Invariant


def violated(step: Step, invariant: Invariant) -> Lit:
    """Return whether a record, or the state before it, violates one of the checks of an invariant."""
    circuit, layout = step.circuit, step.layout
    found = []
    strict = invariant.strict
    for check in invariant.checks:
        kind = check.target
        if check.event is None:
            found += [_in_state(step, check, at, strict) for at in range(len(layout.parents[kind]))]
            continue
        if check.event not in step.moments:
            continue
        moment = step.moments[check.event]
        here = step.happens[check.event]
        if not check.each:
            if kind in moment.chosen:
                chosen = circuit.any(moment.chosen[kind])
                found.append(circuit.both(here, chosen, _fails(check, moment, strict)))
            continue
        parent = check.each_of or layout.spec.kinds[kind].parent or ""
        if parent not in moment.chosen:
            continue
        for at, above in enumerate(layout.parents[kind]):
            assert above is not None
            one = moment.having({**moment.chosen, kind: only(at, len(layout.parents[kind]))}, {})
            lives = alive(circuit, layout, step.before, kind, at)
            found.append(circuit.both(here, moment.chosen[parent][above], lives, _fails(check, one, strict)))
    return circuit.any(found)


def given(step: Step, invariant: Invariant) -> list[Lit]:
    """Return what an invariant takes for granted of every record."""
    circuit = step.circuit
    return [
        circuit.either(-step.happens[check.event], -_fails(check, step.moments[check.event], False))
        for check in invariant.given
        if check.event in step.moments
    ]


def _in_state(step: Step, check: Check, at: int, strict: bool) -> Lit:
    layout, kind = step.layout, check.target
    chosen = {kind: only(at, len(layout.parents[kind]))}
    parent, above = layout.spec.kinds[kind].parent, layout.parents[kind][at]
    if parent is not None and above is not None:
        chosen[parent] = only(above, len(layout.parents[parent]))
    running = [[TRUE] * layout.bounds.depth for _ in range(layout.bounds.threads)]
    moment = Moment(step.circuit, layout, step.before, chosen, running=running)
    return step.circuit.both(
        alive(step.circuit, layout, step.before, kind, at), _fails(check, moment, strict)
    )


def _fails(check: Check, moment: Moment, strict: bool) -> Lit:
    """Return whether a claim certainly fails, or (strictly) may fail."""
    applies, required = moment.level(check.when), moment.level(check.require)
    if strict:
        return moment.circuit.both(applies[0], -required[1])
    return moment.circuit.both(applies[1], -required[0])
