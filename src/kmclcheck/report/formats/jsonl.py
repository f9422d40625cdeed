"""``jsonl``: a line per finding, then a line per trace, then one for the run.

``type`` tells the lines apart; what they hold is the corresponding part of the JSON document.
"""

from __future__ import annotations

import json
from typing import TextIO

from kmclcheck.model.finding import Finding, TraceResult
from kmclcheck.model.spec import Spec
from kmclcheck.report.base import RunResult
from kmclcheck.report.describe import path_text, sorted_findings
from kmclcheck.report.document import (
    SCHEMA,
    JsonObject,
    finding_document,
    summary_document,
    tool_document,
    trace_head,
)
from kmclcheck.report.registry import register


class JsonLinesRenderer:
    name = "jsonl"

    def render(self, run: RunResult, spec: Spec, stream: TextIO) -> None:
        for number, trace in enumerate(run.traces, 1):
            for i, finding in enumerate(sorted_findings(trace), 1):
                _finding(stream, trace, finding, f"{number}.{i}", spec)
            _trace(stream, trace, spec)
        _summary(stream, run, spec)

    def tell(self, run: RunResult, finding: Finding, number: int, spec: Spec, stream: TextIO) -> None:
        _finding(stream, run.traces[0], finding, f"1.{number}", spec)

    def close(self, run: RunResult, spec: Spec, stream: TextIO) -> None:
        for trace in run.traces:
            _trace(stream, trace, spec)
        _summary(stream, run, spec)


def _finding(stream: TextIO, trace: TraceResult, finding: Finding, number: str, spec: Spec) -> None:
    head: JsonObject = {"schema": SCHEMA, "type": "finding", "trace": path_text(trace.path)}
    _line(stream, head | finding_document(finding, number, spec))


def _trace(stream: TextIO, trace: TraceResult, spec: Spec) -> None:
    _line(stream, {"schema": SCHEMA, "type": "trace", **trace_head(trace, spec)})


def _summary(stream: TextIO, run: RunResult, spec: Spec) -> None:
    summary = {"tool": tool_document(run), "summary": summary_document(run, spec)}
    _line(stream, {"schema": SCHEMA, "type": "summary", **summary})


def _line(stream: TextIO, document: JsonObject) -> None:
    stream.write(json.dumps(document, ensure_ascii=True, separators=(",", ":")) + "\n")


register(JsonLinesRenderer())
