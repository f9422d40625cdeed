"""The pages about the whole: overview, invariants, unclear points, sources, evidence, glossary."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kmclcheck import __version__
from kmclcheck.docsite import facts
from kmclcheck.docsite.blocks import (
    Code,
    Facts,
    Inline,
    Line,
    Link,
    Mark,
    Note,
    Page,
    Para,
    Row,
    Table,
    Text,
    anchor_of,
    joined,
)
from kmclcheck.docsite.events import sort_of
from kmclcheck.docsite.pictures import machine_figure
from kmclcheck.docsite.places import point_tags, tag_key
from kmclcheck.docsite.rules import traces_of
from kmclcheck.docsite.search import Proved, spec_key
from kmclcheck.docsite.site import Site, row
from kmclcheck.docsite.terms import TERMS
from kmclcheck.model.spec import Invariant, Machine
from kmclcheck.report.describe import plural
from kmclcheck.speclang import format_checks


def index_page(site: Site) -> Page:
    """Return the first page: what the specification covers."""
    spec = site.spec
    title = spec.title or spec.name
    page = Page("index", title, "overview", f"What the specification {spec.name} says, page by page.")
    sorts = [sort_of(event) for event in spec.events.values()]
    parties = [rule.party.value for rule in spec.rules.values()]
    warnings = sum(rule.severity.value == "warning" for rule in spec.rules.values())
    words = {party: "either" if party == "either" else f"the {party}" for party in parties}
    by_party = ", ".join(f"{parties.count(party)} for {word}" for party, word in words.items())
    unclear = len({tag for rule in spec.rules.values() for tag in point_tags(rule.reading)})
    rows: list[tuple[str, Line]] = [
        ("Rules", [Link(str(len(spec.rules)), "rules"), Text(f": {by_party}; {warnings} of them warnings")]),
        ("Events", [Link(str(len(sorts)), "events"), Text(": " + ", ".join(
            plural(sorts.count(s), s) for s in dict.fromkeys(sorts)))]),
        ("Objects", [Link(str(len(spec.kinds)), "glossary", "objects"), Text(" kinds")]),
        ("State machines", [Link(str(len(spec.machines)), "machines")]),
        ("Invariants", [Link(str(len(spec.invariants)), "invariants"), Text(_proof_words(site))]),
        ("Unclear points", [Link(str(unclear), "unclear"), Text(", with the reading taken")]),
        ("Evidence", [Link("which traces show each rule", "evidence")]),
        ("Terms", [Link("glossary", "glossary"), Text(" and "), Link("sources", "sources")]),
    ]  # fmt: skip
    page.blocks.append(Facts(rows))
    page.heading("Objects")
    kinds = []
    for kind in spec.kinds.values():
        parent: Line = [site.places.kind(kind.parent)] if kind.parent else [Text("none")]
        mine = [m for m in spec.machines.values() if m.kind == kind.name]
        main = facts.main_machine(spec, kind.name)
        first: Line = [site.places.machine(main.kind, main.field)] if main else [Text("none")]
        about = sum(rule.scope == kind.name for rule in spec.rules.values())
        kinds.append(row([site.places.kind(kind.name)], parent, first, [Text(str(len(mine)))],
                         [Text(str(about))], site.places.prose(kind.doc)))  # fmt: skip
    head = ("Object", "Belongs to", "Its life", "Machines", "Rules", "What it is")
    page.blocks.append(Table(head, kinds))
    overview = _overview(site)
    if overview is not None:
        name = f"{overview.kind}.{overview.field}"
        page.heading("Overview")
        page.blocks.append(machine_figure(site, overview, f"{name}: most rules look at it. Events that leave "
                                          "the state as it is are not drawn."))  # fmt: skip
    page.blocks.append(Para([Text(f"Written by kmclcheck {__version__} from the specification "),
                             Code(spec_key(spec)[:12]), Text(".")], "small"))  # fmt: skip
    return page


def _proof_words(site: Site) -> str:
    if not site.spec.invariants:
        return ""
    if site.proved is None:
        return ", not proved here"
    return f", {sum(p.result == 'proved' for p in site.proved.values())} of them proved here"


def _overview(site: Site) -> Machine | None:
    """Return the life of the kind of object that most rules are about."""
    scopes = [rule.scope for rule in site.spec.rules.values()]
    machines = [m for kind in site.spec.kinds if (m := facts.main_machine(site.spec, kind)) is not None]
    return max(machines, key=lambda m: scopes.count(m.kind), default=None)


def invariants_page(site: Site) -> Page:
    """Return the invariants with what came of their proofs."""
    count = plural(len(site.spec.invariants), "claim")
    page = Page("invariants", "Invariants", "overview", f"{count} that follow from the rules.")
    if site.proved is None and site.spec.invariants:
        command = Code(f"kmclcheck prove{site.options}")
        page.blocks.append(
            Para([Text("The proofs were not run for this page; "), command, Text(" runs them.")])
        )
    for invariant in site.spec.invariants.values():
        page.heading(invariant.id, anchor_of(invariant.id))
        page.blocks += [
            Para(site.places.prose(invariant.statement)),
            Facts(_invariant_rows(site, invariant)),
        ]
    return page


def _invariant_rows(site: Site, invariant: Invariant) -> list[tuple[str, Line]]:
    places, spec = site.places, site.spec
    # A check of an invariant that names no event is about every moment.
    texts = [re.sub(r"^at end\b", "always", form) for form in format_checks(invariant.checks, spec)]
    forms = [places.formal(text) for text in texts]
    given = [places.formal(form) for form in format_checks(invariant.given, spec)]
    proof = None if site.proved is None else site.proved.get(invariant.id)
    rests = site.rule_list(invariant.assuming) or [Text("all rules")]
    rows: list[tuple[str, Line]] = [
        ("Claim", joined(forms, "; ")),
        *([("Given", joined(given, "; "))] if given else []),
        ("Rests on", rests),
        ("Why the objects suffice", places.prose(invariant.instances) or [Text("not stated")]),
        ("Proof", _proof(proof)),
    ]
    if invariant.strict:
        rows.append(("Strict", [Text("violated also where the documents leave it open")]))
    if invariant.sources:
        rows.append(("Sources", joined([[places.source(source)] for source in invariant.sources])))
    return rows


def _proof(proof: Proved | None) -> Line:
    if proof is None:
        return [Mark("not run here", "missing")]
    objects = f"{plural(proof.objects, 'object')} of each kind for each parent"
    within = f"within {objects}, {plural(proof.threads, 'thread')}, {proof.depth} calls inside one another"
    if proof.result == "proved":
        rests = f"{plural(proof.facts, 'plain fact')}, {plural(proof.lemmas, 'lemma')} found"
        return [Mark("proved", "good"), Text(f" by {proof.method}, k = {proof.steps} ({rests}), {within}")]
    if proof.result == "failed":
        return [Mark("failed", "error"), Text(f": records that keep the rules violate it, {within}")]
    records = plural(proof.searched, "record")
    return [Mark("open", "warning"), Text(f": {proof.why}; no violation with {records} or fewer, {within}")]


def unclear_page(site: Site) -> Page:
    """Return the readings taken, by the points of the reference that they settle."""
    readings = [rule for rule in site.spec.rules.values() if rule.reading]
    page = Page("unclear", "Unclear points, and how they are read", "overview",
                f"Rules that rest on a reading of unclear documents: {len(readings)}.")  # fmt: skip
    page.menu = "Unclear points"
    tags: dict[str, list[str]] = {}
    for rule in readings:
        for tag in point_tags(rule.reading):
            tags.setdefault(tag, []).append(rule.id)
    for tag in sorted(tags, key=tag_key):
        page.heading(tag, tag)
        page.blocks += [_reading(site, id) for id in tags[tag]]
    rest = [rule.id for rule in readings if not point_tags(rule.reading)]
    if rest:
        page.heading("Other readings", "other")
        page.blocks += [_reading(site, id) for id in rest]
    if not readings:
        page.blocks.append(Para([Text("The specification names none.")]))
    return page


def _reading(site: Site, id: str) -> Note:
    lines: list[Line] = [site.places.prose(site.spec.rules[id].reading),
                         [Text("Rule: "), site.places.rule(id)]]  # fmt: skip
    return Note("Our reading", lines, "reading")


def sources_page(site: Site) -> Page:
    """Return what cites which source."""
    spec, places = site.spec, site.places
    cited: dict[str, list[Inline]] = {}

    def cite(tags: Iterable[str], link: Inline) -> None:
        for tag in dict.fromkeys(tags):
            cited.setdefault(tag, []).append(link)

    for rule in spec.rules.values():
        cite(rule.sources, places.rule(rule.id))
    for event in spec.events.values():
        cite(event.sources, places.event(event.name))
    for one in spec.invariants.values():
        cite(one.sources, Link(one.id, "invariants", anchor_of(one.id), code=True))
    page = Page("sources", "Sources", "overview", f"{plural(len(cited), 'source')}, and what rests on each.")
    rows: list[Row] = []
    for tag in sorted(cited):
        rows.append(
            row([Code(tag)], joined([[link] for link in cited[tag]]), anchor=places.source(tag).anchor)
        )
    page.blocks.append(Table(("Source", "Cited by"), rows))
    return page


def evidence_page(site: Site) -> Page:
    """Return for each rule which traces show it."""
    page = Page("evidence", "Evidence", "overview", "Which traces show each rule, broken and kept.")
    rows = []
    for rule in site.spec.rules.values():
        found = None if site.found is None else site.found.get(rule.id)
        broken, kept = traces_of(site, rule, found)
        samples = site.exercised.get(rule.id, [])
        origin = "not looked for" if site.found is None else "no search" if found is None else (
            f"engine {found.engine}" if found.broken else "none found")  # fmt: skip
        rows.append(row(
            [site.places.rule(rule.id)],
            [Text("none" if broken is None else plural(len(broken.events), "record"))],
            [Text("none" if kept is None else plural(len(kept.events), "record"))],
            [Text(origin)],
            [Text(f"{len(samples)}, {sum(s.breaks for s in samples)} break it" if samples else "none")],
        ))  # fmt: skip
    page.blocks.append(Para([Text("Every trace was replayed by the monitor when this page was written.")]))
    head = ("Rule", "Broken by", "Kept by", "Shortest, by", f"Of {plural(len(site.samples), 'sample')}")
    page.blocks.append(Table(head, rows))
    return page


def glossary_page(site: Site) -> Page:
    """Return the terms of the specification and of the language it is written in."""
    spec, places = site.spec, site.places
    page = Page(
        "glossary", "Glossary", "overview", "The objects and fields of the specification, and general terms."
    )
    page.heading("Objects")
    for kind in spec.kinds.values():
        page.heading(kind.name, f"object-{anchor_of(kind.name)}", 3)
        parts: list[Line] = [places.prose(kind.doc)] if kind.doc else []
        if kind.parent:
            within = ", and its handle is unique only there" if kind.scoped else ""
            parts.append([Text("Belongs to a "), places.kind(kind.parent), Text(within + ".")])
        if kind.handle_type:
            parts.append([Text("Its handle is a "), Code(kind.handle_type), Text(".")])
        page.blocks += [Para(part) for part in parts]
        rows = []
        for enum in kind.enums.values():
            machine = spec.machines.get((kind.name, enum.name))
            doc = enum.doc or (machine.doc if machine is not None else "")
            values = joined([[Code(value)] for value in enum.values])
            rows.append(_field(site, kind.name, enum.name, values, doc))
        for number in kind.numbers.values():
            what: Line = [Text("counter" if number.counter else "number")]
            rows.append(_field(site, kind.name, number.name, what, number.doc))
        if rows:
            page.blocks.append(Table(("Field", "Values", "What it tells"), rows))
    if spec.statuses or spec.constants:
        page.heading("Status codes and constants", "constants")
        pairs = [*spec.statuses.items(), *spec.constants.items()]
        page.blocks.append(Table(("Name", "Value"), [row([Code(n)], [Code(f"{v:#x}")]) for n, v in pairs]))
    page.heading("General terms", "terms")
    rows = [row([Text(term)], [Text(text)], anchor=anchor_of(term)) for term, text in sorted(TERMS)]
    page.blocks.append(Table(("Term", "Meaning"), rows))
    return page


def _field(site: Site, kind: str, name: str, values: Line, doc: str) -> Row:
    label = f"{kind}.{name}"
    link: Inline = site.places.machine(kind, name)
    if isinstance(link, Link) and link.page == "glossary":
        link = Code(label)
    return row([link], values, site.places.prose(doc), anchor=anchor_of(label))
