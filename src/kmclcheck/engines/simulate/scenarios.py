"""Named scenarios: who is plugged in, and who talks to whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from kmclcheck.engines.simulate.driver import Driver
from kmclcheck.engines.simulate.drivers.comeback import ComebackClient, ComebackServer
from kmclcheck.engines.simulate.drivers.echo import EchoClient, EchoServer
from kmclcheck.engines.simulate.drivers.harness import GuestHarness, Harness, HostHarness, owners
from kmclcheck.engines.simulate.drivers.idle import IdleClient, IdleServer
from kmclcheck.engines.simulate.drivers.network import NetworkClient, NetworkServer
from kmclcheck.engines.simulate.drivers.pausing import PausingClient, PausingServer
from kmclcheck.engines.simulate.drivers.save_restore import SavingServer, SlowClient
from kmclcheck.engines.simulate.drivers.silent import SilentClient, SilentServer
from kmclcheck.engines.simulate.drivers.storage import StorageClient, StorageServer
from kmclcheck.engines.simulate.drivers.sub_channels import PrimaryClient, PrimaryServer, sub_channels
from kmclcheck.engines.simulate.kernel import Task
from kmclcheck.engines.simulate.library import Library
from kmclcheck.engines.simulate.objects import Link
from kmclcheck.engines.simulate.simulation import Simulation

Setup = Callable[[Simulation], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """``setup`` plugs the drivers into a simulation. ``faulty``: one breaks rules, which ``doc`` names."""

    name: str
    doc: str
    setup: Setup
    faulty: bool = False
    breaks: ClassVar[str] = ""
    limit: ClassVar[float] = float("inf")

    def __str__(self) -> str:
        return self.name


def _pair(server: Callable[[Library, Link], Driver], client: Callable[[Library, Link], Driver]) -> Setup:
    """Return what plugs in a server and a client that share a link."""

    def setup(sim: Simulation) -> None:
        link = sim.link()
        sim.pair(server(sim.host, link), client(sim.guest, link))

    return setup


def _peer_closes(sim: Simulation) -> None:
    link = sim.link()
    server = NetworkServer(sim.host, link)
    sim.pair(server, NetworkClient(sim.guest, link, 100))
    sim.kernel.resume(_leave(server, 20_000 + sim.kernel.random() * 100_000))


def _save_restore(sim: Simulation) -> None:
    link = sim.link()
    moves = 1 + int(sim.kernel.random() * 2)
    sim.pair(SavingServer(sim.host, link, moves), SlowClient(sim.guest, link))


def _deferred(sim: Simulation) -> None:
    link = sim.link()
    server = NetworkServer(sim.host, link)
    server.defers, server.malformed = 0.7, 0.02
    sim.pair(server, NetworkClient(sim.guest, link))


def _sub_channels(sim: Simulation) -> None:
    link = sim.link()
    pairs = sub_channels(sim.host, sim.guest, [sim.link() for _ in range(1 + int(sim.kernel.random() * 3))])
    sim.pair(
        PrimaryServer(sim.host, link, [server for server, _ in pairs], sim.plug),
        PrimaryClient(sim.guest, link, [client for _, client in pairs], sim.plug),
    )


def _hafl1(sim: Simulation) -> None:
    server, client = owners(sim.host, sim.guest, sim.link())
    sim.pair(server, client)
    _borrow(sim, HostHarness(sim.host, server), client)


def _hafl2(sim: Simulation) -> None:
    server, client = owners(sim.host, sim.guest, sim.link())
    sim.pair(server, client)
    _borrow(sim, GuestHarness(sim.guest, client), client)


def _borrow(sim: Simulation, harness: Harness, client: Driver) -> None:
    """Plug in a harness; the owner of the channel leaves when the harness is done."""
    harness.partner = client
    sim.plug(harness)


def _leave(driver: Driver, delay: float) -> Task:
    yield delay
    driver.leave()


SCENARIOS = {
    one.name: one
    for one in (
        Scenario(
            "echo",
            "A server that answers, and a client that sends and leaves.",
            _pair(EchoServer, EchoClient),
        ),
        Scenario(
            "idle", "A pair that is connected for a while and sends nothing.", _pair(IdleServer, IdleClient)
        ),
        Scenario(
            "no-callbacks",
            "A pair without state callbacks that shares buffers all the same.",
            _pair(SilentServer, SilentClient),
        ),
        Scenario(
            "server-offers",
            "A server offers a channel, serves packets and sends some.",
            _pair(StorageServer, partial(StorageClient, external=0.1)),
        ),
        Scenario(
            "client-opens",
            "A client opens, negotiates, shares two buffers and closes.",
            _pair(NetworkServer, NetworkClient),
        ),
        Scenario("pause-resume", "Either side pauses and resumes.", _pair(PausingServer, PausingClient)),
        Scenario("peer-closes", "The server leaves in the middle of everything.", _peer_closes),
        Scenario("save-restore", "A host saves its packets in flight and restores them.", _save_restore),
        Scenario(
            "deferred-packet", "Packets that need PASSIVE_LEVEL are deferred; some are malformed.", _deferred
        ),
        Scenario(
            "external-data-pending",
            "External data is not there at once.",
            _pair(StorageServer, partial(StorageClient, external=0.9)),
        ),
        Scenario(
            "comes-back",
            "The server closes, and the client enables its channel again.",
            _pair(ComebackServer, ComebackClient),
        ),
        Scenario("sub-channels", "The client asks for further channels.", _sub_channels),
        Scenario(
            "harness-hafl1",
            "A harness hands on its own packets as received ones:"
            " incoming-no-use-after-disposal, packet-freed-eventually and, if checked, channel-known.",
            _hafl1,
            faulty=True,
        ),
        Scenario(
            "harness-hafl2",
            "A harness on a borrowed channel leaks a packet for every request:"
            " packet-freed-eventually and, if checked, channel-known.",
            _hafl2,
            faulty=True,
        ),
    )
}
