"""Faults of clients with the buffers that they share."""

from __future__ import annotations

from kmclcheck.engines.simulate.faults.gpadl_tools import (
    CREATE_MDL,
    CREATE_MDL_SCALARS,
    DELETE,
    UNKNOWN,
    after_state,
    keeps,
    last_closed,
    network_client,
    refuses,
    refuses_once,
    shares,
    too_late,
    use_gpadl,
)
from kmclcheck.engines.simulate.faults.injector import Injector, fault
from kmclcheck.engines.simulate.faults.packet_tools import again, comes_late, comes_often
from kmclcheck.engines.simulate.faults.tools import (
    CREATE,
    CREATE_SCALARS,
    FAILED,
    client_of,
    on_channel,
    server_of,
    without_slot,
)
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Packet

# Created while the channel is not open.


@fault("gpadl-create-when-open", "before Enable", "echo")
def create_before_enable(inject: Injector) -> None:
    """A client shares a buffer before it enables its channel."""
    create = on_channel(inject, CREATE, CREATE_SCALARS, FAILED)
    inject.at(client_of(inject).lib, "enable", "before", create)


@fault("gpadl-create-when-open", "before Opened, on another thread", "echo")
def create_before_opened(inject: Injector) -> None:
    """A thread of a client shares a buffer when Enable has returned, without waiting for Opened."""
    comes_late(inject, server_of(inject))
    create = on_channel(inject, CREATE_MDL, CREATE_MDL_SCALARS, FAILED, elsewhere=True)

    def too_early(t: Thread, channel: Channel, works: bool) -> Task:
        if works:
            yield from create(t, channel)

    inject.at(client_of(inject).lib, "enable", "after", too_early)


@fault("gpadl-create-when-open", "Opened failed", "client-opens")
def create_refused(inject: Injector) -> None:
    """A client refuses to open, and a thread of it shares a buffer all the same."""
    client = client_of(inject)
    refuses(inject, client)
    create = on_channel(inject, CREATE, CREATE_SCALARS, FAILED)
    after_state(inject, client, "Opened", create, bool)


@fault("gpadl-create-when-open", "enabled again", "comes-back")
def create_enabled_again(inject: Injector) -> None:
    """A client that comes back shares a buffer before its channel is open again."""
    comes_often(inject)
    client = client_of(inject)
    reopened = again(inject, client, 0)
    create = on_channel(inject, CREATE_MDL, CREATE_MDL_SCALARS, FAILED)

    def too_early(t: Thread, channel: Channel, works: bool) -> Task:
        if works and channel.life == "Enabled":
            yield from create(t, channel)

    inject.at(
        client.lib, "enable", "after", too_early,
        lambda t, channel, **_: channel.driver is client and reopened(),
    )  # fmt: skip


@fault("gpadl-create-when-open", "connection failed", "client-opens")
def create_unplugged(inject: Injector) -> None:
    """A client shares a buffer when its connection has failed."""
    client = client_of(inject)
    client.unplugged = 1.0
    create = on_channel(inject, CREATE, CREATE_SCALARS, FAILED)

    def once(t: Thread, channel: Channel) -> Task:
        channel.pnp_failures = 0.0
        yield from create(t, channel)

    inject.turn = 0
    inject.at(client, "connect_failed", "before", once)


# Still there when Closed returns.


def _but_one(inject: Injector, t: Thread, channel: Channel) -> Task:
    """Delete all buffers of a client but one, and return that one."""
    client = network_client(inject)
    number = client._buffers.pop(0)
    while client._buffers:
        yield from client.lib.delete_gpadl(t, channel, client._buffers.pop())
    return number


@fault("gpadl-deleted-by-close", "forgotten", "client-opens")
def forgotten_at_close(inject: Injector) -> None:
    """A client forgets one of its buffers in the Closed callback."""
    client = network_client(inject)
    keeps(client)

    def forget(t: Thread, channel: Channel) -> Task:
        yield from _but_one(inject, t, channel)
        yield from last_closed(inject, t, channel)

    inject.at(client, "closed", "instead", forget, lambda *_: bool(client._buffers))


@fault("gpadl-deleted-by-close", "too late", "client-opens")
def deleted_too_late(inject: Injector) -> None:
    """A client leaves it to a work item to delete a buffer, and returns from Closed before it runs."""
    client = network_client(inject)
    keeps(client)

    def leave(t: Thread, channel: Channel) -> Task:
        number = yield from _but_one(inject, t, channel)
        other = t.endpoint.thread()
        too_late(inject, client, t, client.lib.delete_gpadl(other, channel, number))

    inject.at(client, "closed", "instead", leave, lambda *_: bool(client._buffers))


@fault("gpadl-deleted-by-close", "created in Closed", "client-opens")
def created_in_closed(inject: Injector) -> None:
    """A client deletes its buffers in Closed and shares another one at once, for the next time."""
    client = network_client(inject)

    def create(t: Thread, channel: Channel) -> Task:
        yield from client._delete(t, channel)
        yield from client.lib.create_gpadl(t, channel)
        yield from last_closed(inject, t, channel)

    inject.at(client, "closed", "instead", create)


