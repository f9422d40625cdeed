"""Timelines: in order by the description of their format, and telling what the trace and the check tell."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kmclcheck.cli.main import run as run_here
from kmclcheck.engines.monitor import Options
from kmclcheck.engines.states import Moment, States
from kmclcheck.model.event import Event
from kmclcheck.model.spec import Spec
from kmclcheck.report.timeline import write_timeline
from kmclcheck.speclang import bundled_spec, load_spec
from kmclcheck.traces import read_text
from tests.cli.conftest import CLOSE, HEAD, OPEN, READ, SPEC, Run
from tests.cli.conftest import folder as folder
from tests.cli.conftest import run as run
from tests.support.checking import result_of
from tests.support.endless import Endless, peak
from tests.support.timelines import TOOL, faults, on, read, timeline, track_names, written
from tests.support.write_samples import FOLDER

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "timeline.json"
FILES = sorted(path.name for path in FOLDER.glob("*.kmtrace"))
# Every way in which data can be missing is tried on some of them.
SOME = sorted({*FILES[::6], "wrong-simulated-complete-race.kmtrace"})
FAULTY = "wrong-cleanup-while-enabled.kmtrace"


@cache
def kmcl() -> Spec:
    return bundled_spec()


@pytest.fixture
def demo(tmp_path: Path) -> Spec:
    (tmp_path / "demo.kmcl").write_text(SPEC)
    return load_spec([tmp_path / "demo.kmcl"])


def of(text: str, spec: Spec) -> dict[str, Any]:
    """Return the timeline of a trace, which has to be in order."""
    document = timeline(spec, read_text(text))
    assert faults(document) == []
    return document


def variants(text: str) -> Iterator[str]:
    """Give a sample as it is, from its middle on, with losses, and without threads, numbers or times."""
    yield text
    lines = text.splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if not line.startswith(("%", "#")))
    middle = first + (len(lines) - first) // 2
    header = "".join(lines[:first]).replace("%start known", "%start midlife")
    yield header + "".join(lines[middle:])
    yield "".join([*lines[: middle - 2], "%lost 2\n", *lines[middle:-3]])
    yield re.sub(r"(?m)^((?:@\S+ )?)(\d+|-) (\d+|-) (\S+) (\S+)", r"\1- - \4 -", text)
    yield re.sub(r"(?m)^((?:@\S+ )?)(\d+|-) (\d+|-)", r"\1- \3", text)


@pytest.mark.parametrize("file", FILES)
def test_every_sample_gives_a_timeline_in_order(file: str) -> None:
    text = (FOLDER / file).read_text(encoding="utf-8")
    chosen = list(variants(text)) if file in SOME else [text]
    for one in chosen:
        document = of(one, kmcl())
        result = result_of(one)
        told = [e for e in document["traceEvents"] if e.get("args", {}).get("rule")]
        assert sorted(e["args"]["rule"] for e in told) == sorted(f.rule for f in result.findings)
        assert document["otherData"]["events"] == result.events
        assert document["otherData"]["lost"] == result.lost


def alive(states: States) -> dict[tuple[str, int, int], dict[str, str]]:
    """Return every living object with its state, looked up in the monitor's own store."""
    store = states._monitor.store
    found = {}
    for kind, info in store.kinds.items():
        for obj in info.live.values():
            state = info.table.top if obj.epoch != info.now else obj.state
            if not state.dead:
                found[kind, obj.handle, obj.incarnation] = states._text(state)
    return found


@pytest.mark.parametrize("file", SOME)
def test_the_states_told_are_those_of_the_living_objects_at_every_event(file: str) -> None:
    text = (FOLDER / file).read_text(encoding="utf-8")
    compared = 0
    for one in variants(text):
        reader = read_text(one)
        states = States(kmcl(), Options(), reader)
        shown: dict[int, tuple[tuple[str, int, int], dict[str, str]]] = {}
        for moment in states:
            follow(moment, shown)
            if moment.item is not None:
                assert dict(shown.values()) == alive(states)
                compared += len(shown)
    assert compared > 0


def follow(moment: Moment, shown: dict[int, tuple[tuple[str, int, int], dict[str, str]]]) -> None:
    for change in moment.changes:
        if change.state is None:
            del shown[change.serial]
        else:
            shown[change.serial] = (change.kind, change.handle, change.incarnation), change.state


def test_a_small_timeline_is_the_golden_one(demo: Spec) -> None:
    text = HEAD + "5 100 0 4.1 0 call FileOpen\n6 2500 0 4.1 0 ret FileOpen File=0x10 status=0\n%lost 1\n"
    text += "7 3000 1 4.2 0 call FileClose File=0x10\n8 3000 1 4.2 0 ret FileClose\n"
    text += "9 4000 1 4.2 2 call FileRead File=0x10\n"
    assert written(demo, read_text(text, "small.kmtrace")) == GOLDEN.read_bytes()


