"""Faults of drivers with the life of a channel: configuration, Enable, Start, Cleanup."""

from __future__ import annotations

from collections.abc import Callable

from kmclcheck.engines.simulate.faults.injector import Injector, fault
from kmclcheck.engines.simulate.faults.tools import (
    CLEANUP,
    ENABLE,
    FAILED,
    MAX_EXTERNAL,
    MAX_PACKET,
    NAME,
    NAME_SCALARS,
    REMOVED,
    START,
    SYNC,
    WRONG_STATE,
    after_close,
    client_of,
    on_channel,
    replace,
    server_of,
    sync,
)
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel


def _left_enabled(t: Thread, channel: Channel) -> bool:
    return channel.life != "Disabled"


def _closing(t: Thread, channel: Channel) -> bool:
    """Return whether a channel closes because its own driver disables it."""
    return channel.disabling


def _works(t: Thread, channel: Channel, fails: bool = False) -> bool:
    """Return whether an Enable is one that succeeds."""
    return not fails


# The end of a channel.


@fault("channel-no-use-after-cleanup", "pointer read", "echo")
def pointer_after_cleanup(inject: Injector) -> None:
    """A server reads the pointer of a channel that it has cleaned up."""
    inject.at(server_of(inject).lib, "cleanup", "after", on_channel(inject, "VmbChannelGetPointer"))


@fault("channel-no-use-after-cleanup", "request on another thread", "echo")
def request_after_cleanup(inject: Injector) -> None:
    """Another thread of a client sends a request over a channel that has just been cleaned up."""
    request = on_channel(inject, SYNC, sync(1, None), REMOVED, elsewhere=True)
    inject.at(client_of(inject).lib, "cleanup", "after", request)


@fault("channel-no-use-after-cleanup", "while Cleanup is running", "echo")
def enable_during_cleanup(inject: Injector) -> None:
    """One thread of a server enables a channel that another one is cleaning up."""
    server = server_of(inject)

    def meet(t: Thread, channel: Channel) -> Task:
        server.lib.record(t, "call", CLEANUP, f" Channel{channel.handle}")
        yield from on_channel(inject, ENABLE, then="stops", elsewhere=True)(t, channel)

    inject.at(server.lib, "cleanup", "instead", meet)


@fault("channel-no-use-after-cleanup", "packet for it", "echo")
def packet_after_cleanup(inject: Injector) -> None:
    """A client asks for a packet of a channel that it has cleaned up."""

    def allocate(t: Thread, channel: Channel, *_: object) -> Task:
        inject.mark(t)
        yield from inject.call(
            t, "VmbPacketAllocate", f" Channel{channel.handle}", back=f" Channel{channel.handle} return=0x0"
        )

    inject.at(client_of(inject).lib, "cleanup", "after", allocate)


@fault("channel-cleanup-disabled", "Disable left out", "echo")
def cleanup_enabled(inject: Injector) -> None:
    """A server cleans up its channel without Disable."""

    def skip(t: Thread, channel: Channel) -> Task:
        while channel.outstanding:  # what it owes at its end is judged there
            yield channel.signal
        yield from cleanup(t, channel)

    cleanup = on_channel(inject, CLEANUP, then="stops")
    inject.at(server_of(inject).lib, "disable", "before", skip, _left_enabled)


@fault("channel-cleanup-disabled", "open", "echo")
def cleanup_open(inject: Injector) -> None:
    """A client cleans up a channel over which it is still sending."""
    inject.at(client_of(inject).lib, "send", "before", on_channel(inject, CLEANUP, then="stops"))


@fault("channel-cleanup-disabled", "while Disable is running", "echo")
def cleanup_during_disable(inject: Injector) -> None:
    """One thread of a client cleans up the channel that another one is closing."""
    cleanup = on_channel(inject, CLEANUP, then="stops", elsewhere=True)
    inject.at(client_of(inject), "suspend", "before", cleanup, _closing)


@fault("channel-cleanup-disabled", "in the Closed callback", "echo")
def cleanup_in_closed(inject: Injector) -> None:
    """A server cleans up its channel when the client closes."""
    inject.at(server_of(inject), "closed", "after", on_channel(inject, CLEANUP, then="stops"))


@fault("channel-cleaned-up", "server", "echo")
def server_not_cleaned_up(inject: Injector) -> None:
    """A server forgets Cleanup."""
    _forget(inject, server_of(inject).lib, "cleanup")


@fault("channel-cleaned-up", "client", "echo")
def client_not_cleaned_up(inject: Injector) -> None:
    """A client forgets Cleanup."""
    _forget(inject, client_of(inject).lib, "cleanup")


@fault("channel-cleaned-up", "after a failed Enable", "echo")
def failed_not_cleaned_up(inject: Injector) -> None:
    """A client whose Enable failed leaves without Cleanup."""
    client = client_of(inject)

    def give_up(t: Thread) -> Task:
        channel = yield from client.create(t)
        yield from client.lib.enable(t, channel, fails=True)
        inject.mark_end(t)

    inject.at(client, "main", "instead", give_up)


@fault("channel-cleaned-up", "given up during configuration", "echo")
def unconfigured_not_cleaned_up(inject: Injector) -> None:
    """A server's configuration fails; it takes another channel and forgets the first one."""
    server = server_of(inject)

    def make(create: Callable[..., Task]) -> Callable[..., Task]:
        def twice(t: Thread) -> Task:
            channel = yield from server.lib.allocate(t, server, server.link, True)
            yield from server.lib.init(t, channel, MAX_PACKET, " PacketSize=65536", FAILED)
            inject.mark_end(t)
            return (yield from create(t))

        return twice

    replace(server, "create", make)


