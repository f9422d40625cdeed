"""Replays what a search found in the monitor, as a complete trace."""

from __future__ import annotations

from collections.abc import Sequence

from kmclcheck.engines.monitor import Monitor
from kmclcheck.model.event import End, Event, Start, TraceInfo
from kmclcheck.model.spec import Spec
from kmclcheck.semantics.index import SpecIndex, build_index


class Replayer:
    """Says which rules the monitor reports, with every rule of the specification judged."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.index: SpecIndex = build_index(spec, frozenset(spec.rules))

    def __call__(self, events: Sequence[Event], end: End) -> frozenset[str]:
        info = TraceInfo(start=Start.KNOWN, end=end, records_all=True)
        monitor = Monitor(self.spec, self.index, info)
        for event in events:
            monitor.feed(event)
        monitor.finish()
        return frozenset(finding.rule for finding in monitor.ledger.findings)
