"""What weakened the check of a trace, in plain words, for formats that list it."""

from __future__ import annotations

from kmclcheck.model.finding import TraceResult
from kmclcheck.report.describe import plural

_NAMES_SHOWN = 5


def remarks(trace: TraceResult, limit: int) -> list[str]:
    """Return at most ``limit`` problems of the file, then a line each on lost and unknown events."""
    found = trace.problems[:limit]
    if len(trace.problems) > limit:
        found.append(plural(len(trace.problems) - limit, "more problem"))
    if trace.lost is None:
        found.append("an unknown number of events was lost")
    elif trace.lost:
        found.append(f"{plural(trace.lost, 'event')} lost")
    if trace.unknown_names:
        found.append(f"names the specification does not know: {_most(trace.unknown_names)}")
    if trace.unmapped:
        found.append(f"no rule of a mapping fits: {_most(trace.unmapped)}")
    if not trace.complete:
        found.append("interrupted: the rest of the trace was not checked")
    return found


def _most(counts: dict[str, int]) -> str:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    text = ", ".join(f"{name} ({plural(n, 'event')})" for name, n in ranked[:_NAMES_SHOWN])
    more = len(ranked) - _NAMES_SHOWN
    return f"{text} and {more} more" if more > 0 else text
