"""Faults of drivers with sends: their arguments, and when they may be made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kmclcheck.engines.simulate.drivers.common import ChannelDriver
from kmclcheck.engines.simulate.faults.injector import How, Injector, fault
from kmclcheck.engines.simulate.faults.packet_tools import (
    INITIALIZE,
    SEND,
    SEND_MDL,
    SEND_PFNS,
    again,
    comes_often,
    initialized,
    leaves_early,
    send_scalars,
    sends_before,
    slow,
    suspension,
    use_packet,
    with_much_to_do,
    with_own_storage,
)
from kmclcheck.engines.simulate.faults.tools import MAX_PACKET, WRONG_STATE, Then, client_of, server_of, wrong
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Packet

# Too long.


def _longer(length: int) -> Callable[[str], str]:
    """Return what replaces the length of a send."""

    def new(scalars: str) -> str:
        return " ".join(
            f"BufferLength={length}" if one.startswith("BufferLength=") else one for one in scalars.split(" ")
        )

    return new


@fault("send-within-max-size", "one byte too long", "echo")
def send_too_long(inject: Injector) -> None:
    """A client sends one byte more than it may."""
    inject.change(client_of(inject).lib, "call", (SEND,), _longer(4097))


@fault("send-within-max-size", "with external data", "external-data-pending")
def send_external_too_long(inject: Injector) -> None:
    """A client puts data into the packet instead of describing it."""
    inject.change(client_of(inject).lib, "call", (SEND_MDL, SEND_PFNS), _longer(65536))


@fault("send-within-max-size", "in a completion routine", "echo")
def send_answer_too_long(inject: Injector) -> None:
    """A client puts all that is left into one packet when the first one is back."""
    client = client_of(inject)
    inject.at(
        client, "completed", "before",
        lambda t, packet, _: use_packet(inject, t, SEND, packet, send_scalars(8192)),
        lambda *_: client.gate,
    )  # fmt: skip


@fault("send-within-max-size", "larger maximum refused", "echo")
def send_beyond_old_maximum(inject: Injector) -> None:
    """A client is refused a larger maximum and sends as if it had got it."""
    client = client_of(inject)

    def ask(t: Thread, channel: Channel) -> Task:
        worked = yield from configure(t, channel)
        yield from inject.call(
            t, MAX_PACKET, f" Channel{channel.handle}", " PacketSize=65536", WRONG_STATE
        )  # fmt: skip
        return worked

    configure = client.configure
    client.configure = ask  # type: ignore[method-assign]
    inject.change(client.lib, "call", (SEND,), _longer(8192))


# External data without the wait flag.


def _flags(flags: int) -> Callable[[str], str]:
    """Return what replaces the flags of a send."""
    return lambda scalars: f"{scalars.rpartition('=')[0]}={flags:#x}"


_MDL = (
    " Buffer=0xffffbc8061003000 BufferLength=64 ExternalDataMdl=0xffffbc8070008000 MdlOffset=0 MdlLength=4096"
)
_PFNS = " Buffer=0xffffbc8061003000 BufferLength=64 ExternalDataPfns=0xffffbc8070009000 PfnLength=2"


@fault("external-send-waits", "MDL", "external-data-pending")
def mdl_without_wait(inject: Injector) -> None:
    """A client wants no answer to a packet with an MDL."""
    inject.change(client_of(inject).lib, "call", (SEND_MDL,), _flags(0))


@fault("external-send-waits", "page frames", "external-data-pending")
def pfns_without_wait(inject: Injector) -> None:
    """A client gives another flag only in a packet with page frame numbers."""
    inject.change(client_of(inject).lib, "call", (SEND_PFNS,), _flags(4))


@fault("external-send-waits", "refused, on another thread", "external-data-pending")
def refused_without_wait(inject: Injector) -> None:
    """A thread of a client forgets the flag, and the send is refused; the next one has it."""
    inject.at(
        client_of(inject).lib, "send", "before",
        lambda t, packet, *_, **more: use_packet(
            inject, t.endpoint.thread(), SEND_MDL, packet, f"{_MDL} Flags=0x2"
        ),
    )  # fmt: skip


@fault("external-send-waits", "in a completion routine", "external-data-pending")
def completed_without_wait(inject: Injector) -> None:
    """A client sends the next data in a completion routine, and forgets the flag."""
    client = client_of(inject)
    inject.at(
        client, "completed", "before",
        lambda t, packet, _: use_packet(inject, t, SEND_PFNS, packet, f"{_PFNS} Flags=0"),
        lambda *_: client.gate,
    )  # fmt: skip


# Storage that is too small.


def _measure(t: Thread, channel: Channel, size: int = 384) -> Task:
    """Ask how large a packet is."""
    handles = f" Channel{channel.handle}"
    lib = channel.driver.lib
    yield from lib.simple(t, "VmbChannelSizeofPacket", handles, "", "", f" return={size}")


def _make(
    inject: Injector, t: Thread, channel: Channel, size: int, storage: int = 0, then: Then = "goes on"
) -> Task:
    """Make a packet in memory that is too small; the call fails."""
    storage = storage or channel.driver.lib.packet_handles.take()
    handles = f" Channel{channel.handle} VmbPacket={storage:#x}"
    yield from wrong(inject, t, INITIALIZE, handles, f" ByteCount={size}", " status=0xc00000f1", then)


@fault("packet-initialize-size", "before Enable", "echo")
def small_before_enable(inject: Injector) -> None:
    """A client makes a packet in 64 bytes of its own before it enables its channel."""

    def make(t: Thread, channel: Channel, fails: bool = False) -> Task:
        yield from _measure(t, channel)
        yield from _make(inject, t, channel, 64)

    _at(inject, client_of(inject), "enable", "before", make)


@fault("packet-initialize-size", "one byte too small, on another thread", "server-offers")
def small_by_one(inject: Injector) -> None:
    """A thread of a client asks for the size, and another one gives a byte too few."""

    def make(t: Thread, channel: Channel, *_: object, **more: object) -> Task:
        yield from _measure(t, channel)
        yield from _make(inject, t.endpoint.thread(), channel, 383)

    _at(inject, client_of(inject), "allocate_packet", "before", make)


@fault("packet-initialize-size", "in a completion routine", "server-offers")
def small_anew(inject: Injector) -> None:
    """A client makes the next packet where one is back, and says that nothing is there."""
    client = with_own_storage(client_of(inject))

    def make(t: Thread, packet: Packet, status: int) -> Task:
        yield from _measure(t, packet.channel)
        yield from _make(inject, t, packet.channel, 0, int(packet.handle[1:], 16))

    inject.at(client, "completed", "before", make, initialized)


@fault("packet-initialize-size", "larger after a second open", "comes-back")
def small_reopened(inject: Injector) -> None:
    """A client configures its channel anew; packets are larger now, and its memory is as it was."""
    comes_often(inject)
    client = with_own_storage(client_of(inject))
    reopened = again(inject, client)

    def make(t: Thread, channel: Channel, storage: int, *_: object, **more: object) -> Task:
        yield from _measure(t, channel, 512)
        yield from _make(inject, t, channel, 384, storage, "stops")

    inject.at(
        client.lib, "initialize_packet", "before", make,
        lambda t, channel, *_, **more: channel.driver is client and reopened(),
    )  # fmt: skip


# While suspended.


def _at(
    inject: Injector, driver: ChannelDriver, method: str, how: How, action: Callable[..., Task],
    when: Callable[[Channel], bool] = lambda _: True,
) -> None:  # fmt: skip
    """Do something before or after a call about a driver's channel."""
    inject.at(
        driver.lib, method, how, action,
        lambda t, channel, *_, **more: channel.driver is driver and when(channel),
    )  # fmt: skip


