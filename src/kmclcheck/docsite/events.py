"""The pages of functions, callbacks and records."""

from __future__ import annotations

from kmclcheck.docsite import facts
from kmclcheck.docsite.blocks import (
    Code,
    Facts,
    Inline,
    Line,
    Link,
    Mark,
    Page,
    Para,
    Row,
    Table,
    Text,
    joined,
)
from kmclcheck.docsite.site import RULE_HEAD, Site, row
from kmclcheck.model.expr import Expr, Inside, Latest, OpenFrame, Overlapped, walk
from kmclcheck.model.spec import EventDecl, Param
from kmclcheck.speclang import format_expr

_SORTS = (("Functions", "function"), ("Callbacks", "callback"), ("Records", "record"))


def sort_of(event: EventDecl) -> str:
    """Return whether it is a function, a callback or a record."""
    return "record" if event.record else "callback" if event.callback else "function"


def events_page(site: Site) -> Page:
    """Return the table of all events."""
    events = site.spec.events.values()
    counts = [(title, sum(sort_of(event) == sort for event in events)) for title, sort in _SORTS]
    told = ", ".join(f"{count} {title.lower()}" for title, count in counts if count)
    page = Page("events", "Functions and callbacks", "overview", f"{told}.", menu="Events")
    for title, sort in _SORTS:
        mine = [event for event in events if sort_of(event) == sort]
        if not mine:
            continue
        page.heading(title)
        rows = []
        for event in mine:
            count = len(_judged(site, event.name))
            rules = [Text(str(count))] if count else [Text("none")]
            rows.append(row([site.places.event(event.name)], [Text(event.role)], _irql(event),
                            rules, site.places.prose(event.doc)))  # fmt: skip
        page.blocks.append(Table(("Name", "Role", "IRQL", "Rules", "What it does"), rows))
    return page


def _irql(event: EventDecl) -> Line:
    return [Text(event.irql or "not stated")]


def event_page(site: Site, event: EventDecl) -> Page:
    """Return the page of a function, a callback or a record."""
    places = site.places
    sort = sort_of(event)
    page = Page(places.events[event.name], event.name, sort, event.doc)
    page.words = " ".join(p.name for p in event.params)
    states: list[Inline] = [] if event.documented else [Mark("undocumented", "missing"), Text(" ")]
    states += [Mark("no effect", "profile")] if event.neutral else []
    facts_: list[tuple[str, Line]] = [
        ("Sort", [Text(sort + " "), *states]),
        ("Role", [Text(event.role)]),
        ("Interface", [Text(event.interface or "not stated")]),
        ("IRQL", _irql(event)),
    ]
    if not event.record:
        facts_.append(("Returns", [Code(event.returns)] if event.returns else [Text("not stated")]))
    if event.recorded_when is not None:
        facts_.append(("Recorded when", places.formal(format_expr(event.recorded_when, site.spec))))
    groups = joined([[places.source(source)] for source in event.sources])
    facts_.append(("Sources", groups or [Text("none stated")]))
    page.blocks.append(Facts(facts_))
    page.heading("Parameters")
    if event.params:
        rows = [_param(site, event, param) for param in event.params]
        page.blocks.append(Table(("Name", "Type", "Direction", "Object", "Notes"), rows))
    else:
        page.blocks.append(Para([Text("None are stated.")]))
    page.heading("Rules that apply at it", "rules")
    judged = _judged(site, event.name)
    if judged:
        rows = site.rule_rows(list(judged))
        rows = [Row([*r.cells, *row([Code(", ".join(judged[id]))]).cells])
                for r, id in zip(rows, judged, strict=True)]  # fmt: skip
        page.blocks.append(Table((*RULE_HEAD, "At"), rows))
    else:
        page.blocks.append(Para([Text("None.")]))
    seen = [id for id in _seen(site, event.name) if id not in judged]
    if seen:
        line = [Text("Rules that look at whether it runs or came last: "), *site.rule_list(seen)]
        page.blocks.append(Para(line))
    page.heading("What it changes", "effects")
    effects = _effects(site, event.name)
    if effects:
        page.blocks.append(Table(("At", "Field", "Change", "When"), effects))
    else:
        page.blocks.append(Para([Text("No field of any object.")]))
    claims = [i.id for i in site.spec.invariants.values()
              if any(c.event is not None and c.event[0] == event.name for c in i.checks)]  # fmt: skip
    if claims:
        page.heading("Invariants")
        page.blocks.append(Para(joined([[Link(id, "invariants", id, code=True)] for id in claims])))
    return page


def _param(site: Site, event: EventDecl, param: Param) -> Row:
    notes = ["optional"] if param.optional else []
    notes += ["a value behind a pointer, logged under this name"] if param.extra else []
    carries = event.objects.get(param.kind or "") == param.name
    kind: Line = [site.places.kind(param.kind)] if param.kind is not None and carries else []
    return row([Code(param.name)], [Code(param.type)], [Text(param.direction.value)], kind,
               [Text(", ".join(notes))])  # fmt: skip


def _judged(site: Site, name: str) -> dict[str, list[str]]:
    """Return the rules judged at an event, with the phases."""
    found: dict[str, list[str]] = {}
    for rule in site.spec.rules.values():
        for check in rule.checks:
            if check.event is not None and check.event[0] == name:
                phases = found.setdefault(rule.id, [])
                phases += [check.event[1].value] if check.event[1].value not in phases else []
            if name in check.hung_in:
                found.setdefault(rule.id, []).append("hang")
    return found


def _seen(site: Site, name: str) -> list[str]:
    def looks(expr: Expr) -> bool:
        nodes = walk(expr)
        return any(isinstance(n, Inside | OpenFrame | Overlapped | Latest) and name in n.names for n in nodes)

    return [r.id for r in site.spec.rules.values() if any(looks(expr) for expr in facts.conditions(r))]


def _effects(site: Site, name: str) -> list[Row]:
    spec, rows = site.spec, []
    for kind in spec.kinds.values():
        for birth in kind.births:
            if birth.event[0] == name:
                begins: list[Inline] = [Text("a new "), site.places.kind(kind.name), Text(" begins")]
                rows.append(row([Code(birth.event[1].value)], [site.places.kind(kind.name)], begins,
                                site.when(birth.guard) or [Text("always")]))  # fmt: skip
    for machine in spec.machines.values():
        values = spec.kinds[machine.kind].enums[machine.field].values
        for line in machine.transitions:
            if line.event[0] != name or (line.targets == line.sources and len(line.sources) == 1):
                continue
            sources = [v for v in values if v in line.sources]
            targets = " | ".join(v for v in values if v in line.targets) or "stays"
            origin = "any" if len(sources) == len(values) else ", ".join(sources)
            change = f"shows {origin}" if line.observe else f"{origin} \N{RIGHTWARDS ARROW} {targets}"
            through = " (of every child)" if line.via_parent else " (of any)" if line.anywhere else ""
            rows.append(row([Code(line.event[1].value)], [site.places.machine(machine.kind, machine.field)],
                            [Text(change + through)], site.when(line.guard) or [Text("always")]))  # fmt: skip
    for one in spec.assignments:
        if one.event[0] == name:
            what = "unset" if one.value is None else "adds to it" if one.adds else "set"
            rows.append(row([Code(one.event[1].value)], [site.places.machine(one.kind, one.field)],
                            [Text(what)], site.when(one.guard) or [Text("always")]))  # fmt: skip
    return rows