def test_a_finding_stands_where_it_happened() -> None:
    text = (FOLDER / FAULTY).read_text(encoding="utf-8")
    document = of(text, kmcl())
    (finding,) = [e for e in document["traceEvents"] if e.get("args", {}).get("rule")]
    (begin,) = [e for e in document["traceEvents"] if e["name"] == "VmbChannelCleanup" and e["ph"] == "B"]
    assert (finding["ph"], finding["s"], finding["ts"]) == ("i", "t", begin["ts"])
    assert finding["args"]["message"] == "VmbChannelCleanup on a channel that is still Enabled"
    assert finding["args"]["line"] == begin["args"]["line"] == 21
    assert on(document, "findings") == [("i", "error[channel-cleanup-disabled]", Decimal("1025.500"))]
    # The object shows what it was in until then.
    states = on(document, "channel 0xffffbc8012341a40")
    assert [name for phase, name, _ in states if phase == "B"] == ["Disabled", "Enabled"]
    assert states[-1] == ("E", "Enabled", Decimal("1025.500"))


def test_an_obligation_at_the_end_stands_at_the_end() -> None:
    document = of((FOLDER / "wrong-never-cleaned-up.kmtrace").read_text(encoding="utf-8"), kmcl())
    (finding,) = [e for e in document["traceEvents"] if e.get("args", {}).get("rule")]
    assert finding["s"] == "g"
    assert finding["ts"] == max(e["ts"] for e in document["traceEvents"] if "ts" in e)


def test_a_finding_that_is_taken_back_is_not_shown(demo: Spec) -> None:
    text = HEAD + OPEN + CLOSE + READ
    assert on(of(text, demo), "findings")
    assert not on(of(text + "%lost 1 anywhere\n", demo), "findings")


def test_calls_without_an_end_are_closed_and_marked(demo: Spec) -> None:
    document = of(
        HEAD + "call FileOpen tid=1\ncall FileClose tid=1 File=0x10\nret FileOpen tid=1 status=0\n", demo
    )
    ends = {e["name"]: e["args"] for e in document["traceEvents"] if e["ph"] == "E" and "args" in e}
    assert ends["FileClose"] == {"unfinished": "no return in the trace"}
    assert ends["FileOpen"]["returned"]["status"] == "STATUS_SUCCESS"
    open_end = of(HEAD + "call FileOpen tid=1\n", demo)["traceEvents"]
    assert open_end[-1]["args"] == {"unfinished": "no return in the trace"}


def test_a_return_without_its_call_is_an_instant(demo: Spec) -> None:
    document = of(HEAD.replace("known", "midlife") + "ret FileOpen tid=1 File=0x10 status=0\n", demo)
    assert on(document, "thread 1") == [("i", "FileOpen.ret = STATUS_SUCCESS without its call", 1)]
    assert [name for _, name, _ in on(document, "file 0x10")] == ["Open", "Open"]


def test_calls_of_nobody_and_records_of_whole_calls_do_not_nest(demo: Spec) -> None:
    document = of(HEAD + "call FileOpen\ncall FileOpen\nret FileOpen File=0x10 status=0\n", demo)
    assert [phase for phase, _, _ in on(document, "no thread known")] == ["i", "i", "i"]
    document = of(HEAD + "whole FileOpen tid=1 File=0x10 status=0\n", demo)
    assert on(document, "thread 1") == [("X", "FileOpen", 1)]
    silent = HEAD.replace("all", "all -functions.ret") + "call FileRead tid=1 File=0x10\n" * 2
    assert [phase for phase, _, _ in on(of(silent, demo), "thread 1")] == ["X", "X"]


def test_a_loss_stands_at_its_place(demo: Spec) -> None:
    text = HEAD + "1 100 0 4.1 0 call FileOpen\n%lost 3\n2 900 0 4.1 0 ret FileOpen File=0x10 status=0\n"
    document = of(text, demo)
    (loss,) = [e for e in document["traceEvents"] if e["name"] == "events lost"]
    assert (loss["s"], loss["ts"], loss["args"]["count"]) == ("g", Decimal("0.100"), 3)
    assert on(of(HEAD + "%lost\n", demo), "losses")


def test_after_a_loss_an_object_is_unknown(demo: Spec) -> None:
    document = of(HEAD + OPEN + "%lost 1\n" + READ, demo)
    assert [n for p, n, _ in on(document, "file 0x10") if p == "B"] == ["Open", "life: unknown"]


def test_times_that_are_missing_are_even_and_marked(demo: Spec) -> None:
    document = of(HEAD + OPEN + READ, demo)
    assert [ts for _, _, ts in on(document, "thread 1")] == [1, 2, 3, 4]
    assert [e for e in document["traceEvents"] if e["name"] == "process_labels"]
    assert document["otherData"]["times"].startswith("the events have no times")
    timed = of(HEAD + "call FileOpen tid=1 time=5\nret FileOpen tid=1 status=0 File=0x10\n", demo)
    assert timed["otherData"]["times"] == "missing on 1 events"
    assert {ts for _, _, ts in on(timed, "thread 1")} == {Decimal("0.005")}


