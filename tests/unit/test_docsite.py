"""The documentation site: what its pages say, that they are whole, and that nothing gets in unescaped."""

from __future__ import annotations

import json
import os
import posixpath
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from kmclcheck.docsite import html, markdown
from kmclcheck.docsite.blocks import Link, Text
from kmclcheck.docsite.build import build, pages
from kmclcheck.docsite.places import Places, point_tags
from kmclcheck.docsite.search import Found, Proved
from kmclcheck.docsite.site import Site
from kmclcheck.docsite.strict import missing
from kmclcheck.model.spec import Spec
from kmclcheck.speclang import bundled_spec, load_spec
from kmclcheck.speclang.loader import bundled_samples

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "golden" / "docsite"
MOST = 150_000
FILES = {
    "html": ("rules/file-use-open", "machines/file.life", "events/FileClose", "index"),
    "markdown": ("rules/file-use-open", "machines/lock.held", "events/FileOpen", "unclear"),
}


@pytest.fixture(scope="module")
def small() -> Spec:
    return load_spec([ROOT / "data" / "filehandle.kmcl"])


@pytest.fixture(scope="module")
def bundled() -> Site:
    samples = [(path.name, path.read_text(encoding="utf-8")) for path in bundled_samples()]
    return Site(bundled_spec(), samples=samples)


@pytest.fixture(scope="module")
def site(bundled: Site) -> dict[str, str]:
    """The site of the bundled specification in both formats."""
    made = pages(bundled)
    return {**html.render(bundled, made), **markdown.render(bundled, made), **bundled.files}


class Reader(HTMLParser):
    """Collects what a page consists of; a tag that is closed in the wrong place is an error."""

    VOID = frozenset(["meta", "link", "input", "br", "hr"])

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src"):
                self.links.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def readers(site: dict[str, str]) -> dict[str, Reader]:
    return read(site)


def read(files: dict[str, str]) -> dict[str, Reader]:
    return {name: Reader(text) for name, text in files.items() if name.endswith(".html")}


def dead_links(files: dict[str, str], readers: dict[str, Reader]) -> list[str]:
    """Return the links and anchors of the HTML pages that lead nowhere."""
    dead = []
    for name, reader in readers.items():
        for link in reader.links:
            path, _, anchor = link.partition("#")
            if link == "data:,":
                continue
            target = (
                posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(path))) if path else name
            )
            if target not in files or (anchor and unquote(anchor) not in readers[target].ids):
                dead.append(f"{name}: {link}")
    return dead


def dead_markdown_links(files: dict[str, str]) -> tuple[int, list[str]]:
    """Return how many links the Markdown pages have, and those that lead nowhere."""
    count, dead = 0, []
    anchors = {n: set(re.findall(r'<a id="([^"]+)"></a>', text)) for n, text in files.items()}
    for name, text in files.items():
        if not name.endswith(".md"):
            continue
        prose = re.sub(r"(?ms)^(`{3,}).*?^\1$", "", text)
        for link in re.findall(r"(?<!\\)\]\(([^)\s]+)\)", prose):
            count += 1
            path, _, anchor = link.partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
            if target not in files or (anchor and anchor not in anchors[target]):
                dead.append(f"{name}: {link}")
    return count, dead


@pytest.mark.parametrize(("format", "file"), [(f, name) for f, names in FILES.items() for name in names])
def test_page_is_the_golden_one(small: Spec, format: str, file: str) -> None:
    """With KMCLCHECK_UPDATE_GOLDEN=1 the files are written instead."""
    file += ".html" if format == "html" else ".md"
    text = build(small, format, options=" --spec filehandle.kmcl")[file]
    # The names of the version and of the texts are not what these files are about.
    text = re.sub(r"Written by kmclcheck \S+ from the specification (?:<code>)?\w+", "Written by", text)
    golden = GOLDEN / file
    if os.environ.get("KMCLCHECK_UPDATE_GOLDEN"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text, encoding="utf-8", newline="\n")
    assert text == golden.read_text(encoding="utf-8")


