"""The graph engine says of random traces, those of the stepper's test, what the monitor says of them."""

from __future__ import annotations

import os
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, given, note, settings

from kmclcheck.engines.explore.walk.judge import judge
from kmclcheck.engines.monitor import Options
from kmclcheck.model.event import Event, TraceInfo
from tests.property.test_stepper_agrees import Item, brief, by_monitor, indexed, traces

EXAMPLES = int(os.environ.get("KMCLCHECK_EXAMPLES", "150")) // 5
PROFILE = settings(
    max_examples=EXAMPLES,
    derandomize="KMCLCHECK_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def by_graph(name: str, info: TraceInfo, items: list[Item]) -> list[str]:
    """Return verdicts and findings of the graph engine, as lines."""
    spec, _, _ = indexed(name)
    judged = judge(spec, Options().enabled(spec), deepcopy(info), items, 300.0)
    places = {id(event): at for at, event in enumerate((i for i in items if isinstance(i, Event)), 1)}
    lines = [f"{v.rule} {v.kind.value}" for v in judged.verdicts]
    for f in judged.findings:
        at = None if f.event is None else places[id(f.event)]
        place = (at, f.object.kind, hex(f.object.handle), f.object.incarnation)
        lines.append(f"finding {f.rule} {place} {sorted(f.also_broken)} {f.repeats}")
    return sorted(lines)


@pytest.mark.parametrize("name", ["kmcl", "rings", "filehandle"])
def test_agree(name: str) -> None:
    @PROFILE
    @given(traces(name))
    def agree(trace: tuple[TraceInfo, list[Item]]) -> None:
        info, items = trace
        monitor, graph = set(by_monitor(name, info, items)), set(by_graph(name, info, items))
        for item in (info, *items):
            note(brief(item))
        assert (monitor - graph, graph - monitor) == (set(), set()), "monitor alone, graph alone"

    agree()
