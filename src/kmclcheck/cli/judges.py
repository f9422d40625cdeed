"""The engines that judge whole traces besides the monitor, by the name a command line gives them."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from kmclcheck.cli.progress import Progress
from kmclcheck.cli.solving import need_solver
from kmclcheck.engines.judging import TraceJudge
from kmclcheck.model.event import Event, Loss
from kmclcheck.model.finding import TraceResult
from kmclcheck.model.spec import Spec
from kmclcheck.report.base import MONITOR
from kmclcheck.traces import TraceReader
from kmclcheck.traces.base import Item

NAMES = (MONITOR, "graph", "z3")

_MODULES = {
    "graph": "kmclcheck.engines.explore.walk.judge",
    "z3": "kmclcheck.engines.symbolic.judge",
}


def judge(name: str) -> TraceJudge:
    """Return an engine; only then is its code loaded. Raises UsageError if it is not installed."""
    if name == "z3":
        need_solver("the engine z3")
    return cast(TraceJudge, importlib.import_module(_MODULES[name]).judge)


@dataclass(frozen=True, slots=True)
class Judging:
    """Checks traces with an engine that gives verdicts and findings, and explains none of them."""

    spec: Spec
    rules: frozenset[str]
    engine: TraceJudge
    seconds: float

    def check(self, reader: TraceReader, progress: Progress | None = None) -> TraceResult:
        """Check one trace. Raises InputError, TooLargeError and OutOfTimeError."""
        started = time.perf_counter()
        passing = _Passing(self.spec, reader, progress)
        judged = self.engine(self.spec, self.rules, reader.info, passing, self.seconds)
        problems = [problem.render() for problem in reader.problems]
        if reader.problem_count > len(problems):
            problems.append(f"{reader.problem_count - len(problems)} more lines could not be read")
        return TraceResult(
            path=reader.info.path,
            format=reader.info.format,
            start=reader.info.start.value,
            end=reader.info.end.value,
            events=passing.events,
            lost=passing.lost,
            unknown_names=passing.unknown_names,
            verdicts=list(judged.verdicts),
            findings=list(judged.findings),
            problems=problems,
            seconds=time.perf_counter() - started,
            unmapped=dict(reader.unmapped),
        )


@dataclass(slots=True)
class _Passing:
    """The items of a trace on their way to an engine, counted as they pass."""

    spec: Spec
    reader: TraceReader
    progress: Progress | None
    events: int = 0
    lost: int = 0
    unknown_names: dict[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Item]:
        for item in self.reader:
            if isinstance(item, Event):
                self.events += 1
                if item.name not in self.spec.events:
                    self.unknown_names[item.name] = self.unknown_names.get(item.name, 0) + 1
                if self.progress is not None and not self.events % 1000:
                    self.progress(self.events, self.reader.bytes_read, 0)
            elif isinstance(item, Loss):
                self.lost += item.count or 1
            yield item
