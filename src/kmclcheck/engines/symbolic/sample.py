"""States that can be reached, by walking at random: many walks at once, one per bit of a whole number."""

from __future__ import annotations

import random

from kmclcheck.engines.symbolic.circuit import Lit
from kmclcheck.engines.symbolic.step import Step

WALKS = 1024
STEPS = 240
_EVERY = 4
_RESTART = 6
"""A walk starts anew at one record in two to this power."""


Columns = dict[Lit, int]
"""For each bit of a state its values, one sample after the other."""


class Walker:
    """Walks at random from a state; a record that may not be leaves a walk where it is."""

    def __init__(self, step: Step, constraint: list[Lit]) -> None:
        self.step = step
        self.before = step.before.lits()
        self._rng = random.Random(1)
        self._full = (1 << WALKS) - 1
        self._next = step.after.lits()
        self._valid = step.circuit.all(constraint)
        self._nodes = step.circuit.needed([*self._next, self._valid])

    def walk(self, start: list[bool], steps: int, every: int = _EVERY) -> Columns:
        """Return the states that the walks met."""
        first = [self._full if value else 0 for value in start]
        parts: list[list[bytes]] = [[] for _ in self.before]
        state = list(first)
        for number in range(steps):
            state = self._advance(state, first)
            if number % every == every - 1:
                for part, bits in zip(parts, state, strict=True):
                    part.append(bits.to_bytes(WALKS // 8, "little"))
        columns = {}
        mask = (1 << (steps // every * WALKS)) - 1
        for lit, part in zip(self.before, parts, strict=True):
            columns[lit] = int.from_bytes(b"".join(part), "little")
            columns[-lit] = columns[lit] ^ mask
        return columns

    def _advance(self, state: list[int], first: list[int]) -> list[int]:
        full = self._full
        values = [0] * len(self.step.circuit.gates)
        values[1] = full
        for lit, bits in zip(self.before, state, strict=True):
            values[lit] = bits
        self._record(values)
        gates = self.step.circuit.gates
        for node in self._nodes:
            result = full
            for lit in gates[node]:
                result &= values[lit] if lit > 0 else full ^ values[-lit]
            values[node] = result
        valid = values[self._valid] if self._valid > 0 else full ^ values[-self._valid]
        restart = self._full
        for _ in range(_RESTART):
            restart &= self._rng.getrandbits(WALKS)
        stay = full ^ valid
        after = []
        for lit, old, start in zip(self._next, state, first, strict=True):
            new = values[lit] if lit > 0 else full ^ values[-lit]
            moved = (new & valid) | (old & stay)
            after.append((start & restart) | (moved & ~restart))
        return after

    def _record(self, values: list[int]) -> None:
        """Choose a record for every walk."""
        record, rng = self.step.record, self._rng
        enters = list(record.enter.values())
        # Calls have to return about as often as they begin.
        for lit in (*enters, record.leave, *record.thread, *record.status):
            if lit > 1:
                values[lit] = 0
        self._one_of(values, [*enters, *[record.leave] * max(1, len(enters) // 2)])
        for group in (record.thread, record.status, *record.objects.values()):
            self._one_of(values, list(group))
        for lit in [bit for bits in (*record.args.values(), record.irql) for bit in bits]:
            if lit > 1:
                values[lit] = rng.getrandbits(WALKS) & rng.getrandbits(WALKS)

    def _one_of(self, values: list[int], lits: list[Lit]) -> None:
        """Let every walk choose one: those who choose are split in halves until one is left."""
        todo = [(lits, self._full)]
        while todo:
            some, walks = todo.pop()
            if len(some) == 1:
                if some[0] > 1:
                    values[some[0]] |= walks
                continue
            middle = (len(some) + self._rng.getrandbits(1)) // 2
            heads = self._rng.getrandbits(WALKS)
            todo += [(some[:middle], walks & heads), (some[middle:], walks & ~heads)]
