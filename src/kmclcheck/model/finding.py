"""Verdicts and findings: what a check of a trace comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from kmclcheck.model.density import Density
from kmclcheck.model.event import Event


class VerdictKind(Enum):
    PASS = "pass"
    FAIL = "fail"
    OPEN = "open"
    NOT_EXERCISED = "not-exercised"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a trace says about a rule: how often it was decided, how often it stayed open."""

    rule: str
    kind: VerdictKind
    decided: int
    open: int
    reason: str


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """An object of the trace: kind, handle and how often the handle had been born."""

    kind: str
    handle: int
    incarnation: int
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """An event of the object with its fields before and after, as text per changed field."""

    event: Event
    before: dict[str, str]
    after: dict[str, str]


UNDECLARED = "the trace does not say what it records"
"""The reason for an open verdict that a declaration in the trace, or by the user, would mend."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of the trace that reproduces the finding by itself.

    ``replayed``: the monitor was run on exactly these events and gave the finding again.
    ``reduced``: every event on which the verdict provably does not depend was left out.
    """

    events: tuple[Event, ...]
    replayed: bool
    reduced: bool
    note: str = ""


@dataclass(slots=True)
class Finding:
    """One fault. ``repair``: a change of driver calls that mends it, if one was sought and found."""

    rule: str
    event: Event | None
    object: ObjectRef
    parent: ObjectRef | None
    also_broken: tuple[str, ...] = ()
    actual: str = ""
    required: str = ""
    holders: tuple[ObjectRef, ...] = ()
    hung_call: Event | None = None
    history: tuple[HistoryStep, ...] = ()
    history_note: str = ""
    slice: Slice | None = None
    repeats: int = 0
    index: int = 0
    repair: str = ""


@dataclass(slots=True)
class TraceResult:
    """Everything one trace came to.

    ``unmapped``: records of the file that no rule of the mapping fits, by name. ``density``: how the events
    lie over the trace, if somebody asked for it.
    """

    path: str
    format: str
    start: str
    end: str
    events: int
    lost: int | None
    unknown_names: dict[str, int]
    verdicts: list[Verdict]
    findings: list[Finding]
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    complete: bool = True
    unmapped: dict[str, int] = field(default_factory=dict)
    density: Density | None = None
