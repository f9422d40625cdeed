"""Save and restore of a server's packets in flight."""

from __future__ import annotations

from kmclcheck.engines.simulate.base import FAILED, OK, Base
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Packet

OVERFLOW, TOO_SMALL, MORE = 0x80000005, 0xC0000023, 0xC0000016


class SaveCalls(Base):
    """The functions about saving and restoring."""

    def answer(self, packet: Packet, turn: int | None = None) -> None:
        """Give an answer of the peer to a packet in flight."""
        raise NotImplementedError

    def save_begin(self, t: Thread, channel: Channel) -> Task:
        """Return whether the save context is open."""
        works = self.random() < 0.95
        handles = f" Channel{channel.handle}"
        yield from self.simple(t, "VmbChannelSaveBegin", handles, "", OK if works else FAILED)
        channel.unsaved = [p for p in channel.inflight if p.sync is None] if works else []
        return works

    def save_continue(self, t: Thread, channel: Channel) -> Task:
        """Save a part; return the status."""
        name, handles = "VmbChannelSaveContinue", f" Channel{channel.handle}"
        self.record(t, "call", name, handles, " SaveBuffer=0x1000 SaveBufferSize=512")
        yield self.random() * 2000
        status, filled = 0, 0
        if self.random() < 0.3:
            status = TOO_SMALL
        else:
            filled = 512
            part = 1 + self.kernel.rng.randrange(3)
            while channel.unsaved and part:
                yield from self._save(t, channel, channel.unsaved.pop(0))
                part -= 1
            if channel.unsaved:
                status = OVERFLOW
        sizes = f" BytesFilledValue={filled} BytesRequiredValue={0 if not status else 900}"
        self.record(t, "ret", name, handles if self.repeats else "", sizes, f" status={status:#x}")
        return status

    def _save(self, t: Thread, channel: Channel, packet: Packet) -> Task:
        name, handles = "EvtVmbChannelSavePacket", f" Channel{channel.handle} Packet{packet.handle}"
        size = 0
        # A packet may complete in the middle of a save; then it is not in use any more.
        while packet in channel.inflight:
            self.record(t, "in", name, handles, f" SaveBuf=0x2000 SaveBufSize={size}")
            status, needed = yield from channel.driver.save(t, channel, packet, size)
            back = handles if self.repeats else ""
            self.record(t, "out", name, back, f" BytesNeededValue={needed}", f" status={status:#x}")
            if not status:
                packet.saved = True
                channel.link.saved.append(packet)
                return
            size = needed

    def save_end(self, t: Thread, channel: Channel) -> Task:
        yield from self.simple(t, "VmbChannelSaveEnd", f" Channel{channel.handle}")

    def restore_from_buffer(self, t: Thread, channel: Channel, packets: int, last: bool) -> Task:
        """Feed one chunk with the state of so many packets; return the status."""
        name, handles = "VmbChannelRestoreFromBuffer", f" Channel{channel.handle}"
        self.record(t, "call", name, handles, " Buffer=0x3000 BufferSize=512")
        for _ in range(packets):
            callback = self.callback(
                t, "EvtVmbChannelRestorePacket", handles,
                " LibBuf=0x4000 LibBufSize=64 SaveBuf=0x5000 SaveBufSize=96",
                channel.driver.restore(t, channel), True,
            )  # fmt: skip
            yield from callback
        status = 0 if last else MORE
        self.record(t, "ret", name, handles if self.repeats else "", "", f" status={status:#x}")
        return status

    def restore_packet(self, t: Thread, packet: Packet) -> Task:
        """Put a fresh packet in flight again, inside the restore callback."""
        handles = f" PacketObject{packet.handle}"
        yield from self.simple(t, "VmbPacketRestore", handles, " Buffer=0x4000 BufferSize=64", OK)
        packet.state = "InLib"
        channel = packet.channel
        channel.inflight[packet] = None
        if channel.link.saved:
            old = channel.link.saved.popleft()
            old.heir = packet
            if old.answered:
                self.answer(packet)
