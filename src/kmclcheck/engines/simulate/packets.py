"""Outgoing packets: objects, sends, completions, synchronous requests."""

from __future__ import annotations

from functools import partial

from kmclcheck.engines.simulate.base import OK, Base
from kmclcheck.engines.simulate.kernel import PASSIVE, Signal, Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Message, Packet

REMOVED = 0xC00002B6
CANCELLED = 0xC0000120
ROUTINE = " CompletionRoutine=0xfffff8026b1c1d30"
Body = tuple[str, int]


class PacketCalls(Base):
    """The functions about outgoing packets."""

    def kick(self, channel: Channel) -> None:
        """Deliver what can be delivered."""
        raise NotImplementedError

    def allocate_packet(self, t: Thread, channel: Channel) -> Task:
        """Return a new packet, which the library frees unless it gets a routine."""
        handles = f" Channel{channel.handle}"
        self.record(t, "call", "VmbPacketAllocate", handles)
        if self.random() < 0.05:
            yield self.random() * 2000
        address = self.packet_handles.take()
        packet = Packet(channel, address, "alloc")
        back = f"{handles} return{packet.handle}" if self.repeats else f" return{packet.handle}"
        self.record(t, "ret", "VmbPacketAllocate", back)
        return packet

    def initialize_packet(self, t: Thread, channel: Channel, storage: int) -> Task:
        """Return a packet in the driver's own memory."""
        packet = Packet(channel, storage, "init")
        handles = f" Channel{channel.handle} VmbPacket{packet.handle}"
        yield from self.simple(t, "VmbPacketInitialize", handles, " ByteCount=448", OK)
        return packet

    def set_routine(self, t: Thread, packet: Packet) -> Task:
        yield from self.simple(t, "VmbPacketSetCompletionRoutine", f" PacketObject{packet.handle}", ROUTINE)
        packet.routine = "User"

    def set_pointer(self, t: Thread, packet: Packet) -> Task:
        handles = f" PacketObject{packet.handle}"
        yield from self.simple(t, "VmbPacketSetPointer", handles, " Pointer=0xffffbc8060002000")

    def free(self, t: Thread, packet: Packet) -> Task:
        handles = f" VmbPacket{packet.handle}"
        self.record(t, "call", "VmbPacketFree", handles)
        self._release(packet)
        if self.random() < 0.05:
            yield self.random() * 2000
        self.record(t, "ret", "VmbPacketFree", handles if self.repeats else "")

    def send(
        self, t: Thread, packet: Packet, body: Body = ("data", 0), wait: bool = True, external: str = "",
        fails: bool = False,
    ) -> Task:  # fmt: skip
        """Send a packet; return whether the library took it. ``external``: "", "Mdl" or "Pfns"."""
        channel = packet.channel
        wait = wait or bool(external)
        length = packet.length
        name = "VmbPacketSend" if not external else f"VmbPacketSendWithExternal{external}"
        handles = f" PacketObject{packet.handle}"
        self.record(
            t, "call", name, handles,
            f" Buffer=0xffffbc8061003000 BufferLength={length}{_MORE[external]} Flags={wait:d}",
        )  # fmt: skip
        packet.state = "InLib"
        packet.wait = wait
        if fails:
            yield self.random() * 1000
            packet.state = "SendFailed"
            self.record(t, "ret", name, handles if self.repeats else "", "", " status=0xc000009a")
            return False
        message = Message(length, body, packet if wait else None, packet, bool(external))
        channel.inflight[packet] = None
        if not self._put(channel, message):
            channel.queued.append(message)
        elif not wait:
            yield from self._finish(t, packet, 0)
        if self.random() < 0.1:
            yield self.random() * 4000
        status = OK if self.random() < 0.9 else " status=0x103"
        self.record(t, "ret", name, handles if self.repeats else "", "", status)
        return True

    def synchronous(self, t: Thread, channel: Channel, body: Body = ("data", 0), waits: bool = True) -> Task:
        """Send a request and wait for the answer; return the status."""
        name, handles = "VmbChannelSendSynchronousRequest", f" Channel{channel.handle}"
        timeout = " Timeout=0" if waits else " Timeout=0xffffd10a5b2ef4e8 TimeoutValue=0"
        self.record(
            t, "call", name, handles,
            f" Buffer=0xffffbc8061003000 BufferSize=32 ExternalDataMdl=0 Flags={waits:d}"
            f" CompletionBuffer=0xffffbc8061004000 CompletionBufferSizeValue=64{timeout}",
        )  # fmt: skip
        status = 0
        if waits:
            packet = Packet(channel, 0, "sync")
            packet.sync = Signal(self.kernel)
            channel.inflight[packet] = None
            message = Message(32, body, packet)
            if not self._put(channel, message):
                channel.queued.append(message)
            while packet in channel.inflight:
                yield packet.sync
            status = 0 if packet.state == "Done" else REMOVED
        else:
            if self.random() < 0.5:
                yield self.random() * 1000
            if not self._put(channel, Message(32, body)):
                status = 0x80000005
        self.record(t, "ret", name, handles if self.repeats else "", "", f" status={status:#x}")
        return status

    # The ring.

    def _put(self, channel: Channel, message: Message) -> bool:
        """Put a message into the ring of the peer if it is open and has room."""
        peer = channel.link.peer(channel)
        if channel.life != "Open" or channel.link.closing or peer is None or channel.queued:
            return False
        if peer.used + message.size > peer.capacity:
            return False
        self._insert(peer, message)
        return True

    def _insert(self, peer: Channel, message: Message) -> None:
        peer.used += message.size
        peer.ring.append(message)
        peer.driver.lib.kick(peer)

    def open_rings(self, channel: Channel) -> None:
        """Move queued messages into the ring, as far as there is room; the order is kept."""
        peer = channel.link.peer(channel)
        while channel.queued and peer is not None and channel.life == "Open" and not channel.link.closing:
            if peer.used + channel.queued[0].size > peer.capacity:
                return
            message = channel.queued.popleft()
            self._insert(peer, message)
            if message.packet is None and message.sender is not None:
                # One that needs no answer is done once it is in the ring.
                self.endpoint.dpc(partial(self._finish, packet=message.sender, status=0))

    def answer(self, packet: Packet) -> None:
        """The peer completed a packet."""
        if packet.sync is not None:
            packet.channel.inflight.pop(packet, None)
            packet.state = "Done"
            packet.sync.fire()
        elif packet.channel.at_passive:
            self.endpoint.work(partial(self._finish, packet=packet, status=0), self.random() * 2000)
        else:
            self.endpoint.dpc(partial(self._finish, packet=packet, status=0))

    def _finish(self, t: Thread, packet: Packet, status: int) -> Task:
        """Give a packet back to the driver."""
        if packet not in packet.channel.inflight:
            return  # the close was faster
        del packet.channel.inflight[packet]
        if packet.sync is not None:
            packet.sync.fire()
        elif packet.routine == "Auto":
            self._release(packet)
        else:
            packet.state = "Ready"
            scalars = f" Status={status:#x} Buffer=0x0 BufferLength=0"
            body = packet.channel.driver.completed(t, packet, status)
            yield from self.callback(
                t, "EvtVmbPacketCompletionRoutine", f" Packet{packet.handle}", scalars, body
            )

    def drop_sends(self, channel: Channel, t: Thread) -> Task:
        """The channel closes: packets that wait get a failure, or nothing at all."""
        channel.queued.clear()
        answers = self.random() < 0.7
        for packet in list(channel.inflight):
            if packet.sync is not None or answers:
                packet.state = "InLib"
                yield from self._finish(t, packet, REMOVED)
            elif packet.routine == "Auto":
                del channel.inflight[packet]
                self._release(packet)
            else:
                del channel.inflight[packet]

    def _release(self, packet: Packet) -> None:
        packet.state = "Freed"
        if packet.born == "alloc":
            self.packet_handles.give(int(packet.handle[1:], 16))


_MORE = {
    "": " ExternalDataMdl=0x0",
    "Mdl": " ExternalDataMdl=0xffffbc8070008000 MdlOffset=0 MdlLength=4096",
    "Pfns": " ExternalDataPfns=0xffffbc8070009000 PfnLength=2",
}

__all__ = ["CANCELLED", "PASSIVE", "REMOVED", "PacketCalls"]
