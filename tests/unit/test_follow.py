"""A source that is still being written, and findings that are told while it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kmclcheck.diagnostics import InputError
from kmclcheck.engines.monitor import Options
from kmclcheck.engines.replay import check
from kmclcheck.engines.watching import Watch
from kmclcheck.model.event import Event, Loss
from kmclcheck.model.finding import Finding
from kmclcheck.model.spec import Spec
from kmclcheck.speclang import bundled_spec, load_spec
from kmclcheck.traces import ReadOptions, TraceReader, read_text
from kmclcheck.traces.follow import FollowedSource, Stop
from kmclcheck.traces.lines import MAX_LINE
from kmclcheck.traces.registry import open_bytes
from tests.cli.conftest import CLOSE, HEAD, OPEN, READ, SPEC
from tests.support.endless import Endless, peak
from tests.support.write_samples import FOLDER

JSON_HEAD = '{"kmclcheck-trace": 1, "records": ["all"], "start": "known"}\n'
JSON_LINE = '{"name": "FileRead", "phase": "call"}\n'
LIVE = ReadOptions(live=True)


@pytest.fixture
def demo(tmp_path: Path) -> Spec:
    (tmp_path / "demo.kmcl").write_text(SPEC)
    return load_spec([tmp_path / "demo.kmcl"])


class Writer:
    """Does its next action whenever the reader has read everything and waits; a text is appended."""

    def __init__(self, path: Path, *actions: str | Callable[[], None]) -> None:
        self.path = path
        self._actions = iter(actions)
        self.source: FollowedSource | None = None

    def __call__(self) -> None:
        action = next(self._actions, None)
        if action is None:
            raise KeyboardInterrupt
        if isinstance(action, str):
            with self.path.open("a", newline="") as stream:
                stream.write(action)
        else:
            action()


def follow(
    path: Path, begin: str, *actions: str | Callable[[], None], idle: float | None = None
) -> FollowedSource:
    path.write_text(begin, newline="")
    return FollowedSource(str(path), idle, Writer(path, *actions))


def lines_of(reader: TraceReader) -> list[int]:
    return [item.line for item in reader]


def test_lines_are_given_as_they_are_completed(tmp_path: Path) -> None:
    path = tmp_path / "a.kmtrace"
    source = follow(
        path, "", "%kmtr", "ace 1\n%rec", "ords all\n", "call FileOpen tid=1\nret File", "Open tid=1\n"
    )
    reader = open_bytes(source, None, LIVE)
    assert [(type(i), i.line) for i in reader] == [(Event, 3), (Event, 4)]
    assert reader.problem_count == 0
    assert reader.info.records_all
    assert (source.stopped, source.unfinished) == (Stop.INTERRUPT, 0)
    assert source.bytes_read == path.stat().st_size


def test_every_way_of_cutting_a_trace_reads_the_same(tmp_path: Path) -> None:
    text = "%kmtrace 1\r\n# é\n1 5 0 4.1 0 call FileOpen\n2 6 0 4.1 0 ret FileOpen File=0x10\n"
    expected = [repr(item) for item in read_text(text)]
    for cut in range(0, len(text), 3):
        path = tmp_path / f"{cut}.kmtrace"
        path.write_bytes(text[:cut].encode())

        def more(path: Path = path, cut: int = cut) -> None:
            with path.open("ab") as stream:
                stream.write(text[cut:].encode())

        reader = open_bytes(FollowedSource(str(path), None, Writer(path, more)), None, LIVE)
        assert [repr(item) for item in reader] == expected


def test_an_event_is_given_before_the_next_one_is_written(tmp_path: Path) -> None:
    given: list[str] = []
    seen: list[int] = []
    path = tmp_path / "a.kmtrace"

    def note() -> None:
        seen.append(len(given))
        with path.open("a") as stream:
            stream.write(f"{len(seen) + 6} - 0 4.1 0 call FileRead\n")

    path.write_text("%kmtrace 1\n5 - 0 4.1 0 call FileOpen\n6 - 0 4.1 0 call FileClose\n")
    for item in open_bytes(FollowedSource(str(path), None, Writer(path, note, note)), None, LIVE):
        assert isinstance(item, Event)
        given.append(item.name)
    # Everything that was written had been given whenever the reader had to wait.
    assert seen == [2, 3]
    assert given == ["FileOpen", "FileClose", "FileRead", "FileRead"]


def test_a_gap_is_not_waited_for_long(tmp_path: Path) -> None:
    path = tmp_path / "a.kmtrace"
    given = 0
    seen: list[int] = []
    later = "".join(f"{n} - 0 4.1 0 call FileRead\n" for n in range(3, 70))
    source = follow(path, "%kmtrace 1\n1 - 0 4.1 0 call FileRead\n", later, lambda: seen.append(given))
    losses = 0
    for item in open_bytes(source, None, LIVE):
        given += 1
        losses += isinstance(item, Loss)
    assert (seen, losses) == ([69], 1)


@pytest.mark.parametrize(
    ("begin", "rest", "lines"),
    [
        (HEAD, [OPEN, "%end unloaded\n" + READ], [5, 6]),
        (HEAD, [OPEN, "%end unlo", "aded\n", READ], [5, 6]),
        (JSON_HEAD, [JSON_LINE, '{"end": "unloaded"}\n' + JSON_LINE], [2]),
    ],
)
def test_a_line_that_tells_the_end_is_the_last(
    tmp_path: Path, begin: str, rest: list[str], lines: list[int]
) -> None:
    reader = open_bytes(follow(tmp_path / "a.kmtrace", begin, *rest), None, LIVE)
    assert lines_of(reader) == lines
    assert reader.ended
    assert reader.info.end.value == "unloaded"


def test_an_end_in_the_header_does_not_end_it(tmp_path: Path) -> None:
    source = follow(tmp_path / "a.kmtrace", HEAD, OPEN, CLOSE)
    reader = open_bytes(source, None, LIVE)
    assert lines_of(reader) == [5, 6, 7, 8]
    assert not reader.ended


def test_a_line_that_never_ended_is_left_out(tmp_path: Path) -> None:
    source = follow(tmp_path / "a.kmtrace", HEAD + OPEN, "call FileRead File=0x1")
    reader = open_bytes(source, None, LIVE)
    assert lines_of(reader) == [5, 6]
    assert (reader.problem_count, source.unfinished) == (0, 22)


def test_a_line_without_end_costs_bounded_memory(tmp_path: Path) -> None:
    source = follow(tmp_path / "a.kmtrace", HEAD, OPEN, "x" * (3 * MAX_LINE), "x\n", READ)
    reader = open_bytes(source, None, LIVE)
    assert [type(item) for item in reader] == [Event, Event, Loss, Event, Event]
    assert reader.problem_count == 1


def test_a_file_that_becomes_shorter_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "a.kmtrace"
    source = follow(path, HEAD, OPEN, lambda: path.write_text(HEAD), READ)
    assert lines_of(open_bytes(source, None, LIVE)) == [5, 6]
    assert source.stopped is Stop.SHORTER


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be replaced there")
@pytest.mark.parametrize("gone", [False, True])
def test_a_file_that_is_replaced_ends_it(tmp_path: Path, gone: bool) -> None:
    path = tmp_path / "a.kmtrace"

    def replace() -> None:
        with path.open("a") as stream:
            stream.write(READ)  # the last that the old file got is still read
        path.unlink() if gone else path.rename(tmp_path / "a.old")
        if not gone:
            path.write_text(HEAD + OPEN)

    source = follow(path, HEAD, OPEN, replace, CLOSE)
    assert lines_of(open_bytes(source, None, LIVE)) == [5, 6, 7, 8]
    assert source.stopped is Stop.REPLACED


def test_patience_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "a.kmtrace"
    path.write_text(HEAD + OPEN)
    source = FollowedSource(str(path), idle=0)
    assert lines_of(open_bytes(source, None, LIVE)) == [5, 6]
    assert source.stopped is Stop.IDLE


def test_a_pipe_of_any_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outgoing, incoming = os.pipe()

    class Stdin:
        def fileno(self) -> int:
            return outgoing

    monkeypatch.setattr("sys.stdin", Stdin())
    steps = iter([HEAD + OPEN + "call File", "Read tid=1 File=0x10\nret FileRead ti"])

    def write() -> None:
        text = next(steps, None)
        os.write(incoming, text.encode()) if text is not None else os.close(incoming)

    source = FollowedSource("-", None, write)
    reader = open_bytes(source, None, LIVE)
    items = list(reader)
    assert [item.line for item in items] == [5, 6, 7, 8]
    # As with any pipe, what was cut off at its end is told.
    assert isinstance(items[-1], Loss)
    assert "the file ends inside this line" in reader.problems[0].message
    assert source.stopped is Stop.PIPE
    os.close(outgoing)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"BeginHeader\n", "a trace of the format xperf-dumper cannot be followed"),
        (b"\0\1\2\3", "is a binary file of no known trace format"),
        (b"hello\n", "is of no known trace format"),
        (b"", "the file is empty"),
    ],
)
def test_what_cannot_be_followed(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_bytes(FollowedSource(str(path), idle=0), None, LIVE)


def watched(spec: Spec, reader: TraceReader, over: bool = True) -> tuple[list[Finding], Watch, list[int]]:
    told: list[Finding] = []
    at: list[int] = []

    def tell(finding: Finding, events: int) -> None:
        # It is emptied afterwards.
        told.append(Finding(finding.rule, finding.event, finding.object, None, slice=finding.slice))
        at.append(events)

    watch = Watch(spec, Options(), reader, tell, lambda: over)
    watch.run()
    return told, watch, at


WRONG = sorted(path.name for path in FOLDER.glob("wrong-*.kmtrace") if "simulated" not in path.name)[::4]


@pytest.mark.parametrize("file", WRONG)
def test_what_is_told_is_what_a_check_finds(file: str) -> None:
    text = (FOLDER / file).read_text(encoding="utf-8")
    result = check(bundled_spec(), Options(), read_text(text))
    told, watch, at = watched(bundled_spec(), read_text(text))
    assert [(f.rule, f.event, f.object) for f in told] == [
        (f.rule, f.event, f.object) for f in result.findings
    ]
    assert all(f.slice is not None and f.slice.replayed for f in told)
    assert at == sorted(at)
    assert watch.taken_back == 0


def test_a_finding_is_told_at_its_event(demo: Spec) -> None:
    told, watch, at = watched(demo, read_text(HEAD + OPEN + CLOSE + READ + OPEN + CLOSE))
    assert [f.rule for f in told] == ["file-read-open"]
    assert (at, watch.events) == ([5], 10)


def test_what_is_due_at_the_end_is_judged_only_if_the_trace_ended() -> None:
    text = (FOLDER / "wrong-never-cleaned-up.kmtrace").read_text(encoding="utf-8")
    assert len(watched(bundled_spec(), read_text(text))[0]) == 1
    assert not watched(bundled_spec(), read_text(text), over=False)[0]


def test_what_the_end_takes_back_is_counted(demo: Spec) -> None:
    told, watch, _ = watched(demo, read_text(HEAD + OPEN + CLOSE + READ + "%lost 1 anywhere\n"))
    assert (len(told), watch.findings, watch.taken_back) == (1, 0, 1)


def test_a_finding_waits_while_another_order_may_undo_it(demo: Spec) -> None:
    head = HEAD + "%clock resolution=1us\n"
    known = "call FileOpen tid=1 cpu=0 time=1000\nret FileOpen tid=1 cpu=0 time=1100 File=0x10 status=0\n"
    known += "call FileClose tid=1 cpu=0 time=5000 File=0x10\nret FileClose tid=1 cpu=0 time=5100\n"
    known += "call FileRead tid=1 cpu=0 time=9000 File=0x10\n"
    near = "call FileClose tid=2 cpu=1 time=9500 File=0x10\n"
    far = "call FileClose tid=2 cpu=1 time=19500 File=0x10\n"
    assert not watched(demo, read_text(head + known + near + far))[0]
    assert watched(demo, read_text(head + known + far))[2] == [6]
    assert watched(demo, read_text(head + known))[2] == [5]


def test_memory_does_not_grow_with_the_trace(demo: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kmclcheck.engines.monitor.store.DEAD_REMEMBERED", 16)

    def watch(rounds: int) -> None:
        assert not watched(demo, Endless(HEAD + OPEN + READ + CLOSE, rounds))[0]

    watch(10)
    assert peak(lambda: watch(500)) < peak(lambda: watch(100)) + 20_000
