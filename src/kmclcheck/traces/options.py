"""What a user can say about how traces are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kmclcheck.traces.etw.mapping import Mapping


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What to expect of a trace.

    ``mapping``: the user's own, tried before the built-in one. ``prefix``: that of text lines, as a template.
    ``live``: it is still being written, so its events are wanted at once, and a line that tells the end is
    its last.
    """

    mapping: Mapping | None = None
    prefix: str = ""
    live: bool = False
