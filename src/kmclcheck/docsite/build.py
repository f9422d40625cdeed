"""All pages of a site, in either format, as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kmclcheck.docsite.blocks import Page
from kmclcheck.docsite.events import event_page, events_page
from kmclcheck.docsite.general import (
    evidence_page,
    glossary_page,
    index_page,
    invariants_page,
    sources_page,
    unclear_page,
)
from kmclcheck.docsite.machines import machine_page, machines_page
from kmclcheck.docsite.rules import rule_page, rules_page
from kmclcheck.docsite.search import Found, Proved
from kmclcheck.docsite.site import Site
from kmclcheck.model.spec import Spec

FORMATS = ("html", "markdown")
ENTRY = {"html": "index.html", "markdown": "index.md"}


def build(
    spec: Spec,
    format: str = "html",
    *,
    found: Mapping[str, Found] | None = None,
    proved: Mapping[str, Proved] | None = None,
    samples: Sequence[tuple[str, str]] = (),
    options: str = "",
) -> dict[str, str]:
    """Return the files of a site by their paths, with ``/`` between the parts.

    The same arguments give the same files. ``found`` and ``proved`` are what searches and proofs came to;
    without them the pages show examples of the specification, and say so. ``samples`` are traces by name,
    ``options`` what a command line needs to use the same specification (``" --spec mine.kmcl"``).
    Raises KeyError if the format is unknown.
    """
    site = Site(spec, found, proved, samples, options)
    made = pages(site)
    if format == "html":
        # Importing a template engine takes time that other commands should not spend.
        from kmclcheck.docsite.html import render
    elif format == "markdown":
        from kmclcheck.docsite.markdown import render
    else:
        raise KeyError(format)
    return {**render(site, made), **site.files}


def pages(site: Site) -> list[Page]:
    """Return the pages of a site; the first ones are those of its menu."""
    spec = site.spec
    return [
        index_page(site),
        rules_page(site),
        machines_page(site),
        events_page(site),
        invariants_page(site),
        unclear_page(site),
        evidence_page(site),
        sources_page(site),
        glossary_page(site),
        *(rule_page(site, rule) for rule in spec.rules.values()),
        *(machine_page(site, machine) for machine in spec.machines.values()),
        *(event_page(site, event) for event in spec.events.values()),
    ]
