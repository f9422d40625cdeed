"""Pages as HTML."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Sequence
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kmclcheck.diagrams.svg import STYLE
from kmclcheck.docsite.blocks import Heading, Link, Page
from kmclcheck.docsite.places import relative
from kmclcheck.docsite.site import Site
from kmclcheck.model.words import safe

_OWN_STYLE = re.compile(r"<style>.*?</style>\n?", re.DOTALL)
_MENU = 9
_SUMMARY = 120


def render(site: Site, pages: Sequence[Page]) -> dict[str, str]:
    """Return the HTML pages, their style, the search and its index, by path."""
    environment = Environment(
        loader=PackageLoader("kmclcheck.docsite"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # What does not print, such as marks that turn the direction of text, is shown as an escape.
        finalize=lambda value: safe_lines(value) if type(value) is str else value,
    )
    environment.filters["sort"] = lambda block: type(block).__name__
    environment.filters["svg"] = _svg
    template = environment.get_template("page.html")
    title = site.spec.title or site.spec.name
    files = {}
    for page in pages:
        folder = posixpath.dirname(page.path)

        def href(link: Link, folder: str = folder) -> str:
            return relative(link, folder, ".html")

        root = posixpath.relpath(".", folder or ".")
        files[f"{page.path}.html"] = template.render(
            page=page, site=title, href=href, root="" if root == "." else f"{root}/", menu=pages[:_MENU]
        )
    files["assets/site.css"] = _asset("site.css") + STYLE
    files["assets/search.js"] = _asset("search.js")
    files["assets/index.js"] = _index(pages)
    return files


def safe_lines(text: str) -> str:
    """Return the text with what does not print escaped; ends of lines stay."""
    return "\n".join(safe(line) for line in text.split("\n"))


def _svg(text: str) -> Markup:
    # Escaped by the writer of the picture. The style of all pictures is in the style sheet of the site.
    return Markup(_OWN_STYLE.sub("", text))


def _asset(name: str) -> str:
    return resources.files("kmclcheck.docsite").joinpath("templates", name).read_text(encoding="utf-8")


def _index(pages: Sequence[Page]) -> str:
    """Return what the search looks through, as a script: files opened from a disk can load nothing else."""
    rows = [
        [page.title, f"{page.path}.html", page.kind, _short(safe(page.summary)), safe(page.words)]
        for page in pages
    ]
    for page in pages:
        if page.path in ("invariants", "glossary"):
            rows += _places(page)
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    return f"window.siteIndex = [\n{lines}\n];\n"


def _places(page: Page) -> list[list[str]]:
    rows = []
    for block in page.blocks:
        if isinstance(block, Heading):
            rows.append([block.text, f"{page.path}.html#{block.anchor}", page.title.lower(), "", ""])
    return rows


def _short(text: str) -> str:
    return text if len(text) <= _SUMMARY else text[: _SUMMARY - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
