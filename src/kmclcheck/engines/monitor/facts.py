"""The context facts of an event that its outcome depends on, read as cheaply as can be.

The IRQL and the status have few values, so they enter the key of an outcome as they are; of every
other atom the truth does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kmclcheck.engines.monitor.context import Context, argument, latest
from kmclcheck.engines.monitor.frames import Frame, Thread
from kmclcheck.engines.monitor.state import Run
from kmclcheck.engines.monitor.store import Obj
from kmclcheck.model.event import Event
from kmclcheck.model.expr import (
    Arg,
    Compare,
    Expr,
    HasBits,
    Inside,
    Irql,
    IsSet,
    Latest,
    Number,
    Scalar,
    StatusIn,
    StatusOk,
)
from kmclcheck.semantics.evaluate import UNSET, compare, evaluate
from kmclcheck.semantics.truth import FALSE, MISSING, TRUE, Truth4

Fact = Callable[[Run, Event, Thread, Frame | None, dict[str, Obj], int | None], Truth4]


@dataclass(frozen=True, slots=True)
class Facts:
    """Which facts an event's outcome depends on."""

    irql: bool
    status: bool
    others: tuple[Fact, ...]
    none: bool


def make_facts(atoms: tuple[Expr, ...]) -> Facts:
    """Sort the atoms of an event by how they are read."""
    others: list[Fact] = []
    irql = status = False
    for atom in atoms:
        match atom:
            case Compare(left=Irql(), right=Number()):
                irql = True
            case StatusOk() | StatusIn():
                status = True
            case _:
                others.append(_compile(atom))
    return Facts(irql, status, tuple(others), not (irql or status or others))


def _compile(atom: Expr) -> Fact:
    match atom:
        case HasBits(Arg(name), mask):

            def has_bits(
                run: Run,
                event: Event,
                thread: Thread,
                frame: Frame | None,
                objs: dict[str, Obj],
                status: int | None,
            ) -> Truth4:
                value = argument(run, event, frame, name)
                return MISSING if value is None else TRUE if value & mask == mask else FALSE

            return has_bits
        case IsSet(kind, name):

            def is_set(
                run: Run,
                event: Event,
                thread: Thread,
                frame: Frame | None,
                objs: dict[str, Obj],
                status: int | None,
            ) -> Truth4:
                obj = objs.get(kind)
                value = None if obj is None else obj.number(name)
                return MISSING if value is None else FALSE if value is UNSET else TRUE

            return is_set
        case Compare(op, Arg(name), Scalar(kind, field)):

            def compared(
                run: Run,
                event: Event,
                thread: Thread,
                frame: Frame | None,
                objs: dict[str, Obj],
                status: int | None,
            ) -> Truth4:
                obj = objs.get(kind)
                return compare(
                    op, argument(run, event, frame, name), None if obj is None else obj.number(field)
                )

            return compared
        case Inside(names, None):

            def inside(
                run: Run,
                event: Event,
                thread: Thread,
                frame: Frame | None,
                objs: dict[str, Obj],
                status: int | None,
            ) -> Truth4:
                return run.inside(event, thread, names, None)

            return inside
        case Latest(names):

            def newest(
                run: Run,
                event: Event,
                thread: Thread,
                frame: Frame | None,
                objs: dict[str, Obj],
                status: int | None,
            ) -> Truth4:
                return latest(frame, names)

            return newest
        case _:

            def general(
                run: Run,
                event: Event,
                thread: Thread,
                frame: Frame | None,
                objs: dict[str, Obj],
                status: int | None,
            ) -> Truth4:
                return evaluate(atom, Context(run, event, thread, frame, objs, status))

            return general
