"""The shape of a trace: names and phases, one record a line, without values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kmclcheck.model.event import End, Event
from kmclcheck.model.spec import Spec
from kmclcheck.report.describe import status_text

FOLDER = Path(__file__).parents[1] / "golden" / "counterexamples"


def shape(events: Sequence[Event], end: End, spec: Spec) -> str:
    """Return the lines of a golden file."""
    lines = []
    for event in events:
        status = "" if event.status is None else f" {status_text(event.status, spec)}"
        lines.append(f"{event.phase.value} {event.name}{status}")
    return "\n".join([*lines, f"end {end.value}"]) + "\n"
