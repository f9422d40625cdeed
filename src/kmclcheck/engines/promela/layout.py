"""The state of a model: which objects there are, which members they have, what a frame remembers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kmclcheck.engines.promela.bounds import Bounds
from kmclcheck.engines.promela.calls import Call
from kmclcheck.engines.promela.cone import Cone
from kmclcheck.engines.promela.text import Bool, every, member, negation, union
from kmclcheck.model.expr import Expr
from kmclcheck.model.spec import Spec

Names = tuple[str, ...]

Set = str | frozenset[str]
"""A set of values of a field: known, or the text of an expression."""


@dataclass(slots=True)
class Layout:
    """What the names in a model stand for. ``parents[kind][i]`` is the place of the parent of an object.

    ``running`` and ``inside`` are counters of open calls on an object (``None``: on any), on all threads and
    on each; they are noted when a condition asks for them. ``groups`` numbers the lists of calls.
    """

    spec: Spec
    cone: Cone
    bounds: Bounds
    calls: dict[str, Call]
    kinds: tuple[str, ...] = ()
    parents: dict[str, list[int | None]] = field(default_factory=dict)
    running: dict[tuple[Names, str, int], None] = field(default_factory=dict)
    inside: dict[tuple[Names, str | None, int], None] = field(default_factory=dict)
    groups: dict[Names, str] = field(default_factory=dict)
    moments: dict[Expr, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kinds = tuple(sorted(self.cone.kinds, key=lambda k: (self.spec.depth(k), k)))
        for kind in self.kinds:
            above = self.spec.kinds[kind].parent
            places: list[int | None] = [None] if above is None else list(range(len(self.parents[above])))
            self.parents[kind] = [place for place in places for _ in range(self.bounds.of(kind))]

    def several(self, kind: str) -> bool:
        """Return whether there may be more than one object of a kind."""
        return len(self.parents[kind]) > 1

    def group(self, names: Iterable[str]) -> str:
        """Return the name of a list of calls: that of the only one, or a number of its own."""
        key = tuple(names)
        if len(key) == 1:
            return key[0]
        return self.groups.setdefault(key, f"calls{len(self.groups) + 1}")

    # Members.

    def field(self, kind: str, place: int, name: str) -> str:
        """Return the text of a field: a set of values as bits."""
        return f"my.{member(name)}" if kind == "thread" else f"{kind}[{place}].{member(name)}"

    def known(self, kind: str, place: int) -> str:
        return f"{kind}[{place}].known"

    def values(self, kind: str, name: str, values: Iterable[str]) -> str:
        """Return the text of a set of values of a field."""
        chosen = set(values)
        order = self.spec.kinds[kind].enums[name].values
        return union(f"{kind}_{name}_{value}" for value in order if value in chosen)

    def set(self, kind: str, name: str, values: Set) -> str:
        """Return the text of a set of values."""
        return values if isinstance(values, str) else self.values(kind, name, values)

    def among(self, now: Set, kind: str, name: str, values: frozenset[str]) -> tuple[Bool, Bool]:
        """Return whether a set of values holds one of some, and nothing else."""
        if isinstance(now, frozenset):
            return bool(now & values), now <= values
        rest = frozenset(self.spec.kinds[kind].enums[name].values) - values
        if not values or not rest:
            return bool(values), not rest
        wanted, others = self.values(kind, name, values), self.values(kind, name, rest)
        if len(values) <= len(rest):
            return f"may_be({now}, {wanted})", f"only({now}, {wanted})"
        return f"!only({now}, {others})", f"!may_be({now}, {others})"

    def initial(self, kind: str, name: str) -> frozenset[str]:
        """Return the values of a field at a birth."""
        return frozenset({self.spec.kinds[kind].enums[name].initial})

    def absent(self, kind: str, name: str) -> frozenset[str]:
        """Return the values of a field of a handle that names nobody."""
        return self.spec.kinds[kind].enums[name].absent or self.initial(kind, name)

    def fields(self, kind: str) -> list[str]:
        sort = self.spec.kinds.get(kind)
        return [f for f in sort.enums if (kind, f) in self.cone.fields] if sort is not None else []

    def numbers(self, kind: str) -> list[str]:
        return [f for f in self.spec.kinds[kind].numbers if (kind, f) in self.cone.numbers]

    # Objects.

    def dead(self, kind: str, place: int, moved: dict[tuple[str, int, str], Set]) -> Bool:
        """Return whether an object has certainly ended; ``moved`` are fields that have just changed."""
        ends = [(f.name, f.dead) for f in self.spec.kinds[kind].enums.values() if f.dead]
        if not ends or any((kind, name) not in self.cone.fields for name, _ in ends):
            return False
        return every(
            self.among(moved.get((kind, place, n)) or self.field(kind, place, n), kind, n, values)[1]
            for n, values in ends
        )

    def alive(self, kind: str, place: int) -> Bool:
        """Return whether an object exists and has not certainly ended."""
        known: Bool = True if self.spec.kinds[kind].scoped else self.known(kind, place)
        return every([known, negation(self.dead(kind, place, {}))])

    def placed(self, kinds: Names, chosen: dict[str, int] | None = None) -> Iterator[dict[str, int]]:
        """Give every choice of objects of these kinds, outermost first, that belong together."""
        chosen = chosen or {}
        if not kinds:
            yield chosen
            return
        kind, parent = kinds[0], self.spec.kinds[kinds[0]].parent
        for place, above in enumerate(self.parents[kind]):
            if parent is None or chosen.get(parent, above) == above:
                yield from self.placed(kinds[1:], {**chosen, kind: place})

    def children(self, kind: str, parent: int) -> list[int]:
        """Return the places of the objects of a kind that belong to a parent."""
        return [at for at, above in enumerate(self.parents[kind]) if above == parent]

    def handle(self, kind: str, place: int) -> int:
        """Return the handle in printed records: an address, or a small number for what is numbered."""
        if self.spec.kinds[kind].scoped:
            return place + 1
        return 0x1000 * (list(self.spec.kinds).index(kind) + 1) + 0x10 * (place + 1)

    # Open calls.

    def on(self, frame: str, kind: str, place: int) -> Bool:
        """Return whether an open call, which holds an object of the kind, is on this one."""
        return f"({frame}.{member(kind)} == {place})" if self.several(kind) else True

    def overlaps(self) -> list[str]:
        """Return the calls of which it is asked whether they overlapped another. One thread has none."""
        if self.bounds.threads == 1:
            return []
        return sorted({n for c in self.calls.values() for n in c.overlaps if n in self.calls})

    def sometime(self, condition: Expr) -> str:
        """Return the name of a condition of which it is asked whether it held sometime."""
        return self.moments.setdefault(condition, f"sometime{len(self.moments) + 1}")

    def frames(self) -> list[tuple[int, str]]:
        """Return every place on a stack with its thread."""
        return [
            (thread, f"thread[{thread}].frame[{level}]")
            for thread in range(self.bounds.threads)
            for level in range(self.bounds.depth)
        ]
