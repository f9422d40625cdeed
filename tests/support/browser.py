"""A headless browser for pages that the program writes: opens a file, and keeps what went wrong.

``KMCLCHECK_CHROMIUM`` names the browser; otherwise a Chromium or Chrome of the system is taken. Nothing is
ever fetched from the network: every request but the one for the page is refused and noted.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def missing() -> str:
    """Return why there is no browser, or "" if there is one."""
    if chromium() is None:
        return "no Chromium is installed (KMCLCHECK_CHROMIUM names one)"
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "the package playwright is not installed"
    return ""


def chromium() -> str | None:
    """Return the path of the browser."""
    named = os.environ.get("KMCLCHECK_CHROMIUM")
    if named is not None:
        return named or None
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass(slots=True)
class Opened:
    """A page in the browser, the errors of its console and scripts, and what it asked to be fetched."""

    page: Any
    errors: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        """Return the visible text of an element."""
        return str(self.page.inner_text(selector))

    def picture(self, path: Path, **how: Any) -> None:
        """Write what is seen as PNG."""
        self.page.screenshot(path=str(path), **how)


class Browser:
    """A running browser; each page it opens has a context of its own."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    @contextmanager
    def open(
        self,
        path: Path,
        *,
        javascript: bool = True,
        dark: bool = False,
        size: tuple[int, int] = (1440, 900),
        media: str | None = None,
    ) -> Iterator[Opened]:
        """Open a file. ``media``: "print" shows it as it would be printed."""
        context = self._driver.new_context(
            java_script_enabled=javascript,
            color_scheme="dark" if dark else "light",
            viewport={"width": size[0], "height": size[1]},
            offline=True,
        )
        try:
            page = context.new_page()
            opened = Opened(page)
            address = path.resolve().as_uri()

            def note(request: Any) -> None:
                if request.url.split("#")[0] != address:
                    opened.fetched.append(request.url)

            page.on("request", note)
            page.on("requestfailed", lambda r: opened.errors.append(f"request failed: {r.url}"))
            page.on("pageerror", lambda e: opened.errors.append(str(e)))
            page.on(
                "console", lambda m: opened.errors.append(m.text) if m.type in ("error", "warning") else None
            )
            if media is not None:
                page.emulate_media(media=media, color_scheme="dark" if dark else "light")
            page.goto(address)
            yield opened
        finally:
            context.close()


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser, and end it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        driver = playwright.chromium.launch(
            executable_path=chromium(),
            # Root has no sandbox; a container has little shared memory.
            args=[
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--disable-gpu",
                "--disable-background-networking",
            ],
        )
        try:
            yield Browser(driver)
        finally:
            driver.close()
