"""The pages of rules."""

from __future__ import annotations

from kmclcheck.docsite import facts
from kmclcheck.docsite.blocks import (
    Bullets,
    Code,
    Facts,
    Figure,
    Inline,
    Line,
    Link,
    Mark,
    Note,
    Page,
    Para,
    Pre,
    Table,
    Text,
    joined,
)
from kmclcheck.docsite.evidence import Told
from kmclcheck.docsite.pictures import rule_figures
from kmclcheck.docsite.search import Found
from kmclcheck.docsite.site import RULE_HEAD, Site, marks
from kmclcheck.model.spec import Rule
from kmclcheck.report.describe import plural
from kmclcheck.speclang import format_checks

_SAMPLES = 8
_DUALS = 6


def rules_page(site: Site) -> Page:
    """Return the table of all rules, under the kinds of object they are about."""
    rules = list(site.spec.rules.values())
    page = Page("rules", "Rules", "overview", f"{plural(len(rules), 'rule')}, by the object they are about.")
    for scope in dict.fromkeys(rule.scope for rule in rules):
        page.heading(scope, f"about-{scope}")
        ids = [rule.id for rule in rules if rule.scope == scope]
        page.blocks.append(Table(RULE_HEAD, site.rule_rows(ids)))
    return page


def rule_page(site: Site, rule: Rule) -> Page:
    """Return the page of a rule."""
    places = site.places
    page = Page(places.rules[rule.id], rule.id, "rule", rule.statement)
    page.words = f"{rule.scope} {rule.party.value} {rule.severity.value} {' '.join(facts.events_of(rule))}"
    found = None if site.found is None else site.found.get(rule.id)
    broken, kept = traces_of(site, rule, found)
    page.blocks += [
        Para(marks(rule)),
        Facts([
            ("Rule", [Text(f"{places.numbers[rule.id]}: "), Code(rule.id)]),
            ("Severity", [Text(rule.severity.value)]),
            ("Kept by", [Text(places.party(rule))]),
            ("Profile", _profile(rule)),
            ("About", [places.kind(rule.scope)]),
            ("Applies to", _applies(site, rule)),
            ("Sources", joined([[places.source(source)] for source in rule.sources])),
        ]),
    ]  # fmt: skip
    if rule.reading:
        title = "Our reading: the documents are unclear here"
        page.blocks.append(Note(title, [places.prose(rule.reading)], "reading"))
    page.heading("Why")
    page.blocks.append(Para(places.prose(_sentence(rule.consequence))))
    page.heading("How to fix")
    page.blocks.append(Para(places.prose(rule.fix)))
    page.heading("Formal form")
    forms = format_checks(rule.checks, site.spec)
    page.blocks.append(Bullets([places.formal(form) for form in forms]))
    figures = rule_figures(site, rule, broken)
    if figures:
        page.heading("States")
        page.blocks += figures
    page.heading("Shortest counterexample", "counterexample")
    _trace(site, page, rule, broken, found, passes=False)
    page.heading("Nearest passing trace", "witness")
    _trace(site, page, rule, kept, found, passes=True)
    page.heading("Evidence")
    page.blocks.append(Bullets(_evidence(site, rule, broken, kept, found)))
    page.heading("Limits")
    page.blocks.append(Bullets(_limits(site, rule)))
    page.heading("Related rules", "related")
    page.blocks.append(_related(site, rule))
    return page


def _profile(rule: Rule) -> Line:
    off = "" if rule.profile.value == "core" else " (off unless it is asked for)"
    return [Text(rule.profile.value + off)]


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _applies(site: Site, rule: Rule) -> Line:
    """Return the events a rule is judged at, each with its phase."""
    lines: list[Line] = []
    for check in rule.checks:
        if check.event is None:
            lines.append([Text("the end of the trace")])
            lines += [[Text("a hang in "), site.places.event(name)] for name in check.hung_in]
        else:
            lines.append([site.places.event(check.event[0], check.event[1].value)])
    distinct = {tuple(line): line for line in lines}
    return joined(list(distinct.values()))


def traces_of(site: Site, rule: Rule, found: Found | None) -> tuple[Told | None, Told | None]:
    """Return the trace that breaks a rule and the one that keeps it.

    What a search found comes first, if the monitor still says the same of it.
    """
    broken, kept = site.examples[rule.id]
    if found is not None:
        told = site.teller.told(rule.id, found.broken) if found.broken else None
        broken = told if told is not None and told.breaks else broken
        told = site.teller.told(rule.id, found.kept) if found.kept else None
        kept = told if told is not None and told.keeps else kept
    return broken, kept


def _searched(site: Site, told: Told, rule: Rule) -> bool:
    return all(told is not one for one in site.examples[rule.id])


