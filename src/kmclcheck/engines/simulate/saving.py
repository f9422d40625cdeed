"""Save and restore of a server's packets in flight."""

from __future__ import annotations

from kmclcheck.engines.simulate.base import FAILED, OK, Base
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Packet

OVERFLOW, TOO_SMALL, MORE, NO_RESOURCES = 0x80000005, 0xC0000023, 0xC0000016, 0xC000009A


class SaveCalls(Base):
    """The functions about saving and restoring."""

    def answer(self, packet: Packet, turn: int | None = None) -> None:
        """Give an answer of the peer to a packet in flight."""
        raise NotImplementedError

    def save_begin(self, t: Thread, channel: Channel) -> Task:
        """Return whether the save context is open."""
        works = self.random() < 0.95
        name, handles = "VmbChannelSaveBegin", f" Channel{channel.handle}"
        self.record(t, "call", name, handles)
        if self.random() < 0.06:
            yield self.random() * 3000
        channel.unsaved = [p for p in channel.inflight if p.sync is None] if works else []
        if channel.unsaved and self.random() < 0.2:
            # During which of the save calls a packet is saved is not documented.
            yield from self._save(t, channel, channel.unsaved.pop(0))
        self.record(t, "ret", name, handles if self.repeats else "", "", OK if works else FAILED)
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
        yield from self.somewhere(t, lambda thread: self._save_here(thread, channel, packet))

    def _save_here(self, t: Thread, channel: Channel, packet: Packet) -> Task:
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
            size = needed + int(self.random() * 2) * 32

    def save_end(self, t: Thread, channel: Channel) -> Task:
        yield from self.simple(t, "VmbChannelSaveEnd", f" Channel{channel.handle}")

    def restore_from_buffer(self, t: Thread, channel: Channel, packets: int, last: bool) -> Task:
        """Feed one chunk with the state of so many packets; return the status."""
        name, handles = "VmbChannelRestoreFromBuffer", f" Channel{channel.handle}"
        self.record(t, "call", name, handles, " Buffer=0x3000 BufferSize=512")
        status = 0 if last else MORE
        for _ in range(packets):
            if (yield from self.somewhere(t, lambda thread: self._restore(thread, channel))):
                status = NO_RESOURCES
                break
        self.record(t, "ret", name, handles if self.repeats else "", "", f" status={status:#x}")
        return status

    def _restore(self, t: Thread, channel: Channel) -> Task:
        yield from ()
        return (
            yield from self.callback(
                t, "EvtVmbChannelRestorePacket", f" Channel{channel.handle}",
                " LibBuf=0x4000 LibBufSize=64 SaveBuf=0x5000 SaveBufSize=96",
                channel.driver.restore(t, channel), True,
            )
        )  # fmt: skip

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
