"""What a tracer writes down of a run."""

from __future__ import annotations

from typing import TextIO

from kmclcheck.engines.simulate.kernel import Kernel, Thread


class Capture:
    """Writes records as lines of the native format.

    ``handles`` and ``scalars`` are arguments ready to print, each with a space before it;
    ``result`` is the returned status in the same form.
    """

    def __init__(self, kernel: Kernel, stream: TextIO, view: str = "both") -> None:
        self._kernel = kernel
        self._view = view
        self._write = stream.write
        self._lines: list[str] = []
        self._clock = 0.0
        self.events = 0

    def record(
        self, thread: Thread, phase: str, name: str, handles: str, scalars: str = "", result: str = ""
    ) -> None:
        """Write down one record."""
        # Records take time, and no two of them the same moment.
        kernel = self._kernel
        kernel.now += 100
        endpoint = thread.endpoint
        view = self._view
        if view != "both" and view != endpoint.name:
            return
        where = f"@{endpoint.name} " if view == "both" else ""
        self.events += 1
        endpoint.seq = seq = endpoint.seq + 1
        lines = self._lines
        lines.append(
            f"{where}{seq} {kernel.now:.0f} {thread.columns} {phase} {name}{handles}{scalars}{result}\n"
        )
        if len(lines) >= 512:
            self.flush()

    def flush(self) -> None:
        """Hand over what was collected."""
        self._write("".join(self._lines))
        self._lines.clear()