def test_everything_has_a_page_under_its_stable_name(site: dict[str, str]) -> None:
    spec = bundled_spec()
    wanted = {f"rules/{id}" for id in spec.rules} | {f"events/{name}" for name in spec.events}
    wanted |= {f"machines/{kind}.{field}" for kind, field in spec.machines}
    wanted |= {
        "index",
        "rules",
        "machines",
        "events",
        "invariants",
        "unclear",
        "sources",
        "glossary",
        "evidence",
    }
    for suffix in (".html", ".md"):
        assert {name.removesuffix(suffix) for name in site if name.endswith(suffix)} == wanted
    assert set(spec.invariants) <= set(Reader(site["invariants.html"]).ids)


def test_every_link_and_anchor_leads_somewhere(site: dict[str, str], readers: dict[str, Reader]) -> None:
    assert sum(len(reader.links) for reader in readers.values()) > 5000
    assert dead_links(site, readers) == []
    count, dead = dead_markdown_links(site)
    assert count > 3000
    assert dead == []


def test_a_dead_link_would_be_noticed() -> None:
    pages = {
        "a.html": '<a href="sub/b.html#there"></a><a href="sub/b.html#gone"></a>',
        "sub/b.html": '<p id="there"><a href="../c.html"></a></p>',
        "a.md": "[x](sub/b.md#there) [y](sub/b.md#gone)",
        "sub/b.md": '<a id="there"></a>[z](../c.md)',
    }
    assert dead_links(pages, read(pages)) == ["a.html: sub/b.html#gone", "sub/b.html: ../c.html"]
    assert dead_markdown_links(pages) == (3, ["a.md: sub/b.md#gone", "sub/b.md: ../c.md"])


def test_pages_are_whole_light_and_fetch_nothing(site: dict[str, str], readers: dict[str, Reader]) -> None:
    for name, reader in readers.items():
        assert (reader.wrong, reader.open) == ([], []), name
        assert len(reader.ids) == len(set(reader.ids)), name
        assert len(site[name].encode()) < MOST, name
        assert not [link for link in reader.links if re.match(r"[a-z]+:(?!,)", link.replace("data:,", ""))], (
            name
        )
        assert not {a for a in reader.attributes if a.startswith("on")}, name
        assert "style" not in reader.tags, name


def test_a_rule_page_says_everything_about_its_rule(site: dict[str, str]) -> None:
    page = Reader(site["rules/channel-cleanup-disabled.html"])
    spec = bundled_spec()
    rule = spec.rules["channel-cleanup-disabled"]
    # Links stand between the pieces of a sentence.
    words = page.text.replace(" ", "")
    for text in (rule.statement, rule.fix, *rule.sources, "error", "the driver", "Our reading",
                 "require channel.life is Disabled", "kmclcheck check traces/channel-cleanup-disabled.fails",
                 "from the specification's examples", "is forbidden in", "suspend-while-open"):  # fmt: skip
        assert text.replace(" ", "") in words, text
    assert {"why", "how-to-fix", "formal-form", "states", "counterexample", "witness", "evidence", "limits",
            "related"} <= set(page.ids)  # fmt: skip
    # The forbidden edge and the two traces are drawn.
    assert page.tags.count("svg") == 3
    assert 'class="path forbidden"' in site["rules/channel-cleanup-disabled.html"]
    assert "channel-no-use-after-cleanup.html" in page.links
    assert "../events/VmbChannelCleanup.html" in page.links


def test_every_rule_shows_a_trace_that_breaks_it_and_one_that_keeps_it(
    site: dict[str, str], readers: dict[str, Reader]
) -> None:
    for id in bundled_spec().rules:
        for what in ("fails", "passes"):
            assert site[f"traces/{id}.{what}.kmtrace"].startswith("%kmtrace 1"), id
        assert readers[f"rules/{id}.html"].tags.count("svg") >= 2, id


