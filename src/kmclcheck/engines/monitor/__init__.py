"""The monitor: checks a stream of events against a specification, in one pass."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

from kmclcheck.engines.monitor.core import Monitor
from kmclcheck.model.event import Event, Loss
from kmclcheck.model.finding import TraceResult
from kmclcheck.model.spec import Spec
from kmclcheck.traces.base import TraceReader

Progress = Callable[[int, int, int], None]
"""Told events, bytes read and findings so far."""

PROGRESS_EVERY = 5000
GC_THRESHOLD = 500_000


@dataclass(frozen=True, slots=True)
class Options:
    """What to judge: the rules by id (``None``: all of the specification), less the disabled ones.

    ``slice_budget`` is the time in seconds that explaining findings may take in the whole run.
    """

    rules: frozenset[str] | None = None
    disabled: frozenset[str] = frozenset()
    slice_budget: float = 5.0

    def enabled(self, spec: Spec) -> frozenset[str]:
        """Return the ids of the rules to judge."""
        chosen = frozenset(spec.rules) if self.rules is None else self.rules
        return chosen - self.disabled


def run(monitor: Monitor, reader: TraceReader, progress: Progress | None = None) -> TraceResult:
    """Feed a whole trace to the monitor. An interrupt ends the run with what was found so far."""
    started = time.perf_counter()
    complete = True
    due = PROGRESS_EVERY
    feed = monitor.feed
    # Events and objects are many and free of cycles, so the collector would look at them in vain.
    thresholds = gc.get_threshold()
    gc.set_threshold(GC_THRESHOLD, thresholds[1], thresholds[2])
    try:
        for item in reader:
            if type(item) is Event:
                feed(item)
                if progress is not None and monitor.run.count >= due:
                    due = monitor.count + PROGRESS_EVERY
                    progress(monitor.count, reader.bytes_read, len(monitor.ledger.findings))
            elif isinstance(item, Loss):
                monitor.lose(item)
        monitor.finish()
    except KeyboardInterrupt:
        complete = False
        monitor.bank()
    finally:
        gc.set_threshold(*thresholds)
    info = reader.info
    problems = [d.render() for d in reader.problems]
    if reader.problem_count > len(problems):
        problems.append(f"{reader.problem_count - len(problems)} more lines could not be read")
    problems += [
        f"{what} ({count} {'time' if count == 1 else 'times'})"
        for what, count in monitor.run.oddities.items()
    ]
    return TraceResult(
        path=info.path,
        format=info.format,
        start=info.start.value,
        end=info.end.value,
        events=monitor.count,
        lost=monitor.run.lost,
        unknown_names=dict(monitor.run.unknown_names),
        verdicts=monitor.ledger.verdicts(),
        findings=list(monitor.ledger.findings),
        problems=problems,
        seconds=time.perf_counter() - started,
        complete=complete,
        unmapped=dict(reader.unmapped),
    )


__all__ = ["Monitor", "Options", "Progress", "run"]
