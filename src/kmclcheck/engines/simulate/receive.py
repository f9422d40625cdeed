"""Received packets: deliveries, and what a driver may do with a packet."""

from __future__ import annotations

from kmclcheck.engines.simulate.base import FAILED, OK, Base
from kmclcheck.engines.simulate.kernel import DISPATCH, Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Message, Received

PENDING = " status=0x103"
BATCH = 8


class ReceiveCalls(Base):
    """The functions about received packets."""

    def kick(self, channel: Channel) -> None:
        """Begin to deliver if there is something to deliver and nobody is at it."""
        if channel.flowing and channel.deliveries < channel.overlap:
            channel.deliveries += 1
            if channel.at_passive or channel.ring[0].passive or self.random() < 0.2:
                self.endpoint.work(lambda t: self._pump(t, channel), self.random() * 2000)
            else:
                self.endpoint.dpc(lambda t: self._pump(t, channel))

    def _pump(self, t: Thread, channel: Channel) -> Task:
        """Deliver a batch."""
        count = counted = 0
        while channel.flowing and count < BATCH:
            if t.irql == DISPATCH and (channel.ring[0].passive or channel.at_passive):
                break  # that one has to wait for a worker
            done = yield from self._deliver(t, channel, channel.ring.popleft())
            count += 1
            counted += done or self.counts_all
            if self.random() < 0.5:
                yield self.random() * 500
        if counted and channel.batches:
            yield from self.callback(
                t, "EvtVmbChannelProcessingComplete", f" Channel{channel.handle}",
                f" PacketsProcessed={counted}", _nothing(),
            )  # fmt: skip
        channel.deliveries -= 1
        channel.signal.fire()
        self.kick(channel)

    def _deliver(self, t: Thread, channel: Channel, message: Message) -> Task:
        """Deliver a packet; return whether the driver has taken it."""
        channel.used -= message.size
        peer = channel.link.peer(channel)
        if peer is not None and peer.queued:
            peer.driver.lib.open_rings(peer)
        received = message.received
        if received is None or self.random() < 0.3:
            # Whether a packet that comes again keeps its handle is not documented. The old value is not
            # used again: a new packet under it could not be told from one that comes again.
            received = Received(channel, self.received_handles.take(), message)
        received.state = "InCb"
        message.received = None
        channel.outstanding.add(received)
        handles = f" Channel{channel.handle} Packet{received.handle}"
        scalars = f" Buffer=0xffffbc8044000080 BufferLength={message.size} Flags={message.external:d}"
        self.record(t, "in", "EvtVmbChannelProcessPacket", handles, scalars)
        yield from channel.driver.process(t, received)
        if received.state in ("Deferred", "Pending"):
            channel.outstanding.discard(received)
            message.passive = received.state == "Deferred"
            received.state = "Requeued"
            message.received = received
            message.tries += 1
            # Whether later packets may overtake it is not documented.
            (channel.ring.appendleft if channel.keeps_order else channel.ring.append)(message)
            channel.used += message.size
            if channel.overlap > 1 and self.random() < 0.5:
                # Another thread may deliver it again before this delivery has returned.
                self.kick(channel)
                yield self.random() * 2000
        elif received.state == "InCb":
            received.state = "Held"
        self.record(t, "out", "EvtVmbChannelProcessPacket", handles if self.repeats else "")
        return received.state in ("Held", "Done")

    def drop_received(self, channel: Channel) -> None:
        for message in channel.ring:
            if message.received is not None and self.random() < 0.5:
                # It will not come again, so its handle may name another packet in the next open cycle.
                self.received_handles.give(message.received.address)
        channel.ring.clear()
        channel.used = 0

    def complete(self, t: Thread, received: Received) -> Task:
        """Answer a packet and be done with it."""
        name, handles = "VmbChannelPacketComplete", f" PacketCompletionContext{received.handle}"
        self.record(t, "call", name, handles, " PacketCompletionBuffer=0x0 BufSize=0")
        self._retire(received)
        packet = received.message.packet
        if packet is not None:
            packet.channel.driver.lib.answer(packet, received.message.turn)
        if self.random() < 0.06:
            yield self.random() * 2000
        self.record(t, "ret", name, handles if self.repeats else "")

    def defer(self, t: Thread, received: Received) -> Task:
        """Have the packet delivered again at PASSIVE_LEVEL; only inside its delivery."""
        received.state = "Deferred"
        handles = f" PacketCompletionContext{received.handle}"
        yield from self.simple(t, "VmbChannelPacketDeferToPassive", handles)

    def fail(self, t: Thread, received: Received) -> Task:
        """Give up the packet, and with it the queue; only inside its delivery."""
        received.channel.stopped = True
        handles = f" PacketCompletionContext{received.handle}"
        yield from self.simple(t, "VmbChannelPacketFail", handles)
        if self.random() < 0.5:
            # Whether a failed packet has to be completed is not documented.
            yield from self.complete(t, received)
        else:
            self._retire(received)
            received.state = "Failed"

    def external_data(self, t: Thread, received: Received) -> Task:
        """Return True if the data is there, None if it comes later, False if it failed."""
        handles = f" PacketCompletionContext{received.handle}"
        result = OK
        if received.message.tries == 0 and self.random() < 0.5:
            result = PENDING
            received.state = "Pending"
        elif self.random() < 0.1:
            result = FAILED
        yield from self.simple(t, "VmbChannelPacketGetExternalData", handles, " Flags=0", result)
        return {OK: True, PENDING: None}.get(result, False)

    def _retire(self, received: Received) -> None:
        channel = received.channel
        received.state = "Done"
        channel.outstanding.discard(received)
        self.received_handles.give(received.address)
        if not channel.outstanding or channel.quota is not None:
            channel.signal.fire()
            self.kick(channel)


def _nothing() -> Task:
    yield from ()
