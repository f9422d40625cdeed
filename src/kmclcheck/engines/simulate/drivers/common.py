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

    ``gate``: the driver may send; open from PostStarted to Suspend, or from Started on if it sends ``early``.
    ``lost``: an open cycle has ended, or never began, and a client has to enable its channel again;
    ``stuck``: so has a server. ``pauses``: how often it was suspended. ``users``: how many other threads use
    the channel; none begins once the driver is ``going``.
    """

    server = False
    saves = False
    registers = True
    """Whether it registers state callbacks at all."""
    needs: tuple[str, ...] = ()
    """The state callbacks that the driver cannot do without."""
    refuses = 0.0
    """How likely it refuses to open; then it also needs Opened."""
    unplugged = 0.0
    """How likely a connect of this client fails; then the driver wants to be told."""
    eager = 0.2
    """How likely it sends from Started on."""
    in_memory = 0.03
    """How likely the channel lies in memory of the driver."""

    def __init__(self, lib: Library, link: Link) -> None:
        super().__init__(lib)
        self.link = link
        self.channel: Channel | None = None
        self.gate = False
        self.lost = False
        self.stuck = False
        self.pauses = 0
        self._run = 0
        self.users = 0
        self.going = False
        self.early = lib.kernel.chance(self.eager)

    # Coming.

    def create(self, t: Thread) -> Task:
        """Allocate and configure the channel; return it."""
        lib, kernel = self.lib, self.kernel
        if self.server and kernel.chance(0.3):
            yield from lib.simple(
                t, "VmbConvertVmbusHandleToKernelHandle", "", " VmbusHandle=0x1a8", OK,
                " KernelHandleValue=0xffffffff80001a2c",
            )  # fmt: skip
        channel = yield from self._allocate(t)
        while not (yield from self.configure(t, channel)):
            # It did not work out: this channel is given up, and another one tried.
            if kernel.chance(0.3):
                yield from lib.disable(t, channel)  # there is nothing to disable; not documented
            yield from lib.cleanup(t, channel)
            channel = yield from self._allocate(t)
        channel.pnp_failures = self.unplugged
        if kernel.chance(0.2):
            yield from self.deliver_at_passive(t, True)
            while kernel.chance(0.2):
                yield from self.deliver_at_passive(t, kernel.chance(0.5))
        return channel

    def _allocate(self, t: Thread) -> Task:
        lib, kernel = self.lib, self.kernel
        gone = self.channel
        while kernel.chance(0.005 if gone is None else 0.2):
            # The variable holds what was there before.
            stale = "=0x0" if gone is None else gone.handle
            yield from lib.allocate(t, self, self.link, self.server, stale)
        if kernel.chance(self.in_memory):
            fails = kernel.chance(0.2)
            self.channel = yield from lib.initialize(t, self, self.link, self.server, fails)
        else:
            self.channel = yield from lib.allocate(t, self, self.link, self.server)
        return self.channel

    def deliver_at_passive(self, t: Thread, required: bool) -> Task:
        """Have packets delivered at PASSIVE_LEVEL only, or at DISPATCH_LEVEL, too."""
        assert self.channel is not None
        if not required:
            self.channel.at_passive = False
        yield from self.lib.simple(
            t, "VmbChannelSetIncomingProcessingAtPassive", f" Channel{self.channel.handle}",
            f" RequirePassive={required:d}",
        )  # fmt: skip
        if required:
            self.channel.at_passive = True

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
            handles = f" Channel{channel.handle}"
            yield from self.lib.simple(t, "VmbChannelSetPointer", handles, " Pointer=0xffffbc8060001000")
            yield from self.lib.simple(
                t, "VmbChannelGetPointer", handles, "", "", " return=0xffffbc8060001000"
            )
        return True

    def configuration(self, channel: Channel) -> list[Call]:
        """Decide about the channel; return the calls that say so to the library."""
        kernel = self.kernel
        if not self.registers:
            channel.slots = frozenset()
        elif kernel.chance(0.15):
            channel.slots = frozenset(s for s in SLOTS if s in self.needs or kernel.chance(0.7))
        calls: list[Call] = [call for call in OPTIONAL if kernel.chance(0.05)]
        filled = "".join(f" {slot}={slot in channel.slots:d}" for slot in SLOTS)
        channel.batches = kernel.chance(0.5)
        batch = "0xfffff8026b1c1910" if channel.batches else "0x0"
        calls += [
            ("VmbChannelInitSetMaximumPacketSize", f" PacketSize={channel.max_packet}"),
            ("VmbChannelInitSetProcessPacketCallbacks", CALLBACKS + batch),
            ("VmbChannelInitSetFriendlyName", " Name=0xfffff8026b1c5040"),
        ]
        if self.registers:
            calls.append(("VmbChannelInitSetStateChangeCallbacks", _structure(filled)))
        if kernel.chance(0.05):
            calls = [(_LATER.get(name, name), "" if name in _LATER else more) for name, more in calls]
        if not self.server:
            told = self.unplugged > 0 or kernel.chance(0.8)
            calls += [
                (
                    "VmbClientChannelInitSetRingBufferPageCount",
                    " IncomingPageCount=16 OutgoingPageCount=16",
                ),
                (
                    "VmbClientChannelInitSetTargetPnp",
                    " InterfaceType=0xfffff8026b1c5010 InterfaceInstance=0x0"
                    f" PnpFailureCallback={0xFFFFF8026B1C2020 if told else 0:#x}",
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
        while channel.life == "Disabled" and self.kernel.chance(0.02):
            yield from self.lib.enable(t, channel, fails=True)
        if not (yield from self.lib.enable(t, channel)):
            return  # it did not open
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
        if self.channel.life != "Enabled" and self.kernel.chance(0.3):
            yield from self.lib.init(
                t, self.channel, "VmbChannelInitSetFriendlyName", " Name=0xfffff8026b1c5040"
            )
        yield from self.enable(t, self.channel)

    # Going.

    def down(self, t: Thread) -> Task:
        """Disable the channel and end it."""
        channel = self.channel
        assert channel is not None
        self.going = True
        yield from self.alone()
        if not (self.lost and channel.life == "Disabled" and self.kernel.chance(0.3)):
            # One that was closed or failed, and is disabled already, need not be disabled.
            yield from self.lib.disable(t, channel)
        if self.kernel.chance(0.05):
            yield from self.lib.disable(t, channel)  # once more: not documented
        yield from self.lib.cleanup(t, channel)

    def pause_and_resume(self, t: Thread) -> Task:
        """Let nothing flow for a while. Now and then another thread resumes, perhaps before the pause."""
        channel = self.channel
        assert channel is not None
        if self.kernel.chance(0.1):
            self.users += 1
            self.lib.endpoint.work(self._resume, self.kernel.random() * 5000)
        yield from self.lib.pause(t, channel)
        if self.kernel.chance(0.1):
            yield from self.lib.pause(t, channel)  # once more
        yield self.kernel.random() * 20_000
        yield from self.lib.start(t, channel)
        yield from self.alone()

    def _resume(self, t: Thread) -> Task:
        assert self.channel is not None
        yield from self.lib.start(t, self.channel)
        self.users -= 1
        self.wake.fire()

    def alone(self) -> Task:
        """Wait until no other thread is using the channel on behalf of this driver or another."""
        while self.users:
            yield self.wake

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

    def started(self, t: Thread, channel: Channel) -> Task:
        yield from ()
        self._run = self.pauses
        if self.early:
            self.open_gate(self._run)

    def post_started(self, t: Thread, channel: Channel) -> Task:
        self.open_gate(self.run_of(channel))
        yield from ()

    def run_of(self, channel: Channel) -> int:
        """Return how often the driver was suspended before the run that PostStarted is about.

        It may be suspended again by now. If it is not told of Started, PostStarted holds Suspend back.
        """
        return self._run if "Started" in channel.slots else self.pauses

    def open_gate(self, pauses: int) -> None:
        """From now on the driver may send, unless it was suspended since it began to run."""
        if pauses == self.pauses:
            self.gate = True
            self.wake.fire()

    def suspend(self, t: Thread, channel: Channel) -> Task:
        self.pauses += 1
        if self.kernel.chance(0.3):
            yield self.kernel.random() * 2000  # the last sends are on their way
        self.gate = False

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
        assert self.channel is not None
        yield from self.session(t)
        while self.lost and not self.leaving and self.kernel.chance(self.returns):
            # After a failed open or connect nobody knows whether it is enabled still; either will do.
            unclear = self.stuck and self.channel.life not in ("Disabled", "Enabled")
            yield from self.again(t, unclear or self.kernel.chance(0.5))
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


_LATER = {"VmbChannelInitSetProcessPacketCallbacks": "VmbChannelInitSetProcessPacketCallbacksEx"}


def _timer(driver: Driver, body: Callable[[Thread], Task]) -> Task:
    driver.lib.endpoint.dpc(body)
    yield from ()


def _structure(filled: str) -> str:
    return f" StateChangeCallbacks=0xffffd10a5b2ef690 Version=1 Size=48{filled}"
