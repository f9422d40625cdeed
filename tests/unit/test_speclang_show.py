"""What is printed reads back to the same IR."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmclcheck.diagnostics import InputError, Span
from kmclcheck.model import expr as e
from kmclcheck.speclang import format_expr, show_machine, show_rule
from kmclcheck.speclang.conditions import flatten
from kmclcheck.speclang.lowering import compile_spec

FILE = Path(__file__).parent.parent / "data" / "filehandle.kmcl"
TEXT = FILE.read_text(encoding="utf-8")
SPEC, PROBLEMS = compile_spec({"f": TEXT})
BARE = TEXT[: TEXT.index("\nmachine file.life")]


def without_spans(value: Any) -> Any:
    if isinstance(value, Span):
        return None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return (type(value), *(without_spans(getattr(value, f.name)) for f in dataclasses.fields(value)))
    if isinstance(value, tuple):
        return tuple(map(without_spans, value))
    return value


def test_machines_round_trip() -> None:
    shown = "".join(show_machine(SPEC, f"{kind}.{field}") for kind, field in SPEC.machines)
    again, diagnostics = compile_spec({"f": BARE + "\n" + shown})
    assert [d.render() for d in diagnostics] == []
    assert without_spans(tuple(again.machines.values())) == without_spans(tuple(SPEC.machines.values()))


def test_rules_round_trip() -> None:
    shown = "\n".join(show_rule(SPEC, rule) for rule in SPEC.rules)
    again, diagnostics = compile_spec({"f": BARE + "\n" + shown})
    assert [d.render() for d in diagnostics] == []
    assert without_spans(tuple(again.rules.values())) == without_spans(tuple(SPEC.rules.values()))


@pytest.mark.parametrize("show", [show_rule, show_machine])
def test_unknown_name(show: Any) -> None:
    with pytest.raises(InputError, match=r"no (rule|machine) `nothing`"):
        show(SPEC, "nothing")


def test_suggests() -> None:
    with pytest.raises(InputError, match=r"did you mean `file\.life`"):
        show_machine(SPEC, "file.live")


def values(*names: str) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(names), min_size=1)


terms = st.one_of(
    st.integers(-5, 2**40).map(e.Number),
    st.just(e.Arg("Length")),
    st.just(e.Irql()),
    st.just(e.Scalar("file", "size")),
)
life = values("None", "Open", "Gone", "Closed").map(lambda v: e.FieldIn("file", "life", v))
simple = st.one_of(
    st.booleans().map(e.Truth),
    life,
    values("true", "false").map(lambda v: e.FieldIn("file", "writable", v)),
    st.just(e.IsSet("file", "size")),
    st.builds(e.Compare, st.sampled_from(e.CompareOp), terms, terms),
    st.builds(e.HasBits, terms, st.integers(1, 2**32)),
    st.just(e.StatusOk()),
    st.frozensets(st.sampled_from([0, 0xC0000011, 5]), min_size=1).map(e.StatusIn),
    st.sampled_from([e.Inside(("FileRead",)), e.Inside(("FileRead", "FileWrite"), "file")]),
    st.just(e.OpenFrame(("FileRead", "FileClose"), "file")),
    st.just(e.Overlapped(("FileRead", "FileClose"))),
    st.just(e.Latest(("FileRead", "FileWrite"))),
    values("No", "Yes").map(lambda v: e.AnyChild("file", "lock", e.FieldIn("lock", "held", v))),
)


def compound(inner: st.SearchStrategy[e.Expr]) -> st.SearchStrategy[e.Expr]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(several.map(e.And), several.map(e.Or), inner.map(e.Sometime), inner.map(e.negate))


@settings(max_examples=150, deadline=None)
@given(st.recursive(simple, compound, max_leaves=8).map(flatten))
def test_conditions_round_trip(expr: e.Expr) -> None:
    shown = format_expr(expr, SPEC)
    line = f"machine file.life {{ * -> Open on FileRead.ret when {shown} }}"
    again, diagnostics = compile_spec({"f": BARE + "\n" + line})
    assert [d.render() for d in diagnostics] == []
    assert again.machines["file", "life"].transitions[0].guard == expr
    assert re.search(r"\n", shown) is None
