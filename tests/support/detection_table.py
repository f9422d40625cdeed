"""How many faults of the wrong samples are still found when the trace shows less.

``python -m tests.support.detection_table`` from the top of the checkout prints the table.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cache

from kmclcheck.model.event import Event, Phase
from tests.support import manipulate
from tests.support.checking import faults
from tests.support.faulty import FAULTY
from tests.support.tracebuilder import Trace
from tests.support.write_samples import build

Fault = tuple[str, int]
Manipulation = Callable[[Trace], Iterator[str]]

CALLBACKS = ["EvtVmbChannelOpened", "EvtVmbChannelClosed", "EvtVmbChannelSuspend", "EvtVmbChannelStarted"]


def _first_fault(trace: Trace) -> int:
    """Return the number of the first event at which a finding is due (the last event if at the end)."""
    at = [f.at for f in trace.expected if f.at is not None]
    if not at:
        return len(trace.events) - 1
    return sum(isinstance(line, Event) for line in trace.lines[: min(at)])


def _birth_of_object(trace: Trace) -> int:
    """Return the first event that names the object of the first fault."""
    handle = trace.expected[0].handle
    named = (i for i, e in enumerate(trace.events) if handle in e.args.values() or handle == e.tid)
    return next(named, 0)


def whole(trace: Trace) -> Iterator[str]:
    yield trace.text()


def cut_before_object(trace: Trace) -> Iterator[str]:
    at = _birth_of_object(trace)
    yield manipulate.cut(trace, at - 1 if at and trace.events[at].phase is Phase.RET else at)


def cut_half_way(trace: Trace) -> Iterator[str]:
    yield manipulate.cut(trace, _first_fault(trace) // 2)


def cut_just_before_fault(trace: Trace) -> Iterator[str]:
    yield manipulate.cut(trace, max(0, _first_fault(trace) - 4))


def lost_early(trace: Trace) -> Iterator[str]:
    """Three events near the begin, with a marker."""
    yield manipulate.without(trace, range(4, 7), marked=True)


def lost_anywhere(trace: Trace) -> Iterator[str]:
    rng = random.Random(len(trace.events))
    for _ in range(4):
        yield manipulate.without(trace, rng.sample(range(len(trace.events)), 3), marked=False)


def undeclared(trace: Trace) -> Iterator[str]:
    yield manipulate.filtered(trace, lambda e: True, None)


def no_state_callbacks(trace: Trace) -> Iterator[str]:
    yield manipulate.without_kinds(trace, [(n, p) for n in CALLBACKS for p in (Phase.IN, Phase.OUT)])


def entries_only(trace: Trace) -> Iterator[str]:
    yield manipulate.entries_only(trace)


def no_tid(trace: Trace) -> Iterator[str]:
    yield manipulate.columns(trace, manipulate.no_tid)


def no_irql(trace: Trace) -> Iterator[str]:
    yield manipulate.columns(trace, manipulate.no_irql)


def no_status(trace: Trace) -> Iterator[str]:
    yield manipulate.columns(trace, manipulate.no_status)


def no_scalars(trace: Trace) -> Iterator[str]:
    yield manipulate.columns(trace, manipulate.no_scalars)


def no_return_handles(trace: Trace) -> Iterator[str]:
    yield manipulate.columns(trace, manipulate.no_return_handles)


def levels(name: str) -> Manipulation:
    def reduced(trace: Trace) -> Iterator[str]:
        yield manipulate.level(trace, name)

    return reduced


MANIPULATIONS: dict[str, Manipulation] = {
    "nothing left out": whole,
    "cut before the object": cut_before_object,
    "cut half way to the fault": cut_half_way,
    "cut four events before the fault": cut_just_before_fault,
    "three early events lost": lost_early,
    "three random events lost": lost_anywhere,
    "no %records line": undeclared,
    "state callbacks not recorded": no_state_callbacks,
    "entries only": entries_only,
    "no thread ids": no_tid,
    "no IRQL": no_irql,
    "no status": no_status,
    "no scalar arguments": no_scalars,
    "no handles at returns": no_return_handles,
    **{f"level {name}": levels(name) for name in manipulate.LEVELS},
}


@cache
def wrong_samples() -> dict[str, Trace]:
    return {name: build(fill) for name, fill in sorted(FAULTY.items())}


def expected(trace: Trace) -> set[Fault]:
    return {(f.rule, f.handle) for f in trace.expected}


INSTEAD = {
    "client-reenable-after-close": {"gpadl-create-when-open", "enable-when-disabled"},
    "gpadl-deleted-by-close": {"gpadl-deleted-eventually"},
    "incoming-complete-once": {"incoming-no-use-after-disposal"},
    "incoming-drained-after-suspend": {"incoming-disposed"},
    "lg-process-packet-window": {"lg-closed-when-drained"},
}
"""The same fault as another rule sees it, when what the first rule looks at is not in the trace."""


def surplus(found: set[Fault], trace: Trace) -> set[Fault]:
    """Return the findings that are not faults of the trace."""
    rules = {f.rule for f in trace.expected}
    allowed = rules.union(*(INSTEAD.get(rule, set()) for rule in rules))
    return {(rule, handle) for rule, handle in found if rule not in allowed}


def _found(due: set[Fault], result: set[Fault]) -> int:
    """Return how many of the faults were found, if only as another rule sees them."""
    return sum(
        any((name, handle) in result for name in (rule, *INSTEAD.get(rule, ()))) for rule, handle in due
    )


def measure(manipulation: Manipulation) -> tuple[float, int, dict[str, set[Fault]]]:
    """Return the faults found (a mean if there are several texts), all faults, and false alarms by sample."""
    hits, total, alarms = 0.0, 0, {}
    for name, trace in wrong_samples().items():
        due = expected(trace)
        results = [faults(text) for text in manipulation(trace)]
        hits += sum(_found(due, result) for result in results) / len(results)
        total += len(due)
        others = surplus(set().union(*results), trace)
        if others:
            alarms[name] = others
    return hits, total, alarms


def main() -> None:
    print(f"{'what the trace shows':36}{'faults found':>14}")
    for name, manipulation in MANIPULATIONS.items():
        hits, total, alarms = measure(manipulation)
        print(f"{name:36}{hits:8.1f} of {total}")
        for sample, others in alarms.items():
            print(f"    not expected in {sample}: {sorted(others)}")


if __name__ == "__main__":
    main()
