"""All files together: from syntax trees to the IR, with every error of every file."""

from __future__ import annotations

from dataclasses import replace

from kmclcheck.diagnostics import Diagnostic
from kmclcheck.model.spec import Machine, Spec
from kmclcheck.speclang import syntax as s
from kmclcheck.speclang.conditions import Conditions, Context
from kmclcheck.speclang.declarations import declare_functions, declare_numbers, declare_objects
from kmclcheck.speclang.invariants import Invariants
from kmclcheck.speclang.machines import Machines
from kmclcheck.speclang.parser import parse
from kmclcheck.speclang.reporter import Reporter
from kmclcheck.speclang.rules import Rules
from kmclcheck.speclang.symbols import Symbols


def compile_spec(texts: dict[str, str]) -> tuple[Spec, list[Diagnostic]]:
    """Return the specification of these texts (path to content) and everything wrong with it.

    With any error among the diagnostics the specification is incomplete and must not be used.
    """
    report = Reporter(texts)
    decls = [decl for path, text in texts.items() for decl in parse(path, text, report)]
    symbols = Symbols(report)
    declare_numbers(symbols, decls)
    declare_objects(symbols, decls)
    declare_functions(symbols, decls)
    conditions = Conditions(symbols)
    machines = Machines(symbols, conditions)

    _recorded(symbols, conditions, decls)
    found: dict[tuple[str, str], Machine] = {}
    for decl in decls:
        if isinstance(decl, s.MachineDecl) and (machine := machines.machine(decl)) is not None:
            found[machine.kind, machine.field] = machine
    births = machines.births([d for d in decls if isinstance(d, s.BirthsDecl)])
    assignments = [a for d in decls if isinstance(d, s.AssignmentDecl) for a in machines.assignments(d)]
    preludes: dict[str, s.Text] = {}
    for decl in decls:
        if isinstance(decl, s.PreludeDecl) and symbols.declare("prelude", "prelude", decl.name):
            preludes[decl.name.text] = decl.text
    rules = Rules(symbols, conditions, preludes)
    planned = [name for d in decls if isinstance(d, s.PlannedDecl) for name in d.ids]
    kept = rules.rules([d for d in decls if isinstance(d, s.RuleDecl)], planned)
    invariants = Invariants(symbols, conditions, rules, kept)
    name, title = _title(symbols, decls, texts)
    spec = Spec(
        name=name,
        title=title,
        statuses=symbols.statuses,
        constants=symbols.constants,
        kinds={n: replace(k, births=births.get(n, ())) for n, k in symbols.kinds.items()},
        events=symbols.events,
        machines=found,
        assignments=tuple(assignments),
        rules=kept,
        prelude=rules.preludes(),
        sources=dict(texts),
        invariants=invariants.invariants([d for d in decls if isinstance(d, s.InvariantDecl)]),
    )
    return spec, report.ordered()


def _recorded(symbols: Symbols, conditions: Conditions, decls: list[s.Declaration]) -> None:
    for decl in decls:
        if not isinstance(decl, s.FunctionDecl) or decl.recorded is None:
            continue
        event = symbols.events.get(decl.name.text)
        if event is None or event.recorded_when is not None:
            continue
        kinds = symbols.resolvable(event)
        context = Context(f"`recorded when` of `{event.name}`", event, event.entry, kinds, objects_only=True)
        condition = conditions.lower(decl.recorded, context)
        symbols.events[event.name] = replace(event, recorded_when=condition)


def _title(symbols: Symbols, decls: list[s.Declaration], texts: dict[str, str]) -> tuple[str, str]:
    name, title = "", ""
    for decl in decls:
        if not isinstance(decl, s.SpecDecl):
            continue
        if name and decl.name.text != name:
            help = f"this specification is `{name}`; files read together have one name"
            symbols.report.error(f"a second name `{decl.name.text}`", decl.name.span, help)
        name = name or decl.name.text
        title = title or (decl.title.value if decl.title else "")
    if not name and "spec" not in symbols.report.broken:
        where = next(iter(texts), "-")
        symbols.report.error(f"no `spec` line in {where}", None, 'begin with: spec NAME "title"')
    return name, title
