"""Questions about the rules themselves: what follows from them, and what can happen while they are kept.

Each answer is a proof that something cannot happen, or records after which it has.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from kmclcheck.engines.symbolic.bounds import Bounds
from kmclcheck.engines.symbolic.circuit import Lit
from kmclcheck.engines.symbolic.cone import Cone
from kmclcheck.engines.symbolic.faults import Fault
from kmclcheck.engines.symbolic.prove import Attempt, Proof, prove
from kmclcheck.engines.symbolic.unroll import System
from kmclcheck.model.expr import Inside, Not, Overlapped, Truth
from kmclcheck.model.spec import Check, EventKind, Invariant, Spec

LEAST = 12
"""Records that are tried before a proof is."""


def broken(
    spec: Spec, rule: str, keeping: Sequence[str], bounds: Bounds, seconds: float, least: int = LEAST
) -> Proof:
    """Find records that break a rule and none of those in ``keeping``, or prove that there are none.

    Broken, not reported: which of several broken rules is reported is another question. What is due at the
    end of a trace counts, for traces that end unloaded or hung. Raises UnsupportedError for what the
    symbolic engine does not model.
    """
    started = time.perf_counter()
    system = _system(spec, Cone(spec).aim(rule), keeping, bounds)
    step, ends = system.step, system.ends
    circuit = step.circuit
    mine = [fault.lit for fault in step.faults if fault.rule == rule]
    idle = ends.circuit.both(ends.idle, _alone(system, ends.unloaded, rule, keeping))
    hung = ends.circuit.both(-ends.idle, _alone(system, ends.hung, rule, keeping))
    ended = ends.circuit.any([idle, hung])
    given = dict(zip(ends.state.lits(), step.after.lits(), strict=True))
    place = circuit.copy(ends.circuit, ends.circuit.needed([ended]), given)
    mine.append(place[ended] if ended > 0 else -place[-ended])
    return _attempt(rule, system, circuit.any(mine), keeping, started, seconds, least)


def reached(
    spec: Spec,
    field: tuple[str, str],
    value: str,
    keeping: Sequence[str],
    bounds: Bounds,
    seconds: float,
    certainly: bool = True,
) -> Proof:
    """Find records that keep rules and after which a field has a value, or prove that it never has.

    ``certainly``: no other value is possible by then; else the documents may leave others open.
    """
    started = time.perf_counter()
    kind, name = field
    cone = Cone(spec)
    cone.field(field)
    system = _system(spec, cone, keeping, bounds)
    circuit, after = system.step.circuit, system.step.after
    values = spec.kinds[kind].enums[name].values
    wanted = values.index(value)
    found = []
    if kind == "thread":
        places = [
            (thread.fields[name], circuit.any(thread.frames[0].names.values())) for thread in after.threads
        ]
    else:
        # Any number may stand for an object of a scoped kind; of the others, those that an event made count.
        parent = spec.kinds[kind].parent
        above = system.layout.parents[kind]
        known = [
            after.things[parent][at].known
            if spec.kinds[kind].scoped and parent and at is not None
            else one.known
            for one, at in zip(after.things[kind], above, strict=True)
        ]
        places = list(zip([thing.fields[name] for thing in after.things[kind]], known, strict=True))
    for bits, counts in places:
        rest = [-bit for n, bit in enumerate(bits) if n != wanted] if certainly else []
        found.append(circuit.all([counts, bits[wanted], *rest]))
    claim = f"{kind}.{name} is {value}"
    return _attempt(claim, system, circuit.any(found), keeping, started, seconds, LEAST)


def inside(
    spec: Spec,
    event: EventKind,
    callback: str,
    apart: Mapping[EventKind, tuple[str, ...]],
    keeping: Sequence[str],
    bounds: Bounds,
    seconds: float,
) -> Proof:
    """Find records at whose end the event happens inside a callback on its thread, or prove it impossible.

    ``apart``: returns, with the calls on the same object that never overlap theirs.
    """
    decl = spec.events[event[0]]
    target = next(iter(decl.objects), "thread")
    check = Check(event, Truth(True), Not(Inside((callback,))), target)
    given = tuple(
        Check(at, Truth(True), Not(Overlapped(names)), next(iter(spec.events[at[0]].objects)))
        for at, names in apart.items()
    )
    claim = f"{event[0]}.{event[1].value} inside {callback}"
    invariant = Invariant(claim, claim, target, (check,), tuple(keeping), given=given)
    return prove(spec, invariant, bounds, seconds, LEAST, list(keeping))


def _system(spec: Spec, cone: Cone, keeping: Sequence[str], bounds: Bounds) -> System:
    cone.keep(keeping)
    if not bounds.unseen:
        cone.show()
    return System(spec, cone, bounds)


def _attempt(
    claim: str, system: System, bad: Lit, keeping: Sequence[str], started: float, seconds: float, least: int
) -> Proof:
    kept = [-fault.lit for fault in system.step.faults if fault.rule in keeping]
    constraint = [*system.step.valid, *kept]
    return Attempt(claim, system, bad, constraint, tuple(keeping), started, started + seconds).run(least)


def _alone(system: System, faults: list[Fault], rule: str, keeping: Sequence[str]) -> Lit:
    """Return whether an end breaks the rule and none of those that are kept."""
    circuit = system.ends.circuit
    mine = circuit.any([fault.lit for fault in faults if fault.rule == rule])
    return circuit.all([mine, *(-fault.lit for fault in faults if fault.rule in keeping)])