def _forget(inject: Injector, target: object, method: str) -> None:
    def nothing(t: Thread, *_: object) -> Task:
        inject.mark_end(t)
        yield from ()

    inject.at(target, method, "instead", nothing)


# Configuration, Enable, Start.


@fault("init-before-enable", "right after Enable", "echo")
def init_after_enable(inject: Injector) -> None:
    """A server sets the name of a channel that it has already enabled."""
    name = on_channel(inject, NAME, NAME_SCALARS, WRONG_STATE)
    inject.at(server_of(inject).lib, "enable", "after", name, _works)


@fault("init-before-enable", "in the Opened callback", "echo")
def init_in_opened(inject: Injector) -> None:
    """A server sets flags in its Opened callback."""
    flags = on_channel(inject, "VmbServerChannelInitSetFlags", " Flags=1", WRONG_STATE)
    inject.at(server_of(inject), "opened", "before", flags)


@fault("init-before-enable", "while packets flow", "echo")
def init_while_sending(inject: Injector) -> None:
    """A client declares its external data right before it sends."""
    declare = on_channel(inject, MAX_EXTERNAL, " DataSize=65536 ChainLength=16", WRONG_STATE)
    inject.at(client_of(inject).lib, "send", "before", declare)


@fault("init-before-enable", "after the client's close", "echo")
def init_after_close(inject: Injector) -> None:
    """A server sets a new maximum when the client has closed, as if its channel were Disabled now."""
    after_close(inject, on_channel(inject, MAX_PACKET, " PacketSize=8192", WRONG_STATE))


@fault("enable-when-disabled", "twice", "echo")
def enable_twice(inject: Injector) -> None:
    """A client enables its channel twice in a row."""
    inject.at(client_of(inject).lib, "enable", "after", on_channel(inject, ENABLE, then="stops"), _works)


@fault("enable-when-disabled", "two threads at once", "echo")
def enable_race(inject: Injector) -> None:
    """Two threads of a server enable its channel at the same time."""
    server = server_of(inject)

    def race(t: Thread, channel: Channel, **_: bool) -> Task:
        server.lib.record(t, "call", ENABLE, f" Channel{channel.handle}")
        yield inject.kernel.random() * 1000
        yield from on_channel(inject, ENABLE, then="stops", elsewhere=True)(t, channel)

    inject.at(server.lib, "enable", "instead", race, _works)


@fault("enable-when-disabled", "in the Closed callback", "echo")
def enable_in_closed(inject: Injector) -> None:
    """A client enables its channel again inside of the Closed callback."""
    inject.at(client_of(inject), "closed", "after", on_channel(inject, ENABLE, then="stops"))


@fault("enable-when-disabled", "after the client's close", "echo")
def enable_after_close(inject: Injector) -> None:
    """A server enables its channel again when the client has closed; it still is enabled."""
    after_close(inject, on_channel(inject, ENABLE, then="stops"))


@fault("enable-when-disabled", "while open", "echo")
def enable_open(inject: Injector) -> None:
    """Another thread of a client enables the channel while it is sending."""
    again = on_channel(inject, ENABLE, then="stops", elsewhere=True)
    inject.at(client_of(inject).lib, "send", "before", again)


@fault("start-when-enabled", "before Enable", "echo")
def start_before_enable(inject: Injector) -> None:
    """A server starts its channel before it enables it."""
    inject.at(server_of(inject).lib, "enable", "before", on_channel(inject, START))


@fault("start-when-enabled", "after Disable", "echo")
def start_after_disable(inject: Injector) -> None:
    """A server starts its channel when it has disabled it."""
    inject.at(server_of(inject).lib, "disable", "after", on_channel(inject, START))


@fault("start-when-enabled", "after a failed Enable", "echo")
def start_after_failure(inject: Injector) -> None:
    """A client does not look at the result of Enable and starts its channel."""
    client = client_of(inject)

    def careless(t: Thread) -> Task:
        channel = yield from client.create(t)
        yield from client.lib.enable(t, channel, fails=True)
        yield from on_channel(inject, START)(t, channel)
        yield from client.lib.cleanup(t, channel)

    inject.at(client, "main", "instead", careless)


@fault("server-start-eventually", "left out", "echo")
def never_started(inject: Injector) -> None:
    """A server forgets Start."""
    _forget(inject, server_of(inject).lib, "start")


@fault("server-start-eventually", "Pause instead", "echo")
def paused_instead(inject: Injector) -> None:
    """A server calls Pause where Start belongs."""
    server = server_of(inject)

    def pause(t: Thread, channel: Channel) -> Task:
        inject.mark_end(t)
        yield from server.lib.pause(t, channel)

    inject.at(server.lib, "start", "instead", pause)


@fault("server-start-eventually", "sub-channel", "sub-channels")
def sub_channel_never_started(inject: Injector) -> None:
    """A server starts its primary channel and forgets the sub-channels."""
    server = server_of(inject)

    def nothing(t: Thread, channel: Channel) -> Task:
        inject.mark_end(t)
        yield from ()

    inject.at(server.lib, "start", "instead", nothing, lambda t, channel: channel.driver is not server)
