"""What a set of rules comes to: implications, states, what invariants rest on, calls that cannot return.

The symbolic engine proves, or finds records; the monitor has the last word on records. A question begins
with as few rules kept as it names; what the monitor reports besides is added to them, and it is asked again.
Every rule that is added leaves fewer records, so a proof stands for all rules, and records that the monitor
has nothing else to say of keep all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from kmclcheck.engines.shortest import Judge, Replay, core
from kmclcheck.engines.symbolic.bounds import Bounds
from kmclcheck.engines.symbolic.prove import Proof, Result, prove
from kmclcheck.engines.symbolic.questions import broken, inside, reached
from kmclcheck.model.event import End, Event, Phase
from kmclcheck.model.expr import FieldIn, Overlapped, walk
from kmclcheck.model.spec import EventKind, Machine, Party, Spec

Ask = Callable[[Sequence[str], float], Proof]
"""Asks with these rules kept, for so many seconds."""


class Answer(Enum):
    """``NEVER`` is proved, ``POSSIBLE`` shown by records, ``OPEN`` neither, in the time there was."""

    NEVER = "never"
    POSSIBLE = "possible"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a question. ``kept``: the rules that it took; ``events`` with their end show it."""

    answer: Answer
    kept: tuple[str, ...]
    seconds: float
    events: tuple[Event, ...] = ()
    end: End = End.STOPPED
    why: str = ""


def settle(
    spec: Spec,
    ask: Ask,
    keeping: Sequence[str],
    all_kept: frozenset[str],
    seconds: float,
    aim: str = "",
    unseen: bool = False,
) -> Settled:
    """Ask until it is proved that there are no records, or the monitor finds nothing wrong with some.

    ``all_kept``: the rules that count. ``aim``: the rule that the records are to break, if any. ``unseen``:
    callbacks may go unseen.
    """
    started = time.perf_counter()
    judge = Judge(spec, all_kept | ({aim} if aim else frozenset()))
    kept = list(keeping)

    def settled(
        answer: Answer, events: Sequence[Event] = (), end: End = End.STOPPED, why: str = ""
    ) -> Settled:
        return Settled(answer, tuple(kept), time.perf_counter() - started, tuple(events), end, why)

    while True:
        left = seconds - (time.perf_counter() - started)
        proof = ask(kept, max(left, 0.0))
        if proof.result is Result.PROVED:
            return settled(Answer.NEVER)
        if proof.result is Result.OPEN or proof.trace is None:
            return settled(Answer.OPEN, why=proof.why)
        events = proof.trace.events
        more: set[str] = set()
        hidden = False
        for end in (End.UNLOADED, End.HUNG, End.STOPPED) if aim else (End.STOPPED,):
            replay = judge.replay(events, end)
            told = _broken(replay)
            more |= told - {aim}
            hidden = hidden or (replay.unseen and not unseen)
            if told <= {aim} and aim in (told or {""}) and not hidden and not replay.lost:
                return settled(Answer.POSSIBLE, events, end)
        more -= set(kept)
        if not more and hidden:
            names = {(e.name, e.phase) for e in events}
            rules = all_kept - {aim} - set(kept)
            more = {id for id in rules if any(c.event in names for c in spec.rules[id].checks)}
        if not more:
            return settled(Answer.OPEN, events, why="the monitor does not agree with what was found")
        kept += sorted(more)


def _broken(replay: Replay) -> set[str]:
    """Return the rules that were broken, reported or not."""
    return {rule for f in replay.findings for rule in (f.rule, *f.also_broken)}


