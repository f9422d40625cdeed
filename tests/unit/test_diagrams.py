"""State diagrams and lane pictures: nothing overlaps, nothing is lost, the same input gives the same text."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Literal

import networkx as nx
import pytest

from kmclcheck.diagrams import dot_layout as dot
from kmclcheck.diagrams.arrows import Forbidden, Use, life_rows
from kmclcheck.diagrams.dot_layout import DotError, dot_layout
from kmclcheck.diagrams.lanes import Fault, lane_picture, rule_fields
from kmclcheck.diagrams.layout import Item, Link, place
from kmclcheck.diagrams.measure import cut, text_width, wrap
from kmclcheck.diagrams.names import ShortNames, short_names
from kmclcheck.diagrams.states import Scene, arrange, state_diagram
from kmclcheck.engines.explore.graphs import state_graph, without_loops
from kmclcheck.engines.story import Step, steps
from kmclcheck.model.event import End, Event, Phase
from kmclcheck.model.spec import Spec
from kmclcheck.speclang.loader import bundled_spec
from tests.support.pictures import (
    classes,
    file_machine,
    flag_machine,
    inside,
    machine,
    misplaced,
    on_curve,
    texts,
    tooltips,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "diagrams"
PLAIN = ShortNames({"FileOpen": "Open", "FileClose": "Close"}, ("File",))


@functools.cache
def kmcl() -> Spec:
    return bundled_spec()


def bundled() -> list[nx.MultiDiGraph]:
    return [state_graph(kmcl(), one) for one in kmcl().machines.values()]


def scenes() -> Iterator[Scene]:
    names = short_names(kmcl())
    for graph in bundled():
        yield arrange(without_loops(graph), names)
        yield arrange(graph, names)


def same_as_golden(file: str, text: str) -> None:
    golden = GOLDEN / file
    if os.environ.get("KMCLCHECK_UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_bytes(text.encode())
    assert text == golden.read_bytes().decode()


# --- State diagrams ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("file", "graph"), [("file.svg", file_machine()), ("flag.svg", flag_machine(6))])
def test_golden_machines(file: str, graph: nx.MultiDiGraph) -> None:
    same_as_golden(file, state_diagram([graph], PLAIN))


def test_no_boxes_overlap() -> None:
    looked_at = 0
    for scene in scenes():
        boxes = [*scene.states.values(), *scene.labels, *scene.loops]
        for one, other in combinations(boxes, 2):
            assert not one.meets(other), scene.graph.name
            looked_at += 1
        assert all(box.left >= -0.1 and box.right <= scene.width + 0.1 for box in boxes), scene.graph.name
        assert all(box.top >= -0.1 and box.bottom <= scene.height + 0.1 for box in boxes), scene.graph.name
    assert looked_at > 1000


def test_no_line_crosses_a_box() -> None:
    for scene in scenes():
        boxes = [*scene.states.values(), *scene.labels, *scene.loops]
        for path in scene.paths:
            for points in path.curves:
                for point in on_curve(points):
                    assert not any(inside(point, box) for box in boxes), scene.graph.name


def test_lines_begin_and_end_at_their_states() -> None:
    for scene in scenes():
        for arrow, path in zip(scene.arrows, scene.paths, strict=True):
            ends = [point for points in path.curves for point in (points[0], points[-1])]
            target = scene.states[arrow.target]
            assert path.tip in ends
            assert target.left < path.tip[0] < target.right
            assert abs(path.tip[1] - target.y) == pytest.approx(target.height / 2)
            for source in arrow.sources:
                box = scene.states[source]
                assert any(
                    box.left < x < box.right and abs(abs(y - box.y) - box.height / 2) < 0.1 for x, y in ends
                )


def test_texts_do_not_overlap() -> None:
    names = short_names(kmcl())
    for graph in bundled():
        for one in (graph, without_loops(graph)):
            assert misplaced(state_diagram([one], names)) == [], graph.name
    assert misplaced(state_diagram(bundled(), names)) == []


def test_labels_hold_their_text() -> None:
    for scene in scenes():
        for arrow, box in zip([*scene.arrows, *scene.own], [*scene.labels, *scene.loops], strict=True):
            for line in arrow.shown:
                assert text_width(line.text, 11) + 6 <= box.width
            assert (len(arrow.shown) + bool(arrow.folded)) * 14 <= box.height


def test_every_edge_is_told() -> None:
    for graph in map(without_loops, bundled()):
        told = tooltips(state_diagram([graph], short_names(kmcl())))
        for source, target, data in graph.edges(data=True):
            assert any(
                f" → {target}" in tip.splitlines()[0]
                and source in tip.splitlines()[0]
                and any(line.startswith(data["event"]) for line in tip.splitlines()[1:])
                for tip in told
                if " → " in tip
            )


def test_all_machines_are_valid_and_the_same_again() -> None:
    names = short_names(kmcl())
    for graph in bundled():
        svg = state_diagram([graph], names)
        ElementTree.fromstring(svg)
        assert svg == state_diagram([graph.copy()], names)
    whole = state_diagram(bundled(), names)
    shown = texts(whole)
    assert all(graph.name in shown for graph in bundled())


def test_the_same_in_another_process() -> None:
    program = (
        "from tests.support.pictures import *; from kmclcheck.diagrams.states import state_diagram;"
        "from kmclcheck.diagrams.names import ShortNames;"
        "names = ShortNames({'FileOpen': 'Open', 'FileClose': 'Close'}, ('File',));"
        "print(state_diagram([file_machine()], names), end='')"
    )
    root = Path(__file__).parents[2]
    env = {
        **os.environ,
        "PYTHONHASHSEED": "77",
        "PYTHONUTF8": "1",
        "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, check=True, timeout=60
    )
    assert done.stdout.decode().replace("\r\n", "\n") == state_diagram([file_machine()], PLAIN)


def test_rows_follow_the_life() -> None:
    rows = life_rows(file_machine())
    assert rows == {"None": 0, "Open": 1, "Broken": 2, "Gone": 3}
    for graph in bundled():
        rows = life_rows(graph)
        assert all(rows[a] != rows[b] for a, b in graph.edges() if a != b)
        ended = [n for n, data in graph.nodes(data=True) if data["dead"] and not data["initial"]]
        others = [row for node, row in rows.items() if node not in ended]
        assert all(rows[node] > max(others) for node in ended)


def test_marks() -> None:
    svg = state_diagram([file_machine()], PLAIN)
    shown = texts(svg)
    # Roles and marks are told in words, not only by colour and line.
    assert {"at birth, no object", "ended", "FileRepair.call (server)", "Open.ret [succeeded]"} <= set(shown)
    assert shown.count("Close.call") == 1  # three states with one arrow
    paths = classes(svg, "path")
    assert "path async" in paths
    assert "path server" in paths


def test_many_lines_are_folded() -> None:
    svg = state_diagram([flag_machine(9)], PLAIN)
    assert "+6 more" in texts(svg)
    assert not any("Set7.call" in text for text in texts(svg))
    (tip,) = {tip for tip in tooltips(svg) if tip.startswith("false → true")}
    assert len(tip.splitlines()) == 10
    assert "Set7.call [a guard of some length that cannot be shown]" in tip


NASTY = [
    "</text><script>alert(1)</script>",
    "a&b \"c\" 'd'",
    "x\x00\x1b[31m\u202e\ud800\ufffe",
    "]]>",
    "Ünï 漢字",
]


def test_nasty_names() -> None:
    states = {name: "i" if not place else "" for place, name in enumerate(NASTY)}
    edges = [(a, b, f"{b}.call") for a, b in zip(NASTY, NASTY[1:] + NASTY[:1], strict=True)]
    svg = state_diagram([machine("<&>", states, edges, doc=" ".join(NASTY))], PLAIN)
    ElementTree.fromstring(svg.encode("utf-8"))
    assert "<script" not in svg
    assert "x\\x00\\x1b[31m\\u202e\\ud800\\ufffe" in texts(svg)
    assert NASTY[0] in texts(svg)


def test_use_is_brought_out() -> None:
    use = Use({"None": 1, "Open": 4}, {("None", "Open", "FileOpen.ret"): 12})
    svg = state_diagram([without_loops(file_machine())], PLAIN, use=use)
    assert "Open.ret ×12 [succeeded]" in texts(svg)
    assert "×4" in texts(svg)
    paths = [kind for kind in classes(svg, "path") if "used" in kind.split()]
    assert paths == ["path used", "path used"]  # the arrow and the key
    states = [kind for kind in classes(svg, "rect") if kind.startswith("state")]
    assert sum("used" in kind.split() for kind in states) == 2
    assert sum("unused" in kind.split() for kind in states) == 2
    assert any("FileOpen.ret [succeeded], used 12 times" in tip for tip in tooltips(svg))


def test_states_to_keep_with_a_forbidden_edge() -> None:
    wrong = Forbidden("Open", "FileClose.call", reason="file-closed-twice")
    scene = arrange(file_machine(), PLAIN, keep=["Open", "Gone"], forbidden=wrong)
    assert set(scene.states) == {"Open", "Gone"}
    # It stands for what the machine does on the event.
    assert [(arrow.sources, arrow.target) for arrow in scene.arrows] == [(("Open",), "Gone")]
    svg = state_diagram([file_machine()], PLAIN, keep=["Open", "Gone"], forbidden=wrong)
    assert classes(svg, "path").count("path forbidden") == 2
    assert any("file-closed-twice" in tip for tip in tooltips(svg))
    nowhere = state_diagram(
        [file_machine()], PLAIN, keep=["Open"], forbidden=replace(wrong, event="Nap.call")
    )
    assert "forbidden" in texts(nowhere)


def test_forbidden_edge_between_states_of_one_row() -> None:
    graph = machine("m.f", {"A": "i", "B": "", "C": ""}, [("A", "B", "X.call"), ("A", "C", "Y.call")])
    scene = arrange(graph, PLAIN, forbidden=Forbidden("C", "Z.call", "B"))
    assert scene.arrows[-1].sources == ("C",)
    assert scene.states["C"].y != scene.states["B"].y


def test_unknown_states_are_refused() -> None:
    with pytest.raises(KeyError, match="no state 'Opn'"):
        arrange(file_machine(), PLAIN, keep=["Opn"])
    with pytest.raises(KeyError, match="no state 'Away'"):
        arrange(file_machine(), PLAIN, forbidden=Forbidden("Open", "X.call", "Away"))


def test_layout_wants_neighbouring_rows() -> None:
    items = [Item("a", 0, 10, 10), Item("b", 1, 10, 10), Item("c", 2, 10, 10)]
    with pytest.raises(ValueError, match="next row"):
        place(items, [Link("a", "c")])
    placed = place(items, [Link("a", "b"), Link("b", "c")])
    assert [placed.boxes[key].x for key in "abc"] == [5, 5, 5]
    assert place([], []).height == 0


# --- Graphviz, on request ---------------------------------------------------------------------------

PLAIN_OUTPUT = """graph 1 4 5
node s0 2 0.5 1 0.5 s0 solid box black lightgrey
node s1 2 4 1 0.5 s1 solid box black lightgrey
node l0 2 2 1 0.5 l0 solid box black lightgrey
edge s0 l0 4 2 0.75 2 1 2 1.5 2 1.75 solid black
edge l0 s1 4 2 2.25 2 3 2 3.5 2 3.75 solid black
stop
"""


def two_states() -> nx.MultiDiGraph:
    return machine("m.f", {"A": "i", "B": ""}, [("A", "B", "X.call")])


def test_dot_gives_the_places(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        asked.append(options["input"])
        return subprocess.CompletedProcess(command, 0, PLAIN_OUTPUT, "")

    monkeypatch.setattr(dot.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(dot.subprocess, "run", run)
    scene = arrange(two_states(), PLAIN, layout=dot_layout)
    assert "s0 -> l0" in str(asked[0])
    assert (scene.states["B"].x, scene.states["B"].y) == (144, 288)
    assert scene.paths[0].tip == (144, 270)
    assert scene.paths[0].direction == (0, 1)


@pytest.mark.parametrize("output", ["", "node s0 1\n", "graph 1 x y\n"])
def test_dot_gives_nonsense(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dot.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(
        dot.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0, output, "")
    )
    with pytest.raises(DotError, match="no layout that can be read"):
        arrange(two_states(), PLAIN, layout=dot_layout)


def test_dot_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dot.shutil, "which", lambda name: None)
    with pytest.raises(DotError, match="install Graphviz"):
        arrange(two_states(), PLAIN, layout=dot_layout)
    with pytest.raises(DotError, match="layout own only"):
        arrange(file_machine(), PLAIN, layout=dot_layout)


# --- Names and widths -------------------------------------------------------------------------------


def test_short_names_are_unambiguous() -> None:
    names = short_names(kmcl())
    assert len(set(names.short.values())) == len(kmcl().events)
    assert names.short["VmbChannelEnable"] == "Enable"
    assert names.short["EvtVmbChannelOpened"] == "Opened"
    assert names.event("running(VmbChannelDisable, channel)") == "running(Disable, channel)"
    for full, short in names.short.items():
        assert full.endswith(short)
        assert full == short or any(full == prefix + short for prefix in names.prefixes)


def spec_with(*functions: str) -> Spec:
    declared = next(iter(kmcl().events.values()))
    events = {name: replace(declared, name=name, callback=False) for name in functions}
    return replace(kmcl(), events=events)


def test_short_names_do_not_clash() -> None:
    names = short_names(spec_with("AbOpen", "AbClose", "AbRead", "AcOpen", "AcClose", "AcRead"))
    assert names.short == {name: name for name in names.short}
    names = short_names(spec_with("NtOpen", "NtClose", "NtRead", "Open"))
    assert names.short == {"NtOpen": "NtOpen", "NtClose": "Close", "NtRead": "Read", "Open": "Open"}
    assert short_names(spec_with("NtOpen", "NtClose")).short["NtOpen"] == "NtOpen"


def test_text_fits() -> None:
    text = "a line of words that is too long for the room it has"
    assert cut(text, 11, 1000) == text
    short = cut(text, 11, 100)
    assert short.endswith("…")
    assert text_width(short, 11) <= 100 < text_width(text, 11)
    assert " ".join(wrap(text, 11, 100)) == text
    assert all(text_width(line, 11) <= 100 for line in wrap(text + " " + "w" * 90, 11, 100))


# --- Lanes ------------------------------------------------------------------------------------------


def record(number: int, name: str, phase: Phase, tid: int = 16, **args: int) -> Event:
    return Event(name, phase, args, time=number * 1000, pid=4, tid=tid, line=number)


@functools.cache
def story(packets: int = 1) -> list[Step]:
    made = [
        replace(record(1, "VmbChannelAllocate", Phase.CALL), args={"IsServer": 0}),
        replace(record(2, "VmbChannelAllocate", Phase.RET, Channel=0x10100), status=0),
        record(3, "VmbChannelEnable", Phase.CALL, Channel=0x10100),
        record(4, "EvtVmbChannelOpened", Phase.IN, tid=20, Channel=0x10100),
        replace(record(5, "EvtVmbChannelOpened", Phase.OUT, tid=20), status=0),
        replace(record(6, "VmbChannelEnable", Phase.RET), status=0),
    ]
    for number in range(packets):
        made += [
            record(7, "VmbPacketAllocate", Phase.CALL, Channel=0x10100),
            record(8, "VmbPacketAllocate", Phase.RET, Return=0x20000 + number),
        ]
    made.append(record(9, "VmbChannelCleanup", Phase.CALL, Channel=0x10100))
    return steps(kmcl(), made, End.STOPPED)


FAULT = Fault("VmbChannelCleanup on a channel that is still Open", 8, "channel 0x10100")


def test_golden_lanes() -> None:
    same_as_golden("lanes.svg", lane_picture(kmcl(), story(), "cleanup while open", fault=FAULT))


def test_lanes_of_objects() -> None:
    svg = lane_picture(kmcl(), story(), "t", fault=FAULT)
    shown, tips = texts(svg), tooltips(svg)
    assert {"channel 0x10100", "packet 0x20000", "Opened.in Channel=0x10100", "+4.000 us", "4.14"} <= set(
        shown
    )
    assert FAULT.text in shown
    assert "bar fault" in classes(svg, "rect")
    assert "VmbChannelEnable on thread 4.10, records 3 to 6" in tips
    assert "VmbChannelCleanup on thread 4.10, records 9 to 9, no return" in tips
    assert "channel 0x10100: life is Opening" in tips
    assert "bar callback" in classes(svg, "rect")


def test_fields_in_focus_have_a_band() -> None:
    assert "window" not in texts(lane_picture(kmcl(), story(), "t"))
    assert "window" in texts(lane_picture(kmcl(), story(), "t", focus={("channel", "window")}))
    assert ("channel", "life") in rule_fields(kmcl().rules["channel-cleanup-disabled"])


def test_lanes_of_threads() -> None:
    svg = lane_picture(kmcl(), story(), "t", by="thread")
    assert {"thread 4.10", "thread 4.14", "channel 0x10100"} <= set(texts(svg))
    # A call is in the lane of its thread only.
    bars = [tip for tip in tooltips(svg) if " on thread " in tip]
    assert len(bars) == len(set(bars)) == 5


@pytest.mark.parametrize("by", ["object", "thread"])
@pytest.mark.parametrize(
    "fault", [None, FAULT, replace(FAULT, index=None), replace(FAULT, text="words " * 40)]
)
def test_texts_of_lanes_do_not_overlap(by: Literal["object", "thread"], fault: Fault) -> None:
    for packets, most in ((1, 60), (20, 60), (20, 12)):
        svg = lane_picture(kmcl(), story(packets), "a title", fault=fault, end=End.HUNG, by=by, most=most)
        assert misplaced(svg) == []


def test_fault_at_the_end() -> None:
    svg = lane_picture(kmcl(), story(), "t", fault=replace(FAULT, index=None), end=End.UNLOADED)
    shown = texts(svg)
    assert shown.index("the trace ends: unloaded") < shown.index(FAULT.text)
    assert "bar fault" not in classes(svg, "rect")


def test_long_traces_are_clipped() -> None:
    long = story(packets=60)
    wrong = replace(FAULT, index=99)
    shown = texts(lane_picture(kmcl(), long, "t", fault=wrong, most=20))
    assert "Not shown: 80 before and 27 after these of 127 records." in shown
    assert "100" in shown
    assert "101" not in shown
    assert any(text.startswith("Not shown: ") and "more object" in text for text in shown)
    # The object at fault is shown, however long ago it was named.
    assert "channel 0x10100" in shown
    assert not any(text.startswith("Not shown") for text in texts(lane_picture(kmcl(), story(), "t")))


def test_lanes_of_untrusted_records() -> None:
    event = Event("<b>\x00", Phase.CALL, {"&": "\u202e\ud800", "x": -1}, status="<s>", tid=-1, time=-5)
    svg = lane_picture(kmcl(), [Step(event, {"channel 0x1": {"life": ("<v>",)}})], "<t>\x1b")
    ElementTree.fromstring(svg.encode("utf-8"))
    assert "<b>\\x00.call = <s> &=\\u202e\\ud800 x=-1" in texts(svg)


def test_nothing_at_all() -> None:
    ElementTree.fromstring(lane_picture(kmcl(), [], "nothing"))
