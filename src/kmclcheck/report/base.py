"""What a renderer gets and what it must offer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TextIO

from kmclcheck.model.finding import Finding, TraceResult
from kmclcheck.model.spec import Spec

MONITOR = "monitor"


@dataclass(frozen=True, slots=True)
class ToolInfo:
    """Which program judged, by which specification.

    ``engine``: which of its engines. All but the monitor give findings without explanations.
    """

    name: str
    version: str
    spec: str
    spec_title: str
    engine: str = MONITOR


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """How much to say and how. Only formats for people look at it.

    ``quiet``: findings and nothing else. ``verbose``: nothing is shortened.
    ``colour``: the stream shows colours; the caller has looked at the terminal and the settings.
    ``docs``: the address of the documentation, for formats with links; "" for the usual one.
    """

    quiet: bool = False
    verbose: bool = False
    colour: bool = False
    docs: str = ""


@dataclass(frozen=True, slots=True)
class InputFailure:
    """A file that could not be checked at all, and why."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class KnownFinding:
    """An entry of a baseline; ``text`` is for people."""

    fingerprint: str
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Known:
    """What a baseline did to a run: how many findings it hid, and which of its own did not occur."""

    hidden: int
    gone: tuple[KnownFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class RunResult:
    """Everything a run came to: what every report format is made from.

    ``known``: a baseline was given, and the traces hold only the findings that are not in it.
    """

    traces: list[TraceResult]
    tool: ToolInfo
    options: ReportOptions = field(default_factory=ReportOptions)
    failures: tuple[InputFailure, ...] = ()
    interrupted: bool = False
    known: Known | None = None


class LiveRenderer(Protocol):
    """A report format that can tell findings one by one, while a trace is still being written."""

    def tell(self, run: RunResult, finding: Finding, number: int, spec: Spec, stream: TextIO) -> None:
        """Write one finding of the one trace of the run; ``number`` counts from 1. Fails on nothing."""
        ...

    def close(self, run: RunResult, spec: Spec, stream: TextIO) -> None:
        """Write what follows the findings. Fails on nothing."""
        ...


class Renderer(Protocol):
    """A report format. ``name`` is what users write after ``--format``."""

    @property
    def name(self) -> str: ...

    def render(self, run: RunResult, spec: Spec, stream: TextIO) -> None:
        """Write the whole report; must not fail on any content nor on any encoding of the stream."""
        ...
