"""Faults of servers with the buffers that clients share."""

from __future__ import annotations

from kmclcheck.engines.simulate.faults.gpadl_tools import (
    MAP,
    UNKNOWN,
    UNMAP,
    after_state,
    keeps,
    last_closed,
    network_client,
    network_server,
    refuses,
    refuses_once,
    too_late,
    use_gpadl,
)
from kmclcheck.engines.simulate.faults.injector import Injector, fault
from kmclcheck.engines.simulate.faults.packet_tools import comes_late
from kmclcheck.engines.simulate.faults.tools import client_of, server_of, without_slot
from kmclcheck.engines.simulate.kernel import PASSIVE, Signal, Task, Thread
from kmclcheck.engines.simulate.objects import Channel

# Mapped while the channel is not open.


@fault("gpadl-map-when-open", "before Enable", "echo")
def map_before_enable(inject: Injector) -> None:
    """A server maps a buffer before it enables its channel."""
    inject.at(
        server_of(inject).lib, "enable", "before",
        lambda t, channel, **_: use_gpadl(inject, t, MAP, channel, UNKNOWN),
    )  # fmt: skip


@fault("gpadl-map-when-open", "before Opened, on another thread", "echo")
def map_before_opened(inject: Injector) -> None:
    """A thread of a server maps a buffer before the client has opened the channel."""
    server = server_of(inject)
    comes_late(inject, client_of(inject))

    def too_early(t: Thread, channel: Channel, works: bool) -> Task:
        if works:
            yield from use_gpadl(inject, t.endpoint.thread(), MAP, channel, UNKNOWN)

    inject.at(server.lib, "enable", "after", too_early)


@fault("gpadl-map-when-open", "after Closed", "client-opens")
def map_after_closed(inject: Injector) -> None:
    """A thread of a server maps a buffer when the client has closed."""
    after_state(
        inject, server_of(inject), "Closed",
        lambda t, channel: use_gpadl(inject, t, MAP, channel, UNKNOWN),
    )  # fmt: skip


@fault("gpadl-map-when-open", "after Disable", "client-opens")
def map_after_disable(inject: Injector) -> None:
    """A server maps a buffer when it has disabled its channel."""
    inject.at(
        server_of(inject).lib, "disable", "after",
        lambda t, channel, _: use_gpadl(inject, t, MAP, channel, UNKNOWN),
        lambda t, channel: channel.life != "Disabled",
    )  # fmt: skip


@fault("gpadl-map-when-open", "Opened failed", "client-opens")
def map_refused(inject: Injector) -> None:
    """A server refuses to open, and maps a buffer all the same."""
    server = server_of(inject)
    refuses(inject, server)
    after_state(
        inject, server, "Opened", lambda t, channel: use_gpadl(inject, t, MAP, channel, UNKNOWN), bool
    )  # fmt: skip


# Mapped twice.


@fault("gpadl-single-mapping", "at once", "client-opens")
def map_twice(inject: Injector) -> None:
    """A server maps a buffer twice in a row."""

    def twice(t: Thread, channel: Channel, number: int, works: bool) -> Task:
        if works:
            yield from use_gpadl(inject, t, MAP, channel, number)

    inject.at(network_server(inject).lib, "map_gpadl", "after", twice)


@fault("gpadl-single-mapping", "in a later delivery", "client-opens")
def map_later(inject: Injector) -> None:
    """A server maps a buffer for every packet, though one mapping serves them all."""
    server = network_server(inject)
    inject.at(
        server, "process", "before",
        lambda t, received: use_gpadl(inject, t, MAP, received.channel, server._mapped[0]),
        lambda t, received: t.irql == PASSIVE and bool(server._mapped),
    )  # fmt: skip


@fault("gpadl-single-mapping", "in the Closed callback", "client-opens")
def map_closing(inject: Injector) -> None:
    """A server maps a buffer in Closed to save what is in it; it is mapped already."""
    server = network_server(inject)
    keeps(network_client(inject))
    inject.at(
        server, "closed", "before",
        lambda t, channel: use_gpadl(inject, t, MAP, channel, server._mapped[0]),
        lambda *_: bool(server._mapped),
    )  # fmt: skip


