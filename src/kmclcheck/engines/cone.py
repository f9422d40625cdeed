"""What a check depends on: the fields that can influence it, directly or through guards."""

from __future__ import annotations

from kmclcheck.model.expr import (
    AnyChild,
    Compare,
    Expr,
    FieldIn,
    HasBits,
    Inside,
    IsSet,
    Latest,
    OpenFrame,
    Overlapped,
    Scalar,
    walk,
)
from kmclcheck.model.spec import Check, Spec

Field = tuple[str, str]
"""Object kind and field name."""


class Cones:
    """The cones of a specification's checks, each worked out once."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._found: dict[tuple[Check, bool], tuple[frozenset[Field], frozenset[str]]] = {}

    def of(self, check: Check, hidden: bool) -> tuple[frozenset[Field], frozenset[str]]:
        """Return the fields that can influence a check, and the calls whose frames it looks at.

        With ``hidden``, also the fields that say whether a callback can go unseen.
        """
        found = self._found.get((check, hidden))
        if found is not None:
            return found
        fields: set[Field] = set()
        names: set[str] = set()
        todo: list[Expr] = [check.when, check.require]
        seen_fields: set[Field] = set()
        while todo:
            fresh, frames = reads(todo)
            names |= frames
            fields |= fresh
            todo = []
            for kind, name in fields - seen_fields:
                machine = self.spec.machines.get((kind, name))
                if machine is not None:
                    todo += [line.guard for line in machine.transitions]
                    if hidden:
                        shown = {
                            self.spec.events[line.event[0]].recorded_when for line in machine.transitions
                        }
                        todo += [condition for condition in shown if condition is not None]
                todo += [a.guard for a in self.spec.assignments if (a.kind, a.field) == (kind, name)]
                for birth in self.spec.kinds[kind].births:
                    todo.append(birth.guard)
            seen_fields |= fields
        found = self._found[check, hidden] = (frozenset(fields), frozenset(names))
        return found


def reads(exprs: list[Expr]) -> tuple[set[Field], set[str]]:
    """Return the fields that conditions read themselves, and the calls whose frames they look at."""
    fields: set[Field] = set()
    names: set[str] = set()
    for expr in exprs:
        for node in walk(expr):
            match node:
                case FieldIn(kind=kind, field=field) | IsSet(kind=kind, field=field):
                    fields.add((kind, field))
                case Compare(left=left, right=right):
                    fields.update((t.kind, t.field) for t in (left, right) if isinstance(t, Scalar))
                case HasBits(term=Scalar(kind=kind, field=field)):
                    fields.add((kind, field))
                case (
                    Inside(names=frames)
                    | OpenFrame(names=frames)
                    | Overlapped(names=frames)
                    | Latest(names=frames)
                ):
                    names.update(frames)
                case AnyChild():
                    pass
                case _:
                    pass
    return fields, names
