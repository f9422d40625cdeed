"""What drivers have in common: configuration, and the order of coming and going."""

from __future__ import annotations

from kmclcheck.engines.simulate.driver import Driver
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.library import Library
from kmclcheck.engines.simulate.objects import SLOTS, Channel, Link

GUID = '"{ba6163d9-04a1-4d29-b605-72e2ffb1dc7f}"'
CALLBACKS = " ProcessPacketCallback=0xfffff8026b1c1230 ProcessingCompleteCallback="
SAVE_CALLBACKS = " SavePacketCallback=0xfffff8026b1c2440 RestorePacketCallback=0xfffff8026b1c2580"


class ChannelDriver(Driver):
    """A driver of one channel."""

    server = False
    saves = False
    needs: tuple[str, ...] = ()
    """The state callbacks that the driver cannot do without."""

    def __init__(self, lib: Library, link: Link) -> None:
        super().__init__(lib)
        self.link = link
        self.channel: Channel | None = None

    def create(self, t: Thread) -> Task:
        """Allocate and configure the channel; return it."""
        lib, kernel = self.lib, self.kernel
        channel = self.channel = yield from lib.allocate(t, self, self.link, self.server)
        yield from self.configure(t, channel)
        if kernel.chance(0.2):
            channel.at_passive = True
            yield from lib.simple(
                t,
                "VmbChannelSetIncomingProcessingAtPassive",
                f" Channel{channel.handle}",
                " RequirePassive=1",
            )
        return channel

    def configure(self, t: Thread, channel: Channel) -> Task:
        """Call the configuration functions in some order."""
        kernel = self.kernel
        if kernel.chance(0.15):
            channel.slots = frozenset(s for s in SLOTS if s in self.needs or kernel.chance(0.7))
        filled = "".join(f" {slot}={slot in channel.slots:d}" for slot in SLOTS)
        channel.batches = kernel.chance(0.5)
        batch = "0xfffff8026b1c1910" if channel.batches else "0x0"
        calls = [
            ("VmbChannelInitSetMaximumPacketSize", f" PacketSize={channel.max_packet}"),
            ("VmbChannelInitSetProcessPacketCallbacks", CALLBACKS + batch),
            ("VmbChannelInitSetFriendlyName", " Name=0xfffff8026b1c5040"),
            ("VmbChannelInitSetStateChangeCallbacks", _structure(filled)),
        ]
        if self.server:
            calls += [
                ("VmbServerChannelInitSetVmbusHandle", " VmbusHandle=0xffffffff80001a2c"),
                (
                    "VmbServerChannelInitSetTargetInterfaceId",
                    f" InterfaceType={GUID} InterfaceInstance={GUID}",
                ),
            ]
            if self.saves:
                calls.append(("VmbServerChannelInitSetSaveRestorePacketCallbacks", SAVE_CALLBACKS))
        else:
            calls += [
                (
                    "VmbClientChannelInitSetRingBufferPageCount",
                    " IncomingPageCount=16 OutgoingPageCount=16",
                ),
                (
                    "VmbClientChannelInitSetTargetPnp",
                    " InterfaceType=0xfffff8026b1c5010 InterfaceInstance=0x0"
                    " PnpFailureCallback=0xfffff8026b1c2020",
                ),
            ]
        kernel.rng.shuffle(calls)
        for name, scalars in calls:
            yield from self.lib.init(t, channel, name, scalars)

    def up(self, t: Thread) -> Task:
        """Create and enable the channel; a server starts it, too."""
        channel = yield from self.create(t)
        yield from self.lib.enable(t, channel)
        if self.server or self.kernel.chance(0.1):
            yield from self.lib.start(t, channel)
        return channel

    def down(self, t: Thread) -> Task:
        """Disable the channel and end it."""
        assert self.channel is not None
        yield from self.lib.disable(t, self.channel)
        yield from self.lib.cleanup(t, self.channel)


def _structure(filled: str) -> str:
    return f" StateChangeCallbacks=0xffffd10a5b2ef690 Version=1 Size=48{filled}"
