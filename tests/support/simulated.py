"""The sample traces that the simulator makes, each with the command that makes it."""

from __future__ import annotations

import io
from dataclasses import dataclass

from kmclcheck.engines.simulate import Shape, simulate
from kmclcheck.engines.simulate.faults import all_faults
from kmclcheck.engines.simulate.faults.running import faulty_run

HOST, GUEST = "host", "guest"


@dataclass(frozen=True)
class Simulated:
    """A run: ``source`` is a scenario, or a rule and the shape of the fault that breaks it."""

    shows: str
    source: str | tuple[str, str]
    view: str
    seed: int = 1

    @property
    def command(self) -> str:
        """The command line that writes the trace."""
        if isinstance(self.source, str):
            what = self.source
        else:
            what = f"--fault {self.source[0]} --fault-shape '{self.source[1]}'"
        return f"kmclcheck simulate {what} --view {self.view} --seed {self.seed}"

    def run(self) -> tuple[str, str, tuple[str, int | None] | None]:
        """Return the trace, its end, and the rule that is broken with its line (none: at the end)."""
        stream = io.StringIO()
        shape = Shape(view=self.view)
        if isinstance(self.source, str):
            outcome = simulate(self.source, self.seed, stream, shape)
            return stream.getvalue(), outcome.end, None
        rule, name = self.source
        one = next(fault for fault in all_faults()[rule] if fault.shape == name)
        outcome = simulate(faulty_run(one, self.seed), self.seed, stream, shape)
        place = outcome.place
        assert place is not None
        text = stream.getvalue()
        line = text.splitlines().index(place.text.strip()) + 1 if place.text else None
        return text, outcome.end, (rule, line)


SIMULATED = {
    "simulated-01-server-offers": Simulated("A server offers a channel.", "server-offers", HOST),
    "simulated-02-client-opens": Simulated("A client shares two buffers.", "client-opens", GUEST),
    "simulated-03-pause-resume": Simulated("A server pauses and resumes.", "pause-resume", HOST),
    "simulated-04-peer-closes": Simulated("The server leaves, as the client sees it.", "peer-closes", GUEST),
    "simulated-05-save-restore": Simulated("A host saves and restores its packets.", "save-restore", HOST),
    "simulated-06-deferred": Simulated("Packets are deferred to PASSIVE_LEVEL.", "deferred-packet", HOST),
    "simulated-07-external-data": Simulated("External data comes late.", "external-data-pending", HOST),
    "simulated-08-comes-back": Simulated("A client enables its channel again.", "comes-back", GUEST),
    "simulated-09-sub-channels": Simulated("A client asks for more channels.", "sub-channels", GUEST),
    "wrong-simulated-complete-race": Simulated(
        "Two threads complete one packet at the same time.",
        ("incoming-complete-once", "two threads at once"), HOST,
    ),
    "wrong-simulated-cleanup-open": Simulated(
        "A client cleans up a channel over which it is sending.", ("channel-cleanup-disabled", "open"), GUEST
    ),
    "wrong-simulated-no-cleanup": Simulated(
        "A server forgets Cleanup, which shows at the end.", ("channel-cleaned-up", "server"), HOST
    ),
}  # fmt: skip
