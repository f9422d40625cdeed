"""What drivers have in common: configuration, the gate for sends, the order of coming and going."""

from __future__ import annotations

from collections.abc import Callable

from kmclcheck.engines.simulate.base import FAILED, OK
from kmclcheck.engines.simulate.driver import SUCCESS, Driver
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.library import Library
from kmclcheck.engines.simulate.objects import SLOTS, Channel, Link

GUID = '"{ba6163d9-04a1-4d29-b605-72e2ffb1dc7f}"'
CALLBACKS = " ProcessPacketCallback=0xfffff8026b1c1230 ProcessingCompleteCallback="
SAVE_CALLBACKS = " SavePacketCallback=0xfffff8026b1c2440 RestorePacketCallback=0xfffff8026b1c2580"
NO_RESOURCES = 0xC000009A

Call = tuple[str, str]
"""A configuration function and its arguments, ready to print."""


OPTIONAL = (
    ("VmbChannelInitSetClientContextSize", " ContextSize=32"),
    ("VmbChannelInitSetFlags", " Flags=0"),
)
OPTIONAL_SERVER = (
    ("VmbServerChannelInitSetFlags", " Flags=2"),
    ("VmbServerChannelInitSetMmioMegabytes", " MmioMegabytes=0 MmioMegabytesOptional=8"),
    ("VmbServerChannelInitSetTargetVtl", " TargetVtl=0"),
)


class ChannelDriver(Driver):
    """A driver of one channel.

    ``gate``: the driver may send; open from PostStarted to Suspend. ``lost``: an open cycle has ended, or
    never began, and a client has to enable its channel again; ``stuck``: so has a server.
    """

    server = False
    saves = False
    needs: tuple[str, ...] = ()
    """The state callbacks that the driver cannot do without."""
    refuses = 0.0
    """How likely it refuses to open; then it also needs Opened."""
    unplugged = 0.0
    """How likely a connect of this client fails."""

    def __init__(self, lib: Library, link: Link) -> None:
        super().__init__(lib)
        self.link = link
        self.channel: Channel | None = None
        self.gate = False
        self.lost = False
        self.stuck = False

    # Coming.

    def create(self, t: Thread) -> Task:
        """Allocate and configure the channel; return it."""
        lib, kernel = self.lib, self.kernel
        channel = self.channel = yield from lib.allocate(t, self, self.link, self.server)
        while not (yield from self.configure(t, channel)):
            # It did not work out: this channel is given up, and another one tried.
            if kernel.chance(0.3):
                yield from lib.disable(t, channel)  # there is nothing to disable; not documented
            yield from lib.cleanup(t, channel)
            channel = self.channel = yield from lib.allocate(t, self, self.link, self.server)
        channel.pnp_failures = self.unplugged
        if kernel.chance(0.1):
            # Whether deliveries may overlap is not documented.
            channel.overlap = 2
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
        """Call the configuration functions in some order; return whether all worked in the end."""
        kernel = self.kernel
        calls = self.configuration(channel)
        kernel.rng.shuffle(calls)
        for name, scalars in calls:
            if kernel.chance(0.005):
                yield from self.lib.init(t, channel, name, scalars, FAILED)
                if kernel.chance(0.5):
                    return False
            yield from self.lib.init(t, channel, name, scalars, OK)
        if kernel.chance(0.1):
            yield from self.lib.simple(
                t, "VmbChannelSetPointer", f" Channel{channel.handle}", " Pointer=0xffffbc8060001000"
            )
        return True

    def configuration(self, channel: Channel) -> list[Call]:
        """Decide about the channel; return the calls that say so to the library."""
        kernel = self.kernel
        if kernel.chance(0.15):
            channel.slots = frozenset(s for s in SLOTS if s in self.needs or kernel.chance(0.7))
        calls: list[Call] = [call for call in OPTIONAL if kernel.chance(0.05)]
        filled = "".join(f" {slot}={slot in channel.slots:d}" for slot in SLOTS)
        channel.batches = kernel.chance(0.5)
        batch = "0xfffff8026b1c1910" if channel.batches else "0x0"
        calls += [
            ("VmbChannelInitSetMaximumPacketSize", f" PacketSize={channel.max_packet}"),
            ("VmbChannelInitSetProcessPacketCallbacks", CALLBACKS + batch),
            ("VmbChannelInitSetFriendlyName", " Name=0xfffff8026b1c5040"),
            ("VmbChannelInitSetStateChangeCallbacks", _structure(filled)),
        ]
        if not self.server:
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
            return calls
        calls += [call for call in OPTIONAL_SERVER if kernel.chance(0.05)]
        calls += [
            ("VmbServerChannelInitSetVmbusHandle", " VmbusHandle=0xffffffff80001a2c"),
            (
                "VmbServerChannelInitSetTargetInterfaceId",
                f" InterfaceType={GUID} InterfaceInstance={GUID}",
            ),
        ]
        if self.saves:
            calls.append(("VmbServerChannelInitSetSaveRestorePacketCallbacks", SAVE_CALLBACKS))
        return calls

    def up(self, t: Thread) -> Task:
        """Create and enable the channel; a server starts it, too."""
        channel = yield from self.create(t)
        yield from self.enable(t, channel)
        return channel

    def enable(self, t: Thread, channel: Channel) -> Task:
        """Enable and start the channel."""
        while self.kernel.chance(0.02):
            yield from self.lib.enable(t, channel, fails=True)
        yield from self.lib.enable(t, channel)
        if self.server and self.kernel.chance(0.2):
            yield self.kernel.random() * 20_000  # a client may open before the start
        if self.server or self.kernel.chance(0.1):
            # On a client this changes nothing.
            yield from self.lib.start(t, channel)

    def again(self, t: Thread, disable: bool = True) -> Task:
        """Enable the channel anew, after a close or a failure."""
        assert self.channel is not None
        if disable:
            yield from self.lib.disable(t, self.channel)
        self.lost = self.stuck = False
        if self.kernel.chance(0.3):
            yield from self.lib.init(
                t, self.channel, "VmbChannelInitSetFriendlyName", " Name=0xfffff8026b1c5040"
            )
        yield from self.enable(t, self.channel)

    # Going.

    def down(self, t: Thread) -> Task:
        """Disable the channel and end it."""
        assert self.channel is not None
        yield from self.lib.disable(t, self.channel)
        if self.kernel.chance(0.05):
            yield from self.lib.disable(t, self.channel)  # once more: not documented
        yield from self.lib.cleanup(t, self.channel)

    def pause_and_resume(self, t: Thread) -> Task:
        """Let nothing flow for a while."""
        assert self.channel is not None
        yield from self.lib.pause(t, self.channel)
        yield self.kernel.random() * 20_000
        yield from self.lib.start(t, self.channel)

    def until(self, condition: Callable[[], bool]) -> Task:
        """Wait until something is so, or the driver should leave; ``wake`` tells to look again."""
        while not condition() and not self.leaving:
            yield self.wake

    def later(self, body: Callable[[Thread], Task], delay: float) -> None:
        """Do something after a while, on a worker or at DISPATCH_LEVEL."""
        endpoint = self.lib.endpoint
        if self.kernel.chance(0.6):
            endpoint.work(body, self.kernel.random() * delay)
        else:
            self.kernel.resume(_timer(self, body), self.kernel.random() * delay)

    # The state callbacks.

    def opened(self, t: Thread, channel: Channel) -> Task:
        if self.kernel.chance(self.refuses):
            self.stuck = self.lost = True
            self.wake.fire()
            yield from ()
            return NO_RESOURCES
        if self.kernel.chance(0.05):
            yield from self.lib.simple(
                t,
                "VmbChannelGetInterfaceInstance",
                f" Channel{channel.handle}",
                " InterfaceInstance=0xffffd10a5b2ef6d8",
            )
        if self.kernel.chance(0.03):
            yield from self.lib.simple(t, "VmbChannelGetMmioSpace", f" Channel{channel.handle}")
        return SUCCESS

    def post_started(self, t: Thread, channel: Channel) -> Task:
        self.open_gate()
        yield from ()

    def open_gate(self) -> None:
        """From now on the driver may send."""
        self.gate = True
        self.wake.fire()

    def suspend(self, t: Thread, channel: Channel) -> Task:
        self.gate = False
        yield from ()

    def closed(self, t: Thread, channel: Channel) -> Task:
        yield from ()
        # Last of all: who waits for this may call the library only after the callback has returned.
        self.lost = True
        self.wake.fire()

    def connect_failed(self, t: Thread, channel: Channel) -> Task:
        yield from ()
        self.lost = self.stuck = True
        self.wake.fire()


