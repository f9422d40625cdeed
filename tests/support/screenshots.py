"""Makes the pictures of the documentation: ``python -m tests.support.screenshots``. Needs Chromium."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from kmclcheck.cli.main import run
from tests.support.browser import browser, missing

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
TRACE = "traces/wrong-free-in-flight.kmtrace"
RULE = "packet-free-when-ready"


def report(path: Path) -> None:
    """Write the picture of a report: a packet that is freed while the library holds it."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        run(["check", TRACE, "--format", "html", "-o", str(page)])
        with browser() as chromium, chromium.open(page, size=(1280, 860)) as opened:
            opened.picture(path)


def rule_page(path: Path) -> None:
    """Write the picture of the page of the rule that the report is about."""
    with tempfile.TemporaryDirectory() as folder:
        run(["docs", "-o", folder])
        page = Path(folder) / "rules" / f"{RULE}.html"
        with browser() as chromium, chromium.open(page, size=(1280, 1400)) as opened:
            opened.picture(path)


def main() -> int:
    """Write every picture. Returns 2 if there is no browser."""
    reason = missing()
    if reason:
        print(f"no pictures: {reason}", file=sys.stderr)
        return 2
    IMAGES.mkdir(exist_ok=True)
    report(IMAGES / "report.png")
    rule_page(IMAGES / "rule-page.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
