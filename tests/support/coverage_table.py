"""Which transitions of the specification, and which functions, the simulator's scenarios take.

``python -m tests.support.coverage_table [--seeds 50] [--write docs/coverage-of-the-simulator.md]`` from the
top of the checkout prints, or writes, a table. It ends with 1 if something is not taken without a reason.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from kmclcheck.engines.monitor import Monitor, run
from kmclcheck.engines.monitor.watching import Fields, Move
from kmclcheck.engines.simulate import SCENARIOS, simulate
from kmclcheck.model.spec import EventDecl, Spec, Transition
from kmclcheck.semantics.index import EventIndex, build_index
from kmclcheck.semantics.truth import FALSE, MISSING
from kmclcheck.speclang import bundled_spec
from kmclcheck.traces import read_text

DRIVER = "only an error of the driver takes it"
LIBRARY = "only an error of the library takes it"
UNREGISTERED = "only in a trace that begins after the registration of the callbacks"

REASONS = {
    "channel.life: Freed, None -> same on VmbChannelDisable.ret": DRIVER,
    "channel.run: Active, Paused, Starting -> same on EvtVmbChannelSuspend.out": LIBRARY,
    "channel.sv: Idle -> same on VmbChannelSaveContinue.ret": DRIVER,
    "packet.out: Freed, InLib, Ready, SendFailed -> same on VmbPacketAllocate.ret": (
        "a packet that is allocated always begins a new life, so it comes from None"
    ),
    "packet.out: Freed, InLib, None, SendFailed -> same on VmbPacketRestore.ret": DRIVER,
    "packet.out: None -> same on VmbPacketFree.call": DRIVER,
    "incoming.inc: Done, Failed, Held, InCbDef, InCbPend, None, Requeued -> same"
    " on VmbChannelPacketDeferToPassive.call": DRIVER,
    "incoming.inc: Done, Failed, Held, InCbDef, InCbPend, None, Requeued -> same"
    " on VmbChannelPacketGetExternalData.ret": DRIVER,
    "incoming.inc: Done, Failed, None -> same on VmbChannelPacketFail.call": DRIVER,
    "incoming.inc: None -> same on VmbChannelPacketComplete.call": DRIVER,
    "gpadl.gp: Live, None -> same on VmbChannelDeleteGpadl.ret": (
        "a return belongs to the GPADL of its call; one that got the number meanwhile is another one"
    ),
}
_SLOTS = ("slot_opened", "slot_closed", "slot_suspend", "slot_started", "slot_post_started")
_STATE = ("Opened", "Closed", "Suspend", "Started", "PostStarted")
REASONS |= {
    f"channel.{slot}: Empty, Filled -> Filled on EvtVmbChannel{name}.in": UNREGISTERED
    for slot in _SLOTS
    for name in _STATE
}
REASONS |= {
    f"channel.{slot}: Empty, Filled -> Empty on VmbChannelMapGpadl.call": (
        "a server without callbacks learns the number from a packet, which shows earlier that it is open"
    )
    for slot in _SLOTS
}
"""Why a transition is not taken by runs that begin with the driver and break no rule."""


@dataclass(slots=True)
class Taken:
    """How often each line, by identity, and each function or callback was met."""

    lines: Counter[int] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)


class Lines:
    """A watch that counts the lines that apply for reasons that the trace shows.

    The monitor works every combination of states out once, so each line that is ever taken shows here. Other
    than in the coverage of traces, a line need not be certain: here it matters that the simulator gets there.
    """

    def __init__(self, taken: Counter[int]) -> None:
        self._taken = taken

    def moved(self, move: Move) -> None:
        for line in move.lines:
            applies = not line.observe and move.before.values & line.sources
            if applies and move.guard(line.guard) not in (FALSE, MISSING):
                self._taken[id(line)] += 1

    def passed(self, kind: str, before: Fields, after: Fields) -> None:
        pass

    def marks(self) -> tuple[int, ...]:
        return ()

    def count(self, index: EventIndex, marks: tuple[int, ...], times: int) -> None:
        pass

    def other(self, move: Move, sure: bool) -> None:
        self.moved(move)


def measure(spec: Spec, seeds: int, complete: bool = False) -> Taken:
    """Run every conforming scenario with so many seeds. ``complete``: stop when nothing is left to take."""
    taken = Taken()
    index = build_index(spec, frozenset(spec.rules))
    lines = Lines(taken.lines)
    for seed in range(seeds):
        for scenario in SCENARIOS.values():
            if not scenario.faulty:
                stream = io.StringIO()
                simulate(scenario.name, seed, stream)
                text = stream.getvalue()
                reader = read_text(text)
                run(Monitor(spec, index, reader.info, lines), reader)
                taken.names.update(line.split(" ", 8)[7] for line in text.splitlines() if line[0] == "@")
        if complete and not (missing(spec, taken) or silent(spec, taken)):
            break
    return taken


def told(line: Transition, kind: str, name: str) -> str:
    """Return a transition as text."""
    event, phase = line.event
    sources, targets = ", ".join(sorted(line.sources)), ", ".join(sorted(line.targets)) or "same"
    return f"{kind}.{name}: {sources} -> {targets} on {event}.{phase.value}"


def transitions(spec: Spec) -> dict[str, dict[str, list[int]]]:
    """Return, for each machine, its transitions as text with the identities of their lines."""
    found: dict[str, dict[str, list[int]]] = {}
    for machine in spec.machines.values():
        if any(spec.events[line.event[0]].record for line in machine.transitions):
            # The simulator writes what the shim of a driver writes, and no records of the library.
            continue
        mine = found.setdefault(f"{machine.kind}.{machine.field}", {})
        for line in machine.transitions:
            if not line.observe:
                mine.setdefault(told(line, machine.kind, machine.field), []).append(id(line))
    return found


def left(spec: Spec, taken: Taken) -> list[str]:
    """Return the transitions of which at least one line was not taken."""
    return [
        text
        for machine in transitions(spec).values()
        for text, lines in machine.items()
        if not all(taken.lines[line] for line in lines)
    ]


def missing(spec: Spec, taken: Taken) -> list[str]:
    """Return the transitions that were not taken, and no reason is known."""
    return [text for text in left(spec, taken) if text not in REASONS]


def silent(spec: Spec, taken: Taken) -> list[str]:
    """Return the documented functions and callbacks that were never met."""
    return [decl.name for decl in _documented(spec) if not taken.names[decl.name]]


def _documented(spec: Spec) -> list[EventDecl]:
    return [decl for decl in spec.events.values() if decl.documented and not decl.record]


def page(spec: Spec, taken: Taken) -> str:
    """Return the table as Markdown."""
    not_taken = set(left(spec, taken))
    documented = [decl.name for decl in _documented(spec)]
    later = [decl.name for decl in spec.events.values() if not decl.documented and taken.names[decl.name]]
    rows, reasons = [], []
    count = done = 0
    for name, machine in transitions(spec).items():
        missed = [text for text in machine if text in not_taken]
        rows.append(f"| `{name}` | {len(machine)} | {len(machine) - len(missed)} |")
        reasons += [f"| `{text}` | {REASONS.get(text, '**unknown**')} |" for text in missed]
        count, done = count + len(machine), done + len(machine) - len(missed)
    unmet = silent(spec, taken)
    return "\n".join(
        [
            "# What the simulator covers",
            "",
            "What the scenarios of `kmclcheck simulate` that break no rule take of the machines of the KMCL",
            "specification, over many seeds. The table is made by",
            "`python -m tests.support.coverage_table --write docs/coverage-of-the-simulator.md`.",
            "",
            f"* {done} of {count} transitions are taken. For each of the others there is a reason, below.",
            f"* {len(documented) - len(unmet)} of {len(documented)} documented functions and callbacks occur"
            + (f"; not: {', '.join(unmet)}." if unmet else "."),
            f"* Of the later functions, these occur: {', '.join(f'`{name}`' for name in later)}.",
            "",
            "| machine | transitions | taken |",
            "|---|---|---|",
            *rows,
            "",
            "## Not taken",
            "",
            "| transition | why |",
            "|---|---|",
            *reasons,
            "",
        ]
    )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--write", type=Path, metavar="FILE")
    args = parser.parse_args()
    spec = bundled_spec()
    taken = measure(spec, args.seeds)
    text = page(spec, taken)
    if args.write is None:
        print(text)
    else:
        args.write.write_text(text, encoding="utf-8", newline="\n")
    unknown = missing(spec, taken) + silent(spec, taken)
    for name in unknown:
        print(f"not taken: {name}", file=sys.stderr)
    return int(bool(unknown))


if __name__ == "__main__":
    sys.exit(main())
