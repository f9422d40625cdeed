"""Invariants in the specification language."""

from __future__ import annotations

import pytest

from kmclcheck.model.event import Phase
from kmclcheck.model.expr import FieldIn, Truth
from kmclcheck.model.spec import Spec
from kmclcheck.speclang.lowering import compile_spec

BASE = """
spec test "Test"
object door DOOR {
    field life : { Shut, Open, Gone } = Shut dead { Gone }
}
function OpenDoor(in Door: DOOR) : VOID { role either }
machine door.life {
    Shut -> Open on OpenDoor.call
}
rule open-once {
    driver error core
    on door
    statement "A door is opened once."
    at OpenDoor.call require door.life is Shut
    consequence "c" fix "f" source "s"
}
"""


def _compile(text: str) -> tuple[Spec, str]:
    spec, diagnostics = compile_spec({"t.kmcl": BASE + text})
    return spec, "\n".join(d.render() for d in diagnostics)


def test_an_invariant_is_lowered_like_a_rule() -> None:
    spec, said = _compile("""
invariant shut-first {
    on door
    statement "S."
    at OpenDoor.call require door.life is Shut
    always when door.life is Open each door require true
    assuming open-once
    strict
    given at OpenDoor.call require not running(OpenDoor, door)
    instances "One door."
    source "P"
}
""")
    assert not said
    found = spec.invariants["shut-first"]
    assert found.statement == "S."
    assert found.assuming == ("open-once",)
    assert found.instances == "One door."
    assert found.sources == ("P",)
    assert found.strict
    assert [g.event for g in found.given] == [("OpenDoor", Phase.CALL)]
    at, always = found.checks
    assert at.event == ("OpenDoor", Phase.CALL)
    assert at.require == FieldIn("door", "life", frozenset({"Shut"}))
    assert at.target == always.target == "door"
    assert always.event is None
    assert always.each
    assert always.when == FieldIn("door", "life", frozenset({"Open"}))
    assert always.require == Truth(True)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("at OpenDoor.call require true", "has no statement"),
        ('statement "S."', "has no check"),
        ('statement "S." at OpenDoor.call require true', "has no `on OBJECT` line"),
        ('statement "S." statement "T." always each door require true', "`statement` is given twice"),
        ('statement "S." always each door require true assuming open-twice', "unknown rule `open-twice`"),
        (
            'statement "S." always each door require true assuming open-once, open-once',
            "`assuming` names `open-once` twice",
        ),
        ('statement "S." always each window require true', "unknown object `window`"),
        ('statement "S." always each door require irql == 0', "has no IRQL"),
        ('statement "S." always each door require succeeded', "has no status"),
        ('statement "S." always each door of door require true', "means every object"),
        ('statement "S." always require true', "unexpected `require`"),
        ('statement "S." at OpenDoor.cal require true', "cal"),
    ],
)
def test_what_is_wrong_is_said(body: str, complaint: str) -> None:
    _, said = _compile(f"invariant bad {{ {body} }}\n")
    assert complaint in said, said


def test_two_of_one_name() -> None:
    one = 'invariant same { statement "S." always each door require true }\n'
    _, said = _compile(one + one)
    assert "same" in said


def test_after_a_syntax_error_reading_goes_on_at_an_invariant() -> None:
    spec, said = _compile(
        'predicate broken = and ()\ninvariant kept { statement "S." always each door require true }\n'
    )
    assert "unexpected" in said
    assert "kept" in spec.invariants
