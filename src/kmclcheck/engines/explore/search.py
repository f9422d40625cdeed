"""The shortest records after which exactly one rule is reported: a best-first search.

Worlds are looked at in the order of the records that led to them plus those that are still needed at the
least (see ``estimate``), so the first counterexample that comes up is a shortest one, and until then the
least such sum is a lower bound. Two worlds that differ only in what nothing can ask for are looked at
once; every reduction is exact:

* threads are alike: only which stacks there are counts, not on which thread each is, and a thread
  without a call whose own fields are those of a new one need not be there;
* of calls of which it matters neither that they run nor that they end, only the kind is kept, since it
  decides what may be called next on their thread;
* such a call that changes nothing when it begins is not made at all unless it breaks the rule: leaving out
  its records leaves a counterexample.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

from kmclcheck.engines.explore.choices import Bounds, Choices
from kmclcheck.engines.explore.cone import Cone
from kmclcheck.engines.explore.estimate import NEVER, Estimate
from kmclcheck.engines.explore.meaning import Meanings
from kmclcheck.engines.explore.possible import Relaxed
from kmclcheck.engines.explore.steps import Semantics, told
from kmclcheck.engines.explore.world import NOTHING, Choice, Frame, World
from kmclcheck.model.event import End
from kmclcheck.model.spec import Rule, Spec

Key = tuple[object, ...]

_NARROW_LIMIT = 800


@dataclass(frozen=True, slots=True)
class Found:
    """Records in order, the worlds after them, and how the trace ends."""

    choices: tuple[Choice, ...]
    worlds: tuple[World, ...]
    end: End
    visited: int


@dataclass(frozen=True, slots=True)
class NotFound:
    """No counterexample has ``length`` records or fewer; ``exhausted``: none has any number of them."""

    length: int
    exhausted: bool
    visited: int


@dataclass(frozen=True, slots=True)
class _Node:
    """A world on a shortest way to it so far."""

    world: World
    length: int
    before: _Node | None
    choice: Choice | None
    end: End | None = None


class Search:
    """Looks for the shortest records that break a rule and none of some others.

    Of the ``candidates`` those are added to the others whose events occur anyway, or (``wide``) that are
    judged at any event that does: more to look at, and fewer ways to go. A ``witness`` is the opposite of a
    counterexample: records that the rule is judged at, and that break nothing.
    """

    def __init__(
        self,
        spec: Spec,
        rule: str,
        others: frozenset[str],
        bounds: Bounds,
        candidates: frozenset[str],
        wide: bool = False,
        witness: bool = False,
    ) -> None:
        self.witness = witness
        self.spec = spec
        self.rule = rule
        cone = Cone(spec).reach([rule, *sorted(others)])
        left = candidates - others - {rule}
        while True:
            more = {id for id in left if _concerns(spec.rules[id], cone, wide)}
            if not more:
                break
            left -= more
            cone.reach(sorted(more))
        self.others = frozenset(cone.rules) - {rule}
        self.meanings = Meanings(spec, cone, self.others | {rule})
        self.semantics = Semantics(self.meanings, bounds.unseen, rule if witness else None)
        self.choices = Choices(self.meanings, bounds)
        self.relaxed = Relaxed(self.meanings, self.choices, bounds, rule, witness)
        self.estimate = Estimate(self.relaxed)
        self.visited = 0
        self._numbers: dict[Frame | str, int] = {}
        self._frames: dict[str, str] = {
            name: "<callback>" if spec.events[name].callback else "<call>" for name in self.meanings.neutral
        }

    def run(
        self, deadline: float, limit: int | None = None, start: Sequence[Choice] = ()
    ) -> Found | NotFound:
        """Search until a counterexample is found, or none can be.

        Give up when the time is over, or after a number of worlds. ``start``: records that
        come first, whatever follows.
        """
        root = self._after(start)
        if root is None:
            return NotFound(len(start), True, 0)
        first = root.length + self.estimate(root.world)
        tie = count()
        queue: list[tuple[int, int, int, _Node]] = []
        best: dict[Key, int] = {self._key(root.world): root.length}
        if first < NEVER:
            heappush(queue, (first, 0, next(tie), root))
        bound = 0
        while queue:
            total, _, _, node = heappop(queue)
            if node.end is not None:
                return self._found(node)
            bound = max(bound, total)
            if best[self._key(node.world)] < node.length:
                continue
            needed = node.length + self.estimate(node.world, closely=True)
            if needed > total:
                if needed < NEVER:
                    heappush(queue, (needed, -node.length, next(tie), node))
                continue
            self.visited += 1
            if time.perf_counter() > deadline or (limit is not None and self.visited > limit):
                return NotFound(bound - 1, False, self.visited)
            for after in self._next(node):
                if after.end is not None:
                    heappush(queue, (after.length, -after.length, next(tie), after))
                    continue
                key = self._key(after.world)
                if best.get(key, NEVER) <= after.length:
                    continue
                best[key] = after.length
                needed = self.estimate(after.world)
                if needed < NEVER:
                    heappush(queue, (after.length + needed, -after.length, next(tie), after))
                end = self._end(after.world)
                if end is not None:
                    goal = _Node(after.world, after.length, node, after.choice, end)
                    heappush(queue, (goal.length, -goal.length, next(tie), goal))
        return NotFound(bound, True, self.visited)

    def _after(self, start: Sequence[Choice]) -> _Node | None:
        """Return the world after some records, or ``None`` if they cannot be or break something."""
        node = _Node(NOTHING, 0, None, None)
        for choice in start:
            made = None
            if (choice.name, choice.entry) in self.meanings.events:
                made = self.semantics.step(node.world, choice)
            if made is None or made[1]:
                return None
            node = _Node(made[0], node.length + 1, node, choice)
        return node

    def _next(self, node: _Node) -> list[_Node]:
        world, length = node.world, node.length + 1
        found: list[_Node] = []
        names = self.relaxed.allowed(self.relaxed.possible(world))
        for choice in self.choices.after(world, names):
            made = self.semantics.step(world, choice)
            if made is None:
                continue
            after, broken = made
            if self.witness and self.semantics.held and not broken:
                found.append(_Node(after, length, node, choice, End.STOPPED))
            if broken:
                if not self.witness and {one[0].id for one in told(after, broken)} == {self.rule}:
                    found.append(_Node(after, length, node, choice, End.STOPPED))
                continue
            if choice.entry and choice.name in self._frames and _idle(world, after, choice):
                continue
            found.append(_Node(after, length, node, choice))
        return found

    def _end(self, world: World) -> End | None:
        """Return how the trace has to end here so that the rule alone is broken, if it can."""
        for end, hung in ((End.UNLOADED, False), (End.HUNG, True)):
            if any(world.stacks) is not hung:
                continue
            broken = self.semantics.at_end(world, hung)
            if self.witness:
                if not hung and not broken and self.semantics.held:
                    return end
                continue
            if broken and {one[0].id for one in told(world, broken)} == {self.rule}:
                return end
        return None

    def _key(self, world: World) -> Key:
        threads: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        for stack, own in zip(world.stacks, world.own, strict=True):
            if stack or own != self.semantics.fresh_thread:
                threads.append((tuple(self._number(frame) for frame in stack), own))
        if len(threads) > 1:
            threads.sort()
        return (world.things, *threads)

    def _number(self, frame: Frame) -> int:
        """Return the same number for calls that differ in nothing that matters."""
        kept: Frame | str = self._frames.get(frame.name, frame)
        return self._numbers.setdefault(kept, len(self._numbers))

    def _found(self, node: _Node) -> Found:
        choices: list[Choice] = []
        worlds: list[World] = []
        at = node
        while at.before is not None and at.choice is not None:
            choices.append(at.choice)
            worlds.append(at.world)
            at = at.before
        return Found(tuple(reversed(choices)), tuple(reversed(worlds)), node.end or End.STOPPED, self.visited)


def shortest(
    spec: Spec,
    rule: str,
    others: frozenset[str],
    bounds: Bounds,
    seconds: float,
    candidates: frozenset[str] = frozenset(),
    witness: bool = False,
    start: Sequence[Choice] = (),
) -> Found | NotFound:
    """Return the shortest records that break a rule and none of ``others``.

    That is a lower bound for records that break the rule alone. Both ways to take other rules into
    account are exact; the second is tried where the first one takes long.
    """
    deadline = time.perf_counter() + seconds

    def search(wide: bool) -> Search:
        return Search(spec, rule, others, bounds, candidates, wide, witness)

    found = search(False).run(deadline, _NARROW_LIMIT, start)
    given_up = isinstance(found, NotFound) and (not found.exhausted or bool(start))
    if not given_up or time.perf_counter() > deadline:
        return found
    last = search(True).run(deadline, start=start)
    if isinstance(found, NotFound) and isinstance(last, NotFound) and last.length < found.length:
        return NotFound(found.length, last.exhausted, found.visited + last.visited)
    return last


def _idle(before: World, after: World, choice: Choice) -> bool:
    """Whether an entry changed nothing but that its call is running now."""
    stacks = after.stacks
    stacks = (*stacks[: choice.thread], stacks[choice.thread][:-1], *stacks[choice.thread + 1 :])
    if choice.thread == len(before.stacks):
        return before.things == after.things and before.stacks == stacks[:-1]
    return before.things == after.things and before.stacks == stacks and before.own == after.own


def _concerns(rule: Rule, cone: Cone, wide: bool) -> bool:
    events = {check.event for check in rule.checks if check.event is not None}
    if wide:
        return not events.isdisjoint(cone.events)
    return events <= cone.events and Cone(cone.spec).reach([rule.id]).events <= cone.events
