"""What faults with shared buffers have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kmclcheck.engines.simulate.drivers.common import ChannelDriver
from kmclcheck.engines.simulate.drivers.network import NetworkClient, NetworkServer
from kmclcheck.engines.simulate.faults.injector import Injector
from kmclcheck.engines.simulate.faults.tools import FAILED, Then, client_of, last, replace, server_of, wrong
from kmclcheck.engines.simulate.kernel import Signal, Task, Thread
from kmclcheck.engines.simulate.objects import Channel

CREATE_MDL = "VmbChannelCreateGpadlFromMdl"
CREATE_MDL_SCALARS = " Flags=0 Mdl=0xffffbc8070008000 StartOffsetWithinMdl=0 DataLengthWithinMdl=2097152"
DELETE, MAP, UNMAP = "VmbChannelDeleteGpadl", "VmbChannelMapGpadl", "VmbChannelUnmapGpadl"
UNKNOWN = 0xE1F80
"""A number that no buffer has."""


def use_gpadl(
    inject: Injector, t: Thread, name: str, channel: Channel, number: int, then: Then = "goes on"
) -> Task:
    """Log a wrong call that names a buffer; the library does nothing."""
    flags, result = (" Flags=0", FAILED) if name == MAP else ("", "")
    scalars = f"{flags} GpadlHandle={number:#x}"
    yield from wrong(inject, t, name, f" Channel{channel.handle}", scalars, result, then)


def network_client(inject: Injector) -> NetworkClient:
    """Return the client of the scenario that shares buffers."""
    client = client_of(inject)
    assert isinstance(client, NetworkClient)
    return client


def network_server(inject: Injector) -> NetworkServer:
    """Return the server of the scenario that maps buffers."""
    server = server_of(inject)
    assert isinstance(server, NetworkServer)
    return server


def last_closed(inject: Injector, t: Thread, channel: Channel) -> Task:
    """Return from Closed, and end the trace there."""
    yield from last(inject, t, "out", "EvtVmbChannelClosed", f" Channel{channel.handle}")


def too_late(inject: Injector, driver: ChannelDriver, t: Thread, work: Task) -> None:
    """Return from Closed with something undone; a work item does it, before the channel is cleaned up."""

    def late(_: Thread) -> Task:
        yield from work
        yield from inject.stop()

    def make(cleanup: Callable[..., Task]) -> Callable[..., Task]:
        def never(t: Thread, channel: Channel) -> Task:
            yield Signal(inject.kernel)

        return never

    replace(driver.lib, "cleanup", make)
    driver.lib.endpoint.work(late)
    inject.mark(t)


def shares(driver: ChannelDriver) -> list[int]:
    """Let a client share a buffer from Opened to Closed; return the list that holds its number."""
    mine: list[int] = []

    def make_opened(opened: Callable[..., Task]) -> Callable[..., Task]:
        def share(t: Thread, channel: Channel) -> Task:
            mine.append((yield from driver.lib.create_gpadl(t, channel)))
            return (yield from opened(t, channel))

        return share

    def make_closed(closed: Callable[..., Task]) -> Callable[..., Task]:
        def end(t: Thread, channel: Channel) -> Task:
            while mine:
                yield from driver.lib.delete_gpadl(t, channel, mine.pop())
            yield from closed(t, channel)

        return end

    replace(driver, "opened", make_opened)
    replace(driver, "closed", make_closed)
    return mine


def refuses(inject: Injector, driver: ChannelDriver) -> None:
    """Let a driver refuse to open until the fault has happened."""

    def make(opened: Callable[..., Task]) -> Callable[..., Task]:
        def refuse(t: Thread, channel: Channel) -> Task:
            driver.refuses = float(inject.place is None)
            return (yield from opened(t, channel))

        return refuse

    replace(driver, "opened", make)


def refuses_once(inject: Injector, driver: ChannelDriver, opened: Callable[..., Task]) -> None:
    """Let a driver refuse to open with a routine of its own, and leave for good; no Closed comes."""

    def make(refuse: Callable[..., Task]) -> Callable[..., Task]:
        def quietly(t: Thread, channel: Channel) -> Task:
            if channel.driver is not driver:
                yield from refuse(t, channel)
                return
            # One of the ways that the documents leave open.
            channel.life = "Disabled"
            channel.link.requested = False
            channel.link.offered = channel.link.offered and not channel.server
            channel.link.closing = channel.link.closing or not channel.server
            channel.link.settled()

        return quietly

    def leave(t: Thread, channel: Channel) -> Task:
        status = yield from opened(t, channel)
        driver.stuck = driver.lost = True
        driver.leave()
        return status

    replace(driver.lib, "_refuse", make)
    inject.turn = 0
    inject.at(driver, "opened", "instead", leave)


def keeps(client: NetworkClient) -> None:
    """Let a client keep its buffers until Closed."""

    def nothing(t: Thread) -> Task:
        yield from ()

    replace(client, "_take_back", lambda _: nothing)


def after_state(
    inject: Injector, driver: ChannelDriver, slot: str, action: Callable[..., Task],
    when: Callable[[Any], bool] = lambda _: True,
) -> None:  # fmt: skip
    """Do something on another thread after a state callback, if ``when`` likes what it returned."""

    def act(t: Thread, channel: Channel, found: str, routine: object, status: object) -> Task:
        if when(status):
            yield from action(t.endpoint.thread(), channel)

    inject.at(
        driver.lib, "_state", "after", act,
        lambda t, channel, found, _: channel.driver is driver and found == slot,
    )  # fmt: skip