def implying(spec: Spec, rule: str, bounds: Bounds, seconds: float) -> tuple[str, ...] | None:
    """Return rules of the core that together imply one: whatever breaks it breaks one of them.

    None of them can be left out. ``None``: the rule can be broken alone, or no proof was found in time.
    """
    deadline = time.perf_counter() + seconds

    def ask(keeping: Sequence[str], left: float) -> Proof:
        return broken(spec, rule, keeping, bounds, left)

    settled = settle(spec, ask, (), core(spec) - {rule}, seconds, rule)
    if settled.answer is not Answer.NEVER:
        return None
    kept = list(settled.kept)
    for id in settled.kept:
        fewer = [other for other in kept if other != id]
        if ask(fewer, max(deadline - time.perf_counter(), 0.0)).result is Result.PROVED:
            kept = fewer
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class Implication:
    """A rule that is said to follow from others.

    ``alone``: whether it does; ``together``: whether it does while all other rules of the core are kept too.
    """

    rule: str
    by: tuple[str, ...]
    alone: Settled
    together: Settled


def implications(spec: Spec, bounds: Bounds, seconds: float) -> Iterator[Implication]:
    """Prove or refute what rules say of themselves with ``implied_by``."""
    everything = core(spec)
    for rule in spec.rules.values():
        by = tuple(id for id in rule.implied_by if id in spec.rules)
        if not by or len(by) < len(rule.implied_by):
            continue

        def ask(keeping: Sequence[str], left: float, rule: str = rule.id) -> Proof:
            return broken(spec, rule, keeping, bounds, left)

        alone = settle(spec, ask, by, frozenset(by), seconds, rule.id)
        together = alone
        if alone.answer is Answer.POSSIBLE:
            together = settle(spec, ask, by, (everything | frozenset(by)) - {rule.id}, seconds, rule.id)
        yield Implication(rule.id, by, alone, together)


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a field. ``certain``: an object can certainly have it; else it is one of several at best.

    ``absent``: the value stands for what is not there, as before a birth; objects need not have it.
    """

    kind: str
    field: str
    value: str
    certain: bool
    absent: bool
    settled: Settled


def values(spec: Spec, bounds: Bounds, seconds: float) -> Iterator[Value]:
    """Find records that keep every rule for each value of each machine."""
    for machine in spec.machines.values():
        if not any(spec.events[t.event[0]].documented for t in machine.transitions):
            continue
        if any(spec.events[t.event[0]].record for t in machine.transitions):
            continue  # rings: nothing that a driver calls leads to them
        for one in spec.kinds[machine.kind].enums[machine.field].values:
            yield value(spec, machine, one, bounds, seconds)


def value(spec: Spec, machine: Machine, wanted: str, bounds: Bounds, seconds: float) -> Value:
    """Find records that keep every rule of the core and after which a field of an object has a value."""
    everything = core(spec)
    # Where callbacks go unseen, only traces that may leave some out show it.
    key = machine.kind, machine.field
    shown = any(
        isinstance(one, FieldIn) and (one.kind, one.field) == key
        for condition in (d.recorded_when for d in spec.events.values())
        if condition is not None
        for one in walk(condition)
    )
    within = replace(bounds, unseen=True) if shown else bounds
    enum = spec.kinds[machine.kind].enums[machine.field]
    certain = True
    found = settle(spec, _reached(spec, key, wanted, within, True), (), everything, seconds, unseen=shown)
    if found.answer is Answer.NEVER:
        certain = False
        found = settle(
            spec, _reached(spec, key, wanted, within, False), (), everything, seconds, unseen=shown
        )
    absent = wanted == enum.initial or wanted in enum.absent | enum.dead
    return Value(machine.kind, machine.field, wanted, certain, absent, found)


def _reached(spec: Spec, field: tuple[str, str], value: str, bounds: Bounds, certainly: bool) -> Ask:
    return lambda keeping, left: reached(spec, field, value, keeping, bounds, left, certainly)


@dataclass(frozen=True, slots=True)
class Need:
    """Whether an invariant needs one of its rules: without it, it fails, or is proved all the same."""

    invariant: str
    rule: str
    proof: Proof


def need(spec: Spec, invariant: str, rule: str, bounds: Bounds, seconds: float) -> Need:
    """Try to prove an invariant in a specification without one of its rules."""
    claim = spec.invariants[invariant]
    weaker = replace(spec, rules={id: r for id, r in spec.rules.items() if id != rule})
    rest = [id for id in claim.assuming if id != rule]
    return Need(invariant, rule, prove(weaker, claim, bounds, seconds, least=12, rules=rest))


def needs(spec: Spec, bounds: Bounds, seconds: float) -> Iterator[Need]:
    """Leave out each rule of each invariant that names its rules."""
    for invariant in spec.invariants.values():
        for rule in invariant.assuming:
            if rule in spec.rules:
                yield need(spec, invariant.id, rule, bounds, seconds)


@dataclass(frozen=True, slots=True)
class Nesting:
    """A call inside a callback. It hangs if it may be made and can never return.

    ``unless``: calls on the same object; where one of them runs meanwhile, on another thread, it may return.
    """

    call: str
    callback: str
    unless: tuple[str, ...]
    made: Settled
    returned: Settled

    @property
    def hangs(self) -> bool:
        """Whether the guarantees of the library exclude that the call returns."""
        return self.made.answer is Answer.POSSIBLE and self.returned.answer is Answer.NEVER


def nestings(spec: Spec, bounds: Bounds, seconds: float) -> Iterator[Nesting]:
    """Look for calls inside callbacks whose return the guarantees of the library exclude.

    Only they can: so only calls are looked at whose return is judged by one of them.
    """
    for name in dict.fromkeys(name for name, _ in _promised(spec)):
        call = spec.events[name]
        for callback in (e for e in spec.events.values() if e.callback and e.documented):
            if set(callback.objects) & set(call.objects):
                yield nesting(spec, name, callback.name, bounds, seconds)


def nesting(spec: Spec, call: str, callback: str, bounds: Bounds, seconds: float) -> Nesting:
    """Say whether a call can be made inside a callback, on its thread, and whether it can return.

    All rules are kept but those that ask something of the call itself: it is a mistake of the driver. No call
    that the library promises something about overlaps one that may have brought that about by itself.
    """
    decl = spec.events[call]
    entry, exit = (call, decl.entry), (call, decl.exit)
    kept = frozenset(id for id in core(spec) if all(c.event != entry for c in spec.rules[id].checks))
    apart = {event: others for event in _promised(spec) if (others := _others(spec, event))}
    made = settle(spec, _inside(spec, entry, callback, {}, bounds), (), kept, seconds)
    returned = settle(spec, _inside(spec, exit, callback, apart, bounds), (), kept, seconds)
    return Nesting(call, callback, apart.get(exit, ()), made, returned)


def _promised(spec: Spec) -> list[EventKind]:
    """Return the returns of calls that guarantees of the library judge, in the order of the specification."""
    checks = [check for id in _guarantees(spec) for check in spec.rules[id].checks]
    judged = {check.event for check in checks if check.event is not None}
    return [
        (e.name, e.exit) for e in spec.events.values() if (e.name, e.exit) in judged and e.exit is Phase.RET
    ]


def _guarantees(spec: Spec) -> list[str]:
    return sorted(id for id in core(spec) if spec.rules[id].party is Party.LIBRARY)


def _inside(
    spec: Spec, event: EventKind, callback: str, apart: Mapping[EventKind, tuple[str, ...]], bounds: Bounds
) -> Ask:
    return lambda keeping, left: inside(spec, event, callback, apart, keeping, bounds, left)


def _others(spec: Spec, event: EventKind) -> tuple[str, ...]:
    """Return the calls that may bring about by themselves what guarantees promise at a return.

    Those change a field that the guarantees read, or are named as an excuse.
    """
    checks = [c for id in _guarantees(spec) for c in spec.rules[id].checks if c.event == event]
    exprs = [expr for check in checks for expr in (check.when, check.require)]
    nodes = [node for expr in exprs for node in walk(expr)]
    names = {name for node in nodes if isinstance(node, Overlapped) for name in node.names}
    objects = set(spec.events[event[0]].objects)
    for node in nodes:
        machine = spec.machines.get((node.kind, node.field)) if isinstance(node, FieldIn) else None
        for line in machine.transitions if machine is not None and machine.kind in objects else ():
            call = spec.events[line.event[0]]
            if not call.callback and call.documented and not line.observe and line.targets:
                names.add(call.name)
    return tuple(sorted(names))
