"""``kmclcheck simulate``: write the trace of a simulated run."""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TextIO

import click

from kmclcheck.cli.console import complain, drop_stdout, is_closed_pipe, say
from kmclcheck.cli.nearest import did_you_mean
from kmclcheck.cli.writing import binary_output, text_output
from kmclcheck.engines.simulate import (
    ENDS,
    SCENARIOS,
    VIEWS,
    EndError,
    Outcome,
    Shape,
    Source,
    Workload,
    records_until,
    simulate,
)
from kmclcheck.engines.simulate.capture import LEVELS, MAX_CPUS, MAX_SKEW
from kmclcheck.engines.simulate.faults import Fault, all_faults
from kmclcheck.engines.simulate.faults.running import FaultyRun, NoOccasionError, choose, faulty_run

_CONVERTED = (".etl", ".xml", ".jsonl", ".txt")
"""Suffixes of other formats, in which a trace can be written; see ``kmclcheck convert``."""

_COUNT = click.IntRange(min=0)
WORKLOAD = "workload"
WORKLOAD_DOC = "Pairs of all scenarios without faults, one after another in many places at one time."
EVENTS, CHANNELS, MAX_CHANNELS = 10_000, 8, 1000


@click.command("simulate", short_help="Write the trace of a simulated run.")
@click.argument("scenario", required=False)
@click.option("--list", "listing", is_flag=True, help="List the scenarios, then exit.")
@click.option(
    "--fault",
    metavar="RULE",
    help="Break this rule once, where the seed decides. The scenario is that of the fault; the last lines of "
    "the trace say what was broken, and where.",
)
@click.option(
    "--fault-shape", metavar="WORDS", help="Which of the faults that break the rule; else the seed decides."
)
@click.option("--list-faults", is_flag=True, help="List the faults (of the rule, with --fault), then exit.")
@click.option(
    "--truth",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write what was broken, and where, to a JSON file.",
)
@click.option("--seed", type=_COUNT, default=1, show_default=True, metavar="N", help="Decides everything.")
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Write the trace to a file; .etl, .xml, .txt and .jsonl mean other formats than the native one.",
)
@click.option(
    "--events",
    type=_COUNT,
    metavar="N",
    help="Stop the capture after N events. With workload: the length of the run. After N events, captured "
    "or not, no new pair of drivers begins, and the trace ends when those that have begun are gone "
    f"(default {EVENTS:,}); with --end stopped it is cut after N events.",
)
@click.option(
    "--channels",
    type=click.IntRange(1, MAX_CHANNELS),
    metavar="N",
    help=f"With workload: how many pairs of drivers are busy at one time (default {CHANNELS}).",
)
@click.option(
    "--end",
    type=click.Choice(ENDS, case_sensitive=False),
    help="How the trace has to end. stopped: it is cut where the seed decides, unless --events says where. "
    "unloaded, hung: an error if the run ends otherwise.",
)
@click.option(
    "--view",
    type=click.Choice(VIEWS, case_sensitive=False),
    default="both",
    show_default=True,
    help="The endpoints that are watched.",
)
@click.option(
    "--level",
    type=click.Choice([f"L{level}" for level in LEVELS], case_sensitive=False),
    metavar="L0..L5",
    help="What is recorded. L0: calls and callback entries with their handles; L1: returns and status, "
    "too; L2: threads; L3: IRQL; L4: scalar arguments; L5: all that at both endpoints. "
    "By default as much as the view allows.",
)
@click.option(
    "--from-event",
    type=_COUNT,
    default=0,
    metavar="N",
    help="Begin midlife: leave out the first N events.",
)
@click.option(
    "--drop-rate", type=float, default=0.0, metavar="P", help="Lose each event with probability P, below 1."
)
@click.option(
    "--drop-markers/--no-drop-markers",
    default=True,
    help="Whether %lost lines stand for lost events (the default) or the sequence numbers have gaps.",
)
@click.option(
    "--cpus",
    type=click.IntRange(1, MAX_CPUS),
    default=4,
    show_default=True,
    metavar="N",
    help="Processors of each machine.",
)
@click.option(
    "--skew",
    type=click.IntRange(0, MAX_SKEW),
    default=0,
    metavar="NS",
    help="Let the clocks of the processors differ by up to so many nanoseconds.",
)
@click.option(
    "--sequence/--no-sequence",
    default=True,
    help="Number the events (the default), or leave only their times to tell the order.",
)
def command(
    scenario: str | None,
    listing: bool,
    fault: str | None,
    fault_shape: str | None,
    list_faults: bool,
    truth: str | None,
    seed: int,
    output: str | None,
    events: int | None,
    channels: int | None,
    end: str | None,
    view: str,
    level: str | None,
    from_event: int,
    drop_rate: float,
    drop_markers: bool,
    cpus: int,
    skew: int,
    sequence: bool,
) -> int:
    """Write the trace of a simulated run of SCENARIO: drivers at both ends of VMBus channels, and
    the library under them. SCENARIO may be "workload": many pairs of drivers that come and go.
    The same arguments give the same bytes.

    The options say what of the run is captured. They do not change the run, except --cpus and, with
    workload, --events and --channels.
    """
    listed = {one.name: one.doc for one in SCENARIOS.values()} | {WORKLOAD: WORKLOAD_DOC}
    if listing:
        width = max(map(len, listed))
        say("\n".join(f"{name:<{width}}  {doc}" for name, doc in listed.items()))
        return 0
    if list_faults:
        say(_fault_list(fault))
        return 0
    if fault is None:
        for name, given in (("--fault-shape", fault_shape), ("--truth", truth)):
            if given is not None:
                raise click.UsageError(f"{name} is for a run with --fault")
    if scenario is None and fault is None:
        raise click.UsageError("no scenario given; --list names them")
    if scenario is not None and scenario not in listed:
        hint = did_you_mean(scenario, listed) or "; --list names the scenarios"
        raise click.UsageError(f"unknown scenario {scenario!r}{hint}")
    if channels is not None and scenario != WORKLOAD:
        raise click.UsageError(f"--channels is for workload; {scenario} has the channels it needs")
    try:
        shape = Shape(
            view=view,
            level=int(level[1:]) if level else None,
            from_event=from_event,
            drop_rate=drop_rate,
            markers=drop_markers,
            cpus=cpus,
            skew=skew,
            sequence=sequence,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    source: Source
    if fault is not None:
        source = _faulty(fault, fault_shape, scenario, seed, cpus)
    elif scenario != WORKLOAD:
        assert scenario is not None
        source = SCENARIOS[scenario]
    else:
        # One that is cut after so many events goes on until then.
        length = EVENTS if events is None else None if end == "stopped" else events
        source = Workload(length, CHANNELS if channels is None else channels)
        events = events if end == "stopped" else None
    try:
        # Before the file is opened, so that an error leaves alone what is there.
        if end is not None:
            events = records_until(end, source, seed, shape, events)
    except EndError as error:
        raise click.UsageError(f"{error}; try another --seed, or leave out --end {end}") from None
    try:
        # Both files are opened before anything is written.
        with nullcontext() if truth is None else text_output(truth) as side, _opened(output) as stream:
            outcome = simulate(source, seed, stream, shape, events)
            stream.flush()
            if side is not None and isinstance(source, FaultyRun):
                side.write(_truth(source, outcome))
    except OSError as error:
        # Whoever reads the trace has seen enough. Click would make that exit code 1.
        if not is_closed_pipe(error):
            raise
        drop_stdout()
        return 0
    if output not in (None, "-"):
        hanging = f"; a call never returned in {', '.join(outcome.hanging)}" if outcome.hanging else ""
        complain(f"{output}: {outcome.events} events, end {outcome.end}{hanging}{_broken(source, outcome)}")
    return 0


def _rule(name: str) -> tuple[Fault, ...]:
    """Return the faults that break a rule."""
    known = all_faults()
    if name not in known:
        hint = did_you_mean(name, known) or "; --list-faults names the rules"
        raise click.UsageError(f"no fault breaks a rule {name!r}{hint}")
    return known[name]


def _fault_list(rule: str | None) -> str:
    lines = []
    for name, faults in all_faults().items() if rule is None else [(rule, _rule(rule))]:
        lines.append(name)
        width = max(len(one.shape) for one in faults)
        lines += [f"  {one.shape:<{width}}  {one.doc}" for one in faults]
    return "\n".join(lines)


def _faulty(rule: str, shape: str | None, scenario: str | None, seed: int, cpus: int) -> FaultyRun:
    faults = _rule(rule)
    if shape is not None:
        shapes = [one.shape for one in faults]
        if shape not in shapes:
            hint = did_you_mean(shape, shapes) or f"; there are: {', '.join(shapes)}"
            raise click.UsageError(f"no fault {shape!r} breaks {rule}{hint}")
        faults = tuple(one for one in faults if one.shape == shape)
    if scenario is not None:
        places = dict.fromkeys(one.scenario for one in faults)
        faults = tuple(one for one in faults if one.scenario == scenario)
        if not faults:
            raise click.UsageError(f"no such fault in {scenario}; {rule} is broken in {', '.join(places)}")
    try:
        return faulty_run(choose(faults, seed), seed, cpus)
    except NoOccasionError as error:
        raise click.UsageError(f"{error}; try another --seed") from None


def _broken(source: Source, outcome: Outcome) -> str:
    if not isinstance(source, FaultyRun):
        return ""
    place = outcome.place
    if place is None:
        return f"; what breaks {source.breaks} was not captured"
    where = f"event {place.seq}" if place.seq is not None else "an event" if place.text else "the end"
    return f"; {source.breaks} is broken at {where} of {place.endpoint}"


def _truth(source: FaultyRun, outcome: Outcome) -> str:
    place, fault = outcome.place, source.fault
    facts = {
        "schema": "kmclcheck.truth/1",
        "rule": fault.rule,
        "shape": fault.shape,
        "what": fault.doc,
        "scenario": fault.scenario,
        "seed": source.seed,
        "end": outcome.end,
        "captured": place is not None,
        "endpoint": place.endpoint if place is not None else None,
        "event": place.seq if place is not None else None,
        "record": (place.text.strip() or None) if place is not None else None,
    }
    return json.dumps(facts, indent=2) + "\n"


def _opened(output: str | None) -> AbstractContextManager[TextIO]:
    """Return the stream to write to; the same bytes go into it on every system."""
    if output is not None and output.lower().endswith(_CONVERTED):
        return _converted(output)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(newline="\n")
    return text_output(output)


@contextmanager
def _converted(output: str) -> Iterator[TextIO]:
    """Give a stream for a native trace that is written in the format of the output's suffix at the end."""
    # Formats take long to import, and most runs need none.
    from kmclcheck.cli.convert import format_of
    from kmclcheck.traces.base import ByteSource
    from kmclcheck.traces.formats.kmtrace import KmtraceReader

    target = format_of(output, None)
    with tempfile.TemporaryFile() as native:
        text = io.TextIOWrapper(native, encoding="ascii", newline="\n")
        yield text
        text.flush()
        native.seek(0)
        reader = KmtraceReader(ByteSource(native, output, owned=False))
        with binary_output(output) as stream:
            target.write(stream, reader, reader.info)
        text.detach()