def test_matrix_says_next_state_forbidden_or_not_documented(site: dict[str, str]) -> None:
    spec = bundled_spec()
    text = site["machines/channel.life.html"]
    row = next(line for line in text.splitlines() if ">VmbChannelCleanup.call<" in line and "<th" in line)
    values = spec.kinds["channel"].enums["life"].values
    cells = dict(zip(values, re.findall(r"<td.*?</td>", row), strict=True))
    number = list(spec.rules).index("channel-cleanup-disabled") + 1
    assert f">{number}</a>" in cells["Enabled"]
    assert 'class="forbidden"' in cells["Enabled"]
    assert "\N{RIGHTWARDS ARROW} Freed" in cells["Disabled"]
    assert "forbidden" not in cells["Disabled"]
    row = next(line for line in text.splitlines() if ">EvtVmbChannelOpened.out<" in line and "<th" in line)
    cells = dict(zip(values, re.findall(r"<td.*?</td>", row), strict=True))
    assert "\N{RIGHTWARDS ARROW} Disabled | Enabled | Open | FailedOpen*" in cells["Opening"]
    assert "not documented" in cells["Freed"]


def test_unclear_points_are_those_that_readings_cite(site: dict[str, str]) -> None:
    tags = {tag for rule in bundled_spec().rules.values() for tag in point_tags(rule.reading)}
    assert {"X1", "X5", "X42"} <= tags
    assert tags <= set(Reader(site["unclear.html"]).ids)
    assert point_tags("a reading (X2, X10) of more (see X3)") == ["X2", "X10"]


def test_bundled_specification_leaves_nothing_out(bundled: Site) -> None:
    assert missing(bundled) == []


def test_strict_names_what_a_specification_leaves_out(small: Spec) -> None:
    found = missing(Site(small))
    assert "function FileRead: no source" in found
    assert "machine lock.held: no doc" in found
    assert "rule file-size-sane: no example that fails when it is replayed" in found
    assert not [line for line in found if "file.life" in line or "file-use-open" in line]


NASTY = r'''
spec nasty "<script>alert('title')</script>"
status STATUS_SUCCESS = 0
object file HFILE {
    doc "<img src=x onerror=alert(1)> & \"quotes\" | a bar"
    field life : { None, Open } = None dead { None } absent { None }
}
function Use(in File: HFILE, in Size: "<b>UINT32</b>") : NTSTATUS {
    role either interface "</title><script>"
    doc "]] {{ 7 * 7 }} {% raw %} `ticks` *stars* [x](javascript:alert(1))"
    source "P:\"><script>alert(2)</script>"
}
function use(in File: HFILE) : NTSTATUS
births file { on Use.ret when succeeded }
machine file.life {
    doc "</desc></svg><script>alert(3)</script>"
    * -> Open on Use.ret when succeeded
}
rule con {
    driver error core
    on file
    statement "Never </p><script>alert(4)</script>],[ BIDI here."
    at use.call require file.life is Open
    message "{event} <script>alert(5)</script>"
    consequence "<i>why</i>"
    fix "1. not a list"
    source "P:x<y"
    reading "(X1) <u>unclear</u>"
    fails """
        call use tid=1 File=0x10
    """
}
'''.replace("BIDI", "\u202e")


