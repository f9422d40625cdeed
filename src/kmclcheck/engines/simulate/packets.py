"""Outgoing packets: objects, sends, completions, synchronous requests."""

from __future__ import annotations

from functools import partial

from kmclcheck.engines.simulate.base import FAILED, OK, Base
from kmclcheck.engines.simulate.kernel import PASSIVE, Task, Thread
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

    def allocate_packet(self, t: Thread, channel: Channel, fails: bool = False) -> Task:
        """Return a new packet, which the library frees unless it gets a routine; None if it ``fails``."""
        handles = f" Channel{channel.handle}"
        self.record(t, "call", "VmbPacketAllocate", handles)
        if self.random() < 0.05:
            yield self.random() * 2000
        packet = None if fails else Packet(channel, self.packet_handles.take(), "alloc")
        back = " return=0x0" if packet is None else f" return{packet.handle}"
        self.record(t, "ret", "VmbPacketAllocate", f"{handles}{back}" if self.repeats else back)
        return packet

    def initialize_packet(self, t: Thread, channel: Channel, storage: int, fails: bool = False) -> Task:
        """Return a packet in the driver's own memory; None if it ``fails``."""
        packet = Packet(channel, storage, "init")
        handles = f" Channel{channel.handle} VmbPacket{packet.handle}"
        result = FAILED if fails else OK
        yield from self.simple(t, "VmbPacketInitialize", handles, " ByteCount=384", result)
        return None if fails else packet

    def set_routine(self, t: Thread, packet: Packet) -> Task:
        """Replace the routine, by the plain function or by the later one of which the name is published."""
        later = self.random() < 0.05
        name = f"VmbPacketSetCompletionRoutine{'Ex' if later else ''}"
        yield from self.simple(t, name, f" PacketObject{packet.handle}", "" if later else ROUTINE)
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
        fails: bool = False, late: bool = False,
    ) -> Task:  # fmt: skip
        """Send a packet; return whether the library took it. ``external``: "", "Mdl" or "Pfns".

        ``late``: a packet whose send ``fails`` is completed nevertheless, after the return.
        """
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
        packet.turn += 1
        packet.wait = wait
        packet.answered = False
        if fails:
            yield self.random() * 1000
            packet.state = "SendFailed"
            self.record(t, "ret", name, handles if self.repeats else "", "", " status=0xc000009a")
            if late:
                channel.inflight[packet] = None
                self.endpoint.dpc(partial(self._finish, packet=packet, status=REMOVED))
            return False
        message = Message(length, body, packet if wait else None, packet, bool(external), packet.turn)
        channel.inflight[packet] = None
        if not self._put(channel, message):
            channel.queued.append(message)
        elif not wait:
            yield from self._finish(t, packet, 0)
        if self.random() < (0.3 if external else 0.1):
            yield self.random() * 10_000
        status = OK if self.random() < 0.9 else " status=0x103"
        self.record(t, "ret", name, handles if self.repeats else "", "", status)
        return True

    def synchronous(
        self, t: Thread, channel: Channel, body: Body = ("data", 0), waits: bool = True, mdl: int = 0,
        room: int = 64,
    ) -> Task:  # fmt: skip
        """Send a request and wait for the answer, which ``room`` bytes are kept for; return the status."""
        name, handles = "VmbChannelSendSynchronousRequest", f" Channel{channel.handle}"
        timeout = " Timeout=0" if waits else " Timeout=0xffffd10a5b2ef4e8 TimeoutValue=0"
        self.record(
            t, "call", name, handles,
            f" Buffer=0xffffbc8061003000 BufferSize=32 ExternalDataMdl={mdl:#x} Flags={waits:d}"
            f" CompletionBuffer=0xffffbc8061004000 CompletionBufferSizeValue={room}{timeout}",
        )  # fmt: skip
        status = 0
        if waits:
            packet = Packet(channel, 0, "sync")
            # A close has to wake the caller at once: it may be inside PostStarted, which Closed waits for.
            packet.sync = channel.signal
            channel.inflight[packet] = None
            message = Message(32, body, packet)
            if not self._put(channel, message):
                channel.queued.append(message)
            while packet in channel.inflight and not channel.leaving:
                yield channel.signal
            if packet in channel.inflight:
                del channel.inflight[packet]
                if message in channel.queued:
                    channel.queued.remove(message)
            status = 0 if packet.state == "Done" else REMOVED if self.random() < 0.7 else CANCELLED
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
        if channel.life != "Open" or channel.link.closing or peer is None:
            return False
        if channel.queued and channel.keeps_order:
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
        """Move queued messages into the ring, as far as there is room; in which order is not documented."""
        for restored in [p for p in channel.inflight if p.answered]:
            restored.answered = False
            self.answer(restored)
        peer = channel.link.peer(channel)
        while channel.queued and peer is not None and channel.life == "Open" and not channel.link.closing:
            first = 0 if channel.keeps_order else int(self.random() * len(channel.queued))
            message = channel.queued[first]
            if peer.used + message.size > peer.capacity:
                return
            del channel.queued[first]
            self._insert(peer, message)
            if message.packet is None and message.sender is not None:
                # One that needs no answer is done once it is in the ring.
                self.endpoint.dpc(partial(self._finish, packet=message.sender, status=0, turn=message.turn))

    def answer(self, packet: Packet, turn: int | None = None) -> None:
        """The peer completed a packet, as it was sent in some turn."""
        if turn is not None and packet.turn != turn:
            return
        while packet.saved and packet.heir is not None:
            packet = packet.heir
        if packet.saved or packet.channel.life not in ("Open", "Closing"):
            # Nobody to tell: it lies in the ring until the packet is restored and its channel open.
            packet.answered = True
            return
        if packet.sync is not None:
            packet.channel.inflight.pop(packet, None)
            packet.state = "Done"
            packet.sync.fire()
        elif packet.channel.at_passive:
            body = partial(self._finish, packet=packet, status=0, turn=packet.turn)
            self.endpoint.work(body, self.random() * 2000)
        else:
            self.endpoint.dpc(partial(self._finish, packet=packet, status=0, turn=packet.turn))

    def _finish(self, t: Thread, packet: Packet, status: int, turn: int | None = None) -> Task:
        """Give a packet back to the driver."""
        if packet not in packet.channel.inflight or turn not in (None, packet.turn):
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
        answers = self.random() * 1.5
        for packet in list(channel.inflight):
            if packet not in channel.inflight:
                continue  # somebody else was faster
            if packet.sync is not None or self.random() < answers:
                packet.state = "InLib"
                yield from self._finish(t, packet, REMOVED if self.random() < 0.7 else CANCELLED)
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
