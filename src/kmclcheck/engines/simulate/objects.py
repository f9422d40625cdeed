"""The objects of the simulated library: links, channels, packets."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kmclcheck.engines.simulate.kernel import Endpoint, Kernel, Signal

if TYPE_CHECKING:
    from kmclcheck.engines.simulate.driver import Driver

SLOTS = ("Opened", "Closed", "Suspend", "Started", "PostStarted")

IDLE = 16
"""How many freed addresses of a kind there may be while new ones are still handed out."""


class Handles:
    """Addresses of one kind of object. Freed ones come back soon, as from a look-aside list."""

    __slots__ = ("_free", "_next", "_random", "_step")

    def __init__(self, kernel: Kernel, base: int, step: int) -> None:
        self._next = base + step * kernel.rng.randrange(1, 64)
        self._step = step
        self._free: list[int] = []
        self._random = kernel.random

    def take(self) -> int:
        """Return an address that names nothing at present; new ones only as long as few lie idle."""
        if self._free and (len(self._free) > IDLE or self._random() < 0.9):
            return self._free.pop()
        self._next += self._step
        return self._next

    def give(self, handle: int) -> None:
        """Take an address back."""
        self._free.append(handle)


class Packet:
    """An outgoing packet object, ``state`` one of Ready, InLib, SendFailed, Done, Freed."""

    __slots__ = (
        "answered", "born", "channel", "handle", "heir", "length", "routine", "saved", "state", "sync",
        "turn", "wait",
    )  # fmt: skip

    def __init__(self, channel: Channel, handle: int, born: str) -> None:
        self.channel = channel
        self.handle = f"={handle:#x}"
        self.born = born
        self.routine = "Auto" if born == "alloc" else "Unset"
        self.state = "Ready"
        # How often it was sent: an answer to an earlier send, which a close cut off, comes too late.
        self.turn = 0
        self.wait = True
        self.length = 64
        self.sync: Signal | None = None
        # Whether it was saved, which packet it became at the restore, and whether the peer has answered
        # since, before anybody could be told.
        self.saved = False
        self.heir: Packet | None = None
        self.answered = False


@dataclass(slots=True)
class Message:
    """What stands in a ring: ``body`` is the device's protocol, ``packet`` awaits an answer if given.

    ``sender`` is the packet object it was sent with, if there was one.
    """

    size: int
    body: tuple[str, int]
    packet: Packet | None = None
    sender: Packet | None = None
    external: bool = False
    turn: int = 0
    tries: int = 0
    passive: bool = False
    received: Received | None = None


class Received:
    """A received packet, ``state`` one of InCb, Held, Deferred, Pending, Requeued, Failed, Done."""

    __slots__ = ("address", "channel", "handle", "message", "state")

    def __init__(self, channel: Channel, address: int, message: Message) -> None:
        self.channel = channel
        self.address = address
        self.handle = f"={address:#x}"
        self.message = message
        self.state = "InCb"


class Link:
    """What the bus knows of a pair of channels: the offer, the open request, who is open, the GPADLs."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.server: Channel | None = None
        self.client: Channel | None = None
        self.offered = False
        self.requested = False
        self.accepted = False
        self.closing = False
        self.gpadls: dict[int, str] = {}
        self.next_gpadl = 0xE1E10 + kernel.rng.randrange(256)
        self.free_gpadls: list[int] = []
        self.saved: deque[Packet] = deque()

    def take_over(self) -> Link:
        """Return a new connection for the client of this one: its machine was saved and goes on elsewhere.

        The client notices nothing; the old server stays behind alone.
        """
        link = Link(self.kernel)
        link.saved, self.saved = self.saved, link.saved
        client = link.client = self.client
        self.client = None
        if client is not None:
            client.link = link
            opened = client.life in ("Opening", "Open", "Closing")
            link.requested = opened or (client.life == "Enabled" and self.requested)
            link.closing = opened and self.closing
        return link

    def peer(self, channel: Channel) -> Channel | None:
        """Return the channel at the other end."""
        return self.client if channel is self.server else self.server

    def changed(self) -> None:
        """Let both ends look at the state of the link."""
        for channel in (self.server, self.client):
            if channel is not None:
                channel.signal.fire()

    def settled(self) -> None:
        """After one end closed: once both have, the channel can be opened again."""
        ends = [c for c in (self.server, self.client) if c is not None]
        if not any(c.life in ("Opening", "Open", "Closing") for c in ends):
            self.requested = self.accepted = self.closing = False
            self.gpadls.clear()
        self.changed()


class Channel:
    """A channel object of the library.

    ``life``: Disabled, Enabled, Opening, Open, Closing, FailedOpen, Freed. ``run``: Paused, Starting,
    Active, Suspending. ``want``: Start or Pause. ``busy``: a thread is taking it from state to state.
    ``posting``: PostStarted has not returned and does not hold back a close.
    """

    def __init__(self, endpoint: Endpoint, link: Link, driver: Driver, handle: int, server: bool) -> None:
        kernel = endpoint.kernel
        self.endpoint = endpoint
        self.link = link
        self.driver = driver
        self.server = server
        self.address = handle
        self.handle = f"={handle:#x}"
        self.life = "Disabled"
        self.run = "Paused"
        self.want = "Pause" if server else "Start"
        self.busy = False
        self.disabling = False
        self.rests = 0
        self.refusals = 0
        self.posting = False
        self.slots: frozenset[str] = frozenset(SLOTS)
        self.batches = False
        self.at_passive = False
        self.pnp_failures = 0.0
        # How the library treats this channel, where the documents leave it open: the quota that nobody
        # set, how many deliveries run at one time, whether packets that come again and sends that wait
        # keep their order, whether PostStarted holds back a close.
        self.quota: int | None = 8 if kernel.chance(0.1) else None
        self.overlap = 2 if kernel.chance(0.1) else 1
        self.keeps_order = not kernel.chance(0.2)
        self.posts_apart = kernel.chance(0.1)
        self.max_packet = 4096
        self.capacity = 1 << 14
        self.receiving = False
        self.stopped = False
        self.deliveries = 0
        self.outstanding: set[Received] = set()
        self.ring: deque[Message] = deque()
        self.used = 0
        self.queued: deque[Message] = deque()
        self.inflight: dict[Packet, None] = {}
        self.unsaved: list[Packet] = []
        self.kernel = kernel
        self.signal = Signal(kernel)

    def rest(self) -> None:
        """Become Disabled."""
        self.life = "Disabled"
        self.rests += 1

    @property
    def leaving(self) -> bool:
        """Return whether an open channel has to close."""
        return self.disabling or self.link.closing

    @property
    def flowing(self) -> bool:
        """Return whether packets may be delivered now."""
        return (
            self.receiving
            and not self.stopped
            and not self.leaving
            and self.want == "Start"
            and bool(self.ring)
            and (self.quota is None or len(self.outstanding) < self.quota)
        )
