"""The same traces judged by different engines, and what they say differently."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from kmclcheck.cli.judges import MONITOR, judge
from kmclcheck.engines.monitor import Monitor
from kmclcheck.engines.simulate import SCENARIOS, Shape, simulate
from kmclcheck.engines.simulate.faults import Fault, all_faults
from kmclcheck.engines.simulate.faults.running import NoOccasionError, faulty_run
from kmclcheck.model.event import End, Event, Start, TraceInfo
from kmclcheck.model.finding import Finding, Verdict, VerdictKind
from kmclcheck.model.spec import Spec
from kmclcheck.semantics.index import SpecIndex, build_index
from kmclcheck.speclang import bundled_spec
from kmclcheck.traces import read_text
from tests.support.campaign import FORMS
from tests.support.campaign import trace as campaign_trace
from tests.support.detection_table import MANIPULATIONS, wrong_samples

TRACES = Path(__file__).parents[2] / "traces"
SECONDS = 300.0

SHARPER = ("z3",)
"""Engines that may decide what the monitor leaves open: they see relations between facts that are missing."""

OPEN = VerdictKind.OPEN.value

Place = tuple[str, int | str, str, int, str]
"""Rule, line (or "end"), kind of object, handle and endpoint of a finding."""


@dataclass(frozen=True)
class Case:
    """A trace to judge. ``sort``: the group it counts with. ``bare``: it is an example without a header."""

    sort: str
    name: str
    text: str
    bare: bool = False


@dataclass
class Answer:
    """What an engine says of a trace: verdicts, findings, how often rules were decided or open.

    ``under``: what else each finding stands for, and how often it was repeated.
    """

    verdicts: dict[str, str]
    findings: list[Place]
    under: dict[Place, tuple[tuple[str, ...], int]] = field(default_factory=dict)
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)


def samples() -> Iterator[Case]:
    """Return all sample traces."""
    for path in sorted(TRACES.glob("*.kmtrace")):
        yield Case("samples", path.stem, path.read_text(encoding="utf-8"))


def examples(spec: Spec, *rules: str) -> Iterator[Case]:
    """Return the examples of some rules, or of all."""
    for rule in [spec.rules[id] for id in rules or spec.rules]:
        for number, example in enumerate(rule.examples, 1):
            yield Case("examples of rules", f"{rule.id} {number}", example.text, bare=True)


def weakened() -> Iterator[Case]:
    """Return the wrong samples with less and less in them."""
    for what in MANIPULATIONS:
        for name in wrong_samples():
            yield from weaker(what, name)


def weaker(what: str, name: str) -> list[Case]:
    """Return a wrong sample with less in it, in one way."""
    texts = MANIPULATIONS[what](wrong_samples()[name])
    return [Case(f"wrong samples: {what}", name, text) for text in texts]


def simulated(count: int, seed: int = 1) -> Iterator[Case]:
    """Return so many simulated traces, every other one with a fault, in all shapes of capture by turns."""
    for number in range(count):
        yield run(number, seed)


@cache
def run(number: int, seed: int = 1) -> Case:
    """Return one simulated trace; those with odd numbers have a fault."""
    rng = random.Random(f"{seed} {number}")
    form = list(FORMS)[number // 2 % len(FORMS)]
    if number % 2 == 0:
        scenario = rng.choice([name for name, one in SCENARIOS.items() if not one.faulty])
        text, _, _ = campaign_trace(scenario, seed + number, form)
        return Case(f"simulated: {form}", f"{scenario}, seed {seed + number}", text)
    while True:
        fault, own_seed = (
            rng.choice([one for some in all_faults().values() for one in some]),
            rng.randrange(1000),
        )
        try:
            text = _faulty(rng, form, fault, own_seed)
        except NoOccasionError:
            continue
        name = f"{fault.rule} ({fault.shape}), seed {own_seed}"
        return Case(f"simulated with a fault: {form}", name, text)


def _faulty(rng: random.Random, form: str, fault: Fault, seed: int) -> str:
    one = FORMS[form]
    length = simulate(faulty_run(fault, seed), seed, io.StringIO(), Shape()).events
    shape = one.shape(rng, length)
    stop = rng.randrange(1, max(2, length - shape.from_event)) if one.cut else None
    stream = io.StringIO()
    simulate(faulty_run(fault, seed), seed, stream, shape, stop)
    return stream.getvalue()


SPEC = bundled_spec()


@cache
def _index() -> SpecIndex:
    return build_index(SPEC, frozenset(SPEC.rules))


def answer(engine: str, case: Case, spec: Spec = SPEC) -> Answer:
    """Return what an engine says of a trace, of all rules of the specification."""
    every = frozenset(spec.rules)
    bare = TraceInfo(start=Start.KNOWN, end=End.STOPPED, records_all=True)
    reader = read_text(case.text, defaults=deepcopy(bare)) if case.bare else read_text(case.text)
    if engine == MONITOR:
        index = _index() if spec is SPEC else build_index(spec, every)
        monitor = Monitor(spec, index, reader.info)
        for item in reader:
            if isinstance(item, Event):
                monitor.feed(item)
            else:
                monitor.lose(item)
        monitor.finish()
        return as_answer(monitor.ledger.verdicts(), monitor.ledger.findings)
    judged = judge(engine)(spec, every, reader.info, reader, SECONDS)
    return as_answer(judged.verdicts, judged.findings)


def as_answer(verdicts: Sequence[Verdict], findings: Sequence[Finding]) -> Answer:
    """Return verdicts and findings in the form in which they are compared."""
    places = {_place(f): (tuple(sorted(f.also_broken)), f.repeats) for f in findings}
    return Answer(
        {v.rule: v.kind.value for v in verdicts},
        sorted((_place(f) for f in findings), key=str),
        places,
        {v.rule: (v.decided, v.open) for v in verdicts},
    )


def _place(finding: Finding) -> Place:
    one = finding.object
    line: int | str = "end" if finding.event is None else finding.event.line
    return finding.rule, line, one.kind, one.handle, one.endpoint


@dataclass(frozen=True)
class Contrast:
    """Where an engine says other things than the monitor.

    ``decided``: rules that the monitor leaves open and the engine decides, with its verdict. ``more``: their
    findings. ``after``: rules that are open after such a finding, for of an object at fault less is known.
    ``differences``: all the rest, in words. Two engines that differ there contradict each other.
    """

    decided: dict[str, str]
    more: list[Place]
    after: list[str]
    differences: list[str]


def contrast(monitor: Answer, other: Answer, sharper: bool = False) -> Contrast:
    """Compare what an engine says with what the monitor says; ``sharper``: it may decide more."""
    undecided = {rule for rule, kind in monitor.verdicts.items() if sharper and kind == OPEN}
    apart = {r: (k, other.verdicts.get(r)) for r, k in monitor.verdicts.items() if other.verdicts.get(r) != k}
    decided = {r: k for r, (_, k) in apart.items() if r in undecided and k in ("pass", "fail")}
    more = [p for p in other.findings if p not in monitor.findings and p[0] in undecided]
    after = [r for r, (_, k) in apart.items() if more and k == OPEN]
    known = {*decided, *after}
    told = [f"{rule}: {one} or {two}" for rule, (one, two) in apart.items() if rule not in known]
    told += [f"{place} of the monitor only" for place in monitor.findings if place not in other.findings]
    news = [place for place in other.findings if place not in (*monitor.findings, *more)]
    told += [f"{place} of the other only" for place in news]
    if not told and len(other.findings) - len(more) != len(monitor.findings):
        told.append("findings of one place are of different number")
    for place, (rules, repeats) in monitor.under.items():
        also, again = other.under.get(place, (rules, repeats))
        if again != repeats or not set(also) ^ set(rules) <= set(decided):
            told.append(f"{place}: {(rules, repeats)} or {(also, again)}")
    return Contrast(decided, more, after, told)


def differences(engine: str, case: Case) -> list[str]:
    """Return, in words, where an engine contradicts the monitor on a trace."""
    return contrast(by_monitor(case), answer(engine, case), engine in SHARPER).differences


@cache
def by_monitor(case: Case) -> Answer:
    """Return what the monitor says of a trace, worked out once for all the engines held against it."""
    return answer(MONITOR, case)
