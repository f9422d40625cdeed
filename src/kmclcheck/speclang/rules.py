"""Rules: headers, checks, examples, and how rules refer to each other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from enum import Enum
from typing import TypeVar

from kmclcheck.diagnostics import Span
from kmclcheck.model.spec import Check, EventKind, Example, Party, Profile, Rule, Severity
from kmclcheck.speclang import syntax as s
from kmclcheck.speclang.conditions import Conditions, Context
from kmclcheck.speclang.machines import event_context
from kmclcheck.speclang.symbols import Symbols

_REQUIRED = ("statement", "consequence", "fix")
_INCLUDE = re.compile(r"^[ \t]*%include[ \t]+(\w+)[ \t]*$")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_E = TypeVar("_E", bound=Enum)


class Rules:
    """Lowers rules one by one, then checks what they say of each other."""

    def __init__(self, symbols: Symbols, conditions: Conditions, preludes: dict[str, s.Text]) -> None:
        self._symbols = symbols
        self._report = symbols.report
        self._conditions = conditions
        self._preludes = preludes

    def rules(self, decls: Iterable[s.RuleDecl], planned: Iterable[s.Name]) -> dict[str, Rule]:
        """Return all rules by id."""
        kept = [d for d in decls if self._symbols.declare("rule", "rule", d.id)]
        ids = {d.id.text for d in kept}
        allowed = ids | {n.text for n in planned}
        for decl in kept:
            self._references(decl, ids, allowed)
        self._cycles({d.id.text: d for d in kept})
        return {d.id.text: self._rule(d, ids) for d in kept}

    def _rule(self, decl: s.RuleDecl, ids: set[str]) -> Rule:
        texts = {key: text.value for key, text in decl.texts}
        missing = [key for key in _REQUIRED if not texts.get(key, "").strip()]
        missing += [] if decl.sources else ["source"]
        missing += [] if decl.checks else ["check (`at ... require ...`)"]
        missing += [] if decl.scope else ["`on OBJECT` line"]
        if missing:
            self._report.error(f"rule `{decl.id.text}` has no {', no '.join(missing)}", decl.id.span)
        for name in decl.repeated:
            self._report.error(f"`{name.text}` is given twice", name.span)
        checks = [c for check in decl.checks for c in self.check(decl.scope, check)]
        self._placeholders(decl)
        return Rule(
            id=decl.id.text,
            statement=texts.get("statement", ""),
            party=self._one_of(Party, "party", decl.party, Party.EITHER),
            severity=self._one_of(Severity, "severity", decl.severity, Severity.ERROR),
            profile=self._one_of(Profile, "profile", decl.profile, Profile.CORE),
            scope=decl.scope.text if decl.scope else "",
            checks=tuple(checks),
            message=texts.get("message", ""),
            requirement=texts.get("needs", ""),
            consequence=texts.get("consequence", ""),
            fix=texts.get("fix", ""),
            sources=tuple(t.value for t in decl.sources),
            # Planned rules are not part of this specification: no engine could look them up.
            implied_by=tuple(n.text for n in decl.implied_by if n.text in ids),
            yields_to=tuple(n.text for n in decl.yields_to if n.text in ids),
            examples=tuple(self._example(e) for e in decl.examples),
            reading=texts.get("reading", ""),
            span=decl.id.span,
        )

    def _one_of(self, choice: type[_E], what: str, name: s.Name, default: _E) -> _E:
        values = {member.value: member for member in choice}
        if name.text not in values:
            self._report.unknown(what, name, values)
        return values.get(name.text, default)

    # --- checks ---

    def check(self, scope: s.Name | None, check: s.CheckDecl) -> list[Check]:
        """Return a check once for each of its events; ``scope`` is the kind of object it is about."""
        if scope is not None and self._symbols.kind(scope) is None:
            scope = None
        each = check.each.text if check.each and self._symbols.kind(check.each) else None
        if check.events is None:
            return self._end_check(check, each)
        found: list[Check] = []
        events = self._symbols.event_kinds(check.events)
        if not events:
            lenient = Context("this event", lenient=True)
            self._conditions.lower(check.guard, lenient)
            self._conditions.lower(check.require, lenient)
        for event, span in events:
            context = event_context(self._symbols, event)
            each_of = self._each_of(check, each, context, span)
            if each is not None:
                context = replace(context, kinds=context.kinds | {each})
            elif check.each is not None:
                context = replace(context, lenient=True)
            elif scope is not None and scope.text not in context.kinds:
                known = ", ".join(f"`{k}`" for k in sorted(context.kinds)) or "no object"
                self._report.error(
                    f"{context.where} names no `{scope.text}`, which the rule is about",
                    span,
                    f"it names {known}",
                )
            target = each or (scope.text if scope else "")
            found.append(self._lowered(check, event, context, target, each, each_of))
        return found

    def _lowered(
        self,
        check: s.CheckDecl,
        event: EventKind | None,
        context: Context,
        target: str,
        each: str | None,
        each_of: str | None,
    ) -> Check:
        return Check(
            event=event,
            when=self._conditions.lower(check.guard, context),
            require=self._conditions.lower(check.require, context),
            target=target,
            each=each is not None,
            each_of=each_of,
            hung_in=self._symbols.expand(check.hung_in),
        )

    def _each_of(self, check: s.CheckDecl, each: str | None, context: Context, span: Span) -> str | None:
        if each is None or check.each is None:
            return None
        parent = self._symbols.kinds[each].parent
        if check.each_of is not None and self._symbols.kind(check.each_of) is not None:
            if check.each_of.text != parent:
                self._report.error(
                    f"`{each}` is not a child of `{check.each_of.text}`",
                    check.each_of.span,
                    f"its parent is `{parent}`" if parent else f"`{each}` has no parent",
                )
        elif parent is None:
            self._report.error(f"`{each}` has no parent, so no event names its children", check.each.span)
        if parent is not None and parent not in context.kinds:
            self._report.error(f"{context.where} names no `{parent}`", span, topic="each")
        return parent

    def _end_check(self, check: s.CheckDecl, each: str | None) -> list[Check]:
        if check.each is None:
            self._report.error(
                "a check at the end names the objects it is about",
                check.span,
                "write `at end each OBJECT require ...`",
            )
        if check.each_of is not None:
            self._report.error("at the end `each` means every object", check.each_of.span, "remove `of ...`")
        kinds = frozenset(self._symbols.ancestors(each)) if each else frozenset[str]()
        context = Context("the end of the trace", kinds=kinds, at_end=True, lenient=each is None)
        for name in check.hung_in:
            for member in self._symbols.members(name):
                if each and not kinds & set(self._symbols.events[member].objects):
                    self._report.error(f"`{member}` names neither `{each}` nor its parent", name.span)
        return [self._lowered(check, None, context, each or "", each, None)]

    def _placeholders(self, decl: s.RuleDecl) -> None:
        refs = [r for check in decl.checks for r in check.events or ()]
        members = {m for r in refs for m in self._symbols.groups.get(r.name.text, (r.name.text,))}
        events = [self._symbols.events[m] for m in members if m in self._symbols.events]
        known = {"event", "status", "irql", *(p.name for event in events for p in event.params)}
        for key, text in decl.texts:
            if key not in ("message", "needs"):
                continue
            for match in _PLACEHOLDER.finditer(text.value):
                self._placeholder(text, match[1], known)

    def _placeholder(self, text: s.Text, inner: str, known: set[str]) -> None:
        kind_name, dot, field_name = inner.partition(".")
        kind = self._symbols.kinds.get(kind_name)
        if dot and kind is not None:
            names = {f"{kind_name}.{f}" for f in (*kind.enums, *kind.numbers)}
        elif dot:
            names = {f"{k}.{field_name}" for k in self._symbols.kinds}
        else:
            names = known
        if inner not in names and kind_name not in self._symbols.report.broken:
            self._report.unknown(
                "placeholder", s.Name(f"{{{inner}}}", text.span), {f"{{{n}}}" for n in names}
            )

    # --- examples ---

    def _example(self, decl: s.ExampleDecl) -> Example:
        lines = self._include(decl.text, ())
        return Example("\n".join(lines).strip("\n") + "\n", decl.passes, decl.text.span)

    def preludes(self) -> dict[str, str]:
        """Return the texts of the preludes, with what they include."""
        return {name: "\n".join(self._include(text, (name,))) for name, text in self._preludes.items()}

    def _include(self, text: s.Text, inside: tuple[str, ...]) -> list[str]:
        lines: list[str] = []
        for number, line in enumerate(text.value.split("\n")):
            match = _INCLUDE.match(line)
            if match is None:
                lines.append(line)
                continue
            span = Span(text.span.path, text.first_line + number, 1, max(1, len(line)))
            prelude = self._preludes.get(match[1])
            if prelude is None:
                self._report.unknown("prelude", s.Name(match[1], span), self._preludes)
            elif match[1] in inside:
                self._report.error(f"prelude `{match[1]}` includes itself", span)
            else:
                lines += self._include(prelude, (*inside, match[1]))
        return lines

    # --- relations ---

    def _references(self, decl: s.RuleDecl, ids: set[str], allowed: set[str]) -> None:
        for key, names in (("yields_to", decl.yields_to), ("implied_by", decl.implied_by)):
            seen: set[str] = set()
            for name in names:
                if name.text not in allowed:
                    help = "ids of rules to come are declared by a line `planned ID, ID`"
                    self._report.unknown("rule", name, ids, help)
                if name.text in seen:
                    self._report.error(f"`{key}` names `{name.text}` twice", name.span)
                seen.add(name.text)

    def _cycles(self, decls: dict[str, s.RuleDecl]) -> None:
        """Report every cycle of ``yields_to`` once, at the line that closes it."""
        done: set[str] = set()
        for root in decls:
            # A stack of its own: chains of rules may be longer than Python's call stack.
            path: list[str] = []
            stack: list[tuple[str, bool]] = [(root, False)]
            while stack:
                rule, leaving = stack.pop()
                if leaving:
                    path.pop()
                    done.add(rule)
                    continue
                if rule in done:
                    continue
                path.append(rule)
                stack.append((rule, True))
                for name in decls[rule].yields_to:
                    if name.text in path:
                        cycle = [*path[path.index(name.text) :], name.text]
                        self._report.error(
                            "rules yield to each other in a circle", name.span, " -> ".join(cycle), "cycle"
                        )
                    elif name.text in decls:
                        stack.append((name.text, False))
