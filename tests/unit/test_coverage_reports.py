"""Coverage as a document, as text and as pictures, and the ways to what is missing."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from kmclcheck.diagnostics import InputError
from kmclcheck.engines.coverage import Coverage, Coverer, Edge, Universe
from kmclcheck.engines.coverage.missing import gaps, shortest_ways
from kmclcheck.report import InputFailure, ToolInfo
from kmclcheck.report.coverage_document import coverage_document, read_coverage
from kmclcheck.report.coverage_pictures import WRITERS, svg
from kmclcheck.report.coverage_text import coverage_text
from kmclcheck.speclang import bundled_spec, load_spec
from kmclcheck.traces import open_trace, read_text

TRACES = Path(__file__).resolve().parents[2] / "traces"
TOOL = ToolInfo("kmclcheck", "0", "demo", "Demonstration")

SPEC = """
spec demo "Demonstration"
status STATUS_SUCCESS = 0x00000000
object door HANDLE {
    field state : { None, Shut, Ajar, Open, Locked, Gone } = None dead { Gone } absent { None }
    field alarm : { Off, On, Broken } = Off
}
object thread { field marked : bool = false }
function DoorBuild(out Door: HANDLE) { role either  interface "v1" }
function DoorPush(in Door: HANDLE) { role either  interface "v1" }
function DoorPull(in Door: HANDLE) { role either  interface "v1" }
function DoorLock(in Door: HANDLE) { role either  interface "v1" }
function DoorBurn(in Door: HANDLE) { role either  interface "v1" }
machine door.state {
    None -> Shut on DoorBuild.ret
    Shut -> Ajar on DoorPush.call
    Ajar -> Open on DoorPush.call
    Ajar -> Shut on DoorPull.call
    Open -> Ajar on DoorPull.call
    Shut -> Locked on DoorLock.call
    Locked -> same on DoorPush.call
    None, Shut, Ajar, Open, Locked -> Gone on DoorBurn.call
}
machine door.alarm {
    Off -> On on DoorLock.call
    Broken -> Off on DoorBurn.call
}
births door {
    on DoorBuild.ret
}
"""
HEAD = "%kmtrace 1\n%start known\n%end stopped\n%records all\n"
BUILD = "call DoorBuild tid=1\nret DoorBuild tid=1 Door=0x10\n"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Universe:
    path = tmp_path_factory.mktemp("spec") / "demo.kmcl"
    path.write_text(SPEC)
    return Universe(load_spec([path]), ())


@cache
def bundled() -> Universe:
    spec = bundled_spec()
    return Universe(spec, spec.rules)


def calls(*names: str) -> str:
    """Return a trace that builds a door and calls these functions on it."""
    lines = [f"call {name} tid=1 Door=0x10\nret {name} tid=1 Door=0x10\n" for name in names]
    return HEAD + BUILD + "".join(lines)


def covered(universe: Universe, *texts: str) -> Coverage:
    coverer = Coverer(universe)
    for text in texts:
        coverer.cover(read_text(text))
    return coverer.total


def document(coverage: Coverage, missing: bool = False) -> dict[str, object]:
    machines = list(coverage.universe.machines)
    found = gaps(coverage, machines) if missing else None
    made = coverage_document(coverage, machines, TOOL, [InputFailure("gone", "error: gone")], False, found)
    loaded: dict[str, object] = json.loads(json.dumps(made))
    return loaded


def saved(coverage: Coverage, path: Path) -> Path:
    path.write_text(json.dumps(coverage_document(coverage, list(coverage.universe.machines), TOOL)))
    return path


def schema() -> dict[str, object]:
    text = resources.files("kmclcheck.report").joinpath("schema/coverage-1.json").read_text("utf-8")
    loaded: dict[str, object] = json.loads(text)
    return loaded


def test_the_schema_is_valid_and_closed() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"schema": "kmclcheck.coverage/1"}, schema())


@pytest.mark.parametrize("missing", [False, True])
def test_documents_match_the_schema(demo: Universe, missing: bool) -> None:
    made = document(covered(demo, calls("DoorPush", "DoorPush")), missing)
    jsonschema.validate(made, schema())
    assert ("missing" in made) is missing


def test_the_document_of_samples_matches_the_schema() -> None:
    coverer = Coverer(bundled())
    for name in ("scenario-05-save", "wrong-double-complete"):
        coverer.cover(open_trace(str(TRACES / f"{name}.kmtrace")))
    made = document(coverer.total, missing=True)
    jsonschema.validate(made, schema())
    broken = [r for r in made["rules"] if r["failed"]]  # type: ignore[attr-defined]
    # The one that is reported, and what the second completion breaks besides.
    assert {r["id"] for r in broken} == {"incoming-complete-once", "incoming-no-use-after-disposal"}
    assert all(r["failed"] == 1 and r["exercised"] for r in broken)


def test_shares_of_a_small_trace(demo: Universe) -> None:
    made = document(covered(demo, calls("DoorPush", "DoorPush", "DoorBurn")))
    # Built, pushed twice, burnt: 4 of the 11 lines of the state that move it, none of the alarm's two.
    share = {"covered": 4, "total": 13, "perhaps": 0, "percent": 30.7}
    assert made["summary"]["transitions"] == share  # type: ignore[index]
    # None, Shut, Ajar, Open, Gone and Off, of six and three.
    assert made["summary"]["states"]["covered"] == 6  # type: ignore[index]
    assert made["summary"]["states"]["total"] == 9  # type: ignore[index]
    assert made["summary"]["stays"] == {  # type: ignore[index]
        "covered": 0, "total": 1, "perhaps": 0, "percent": 0.0,
    }  # fmt: skip
    assert made["summary"]["functions"]["covered"] == 3  # type: ignore[index]


def test_a_document_that_is_read_again_adds_up(demo: Universe, tmp_path: Path) -> None:
    one, other = calls("DoorPush", "DoorPull"), calls("DoorLock")
    read, complete = read_coverage(str(saved(covered(demo, one), tmp_path / "one.json")), demo)
    assert complete
    assert read == covered(demo, one)
    read.add(covered(demo, other))
    assert read == covered(demo, one, other)


def test_what_cannot_be_added_says_why(demo: Universe, tmp_path: Path) -> None:
    path = saved(covered(demo, calls()), tmp_path / "c.json")
    good = json.loads(path.read_text())

    def error(text: str, universe: Universe = demo) -> str:
        path.write_text(text)
        with pytest.raises(InputError) as caught:
            read_coverage(str(path), universe)
        return str(caught.value)

    assert "not JSON" in error("{")
    assert "not JSON" in error("[" * 100_000)
    assert "names no schema" in error("[]")
    later = json.dumps(good | {"schema": "kmclcheck.coverage/2"})
    assert "'kmclcheck.coverage/2', and kmclcheck.coverage/1 is needed" in error(later)
    assert "another specification" in error(json.dumps(good), bundled())
    assert "without --machine" in error(json.dumps(good | {"machines": good["machines"][:1]}))
    assert "damaged" in error(json.dumps(good | {"traces": -1}))
    assert "damaged" in error(json.dumps(good | {"traces": True}))
    assert "damaged" in error(json.dumps(good | {"rules": [{"id": "other"}]}))
    assert "damaged" in error(json.dumps(good | {"functions": good["functions"][1:]}))
    machines = [{**m, "states": m["states"][1:]} for m in good["machines"]]
    assert "damaged" in error(json.dumps(good | {"machines": machines}))
    path.unlink()
    with pytest.raises(InputError, match="No such file"):
        read_coverage(str(path), demo)


def test_another_choice_of_rules_cannot_be_added(tmp_path: Path) -> None:
    spec = bundled().spec
    fewer = Universe(spec, list(spec.rules)[1:])
    path = saved(Coverage(fewer), tmp_path / "fewer.json")
    with pytest.raises(InputError, match="another choice of rules"):
        read_coverage(str(path), bundled())


def test_ways_are_the_shortest_and_begin_with_a_birth(demo: Universe) -> None:
    ways = shortest_ways(demo, "door.state")
    told = {value: [step.edge.event for step in way] for value, way in ways.items()}
    assert told == {
        "None": [],
        "Shut": ["DoorBuild.ret"],
        "Ajar": ["DoorBuild.ret", "DoorPush.call"],
        "Open": ["DoorBuild.ret", "DoorPush.call", "DoorPush.call"],
        "Locked": ["DoorBuild.ret", "DoorLock.call"],
        # Not at once from None, where there is no door yet.
        "Gone": ["DoorBuild.ret", "DoorBurn.call"],
    }
    assert {v: len(w) for v, w in shortest_ways(demo, "door.alarm").items()} == {"Off": 0, "On": 1}


def test_ways_to_what_is_missing_cover_it(demo: Universe) -> None:
    """Every way, played as a trace, covers what it is the way to."""
    found = gaps(covered(demo, calls()), ["door.state"], stays=True)
    assert len(found.machines) == 4 + 10 + 1
    played = 0
    for one in found.machines:
        assert one.way is not None
        names = [step.edge.event.partition(".")[0] for step in one.way]
        if names[:1] != ["DoorBuild"]:
            # A door that was never built can burn, but not be built afterwards.
            assert isinstance(one.what, Edge)
            assert one.what.source == "None"
            continue
        again = covered(demo, calls(*names[1:]))
        left = {missing.what for missing in gaps(again, ["door.state"], stays=True).machines}
        assert one.what not in left
        played += 1
    assert played == 14


def test_what_nothing_leads_to_has_no_way(demo: Universe) -> None:
    found = {one.what: one for one in gaps(covered(demo, calls("DoorLock")), ["door.alarm"]).machines}
    assert [(type(what).__name__, one.way) for what, one in found.items()] == [
        ("State", None),
        ("Edge", None),
    ]


@pytest.mark.parametrize("machine", ["channel.life", "packet.out", "incoming.inc", "gpadl.gp"])
def test_each_step_of_a_way_is_a_line_of_the_machine(machine: str) -> None:
    universe = bundled()
    one = universe.machines[machine]
    births = {birth.event for birth in universe.spec.kinds[one.kind].births}
    found = gaps(Coverage(universe), [machine]).machines
    assert {m.what for m in found if isinstance(m.what, Edge)} == {
        e for e in universe.edges if e.machine == machine and e.counted
    }
    for missing in found:
        assert missing.way is not None
        at = missing.start
        for number, step in enumerate(missing.way):
            name, _, phase = step.edge.event.partition(".")
            lines = [t for t in one.transitions if not t.observe and t.event[0] == name]
            lines = [t for t in lines if t.event[1].value == phase and at in t.sources]
            assert any(step.target in (t.targets or {at}) for t in lines)
            born = any(t.event in births for t in lines)
            source = missing.what.source if isinstance(missing.what, Edge) else ""
            assert number > 0 or born or source == missing.start
            at = step.target


def test_text_tells_counts_and_ways(demo: Universe) -> None:
    coverage = covered(demo, calls("DoorPush", "DoorBurn"))
    machines = ["door.state"]
    text = coverage_text(coverage, machines, details=True, gaps=gaps(coverage, machines))
    row = text.splitlines()[1].split()
    assert row == ["door.state", "4", "of", "6", "3", "of", "11", "27.2%", "0", "of", "1"]
    assert "     1  Shut -> Ajar on DoorPush.call\n" in text
    assert " never  Ajar -> Open on DoorPush.call\n" in text
    assert (
        "  Open -> Ajar on DoorPull.call\n"
        "      DoorBuild.ret  (None -> Shut)\n"
        "      DoorPush.call  (Shut -> Ajar)\n"
        "      DoorPush.call  (Ajar -> Open)\n"
        "      DoorPull.call  (Open -> Ajar)\n"
    ) in text
    assert "Locked -> same" not in text.partition("never exercised")[2]
    assert text.endswith("0 of 0 rules exercised; 3 of 5 functions and callbacks met\n1 trace, 6 records\n")


def test_pictures_are_grey_where_nothing_came(demo: Universe) -> None:
    coverage = covered(demo, calls("DoorPush"))
    dot = list(WRITERS["dot"](coverage, ["door.state"]))
    (taken,) = (line for line in dot if '"Shut" -> "Ajar"' in line)
    assert taken == '    "Shut" -> "Ajar" [label="DoorPush.call: 1x"]'
    (never,) = (line for line in dot if '"Ajar" -> "Open"' in line)
    assert "gray" in never
    assert [line for line in dot if "Open\\n" in line] == [
        '    "Open" [label="Open\\nnever", color=gray60, fontcolor=gray60]'
    ]
    mermaid = list(WRITERS["mermaid"](coverage, ["door.state"]))
    assert "    Shut --> Ajar : DoorPush.call, 1x" in mermaid
    assert "    class Locked untouched" in mermaid
    assert "    class Shut untouched" not in mermaid


def test_lines_that_differ_in_their_guards_have_their_own_counts() -> None:
    universe = bundled()
    coverage = Coverage(universe)
    for edge, count in coverage.edges_of("channel.life"):
        if edge.source == "Closing" and edge.guard == "channel.role is Client":
            count.certain = 7
    picture = svg(coverage, "channel.life")
    assert "EvtVmbChannelClosed.out [channel.role is Client], used 7 times" in picture
    assert "running(VmbChannelDisable, channel)], used 0 times" in picture
    assert picture.count("used 7 times") == picture.count("[channel.role is Client], used 7 times")


def test_pictures_leave_out_what_can_never_be() -> None:
    picture = svg(Coverage(bundled()), "gpadl.gp")
    # A GPADL that is made is a new one, whatever became of the old one with its number.
    assert "None \u2192 Live" in picture
    assert "Deleting \u2192 Live" not in picture
    assert "Deleting \u2192 None" in picture
