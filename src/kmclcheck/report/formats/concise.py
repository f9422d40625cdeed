"""``concise``: a line per finding, for editors and ``grep``."""

from __future__ import annotations

from typing import TextIO

from kmclcheck.model.finding import Finding, TraceResult
from kmclcheck.model.spec import Spec
from kmclcheck.report.base import RunResult
from kmclcheck.report.describe import headline, object_text, path_text, rule_of, sorted_findings
from kmclcheck.report.lines import summary_line
from kmclcheck.report.paint import Painter
from kmclcheck.report.registry import register


class ConciseRenderer:
    name = "concise"

    def render(self, run: RunResult, spec: Spec, stream: TextIO) -> None:
        painter = Painter(stream, run.options.colour)
        for trace in run.traces:
            for finding in sorted_findings(trace):
                _line(painter, trace, finding, spec)
        self.close(run, spec, stream)

    def tell(self, run: RunResult, finding: Finding, number: int, spec: Spec, stream: TextIO) -> None:
        _line(Painter(stream, run.options.colour), run.traces[0], finding, spec)

    def close(self, run: RunResult, spec: Spec, stream: TextIO) -> None:
        if not run.options.quiet:
            Painter(stream, run.options.colour).line((summary_line(run, spec), ""))


def _line(painter: Painter, trace: TraceResult, finding: Finding, spec: Spec) -> None:
    rule = rule_of(finding, spec)
    where = "end" if finding.event is None else str(finding.event.line)
    painter.line(
        (f"{path_text(trace.path)}:{where}: ", ""),
        (f"{rule.severity.value}[{rule.id}]", painter.severity(rule.severity)),
        (f": {headline(finding, rule)} ({object_text(finding.object)})", ""),
    )


register(ConciseRenderer())
