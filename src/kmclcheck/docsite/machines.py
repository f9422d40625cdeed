"""The pages of state machines: what the values mean, what moves them, and what is forbidden in which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmclcheck.docsite import facts
from kmclcheck.docsite.blocks import (
    Cell,
    Code,
    Facts,
    Inline,
    Line,
    Link,
    Page,
    Para,
    Row,
    Table,
    Text,
    joined,
)
from kmclcheck.docsite.pictures import machine_figure
from kmclcheck.docsite.site import RULE_HEAD, Site, row
from kmclcheck.model.spec import EnumField, Machine, Transition
from kmclcheck.report.describe import plural


def machines_page(site: Site) -> Page:
    """Return the table of all machines, by the kinds they belong to."""
    spec = site.spec
    page = Page("machines", "State machines", "overview", f"{plural(len(spec.machines), 'state machine')}.")
    for kind in spec.kinds:
        mine = [m for m in spec.machines.values() if m.kind == kind]
        if not mine:
            continue
        page.heading(kind, f"of-{kind}")
        rows = []
        for machine in mine:
            enum = spec.kinds[kind].enums[machine.field]
            values = joined([[Code(value)] for value in enum.values])
            rows.append(row([site.places.machine(kind, machine.field)], values, _doc(site, machine)))
        page.blocks.append(Table(("Machine", "Values", "What it tells"), rows))
    return page


def _doc(site: Site, machine: Machine) -> Line:
    enum = site.spec.kinds[machine.kind].enums[machine.field]
    return site.places.prose(machine.doc or enum.doc)


def machine_page(site: Site, machine: Machine) -> Page:
    """Return the page of a machine."""
    spec, places = site.spec, site.places
    enum = spec.kinds[machine.kind].enums[machine.field]
    name = f"{machine.kind}.{machine.field}"
    page = Page(places.machines[machine.kind, machine.field], name, "machine", machine.doc or enum.doc)
    page.words = " ".join(enum.values)
    page.blocks.append(Facts([("Object", [places.kind(machine.kind)]),
                              ("At birth", [Code(enum.initial)])]))  # fmt: skip
    page.heading("Diagram")
    page.blocks.append(machine_figure(site, machine, "Events that leave the state as it is are not drawn."))
    page.heading("Values")
    page.blocks.append(Table(("Value", "Meaning for the object"), _values(site, machine, enum)))
    page.heading("Transitions")
    page.blocks.append(Table(("Event", "From", "To", "When"), _transitions(site, machine, enum)))
    page.heading("States and events", "matrix")
    _matrix(site, page, machine, enum)
    page.heading("Rules")
    _rules(site, page, machine)
    return page


def _values(site: Site, machine: Machine, enum: EnumField) -> list[Row]:
    rows = []
    for value in enum.values:
        marks = []
        if value == enum.initial:
            marks.append("the value at birth")
        if value in enum.dead:
            marks.append("the object has ended")
        if value in enum.absent and len(enum.absent) < len(enum.values):
            marks.append("what a handle that names no living object stands for")
        into = sum(value in t.targets and t.sources != {value} for t in machine.transitions if not t.observe)
        marks.append(f"{plural(into, 'transition')} lead{'s' if into == 1 else ''} here")
        rows.append(row([Code(value)], [Text("; ".join(marks))], anchor=f"value-{value}"))
    return rows


def _transitions(site: Site, machine: Machine, enum: EnumField) -> list[Row]:
    rows = []
    for group in _alike(machine.transitions):
        line = group[0]
        sources = [v for v in enum.values if v in line.sources]
        targets = [v for v in enum.values if v in line.targets]
        event = joined([[site.places.event(one.event[0], one.event[1].value)] for one in group])
        if line.via_parent:
            event.append(Text(" of the parent"))
        if line.anywhere:
            event.append(Text(" of any"))
        origin: Line = [Text("any")] if len(sources) == len(enum.values) else _codes(sources)
        goal: Line = _codes(targets) if targets else [Text("stays")]
        if line.observe:
            goal = [Text("only shows it")]
        rows.append(row(event, origin, goal, site.when(line.guard) or [Text("always")]))
    return rows


def _alike(lines: Sequence[Transition]) -> list[list[Transition]]:
    """Return lines that differ in their events only as one, in the order of the machine."""
    groups: list[list[Transition]] = []
    for line in lines:
        if groups and replace(groups[-1][-1], event=line.event, span=None) == replace(line, span=None):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def _codes(values: list[str]) -> list[Inline]:
    return joined([[Code(value)] for value in values])


def _matrix(site: Site, page: Page, machine: Machine, enum: EnumField) -> None:
    found = facts.matrix(site.spec, machine)
    page.blocks.append(Para([
        Text("What each event does in each state. "),
        Text("\N{RIGHTWARDS ARROW} the next state, several if the documents leave it open; "),
        Text("\N{BALLOT X} 2: forbidden by rule 2; (\N{BALLOT X} 2): forbidden if more conditions hold; "),
        Text("*: if its conditions hold, and otherwise it stays; stays: the event leaves it as it is; "),
        Text("not documented: no line of the machine fits, so the event tells that it was another state."),
    ]))  # fmt: skip
    rows = []
    named: dict[str, None] = {}
    for (name, phase), cells in found.items():
        out = [Cell([site.places.event(name, phase.value)], "event")]
        for value in enum.values:
            cell = cells[value]
            named.update(dict.fromkeys(v.rule for v in cell.forbidden))
            out.append(_cell(site, cell, value))
        rows.append(Row(out))
    page.blocks.append(Table(("Event", *enum.values), rows, dense=True))
    if named:
        order = sorted(named, key=site.places.numbers.__getitem__)
        line = joined([[Text(f"{site.places.numbers[id]} "), site.places.rule(id)] for id in order])
        page.blocks.append(Para([Text("Rules: "), *line, Text(".")], "small"))


def _cell(site: Site, cell: facts.Cell, value: str) -> Cell:
    line: list[Inline] = []
    certainly = any(verdict.certain for verdict in cell.forbidden)
    if cell.targets == (value,) or cell.stays:
        line += [] if certainly else [Text("stays")]
    elif cell.targets:
        line.append(Text("\N{RIGHTWARDS ARROW} " + " | ".join(cell.targets) + ("*" if cell.guarded else "")))
    elif not certainly:
        line.append(Text("not documented"))
    kind = "stays" if cell.stays or cell.targets == (value,) else "moves" if cell.targets else "unknown"
    for certain, before, after in ((True, " \N{BALLOT X} ", ""), (False, " (\N{BALLOT X} ", ")")):
        mine = [v.rule for v in cell.forbidden if v.certain is certain]
        if mine:
            line += [Text(before), *joined([[site.places.numbered(id)] for id in mine]), Text(after)]
            kind = "forbidden" if certain else f"{kind} perhaps" if kind != "forbidden" else kind
    return Cell(line, kind)


def _rules(site: Site, page: Page, machine: Machine) -> None:
    spec, field = site.spec, (machine.kind, machine.field)
    asking = [r.id for r in spec.rules.values() if field in facts.fields_of(c.require for c in r.checks)]
    if_only = [r.id for r in spec.rules.values() if field in facts.fields_of(c.when for c in r.checks)]
    if_only = [id for id in if_only if id not in asking]
    claims = [
        i.id
        for i in spec.invariants.values()
        if field in facts.fields_of(e for c in i.checks for e in (c.when, c.require))
    ]
    for text, ids in (("Rules that ask something of it:", asking), ("Rules that depend on it:", if_only)):
        if ids:
            page.blocks += [Para([Text(text)]), Table(RULE_HEAD, site.rule_rows(ids))]
    if claims:
        links = joined([[Link(id, "invariants", id, code=True)] for id in claims])
        page.blocks.append(Para([Text("Invariants about it: "), *links]))
    if not asking and not if_only and not claims:
        others = [f"{m.kind}.{m.field}" for m in spec.machines.values() if _reads(m, field)]
        text = "No rule looks at it directly" + (f"; {', '.join(others)} depend on it." if others else ".")
        page.blocks.append(Para(site.places.prose(text)))


def _reads(machine: Machine, field: facts.Field) -> bool:
    return (machine.kind, machine.field) != field and field in facts.fields_of(
        line.guard for line in machine.transitions
    )
