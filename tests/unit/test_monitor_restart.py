"""A monitor that begins anew judges a trace as one that was just made."""

from __future__ import annotations

from kmclcheck.engines.monitor import Monitor
from kmclcheck.model.event import End, Event, Start, TraceInfo
from kmclcheck.semantics.index import build_index
from kmclcheck.speclang import bundled_spec
from kmclcheck.traces import read_text
from tests.support.write_samples import FOLDER

SPEC = bundled_spec()
INDEX = build_index(SPEC, frozenset(SPEC.rules))


def _info(end: End) -> TraceInfo:
    return TraceInfo(start=Start.KNOWN, end=end, records_all=True)


def _findings(monitor: Monitor, events: list[Event]) -> list[tuple[str, int, int, int]]:
    for event in events:
        monitor.feed(event)
    monitor.endings.trace_ended()
    return [
        (f.rule, 0 if f.event is None else f.event.line, f.object.handle, f.object.incarnation)
        for f in monitor.ledger.findings
    ]


def test_findings_do_not_depend_on_what_was_judged_before() -> None:
    again = Monitor(SPEC, INDEX, _info(End.STOPPED))
    some = 0
    for path in sorted(FOLDER.glob("wrong-*.kmtrace")):
        reader = read_text(path.read_text(encoding="utf-8"))
        events = [item for item in reader if isinstance(item, Event)]
        fresh = _findings(Monitor(SPEC, INDEX, _info(reader.info.end)), events)
        again.restart()
        again.run.info.end = reader.info.end
        assert _findings(again, events) == fresh, path.name
        some += len(fresh)
    assert some > 40


def test_nothing_is_left_of_the_trace_before() -> None:
    events = [
        Event("VmbChannelAllocate", SPEC.events["VmbChannelAllocate"].entry, {"IsServer": 0}, tid=4, irql=0),
        Event(
            "VmbChannelAllocate", SPEC.events["VmbChannelAllocate"].exit, {"Channel": 16}, status=0, tid=4,
        ),
    ]  # fmt: skip
    monitor = Monitor(SPEC, INDEX, _info(End.UNLOADED))
    assert [rule for rule, *_ in _findings(monitor, events)] == ["channel-cleaned-up"]
    monitor.restart()
    assert _findings(monitor, []) == []
    assert monitor.count == 0
