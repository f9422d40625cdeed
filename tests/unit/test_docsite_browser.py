"""The documentation site in a real browser: it opens from a disk, and its search finds things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kmclcheck.docsite.build import build
from kmclcheck.speclang import load_spec
from tests.support.browser import Browser, browser, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

DATA = Path(__file__).parents[1] / "data"
PHONE = (360, 740)
PAGES = ("index", "rules", "events", "glossary", "sources", "evidence", "rules/file-use-open",
         "machines/file.life", "events/FileOpen")  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    for name, text in build(load_spec([DATA / "filehandle.kmcl"])).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return folder


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as running:
        yield running


def test_search_finds_a_rule_and_leads_to_it(site: Path, chrome: Browser) -> None:
    with chrome.open(site / "events" / "FileOpen.html") as opened:
        page = opened.page
        page.keyboard.press("/")
        page.keyboard.type("file-use")
        first = page.locator("#results a").first
        assert first.inner_text().startswith("file-use-open")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url("**/rules/file-use-open.html")
        assert page.inner_text("h1") == "file-use-open"
        page.fill("#query", "no such words")
        assert page.inner_text("#results") == "Nothing found."
        page.keyboard.press("Escape")
        assert not page.is_visible("#results")
        assert opened.errors == []
        assert all(address.startswith("file:") for address in opened.fetched)


@pytest.mark.parametrize("name", PAGES)
def test_no_page_scrolls_sideways_on_a_phone(site: Path, chrome: Browser, name: str) -> None:
    with chrome.open(site / f"{name}.html", size=PHONE) as opened:
        width = opened.page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE[0]
        assert opened.errors == []


def test_without_scripts_everything_is_there_but_the_search(site: Path, chrome: Browser) -> None:
    with chrome.open(site / "rules" / "file-use-open.html", javascript=False) as opened:
        assert not opened.page.is_visible("#search")
        assert opened.page.is_visible("text=Shortest counterexample")
        assert opened.page.is_visible("svg")


def test_dark_pages_are_dark_and_printed_ones_are_not(site: Path, chrome: Browser) -> None:
    def ground(**how: object) -> tuple[int, ...]:
        with chrome.open(site / "index.html", dark=True, **how) as opened:  # type: ignore[arg-type]
            colour = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return tuple(int(n) for n in colour.removeprefix("rgb(").removesuffix(")").split(","))

    assert max(ground()) < 64
    assert min(ground(media="print")) > 240