def test_nothing_in_a_specification_becomes_markup(tmp_path: Path) -> None:
    path = tmp_path / "nasty.kmcl"
    path.write_text(NASTY, encoding="utf-8")
    spec = load_spec([path])
    files = build(spec, options=" --spec nasty.kmcl")
    readers = read(files)
    assert dead_links(files, readers) == []
    for name, reader in readers.items():
        assert (reader.wrong, reader.open) == ([], []), name
        assert reader.tags.count("script") == 2, name
        assert not {"img", "b", "i", "u"} & set(reader.tags), name
        assert "\u202e" not in files[name], name
    assert "{{ 7 * 7 }}" in Reader(files["events/Use.html"]).text
    # Names that differ in case only, and names of devices, are files of their own on every system.
    lower = [name.lower() for name in files]
    assert len(set(lower)) == len(lower)
    assert "rules/con.html" not in files
    texts = build(spec, "markdown")
    assert dead_markdown_links(texts)[1] == []
    for name, text in texts.items():
        prose = re.sub(r'(?ms)^(`{3,}).*?^\1$|(`+).*?\2|<a id="[^"]*"></a>', "", text)
        assert not re.search(r"(?<!\\)<|(?<!\\)\]\(javascript", prose), name
    assert r"1\. not a list" in texts["rules/_con.md"]


def test_search_index_is_a_script_of_plain_strings(tmp_path: Path) -> None:
    path = tmp_path / "nasty.kmcl"
    path.write_text(NASTY, encoding="utf-8")
    script = build(load_spec([path]))["assets/index.js"]
    head, _, rest = script.partition("=")
    rows = json.loads(rest.strip().removesuffix(";"))
    assert head == "window.siteIndex "
    assert ["con", "rules/_con.html", "rule"] in [row[:3] for row in rows]


@pytest.mark.parametrize("format", ["html", "markdown"])
def test_the_same_specification_gives_the_same_files(small: Spec, format: str) -> None:
    first, again = build(small, format), build(small, format)
    assert list(first) == list(again)
    assert first == again


def test_links_in_running_text(small: Spec) -> None:
    places = Places(small)
    line = places.prose("Call FileClose.call, then file-use-open (X7); no FileCloser.")
    links = {piece.text: (piece.page, piece.anchor) for piece in line if isinstance(piece, Link)}
    assert links == {
        "FileClose.call": ("events/FileClose", ""),
        "file-use-open": ("rules/file-use-open", ""),
        "X7": ("unclear", "X7"),
    }
    assert "".join(p.text for p in line) == "Call FileClose.call, then file-use-open (X7); no FileCloser."
    assert isinstance(line[-1], Text)


def test_results_of_searches_and_proofs_are_shown(small: Spec) -> None:
    shortest = "%kmtrace 1\n%start known\n%records all\n- - - -.1 - call FileRead File=16\n"
    found = {
        "file-use-open": Found("graph", "2 threads", shortest, "", 0, False, False, ""),
        "file-no-double-close": Found("graph", "2 threads", "", "", 4, False, False, "time"),
        # What the monitor does not confirm is not shown.
        "file-closed": Found("graph", "2 threads", shortest, "", 0, False, False, ""),
    }
    files = build(small, found=found, proved={})
    page = Reader(files["rules/file-use-open.html"]).text
    assert "1 record, found by the engine graph and confirmed by the monitor" in page
    assert "none with up to 4 records" in Reader(files["rules/file-no-double-close.html"]).text
    closed = Reader(files["rules/file-closed.html"]).text
    assert "found by the engine" not in closed
    assert "the monitor does not confirm it" in closed


def test_a_proof_is_told_with_its_method_and_bounds() -> None:
    spec = bundled_spec()
    few = {id: spec.rules[id] for id in ("lg-process-packet-window", "lg-started-after-opened")}
    small = replace(
        spec, rules=few, invariants={"delivery-while-running": spec.invariants["delivery-while-running"]}
    )
    proof = Proved("proved", "induction", 2, 10, 3, 1, 2, 2, ("lg-process-packet-window",), 8, "")
    page = Reader(build(small, proved={"delivery-while-running": proof})["invariants.html"]).text
    assert "by induction, k = 2 (10 plain facts, 3 lemmas found), within 1 object of each kind" in page
    assert "lg-process-packet-window" in page
    assert "not run here" in Reader(build(small)["invariants.html"]).text