def _send_new(inject: Injector, t: Thread, channel: Channel, allowed: Callable[[Channel], bool]) -> Task:
    """Allocate a packet, send it if that is a fault now, and free it."""
    lib = channel.driver.lib
    packet = yield from lib.allocate_packet(t, channel)
    if allowed(channel):
        yield from use_packet(inject, t, SEND, packet)
    yield from lib.free(t, packet)


def _after_state(
    inject: Injector, driver: ChannelDriver, slot: str, when: Callable[[Channel], bool], stops: bool = False
) -> None:
    """Another thread sends a packet, which it has already, right after a state callback."""
    lib = driver.lib

    def send(t: Thread, channel: Channel, *more: Any) -> Task:
        packet = yield from lib.allocate_packet(t, channel)
        status = yield from original(t, channel, *more)
        other = t.endpoint.thread()
        yield from use_packet(inject, other, SEND, packet, then="stops" if stops else "goes on")
        yield from lib.free(other, packet)
        return status

    original = lib._state
    inject.at(
        lib, "_state", "instead", send,
        lambda t, channel, found, _: channel.driver is driver and found == slot and when(channel),
    )  # fmt: skip


@fault("packet-no-send-while-suspended", "after Suspend, on another thread", "echo")
def send_after_suspend(inject: Injector) -> None:
    """A thread of a client sends a packet when Suspend has just returned."""
    _after_state(inject, client_of(inject), "Suspend", lambda _: True)


