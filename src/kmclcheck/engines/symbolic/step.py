"""The transition relation: what one record may be, what it does to a state, and what it breaks.

It is built once per cone as a circuit over the bits of a state and of a record, and copied for every step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kmclcheck.engines.shown import shown
from kmclcheck.engines.symbolic.alphabet import Call, entry_arguments
from kmclcheck.engines.symbolic.circuit import FALSE, TRUE, Bits, Circuit, Lit
from kmclcheck.engines.symbolic.conditions import Moment, alive, dead
from kmclcheck.engines.symbolic.faults import Fault
from kmclcheck.engines.symbolic.moves import move
from kmclcheck.engines.symbolic.stacks import Stacks
from kmclcheck.engines.symbolic.state import Layout, State, Thing, ThreadState
from kmclcheck.model.expr import Expr, Truth
from kmclcheck.model.spec import Check, EventKind, Transition

Values = tuple[Lit, ...]


@dataclass(slots=True)
class Record:
    """The bits of one record. ``enter`` says which call begins; ``leave`` that the innermost one ends."""

    enter: dict[str, Lit]
    leave: Lit
    thread: Values
    objects: dict[str, Values]
    args: dict[str, Bits]
    status: Values
    irql: Bits

    @classmethod
    def make(cls, circuit: Circuit, layout: Layout) -> Record:
        """Return a record of which nothing is known."""
        width = layout.alphabet.width
        names: set[str] = set()
        for call in layout.alphabet.calls.values():
            names |= entry_arguments(layout.cone, call) | set(call.given)
        threads = layout.bounds.threads
        return cls(
            {name: circuit.input() for name in layout.alphabet.calls},
            circuit.input(),
            circuit.inputs(threads) if threads > 1 else (TRUE,),
            {kind: circuit.inputs(len(layout.parents[kind])) for kind in layout.kinds},
            {name: circuit.inputs(width) for name in sorted(names)},
            circuit.inputs(len(layout.alphabet.statuses)),
            (circuit.input(), circuit.input(), *[FALSE] * (width - 2)),
        )

    def lits(self) -> list[Lit]:
        """Return all bits, in a fixed order."""
        found = [*self.enter.values(), self.leave, *self.thread]
        for values in (*self.objects.values(), *self.args.values()):
            found += values
        return [*found, *self.status, *self.irql]


@dataclass(slots=True)
class Update:
    """What an event makes of an object of a kind, if it happens and names one."""

    when: Lit
    fields: dict[str, Values] = field(default_factory=dict)
    numbers: dict[str, tuple[Lit, Bits]] = field(default_factory=dict)


class Step:
    """The circuit of one step. ``valid`` has to hold of every record of a trace.

    ``rebirths`` say at which event, and when, the handle of a known object goes to a new one.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.circuit = circuit = Circuit()
        self.before = layout.free(circuit.input)
        self.record = Record.make(circuit, layout)
        self.valid: list[Lit] = []
        self.faults: list[Fault] = []
        self.happens: dict[EventKind, Lit] = {}
        self.moments: dict[EventKind, Moment] = {}
        self.rebirths: list[tuple[str, Lit, Moment]] = []
        self._updates: dict[str, list[Update]] = {kind: [] for kind in (*layout.kinds, "thread")}
        self._children: dict[tuple[str, int], list[Update]] = {}
        self._named: dict[tuple[str, int], list[Lit]] = {}
        self.stacks = Stacks(circuit, layout, self.before, self.record)
        self._shape()
        for call in layout.alphabet.calls.values():
            self._event(call, True)
        for call in layout.alphabet.calls.values():
            self._event(call, False)
        self.after = State(self._things(), [])
        self._threads()
        self.valid += [*self._all_shown(self.before), *self._all_shown(self.after)]

    # Which records there are.

    def _imply(self, condition: Lit, result: Lit) -> None:
        self.valid.append(self.circuit.either(-condition, result))

    def _one_of(self, lits: Values) -> None:
        self.valid += [self.circuit.any(lits), self.circuit.at_most_one(lits)]

    def _shape(self) -> None:
        record, layout = self.record, self.layout
        self._one_of((*record.enter.values(), record.leave))
        self._one_of(record.thread)
        self._one_of(record.status)
        self.valid += self.stacks.valid
        for kind in layout.kinds:
            self.valid.append(self.circuit.at_most_one(record.objects[kind]))
            for at, above in enumerate(layout.parents[kind]):
                parent = layout.spec.kinds[kind].parent
                if above is not None and parent is not None and layout.several(parent):
                    self._imply(record.objects[kind][at], record.objects[parent][above])

    def _all_shown(self, state: State) -> list[Lit]:
        """Return what holds in a state in which no callback can go unseen."""
        circuit, layout, found = self.circuit, self.layout, []
        parts = [part for part in shown(layout.spec) if part in layout.cone.shown]
        for kind, part in ((part.kind, part) for part in parts if part.kind in layout.kinds):
            things = state.things[kind]
            for at, thing in enumerate(things):
                alone = Moment(circuit, layout, state, {kind: only(at, len(things))})
                sure = alone.level(part.condition)[1]
                if part.ended != part.condition:
                    ended = dead(circuit, layout, kind, thing.fields)
                    sure = circuit.either(sure, circuit.both(ended, alone.level(part.ended)[1]))
                found.append(circuit.either(-thing.known, sure))
        return found

    # One event.

    def _event(self, call: Call, entry: bool) -> None:
        circuit, record, layout = self.circuit, self.record, self.layout
        happens = record.enter[call.name]
        if not entry:
            happens = circuit.both(record.leave, self.stacks.left.names[call.name])
        event = call.entry if entry else call.exit
        kinds = list(call.held)
        chosen: dict[str, Values] = {}
        for kind in kinds:
            chosen[kind] = record.objects[kind] if layout.several(kind) else (TRUE,)
            if layout.several(kind):
                self._imply(happens, circuit.any(record.objects[kind]))
                if not entry:
                    for one, other in zip(record.objects[kind], self.stacks.left.objects[kind], strict=True):
                        self._imply(circuit.both(happens, other), one)
        if "thread" in layout.spec.kinds:
            chosen["thread"] = record.thread
        if call.made is not None and not entry:
            chosen[call.made] = record.objects[call.made]
        moment = Moment(
            circuit, layout, self.before, chosen, record.thread, self.stacks.running,
            None if entry else self.stacks.left, self._arguments(call, entry), record.status,
            record.irql,
        )  # fmt: skip
        self.happens[event], self.moments[event] = happens, moment
        present = dict.fromkeys(chosen, TRUE)
        if call.made is not None and not entry:
            present[call.made] = circuit.any(record.objects[call.made])
        born = self._births(call, entry, event, happens, moment, present)
        self._judge(event, happens, moment, present)
        updates = self._changes(event, happens, moment, present, born)
        self._move_children(event, happens, moment)
        self._deaths(happens, moment, updates, born)
        for kind, update in updates.items():
            self._updates[kind].append(update)
        condition = call.decl.recorded_when
        if entry and condition is not None and layout.cone.reads(condition):
            self._imply(happens, moment.level(condition)[0])

    def _arguments(self, call: Call, entry: bool) -> Callable[[str], Bits | None]:
        own = entry_arguments(self.layout.cone, call) if entry else set(call.given)

        def find(name: str) -> Bits | None:
            if name in own:
                return self.record.args[name]
            return None if entry else self.stacks.left.args.get(name)

        return find

    def _births(
        self, call: Call, entry: bool, event: EventKind, happens: Lit, moment: Moment, present: dict[str, Lit]
    ) -> dict[str, Lit]:
        """Say which objects may be named, and return which kinds have a birth here."""
        circuit, layout = self.circuit, self.layout
        born: dict[str, Lit] = {}
        for kind in moment.chosen:
            births = [b for b in layout.cone.births(kind) if b.event == event] if kind != "thread" else []
            for birth in births[:1]:
                guard = birth.guard
                may, must = moment.level(guard)
                here = circuit.both(happens, present[kind])
                self._imply(here, circuit.either(must, -may))
                born[kind] = circuit.both(must, present[kind])
                if kind == call.made:
                    self._imply(here, must)
                    if guard != Truth(True):
                        self._imply(circuit.both(happens, may), present[kind])
                known = circuit.select(
                    zip(moment.chosen[kind], [t.known for t in self.before.things[kind]], strict=True)
                )
                self.rebirths.append((kind, circuit.both(happens, born[kind], known), moment))
                again = TRUE
                if layout.bounds.named and layout.cone.reads(birth.loss_if):
                    again = -moment.level(birth.loss_if)[1]
                self._place(kind, happens, moment.chosen[kind], born[kind], kind == call.made, again)
        if entry:
            for kind in call.named:
                if kind == call.made and layout.bounds.named:
                    continue
                if kind == call.made:
                    # Storage that nobody used before.
                    for at, thing in enumerate(self.before.things[kind]):
                        self._imply(circuit.both(happens, moment.chosen[kind][at]), -thing.known)
                elif not layout.spec.kinds[kind].scoped:
                    for at, thing in enumerate(self.before.things[kind]):
                        here = circuit.both(happens, moment.chosen[kind][at])
                        self._imply(here, circuit.either(thing.known, born.get(kind, FALSE)))
        return born

    def _place(
        self, kind: str, happens: Lit, chosen: Values, born: Lit, made: bool, again: Lit = TRUE
    ) -> None:
        """A handle is not given out again while a call on it runs; new ones are taken in order.

        ``again``: a new object under the handle of one that was there is no sign that records are missing.
        """
        circuit = self.circuit
        things, parents = self.before.things[kind], self.layout.parents[kind]
        for at, thing in enumerate(things):
            self._named.setdefault((kind, at), []).append(circuit.both(happens, chosen[at]))
            here = circuit.both(happens, chosen[at], born)
            if self.layout.bounds.named:
                self._imply(circuit.both(here, thing.known), -self.stacks.held(kind, at))
                self._imply(circuit.both(here, thing.known), again)
                continue
            if made:
                self._imply(here, -thing.known)
            else:
                self._imply(circuit.both(here, thing.known), -self.stacks.held(kind, at))
            if at and parents[at] == parents[at - 1]:
                self._imply(here, circuit.either(things[at - 1].known, thing.known))

    # Rules.

    def _judge(self, event: EventKind, happens: Lit, moment: Moment, present: dict[str, Lit]) -> None:
        circuit, layout = self.circuit, self.layout
        for rule, check in layout.cone.checks(event):
            kind = check.target
            if not check.each:
                if kind in moment.chosen:
                    lit = circuit.both(happens, present[kind], broken(check, moment))
                    self._fault(Fault(rule.id, lit, kind, None))
                continue
            parent = check.each_of or layout.spec.kinds[kind].parent or ""
            if parent not in moment.chosen:
                continue
            for at, above in enumerate(layout.parents[kind]):
                assert above is not None
                here = circuit.both(
                    happens, moment.chosen[parent][above], alive(circuit, layout, self.before, kind, at)
                )
                one = moment.having({**moment.chosen, kind: only(at, len(layout.parents[kind]))}, {})
                self._fault(Fault(rule.id, circuit.both(here, broken(check, one)), kind, at))

    def _fault(self, fault: Fault) -> None:
        if fault.lit != FALSE:
            self.faults.append(fault)

    def _deaths(self, happens: Lit, moment: Moment, updates: dict[str, Update], born: dict[str, Lit]) -> None:
        """Judge the obligations of objects that end here."""
        circuit, layout = self.circuit, self.layout
        moved = {(kind, name): bits for kind, u in updates.items() for name, bits in u.fields.items()}
        for kind, update in updates.items():
            checks = [(r, c) for r, c in layout.cone.end_checks() if c.target == kind]
            if not checks:
                continue
            start = {name: moment.field(kind, name) for name in layout.fields[kind]}
            ended = circuit.both(update.when, dead(circuit, layout, kind, {**start, **update.fields}))
            fresh = circuit.either(-dead(circuit, layout, kind, start), born.get(kind, FALSE))
            if ended == FALSE:
                continue
            later = moment.having(moment.chosen, moved)
            for rule, check in checks:
                self._fault(Fault(rule.id, circuit.both(ended, fresh, broken(check, later)), kind, None))

    # Changes.

    def _changes(
        self, event: EventKind, happens: Lit, moment: Moment, present: dict[str, Lit], born: dict[str, Lit]
    ) -> dict[str, Update]:
        circuit, layout = self.circuit, self.layout
        start: dict[tuple[str, str], Values] = {}
        for kind, lit in born.items():
            for name in layout.fields[kind]:
                old = moment.field(kind, name)
                start[kind, name] = circuit.choose_bits(lit, layout.born(kind, name), old)
        lines: dict[tuple[str, str], list[Transition]] = {}
        for key, line in layout.cone.lines(event):
            if not line.via_parent and key[0] in moment.chosen:
                lines.setdefault(key, []).append(line)
        later = moment.having(moment.chosen, start)
        updates: dict[str, Update] = {}
        for key in {**start, **lines}:
            update = updates.setdefault(key[0], Update(circuit.both(happens, present[key[0]])))
            now = start.get(key) or moment.field(*key)
            values = layout.spec.kinds[key[0]].enums[key[1]].values
            update.fields[key[1]] = move(circuit, values, now, lines.get(key, []), later.level)
        for kind, lit in born.items():
            update = updates.setdefault(kind, Update(circuit.both(happens, present[kind])))
            for name in layout.numbers[kind]:
                is_set, bits = moment.number(kind, name)
                update.numbers[name] = circuit.both(-lit, is_set), bits
        self._assign(event, happens, moment, present, updates)
        return updates

    def _assign(
        self,
        event: EventKind,
        happens: Lit,
        moment: Moment,
        present: dict[str, Lit],
        updates: dict[str, Update],
    ) -> None:
        circuit = self.circuit
        for one in self.layout.spec.assignments:
            if (
                one.event != event
                or one.kind not in moment.chosen
                or one.field not in self.layout.numbers[one.kind]
            ):
                continue
            may, must = moment.level(one.guard)
            self._imply(circuit.both(happens, may), must)
            update = updates.setdefault(one.kind, Update(circuit.both(happens, present[one.kind])))
            is_set, bits = update.numbers.get(one.field) or moment.number(one.kind, one.field)
            if one.value is None:
                update.numbers[one.field] = circuit.both(is_set, -must), bits
                continue
            value = moment.term(one.value)
            if value is None:
                self._imply(happens, -may)
                continue
            update.numbers[one.field] = (
                circuit.choose(must, value[0], is_set), circuit.choose_bits(must, value[1], bits)
            )  # fmt: skip

    def _move_children(self, event: EventKind, happens: Lit, moment: Moment) -> None:
        circuit, layout = self.circuit, self.layout
        lines: dict[tuple[str, str], list[Transition]] = {}
        for key, line in layout.cone.lines(event):
            if line.via_parent:
                lines.setdefault(key, []).append(line)
        for (kind, name), mine in lines.items():
            parent = layout.spec.kinds[kind].parent or ""
            if parent not in moment.chosen:
                continue
            values = layout.spec.kinds[kind].enums[name].values
            for at, above in enumerate(layout.parents[kind]):
                assert above is not None
                thing = self.before.things[kind][at]
                here = circuit.both(
                    happens, moment.chosen[parent][above], alive(circuit, layout, self.before, kind, at)
                )
                after = move(circuit, values, thing.fields[name], mine, moment.level)
                self._children.setdefault((kind, at), []).append(Update(here, {name: after}))

    # The next state.

    def _things(self) -> dict[str, list[Thing]]:
        circuit, layout = self.circuit, self.layout
        after: dict[str, list[Thing]] = {}
        for kind in layout.kinds:
            after[kind] = []
            for at, thing in enumerate(self.before.things[kind]):
                mine = self.record.objects[kind][at] if layout.several(kind) else TRUE
                updates = [(circuit.both(u.when, mine), u) for u in self._updates[kind]]
                fields = {
                    name: self._merged(bits, [(w, u.fields.get(name)) for w, u in updates])
                    for name, bits in thing.fields.items()
                }
                for update in self._children.get((kind, at), []):
                    for name, bits in update.fields.items():
                        fields[name] = circuit.choose_bits(update.when, bits, fields[name])
                numbers = {
                    name: self._number(pair, [(w, u.numbers.get(name)) for w, u in updates])
                    for name, pair in thing.numbers.items()
                }
                named = self._named.get((kind, at), [])
                after[kind].append(Thing(circuit.any([thing.known, *named]), fields, numbers))
        return after

    def _merged(self, old: Values, updates: list[tuple[Lit, Values | None]]) -> Values:
        """Return the bits after the one update that happens, if any."""
        circuit = self.circuit
        mine = [(when, new) for when, new in updates if new is not None and new != old]
        grouped: dict[Values, list[Lit]] = {}
        for when, new in mine:
            grouped.setdefault(new, []).append(when)
        pairs = [(circuit.any(whens), new) for new, whens in grouped.items()]
        stays = circuit.all([-when for when, _ in pairs])
        return tuple(
            circuit.select([(stays, bit), *((when, new[at]) for when, new in pairs)])
            for at, bit in enumerate(old)
        )

    def _number(
        self, old: tuple[Lit, Bits], updates: list[tuple[Lit, tuple[Lit, Bits] | None]]
    ) -> tuple[Lit, Bits]:
        flat = [(when, None if new is None else (new[0], *new[1])) for when, new in updates]
        merged = self._merged((old[0], *old[1]), flat)
        return merged[0], merged[1:]

    def _threads(self) -> None:
        circuit = self.circuit
        for number, thread in enumerate(self.before.threads):
            updates = [(circuit.both(u.when, self.record.thread[number]), u) for u in self._updates["thread"]]
            fields = {
                name: self._merged(bits, [(w, u.fields.get(name)) for w, u in updates])
                for name, bits in thread.fields.items()
            }
            self.after.threads.append(ThreadState(fields, []))
        self.stacks.move(self.after)


def broken(check: Check, moment: Moment) -> Lit:
    """Return whether a check certainly applies and is certainly not kept."""
    return moment.circuit.both(moment.level(check.when)[1], -moment.level(check.require)[0])


def only(at: int, count: int) -> Values:
    """Return the selectors of one of several objects."""
    return tuple(TRUE if n == at else FALSE for n in range(count))


__all__ = ["Expr", "Record", "Step", "broken", "only"]
