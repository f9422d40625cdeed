"""What conditions say at one event: whether they may hold and whether they must, depending on the facts."""

from __future__ import annotations

from dataclasses import dataclass, field

from kmclcheck.engines.symbolic.circuit import FALSE, TRUE, Lit
from kmclcheck.engines.symbolic.trace.calls import Call, Level, Maybe, Thread, Threads, either
from kmclcheck.engines.symbolic.trace.numbers import Quantity, compare
from kmclcheck.engines.symbolic.trace.objects import Objects, Thing, Values
from kmclcheck.model.event import Event
from kmclcheck.model.expr import (
    And,
    AnyChild,
    Arg,
    Compare,
    Expr,
    FieldIn,
    HasBits,
    Inside,
    Irql,
    IsSet,
    Latest,
    Not,
    Number,
    OpenFrame,
    Or,
    Overlapped,
    Scalar,
    Sometime,
    StatusIn,
    StatusOk,
    Term,
    Truth,
)

SUCCESS_BIT = 31
"""A status with this bit set means failure."""


@dataclass
class Scene:
    """One event with its objects, its thread and, at an exit, the call that ends.

    ``stand`` holds fields that stand for those an object has, by kind. Facts that only this event knows of,
    such as its IRQL, are made when they are asked for, and kept.
    """

    objects: Objects
    threads: Threads
    event: Event
    thread: Thread | None
    call: Call | None
    things: dict[str, Thing] = field(default_factory=dict)
    stand: dict[str, dict[str, Values]] = field(default_factory=dict)
    local: dict[object, Quantity] = field(default_factory=dict)
    missing: dict[str, Quantity] = field(default_factory=dict)
    guesses: dict[object, Lit] = field(default_factory=dict)
    mystery: dict[tuple[str, str], Values] = field(default_factory=dict)

    def having(self, things: dict[str, Thing]) -> Scene:
        """Return the scene with other objects."""
        return Scene(
            self.objects, self.threads, self.event, self.thread, self.call, things, self.stand,
            self.local, self.missing, self.guesses, self.mystery,
        )  # fmt: skip

    # Numbers.

    def given(self, name: str) -> int | None:
        """Return an argument of this very record, a name being what it is declared to be."""
        return plain(self.objects, self.event, name)

    def argument(self, name: str) -> Quantity:
        """Return an argument; an exit takes it from the record of its entry."""
        call = self.call
        own = name in self.event.args or call is None
        value = self.given(name) if own or call is None else plain(self.objects, call.event, name)
        if value is not None:
            return Quantity(value)
        kept = self.missing if own or call is None else call.missing
        if name not in kept:
            kept[name] = Quantity(None, f"no {name} argument in the trace")
        return kept[name]

    def keep_missing(self, call: Call) -> None:
        """Let an exit know the arguments that its entry did not tell by the same facts."""
        call.missing.update(self.missing)

    def status_value(self) -> int | None:
        """Return the status of the record."""
        status = self.event.status
        if isinstance(status, str):
            return self.objects.spec.statuses.get(status)
        return None if status is None else status & 0xFFFFFFFF

    @property
    def failed(self) -> bool:
        """Whether the record shows a failure."""
        status = self.status_value()
        return status is not None and bool(status >> SUCCESS_BIT & 1)

    def _local(self, key: object, value: int | None, reason: str) -> Quantity:
        if value is not None:
            return Quantity(value)
        if key not in self.local:
            self.local[key] = Quantity(None, reason)
        return self.local[key]

    def _status(self) -> Quantity:
        return self._local(StatusOk, self.status_value(), "no returned status in the trace")

    def _irql(self) -> Quantity:
        return self._local(Irql, self.event.irql, "no IRQL in the trace")

    def number(self, kind: str, name: str) -> Quantity:
        """Return a number field of an object of the event."""
        thing, cause = self.things.get(kind), self.objects.cause()
        if thing is None:
            return self._local((kind, name), None, cause)
        found = thing.number(name, cause)
        if found.value is None and not found.unset:
            return self.local.setdefault((id(thing), name), found)
        return found

    def term(self, term: Term) -> Quantity:
        """Return the number that a term stands for."""
        match term:
            case Number(value):
                return Quantity(value)
            case Arg(name):
                return self.argument(name)
            case Irql():
                return self._irql()
            case Scalar(kind, name, counter):
                found = self.number(kind, name)
                return Quantity(0) if counter and found.unset else found

    # Conditions.

    def level(self, expr: Expr) -> Level:
        """Return whether a condition may hold, and whether it must."""
        facts = self.objects.facts
        circuit = facts.circuit
        match expr:
            case And(operands):
                pairs = [self.level(o) for o in operands]
                return circuit.all([may for may, _ in pairs]), circuit.all([must for _, must in pairs])
            case Or(operands):
                pairs = [self.level(o) for o in operands]
                return circuit.any([may for may, _ in pairs]), circuit.any([must for _, must in pairs])
            case Not(operand):
                may, must = self.level(operand)
                return -must, -may
            case Truth(value):
                return (TRUE, TRUE) if value else (FALSE, FALSE)
            case FieldIn(kind, name, values):
                return self._in(kind, name, self.field(kind, name), values)
            case IsSet(kind, name):
                return _plain(self.number(kind, name).is_set(facts))
            case Compare(op, left, right):
                one, other = self.term(left), self.term(right)
                if one.unset or other.unset:
                    return self._guess(expr, None, "the number was never set")
                return _plain(compare(facts, op, one, other))
            case HasBits(term, mask):
                quantity = self.term(term)
                if quantity.unset:
                    return self._guess(expr, None, "the number was never set")
                return _plain(quantity.has(facts, mask))
            case StatusOk():
                return _plain(-self._status_bits()[SUCCESS_BIT])
            case StatusIn(values):
                bits = self._status_bits()
                same = [circuit.equal(bits, circuit.number(value, len(bits))) for value in sorted(values)]
                return _plain(circuit.any(same))
            case Inside(names, kind):
                return self._inside(expr, names, kind)
            case OpenFrame(names, kind):
                thing = self.things.get(kind)
                return self._guess((expr, id(thing)), self._running(names, thing))
            case Overlapped(names):
                return self._guess(expr, self._overlapped(names))
            case Latest(names):
                return self._guess(expr, self._latest(names))
            case AnyChild(parent, kind, condition):
                return self._any_child(expr, parent, kind, condition)
            case Sometime(condition):
                return self._sometime(expr, condition)

    def _status_bits(self) -> tuple[Lit, ...]:
        return self._status().bits(self.objects.facts)[:32]

    def _guess(self, key: object, known: Maybe, reason: str = "") -> Level:
        """Return what is known, or a fact of this event that is not known."""
        if known is not None:
            return (TRUE, TRUE) if known else (FALSE, FALSE)
        if key not in self.guesses:
            self.guesses[key] = self.objects.facts.unknown(reason or self.objects.cause())
        return _plain(self.guesses[key])

    # Fields.

    def field(self, kind: str, name: str) -> Values:
        """Return the values that a field of an object of the event may have."""
        if kind in self.stand:
            return self.stand[kind][name]
        if kind in self.things:
            return self.things[kind].fields[name]
        if (kind, name) not in self.mystery:
            enum = self.objects.spec.kinds[kind].enums[name]
            self.mystery[kind, name] = self.objects.unknown(enum)
        return self.mystery[kind, name]

    def _in(self, kind: str, name: str, bits: Values, values: frozenset[str]) -> Level:
        circuit = self.objects.facts.circuit
        pairs = list(zip(self.objects.spec.kinds[kind].enums[name].values, bits, strict=True))
        may = circuit.any([bit for value, bit in pairs if value in values])
        return may, -circuit.any([bit for value, bit in pairs if value not in values])

    def _any_child(self, expr: AnyChild, parent: str, kind: str, condition: Expr) -> Level:
        assert isinstance(condition, FieldIn)
        circuit, above = self.objects.facts.circuit, self.things.get(parent)
        children = self.objects.children(above, kind) if above is not None else []
        levels = [
            self._in(kind, condition.field, self.objects.look(child)[condition.field], condition.values)
            for child in children
        ]
        if self.objects.others(above, kind):
            levels.append(self._guess((expr, id(above)), None))
        return circuit.any([may for may, _ in levels]), circuit.any([must for _, must in levels])

    # Calls.

    def _inside(self, expr: Expr, names: tuple[str, ...], kind: str | None) -> Level:
        thing = None if kind is None else self.things.get(kind)
        known: Maybe = False
        if self.thread is not None:
            known = self.threads.inside(self.thread, names, thing)
            if kind is not None and (thing is None or thing.nameless):
                known = known and None
            if known is False and not self.objects.recorded.entries(names):
                known = None
        told = self.thread is None or self.thread.told
        return self._guess((expr, id(thing)), known, "" if told else "no thread ids in the trace")

    def _running(self, names: tuple[str, ...], thing: Thing | None) -> Maybe:
        if thing is None or thing.nameless:
            return None
        found: Maybe = False if thing.whole and self.objects.recorded.entries(names) else None
        for call in self.threads.calls():
            if call.name in names and call is not self.call and call.held.get(thing.kind.name) is thing:
                found = either(found, True if call.sure else None)
        return found

    def _overlapped(self, names: tuple[str, ...]) -> Maybe:
        call = self.call
        if call is None:
            return None
        about = call.about
        known = about is not None and about.whole and call.sure and self.objects.recorded.entries(names)
        return either(False if known else None, *(so for name, so in call.overlaps.items() if name in names))

    def _latest(self, names: tuple[str, ...]) -> Maybe:
        about = None if self.call is None else self.call.about
        newest = None if about is None else about.entries.get(names)
        if about is None or newest is None or self.call is None:
            return None
        return newest == self.call.serial and not about.replaced

    def _sometime(self, expr: Expr, condition: Expr) -> Level:
        latched = None if self.call is None else self.call.latches.get(condition)
        if latched is None or self.thread is None:
            return self._guess(expr, None)
        if not self.thread.told:
            # Which record of its own thread came last is not known.
            guess = self._guess(expr, None, "no thread ids in the trace")
            circuit = self.objects.facts.circuit
            return circuit.either(latched[0], guess[0]), circuit.either(latched[1], guess[1])
        return latched


def plain(objects: Objects, event: Event, name: str) -> int | None:
    """Return an argument of a record, a name being what it is declared to be."""
    value = event.args.get(name)
    if isinstance(value, str):
        return objects.spec.statuses.get(value, objects.spec.constants.get(value))
    return value


def _plain(lit: Lit) -> Level:
    return lit, lit
