"""The overview of a trace: how its events lie over its length, and where the findings are."""

from __future__ import annotations

from dataclasses import dataclass

from kmclcheck.model.finding import TraceResult
from kmclcheck.model.spec import Severity, Spec
from kmclcheck.report.describe import plural, time_text

HEIGHT = 36


@dataclass(frozen=True, slots=True)
class Strip:
    """What to draw: a bar for each bin of the density, as one path, and ticks by severity."""

    path: str
    errors: tuple[int, ...]
    warnings: tuple[int, ...]
    first: str
    last: str
    label: str
    width: int


def strip(trace: TraceResult, spec: Spec) -> Strip | None:
    """Return the overview, or ``None`` if the events were not counted."""
    density = trace.density
    used = density.used() if density is not None else 0
    if density is None or density.start is None or not used:
        return None
    most = max(density.counts)
    steps = []
    for at, count in enumerate(density.counts[:used]):
        if count:
            height = max(1, round(HEIGHT * count / most))
            steps.append(f"M{at} {HEIGHT}v-{height}h1v{height}z")
    places: dict[Severity, set[int]] = {Severity.ERROR: set(), Severity.WARNING: set()}
    for finding in trace.findings:
        event = finding.event
        place = used - 1 if event is None else density.place(event.time, event.line)
        if place is not None:
            places.setdefault(spec.rules[finding.rule].severity, set()).add(place)
    end = density.start + used * density.width
    ends = (density.start, end)
    first, last = (time_text(t) for t in ends) if density.timed else (f"record {n:,}" for n in ends)
    label = (
        f"{plural(trace.events, 'event')} from {first} to {last}, at most {most:,} in one of {used} parts; "
        f"{plural(len(trace.findings), 'finding')}"
    )
    return Strip(
        "".join(steps),
        tuple(sorted(places[Severity.ERROR])),
        tuple(sorted(p for s, ps in places.items() if s is not Severity.ERROR for p in ps)),
        first,
        last,
        label,
        used,
    )
