"""The html report in a real browser: what a reader sees, clicks and types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kmclcheck.cli.main import run as kmclcheck
from tests.support.browser import Browser, Opened, browser, missing

TRACES = Path(__file__).parent.parent.parent / "traces"
NAMES = (
    "wrong-free-in-flight",
    "wrong-two-faults-far-apart",
    "wrong-never-cleaned-up",
    "wrong-complete-after-defer",
)

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "a browser is there")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("html") / "report.html"
    assert (
        kmclcheck(
            [
                "check",
                *(str(TRACES / f"{name}.kmtrace") for name in NAMES),
                "--format",
                "html",
                "-o",
                str(path),
            ]
        )
        == 1
    )
    return path


def current(opened: Opened) -> str:
    return opened.text("#list [aria-current=true]")


def picked(opened: Opened) -> str:
    """The record number of the chosen row of the table."""
    return str(opened.page.inner_text("#finding tr[aria-selected=true] td:first-child"))


def test_opens_with_the_fault_in_view(chromium: Browser, report: Path) -> None:
    with chromium.open(report) as opened:
        page = opened.page
        assert "5 findings; " in opened.text(".summary")
        assert "rules exercised" in opened.text(".summary")
        assert page.locator("#list li:visible").count() == 5
        assert not page.is_visible(".static")
        assert "VmbPacketFree of a packet that the library holds" in opened.text("#finding h2")
        assert "packet-free-when-ready" in opened.text("#finding .where")
        assert picked(opened) == "61"
        assert page.locator("#finding tr.fault").count() == 1
        assert "requires a packet that the library does not hold" in opened.text("#finding .card .required")
        assert "0xffffbc8020411180" in opened.text("#finding .card")
        # The picture: a lane for the packet and one for its channel, the mark of the fault on its row.
        titles = page.locator(".lanes .head text.lane-title")
        assert titles.evaluate_all("all => all.map(e => e.firstChild.data)") == ["channel", "packet"]
        row, cross = (
            page.locator("#finding tr.fault").bounding_box(),
            page.locator("path.cross").bounding_box(),
        )
        assert row["y"] <= cross["y"] <= cross["y"] + cross["height"] <= row["y"] + row["height"]
        assert page.locator(".strip .here").count() == 1
        assert opened.errors == []
        assert opened.fetched == []


def test_arrows_move_through_events_and_letters_through_findings(chromium: Browser, report: Path) -> None:
    with chromium.open(report) as opened:
        keys = opened.page.keyboard
        keys.press("ArrowUp")
        keys.press("ArrowUp")
        assert picked(opened) == "59"
        card = opened.text("#finding .card")
        assert "VmbPacketSend" in card
        assert "BufferLength" in card
        assert opened.page.locator("#finding .card tr.changed").first.inner_text().split() == [
            "out",
            "Ready",
            "InLib",
        ]
        keys.press("Home")
        assert picked(opened) == "5"
        keys.press("End")
        assert picked(opened) == "61"
        keys.press("j")
        assert "init-before-enable" in current(opened)
        assert "VmbChannelInitSetMaximumPacketSize" in opened.text("#finding h2")
        keys.press("j")
        keys.press("k")
        assert "init-before-enable" in current(opened)
        assert opened.page.url.endswith("#2.1")
        opened.page.reload()
        assert "init-before-enable" in current(opened)
        assert opened.errors == []


def test_filters(chromium: Browser, report: Path) -> None:
    with chromium.open(report) as opened:
        page = opened.page
        page.keyboard.press("/")
        page.keyboard.type("cleanup open")
        assert page.locator("#list li:visible").count() == 1
        assert opened.text("#count") == "1 of 5 findings"
        assert "channel-cleanup-disabled" in current(opened)
        page.keyboard.press("Escape")
        assert page.locator("#list li:visible").count() == 5
        page.select_option("#by-rule", "incoming-one-disposition")
        assert page.locator("#list li:visible").count() == 1
        assert "incoming-one-disposition" in opened.text("#finding .where")
        page.select_option("#by-thread", "4.3e8")
        assert opened.text("#count") == "0 of 5 findings"
        page.select_option("#by-rule", "")
        page.select_option("#by-thread", "")
        page.select_option("#by-object", "packet 0xffffbc8020411180 (incarnation 3)")
        assert page.locator("#list li:visible").count() == 1
        page.select_option("#verdict-kind", "fail")
        assert page.locator("#verdicts tbody tr:visible").count() == 5
        page.select_option("#verdict-trace", "0")
        assert [
            text.split("\n")[0]
            for text in page.locator("#verdicts tbody tr:visible td.rule").all_inner_texts()
        ] == ["packet-free-when-ready"]
        assert opened.errors == []


def test_the_mouse_shows_and_chooses_events(chromium: Browser, report: Path) -> None:
    with chromium.open(report) as opened:
        page = opened.page
        page.locator("#finding tbody tr", has_text="VmbPacketSend").first.hover()
        assert "VmbPacketSend" in opened.text("#finding .card h3")
        assert picked(opened) == "61"
        page.mouse.move(5, 5)
        assert opened.text("#finding .card h3") == "VmbPacketFree"
        row = page.locator("#finding tbody tr", has_text="VmbPacketSend").first.bounding_box()
        lane = page.locator(".lanes").bounding_box()
        page.mouse.click(lane["x"] + 40, row["y"] + row["height"] / 2)
        assert picked(opened) == "59"


def test_a_finding_at_the_end_of_the_trace(chromium: Browser, report: Path) -> None:
    with chromium.open(report) as opened:
        opened.page.select_option("#by-rule", "channel-cleaned-up")
        assert picked(opened) == "end"
        assert "end of trace" in opened.text("#finding .card h3")
        assert opened.errors == []


def test_without_javascript_the_findings_are_read_as_text(chromium: Browser, report: Path) -> None:
    with chromium.open(report, javascript=False) as opened:
        page = opened.page
        assert page.locator(".static article").count() == 5
        assert "Without JavaScript this page shows every finding" in opened.text(".static")
        assert "61" in opened.text("#finding-1\\.1 tr.fault")
        assert "out: Ready → InLib" in opened.text("#finding-1\\.1")
        assert not page.is_visible("#app")
        assert not page.is_visible("#theme")
        assert page.locator("#verdicts tbody tr:visible").count() > 80
        assert opened.errors == []
        assert opened.fetched == []


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(opened: Opened, selector: str, behind: str) -> float:
    style = "(e, p) => getComputedStyle(e)[p]"
    text = luminance(opened.page.locator(selector).first.evaluate(style, "color"))
    ground = luminance(opened.page.locator(behind).first.evaluate(style, "backgroundColor"))
    return (max(text, ground) + 0.05) / (min(text, ground) + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_colours_follow_the_system_and_can_be_read(chromium: Browser, report: Path, dark: bool) -> None:
    with chromium.open(report, dark=dark) as opened:
        ground = "getComputedStyle(document.documentElement).backgroundColor"
        assert (luminance(opened.page.evaluate(ground)) < 0.2) == dark
        for selector, behind in (
            (".summary", "html"),
            (".tile dt", ".tile"),
            (".tile.bad dd", ".tile"),
            ("#finding .where", "#app"),
            ("#finding .sev", "#finding .sev"),
            ("#finding .required", "#app"),
            ("#list [aria-current] .sub", "#list [aria-current]"),
            (".verdict.pass", ".rules"),
            (".verdict.fail", ".rules"),
            (".verdict.not-exercised", ".rules"),
        ):
            assert contrast(opened, selector, behind) >= 4.5, selector
        opened.page.click("#theme")
        assert opened.text("#theme") == "Theme: light"
        assert luminance(opened.page.evaluate(ground)) > 0.8
        opened.page.click("#theme")
        assert luminance(opened.page.evaluate(ground)) < 0.2
        assert opened.errors == []


def test_paper_is_white_and_has_no_controls(chromium: Browser, report: Path) -> None:
    with chromium.open(report, media="print", dark=True) as opened:
        page = opened.page
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert luminance(page.evaluate("getComputedStyle(document.body).color")) < 0.1
        assert not page.is_visible(".filters")
        assert not page.is_visible("#theme")
        assert page.is_visible("#finding h2")
        assert page.is_visible("tr.fault")
        assert page.evaluate("(e => e.scrollHeight <= e.clientHeight + 1)(document.querySelector('.board'))")


def test_focus_goes_from_the_filters_to_the_list_to_the_events(chromium: Browser, report: Path) -> None:
    with chromium.open(report) as opened:
        page = opened.page
        page.focus("#by-trace")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('#list') !== null")
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.getAttribute('aria-current')") == "true"
        page.keyboard.press("Tab")
        while page.evaluate("document.activeElement.tagName") != "TABLE":
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.closest('#finding') !== null")
        assert page.evaluate("document.activeElement.getAttribute('role')") == "grid"


def test_a_narrow_screen_needs_no_scrolling_sideways(chromium: Browser, report: Path) -> None:
    with chromium.open(report, size=(390, 844)) as opened:
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_markup_in_a_trace_is_shown_and_not_run(chromium: Browser, tmp_path: Path) -> None:
    name = "</script><img/src=x/onerror=alert(1)>\u202e"
    text = (TRACES / "wrong-free-in-flight.kmtrace").read_text("utf-8")
    trace, path = tmp_path / "<b>x&.kmtrace", tmp_path / "report.html"
    trace.write_text(
        text.replace("status=0", f'status="{name}"').replace("VmbPacketSetCompletionRoutine", name), "utf-8"
    )
    kmclcheck(["check", str(trace), "--format", "html", "-o", str(path)])
    for javascript in (True, False):
        with chromium.open(path, javascript=javascript) as opened:
            assert opened.page.locator("img, b").count() == 0
            assert "<b>x&.kmtrace" in opened.text(".traces")
            assert opened.errors == []
            assert opened.fetched == []
