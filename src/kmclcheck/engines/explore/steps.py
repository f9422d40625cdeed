"""What a record does to a world, and which rules it breaks."""

from __future__ import annotations

from kmclcheck.engines.explore.conditions import NO, PERHAPS, YES, Moment
from kmclcheck.engines.explore.meaning import Judged, Meaning, Meanings
from kmclcheck.engines.explore.world import Choice, Frame, Thing, World
from kmclcheck.model.spec import Check, Rule

Broken = tuple[Rule, int | None]
"""A rule, and the place of the object that breaks it (``None``: that of a thread)."""


class Semantics:
    """Takes steps: one record at a time.

    ``unseen``: whether the trace may leave out callbacks, of a channel whose slots are empty. ``watched``: a
    rule; ``held`` tells whether the last step judged it and it was kept.
    """

    def __init__(self, meanings: Meanings, unseen: bool = False, watched: str | None = None) -> None:
        self.meanings = meanings
        self.spec = spec = meanings.spec
        self.compiler = compiler = meanings.compiler
        self.unseen = unseen
        self.watched = watched
        self.held = False
        self._initial: dict[str, tuple[int, ...]] = {}
        self._absent: dict[str, tuple[int, ...]] = {}
        self._dead: dict[str, list[tuple[int, int]]] = {}
        self._depth: dict[str, int] = {}
        mask = compiler.mask
        for kind in spec.kinds.values():
            enums = list(kind.enums.values())
            self._initial[kind.name] = tuple(mask(kind, f.name, frozenset({f.initial})) for f in enums)
            absent = [f.absent or frozenset({f.initial}) for f in enums]
            self._absent[kind.name] = tuple(mask(kind, f.name, v) for f, v in zip(enums, absent, strict=True))
            self._dead[kind.name] = [(at, mask(kind, f.name, f.dead)) for at, f in enumerate(enums) if f.dead]
            above, depth = kind.parent, 0
            while above is not None:
                above, depth = spec.kinds[above].parent, depth + 1
            self._depth[kind.name] = depth
        self.fresh_thread = self._initial.get("thread", ())

    # Objects.

    def absent(self, kind: str, parent: int | None) -> Thing:
        """Return what a handle stands for that names nobody."""
        sort = self.spec.kinds[kind]
        # Any number may be tried for an object of a scoped kind; a handle comes from a birth.
        return Thing(kind, parent, self._absent[kind], (None,) * len(sort.numbers), True, born=sort.scoped)

    def newborn(self, kind: str, parent: int | None) -> Thing:
        """Return an object at its birth."""
        return Thing(kind, parent, self._initial[kind], (None,) * len(self.spec.kinds[kind].numbers))

    def dead(self, kind: str, fields: tuple[int, ...]) -> bool:
        """Return whether an object has certainly ended."""
        ends = self._dead[kind]
        return bool(ends) and all(not fields[at] & ~mask for at, mask in ends)

    # Steps.

    def step(self, world: World, choice: Choice) -> tuple[World, list[Broken]] | None:
        """Return the world after a record and what the record breaks.

        ``None``: the record cannot be, as far as is known, or it leaves more open than the documents do.
        """
        self.held = False
        meaning = self.meanings.events[choice.name, choice.entry]
        frame: Frame | None = None
        stacks, own = world.stacks, world.own
        if choice.thread == len(stacks):
            stacks = (*stacks, ())
            own = (*own, self.fresh_thread)
        args = dict(choice.args)
        things = list(world.things)
        by_kind: dict[str, int] = {}
        if choice.entry:
            named = dict(choice.things)
            for kind, param in meaning.decl.objects.items():
                if param in named:
                    by_kind[kind] = named[param]
        else:
            stack = stacks[choice.thread]
            frame = stack[-1]
            stacks = (*stacks[: choice.thread], stack[:-1], *stacks[choice.thread + 1 :])
            args = {**dict(frame.args), **args}
            by_kind = dict(frame.things)
        if choice.fresh is not None:
            kind, _ = choice.fresh
            things.append(self.absent(kind, by_kind.get(self.spec.kinds[kind].parent or "")))
            by_kind[kind] = len(things) - 1
        for at in list(by_kind.values()):
            above = things[at].parent
            while above is not None:
                by_kind.setdefault(things[above].kind, above)
                above = things[above].parent
        before = World(tuple(things), stacks, own)
        moment = Moment(before, by_kind, choice.thread, frame, args, choice.status, choice.irql, {})
        if meaning.recorded is not None and meaning.recorded(moment) == NO:
            return None
        broken = self._judge(meaning, moment)
        born: dict[str, int] = {}
        for kind, (guard, loss) in meaning.births.items():
            if kind not in by_kind:
                continue
            level = guard(moment)
            if level == PERHAPS or (level == YES and loss(moment) == YES):
                return None
            if level == YES:
                born[kind] = by_kind[kind]
                moment.newborn[kind] = self._initial[kind]
        after = self._changes(meaning, moment, born, things)
        if after is None:
            return None
        broken += self._ended(moment, things, after, born, set(by_kind.values()) | set(after))
        if not self.unseen and not self._seen(after):
            return None
        old = {at: things[at] for at in born.values() if at < len(world.things)}
        for at, thing in after.items():
            things[at] = thing
        new = World(tuple(things), stacks, self._own(meaning, moment, own))
        if old:
            new = self._set_apart(new, old)
        if choice.entry:
            new = self._enter(new, meaning, choice, by_kind, args)
        if self.meanings.latched:
            new = self._latch(new, choice.thread)
        return new, broken

    def _judge(self, meaning: Meaning, moment: Moment) -> list[Broken]:
        broken: list[Broken] = []
        for one in meaning.checks:
            target = one.check.target
            if (target == "thread" or target in moment.places) and self._breaks(one, moment):
                broken.append((one.rule, moment.places.get(target)))
        for one in meaning.each:
            target = one.check.target
            parent = moment.places.get(one.check.each_of or self.spec.kinds[target].parent or "")
            for at, thing in enumerate(moment.world.things):
                if thing.kind == target and thing.parent == parent and parent is not None and _living(thing):
                    places = {**moment.places, target: at}
                    if self._breaks(one, _at(moment, places)):
                        broken.append((one.rule, at))
        return broken

    def _breaks(self, one: Judged, moment: Moment) -> bool:
        """Return whether a check is broken, and note if it is the watched one and is kept."""
        if one.broken(moment):
            return True
        if one.rule.id == self.watched and one.kept(moment):
            self.held = True
        return False

    def _changes(
        self, meaning: Meaning, moment: Moment, born: dict[str, int], things: list[Thing]
    ) -> dict[int, Thing] | None:
        """Return the objects that change, by place; ``None`` if a number would not be known."""
        after: dict[int, Thing] = {}
        for kind, at in born.items():
            after[at] = self.newborn(kind, moment.places.get(self.spec.kinds[kind].parent or ""))
        for kind, moves in meaning.moves.items():
            if kind == "thread" or kind not in moment.places:
                continue
            at = moment.places[kind]
            thing = after.get(at, things[at])
            fields = list(thing.fields)
            for move in moves:
                fields[move.field] = move.apply(thing.fields[move.field], moment)
            after[at] = thing._replace(fields=tuple(fields))
        for kind, number, guard, value, adds in meaning.assignments:
            level = guard(moment)
            if kind not in moment.places or level == NO:
                continue
            if level == PERHAPS:
                return None
            at = moment.places[kind]
            thing = after.get(at, things[at])
            new = None if value is None else value(moment)
            if value is not None and new is None:
                return None
            if adds and new is not None:
                new += thing.numbers[number] or 0
            numbers = (*thing.numbers[:number], new, *thing.numbers[number + 1 :])
            after[at] = thing._replace(numbers=numbers)
        for kind, moves in meaning.child_moves.items():
            parent = moment.places.get(self.spec.kinds[kind].parent or "")
            for at, thing in enumerate(things):
                if thing.kind == kind and thing.parent == parent and parent is not None and _living(thing):
                    fields = list(thing.fields)
                    for move in moves:
                        fields[move.field] = move.apply(thing.fields[move.field], moment)
                    after[at] = thing._replace(fields=tuple(fields))
        return after

    def _ended(
        self, moment: Moment, things: list[Thing], after: dict[int, Thing], born: dict[str, int],
        touched: set[int],
    ) -> list[Broken]:  # fmt: skip
        """Judge the obligations of objects that end here, and mark them."""
        broken: list[Broken] = []
        for at in sorted(touched):
            old = things[at]
            thing = after.get(at, old)
            if not self.dead(thing.kind, thing.fields):
                if thing.ended:
                    after[at] = thing._replace(ended=False)
                continue
            if old.ended and at not in born.values():
                continue
            ends = self.meanings.ends.get(thing.kind)
            if ends:
                places = {**moment.places, thing.kind: at}
                if thing.parent is not None:
                    places.setdefault(things[thing.parent].kind, thing.parent)
                world = moment.world._replace(things=tuple(after.get(i, t) for i, t in enumerate(things)))
                later = Moment(
                    world, places, moment.thread, None, moment.args, moment.status, moment.irql, {}
                )
                broken += [(one.rule, at) for one in ends if self._breaks(one, later)]
            after[at] = thing._replace(ended=True)
        return broken

    def _seen(self, after: dict[int, Thing]) -> bool:
        """Return whether every callback of the objects that changed is seen."""
        for thing in after.values():
            conditions = self.meanings.seen.get(thing.kind)
            if not conditions:
                continue
            alone = Moment(World((thing,), (), ()), {thing.kind: 0}, 0, None, {}, None, 0, {})
            ended = self.dead(thing.kind, thing.fields)
            if any((late if ended else living)(alone) != YES for living, late in conditions):
                return False
        return True

    @staticmethod
    def _set_apart(world: World, old: dict[int, Thing]) -> World:
        """Keep objects whose handles were given to new ones, for the calls that still speak of them."""
        things = list(world.things)
        moved: dict[int, int] = {}
        for at, thing in old.items():
            if any(at == place for stack in world.stacks for frame in stack for _, place in frame.things):
                moved[at] = len(things)
                things.append(thing._replace(ended=True, replaced=True))
        if not moved:
            return world

        def renamed(frame: Frame) -> Frame:
            pairs = tuple((kind, moved.get(place, place)) for kind, place in frame.things)
            # Of an object that was replaced, no call is the latest.
            return frame if pairs == frame.things else frame._replace(things=pairs, newest=frozenset())

        stacks = tuple(tuple(renamed(frame) for frame in stack) for stack in world.stacks)
        return World(tuple(things), stacks, world.own)

    def _own(
        self, meaning: Meaning, moment: Moment, own: tuple[tuple[int, ...], ...]
    ) -> tuple[tuple[int, ...], ...]:
        moves = meaning.moves.get("thread")
        if not moves:
            return own
        fields = list(own[moment.thread])
        for move in moves:
            fields[move.field] = move.apply(own[moment.thread][move.field], moment)
        return (*own[: moment.thread], tuple(fields), *own[moment.thread + 1 :])

    def _enter(
        self, world: World, meaning: Meaning, choice: Choice, by_kind: dict[str, int], args: dict[str, int]
    ) -> World:
        name = choice.name
        reads = self.meanings.events[name, False]
        overlaps: set[str] = set()
        primary = self._primary(meaning, by_kind) if meaning.groups else None
        stacks = list(world.stacks)
        for number, stack in enumerate(stacks):
            if not stack:
                continue
            changed = []
            for frame in stack:
                if number != choice.thread and any(by_kind.get(k) == at for k, at in frame.things):
                    if frame.name in reads.overlaps:
                        overlaps.add(frame.name)
                    if name in self.meanings.events[frame.name, False].overlaps:
                        frame = frame._replace(overlaps=frame.overlaps | {name})
                if meaning.groups and frame.newest and primary in frame.things:
                    frame = frame._replace(newest=frame.newest - set(meaning.groups))
                changed.append(frame)
            stacks[number] = tuple(changed)
        frame = Frame(
            name, tuple(sorted(by_kind.items())),
            tuple(sorted((k, v) for k, v in args.items() if k in reads.args)),
            frozenset(overlaps), frozenset(g for g in meaning.groups if g in reads.asked),
            (NO,) * len(self.meanings.latched) if reads.latches else (),
        )  # fmt: skip
        stacks[choice.thread] = (*stacks[choice.thread], frame)
        return World(world.things, tuple(stacks), world.own)

    def _primary(self, meaning: Meaning, by_kind: dict[str, int]) -> tuple[str, int] | None:
        """Return the object that a call is about: the innermost one that it names."""
        named = [(self._depth[kind], kind) for kind in meaning.decl.objects]
        if not named:
            return None
        kind = max(named)[1]
        return (kind, by_kind[kind]) if kind in by_kind else None

    def _latch(self, world: World, recording: int) -> World:
        """Note what holds now, for conditions on the moments between two records of a thread."""
        if not any(frame.latches for stack in world.stacks for frame in stack):
            return world
        stacks = []
        for number, stack in enumerate(world.stacks):
            changed = []
            for frame in stack:
                wanted = self.meanings.events[frame.name, False].latches
                if wanted:
                    moment = Moment(world, dict(frame.things), number, frame, dict(frame.args), None, 0, {})
                    now = list(frame.latches)
                    for at in wanted:
                        level = self.meanings.latched[at](moment)
                        now[at] = level if number == recording else max(level, now[at])
                    frame = frame._replace(latches=tuple(now))
                changed.append(frame)
            stacks.append(tuple(changed))
        return world._replace(stacks=tuple(stacks))

    # Ends.

    def at_end(self, world: World, hung: bool) -> list[Broken]:
        """Return the rules that are broken if the trace ends here, by unloading or because of a hang."""
        self.held = False
        broken: list[Broken] = []
        for at, thing in enumerate(world.things):
            ends = self.meanings.ends.get(thing.kind)
            if not ends or not _living(thing):
                continue
            places = {thing.kind: at}
            if thing.parent is not None:
                places[world.things[thing.parent].kind] = thing.parent
            moment = Moment(world, places, 0, None, {}, None, 0, {})
            for one in ends:
                if self._breaks(one, moment) and (
                    not hung or self._waits(world, one.check, at, thing.parent)
                ):
                    broken.append((one.rule, at))
        return broken

    @staticmethod
    def _waits(world: World, check: Check, at: int, parent: int | None) -> bool:
        return any(
            frame.name in check.hung_in and any(place in (at, parent) for _, place in frame.things)
            for stack in world.stacks
            for frame in stack
        )


def told(world: World, broken: list[Broken]) -> list[Broken]:
    """Return what is reported of several rules broken at once: those that yield to none of the others."""

    def yields(one: Broken, other: Broken) -> bool:
        return other[0].id in one[0].yields_to and _related(world, one[1], other[1])

    return [one for one in broken if not any(yields(one, other) for other in broken)]


def _living(thing: Thing) -> bool:
    return not thing.ended and not thing.replaced


def _related(world: World, one: int | None, other: int | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or world.things[one].parent == other or world.things[other].parent == one


def _at(moment: Moment, places: dict[str, int]) -> Moment:
    return Moment(
        moment.world, places, moment.thread, moment.frame, moment.args, moment.status, moment.irql,
        moment.newborn,
    )  # fmt: skip