@fault("gpadl-single-mapping", "mapped anew", "client-opens")
def map_anew(inject: Injector) -> None:
    """A server maps a buffer, unmaps it, maps it again, and then once more on another thread."""
    lib = network_server(inject).lib

    def anew(t: Thread, channel: Channel, number: int) -> Task:
        works = yield from original(t, channel, number)
        if works:
            yield from lib.unmap_gpadl(t, channel, number)
            works = yield from original(t, channel, number)
        if works:
            yield from use_gpadl(inject, t.endpoint.thread(), MAP, channel, number)
        return works

    original = lib.map_gpadl
    inject.at(lib, "map_gpadl", "instead", anew)


# Unmapped though it is not mapped.


@fault("gpadl-unmap-mapped", "twice", "client-opens")
def unmap_twice(inject: Injector) -> None:
    """A server unmaps a buffer twice in a row."""
    inject.at(
        network_server(inject).lib, "unmap_gpadl", "after",
        lambda t, channel, number, _: use_gpadl(inject, t, UNMAP, channel, number),
    )  # fmt: skip


@fault("gpadl-unmap-mapped", "never mapped", "echo")
def unmap_unknown(inject: Injector) -> None:
    """A server unmaps a buffer in a delivery that it has never mapped."""
    inject.at(
        server_of(inject), "process", "before",
        lambda t, received: use_gpadl(inject, t, UNMAP, received.channel, UNKNOWN),
        lambda t, received: t.irql == PASSIVE,
    )  # fmt: skip


@fault("gpadl-unmap-mapped", "mapping failed", "client-opens")
def unmap_failed(inject: Injector) -> None:
    """A server cannot map a buffer for writing, unmaps it, and tries again."""

    def fail(t: Thread, channel: Channel, number: int) -> Task:
        handles, scalars = f" Channel{channel.handle}", f" Flags=0 GpadlHandle={number:#x}"
        yield from inject.call(t, MAP, handles, scalars, " status=0xc0000022")
        yield from use_gpadl(inject, t, UNMAP, channel, number)

    inject.at(network_server(inject).lib, "map_gpadl", "before", fail)


@fault("gpadl-unmap-mapped", "two threads at once", "client-opens")
def unmap_race(inject: Injector) -> None:
    """Two threads of a server unmap a buffer at the same time."""
    lib = network_server(inject).lib

    def race(t: Thread, channel: Channel, number: int) -> Task:
        other, handles, scalar = t.endpoint.thread(), f" Channel{channel.handle}", f" GpadlHandle={number:#x}"
        lib.record(other, "call", UNMAP, handles, scalar)
        inject.mark(t)
        yield from original(t, channel, number)
        lib.record(other, "ret", UNMAP, handles, scalar)

    original = lib.unmap_gpadl
    inject.at(lib, "unmap_gpadl", "instead", race)


# Still mapped when Closed returns.


def _but_one(inject: Injector, t: Thread, channel: Channel) -> Task:
    """Unmap all buffers of a server but one, and return that one."""
    server = network_server(inject)
    number = server._mapped.pop(0)
    while server._mapped:
        yield from server.lib.unmap_gpadl(t, channel, server._mapped.pop())
    return number


def _forgotten(inject: Injector) -> None:
    server = network_server(inject)
    keeps(network_client(inject))

    def forget(t: Thread, channel: Channel) -> Task:
        yield from _but_one(inject, t, channel)
        yield from last_closed(inject, t, channel)

    inject.at(server, "closed", "instead", forget, lambda *_: bool(server._mapped))


@fault("gpadl-unmapped-by-close", "forgotten", "client-opens")
def mapped_after_close(inject: Injector) -> None:
    """A server forgets to unmap a buffer when the client closes."""
    _forgotten(inject)