def _trace(site: Site, page: Page, rule: Rule, told: Told | None, found: Found | None, passes: bool) -> None:
    if told is None:
        page.blocks.append(Para([Mark("none here", "missing"), Text(" " + _no_trace(rule, found, passes))]))
        return
    records = plural(len(told.events), "record")
    base = site.places.rules[rule.id].removeprefix("rules/")
    file = f"traces/{base}.{'passes' if passes else 'fails'}.kmtrace"
    site.files[file] = told.text
    if _searched(site, told, rule) and found is not None:
        engine = "graph" if passes else found.engine
        how = f"{records}, found by the engine {engine} and confirmed by the monitor."
        if not passes:
            how += f" No fewer records will do, with {found.limits}."
        elif found.near:
            how += " None within the same limits is more like the counterexample."
        else:
            how += " It is a shortest one, perhaps not the one most like the counterexample."
    else:
        how = f"{records}, from the specification's examples; replayed by the monitor."
        how += "" if passes else " There may be shorter ones."
    line: list[Inline] = [Text(how + " "), Link("The trace as a file", file, file=True)]
    page.blocks.append(Para(line))
    name = f"{rule.id}: {'kept' if passes else 'broken'}"
    picture = site.teller.picture(told, name)
    if picture:
        page.blocks.append(
            Figure(picture, f"{'Kept' if passes else 'Broken'} in {records}: time runs downward.")
        )
    page.blocks.append(Pre(told.text.rstrip("\n"), "the trace in the native format"))
    page.blocks.append(Para([Text("To replay it, in the folder of this site:")]))
    page.blocks.append(Pre(f"kmclcheck check {file}{site.options}", "command"))
    if not passes:
        page.blocks.append(Para([Text("To look for the shortest one again:")]))
        page.blocks.append(Pre(f"kmclcheck counterexample {rule.id}{site.options}", "command"))


def _no_trace(rule: Rule, found: Found | None, passes: bool) -> str:
    what = "that keeps the rule" if passes else "that breaks the rule alone"
    text = f"The specification has no example {what} when it is replayed"
    if found is None:
        return f"{text}, and none was looked for."
    if passes:
        return f"{text}, and the search found none."
    return f"{text}, and there is none with up to {plural(found.proved, 'record')}, with {found.limits}."


def _evidence(
    site: Site, rule: Rule, broken: Told | None, kept: Told | None, found: Found | None
) -> list[Line]:
    lines: list[Line] = []
    for told, text in ((broken, "reported, and nothing else"), (kept, "kept, and nothing is reported")):
        if told is not None:
            which = "counterexample" if told is broken else "passing trace"
            lines.append([Text(f"Replayed by the monitor: in the {which} above the rule is {text}.")])
    examples = [one.passes for one in rule.examples]
    if examples:
        passing = plural(sum(examples), "example")
        failing = plural(len(examples) - sum(examples), "example")
        lines.append([Text(f"In the specification: {passing} that should pass, {failing} that should fail.")])
    if site.found is None:
        lines.append([Text("No engine was asked for shortest traces when this page was written.")])
    elif found is None:
        lines.append([Text("No search: engines look for rules of the core on calls and callbacks only.")])
    else:
        confirmed = broken is not None and _searched(site, broken, rule)
        lines.append([Text(_search_text(found, confirmed))])
    samples = site.exercised.get(rule.id, [])
    if not site.samples:
        lines.append([Text("No sample traces were looked at.")])
    elif not samples:
        lines.append([Text(f"None of the {plural(len(site.samples), 'sample trace')} exercises it.")])
    else:
        breaking = [one.name for one in samples if one.breaks]
        shown = [*breaking, *(one.name for one in samples if not one.breaks)][:_SAMPLES]
        names = joined([[Code(name)] for name in shown])
        more = [Text(f" and {len(samples) - len(shown)} more")] if len(samples) > len(shown) else []
        count = f"Exercised by {len(samples)} of {plural(len(site.samples), 'sample trace')}"
        count += f" ({len(breaking)} of them break{'s' if len(breaking) == 1 else ''} it): "
        lines.append([Text(count), *names, *more, Text(".")])
    return lines


def _search_text(found: Found, confirmed: bool) -> str:
    if found.broken and not confirmed:
        return f"Engine {found.engine}: what it found is not shown, for the monitor does not confirm it."
    if found.broken:
        return f"Engine {found.engine}: a shortest counterexample, with {found.limits}."
    if found.exhausted:
        return f"Engine {found.engine}: there is no counterexample of any length, with {found.limits}."
    why = f" ({found.why})" if found.why else ""
    proved = plural(found.proved, "record")
    return f"Engine {found.engine}: none found{why}, and none with up to {proved}, with {found.limits}."


def _limits(site: Site, rule: Rule) -> list[Line]:
    lines: list[Line] = [[Text(f"Needs from the trace: {one}.")] for one in facts.needs(site.spec, rule)]
    lines.append([Text("Where a trace does not show this, the rule is "), Link("open", "glossary", "open"),
                  Text(": never an alarm, never a pass.")])  # fmt: skip
    if rule.profile.value != "core":
        lines.append([Text("It is judged only if its profile is asked for.")])
    if rule.yields_to:
        lines.append([Text("Not reported where a rule that it yields to is reported at the same place.")])
    return lines


def _related(site: Site, rule: Rule) -> Facts:
    rules = site.spec.rules
    implied = [r.id for r in rules.values() if rule.id in r.implied_by]
    yielding = [r.id for r in rules.values() if rule.id in r.yields_to]
    proofs = [i.id for i in site.spec.invariants.values() if rule.id in i.assuming]
    same = facts.same_events(site.spec, rule)
    duals = facts.duals(site.spec, rule)
    rows: list[tuple[str, Line]] = [
        ("Follows from", site.rule_list(rule.implied_by)),
        ("Implies, in part", site.rule_list(implied)),
        ("Yields to", site.rule_list(rule.yields_to)),
        ("Goes before", site.rule_list(yielding)),
        ("At the same events", site.rule_list(same)),
        ("The other side's", site.rule_list(duals[:_DUALS])),
        ("Invariants that rest on it", joined([[Link(id, "invariants", id, code=True)] for id in proofs])),
    ]
    return Facts([(term, line or [Text("none")]) for term, line in rows])
