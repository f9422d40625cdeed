"""Every rule of the core can be broken alone, and the monitor says so; the shapes are held on to.

The slow ones are left to ``python -m tests.support.counterexample_table --golden``.
"""

from __future__ import annotations

import pytest

from kmclcheck.engines.monitor import Monitor
from kmclcheck.engines.shortest import info, judged_with
from kmclcheck.model.spec import Spec
from kmclcheck.semantics.index import build_index
from kmclcheck.speclang import bundled_spec
from tests.support.counterexample_table import core_rules, look
from tests.support.shapes import FOLDER, shape

SLOW = {
    "lg-disable-returns-disabled", "lg-pending-redelivered", "packet-no-send-while-suspended",
    "packet-free-when-ready", "incoming-drained-after-suspend", "gpadl-unmapped-eventually",
}  # fmt: skip


@pytest.fixture(scope="module")
def spec() -> Spec:
    return bundled_spec()


@pytest.mark.parametrize("rule", [id for id in core_rules(bundled_spec()) if id not in SLOW])
def test_shortest_counterexample(spec: Spec, rule: str) -> None:
    one = look(spec, rule)
    assert one.found is not None
    assert one.replay is not None
    events, end = one.found.events, one.found.end
    golden = FOLDER / f"{rule}.txt"
    assert shape(events, end, spec) == golden.read_text(encoding="utf-8")

    # Up to its last record it is a trace at which nobody has anything to say.
    monitor = Monitor(spec, build_index(spec, judged_with(spec, rule)), info(end))
    for event in events[:-1]:
        monitor.feed(event)
    assert not monitor.ledger.findings
    assert not monitor.run.lost


def test_every_rule_has_a_golden_file(spec: Spec) -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(core_rules(spec))
