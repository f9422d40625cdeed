"""What the declarations of the small file API become in the IR."""

from __future__ import annotations

from pathlib import Path

import pytest

from kmclcheck.model import expr as e
from kmclcheck.model.event import Phase
from kmclcheck.model.spec import Direction, Severity, Spec, Transition
from kmclcheck.speclang import check_spec
from kmclcheck.speclang.lowering import compile_spec

FILE = Path(__file__).parent.parent / "data" / "filehandle.kmcl"
GONE = e.FieldIn("file", "life", frozenset({"Gone"}))
OPEN = e.FieldIn("file", "life", frozenset({"Open"}))


@pytest.fixture(scope="module")
def spec() -> Spec:
    found, diagnostics = compile_spec({"filehandle.kmcl": FILE.read_text(encoding="utf-8")})
    assert [d.render() for d in diagnostics] == []
    return found


def lines(spec: Spec, field: str, event: str, phase: Phase) -> list[Transition]:
    machine = spec.machines[tuple(field.split("."))]  # type: ignore[index]
    return [t for t in machine.transitions if t.event == (event, phase)]


def test_no_diagnostics() -> None:
    assert check_spec([FILE]) == []


def test_names(spec: Spec) -> None:
    assert (spec.name, spec.title) == ("filehandle", "File handles")
    assert spec.statuses["STATUS_END_OF_FILE"] == 0xC0000011
    assert spec.constants == {"SHARED": 1, "EXCLUSIVE": 2}


def test_fields(spec: Spec) -> None:
    life = spec.kinds["file"].enums["life"]
    assert life.values == ("None", "Open", "Gone", "Closed")
    assert (life.initial, life.dead, life.absent) == ("None", {"Closed"}, {"None", "Closed"})
    writable = spec.kinds["file"].enums["writable"]
    assert (writable.boolean, writable.initial, writable.absent) == (True, "false", {"false", "true"})
    assert spec.kinds["file"].numbers["size"].doc == "Bytes, as last told."


def test_events(spec: Spec) -> None:
    opened = spec.events["FileOpen"]
    assert opened.objects == {"file": "File"}
    assert [p.name for p in opened.params if p.extra] == ["Flags"]
    assert spec.events["FileUnlock"].objects == {"file": "File", "lock": "Range"}
    duplicate = spec.events["FileDuplicate"]
    assert duplicate.objects == {"file": "Return"}
    assert duplicate.params[-1].direction is Direction.OUT
    assert spec.events["FileHint"].neutral
    assert not spec.events["FileHint"].documented
    assert spec.events["OnFileGone"].recorded_when == e.FieldIn("file", "life", frozenset({"Open", "Gone"}))


def test_scoped_handle_needs_its_parent() -> None:
    text = "spec a\nobject p P {}\nobject k N of p scoped {}\nfunction F(in X: N as k)\n"
    spec, diagnostics = compile_spec({"a": text})
    assert not diagnostics
    assert spec.events["F"].objects == {}


def test_births(spec: Spec) -> None:
    first, second = spec.kinds["file"].births
    assert first.guard == e.StatusOk()
    assert first.loss_if == e.FieldIn("file", "life", frozenset({"Open", "Gone"}))
    assert second.guard == e.Compare(e.CompareOp.NE, e.Arg("Return"), e.Number(0))
    assert second.loss_if == e.Truth(False)


def test_star_is_what_no_other_line_names(spec: Spec) -> None:
    move, stay = lines(spec, "file.life", "OnFileGone", Phase.IN)
    assert (move.sources, move.targets) == ({"Open"}, {"Gone"})
    assert (stay.sources, stay.targets) == ({"None", "Gone", "Closed"}, frozenset())


def test_same_among_targets_is_per_value(spec: Spec) -> None:
    found = lines(spec, "file.life", "FileWrite", Phase.RET)
    assert [(set(t.sources), set(t.targets)) for t in found] == [
        ({"None"}, {"None", "Gone"}),
        ({"Open"}, {"Open", "Gone"}),
        ({"Gone"}, {"Gone"}),
        ({"Closed"}, {"Closed", "Gone"}),
    ]
    assert found[0].guard == e.And((e.Not(e.StatusOk()), e.Latest(("FileRead", "FileWrite"))))


def test_seen_and_parent(spec: Spec) -> None:
    (seen,) = lines(spec, "file.life", "FileSize", Phase.CALL)
    assert seen.observe
    (parent,) = lines(spec, "lock.held", "FileClose", Phase.CALL)
    assert parent.via_parent
    assert parent.sources == {"No", "Yes"}


