"""Faults of drivers with channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from kmclcheck.engines.simulate.faults.injector import Injector, fault
from kmclcheck.engines.simulate.faults.tools import client_of, last, server_of
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Packet, Received

Then = Literal["goes on", "stops", "hangs"]
"""What comes after a wrong call: it returns; the trace ends with it; it never returns."""

FAILED, REMOVED, CANCELLED = " status=0xc0000001", " status=0xc00002b6", " status=0xc0000120"
WRONG_STATE, ZERO_2, ZERO_3 = " status=0xc00000ef", " status=0xc00000f0", " status=0xc00000f1"
ENABLE, DISABLE, CLEANUP = "VmbChannelEnable", "VmbChannelDisable", "VmbChannelCleanup"
START, PAUSE = "VmbChannelStart", "VmbChannelPause"
NAME, NAME_SCALARS = "VmbChannelInitSetFriendlyName", " Name=0xfffff8026b1c5040"
MAX_PACKET, MAX_EXTERNAL = "VmbChannelInitSetMaximumPacketSize", "VmbChannelInitSetMaximumExternalData"
LATENCY, LATENCY_SCALARS = "VmbChannelSetInterruptLatency", " Latency=250"
MMIO, QUOTA = "VmbChannelGetMmioSpace", "VmbChannelSetTransactionQuota"
MMIO_SCALARS = " MmioAddress=0xffffd10a5b2ef5a0 MmioSize=0xffffd10a5b2ef5a8"
CREATE = "VmbChannelCreateGpadlFromBuffer"
CREATE_SCALARS = " Flags=0 Buffer=0xffffbc8070008000 ByteCount=2097152"
SYNC = "VmbChannelSendSynchronousRequest"


def sync(flags: int, timeout: int | None, room: int = 64) -> str:
    """Return the arguments of a synchronous request; no timeout: it waits for as long as it takes."""
    until = " Timeout=0" if timeout is None else f" Timeout=0xffffd10a5b2ef4e8 TimeoutValue={timeout}"
    return (
        f" Buffer=0xffffbc8061003000 BufferSize=32 ExternalDataMdl=0 Flags={flags:#x}"
        f" CompletionBuffer=0xffffbc8061004000 CompletionBufferSize=0xffffd10a5b2ef4e0"
        f" CompletionBufferSizeValue={room}{until}"
    )


def wrong(
    inject: Injector, t: Thread, name: str, handles: str, scalars: str = "", result: str = "",
    then: Then = "goes on",
) -> Task:  # fmt: skip
    """Log a wrong call, unless the fault has already happened."""
    if inject.place is not None:
        return
    if then == "stops":
        yield from last(inject, t, "call", name, handles, scalars)
    inject.mark(t)
    if then == "hangs":
        yield from inject.hang(t, name, handles, scalars)
    yield from inject.call(t, name, handles, scalars, result)


def on_channel(
    inject: Injector, name: str, scalars: str = "", result: str = "", then: Then = "goes on",
    elsewhere: bool = False,
) -> Callable[..., Task]:  # fmt: skip
    """Return an action that makes a wrong call on the channel at hand, perhaps on another thread."""

    def action(t: Thread, at_hand: Channel | Packet | Received, *_: object, **more: object) -> Task:
        channel = at_hand if isinstance(at_hand, Channel) else channel_of(at_hand)
        thread = t.endpoint.thread() if elsewhere else t
        yield from wrong(inject, thread, name, f" Channel{channel.handle}", scalars, result, then)

    return action


def channel_of(packet: object) -> Channel:
    """Return the channel of an outgoing or of a received packet."""
    channel = getattr(packet, "channel", None)
    assert isinstance(channel, Channel)
    return channel


def _is(life: str) -> Callable[..., bool]:
    return lambda t, channel, *_, **more: channel.life == life


def _idle(t: Thread, channel: Channel) -> bool:
    """Return whether a channel owes nothing: what it owes at its end is judged there."""
    return not channel.outstanding


def _closing(t: Thread, channel: Channel) -> bool:
    """Return whether a channel closes because its own driver disables it."""
    return channel.disabling


def _remote(t: Thread, channel: Channel, slot: str, routine: object) -> bool:
    """Return whether a callback says that the peer has closed."""
    return slot == "Closed" and not channel.disabling


def closed_by_server(inject: Injector) -> None:
    """Let the server leave while the client is still sending."""
    server = server_of(inject)

    def leave_early(t: Thread) -> Task:
        channel = yield from server.up(t)
        while not server.leaving and channel.life != "Open":
            yield channel.signal
        yield inject.kernel.random() * 20_000
        yield from server.down(t)

    server.main = leave_early  # type: ignore[method-assign]


def _opened_later(inject: Injector, action: Callable[..., Task]) -> None:
    """Have a client do something when its channel is enabled and not yet being opened."""

    def before_opened(t: Thread, channel: Channel, *_: object) -> Task:
        if channel.life == "Enabled":
            yield from action(t, channel)

    inject.at(client_of(inject).lib, "enable", "after", before_opened)


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
    inject.at(server_of(inject).lib, "disable", "before", on_channel(inject, CLEANUP, then="stops"), _idle)


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


def _forget(inject: Injector, target: object, method: str) -> None:
    def nothing(t: Thread, *_: object) -> Task:
        inject.mark_end(t)
        yield from ()

    inject.at(target, method, "instead", nothing)


# Configuration, Enable, Start.


@fault("init-before-enable", "right after Enable", "echo")
def init_after_enable(inject: Injector) -> None:
    """A server sets the name of a channel that it has already enabled."""
    inject.at(
        server_of(inject).lib, "enable", "after", on_channel(inject, NAME, NAME_SCALARS, WRONG_STATE)
    )  # fmt: skip


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
    larger = on_channel(inject, MAX_PACKET, " PacketSize=8192", WRONG_STATE)
    inject.at(server_of(inject).lib, "disable", "before", larger, _is("Enabled"))


@fault("enable-when-disabled", "twice", "echo")
def enable_twice(inject: Injector) -> None:
    """A client enables its channel twice in a row."""
    inject.at(client_of(inject).lib, "enable", "after", on_channel(inject, ENABLE, then="stops"))


@fault("enable-when-disabled", "two threads at once", "echo")
def enable_race(inject: Injector) -> None:
    """Two threads of a server enable its channel at the same time."""
    server = server_of(inject)

    def race(t: Thread, channel: Channel) -> Task:
        server.lib.record(t, "call", ENABLE, f" Channel{channel.handle}")
        yield inject.kernel.random() * 1000
        yield from on_channel(inject, ENABLE, then="stops", elsewhere=True)(t, channel)

    inject.at(server.lib, "enable", "instead", race)


@fault("enable-when-disabled", "in the Closed callback", "echo")
def enable_in_closed(inject: Injector) -> None:
    """A client enables its channel again inside of the Closed callback."""
    inject.at(client_of(inject), "closed", "after", on_channel(inject, ENABLE, then="stops"))


@fault("enable-when-disabled", "after the client's close", "echo")
def enable_after_close(inject: Injector) -> None:
    """A server enables its channel again when the client has closed; it still is enabled."""
    again = on_channel(inject, ENABLE, then="stops")
    inject.at(server_of(inject).lib, "disable", "before", again, _is("Enabled"))


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


# Calls that belong between Opened and Closed.


@fault("client-reenable-after-close", "buffer after Disable", "echo")
def buffer_after_disable(inject: Injector) -> None:
    """A client shares a buffer over a channel that it has closed."""
    inject.at(
        client_of(inject).lib, "disable", "after", on_channel(inject, CREATE, CREATE_SCALARS, REMOVED)
    )  # fmt: skip


@fault("client-reenable-after-close", "latency after Disable", "echo")
def latency_after_disable(inject: Injector) -> None:
    """Another thread of a client sets the latency of a channel that was closed."""
    late = on_channel(inject, LATENCY, LATENCY_SCALARS, FAILED, elsewhere=True)
    inject.at(client_of(inject).lib, "disable", "after", late)


@fault("client-reenable-after-close", "buffer after the server's close", "echo")
def buffer_after_close(inject: Injector) -> None:
    """A server closes; a work item of the client shares a buffer all the same."""
    closed_by_server(inject)
    create = on_channel(inject, CREATE, CREATE_SCALARS, REMOVED, elsewhere=True)
    inject.at(client_of(inject).lib, "_state", "after", create, _remote)


@fault("client-reenable-after-close", "latency after the server's close", "echo")
def latency_after_remote_close(inject: Injector) -> None:
    """A server closes; another thread of the client sets the latency all the same."""
    closed_by_server(inject)
    late = on_channel(inject, LATENCY, LATENCY_SCALARS, FAILED, elsewhere=True)
    inject.at(client_of(inject).lib, "_state", "after", late, _remote)


@fault("interrupt-latency-when-open", "before Enable", "echo")
def latency_before_enable(inject: Injector) -> None:
    """A client sets the latency along with its configuration."""
    early = on_channel(inject, LATENCY, LATENCY_SCALARS, FAILED)
    inject.at(client_of(inject).lib, "enable", "before", early)


@fault("interrupt-latency-when-open", "before Opened", "echo")
def latency_before_opened(inject: Injector) -> None:
    """A client sets the latency when Enable has returned, without waiting for Opened."""
    _opened_later(inject, on_channel(inject, LATENCY, LATENCY_SCALARS, FAILED))


@fault("interrupt-latency-when-open", "after Closed, on a server", "echo")
def latency_after_close(inject: Injector) -> None:
    """A server sets the latency when the client has closed."""
    late = on_channel(inject, LATENCY, LATENCY_SCALARS, FAILED)
    inject.at(server_of(inject).lib, "disable", "before", late, _is("Enabled"))


@fault("mmio-space-after-opened", "before Enable", "echo")
def mmio_before_enable(inject: Injector) -> None:
    """A server asks for the MMIO range before it enables its channel."""
    inject.at(server_of(inject).lib, "enable", "before", on_channel(inject, MMIO, MMIO_SCALARS))


@fault("mmio-space-after-opened", "before Opened", "echo")
def mmio_before_opened(inject: Injector) -> None:
    """A client asks for the MMIO range when Enable has returned, without waiting for Opened."""
    _opened_later(inject, on_channel(inject, MMIO, MMIO_SCALARS))


@fault("mmio-space-after-opened", "never opened", "echo")
def mmio_never_opened(inject: Injector) -> None:
    """A client whose Enable failed asks for the MMIO range."""
    client = client_of(inject)

    def careless(t: Thread) -> Task:
        channel = yield from client.create(t)
        yield from client.lib.enable(t, channel, fails=True)
        yield from on_channel(inject, MMIO, MMIO_SCALARS)(t, channel)
        yield from client.lib.cleanup(t, channel)

    inject.at(client, "main", "instead", careless)


# Roles.


@fault("role-client-only", "ring size of a server", "echo")
def ring_size_of_server(inject: Injector) -> None:
    """A server sets the size of the rings."""
    rings = " IncomingPageCount=16 OutgoingPageCount=16"
    size = on_channel(inject, "VmbClientChannelInitSetRingBufferPageCount", rings, WRONG_STATE)
    inject.at(server_of(inject), "configure", "after", size)


@fault("role-client-only", "buffer of a server", "echo")
def buffer_of_server(inject: Injector) -> None:
    """A server shares a buffer in its Opened callback."""
    inject.at(server_of(inject), "opened", "before", on_channel(inject, CREATE, CREATE_SCALARS, FAILED))


@fault("role-client-only", "buffer ended by a server", "echo")
def delete_of_server(inject: Injector) -> None:
    """A server deletes a buffer where it should unmap it."""
    delete = on_channel(inject, "VmbChannelDeleteGpadl", " GpadlHandle=0xe1e10")
    inject.at(server_of(inject), "process", "before", delete)


@fault("role-server-only", "flags of a client", "echo")
def flags_of_client(inject: Injector) -> None:
    """A client sets server flags."""
    flags = on_channel(inject, "VmbServerChannelInitSetFlags", " Flags=1", WRONG_STATE)
    inject.at(client_of(inject), "configure", "after", flags)


@fault("role-server-only", "mapped by a client", "echo")
def map_of_client(inject: Injector) -> None:
    """A client maps a buffer before it sends a packet."""
    mapping = on_channel(inject, "VmbChannelMapGpadl", " Flags=0 GpadlHandle=0xe1e10", FAILED)
    inject.at(client_of(inject).lib, "send", "before", mapping)


@fault("role-server-only", "saved by a client", "echo")
def save_of_client(inject: Injector) -> None:
    """A client wants to save its packets before it leaves."""
    inject.at(
        client_of(inject).lib, "disable", "before", on_channel(inject, "VmbChannelSaveBegin", "", FAILED)
    )  # fmt: skip


@fault("role-server-only", "restored by a client", "echo")
def restore_of_client(inject: Injector) -> None:
    """A client restores a packet where it should send it."""

    def restore(t: Thread, packet: Packet, *_: object, **more: object) -> Task:
        scalars = " Buffer=0x4000 BufferSize=64"
        yield from wrong(
            inject, t, "VmbPacketRestore", f" PacketObject{packet.handle}", scalars, FAILED
        )  # fmt: skip

    inject.at(client_of(inject).lib, "send", "before", restore)


# Arguments.


def _configure(inject: Injector, target: object, name: str, scalars: str, result: str) -> None:
    """Have a wrong value refused among the configuration calls, at any place."""
    inject.at(target, "init", "before", on_channel(inject, name, scalars, result))


@fault("max-packet-size-nonzero", "configuration", "echo")
def zero_packet_size(inject: Injector) -> None:
    """A server sets a maximum of zero, and nothing happens."""
    _configure(inject, server_of(inject).lib, MAX_PACKET, " PacketSize=0", ZERO_2)


@fault("max-packet-size-nonzero", "after Disable", "echo")
def zero_packet_size_again(inject: Injector) -> None:
    """A client sets a maximum of zero after its last packet."""
    clear = on_channel(inject, MAX_PACKET, " PacketSize=0", ZERO_2)
    inject.at(client_of(inject).lib, "cleanup", "before", clear)


@fault("max-external-data-nonzero", "size", "echo")
def zero_external_size(inject: Injector) -> None:
    """A client declares external data of no size."""
    _configure(inject, client_of(inject).lib, MAX_EXTERNAL, " DataSize=0 ChainLength=16", ZERO_2)


@fault("max-external-data-nonzero", "chain", "echo")
def zero_external_chain(inject: Injector) -> None:
    """A server declares external data in a chain of no length."""
    _configure(inject, server_of(inject).lib, MAX_EXTERNAL, " DataSize=65536 ChainLength=0", ZERO_3)


@fault("quota-nonzero", "configuration", "echo")
def zero_quota(inject: Injector) -> None:
    """A server sets a quota of zero along with its configuration."""
    _configure(inject, server_of(inject).lib, QUOTA, " Quota=0", "")


@fault("quota-nonzero", "in a delivery", "echo")
def zero_quota_in_delivery(inject: Injector) -> None:
    """A server wants to hold back its client and sets the quota to zero in a delivery."""
    inject.at(server_of(inject), "process", "before", on_channel(inject, QUOTA, " Quota=0"))
