"""What a repair changes, and what it is called."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kmclcheck.engines.repair.lines import Lines, present
from kmclcheck.model.event import Event, TraceInfo
from kmclcheck.model.finding import Finding


class ChangeKind(Enum):
    """The kinds of changes. All but ``DELETE`` keep what the driver called."""

    MOVE = "move"
    INSERT = "insert"
    ARGUMENT = "argument"
    DELETE = "delete"


class Grade(Enum):
    """How well a draft that conforms mends the fault.

    ``SLICE``: something is wrong with the rest of the trace as it was recorded.
    """

    GOOD = "good"
    SLICE = "slice"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of driver calls. ``text`` says it in a line.

    ``waits``: callbacks of the library that have to come before the driver goes on.
    """

    kind: ChangeKind
    call: str
    text: str
    waits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """An edited slice. It is judged up to the place ``cut``; the lines behind it are what came later."""

    lines: Lines
    cut: int
    changes: tuple[Change, ...] = ()

    def records(self) -> list[Event]:
        """Return the records that are judged."""
        return present(self.lines[: self.cut])


class Standing(Enum):
    """What became of the search for a repair of a finding."""

    FOUND = "found"
    LIBRARY = "library"
    NONE = "none"
    BOUND = "bound"
    TIME = "time"
    SLICE = "slice"


@dataclass(frozen=True, slots=True)
class Repair:
    """The answer for a finding: changes and the edited slice, replayed, or why there is none.

    ``lines`` are shown; ``records`` conform, as a trace that says ``info`` about itself. ``whole``: whether
    the whole trace with these changes loses the finding and gets no other; ``None`` if it was not judged.
    """

    finding: Finding
    standing: Standing
    reason: str
    seconds: float
    changes: tuple[Change, ...] = ()
    lines: Lines = ()
    records: tuple[Event, ...] = ()
    info: TraceInfo | None = None
    whole: bool | None = None
    tried: int = 0

    @property
    def found(self) -> bool:
        """Whether there is a change to propose."""
        return self.standing is Standing.FOUND

    @property
    def summary(self) -> str:
        """Return the changes in one line, or why there are none."""
        return "; ".join(change.text for change in self.changes) if self.found else self.reason
