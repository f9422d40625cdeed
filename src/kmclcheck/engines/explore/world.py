"""The states of the explicit-state search: small immutable values.

Everything is known here: the driver starts from nothing, and every record is seen. What the documents
leave open stays open, so an enumerated field is a set of values, kept as a bit mask in the order of its
declaration.
"""

from __future__ import annotations

from typing import NamedTuple

Group = tuple[str, ...]


class Thing(NamedTuple):
    """An object. ``parent`` is its place in the world.

    ``numbers`` are ``None`` until they are assigned. ``ended``: its obligations were judged. ``replaced``: a
    newer object has its handle; only calls that began before still speak of it. ``born``: calls may name it.
    """

    kind: str
    parent: int | None
    fields: tuple[int, ...]
    numbers: tuple[int | None, ...]
    ended: bool = False
    replaced: bool = False
    born: bool = True


class Frame(NamedTuple):
    """A call or callback that is running.

    ``things``: places of its objects by kind. ``overlaps``: names of calls on one of its objects that ran
    at the same time. ``newest``: the groups of which it is the latest entry on its object. ``latches``:
    conditions on the moments since its thread's last record, with what they came to. Of all this, only
    what its exit can ask for is kept.
    """

    name: str
    things: tuple[tuple[str, int], ...]
    args: tuple[tuple[str, int], ...]
    overlaps: frozenset[str]
    newest: frozenset[Group]
    latches: tuple[int, ...]

    def place(self, kind: str) -> int | None:
        """Return the place of the frame's object of a kind."""
        for name, at in self.things:
            if name == kind:
                return at
        return None


class World(NamedTuple):
    """Objects by place, and threads: the stack and the own fields of each, outermost call first."""

    things: tuple[Thing, ...]
    stacks: tuple[tuple[Frame, ...], ...]
    own: tuple[tuple[int, ...], ...]


class Choice(NamedTuple):
    """One record: which event, on which thread, and everything that it carries.

    ``things``: places by parameter. ``fresh``: the kind of a new object that it names, with its parameter.
    """

    name: str
    entry: bool
    thread: int
    things: tuple[tuple[str, int], ...] = ()
    fresh: tuple[str, str] | None = None
    args: tuple[tuple[str, int], ...] = ()
    status: int | None = None
    irql: int = 0


NOTHING = World((), (), ())
