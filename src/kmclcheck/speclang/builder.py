"""From Lark's parse tree to the dataclasses of ``syntax``."""

from __future__ import annotations

import textwrap
from typing import Any, cast

from lark import Token, v_args
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from kmclcheck.diagnostics import Span
from kmclcheck.speclang import syntax as s

_ESCAPES = {'\\"': '"', "\\\\": "\\", "\\n": "\n"}


def _unescape(body: str) -> str:
    parts: list[str] = []
    position = 0
    while position < len(body):
        pair = body[position : position + 2]
        if pair in _ESCAPES:
            parts.append(_ESCAPES[pair])
            position += 2
        else:
            parts.append(body[position])
            position += 1
    return "".join(parts)


# Bottom-up with a stack of its own: a deeply nested condition must not exhaust Python's.
@v_args(meta=True)
class Builder(Transformer_NonRecursive[Token, Any]):
    """Builds the nodes of one file; the callbacks are named after the grammar's rules."""

    def __init__(self, path: str) -> None:
        super().__init__(visit_tokens=False)
        self._path = path

    # --- leaves ---

    def _at(self, meta: Meta) -> Span:
        same_line = meta.end_line == meta.line
        return Span(self._path, meta.line, meta.column, meta.end_column - meta.column if same_line else 1)

    def _name(self, token: Token) -> s.Name:
        first_line = str(token).split("\n", 1)[0]
        return s.Name(str(token), Span(self._path, token.line or 1, token.column or 1, len(first_line)))

    def _names(self, tokens: list[Token]) -> tuple[s.Name, ...]:
        return tuple(self._name(t) for t in tokens)

    def _maybe(self, token: Token | None) -> s.Name | None:
        return None if token is None else self._name(token)

    def number(self, meta: Meta, c: list[Token]) -> s.Literal:
        return s.Literal(_to_int(str(c[0])), self._at(meta))

    def text(self, meta: Meta, c: list[Token]) -> s.Text:
        token = c[0]
        span = self._at(meta)
        if token.type == "LONG_STRING":
            body = str(token)[3:-3]
            blank = len(body) - len(body.lstrip("\n"))
            return s.Text(textwrap.dedent(body).strip("\n"), span, span.line + blank)
        return s.Text(_unescape(str(token)[1:-1]), span, span.line)

    def texts(self, meta: Meta, c: list[s.Text]) -> tuple[s.Text, ...]:
        return tuple(c)

    def doc(self, meta: Meta, c: list[Any]) -> str:
        return cast(s.Text, c[1]).value

    def names(self, meta: Meta, c: list[Token]) -> tuple[s.Name, ...]:
        return self._names(c)

    rule_ids = names

    def name(self, meta: Meta, c: list[Token]) -> s.Name:
        return self._name(c[0])

    def type_name(self, meta: Meta, c: list[Token]) -> s.Name:
        return self._name(c[0])

    def type_string(self, meta: Meta, c: list[Token]) -> s.Name:
        return s.Name(_unescape(str(c[0])[1:-1]), self._at(meta))

    def event(self, meta: Meta, c: list[Token]) -> s.EventRef:
        return s.EventRef(self._name(c[0]), self._name(c[1]))

    def events(self, meta: Meta, c: list[s.EventRef]) -> tuple[s.EventRef, ...]:
        return tuple(c)

    # --- declarations ---

    def start(self, meta: Meta, c: list[s.Declaration]) -> tuple[s.Declaration, ...]:
        return tuple(c)

    def spec(self, meta: Meta, c: list[Any]) -> s.SpecDecl:
        return s.SpecDecl(self._name(c[0]), c[1])

    def status(self, meta: Meta, c: list[Any]) -> s.StatusDecl:
        return s.StatusDecl(self._name(c[0]), c[1])

    def constant(self, meta: Meta, c: list[Any]) -> s.ConstantDecl:
        return s.ConstantDecl(self._name(c[0]), c[1])

    def group(self, meta: Meta, c: list[Any]) -> s.GroupDecl:
        return s.GroupDecl(self._name(c[0]), c[1])

    def predicate(self, meta: Meta, c: list[Any]) -> s.PredicateDecl:
        return s.PredicateDecl(self._name(c[0]), c[1])

    def prelude(self, meta: Meta, c: list[Any]) -> s.PreludeDecl:
        return s.PreludeDecl(self._name(c[0]), c[1])

    def planned(self, meta: Meta, c: list[Any]) -> s.PlannedDecl:
        return s.PlannedDecl(c[0])

    def object(self, meta: Meta, c: list[Any]) -> s.ObjectDecl:
        name, handle_type, parent, scoped, doc, *items = c
        return s.ObjectDecl(
            self._name(name),
            handle_type,
            self._maybe(parent),
            scoped is not None,
            any(isinstance(i, Token) for i in items),
            tuple(i for i in items if isinstance(i, s.FieldDecl)),
            doc or "",
        )

    def field(self, meta: Meta, c: list[Any]) -> s.FieldDecl:
        name, (values, boolean, initial, sets, *counter), doc = c
        absent = [n for key, names in sets if key == "absent" for n in names]
        return s.FieldDecl(
            self._name(name),
            values,
            boolean,
            initial,
            tuple(n for key, names in sets if key == "dead" for n in names),
            tuple(absent) if absent else None,
            doc or "",
            bool(counter),
        )

    def enum_type(self, meta: Meta, c: list[Any]) -> tuple[Any, ...]:
        return c[0], False, self._maybe(c[1]), c[2:]

    def bool_type(self, meta: Meta, c: list[Any]) -> tuple[Any, ...]:
        span = self._at(meta)
        return (s.Name("false", span), s.Name("true", span)), True, self._maybe(c[0]), c[1:]

    def number_type(self, meta: Meta, c: list[Any]) -> tuple[Any, ...]:
        return None, False, None, []

    def counter_type(self, meta: Meta, c: list[Any]) -> tuple[Any, ...]:
        return None, False, None, [], True

    def value_set(self, meta: Meta, c: list[Any]) -> tuple[str, tuple[s.Name, ...]]:
        return str(c[0]), c[1]

    def function(self, meta: Meta, c: list[Any]) -> s.FunctionDecl:
        keyword, name, params, result, *rest = c
        flags = {i.type for i in rest if isinstance(i, Token)}
        items: list[tuple[Token, Any]] = [] if rest[-1:] == [None] or not rest else _last_list(rest)
        found: dict[str, Any] = {}
        repeated: list[s.Name] = []
        for token, value in items:
            if str(token) in found:
                repeated.append(self._name(token))
            found[str(token)] = value
        return s.FunctionDecl(
            name=self._name(name),
            callback=keyword.type == "CALLBACK",
            params=params or (),
            result=result[0] if result else None,
            result_kind=result[1] if result else None,
            undocumented="UNDOCUMENTED" in flags,
            neutral="NEUTRAL" in flags,
            role=str(found.get("role", "either")),
            interface=_value(found.get("interface")),
            irql=_value(found.get("irql")),
            doc=_value(found.get("doc")),
            sources=tuple(t.value for t in found.get("source", ())),
            recorded=found.get("recorded"),
            repeated=tuple(repeated),
            record=keyword.type == "RECORD",
            unordered="UNORDERED" in flags,
        )

    def flag(self, meta: Meta, c: list[Token]) -> Token:
        return c[0]

    def function_body(self, meta: Meta, c: list[Any]) -> list[Any]:
        return c

    def function_item(self, meta: Meta, c: list[Any]) -> tuple[Token, Any]:
        return c[0], c[1]

    def params(self, meta: Meta, c: list[s.ParamDecl]) -> tuple[s.ParamDecl, ...]:
        return tuple(c)

    def param(self, meta: Meta, c: list[Any]) -> s.ParamDecl:
        direction, name, kind_of_type, kind, optional = c
        return s.ParamDecl(
            self._name(name), kind_of_type, str(direction), self._maybe(kind), optional is not None, False
        )

    def extra_param(self, meta: Meta, c: list[Any]) -> s.ParamDecl:
        direction, name, kind_of_type, kind = c
        return s.ParamDecl(
            self._name(name), kind_of_type, str(direction or "in"), self._maybe(kind), False, True
        )

    def result(self, meta: Meta, c: list[Any]) -> tuple[s.Name, s.Name | None]:
        return c[0], self._maybe(c[1])

    # --- machines ---

    def machine(self, meta: Meta, c: list[Any]) -> s.MachineDecl:
        return s.MachineDecl(self._name(c[0]), self._name(c[1]), tuple(c[3:]), c[2] or "")

    def move(self, meta: Meta, c: list[Any]) -> s.MachineLine:
        sources, targets, (parent, anywhere, events), guard = c
        return s.MachineLine(sources, targets, False, parent, events, guard, self._at(meta), anywhere)

    def seen(self, meta: Meta, c: list[Any]) -> s.MachineLine:
        names, (parent, anywhere, events), guard = c
        return s.MachineLine(names, (), True, parent, events, guard, self._at(meta), anywhere)

    def sources(self, meta: Meta, c: list[Any]) -> tuple[s.Name, ...] | None:
        return None if isinstance(c[0], Token) else c[0]

    def targets(self, meta: Meta, c: list[Any]) -> tuple[s.Name | None, ...]:
        return tuple(c)

    def target(self, meta: Meta, c: list[Token]) -> s.Name | None:
        return None if c[0].type == "SAME" else self._name(c[0])

    def trigger(self, meta: Meta, c: list[Any]) -> tuple[bool, bool, tuple[s.EventRef, ...]]:
        word = "" if c[0] is None else c[0].type
        return word == "PARENT", word == "ANY", c[1]

    def births(self, meta: Meta, c: list[Any]) -> s.BirthsDecl:
        return s.BirthsDecl(self._name(c[0]), tuple(c[1:]))

    def birth(self, meta: Meta, c: list[Any]) -> s.BirthLine:
        return s.BirthLine(c[0], c[1], c[2])

    def set_field(self, meta: Meta, c: list[Any]) -> s.AssignmentDecl:
        return s.AssignmentDecl(self._name(c[1]), self._name(c[2]), c[3], c[4], c[5])

    def unset_field(self, meta: Meta, c: list[Any]) -> s.AssignmentDecl:
        return s.AssignmentDecl(self._name(c[0]), self._name(c[1]), None, c[2], c[3])

    def add_field(self, meta: Meta, c: list[Any]) -> s.AssignmentDecl:
        return s.AssignmentDecl(self._name(c[1]), self._name(c[2]), c[0], c[3], c[4], True)

    # --- rules ---

    def rule(self, meta: Meta, c: list[Any]) -> s.RuleDecl:
        rule_id, party, severity, profile, *items = c
        scope, texts, repeated = self._heading(items)
        by_key = [(key.type, value) for key, value in items]
        return s.RuleDecl(
            id=self._name(rule_id),
            party=self._name(party),
            severity=self._name(severity),
            profile=self._name(profile),
            scope=scope,
            texts=texts,
            sources=tuple(t for key, value in by_key if key == "SOURCE" for t in value),
            implied_by=tuple(n for key, value in by_key if key == "IMPLIED_BY" for n in value),
            yields_to=tuple(n for key, value in by_key if key == "YIELDS_TO" for n in value),
            checks=tuple(value for key, value in by_key if key == "CHECK"),
            examples=tuple(
                s.ExampleDecl(value, key == "PASSES") for key, value in by_key if key in ("PASSES", "FAILS")
            ),
            repeated=repeated,
        )

    def _heading(
        self, items: list[tuple[Token, Any]]
    ) -> tuple[s.Name | None, tuple[tuple[str, s.Text], ...], tuple[s.Name, ...]]:
        """Return what a block is about, its texts, and what it says twice."""
        texts: dict[str, s.Text] = {}
        repeated: list[s.Name] = []
        scope: s.Name | None = None
        for key, value in items:
            if key.type == "NAME":
                if scope is not None:
                    repeated.append(s.Name("on", value.span))
                scope = value
            elif isinstance(value, s.Text) and key.type not in ("PASSES", "FAILS"):
                if str(key) in texts:
                    repeated.append(self._name(key))
                texts[str(key)] = value
        return scope, tuple(texts.items()), tuple(repeated)

    def invariant(self, meta: Meta, c: list[Any]) -> s.InvariantDecl:
        name, *items = c
        scope, texts, repeated = self._heading(items)
        by_key = [(key.type, value) for key, value in items]
        return s.InvariantDecl(
            id=self._name(name),
            scope=scope,
            texts=texts,
            sources=tuple(t for key, value in by_key if key == "SOURCE" for t in value),
            assuming=tuple(n for key, value in by_key if key == "ASSUMING" for n in value),
            checks=tuple(value for key, value in by_key if key == "CHECK"),
            given=tuple(value for key, value in by_key if key == "GIVEN"),
            strict=any(key == "STRICT" for key, _ in by_key),
            repeated=repeated,
        )

    def given(self, meta: Meta, c: list[Any]) -> tuple[Token, s.CheckDecl]:
        events, guard, require = c
        return Token("GIVEN", "given"), s.CheckDecl(events, (), guard, None, None, require, self._at(meta))

    def strict(self, meta: Meta, c: list[Token]) -> tuple[Token, None]:
        return c[0], None

    def always(self, meta: Meta, c: list[Any]) -> tuple[Token, s.CheckDecl]:
        guard, (kind, parent), require = c
        check = s.CheckDecl(None, (), guard, kind, parent, require, self._at(meta))
        return Token("CHECK", "always"), check

    def rule_scope(self, meta: Meta, c: list[Any]) -> tuple[Token, s.Name]:
        return c[0], self._name(c[0])

    def rule_text(self, meta: Meta, c: list[Any]) -> tuple[Token, Any]:
        return c[0], c[1]

    rule_sources = rule_text
    rule_names = rule_text
    rule_example = rule_text

    def check(self, meta: Meta, c: list[Any]) -> tuple[Token, s.CheckDecl]:
        events, guard, each, require = c
        kind, parent = each or (None, None)
        check = s.CheckDecl(events, (), guard, kind, parent, require, self._at(meta))
        return Token("CHECK", "at"), check

    def end_check(self, meta: Meta, c: list[Any]) -> tuple[Token, s.CheckDecl]:
        _, hung, guard, each, require = c
        kind, parent = each or (None, None)
        check = s.CheckDecl(None, hung or (), guard, kind, parent, require, self._at(meta))
        return Token("CHECK", "at"), check

    def hung_in(self, meta: Meta, c: list[Any]) -> tuple[s.Name, ...]:
        return (*c[0], self._name(c[1])) if len(c) == 2 else (self._name(c[0]),)

    def each(self, meta: Meta, c: list[Any]) -> tuple[s.Name, s.Name | None]:
        return self._name(c[0]), self._maybe(c[1])

    # --- conditions ---

    def implies(self, meta: Meta, c: list[Any]) -> s.Implication:
        return s.Implication(c[0], c[1], self._at(meta))

    def disjunction(self, meta: Meta, c: list[Any]) -> s.Disjunction:
        return s.Disjunction(tuple(c), self._at(meta))

    def conjunction(self, meta: Meta, c: list[Any]) -> s.Conjunction:
        return s.Conjunction(tuple(c), self._at(meta))

    def negation(self, meta: Meta, c: list[Any]) -> s.Negation:
        return s.Negation(c[-1], self._at(meta))

    def true(self, meta: Meta, c: list[Any]) -> s.Constant:
        return s.Constant(True, self._at(meta))

    def false(self, meta: Meta, c: list[Any]) -> s.Constant:
        return s.Constant(False, self._at(meta))

    def succeeded(self, meta: Meta, c: list[Any]) -> s.Succeeded:
        return s.Succeeded(False, self._at(meta))

    def failed(self, meta: Meta, c: list[Any]) -> s.Succeeded:
        return s.Succeeded(True, self._at(meta))

    def status_is(self, meta: Meta, c: list[Any]) -> s.StatusTest:
        return s.StatusTest(c[0] is not None, (c[1],), self._at(meta))

    def status_in(self, meta: Meta, c: list[Any]) -> s.StatusTest:
        return s.StatusTest(c[0] is not None, tuple(c[1:]), self._at(meta))

    def ref(self, meta: Meta, c: list[Any]) -> s.Reference:
        owner, name = (self._name(c[0]), self._name(c[1])) if c[1] is not None else (None, self._name(c[0]))
        return s.Reference(owner, name, self._at(meta))

    def bare(self, meta: Meta, c: list[Any]) -> s.Reference:
        return cast(s.Reference, c[0])

    def irql(self, meta: Meta, c: list[Any]) -> s.IrqlTerm:
        return s.IrqlTerm(self._at(meta))

    def is_set(self, meta: Meta, c: list[Any]) -> s.SetTest:
        return s.SetTest(c[0], c[1] is not None, self._at(meta))

    def is_value(self, meta: Meta, c: list[Any]) -> s.ValueTest:
        return s.ValueTest(c[0], c[1] is not None, (self._name(c[2]),), self._at(meta))

    def is_in(self, meta: Meta, c: list[Any]) -> s.ValueTest:
        return s.ValueTest(c[0], c[1] is not None, c[2], self._at(meta))

    def compare(self, meta: Meta, c: list[Any]) -> s.Comparison:
        return s.Comparison(str(c[1]), c[0], c[2], self._at(meta))

    def has_bits(self, meta: Meta, c: list[Any]) -> s.BitTest:
        return s.BitTest(c[0], c[1], self._at(meta))

    def inside(self, meta: Meta, c: list[Any]) -> s.InsideTest:
        return s.InsideTest(c[0], self._at(meta))

    def running(self, meta: Meta, c: list[Any]) -> s.RunningTest:
        return s.RunningTest(c[0], self._at(meta))

    def overlapped(self, meta: Meta, c: list[Any]) -> s.OverlapTest:
        return s.OverlapTest(c[0], self._at(meta))

    def latest(self, meta: Meta, c: list[Any]) -> s.LatestTest:
        return s.LatestTest(c[1] if len(c) > 1 else (), self._at(meta))

    def child(self, meta: Meta, c: list[Any]) -> s.ChildTest:
        return s.ChildTest(c[0].type == "NO", self._name(c[1]), self._name(c[2]), c[3], self._at(meta))

    def sometime(self, meta: Meta, c: list[Any]) -> s.SometimeTest:
        return s.SometimeTest(c[0], self._at(meta))


def _to_int(text: str) -> int:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    return sign * (int(digits, 16) if digits[:2].lower() == "0x" else int(digits))


def _last_list(rest: list[Any]) -> list[tuple[Token, Any]]:
    return rest[-1] if isinstance(rest[-1], list) else []


def _value(text: s.Text | None) -> str:
    return "" if text is None else text.value
