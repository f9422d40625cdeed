"""Writes the sample folder: ``python -m tests.support.write_samples`` from the top of the checkout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support import conforming_more, faulty_more
from tests.support.conforming import CONFORMING
from tests.support.faulty import FAULTY
from tests.support.simulated import SIMULATED
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


HEAD = """# Every sample trace and what a check of it finds. Written by tests/support/write_samples.py.
# Those with a command are made by the simulator. The others are written by hand: each shows one situation
# on a few lines, and they are independent of the simulator.

"""


def simulated_entry(name: str) -> str:
    """Return what the manifest says of a trace that the simulator makes."""
    one = SIMULATED[name]
    _, end, broken = one.run()
    lines = [
        "[[trace]]",
        f'file = "{name}.kmtrace"',
        f'shows = "{one.shows}"',
        f'command = "{one.command}"',
        'start = "known"',
        f'end = "{end}"',
    ]
    if broken is not None:
        rule, line = broken
        place = '"end"' if line is None else str(line)
        lines += ["[[trace.finding]]", f'rule = "{rule}"', f"line = {place}"]
    return "\n".join(lines) + "\n"


def manifest() -> str:
    """Return the manifest of the folder."""
    by_hand = {file: entry(file, trace) for file, trace in samples()}
    made = {f"{name}.kmtrace": simulated_entry(name) for name in SIMULATED}
    return HEAD + "\n".join(text for _, text in sorted({**by_hand, **made}.items()))


def texts() -> dict[str, str]:
    """Return every sample trace by file name."""
    by_hand = {file: trace.text() for file, trace in samples()}
    return {**by_hand, **{f"{name}.kmtrace": one.run()[0] for name, one in SIMULATED.items()}}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for file, text in texts().items():
        (FOLDER / file).write_text(text, encoding="utf-8", newline="\n")
    (FOLDER / "manifest.toml").write_text(manifest(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
