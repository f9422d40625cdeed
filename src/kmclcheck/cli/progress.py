"""A line on stderr that tells how far a long check is; only for a person at a terminal."""

from __future__ import annotations

import sys
import time

from kmclcheck.cli.console import is_terminal
from kmclcheck.report.describe import plural
from kmclcheck.report.escape import encodable, safe

_DELAY = 1.0
_INTERVAL = 0.2
_PATH_SHOWN = 30


class Progress:
    """Call it with events, bytes read and findings; nothing is written in the first second."""

    def __init__(self, enabled: bool = True) -> None:
        self._stream = sys.stderr
        self._enabled = enabled and is_terminal(self._stream)
        self._path = ""
        self._start = self._last = time.monotonic()
        self._width = 0

    def begin(self, path: str) -> None:
        """Start with the next file."""
        self._path = safe(path)[-_PATH_SHOWN:]
        self._start = time.monotonic()

    def __call__(self, events: int, bytes_read: int, findings: int) -> None:
        now = time.monotonic()
        if not self._enabled or now - self._start < _DELAY or now - self._last < _INTERVAL:
            return
        self._last = now
        self._show(f"{self._path}: {self._text(events, bytes_read, findings, now - self._start)}")

    def _text(self, events: int, bytes_read: int, findings: int, seconds: float) -> str:
        rate = round(events / seconds)
        return f"{bytes_read / 1e6:,.1f} MB, {rate:,} events/s, {plural(findings, 'finding')}"

    def clear(self) -> None:
        """Remove the line, so that a message can follow."""
        if self._width:
            self._show("")
            self._stream.write("\r")
            self._stream.flush()
            self._width = 0

    def _show(self, text: str) -> None:
        try:
            shown = encodable(text, getattr(self._stream, "encoding", None))
            self._stream.write("\r" + shown.ljust(self._width))
            self._stream.flush()
            self._width = len(shown)
        except (OSError, ValueError):
            self._enabled = False
