"""Faults of drivers with calls at the wrong end, at the wrong time or with wrong arguments."""

from __future__ import annotations

from collections.abc import Callable

from kmclcheck.engines.simulate.faults.injector import Injector, fault
from kmclcheck.engines.simulate.faults.tools import (
    CREATE,
    CREATE_SCALARS,
    FAILED,
    LATENCY,
    LATENCY_SCALARS,
    MAX_EXTERNAL,
    MAX_PACKET,
    MMIO,
    MMIO_SCALARS,
    QUOTA,
    REMOVED,
    WRONG_STATE,
    ZERO_2,
    ZERO_3,
    after_close,
    client_of,
    closed_by_server,
    on_channel,
    server_of,
    wrong,
)
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Packet

PRIMARY = "VmbChannelInitSetPrimaryChannel"


def _remote(t: Thread, channel: Channel, slot: str, routine: object) -> bool:
    """Return whether a callback says that the peer has closed."""
    return slot == "Closed" and not channel.disabling and not channel.server


def _opened_later(inject: Injector, action: Callable[..., Task]) -> None:
    """Have a client do something when its channel is enabled and not yet being opened."""

    def before_opened(t: Thread, channel: Channel, *_: object) -> Task:
        if channel.life == "Enabled":
            yield from action(t, channel)

    inject.at(client_of(inject).lib, "enable", "after", before_opened)


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
    after_close(inject, on_channel(inject, LATENCY, LATENCY_SCALARS, FAILED))


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


@fault("max-packet-size-nonzero", "taken back", "echo")
def zero_packet_size_last(inject: Injector) -> None:
    """A client that has set a maximum sets it to zero before Enable, as if that lifted it."""
    clear = on_channel(inject, MAX_PACKET, " PacketSize=0", ZERO_2)
    inject.at(client_of(inject), "configure", "after", clear)


@fault("max-packet-size-nonzero", "sub-channel", "sub-channels")
def zero_packet_size_of_sub_channel(inject: Injector) -> None:
    """A server gives a sub-channel a maximum of zero where the default would do."""
    inject.at(
        server_of(inject).lib, "init", "before", on_channel(inject, MAX_PACKET, " PacketSize=0", ZERO_2),
        lambda t, channel, name, *_: name == PRIMARY,
    )  # fmt: skip


@fault("max-external-data-nonzero", "both", "external-data-pending")
def zero_external_data(inject: Injector) -> None:
    """A client wants no external data and says so with zeros."""
    _configure(inject, client_of(inject).lib, MAX_EXTERNAL, " DataSize=0 ChainLength=0", ZERO_2)


@fault("max-external-data-nonzero", "after Disable", "echo")
def zero_external_data_again(inject: Injector) -> None:
    """A server declares external data of no size when it has disabled its channel."""
    clear = on_channel(inject, MAX_EXTERNAL, " DataSize=0 ChainLength=1", ZERO_2)
    inject.at(server_of(inject).lib, "cleanup", "before", clear)


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


@fault("quota-nonzero", "while packets flow", "echo")
def zero_quota_elsewhere(inject: Injector) -> None:
    """Another thread of a client sets the quota to zero while packets flow."""
    inject.at(client_of(inject).lib, "send", "before", on_channel(inject, QUOTA, " Quota=0", elsewhere=True))


@fault("quota-nonzero", "in the Suspend callback", "echo")
def zero_quota_in_suspend(inject: Injector) -> None:
    """A client wants no more packets and sets the quota to zero in the Suspend callback."""
    inject.at(client_of(inject), "suspend", "before", on_channel(inject, QUOTA, " Quota=0"))