@fault("gpadl-unmapped-by-close", "forgotten by a server that leaves", "client-opens")
def mapped_after_own_close(inject: Injector) -> None:
    """A server forgets to unmap a buffer when it closes its channel itself."""
    server = network_server(inject)

    def serve(t: Thread) -> Task:
        while not (server.leaving or server._mapped):
            if server.stuck:
                yield from server.again(t)
            yield 2000.0

    server.serve = serve  # type: ignore[method-assign]
    _forgotten(inject)


@fault("gpadl-unmapped-by-close", "too late", "client-opens")
def unmapped_too_late(inject: Injector) -> None:
    """A server leaves it to a work item to unmap a buffer, and returns from Closed before it runs."""
    server = network_server(inject)
    keeps(network_client(inject))

    def leave(t: Thread, channel: Channel) -> Task:
        number = yield from _but_one(inject, t, channel)
        other = t.endpoint.thread()
        too_late(inject, server, t, server.lib.unmap_gpadl(other, channel, number))

    inject.at(server, "closed", "instead", leave, lambda *_: bool(server._mapped))


# Never unmapped.


def _map(inject: Injector, t: Thread, channel: Channel) -> Task:
    """Map a buffer; the server will forget it. The library does not know of it, so nobody waits for it."""
    handles, scalars = f" Channel{channel.handle}", f" Flags=0 GpadlHandle={UNKNOWN:#x}"
    yield from inject.call(t, MAP, handles, scalars, " status=0x0")
    inject.mark_end(t)


@fault("gpadl-unmapped-eventually", "Opened failed", "echo")
def mapped_in_refusal(inject: Injector) -> None:
    """A server maps a buffer in Opened, refuses to open, and leaves; no Closed comes."""
    server = server_of(inject)

    def refuse(t: Thread, channel: Channel) -> Task:
        yield from _map(inject, t, channel)
        return 0xC000009A

    refuses_once(inject, server, refuse)


@fault("gpadl-unmapped-eventually", "no Closed callback", "echo")
def mapped_without_closed(inject: Injector) -> None:
    """A server without a Closed callback maps a buffer in a delivery."""
    server = server_of(inject)
    without_slot(server, "Closed")
    inject.at(
        server, "process", "before",
        lambda t, received: _map(inject, t, received.channel), lambda t, _: t.irql == PASSIVE,
    )  # fmt: skip


@fault("gpadl-unmapped-eventually", "mapping returned after Closed", "echo")
def mapped_after_closed(inject: Injector) -> None:
    """One thread of a server maps a buffer while another one is in Closed, and nobody looks after it."""
    server = server_of(inject)

    def begin(t: Thread, channel: Channel, *_: object) -> Task:
        other = t.endpoint.thread()
        handles, scalars = f" Channel{channel.handle}", f" Flags=0 GpadlHandle={UNKNOWN:#x}"
        server.lib.record(other, "call", MAP, handles, scalars)
        inject.mark_end(t)
        server.lib.endpoint.work(lambda _: end(other, handles))
        yield from ()

    def end(t: Thread, handles: str) -> Task:
        server.lib.record(t, "ret", MAP, handles, "", " status=0x0")
        yield from ()

    inject.at(server, "closed", "after", begin)


@fault("gpadl-unmapped-eventually", "not given back", "client-opens")
def never_released(inject: Injector) -> None:
    """A client wants its buffer back, and a server does not unmap it: Delete never returns."""
    server, client = network_server(inject), network_client(inject)

    def wait(t: Thread) -> Task:
        yield Signal(inject.kernel)

    def ignore(t: Thread, channel: Channel, body: tuple[str, int]) -> Task:
        inject.mark_end(t)
        yield from ()

    def give_up_all(t: Thread) -> Task:
        yield from client.requests(t, 3)
        if client.gate:
            yield from client._take_back(t)

    server.serve = wait  # type: ignore[method-assign]
    client.job = give_up_all  # type: ignore[method-assign]
    inject.at(
        server, "obey", "instead", ignore,
        # Whether a mapping failed the library decides.
        lambda t, channel, body: body[0] == "release" and channel.link.gpadls.get(body[1]) == "Mapped",
    )  # fmt: skip
