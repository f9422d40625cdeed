"""On random traces the judge that asks Z3 and the monitor agree, or Z3 decides more."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given, note, settings

from kmclcheck.engines.monitor import Monitor
from kmclcheck.engines.symbolic.judge import judge
from kmclcheck.model.event import Event, TraceInfo
from tests.property.test_stepper_agrees import EXAMPLES, PROFILE, Item, brief, indexed, traces
from tests.support.engines import as_answer, contrast

SECONDS = 600.0


@pytest.mark.parametrize("name", ["kmcl", "rings", "filehandle"])
def test_agree(name: str) -> None:
    spec, index, _ = indexed(name)

    @settings(PROFILE, max_examples=max(15, EXAMPLES // 10))
    @given(traces(name))
    def agree(trace: tuple[TraceInfo, list[Item]]) -> None:
        info, items = trace
        for item in (info, *items):
            note(brief(item))
        monitor = Monitor(spec, index, deepcopy(info))
        for item in items:
            if isinstance(item, Event):
                monitor.feed(item)
            else:
                monitor.lose(item)
        monitor.finish()
        judged = judge(spec, frozenset(spec.rules), deepcopy(info), items, SECONDS)
        one = as_answer(monitor.ledger.verdicts(), monitor.ledger.findings)
        two = as_answer(judged.verdicts, judged.findings)
        assert contrast(one, two, sharper=True).differences == []

    agree()
