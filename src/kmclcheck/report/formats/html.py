"""``html``: one page for a browser, with everything in it."""

from __future__ import annotations

from typing import TextIO

from kmclcheck.model.spec import Spec
from kmclcheck.report.base import RunResult
from kmclcheck.report.registry import register


class HtmlRenderer:
    name = "html"
    wants_density = True

    def render(self, run: RunResult, spec: Spec, stream: TextIO) -> None:
        # The template engine is loaded only where a page is made: every command knows all formats.
        from kmclcheck.report.html.page import page

        stream.write(page(run, spec))


register(HtmlRenderer())