def test_a_clock_that_goes_back_stands_still(demo: Spec) -> None:
    text = (
        HEAD
        + "1 9000 0 4.1 0 call FileOpen\n2 8000 1 4.2 0 call FileOpen\n3 9000 0 4.1 0 ret FileOpen status=0\n"
    )
    document = of(text, demo)
    assert {e["ts"] for e in document["traceEvents"] if "ts" in e} == {9}
    assert document["otherData"]["events_moved_to_keep_their_order"] == 1


def test_endpoints_are_processes_with_clocks_of_their_own(demo: Spec) -> None:
    text = HEAD + "@host 1 9000 0 4.1 0 call FileOpen\n@guest 1 7000 0 4.1 0 call FileOpen\n"
    document = of(text, demo)
    names = {e["args"]["name"]: e["pid"] for e in document["traceEvents"] if e["name"] == "process_name"}
    assert sorted(names) == ["guest", "host"]
    assert {e["pid"]: e["ts"] for e in document["traceEvents"] if e["ph"] == "B"} == {
        names["host"]: 9,
        names["guest"]: 7,
    }


def test_a_handle_that_is_used_again_keeps_its_track(demo: Spec) -> None:
    document = of(HEAD + (OPEN + CLOSE) * 3, demo)
    assert sorted(track_names(document).values()) == ["file 0x10", "thread 1"]
    begun = [
        e["args"]["incarnation"] for e in document["traceEvents"] if e["name"] == "Open" and e["ph"] == "B"
    ]
    assert begun == [1, 2, 3]


NASTY = ['"</script>', "\\u2028\\ud83d", '\\"}],', "\\x00\\x1b[31m", "%s{0}", "\\ud800"]


@pytest.mark.parametrize("text", NASTY)
def test_strings_of_any_content(demo: Spec, text: str) -> None:
    line = 'call FileOpen tid=1 Name="' + text.replace('"', '\\"').replace('\\\\"', '\\"') + '"\n'
    document = of(HEAD + line, demo)
    (begin,) = [e for e in document["traceEvents"] if e["ph"] == "B"]
    (event,) = read_text(HEAD + line)
    assert isinstance(event, Event)
    assert begin["args"]["args"]["Name"] == str(event.args["Name"]).encode("utf-8", "replace").decode()


def test_numbers_are_hexadecimal_strings(demo: Spec) -> None:
    document = of(HEAD + "call FileRead tid=1 File=0xffffffffffffffff Size=-1\n", demo)
    (begin,) = [e for e in document["traceEvents"] if e["ph"] == "B" and e["name"] == "FileRead"]
    assert begin["args"]["args"] == {"File": "0xffffffffffffffff", "Size": "-0x1"}


class Sink(io.BytesIO):
    """Counts what is written, and forgets it."""

    size = 0

    def write(self, data: Any, /) -> int:
        self.size += len(data)
        return len(data)


def test_memory_does_not_grow_with_the_trace(demo: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kmclcheck.engines.monitor.store.DEAD_REMEMBERED", 16)
    sink = Sink()

    def write(rounds: int) -> None:
        reader = Endless(HEAD + OPEN + READ + CLOSE, rounds)
        write_timeline(sink, States(demo, Options(), reader), reader.info, TOOL)

    write(10)
    small = peak(lambda: write(100))
    sink.size = 0
    # Some of it waits for the collector of cycles.
    assert peak(lambda: write(500)) < small + 80_000
    assert sink.size > 400_000


def convert(*args: str) -> int:
    return run_here(["convert", *args])


def test_convert_writes_it(folder: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = str(FOLDER / FAULTY), str(folder / "out.perfetto.json")
    assert convert(source, target) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"{target}: 18 events\n")
    document = read(Path(target).read_bytes())
    assert faults(document) == []
    assert document["otherData"]["findings"] == 1
    piped = run("convert", "-", "-", "--to", "perfetto", stdin=Path(source).read_text(encoding="utf-8"))
    assert (piped.returncode, piped.stderr) == (0, "")
    assert read(piped.stdout.encode())["traceEvents"] == document["traceEvents"]


def test_convert_takes_another_specification(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert convert("bad.kmtrace", "out.json", "--to", "perfetto", "--spec", "demo.kmcl") == 0
    assert [
        e
        for e in read((folder / "out.json").read_bytes())["traceEvents"]
        if e["name"] == "error[file-read-open]"
    ]


def test_it_is_only_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert convert("--help") == 0
    assert "it is only written, and cannot be read again" in " ".join(capsys.readouterr().out.split())
    assert convert("good.kmtrace", "good.perfetto.json") == 0
    assert run_here(["check", "good.perfetto.json"]) == 2
    assert "of no known trace format" in capsys.readouterr().err
    assert convert("gone.kmtrace", "out.perfetto.json") == 2
    assert not (folder / "out.perfetto.json").exists()