@fault("packet-no-send-while-suspended", "in a completion routine", "pause-resume")
def send_completed_suspended(inject: Injector) -> None:
    """A completion routine of a client sends the next packet although the channel is suspended."""
    client, server = client_of(inject), server_of(inject)
    slow(server, 30_000.0)

    def pause(t: Thread) -> Task:
        assert client.channel is not None
        yield from client.lib.pause(t, client.channel)
        yield 80_000.0  # long enough for an answer
        yield from client.lib.start(t, client.channel)

    client.pause_and_resume = pause  # type: ignore[method-assign]
    sends_before(client, "pause_and_resume", 4)
    shut = suspension(client)
    inject.at(
        client, "completed", "before",
        lambda t, packet, _: use_packet(inject, t, SEND, packet),
        lambda t, packet, _: shut(packet.channel),
    )  # fmt: skip


@fault("packet-no-send-while-suspended", "paused", "pause-resume")
def send_paused(inject: Injector) -> None:
    """A client sends a packet over the channel that it has paused."""
    client = client_of(inject)
    shut = suspension(client)
    _at(
        inject, client, "pause", "after",
        lambda t, channel, _: _send_new(inject, t, channel, shut),
    )  # fmt: skip


@fault("packet-no-send-while-suspended", "in the Closed callback", "echo")
def send_in_closed(inject: Injector) -> None:
    """A client says goodbye to the server in the Closed callback."""
    client = client_of(inject)
    leaves_early(inject)
    shut = suspension(client)
    inject.at(
        client, "closed", "before",
        lambda t, channel: _send_new(inject, t, channel, shut), lambda t, channel: shut(channel),
    )  # fmt: skip


@fault("packet-no-send-while-suspended", "at the second Suspend", "comes-back")
def send_suspended_again(inject: Injector) -> None:
    """A thread of a server did not notice that the channel was suspended for a second time."""
    comes_often(inject)
    server = server_of(inject)
    reopened = again(inject, server)
    _after_state(inject, server, "Suspend", lambda _: reopened())


# While disabled.


def _disabled(channel: Channel) -> bool:
    return channel.life == "Disabled"


@fault("packet-no-send-when-disabled", "before Enable", "echo")
def send_before_enable(inject: Injector) -> None:
    """A client sends its first packet before it enables its channel."""
    _at(
        inject, client_of(inject), "enable", "before",
        lambda t, channel, **_: _send_new(inject, t, channel, _disabled),
    )  # fmt: skip


@fault("packet-no-send-when-disabled", "after Disable", "echo")
def send_after_disable(inject: Injector) -> None:
    """A server sends a packet over the channel that it has disabled."""
    _at(
        inject, server_of(inject), "disable", "after",
        lambda t, channel, _: _send_new(inject, t, channel, _disabled),
    )  # fmt: skip


@fault("packet-no-send-when-disabled", "after Closed, on another thread", "echo")
def send_after_close(inject: Injector) -> None:
    """A thread of a client sends a packet when the server has closed."""
    leaves_early(inject)
    with_much_to_do(client_of(inject))
    _after_state(inject, client_of(inject), "Closed", lambda _: True, stops=True)


@fault("packet-no-send-when-disabled", "between two opens", "comes-back")
def send_between(inject: Injector) -> None:
    """A client whose channel was closed sends a packet and only then enables it again."""
    comes_often(inject)
    client = client_of(inject)

    def send(t: Thread, disable: bool = True) -> Task:
        assert client.channel is not None
        yield from _send_new(inject, t, client.channel, _disabled)

    inject.at(client, "again", "before", send)
