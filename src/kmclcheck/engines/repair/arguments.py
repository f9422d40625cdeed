"""Other values for what a driver passes or returns, where a rule is about values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from kmclcheck.engines.fill import Filler
from kmclcheck.engines.repair.base import SUCCESS
from kmclcheck.engines.repair.changes import Draft
from kmclcheck.engines.repair.edits import Scene, failed
from kmclcheck.engines.repair.lines import stack_at, thread_key
from kmclcheck.model import expr as e
from kmclcheck.model.event import ArgValue, Event, Phase
from kmclcheck.model.spec import Check, Direction, EventDecl, Rule, Spec

FAILURE = 0xC0000001
"""A status that means failure under any name; STATUS_UNSUCCESSFUL."""


def is_about_values(rule: Rule) -> bool:
    """Return whether a rule requires something of arguments, the IRQL or a status."""
    return any(_is_value(node) for check in rule.checks for node in e.walk(check.require))


def _is_value(node: e.Expr) -> bool:
    match node:
        case e.Compare(left=left, right=right):
            return any(isinstance(term, e.Arg | e.Irql) for term in (left, right))
        case e.HasBits(term=e.Arg()):
            return True
        case _:
            return False


def other_values(
    spec: Spec, scene: Scene, rule: Rule, filler: Filler, scalars: dict[tuple[str, str], int]
) -> Iterator[Draft]:
    """Return the draft with other values in the record at fault, or in those it is compared to."""
    fault = scene.fault
    if fault is None:
        return
    checks = [c for c in rule.checks if c.event is not None and c.event[0] == fault.name]
    yield from _at(spec, scene, scene.place, checks, filler, scalars)
    if scene.target is not None and scene.place != scene.target.start:
        yield from _at(spec, scene, scene.target.start, checks, filler, scalars)
    fields = {
        t for c in checks for n in e.walk(c.require) if isinstance(n, e.Compare) for t in (n.left, n.right)
    }
    for one in spec.assignments:
        if not isinstance(one.value, e.Arg) or e.Scalar(one.kind, one.field) not in fields:
            continue
        for at in range(scene.place - 1, -1, -1):
            line = scene.lines[at]
            if line.gone or line.event.name != one.event[0] or one.value.name not in line.event.args:
                continue
            for value in _numbers(fault):
                yield _with(spec, scene, at, {one.value.name: value})


def _numbers(event: Event) -> list[int]:
    return sorted({value for value in event.args.values() if isinstance(value, int) and 0 < value < 1 << 32})


def _at(
    spec: Spec,
    scene: Scene,
    place: int,
    checks: list[Check],
    filler: Filler,
    scalars: dict[tuple[str, str], int],
) -> Iterator[Draft]:
    event = scene.lines[place].event
    decl = spec.events[event.name]
    is_exit = event.phase is decl.exit and event.phase is not Phase.WHOLE
    if is_exit and not decl.callback:
        return  # what a function returns is the library's
    if decl.callback and not is_exit:
        return  # what a callback is given too
    nodes = [n for c in checks for x in (c.require, c.when) for n in e.walk(x)]
    names = _changeable(decl, is_exit)
    for name in dict.fromkeys(_arguments(nodes)):
        if name in names:
            for value in _values(nodes, name, event.args.get(name), scalars):
                yield _with(spec, scene, place, {name: value})
    if event.irql is not None and not is_exit:
        yield from _levels(spec, scene, place, nodes)
    asked = {name for name in _arguments(nodes) if name in names}
    if asked:
        bare = replace(event, args={k: v for k, v in event.args.items() if k not in asked})
        for filled in filler.fillings(bare):
            changed: dict[str, ArgValue] = {
                k: v for k, v in filled.args.items() if k in asked and event.args.get(k) != v
            }
            if changed:
                yield _with(spec, scene, place, changed)
    if is_exit and event.status is not None:
        was_failure = failed(spec, event)
        other = replace(event, status=SUCCESS if was_failure else FAILURE)
        told = "success" if was_failure else "a failure"
        yield scene.replaced(place, other, f"return {told} from {event.name}")


def _changeable(decl: EventDecl, is_exit: bool) -> set[str]:
    """Return the parameters whose value is the driver's at this edge, handles apart."""
    outputs = {p.name for p in decl.params if p.direction is Direction.OUT}
    if is_exit:
        return outputs
    return {p.name for p in decl.params} - outputs - set(decl.objects.values())


def _arguments(nodes: list[e.Expr]) -> list[str]:
    found = []
    for node in nodes:
        terms: tuple[e.Term, ...] = ()
        if isinstance(node, e.Compare):
            terms = (node.left, node.right)
        elif isinstance(node, e.HasBits):
            terms = (node.term,)
        found += [term.name for term in terms if isinstance(term, e.Arg)]
    return found


def _values(
    nodes: list[e.Expr], name: str, now: ArgValue | None, scalars: dict[tuple[str, str], int]
) -> Iterator[int]:
    """Return values for an argument that conditions name, the nearest to the present one first."""
    found: set[int] = set()
    mask = 0
    for node in nodes:
        if isinstance(node, e.Compare):
            for one, other in ((node.left, node.right), (node.right, node.left)):
                if one == e.Arg(name):
                    if isinstance(other, e.Number):
                        found.update((other.value, other.value + 1, max(0, other.value - 1)))
                    elif isinstance(other, e.Scalar) and (other.kind, other.field) in scalars:
                        found.add(scalars[other.kind, other.field])
        elif isinstance(node, e.HasBits) and node.term == e.Arg(name):
            mask |= node.mask
            if isinstance(now, int):
                found.update((now | node.mask, now & ~node.mask))
    if isinstance(now, int) and mask > 1 and mask & (mask + 1) == 0:
        # The lowest bits together: the value has to be a multiple.
        found.update((now & ~mask, -(-now // (mask + 1)) * (mask + 1)))
    near = now if isinstance(now, int) else 0
    # Of two values as near as one another the larger one loses nothing.
    yield from sorted((value for value in found if value != now), key=lambda v: (abs(v - near), -v))


def _with(spec: Spec, scene: Scene, place: int, values: Mapping[str, ArgValue]) -> Draft:
    event = scene.lines[place].event
    changed: dict[str, ArgValue] = {**event.args, **values}
    told = " and ".join(
        f"{name} from {_text(event.args.get(name))} to {_text(value)}" for name, value in values.items()
    )
    return scene.replaced(place, replace(event, args=changed), f"change {told} in {event.name}")


def _text(value: ArgValue | None) -> str:
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else str(value) if value < 65536 else f"{value:#x}"


def _levels(spec: Spec, scene: Scene, place: int, nodes: list[e.Expr]) -> Iterator[Draft]:
    """Return the draft with the call at another IRQL, as far as what is around it allows."""
    event = scene.lines[place].event
    assert event.irql is not None
    around = stack_at(spec, scene.lines, place, thread_key(event))
    floor = around[-1].irql or 0 if around else 0
    wanted: set[int] = set()
    for node in nodes:
        if isinstance(node, e.Compare):
            for one, other in ((node.left, node.right), (node.right, node.left)):
                if isinstance(one, e.Irql) and isinstance(other, e.Number):
                    wanted.add(other.value)
    for level in sorted(wanted - {event.irql}, reverse=True):
        if level >= floor:
            yield scene.replaced(
                place,
                replace(event, irql=level),
                f"call {event.name} at IRQL {level} instead of {event.irql}",
            )
