"""Writes the sample folder: ``python -m tests.support.write_samples`` from the top of the checkout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support import conforming_more, faulty_more
from tests.support.conforming import CONFORMING
from tests.support.faulty import FAULTY
from tests.support.tracebuilder import Trace

PARTS = (conforming_more, faulty_more)
"""Importing them registers their samples."""

FOLDER = Path(__file__).resolve().parents[2] / "traces"


def build(fill: Callable[[Trace], None]) -> Trace:
    """Return the trace that a sample function describes."""
    trace = Trace(shows=(fill.__doc__ or "").strip())
    fill(trace)
    return trace


def samples() -> Iterator[tuple[str, Trace]]:
    """Give every sample, by file name."""
    for name, fill in sorted({**CONFORMING, **FAULTY}.items()):
        yield f"{name}.kmtrace", build(fill)


def entry(file: str, trace: Trace) -> str:
    """Return what the manifest says of a trace."""
    lines = [
        "[[trace]]",
        f'file = "{file}"',
        f'shows = "{trace.shows}"',
        f'start = "{trace.start.value}"',
        f'end = "{trace.end.value}"',
    ]
    if trace.stays_open:
        lines.append("open = [" + ", ".join(f'"{rule}"' for rule in trace.stays_open) + "]")
    for finding in trace.expected:
        place = '"end"' if finding.at is None else str(trace.line_of(finding.at))
        lines += [
            "[[trace.finding]]",
            f'rule = "{finding.rule}"',
            f"line = {place}",
            f"object = 0x{finding.handle:x}",
        ]
    return "\n".join(lines) + "\n"


def manifest() -> str:
    """Return the manifest of the folder."""
    head = "# Every sample trace and what a check of it finds. Written by tests/support/write_samples.py.\n\n"
    return head + "\n".join(entry(file, trace) for file, trace in samples())


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for file, trace in samples():
        (FOLDER / file).write_text(trace.text(), encoding="utf-8", newline="\n")
    (FOLDER / "manifest.toml").write_text(manifest(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
