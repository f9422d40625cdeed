"""One run, written in every format, gets the same verdicts and findings."""

from __future__ import annotations

import io
from functools import cache

import pytest

from kmclcheck.engines.monitor import Options
from kmclcheck.engines.replay import check
from kmclcheck.engines.simulate import Shape, simulate
from kmclcheck.engines.simulate.faults import all_faults
from kmclcheck.engines.simulate.faults.running import faulty_run
from kmclcheck.model.event import End
from kmclcheck.model.finding import TraceResult
from kmclcheck.speclang import bundled_spec
from kmclcheck.traces import ByteSource, ReadOptions, TraceReader, known_formats, read_text

WRITTEN = [name for name, one in known_formats().items() if one.writes and name != "kmtrace"]
FAULTS = ["incoming-complete-once", "channel-cleanup-disabled", "packet-freed-eventually",
          "lg-suspend-when-started", "gpadl-single-mapping", "save-ended", "sync-irql"]  # fmt: skip
SHAPES = {
    "both ends": Shape(),
    "one end": Shape(view="host"),
    "mid-life": Shape(from_event=60),
    "losses": Shape(drop_rate=0.01, markers=False),
}


@cache
def _run(source: str, shape: str, seed: int) -> str:
    stream = io.StringIO()
    what = faulty_run(all_faults()[source][0], seed) if source in FAULTS else source
    simulate(what, seed, stream, SHAPES[shape])
    return stream.getvalue()


def _judge(reader: TraceReader, end: End | None = None) -> TraceResult:
    if end is not None:
        reader.info.end = end
    return check(bundled_spec(), Options(slice_budget=0.0), reader)


def _essence(result: TraceResult) -> tuple[object, ...]:
    """Return what must not depend on the format: verdicts, and findings without positions."""
    findings = [
        (f.rule, f.object.kind, f.object.handle, f.object.incarnation, f.also_broken, f.repeats,
         None if f.event is None else (f.event.name, f.event.phase, f.event.seq, f.event.tid))
        for f in result.findings
    ]  # fmt: skip
    return sorted((v.rule, v.kind.value, v.decided, v.open) for v in result.verdicts), findings, result.events


@pytest.mark.parametrize("format", WRITTEN)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("source", ["client-opens", "save-restore", *FAULTS])
def test_every_format_gets_the_same(source: str, shape: str, format: str) -> None:
    text = _run(source, shape, 5)
    native = _judge(read_text(text))
    reader = read_text(text)
    data = io.BytesIO()
    known_formats()[format].write(data, reader, reader.info)
    again = known_formats()[format].open(ByteSource(io.BytesIO(data.getvalue()), "trace"), ReadOptions())
    assert again.info.start is reader.info.start
    result = _judge(again)
    if native.end == End.HUNG.value:
        # Only our own formats can say that a run hangs.
        assert result.end in (End.HUNG.value, End.STOPPED.value)
        return
    assert _essence(result) == _essence(native)
