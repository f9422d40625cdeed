"""Invariants: what is claimed to follow from the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kmclcheck.model.spec import Check, Invariant, Rule
from kmclcheck.speclang import syntax as s
from kmclcheck.speclang.conditions import Conditions, Context
from kmclcheck.speclang.rules import Rules
from kmclcheck.speclang.symbols import Symbols


class Invariants:
    """Lowers invariants; their checks are written like those of rules."""

    def __init__(
        self, symbols: Symbols, conditions: Conditions, rules: Rules, known: Mapping[str, Rule]
    ) -> None:
        self._symbols = symbols
        self._report = symbols.report
        self._conditions = conditions
        self._rules = rules
        self._known = known

    def invariants(self, decls: Iterable[s.InvariantDecl]) -> dict[str, Invariant]:
        """Return all invariants by id."""
        kept = [d for d in decls if self._symbols.declare("invariant", "invariant", d.id)]
        return {d.id.text: self._invariant(d) for d in kept}

    def _invariant(self, decl: s.InvariantDecl) -> Invariant:
        texts = {key: text.value for key, text in decl.texts}
        missing = [] if texts.get("statement", "").strip() else ["statement"]
        missing += [] if decl.checks else ["check (`at ... require ...` or `always each ...`)"]
        if decl.scope is None and any(check.events is not None and not check.each for check in decl.checks):
            missing.append("`on OBJECT` line")
        if missing:
            self._report.error(f"invariant `{decl.id.text}` has no {', no '.join(missing)}", decl.id.span)
        for name in decl.repeated:
            self._report.error(f"`{name.text}` is given twice", name.span)
        seen: set[str] = set()
        for name in decl.assuming:
            if name.text not in self._known:
                self._report.unknown("rule", name, self._known)
            if name.text in seen:
                self._report.error(f"`assuming` names `{name.text}` twice", name.span)
            seen.add(name.text)
        return Invariant(
            id=decl.id.text,
            statement=texts.get("statement", ""),
            scope=decl.scope.text if decl.scope else "",
            checks=tuple(c for check in decl.checks for c in self._check(decl, check)),
            assuming=tuple(n.text for n in decl.assuming if n.text in self._known),
            instances=texts.get("instances", ""),
            strict=decl.strict,
            given=tuple(c for check in decl.given for c in self._rules.check(None, check)),
            sources=tuple(t.value for t in decl.sources),
            span=decl.id.span,
        )

    def _check(self, decl: s.InvariantDecl, check: s.CheckDecl) -> list[Check]:
        if check.events is not None:
            return self._rules.check(decl.scope, check)
        assert check.each is not None
        each = check.each.text if self._symbols.kind(check.each) else None
        if check.each_of is not None:
            self._report.error("`always each` means every object", check.each_of.span, "remove `of ...`")
        kinds = frozenset(self._symbols.ancestors(each)) if each else frozenset[str]()
        context = Context("a moment between records", kinds=kinds, at_end=True, lenient=each is None)
        when = self._conditions.lower(check.guard, context)
        return [Check(None, when, self._conditions.lower(check.require, context), each or "", True)]
