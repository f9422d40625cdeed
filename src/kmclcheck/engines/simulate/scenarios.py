"""Named scenarios: who is plugged in, and who talks to whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kmclcheck.engines.simulate.drivers.echo import EchoClient, EchoServer
from kmclcheck.engines.simulate.simulation import Simulation


@dataclass(frozen=True, slots=True)
class Scenario:
    """``setup`` plugs the drivers into a simulation."""

    name: str
    doc: str
    setup: Callable[[Simulation], None]


def _echo(sim: Simulation) -> None:
    link = sim.link()
    sim.pair(EchoServer(sim.host, link), EchoClient(sim.guest, link))


SCENARIOS = {
    one.name: one
    for one in (Scenario("echo", "A server that answers, and a client that sends and leaves.", _echo),)
}
