"""How many records a counterexample still needs at the least.

From what is possible (see ``possible``) follow two lower bounds:

* the number of rounds, each with every record that is possible by then, until the rule could be broken;
* the number of different events without any one of which the rule could not be broken, one as often as
  what it does must already have happened because of an earlier one. What returns must have been called;
  where no call may be running at the end, what is called must return.
"""

from __future__ import annotations

from kmclcheck.engines.explore.possible import Relaxed
from kmclcheck.engines.explore.world import World

NEVER = 1 << 30


class Estimate:
    """The least number of records to a counterexample, by world."""

    def __init__(self, relaxed: Relaxed) -> None:
        self.relaxed = relaxed
        self._known: dict[int, tuple[int, int]] = {}
        self._marked: dict[tuple[int, tuple[tuple[str, int], ...]], tuple[int, int]] = {}

    def __call__(self, world: World, closely: bool = False) -> int:
        """Return the least number of records that a counterexample still needs, or ``NEVER``.

        To look ``closely`` takes longer and gives no smaller number.
        """
        now = self.relaxed.possible(world)
        at_once, idle = self._known.get(now) or self._rounds(now)
        running = sum(map(len, world.stacks))
        if closely and min(at_once, idle) < NEVER:
            calls: dict[str, int] = {}
            for stack in world.stacks:
                for frame in stack:
                    calls[frame.name] = calls.get(frame.name, 0) + 1
            key = now, tuple(sorted(calls.items()))
            marked = self._marked.get(key)
            if marked is None:
                marked = self._marked[key] = self._marks(now, calls)
            at_once, idle = max(at_once, marked[0]), max(idle, marked[1])
        return min(at_once, max(idle, running))

    def _rounds(self, now: int) -> tuple[int, int]:
        """Return the rounds to a goal, and to one at which no call may be running."""
        found = [NEVER, NEVER]
        first = now
        ways = {goal.idle for goal in self.relaxed.goals}
        left = self.relaxed.effects
        rounds = 0
        while True:
            for goal in self.relaxed.goals:
                if rounds + goal.record < found[goal.idle] and all(now & c for c in goal.clauses):
                    found[goal.idle] = rounds + goal.record
            more, after = [], now
            for effect in left:
                if all(now & c for c in effect[0]):
                    after |= effect[1]
                else:
                    more.append(effect)
            if after == now or all(rounds >= found[way] for way in ways):
                self._known[first] = found[0], found[1]
                return found[0], found[1]
            now, left = after, more
            rounds += 1

    def _marks(self, now: int, open_calls: dict[str, int]) -> tuple[int, int]:
        """Return how many events a goal needs, and one at which no call may be running.

        What a fact needs is what every way to it has in common: events, and single effects of events.
        """
        events = len(self.relaxed.events)
        effects: list[tuple[list[list[int]], list[int], int, int]] = []
        for number, (needed, gained, unit) in enumerate(self.relaxed.effects):
            if gained & ~now:
                left = [_bits(c) for c in needed if not c & now]
                effects.append((left, _bits(gained & ~now), unit | 1 << events + number, number))
        # Negative: not reached so far; everything is common to no ways at all.
        common = [0 if now >> at & 1 else -1 for at in range(len(self.relaxed.facts))]
        before: dict[int, int] = {}
        changed = True
        while changed:
            changed = False
            for clauses, facts, units, number in effects:
                needs = _union(clauses, common)
                if needs < 0:
                    continue
                before[number] = needs
                needs |= units
                for fact in facts:
                    if common[fact] & needs != common[fact]:
                        common[fact] &= needs
                        changed = True
        found = [NEVER, NEVER]
        for goal in self.relaxed.goals:
            needs = _union([_bits(c) for c in goal.clauses if not c & now], common)
            if needs >= 0:
                times = self._times(needs, before)
                if goal.event is not None:
                    times[goal.event] = times.get(goal.event, 0) + 1
                found[goal.idle] = min(found[goal.idle], self._count(times, goal.idle, open_calls))
        return found[0], found[1]

    def _count(self, times: dict[int, int], idle: bool, running: dict[str, int]) -> int:
        """Return how many records there are at the least if each event occurs so often.

        What returns was called, now or earlier; what was called returns if no call may be running.
        """
        calls: dict[str, list[int]] = {}
        for event, number in times.items():
            name, entry = self.relaxed.events[event]
            calls.setdefault(name, [0, 0])[not entry] = number
        count = 0
        for name, (entries, exits) in calls.items():
            earlier = running.get(name, 0)
            entries = max(entries, exits - earlier)
            count += entries + max(exits, entries + earlier if idle else 0)
        if idle:
            count += sum(number for name, number in running.items() if name not in calls)
        return count

    def _times(self, needs: int, before: dict[int, int]) -> dict[int, int]:
        """Return how often each event has to occur at the least.

        An effect that needs another one of its own event needs a second record.
        """
        events = len(self.relaxed.events)
        ranks: dict[int, int] = {}

        def rank(effect: int) -> int:
            known = ranks.get(effect)
            if known is None:
                ranks[effect] = 1  # no effect needs itself; this only guards the recursion
                mine = before.get(effect, 0) >> events & self.relaxed.same[effect]
                known = ranks[effect] = 1 + max(map(rank, _bits(mine)), default=0)
            return known

        times = dict.fromkeys(_bits(needs & (1 << events) - 1), 1)
        for effect in _bits(needs >> events):
            event = self.relaxed.effects[effect][2].bit_length() - 1
            times[event] = max(times.get(event, 1), rank(effect))
        return times


def _bits(facts: int) -> list[int]:
    found = []
    while facts:
        lowest = facts & -facts
        found.append(lowest.bit_length() - 1)
        facts ^= lowest
    return found


def _union(clauses: list[list[int]], common: list[int]) -> int:
    """Return what a condition needs, negative if it cannot hold."""
    needs = 0
    for clause in clauses:
        shared = -1
        for fact in clause:
            shared &= common[fact]
        if shared < 0:
            return -1
        needs |= shared
    return needs
