"""Facts that a trace does not tell, the evidence about them, and what follows.

Most questions need no solver: constants fold away, and a set of samples, ways in which the facts may be that
agree with all evidence, shows that something is possible. Only that it is not possible has to be proved.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence

from kmclcheck.engines.judging import OutOfTimeError
from kmclcheck.engines.symbolic.circuit import FALSE, TRUE, Circuit, Lit
from kmclcheck.engines.symbolic.solver import Answer, Solver

SAMPLES = 64
ALL = (1 << SAMPLES) - 1

DEALS = 256
"""How many ways to share samples out among values are drawn for each number of values."""

ASK_SECONDS = 10.0
"""How long the solver may think about one question."""

QUESTIONS_KEPT = 300
"""After so many questions a new solver begins: it need not carry along what no question is about any more."""


class Facts:
    """Everything that is not known, and all that is known of it.

    Each input has a word, one bit for each sample. Inputs that some evidence relates form a group; a
    question looks at the evidence of its own groups only.
    """

    def __init__(self, seconds: float) -> None:
        self.circuit = Circuit()
        self.questions = 0
        self._until = time.monotonic() + seconds
        self._random = random.Random(0)
        self._deals: dict[int, list[list[int]]] = {}
        self._drawn: dict[int, int] = {}
        self._words: dict[int, int] = {}
        self._reasons: dict[int, str] = {}
        self._group: dict[int, int] = {}
        self._members: dict[int, list[int]] = {}
        self._evidence: dict[int, list[Lit]] = {}
        self._forced: dict[int, Lit] = {}
        self._solver = Solver(self.circuit, small=True)
        self._turn = 0

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return self._until - time.monotonic()

    def check_time(self) -> None:
        """Raise OutOfTimeError if no time is left."""
        if self.left <= 0:
            raise OutOfTimeError("the time is used up")

    # What is not known.

    def unknown(self, reason: str) -> Lit:
        """Return a new fact that may be true or false. ``reason`` says why it is not known."""
        return self._input(reason, self._random.getrandbits(SAMPLES))

    def _input(self, reason: str, word: int) -> Lit:
        node = self.circuit.input()
        self._drawn[node] = word
        self._reasons[node] = reason
        return node

    def one_of(self, allowed: Sequence[bool], reason: str) -> tuple[Lit, ...]:
        """Return literals of which exactly one is true, and only one that is allowed."""
        places = [at for at, yes in enumerate(allowed) if yes]
        bits = [FALSE] * len(allowed)
        words = self._deal(len(places))
        before: list[Lit] = []
        for at, word in zip(places[:-1], words, strict=False):
            this = self._input(reason, word)
            bits[at] = self.circuit.all([*before, this])
            before.append(-this)
        bits[places[-1]] = self.circuit.all(before)
        return tuple(bits)

    def _deal(self, count: int) -> list[int]:
        """Return one word for each of several values, so that each sample has one of the values."""
        deals = self._deals.setdefault(count, [])
        if len(deals) < DEALS:
            words = [0] * count
            for lane in range(SAMPLES):
                words[self._random.randrange(count)] |= 1 << lane
            deals.append(words)
            return words
        return self._random.choice(deals)

    def reason(self, lit: Lit, general: str) -> str:
        """Return why the truth of a literal is not known, or nothing if no fact is missing.

        What one event does not tell says more than the ``general`` reason why data is missing.
        """
        inputs = self._inputs([lit])
        special = [node for node in inputs if self._reasons[node] != general]
        return self._reasons[max(special)] if special else general if inputs else ""

    # Questions.

    def answer(self, lit: Lit) -> Answer:
        """Return whether a literal can be true, as far as the evidence goes."""
        lit = self._known(lit)
        if lit in (TRUE, FALSE):
            return Answer.YES if lit == TRUE else Answer.NO
        return Answer.YES if self._word(lit) else self._ask(lit)

    def possible(self, lit: Lit) -> bool:
        """Return whether a literal can be true. Where the solver does not know, it can."""
        return self.answer(lit) is not Answer.NO

    def certain(self, lit: Lit) -> bool:
        """Return whether a literal has to be true. Where the solver does not know, it need not."""
        return self.answer(-lit) is Answer.NO

    def reduced(self, lits: tuple[Lit, ...]) -> tuple[Lit, ...]:
        """Return literals with those that have to be true, or cannot be, as constants."""
        return tuple(self._reduced(lit) for lit in lits)

    def _reduced(self, lit: Lit) -> Lit:
        lit = self._known(lit)
        if lit in (TRUE, FALSE):
            return lit
        word = self._word(lit)
        if word == 0 and self._ask(lit) is Answer.NO:
            self._force(-lit)
            return FALSE
        if word == ALL and self._ask(-lit) is Answer.NO:
            self._force(lit)
            return TRUE
        return lit

    def _force(self, lit: Lit) -> None:
        self._forced[abs(lit)] = TRUE if lit > 0 else FALSE

    def _known(self, lit: Lit) -> Lit:
        found = self._forced.get(abs(lit))
        return lit if found is None else found if lit > 0 else -found

    def _ask(self, lit: Lit) -> Answer:
        """Ask the solver; if it says yes, one of the samples becomes what it found."""
        self.check_time()
        inputs = self._inputs([lit])
        roots = {self._root(node) for node in inputs if node in self._group}
        evidence = [e for root in roots for e in self._evidence[root]]
        self.questions += 1
        if self.questions % QUESTIONS_KEPT == 0:
            self._solver = Solver(self.circuit, small=True)
        result = self._solver.check([*evidence, lit], min(ASK_SECONDS, self.left))
        if result is Answer.YES:
            nodes = {node for root in roots for node in self._members[root]} | inputs
            lane = 1 << self._turn % SAMPLES
            self._turn += 1
            for node, value in self._solver.values(sorted(nodes)).items():
                self._drawn[node] = self._drawn[node] | lane if value else self._drawn[node] & ~lane
            self._words.clear()
        elif result is Answer.UNKNOWN:
            self.check_time()
        return result

    # Evidence.

    def learn(self, lit: Lit) -> Answer:
        """Let a literal be true from now on, if it can be. Return whether it can."""
        lit = self._known(lit)
        found = self.answer(lit)
        if lit == TRUE or found is not Answer.YES:
            return found
        root = self._join(self._inputs([lit]))
        self._evidence[root].append(lit)
        self._mend(root, self._word(lit))
        return found

    def _mend(self, root: int, good: int) -> None:
        """Make the samples that contradict new evidence copies of those that do not."""
        if good == ALL:
            return
        lanes = [lane for lane in range(SAMPLES) if good >> lane & 1]
        bad = [lane for lane in range(SAMPLES) if not good >> lane & 1]
        for node in self._members[root]:
            word = self._drawn[node]
            kept = word & good
            for number, lane in enumerate(bad):
                kept |= (word >> lanes[number % len(lanes)] & 1) << lane
            self._drawn[node] = kept
        self._words.clear()

    def _join(self, inputs: Iterable[int]) -> int:
        """Make the inputs one group; return its root."""
        roots = set()
        for node in inputs:
            if node not in self._group:
                self._group[node] = node
                self._members[node] = [node]
                self._evidence[node] = []
            roots.add(self._root(node))
        first, *others = sorted(roots, key=lambda root: -len(self._members[root]))
        for root in others:
            self._group[root] = first
            self._members[first] += self._members.pop(root)
            self._evidence[first] += self._evidence.pop(root)
        return first

    def _root(self, node: int) -> int:
        while self._group[node] != node:
            self._group[node] = self._group[self._group[node]]
            node = self._group[node]
        return node

    # Circuits.

    def _inputs(self, lits: Iterable[Lit]) -> set[int]:
        gates, seen = self.circuit.gates, {1}
        todo = [abs(lit) for lit in lits]
        found: set[int] = set()
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                if gates[node]:
                    todo += [abs(lit) for lit in gates[node]]
                else:
                    found.add(node)
        return found

    def _word(self, lit: Lit) -> int:
        """Return the truth of a literal in each of the samples."""
        words, gates = self._words, self.circuit.gates
        todo = [abs(lit)]
        while todo:
            node = todo[-1]
            if node in words:
                todo.pop()
            elif node == 1:
                words[node] = ALL
            elif not gates[node]:
                words[node] = self._drawn[node]
            else:
                missing = [abs(o) for o in gates[node] if abs(o) not in words]
                if missing:
                    todo += missing
                    continue
                word = ALL
                for operand in gates[node]:
                    word &= words[operand] if operand > 0 else ~words[-operand]
                words[node] = word
        found = words[abs(lit)]
        return found if lit > 0 else ALL & ~found


__all__ = ["FALSE", "TRUE", "Answer", "Facts", "Lit"]
