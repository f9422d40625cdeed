"""Models of the solver as records of a trace."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from kmclcheck.engines.symbolic.alphabet import Call, entry_arguments
from kmclcheck.engines.symbolic.circuit import Bits, Lit
from kmclcheck.engines.symbolic.state import Layout
from kmclcheck.engines.symbolic.unroll import Trace
from kmclcheck.model.event import ArgValue, Event
from kmclcheck.model.spec import EventDecl

_STEP = 100


def records(
    trace: Trace, length: int, free: bool = False
) -> tuple[list[Event], list[dict[str, dict[str, str]]]]:
    """Return the records of a model, and the fields of every object after each.

    With ``free``, the first state is one that the model chose, and it comes first among the states.
    """
    wanted = [lit for lits in (*trace.records[:length], *trace.states[: length + 1]) for lit in lits]
    values = trace.solver.values(wanted)
    events: list[Event] = []
    states: list[dict[str, dict[str, str]]] = []
    stacks: dict[int, list[str]] = {}
    if free:
        states.append(_state(trace, 0, values))
        stacks = _stacks(trace, values)
    for number in range(length):
        events.append(Decoder(trace, number, values).event(stacks))
        states.append(_state(trace, number + 1, values))
    return events, states


class Decoder:
    """Reads one record of a model. ``name`` gives the handle of an object, by kind and place."""

    def __init__(
        self,
        trace: Trace,
        number: int,
        values: dict[Lit, bool],
        name: Callable[[str, int], int] | None = None,
    ) -> None:
        system = trace.system
        self._name = name or partial(handle, system.layout)
        self.layout = system.layout
        self.number = number
        self.bits = {1: True}
        for source, lit in zip(system.inputs, trace.records[number], strict=True):
            self.bits[source] = values[lit]
        self.record = system.step.record

    def _true(self, lit: Lit) -> bool:
        return self.bits[lit] if lit > 0 else not self.bits[-lit]

    def _first(self, lits: tuple[Lit, ...]) -> int | None:
        return next((at for at, lit in enumerate(lits) if self._true(lit)), None)

    def _number(self, bits: Bits) -> int:
        return sum(1 << at for at, lit in enumerate(bits) if self._true(lit))

    @property
    def thread(self) -> int:
        return self._first(self.record.thread) or 0

    @property
    def entered(self) -> str | None:
        """The call that begins, ``None`` where one ends."""
        if self._true(self.record.leave):
            return None
        return next(name for name, lit in self.record.enter.items() if self._true(lit))

    @property
    def irql(self) -> int:
        return self._number(self.record.irql)

    def status(self, call: Call) -> int | None:
        """Return the status of the return of a call."""
        statuses = self.layout.alphabet.statuses
        return statuses[self._first(self.record.status) or 0] if call.returns_status else None

    def args(self, call: Call, entry: bool) -> dict[str, ArgValue]:
        """Return the arguments of the entry or of the return of a call."""
        return self._entry_args(call) if entry else self._exit_args(call)

    def place(self, kind: str) -> int:
        """Return which object of a kind the record is about."""
        return (self._first(self.record.objects[kind]) if self.layout.several(kind) else 0) or 0

    def event(self, stacks: dict[int, list[str]]) -> Event:
        """Return the record as an event; ``stacks`` are the calls that run on each thread."""
        thread = self.thread
        stack = stacks.setdefault(thread, [])
        entered = self.entered
        if entered is not None:
            stack.append(entered)
        entry = entered is not None
        call = self.layout.alphabet.calls[stack[-1] if entry else stack.pop()]
        return Event(
            call.name, call.decl.entry if entry else call.decl.exit, self.args(call, entry),
            None if entry else self.status(call), self.number + 1,
            (self.number + 1) * _STEP, thread, 4, 0x10 + 4 * thread,
            self.irql if entry else 0, line=self.number + 1,
        )  # fmt: skip

    def _entry_args(self, call: Call) -> dict[str, ArgValue]:
        known = entry_arguments(self.layout.cone, call)
        args: dict[str, ArgValue] = {}
        handles = {param: kind for kind, param in call.decl.objects.items()}
        for param in call.decl.params:
            kind = handles.get(param.name)
            if call.decl.is_result(param.name) and kind not in call.named:
                continue
            if kind is not None:
                args[param.name] = self._handle(kind)
            elif param.name in known:
                args[param.name] = self._number(self.record.args[param.name])
            else:
                args[param.name] = harmless(call.decl, param.name)
        return args

    def _exit_args(self, call: Call) -> dict[str, ArgValue]:
        args: dict[str, ArgValue] = {name: self._number(self.record.args[name]) for name in call.given}
        if call.made is not None and self._first(self.record.objects[call.made]) is not None:
            args[call.decl.objects[call.made]] = self._handle(call.made)
        elif "Return" in call.decl.objects.values() and call.made is not None:
            args["Return"] = 0
        return args

    def _handle(self, kind: str) -> int:
        return self._name(kind, self.place(kind))


def handle(layout: Layout, kind: str, at: int) -> int:
    """Return the handle of an object: an address, or a small number for what is numbered."""
    if layout.spec.kinds[kind].scoped:
        return at + 1
    return 0x1000 * (list(layout.spec.kinds).index(kind) + 1) + 0x10 * (at + 1)


def harmless(decl: EventDecl, name: str) -> int:
    """Return a value of an argument that nothing in the cone asks about."""
    param = next(p for p in decl.params if p.name == name)
    if param.type == "BOOLEAN":
        # Behind a pointer: a routine is registered. Of the call itself: nothing special is asked for.
        return 1 if param.extra else 0
    return 0 if param.optional else 1


def _state(trace: Trace, number: int, values: dict[Lit, bool]) -> dict[str, dict[str, str]]:
    layout = trace.system.layout
    bits = iter(trace.states[number])
    state = layout.free(lambda: next(bits))
    found: dict[str, dict[str, str]] = {}
    for kind, things in state.things.items():
        for at, thing in enumerate(things):
            if not _true(values, thing.known):
                continue
            fields = found[f"{kind} 0x{handle(layout, kind, at):x}"] = {}
            for name, lits in thing.fields.items():
                order = layout.spec.kinds[kind].enums[name].values
                fields[name] = " or ".join(
                    v for v, lit in zip(order, lits, strict=True) if _true(values, lit)
                )
            for name, (is_set, number_bits) in thing.numbers.items():
                value = sum(1 << n for n, lit in enumerate(number_bits) if _true(values, lit))
                fields[name] = str(value) if _true(values, is_set) else "not set"
    return found


def _stacks(trace: Trace, values: dict[Lit, bool]) -> dict[int, list[str]]:
    """Return the calls that run in the first state."""
    bits = iter(trace.states[0])
    state = trace.system.layout.free(lambda: next(bits))
    return {
        number: [name for frame in thread.frames for name, lit in frame.names.items() if _true(values, lit)]
        for number, thread in enumerate(state.threads)
    }


def _true(values: dict[Lit, bool], lit: Lit) -> bool:
    return True if lit == 1 else False if lit == -1 else values[lit]
