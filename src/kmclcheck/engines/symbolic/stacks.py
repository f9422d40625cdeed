"""Threads and their stacks: which call ends, what runs meanwhile, what a return remembers of its call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmclcheck.engines.symbolic.alphabet import Call
from kmclcheck.engines.symbolic.circuit import FALSE, TRUE, Bits, Circuit, Lit
from kmclcheck.engines.symbolic.conditions import Moment
from kmclcheck.engines.symbolic.state import Frame, Layout, State
from kmclcheck.model.expr import Expr

if TYPE_CHECKING:
    from kmclcheck.engines.symbolic.step import Record


class Stacks:
    """The stacks at one step. ``left`` is the call that ends here; ``running`` the places that go on.

    ``alternating``: functions are called by the driver, callbacks by the library or from outside.
    """

    def __init__(self, circuit: Circuit, layout: Layout, before: State, record: Record) -> None:
        self.circuit = circuit
        self.layout = layout
        self.before = before
        self.record = record
        self.valid: list[Lit] = []
        self.alternating: list[Lit] = []
        depth = layout.bounds.depth
        busy = [[circuit.any(f.names.values()) for f in t.frames] for t in before.threads]
        self.busy = busy
        tops = [
            [circuit.both(b[d], -b[d + 1] if d + 1 < depth else TRUE) for d in range(depth)] for b in busy
        ]
        self.pops = [
            [circuit.both(record.leave, thread, top) for top in row]
            for thread, row in zip(record.thread, tops, strict=True)
        ]
        self.pushes = [
            [circuit.both(-record.leave, thread, -row[d], row[d - 1] if d else TRUE) for d in range(depth)]
            for thread, row in zip(record.thread, busy, strict=True)
        ]
        self.running = [[-pop for pop in row] for row in self.pops]
        for number, thread in enumerate(record.thread):
            self._require(circuit.both(record.leave, thread), busy[number][0])
            self._require(circuit.both(-record.leave, thread), -busy[number][-1])
            if number and not layout.fields["thread"] and not layout.bounds.named:
                # Threads without a call are alike: the first of them stands for all.
                self._require(
                    circuit.both(-record.leave, thread), circuit.either(busy[number][0], busy[number - 1][0])
                )
            self.alternating += self._alternate(number, thread, tops[number])
        if not layout.bounds.nested:
            self.valid += self.alternating
        self.left = self._left()

    def _require(self, condition: Lit, result: Lit) -> None:
        self.valid.append(self.circuit.either(-condition, result))

    def _alternate(self, number: int, thread: Lit, tops: list[Lit]) -> list[Lit]:
        """Return that a function is called by code of the driver, a callback by the library."""
        circuit, calls = self.circuit, self.layout.alphabet.calls
        found = []
        for at, top in enumerate(tops):
            names = self.before.threads[number].frames[at].names
            here = circuit.both(thread, top)
            callback = circuit.any([names[c.name] for c in calls.values() if c.decl.callback])
            for call in calls.values():
                wanted = -callback if call.decl.callback else callback
                found.append(circuit.either(-here, -self.record.enter[call.name], wanted))
        return found

    def _left(self) -> Frame:
        """Return the call that ends, whichever thread it is on."""
        circuit = self.circuit
        places = [
            (pop, frame)
            for row, thread in zip(self.pops, self.before.threads, strict=True)
            for pop, frame in zip(row, thread.frames, strict=True)
        ]
        first = places[0][1]

        def bits(get: list[tuple[Lit, Bits]]) -> Bits:
            return tuple(
                circuit.select([(pop, value[at]) for pop, value in get]) for at in range(len(get[0][1]))
            )

        return Frame(
            {n: circuit.select([(p, f.names[n]) for p, f in places]) for n in first.names},
            {k: bits([(p, f.objects[k]) for p, f in places]) for k in first.objects},
            {n: bits([(p, f.args[n]) for p, f in places]) for n in first.args},
            {n: circuit.select([(p, f.overlaps[n]) for p, f in places]) for n in first.overlaps},
            {g: circuit.select([(p, f.latest[g]) for p, f in places]) for g in first.latest},
            {
                e: (
                    circuit.select([(p, f.latches[e][0]) for p, f in places]),
                    circuit.select([(p, f.latches[e][1]) for p, f in places]),
                )
                for e in first.latches
            },
        )

    def held(self, kind: str, at: int) -> Lit:
        """Return whether some call that goes on is on an object."""
        found = []
        for row, thread in zip(self.running, self.before.threads, strict=True):
            for running, frame in zip(row, thread.frames, strict=True):
                names = [frame.names[c.name] for c in self._on(kind)]
                mine = frame.objects[kind][at] if self.layout.several(kind) else TRUE
                found.append(self.circuit.both(running, self.circuit.any(names), mine))
        return self.circuit.any(found)

    def _on(self, kind: str) -> list[Call]:
        return [call for call in self.layout.alphabet.calls.values() if kind in call.held]

    def _shares(self, frame: Frame, kinds: tuple[str, ...]) -> Lit:
        """Return whether an open call and the one that begins are on one object."""
        circuit, record = self.circuit, self.record
        found = []
        for kind in kinds:
            theirs = circuit.any([frame.names[c.name] for c in self._on(kind)])
            ours = circuit.any([record.enter[c.name] for c in self._on(kind)])
            found.append(circuit.both(theirs, ours, self._same(frame, kind)))
        return circuit.any(found)

    def _same(self, frame: Frame, kind: str) -> Lit:
        if not self.layout.several(kind):
            return TRUE
        return self.circuit.select(zip(frame.objects[kind], self.record.objects[kind], strict=True))

    def _same_primary(self, frame: Frame) -> Lit:
        """Return whether an open call and the one that begins are about one object."""
        circuit, calls = self.circuit, self.layout.alphabet.calls.values()
        found = []
        for kind in self.layout.kinds:
            mine = [c.name for c in calls if c.primary == kind]
            theirs = circuit.any([frame.names[n] for n in mine])
            ours = circuit.any([self.record.enter[n] for n in mine])
            found.append(circuit.both(theirs, ours, self._same(frame, kind)))
        return circuit.any(found)

    def move(self, after: State) -> None:
        """Fill the stacks of the next state."""
        layout = self.layout
        for number, thread in enumerate(self.before.threads):
            after.threads[number].frames = [
                self._next(number, at, frame) for at, frame in enumerate(thread.frames)
            ]
        for latch in layout.latches:
            self._latch(after, latch)

    def _next(self, number: int, at: int, frame: Frame) -> Frame:
        circuit, record, layout = self.circuit, self.record, self.layout
        push, pop = self.pushes[number][at], self.pops[number][at]
        elsewhere = -record.thread[number]
        shares = self._shares(frame, layout.kinds) if layout.overlaps else FALSE
        names = {
            n: circuit.either(circuit.both(push, record.enter[n]), circuit.both(frame.names[n], -pop))
            for n in frame.names
        }
        overlaps = {}
        for name, old in frame.overlaps.items():
            grown = circuit.either(old, circuit.both(elsewhere, shares, record.enter[name]))
            overlaps[name] = circuit.choose(push, self._overlapped(number, name), grown)
        latest = {}
        for group, old in frame.latest.items():
            entered = circuit.any([record.enter[n] for n in group if n in record.enter])
            kept = circuit.both(old, -circuit.both(entered, self._same_primary(frame)))
            latest[group] = circuit.choose(push, entered, kept)
        return Frame(
            names,
            {k: circuit.choose_bits(push, record.objects[k], old) for k, old in frame.objects.items()},
            {
                n: circuit.choose_bits(push, record.args[n], old) if n in record.args else old
                for n, old in frame.args.items()
            },
            overlaps,
            latest,
            dict(frame.latches),
        )

    def _overlapped(self, number: int, name: str) -> Lit:
        """Return whether a call of this name runs on another thread and on an object of the new one."""
        found = []
        for other, thread in enumerate(self.before.threads):
            if other != number:
                for frame in thread.frames:
                    found.append(self.circuit.both(frame.names[name], self._shares(frame, self.layout.kinds)))
        return self.circuit.any(found)

    def _latch(self, after: State, latch: Expr) -> None:
        """Note what holds now, for conditions on the moments between two records of a thread."""
        circuit, layout = self.circuit, self.layout
        for number, thread in enumerate(after.threads):
            for at, frame in enumerate(thread.frames):
                running = [
                    [FALSE if (number, at) == (t, d) else TRUE for d in range(layout.bounds.depth)]
                    for t in range(layout.bounds.threads)
                ]
                chosen = {k: frame.objects[k] if layout.several(k) else (TRUE,) for k in layout.kinds}
                mine = tuple(TRUE if t == number else FALSE for t in range(layout.bounds.threads))
                moment = Moment(circuit, layout, after, chosen, mine, running)
                may, must = moment.level(latch)
                old = self.before.threads[number].frames[at].latches[latch]
                here = self.record.thread[number]
                frame.latches[latch] = (
                    circuit.either(may, circuit.both(-here, old[0])),
                    circuit.either(must, circuit.both(-here, old[1])),
                )
