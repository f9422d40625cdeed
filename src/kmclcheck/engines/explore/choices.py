"""Which records may come next: every event that matters, with every argument that makes a difference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

from kmclcheck.engines.explore.meaning import Lines, Meanings
from kmclcheck.engines.explore.world import Choice, Frame, World
from kmclcheck.model import expr as e
from kmclcheck.model.spec import Direction, EventDecl, Spec

SUCCESS, FAILURE = 0, 0xC0000001
LENGTH = 64
"""The one number, besides 0, that a number field is given where nothing else is asked of it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a search looks at: threads, calls inside one another, and objects of each kind.

    ``unseen``: traces may leave out the callbacks of a channel that never shows any.
    """

    threads: int = 2
    depth: int = 3
    objects: tuple[tuple[str, int], ...] = (("channel", 1),)
    others: int = 1
    unseen: bool = False

    def of(self, kind: str) -> int:
        """Return how many objects of a kind there may be."""
        return dict(self.objects).get(kind, self.others)


@dataclass(slots=True)
class Values:
    """The values that make a difference at one event."""

    args: list[tuple[tuple[str, int], ...]]
    statuses: tuple[int | None, ...] = (None,)
    irqls: tuple[int, ...] = (0,)


@dataclass(slots=True)
class Entry:
    """How an entry names objects: kinds with their parameters, and the kinds that it may introduce."""

    decl: EventDecl
    wanted: list[tuple[str, str]] = field(default_factory=list)
    fresh: list[tuple[str, str]] = field(default_factory=list)


class Choices:
    """Gives the records that may follow a world, as far as a cone and bounds go."""

    def __init__(self, meanings: Meanings, bounds: Bounds) -> None:
        self.spec = spec = meanings.spec
        self.bounds = bounds
        self._values = {
            (name, entry): _values(spec, spec.events[name], entry, meanings)
            for name, entry in meanings.events
        }
        self._born: dict[str, tuple[str, str]] = {}
        self.entries: dict[str, Entry] = {}
        names = _unlike(meanings)
        self.events = frozenset((name, entry) for name in names for entry in (True, False))
        for name in names:
            decl = spec.events[name]
            births = [(k.name, b.event) for k in spec.kinds.values() for b in k.births if b.event[0] == name]
            for kind, event in births:
                if event[1] is decl.exit and spec.unknown_at_call(decl, decl.objects[kind]):
                    self._born[name] = kind, decl.objects[kind]
            entry = self.entries[name] = Entry(decl)
            entry.wanted = [(k, p) for k, p in decl.objects.items() if not spec.unknown_at_call(decl, p)]
            for kind, param in entry.wanted:
                sort = spec.kinds[kind]
                # Storage that an object begins in is named by the call already.
                born = any(kind == one for one, _ in births)
                if not sort.unknown_if_absent and (sort.scoped or born):
                    entry.fresh.append((kind, param))

    @property
    def making(self) -> dict[str, str]:
        """The calls whose exits make objects, with the kind."""
        return {name: kind for name, (kind, _) in self._born.items()}

    def after(self, world: World, names: frozenset[tuple[str, bool]]) -> Iterator[Choice]:
        """Give the records of the named events that may come next."""
        stacks = world.stacks
        for thread, stack in enumerate(stacks):
            if stack and (stack[-1].name, False) in names:
                yield from self._exits(world, thread, stack[-1])
        entering: list[int] = []
        idle: set[tuple[int, ...]] = set()
        for thread, stack in enumerate(stacks):
            # Threads without a call that have the same fields are alike: one of them stands for all.
            if not stack:
                if world.own[thread] in idle:
                    continue
                idle.add(world.own[thread])
            if len(stack) < self.bounds.depth:
                entering.append(thread)
        if len(stacks) < self.bounds.threads and not idle:
            entering.append(len(stacks))
        for name, entry in self.entries.items():
            if (name, True) not in names:
                continue
            objects: list[tuple[tuple[tuple[str, int], ...], tuple[str, str] | None]] | None = None
            values = self._values[name, True]
            for thread in entering:
                stack = stacks[thread] if thread < len(stacks) else ()
                # A thread inside the library comes out by a callback, one inside a callback by a call.
                if stack and self.spec.events[stack[-1].name].callback is entry.decl.callback:
                    continue
                if objects is None:
                    objects = list(self._objects(world, entry))
                for things, fresh in objects:
                    for args in values.args:
                        for irql in values.irqls:
                            yield Choice(name, True, thread, things, fresh, args, None, irql)

    def _exits(self, world: World, thread: int, frame: Frame) -> Iterator[Choice]:
        values = self._values[frame.name, False]
        born = self._born.get(frame.name)
        full = born is not None and self._full(world, born[0])
        for status in values.statuses:
            fresh = born if status is None or not status & 0x80000000 else None
            if fresh is not None and full:
                continue
            for args in values.args:
                yield Choice(frame.name, False, thread, (), fresh, args, status)

    def _full(self, world: World, kind: str) -> bool:
        return sum(t.kind == kind and not t.replaced for t in world.things) >= self.bounds.of(kind)

    def _objects(
        self, world: World, entry: Entry
    ) -> Iterator[tuple[tuple[tuple[str, int], ...], tuple[str, str] | None]]:
        """Give the objects that an entry may name; at most one that was not there before."""
        wanted = entry.wanted
        places = [
            [n for n, t in enumerate(world.things) if t.kind == kind and t.born and not t.replaced]
            for kind, _ in wanted
        ]
        for chosen in product(*places):
            if self._consistent(world, wanted, chosen):
                yield tuple((param, at) for (_, param), at in zip(wanted, chosen, strict=True)), None
        for fresh in entry.fresh:
            if self._full(world, fresh[0]):
                continue
            number = wanted.index(fresh)
            names = [w for n, w in enumerate(wanted) if n != number]
            for chosen in product(*(p for n, p in enumerate(places) if n != number)):
                if self._consistent(world, names, chosen):
                    yield tuple((p, at) for (_, p), at in zip(names, chosen, strict=True)), fresh

    def _consistent(self, world: World, wanted: list[tuple[str, str]], chosen: tuple[int, ...]) -> bool:
        """Whether objects that are named together belong together."""
        places = {kind: at for (kind, _), at in zip(wanted, chosen, strict=True)}
        for kind, at in places.items():
            parent = self.spec.kinds[kind].parent
            if parent in places and world.things[at].parent != places[parent]:
                return False
        return True


def _unlike(meanings: Meanings) -> list[str]:
    """Return the calls and callbacks of a cone, of those that mean the same only the first."""
    spec = meanings.spec
    found: dict[object, str] = {}
    asked: set[tuple[str, ...]] = set()
    for lines in meanings.lines.values():
        for expr in lines.conditions():
            for node in e.walk(expr):
                if isinstance(node, e.Inside | e.OpenFrame | e.Overlapped | e.Latest):
                    asked.add(node.names)
    for rule in meanings.rules:
        asked.update(check.hung_in for check in spec.rules[rule].checks)
    for name, decl in spec.events.items():
        if (name, True) in meanings.events:
            groups = frozenset(group for group in asked if name in group)
            handles = tuple((kind, spec.unknown_at_call(decl, param)) for kind, param in decl.objects.items())
            same = tuple(meanings.lines[name, entry].meaning() for entry in (True, False))
            key = decl.callback, decl.returns == "NTSTATUS", decl.recorded_when, groups, handles, same
            found.setdefault(key, name)
    return list(found.values())


def _values(spec: Spec, decl: EventDecl, entry: bool, meanings: Meanings) -> Values:
    """Find the values at which a condition changes its mind."""
    outs = {p.name for p in decl.params if p.direction is Direction.OUT} | {"Return"}
    handles = set(decl.objects.values())
    args: dict[str, set[int]] = {}
    statuses: set[int] = set()
    irqls = {0}
    for at in (True, False):
        lines = meanings.lines[decl.name, at]
        found, some, levels = _asked(lines)
        for name, values in found.items():
            args.setdefault(name, set()).update(values)
        statuses |= some
        if at is entry:
            irqls |= levels
    here = {
        name: sorted(values) for name, values in sorted(args.items())
        if name not in handles and (name in outs) is not entry
    }  # fmt: skip
    products = [tuple(zip(here, values, strict=True)) for values in product(*here.values())]
    if entry:
        return Values(products, (None,), tuple(sorted(irqls)))
    if decl.returns != "NTSTATUS":
        return Values(products)
    lines = meanings.lines[decl.name, False]
    plain = any(isinstance(n, e.StatusOk) for x in lines.conditions() for n in e.walk(x))
    # Where nobody asks for the status, success is as good as failure, unless a birth depends on it.
    return Values(
        products, tuple(sorted(statuses | ({SUCCESS, FAILURE} if plain or statuses else {SUCCESS})))
    )


def _asked(lines: Lines) -> tuple[dict[str, set[int]], set[int], set[int]]:
    """Return the values of arguments, the statuses and the levels that conditions tell apart."""
    args: dict[str, set[int]] = {}
    statuses: set[int] = set()
    irqls: set[int] = set()
    for expr in lines.conditions():
        for node in e.walk(expr):
            match node:
                case e.Compare(left=left, right=right):
                    for one, other in ((left, right), (right, left)):
                        around = _around(other)
                        if isinstance(one, e.Arg):
                            args.setdefault(one.name, set()).update(around)
                        elif isinstance(one, e.Irql):
                            irqls.update(around)
                case e.HasBits(term=e.Arg(name), mask=mask):
                    args.setdefault(name, set()).update((0, mask))
                case e.StatusIn(values):
                    statuses.update(values)
                case _:
                    pass
    for assignment in lines.assignments:
        if isinstance(assignment.value, e.Arg):
            args.setdefault(assignment.value.name, set()).update((0, LENGTH))
    return args, statuses, irqls


def _around(term: e.Term) -> set[int]:
    match term:
        case e.Number(value):
            return {v for v in (value - 1, value, value + 1) if v >= 0}
        case e.Scalar() | e.Arg():
            return {0, LENGTH - 1, LENGTH, LENGTH + 1}
        case _:
            return set()