class ServerDriver(ChannelDriver):
    """A server that is there until its client has left."""

    server = True

    def main(self, t: Thread) -> Task:
        yield from self.up(t)
        yield from self.serve(t)
        yield from self.down(t)

    def serve(self, t: Thread) -> Task:
        """Be there; offer the channel anew when it is out of order."""
        while not self.leaving:
            yield from self.until(lambda: self.stuck)
            if self.stuck and not self.leaving:
                yield from self.again(t)


class ClientDriver(ChannelDriver):
    """A client that does its job once the channel runs, and perhaps comes back after a close."""

    needs: tuple[str, ...] = ("PostStarted", "Suspend", "Closed")
    returns = 0.5
    """How likely it comes back."""

    def main(self, t: Thread) -> Task:
        yield from self.up(t)
        yield from self.session(t)
        while self.lost and not self.leaving and self.kernel.chance(self.returns):
            yield from self.again(t, self.stuck or self.kernel.chance(0.5))
            yield from self.session(t)
        yield from self.down(t)

    def session(self, t: Thread) -> Task:
        """Do the job of one open cycle."""
        yield from self.until(lambda: self.gate or self.lost)
        if self.gate:
            yield from self.job(t)

    def job(self, t: Thread) -> Task:
        """What the device is for. It ends soon after the channel is lost, or nobody is there any more."""
        yield from ()


def _timer(driver: Driver, body: Callable[[Thread], Task]) -> Task:
    driver.lib.endpoint.dpc(body)
    yield from ()


def _structure(filled: str) -> str:
    return f" StateChangeCallbacks=0xffffd10a5b2ef690 Version=1 Size=48{filled}"
