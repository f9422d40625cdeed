"""The states of the transition system: objects, and threads with bounded stacks, as bits.

An enumerated field is a set of values, one bit per value. It is what is known of the field, so it moves
deterministically: what the documents leave open makes the set larger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kmclcheck.engines.symbolic.alphabet import Alphabet, Group
from kmclcheck.engines.symbolic.bounds import Bounds
from kmclcheck.engines.symbolic.circuit import FALSE, TRUE, Bits, Lit
from kmclcheck.engines.symbolic.cone import Cone
from kmclcheck.model.expr import Expr
from kmclcheck.model.spec import Spec

Source = Callable[[], Lit]


@dataclass(slots=True)
class Thing:
    """An object: whether an event of the trace made it, its fields and numbers."""

    known: Lit
    fields: dict[str, tuple[Lit, ...]]
    numbers: dict[str, tuple[Lit, Bits]]

    def lits(self) -> Iterator[Lit]:
        yield self.known
        for values in self.fields.values():
            yield from values
        for is_set, bits in self.numbers.values():
            yield is_set
            yield from bits


@dataclass(slots=True)
class Frame:
    """A place on a stack: which call is open there, if any, and what its return needs to know.

    ``objects`` only for kinds of which there are several. ``latches`` are what may hold and what must.
    """

    names: dict[str, Lit]
    objects: dict[str, tuple[Lit, ...]]
    args: dict[str, Bits]
    overlaps: dict[str, Lit]
    latest: dict[Group, Lit]
    latches: dict[Expr, tuple[Lit, Lit]]

    def lits(self) -> Iterator[Lit]:
        yield from self.names.values()
        for values in self.objects.values():
            yield from values
        for bits in self.args.values():
            yield from bits
        yield from self.overlaps.values()
        yield from self.latest.values()
        for pair in self.latches.values():
            yield from pair


@dataclass(slots=True)
class ThreadState:
    """A thread: its own fields, and its stack with the outermost call first."""

    fields: dict[str, tuple[Lit, ...]]
    frames: list[Frame]

    def lits(self) -> Iterator[Lit]:
        for values in self.fields.values():
            yield from values
        for frame in self.frames:
            yield from frame.lits()


@dataclass(slots=True)
class State:
    things: dict[str, list[Thing]]
    threads: list[ThreadState]

    def lits(self) -> list[Lit]:
        """Return all bits, in a fixed order."""
        found = [lit for things in self.things.values() for thing in things for lit in thing.lits()]
        return found + [lit for thread in self.threads for lit in thread.lits()]


@dataclass(slots=True)
class Layout:
    """Which bits a state has. ``parents[kind][i]`` is the place of the parent of an object."""

    spec: Spec
    cone: Cone
    alphabet: Alphabet
    bounds: Bounds
    kinds: tuple[str, ...] = ()
    parents: dict[str, list[int | None]] = field(default_factory=dict)
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    numbers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    frame_args: tuple[str, ...] = ()
    overlaps: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    latches: tuple[Expr, ...] = ()

    def __post_init__(self) -> None:
        spec, cone = self.spec, self.cone
        self.kinds = tuple(sorted(cone.kinds - {"thread"}, key=lambda k: (spec.depth(k), k)))
        for kind in self.kinds:
            above = spec.kinds[kind].parent
            places: list[int | None] = [None] if above is None else list(range(len(self.parents[above])))
            self.parents[kind] = [place for place in places for _ in range(self.bounds.of(kind))]
        for kind in (*self.kinds, "thread"):
            sort = spec.kinds.get(kind)
            enums, numbers = (sort.enums, sort.numbers) if sort is not None else ({}, {})
            self.fields[kind] = tuple(f for f in enums if (kind, f) in cone.fields)
            self.numbers[kind] = tuple(f for f in numbers if (kind, f) in cone.numbers)
        calls = self.alphabet.calls.values()
        self.frame_args = tuple(sorted({name for call in calls for name in call.kept}))
        self.overlaps = tuple(
            sorted({n for call in calls for n in call.overlaps if n in self.alphabet.calls})
        )
        self.groups = tuple(sorted({g for call in calls for g in call.groups}))
        self.latches = tuple({latch: None for call in calls for latch in call.latches})

    def several(self, kind: str) -> bool:
        """Return whether there may be more than one object of a kind."""
        return len(self.parents[kind]) > 1

    def free(self, source: Source) -> State:
        """Return a state of bits that the source gives."""

        def bits() -> Bits:
            return tuple(source() for _ in range(self.alphabet.width))

        def values(kind: str, name: str) -> tuple[Lit, ...]:
            return tuple(source() for _ in self.spec.kinds[kind].enums[name].values)

        things = {
            kind: [
                Thing(
                    source(),
                    {f: values(kind, f) for f in self.fields[kind]},
                    {f: (source(), bits()) for f in self.numbers[kind]},
                )
                for _ in places
            ]
            for kind, places in self.parents.items()
        }
        threads = [
            ThreadState(
                {f: values("thread", f) for f in self.fields["thread"]},
                [
                    Frame(
                        {name: source() for name in self.alphabet.calls},
                        {k: tuple(source() for _ in self.parents[k]) for k in self.kinds if self.several(k)},
                        {name: bits() for name in self.frame_args},
                        {name: source() for name in self.overlaps},
                        {group: source() for group in self.groups},
                        {latch: (source(), source()) for latch in self.latches},
                    )
                    for _ in range(self.bounds.depth)
                ],
            )
            for _ in range(self.bounds.threads)
        ]
        return State(things, threads)

    def initial(self) -> State:
        """Return the state before the first record: no call runs, and nothing was made."""
        state = self.free(lambda: FALSE)
        for kind, things in state.things.items():
            for thing in things:
                for name in thing.fields:
                    thing.fields[name] = self.absent(kind, name)
        for thread in state.threads:
            for name in thread.fields:
                thread.fields[name] = self.born("thread", name)
        return state

    def absent(self, kind: str, name: str) -> tuple[Lit, ...]:
        """Return the values of a field of a handle that names nobody."""
        enum = self.spec.kinds[kind].enums[name]
        values = enum.absent or frozenset({enum.initial})
        return tuple(TRUE if v in values else FALSE for v in enum.values)

    def born(self, kind: str, name: str) -> tuple[Lit, ...]:
        """Return the value of a field at a birth."""
        enum = self.spec.kinds[kind].enums[name]
        return tuple(TRUE if v == enum.initial else FALSE for v in enum.values)

    def dead_fields(self, kind: str) -> list[tuple[str, frozenset[str]]] | None:
        """Return the fields that say when an object has ended; ``None`` if some are not kept."""
        ends = [(f.name, f.dead) for f in self.spec.kinds[kind].enums.values() if f.dead]
        return ends if ends and all(name in self.fields[kind] for name, _ in ends) else None