@fault("gpadl-deleted-by-close", "at the second close", "comes-back")
def forgotten_again(inject: Injector) -> None:
    """A client whose channel was open a second time forgets its buffer in Closed."""
    comes_often(inject)
    client = client_of(inject)
    shares(client)
    reopened = again(inject, client)
    inject.at(
        client, "closed", "instead",
        lambda t, channel: last_closed(inject, t, channel), lambda *_: reopened(),
    )  # fmt: skip


# Never deleted.


@fault("gpadl-deleted-eventually", "Opened failed", "echo")
def leaked_in_refusal(inject: Injector) -> None:
    """A client shares a buffer in Opened, refuses to open, and leaves; no Closed comes."""
    client = client_of(inject)

    def refuse(t: Thread, channel: Channel) -> Task:
        yield from client.lib.create_gpadl(t, channel)
        inject.mark_end(t)
        return 0xC000009A

    refuses_once(inject, client, refuse)


@fault("gpadl-deleted-eventually", "no Closed callback", "echo")
def leaked_without_closed(inject: Injector) -> None:
    """A client without a Closed callback shares a buffer in PostStarted."""
    client = client_of(inject)
    without_slot(client, "Closed")

    def create(t: Thread, channel: Channel, _: object) -> Task:
        yield from client.lib.create_gpadl(t, channel)
        inject.mark_end(t)

    inject.at(client, "post_started", "after", create)


@fault("gpadl-deleted-eventually", "returned after Closed", "echo")
def leaked_after_closed(inject: Injector) -> None:
    """One thread of a client shares a buffer while another one is in Closed, and nobody looks after it."""
    client = client_of(inject)

    def begin(t: Thread, channel: Channel, _: object) -> Task:
        other, handles = t.endpoint.thread(), f" Channel{channel.handle}"
        client.lib.record(other, "call", CREATE_MDL, handles, CREATE_MDL_SCALARS)
        inject.mark_end(t)
        client.lib.endpoint.work(lambda _: end(other, handles))
        yield from ()

    def end(t: Thread, handles: str) -> Task:
        scalars = f" GpadlHandle={UNKNOWN:#x}"
        client.lib.record(t, "ret", CREATE_MDL, handles, scalars, " status=0x0")
        yield from ()

    inject.at(client, "closed", "after", begin)


# Deleted though it is not there.


@fault("gpadl-delete-live", "twice", "client-opens")
def delete_twice(inject: Injector) -> None:
    """A client deletes a buffer twice in a row."""

    def twice(t: Thread, channel: Channel, number: int, _: object) -> Task:
        if number not in channel.link.gpadls:  # else it is that of another buffer already
            yield from use_gpadl(inject, t, DELETE, channel, number)

    inject.at(client_of(inject).lib, "delete_gpadl", "after", twice)


@fault("gpadl-delete-live", "two threads at once", "client-opens")
def delete_race(inject: Injector) -> None:
    """Two threads of a client delete a buffer at the same time."""
    lib = client_of(inject).lib

    def race(t: Thread, channel: Channel, number: int) -> Task:
        other, handles, scalar = t.endpoint.thread(), f" Channel{channel.handle}", f" GpadlHandle={number:#x}"
        lib.record(other, "call", DELETE, handles, scalar)
        inject.mark(t)
        yield from original(t, channel, number)
        lib.record(other, "ret", DELETE, handles, scalar)

    original = lib.delete_gpadl
    inject.at(lib, "delete_gpadl", "instead", race)


@fault("gpadl-delete-live", "another number", "client-opens")
def delete_unknown(inject: Injector) -> None:
    """A client deletes a buffer under a number that was never one."""
    inject.at(
        client_of(inject).lib, "delete_gpadl", "before",
        lambda t, channel, number: use_gpadl(inject, t, DELETE, channel, number + 0x100),
    )  # fmt: skip


@fault("gpadl-delete-live", "of the time before", "comes-back")
def delete_old(inject: Injector) -> None:
    """A client that comes back deletes a buffer in Opened that it had when the channel was open before."""
    comes_often(inject)
    client = client_of(inject)
    old: list[int] = []
    mine = shares(client)

    def remember(t: Thread, channel: Channel, number: int) -> Task:
        old.append(number)
        yield from original(t, channel, number)

    original = client.lib.delete_gpadl
    client.lib.delete_gpadl = remember  # type: ignore[method-assign]
    inject.at(
        client, "opened", "before",
        lambda t, channel: use_gpadl(inject, t, DELETE, channel, old[-1]),
        lambda *_: bool(old) and not mine,
    )  # fmt: skip


@fault("gpadl-delete-live", "on another channel", "sub-channels")
def delete_elsewhere(inject: Injector) -> None:
    """A client deletes a buffer of its primary channel on a sub-channel."""
    client = client_of(inject)
    mine = shares(client)

    def delete(t: Thread, packet: Packet, *_: object, **more: object) -> Task:
        yield from use_gpadl(inject, t, DELETE, packet.channel, mine[0])

    inject.at(
        client.lib, "send", "before", delete,
        lambda t, packet, *_, **more: bool(mine) and packet.channel.driver is not client,
    )  # fmt: skip
