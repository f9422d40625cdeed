"""``json``: one document per run, described by ``schema/run-1.json``."""

from __future__ import annotations

import json
from typing import TextIO

from kmclcheck.model.spec import Spec
from kmclcheck.report.base import RunResult
from kmclcheck.report.document import run_document
from kmclcheck.report.registry import register


class JsonRenderer:
    name = "json"

    def render(self, run: RunResult, spec: Spec, stream: TextIO) -> None:
        # ASCII only: the document is the same on a stream of any encoding.
        json.dump(run_document(run, spec), stream, ensure_ascii=True, indent=2)
        stream.write("\n")


register(JsonRenderer())