def test_predicate_and_negation_normal_form(spec: Spec) -> None:
    writes, reads = spec.machines["file", "writable"].transitions
    has = [e.HasBits(e.Arg("Flags"), mask) for mask in (1, 2)]
    given = e.Compare(e.CompareOp.NE, e.Arg("Write"), e.Number(0))
    assert writes.guard == e.And((e.StatusOk(), given, e.Or((e.Not(has[0]), has[1]))))
    assert reads.guard == e.And((e.StatusOk(), e.Or((e.Not(given), e.And((has[0], e.Not(has[1])))))))


def test_assignments(spec: Spec) -> None:
    added, *_, first, second = spec.assignments
    assert (added.value, added.event, added.adds) == (e.Arg("Bytes"), ("DiskWrote", Phase.WHOLE), True)
    assert (first.value, first.event, first.adds) == (e.Arg("Return"), ("FileSize", Phase.RET), False)
    assert second.value is None


def test_records(spec: Spec) -> None:
    wrote, lost = spec.events["DiskWrote"], spec.events["DiskLost"]
    assert (wrote.record, wrote.unordered, wrote.entry, wrote.exit) == (
        True, False, Phase.WHOLE, Phase.WHOLE
    )  # fmt: skip
    assert (lost.record, lost.unordered) == (True, True)
    assert {name for name, event in spec.events.items() if event.record} == {"DiskWrote", "DiskLost"}


def test_counters(spec: Spec) -> None:
    block = spec.kinds["block"]
    assert block.numbers["writes"].counter
    assert not spec.kinds["file"].numbers["size"].counter
    assert spec.rules["disk-blocks"].checks[0].require == e.And(
        (
            e.Compare(e.CompareOp.GT, e.Scalar("block", "writes", True), e.Number(0)),
            e.FieldIn("disk", "doubt", frozenset({"No"})),
        )
    )


def test_any(spec: Spec) -> None:
    (line,) = lines(spec, "disk.doubt", "OnFileGone", Phase.IN)
    assert (line.anywhere, line.via_parent, line.targets) == (True, False, {"Yes"})


def test_group_makes_one_check_each(spec: Spec) -> None:
    rule = spec.rules["file-use-open"]
    assert [c.event for c in rule.checks] == [(n, Phase.CALL) for n in ("FileRead", "FileWrite", "FileSize")]
    assert rule.checks[0].when == e.Or((e.Not(GONE), e.Compare(e.CompareOp.GT, e.Irql(), e.Number(1))))
    assert rule.checks[0].require == OPEN
    assert rule.checks[0].target == "file"


def test_planned_rules_are_left_out(spec: Spec) -> None:
    assert spec.rules["file-use-open"].yields_to == ("file-no-double-close",)


def test_end_and_each(spec: Spec) -> None:
    rule = spec.rules["file-closed"]
    assert rule.severity is Severity.WARNING
    end, each = rule.checks
    assert (end.event, end.hung_in, end.each, end.each_of, end.target) == (
        None,
        ("FileClose",),
        True,
        None,
        "file",
    )
    assert (each.each, each.each_of, each.target) == (True, "file", "lock")


def test_children_and_implication(spec: Spec) -> None:
    checks = spec.rules["file-size-sane"].checks
    child = e.AnyChild("file", "lock", e.FieldIn("lock", "held", frozenset({"Yes"})))
    inside = e.Inside(("OnFileGone",), "file")
    # `not A implies B` is `A or B`, and `is not No` says which values are meant.
    assert checks[0].require == e.Or((inside, e.Not(child)))
    status = e.StatusIn(frozenset({0xC0000011, 0xC0000022}))
    assert checks[1].when == e.Or((status, e.Not(e.StatusIn(frozenset({0})))))


def test_examples(spec: Spec) -> None:
    passes, fails = spec.rules["file-use-open"].examples
    assert passes.passes
    assert not fails.passes
    assert passes.text == (
        "call FileOpen tid=1\nret FileOpen tid=1 status=0 File=0x10\ncall FileRead tid=1 File=0x10\n"
    )
    assert "\n\n" in fails.text


def test_texts(spec: Spec) -> None:
    assert spec.rules["file-use-open"].fix == 'Say "done" with FileClose last.\nThen forget the handle.'
