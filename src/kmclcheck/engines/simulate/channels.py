"""Channel life: from the allocation to the cleanup, and the callbacks on the way.

One thread at a time takes a channel from state to state, so its state callbacks never overlap. It may
be that of the call that asked for the change, or a worker; the documents leave it open, so the seed decides.
"""

from __future__ import annotations

from collections.abc import Callable

from kmclcheck.engines.simulate.base import FAILED, OK, Base
from kmclcheck.engines.simulate.driver import Driver
from kmclcheck.engines.simulate.kernel import PASSIVE, Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Link

Step = Callable[[Thread, Channel], Task]


class ChannelCalls(Base):
    """The functions about channels."""

    # What other parts of the library do when a channel opens, flows and closes.
    def kick(self, channel: Channel) -> None:
        """Deliver what can be delivered."""
        raise NotImplementedError

    def open_rings(self, channel: Channel) -> None:
        """Let queued packets go."""
        raise NotImplementedError

    def drop_received(self, channel: Channel) -> None:
        """Forget what was not delivered before the close."""
        raise NotImplementedError

    def drop_sends(self, channel: Channel, t: Thread) -> Task:
        """Decide the fate of packets that the close cut off."""
        raise NotImplementedError

    def allocate(self, t: Thread, driver: Driver, link: Link, server: bool, stale: str | None = None) -> Task:
        """Return a new channel. ``stale``: it fails, and this is what the driver's variable still holds."""
        name = "VmbChannelAllocate"
        self.record(t, "call", name, "", f" ParentDeviceObject=0xffffbc800f2c4a60 IsServer={server:d}")
        if self.random() < 0.3:
            yield self.random() * 2000
        if stale is not None:
            self.record(t, "ret", name, f" Channel{stale}", "", FAILED)
            return None
        channel = Channel(self.endpoint, link, driver, self.channel_handles.take(), server)
        self.record(t, "ret", name, f" Channel{channel.handle}", "", OK)
        self._begin(channel)
        return channel

    def initialize(self, t: Thread, driver: Driver, link: Link, server: bool, fails: bool = False) -> Task:
        """Return a new channel in memory of the driver, at the second attempt if the first ``fails``.

        Only the names of these functions are published, so a tracer may know little of their arguments.
        """
        yield from self.simple(t, "VmbSizeofChannel", "", "", "", " return=0x400")
        channel = Channel(self.endpoint, link, driver, self.channel_handles.take(), server)
        handles = f" Channel{channel.handle}"
        scalars = f" IsServer={server:d}" if self.random() < 0.7 else ""
        if fails:
            yield from self.simple(t, "VmbChannelInitialize", handles, scalars, FAILED)
        yield from self.simple(t, "VmbChannelInitialize", handles, scalars, OK)
        self._begin(channel)
        return channel

    def _begin(self, channel: Channel) -> None:
        link = channel.link
        if channel.server:
            link.server = channel
        else:
            link.client = channel
        self.endpoint.work(lambda thread: self._keep(thread, channel))

    def init(self, t: Thread, channel: Channel, name: str, scalars: str = "", result: str = OK) -> Task:
        """Call a configuration function."""
        yield from self.simple(t, name, f" Channel{channel.handle}", scalars, result)

    def cleanup(self, t: Thread, channel: Channel) -> Task:
        self.record(t, "call", "VmbChannelCleanup", f" Channel{channel.handle}")
        yield from self._settle(channel)
        channel.life = "Freed"
        if channel.link.server is channel:
            channel.link.server = None
        elif channel.link.client is channel:
            channel.link.client = None
        channel.signal.fire()
        self.channel_handles.give(channel.address)
        if self.random() < 0.2:
            yield self.random() * 2000
        self.record(t, "ret", "VmbChannelCleanup", f" Channel{channel.handle}" if self.repeats else "")

    def enable(self, t: Thread, channel: Channel, fails: bool = False) -> Task:
        """Return whether it worked. After a failed open or connect the channel may be enabled still."""
        name, handles = "VmbChannelEnable", f" Channel{channel.handle}"
        self.record(t, "call", name, handles)
        if self.random() < 0.3:
            yield self.random() * 2000
        if fails:
            self.record(t, "ret", name, handles if self.repeats else "", "", FAILED)
            return False
        yield from self._settle(channel)
        if channel.life == "Disabled":
            channel.life = "Enabled"
        channel.disabling = False
        if not channel.server and channel.want == "Pause" and self.random() < 0.5:
            # A client that was paused while disabled: whether it comes up is not documented.
            channel.want = "Start"
        if channel.server:
            channel.link.offered = True
        channel.link.changed()
        refusals = channel.refusals
        if self.random() < 0.3:
            yield self.random() * 5000  # others may begin in the meantime
        yield from self._perhaps_here(t, channel)
        failed = not channel.server and channel.refusals > refusals and (yield from self._fails(t, channel))
        self.record(t, "ret", name, handles if self.repeats else "", "", FAILED if failed else OK)
        return not failed

    def _fails(self, t: Thread, channel: Channel) -> Task:
        """Return whether Enable fails since a client refused to open meanwhile; it is not documented."""
        if self.random() < 0.5 or channel.busy or channel.life not in ("Disabled", "Enabled", "FailedOpen"):
            return False
        if channel.life != "Disabled":
            channel.busy = True
            yield from (self._rest if channel.life == "Enabled" else self._give_up)(t, channel)
            channel.busy = False
        return True

    def disable(self, t: Thread, channel: Channel) -> Task:
        """Close the channel if it is open; return when it is disabled."""
        name, handles = "VmbChannelDisable", f" Channel{channel.handle}"
        self.record(t, "call", name, handles)
        if self.random() < 0.3:
            yield self.random() * 2000
        if channel.life != "Disabled":
            channel.disabling = True
            if channel.life == "Open":
                channel.link.closing = True
            channel.link.changed()
            rests = channel.rests
            # Another thread may have enabled it again by the time this one notices.
            yield from self._until(t, channel, lambda: channel.rests > rests)
        if channel.server:
            # What a server wants after this is not documented.
            channel.want = "Start" if self.random() < 0.5 else "Pause"
            channel.link.offered = False
            channel.link.changed()
        channel.disabling = False
        self.record(t, "ret", name, handles if self.repeats else "")

    def start(self, t: Thread, channel: Channel) -> Task:
        name, handles = "VmbChannelStart", f" Channel{channel.handle}"
        self.record(t, "call", name, handles)
        if self.random() < 0.3:
            yield self.random() * 2000
        channel.want = "Start"
        channel.signal.fire()
        self.kick(channel)
        if self.random() < 0.2:
            # Whether it waits is not documented.
            while channel.life == "Open" and channel.run != "Active" and self._wanted(channel):
                yield channel.signal
        else:
            yield from self._perhaps_here(t, channel)
        self.record(t, "ret", name, handles if self.repeats else "")

    def pause(self, t: Thread, channel: Channel) -> Task:
        """Return when nothing is delivered any more and nothing received is outstanding."""
        name, handles = "VmbChannelPause", f" Channel{channel.handle}"
        self.record(t, "call", name, handles)
        if self.random() < 0.3:
            yield self.random() * 2000
        channel.want = "Pause"
        channel.signal.fire()
        yield from self._until(t, channel, lambda: channel.run == "Paused" or channel.want == "Start")
        self.record(t, "ret", name, handles if self.repeats else "")

    def set_quota(self, t: Thread, channel: Channel, quota: int) -> Task:
        """Bound the received packets that are outstanding at one time."""
        channel.quota = quota
        yield from self.simple(
            t, "VmbChannelSetTransactionQuota", f" Channel{channel.handle}", f" Quota={quota}"
        )

    # How a channel goes from state to state.

    def _settle(self, channel: Channel) -> Task:
        """Wait for the end of a close whose callback has returned already."""
        while channel.life == "Closing":
            yield channel.signal

    def _wanted(self, channel: Channel) -> bool:
        return channel.want == "Start" and not channel.leaving

    def _perhaps_here(self, t: Thread, channel: Channel) -> Task:
        if t.irql == PASSIVE and self.random() < 0.5:
            yield from self._advance(t, channel)

    def _until(self, t: Thread, channel: Channel, reached: Callable[[], bool]) -> Task:
        """Wait for a state, perhaps taking the channel there on this very thread."""
        here = self.random() < 0.5
        while not reached():
            if here and not channel.busy and self._next(channel) is not None:
                yield from self._advance(t, channel)
            else:
                yield channel.signal

    def _keep(self, t: Thread, channel: Channel) -> Task:
        """The library's worker for a channel."""
        while channel.life != "Freed":
            if not channel.busy and self._next(channel) is not None:
                yield from self._advance(t, channel)
            else:
                yield channel.signal
                yield self.random() * 3000

    def _advance(self, t: Thread, channel: Channel) -> Task:
        if channel.busy:
            return
        channel.busy = True
        while (step := self._next(channel)) is not None:
            yield from step(t, channel)
        channel.busy = False
        channel.signal.fire()

    def _next(self, channel: Channel) -> Step | None:
        """Return what is to be done with a channel now, if anything is."""
        link = channel.link
        if channel.life == "Enabled":
            if channel.disabling and self.random() < 0.7:
                return self._rest
            # An open may still come after the call of Disable; then it is closed again.
            if channel.server:
                opens = link.requested and not link.accepted
            else:
                opens = link.offered and link.accepted
            if opens and not link.closing:
                return self._open
            if channel.disabling:
                return self._rest
            asks = not channel.server and link.offered and not link.closing and not link.requested
            return self._request if asks else None
        if channel.life == "FailedOpen":
            return self._give_up if channel.disabling else None
        if channel.life != "Open":
            return None
        leaving = channel.leaving
        if channel.run == "Active":
            if not leaving and channel.want == "Start":
                return None
            return self._suspend if not channel.deliveries else self._halt if channel.receiving else None
        if channel.run == "Suspending":
            return self._drained if not channel.outstanding else None
        if channel.posting:
            return None
        if leaving:
            return self._close
        return self._run if channel.want == "Start" else None

    def _rest(self, t: Thread, channel: Channel) -> Task:
        link = channel.link
        yield from self.drop_sends(channel, t)
        channel.rest()
        if channel.server:
            link.offered = False
        elif link.requested:
            # The client gives up what the server may be opening just now.
            if link.server is not None and link.server.life != "Enabled":
                link.closing = True
            else:
                link.requested = False
        link.settled()

    def _request(self, t: Thread, channel: Channel) -> Task:
        """Ask the server to open; the device may turn out not to start."""
        if channel.kernel.chance(channel.pnp_failures):
            callback = self.callback(
                t, "EvtVmbChannelPnpFailure", f" Channel{channel.handle}", " FailureStatus=0xc0000001",
                channel.driver.connect_failed(t, channel),
            )  # fmt: skip
            yield from callback
            # Whether the channel is still enabled after this is not documented.
            if self.random() < 0.5:
                channel.rest()
                channel.signal.fire()
                return
            yield self.random() * 10_000
        channel.link.requested = True
        channel.link.changed()

    def _open(self, t: Thread, channel: Channel) -> Task:
        channel.life = "Opening"
        status = yield from self._state(t, channel, "Opened", channel.driver.opened)
        if status:
            yield from self._refuse(t, channel)
            return
        channel.life = "Open"
        channel.run = "Paused"
        if channel.server:
            channel.link.accepted = True
        channel.link.changed()
        self.open_rings(channel)
        peer = channel.link.peer(channel)
        if peer is not None:
            peer.driver.lib.open_rings(peer)

    def _refuse(self, t: Thread, channel: Channel) -> Task:
        """After a failed Opened callback: what follows, and when, is not documented."""
        link = channel.link
        channel.refusals += 1
        chance = self.random()
        if chance < 0.25:
            channel.life = "FailedOpen"
        elif chance < 0.6:
            channel.life = "Closing"
            yield from self._state(t, channel, "Closed", channel.driver.closed)
        if channel.life != "FailedOpen":
            if self.random() < 0.5 and not channel.disabling:
                channel.life = "Enabled"
            else:
                channel.rest()
        if channel.server:
            link.requested = False
            link.offered = channel.life == "Enabled"
        else:
            link.closing = True
        link.settled()

    def _give_up(self, t: Thread, channel: Channel) -> Task:
        """Disable a channel that did not open."""
        if self.random() < 0.5:
            channel.life = "Closing"
            yield from self._state(t, channel, "Closed", channel.driver.closed)
        channel.rest()
        channel.link.settled()

    def _run(self, t: Thread, channel: Channel) -> Task:
        channel.run = "Starting"
        yield from self._state(t, channel, "Started", channel.driver.started)
        channel.receiving = True
        self.kick(channel)
        if self.random() < 0.3:
            yield self.random() * 3000
        # Whether a close that comes now is held back until PostStarted returned is not documented.
        if channel.posts_apart and "Started" in channel.slots:
            channel.posting = True
            self.endpoint.work(lambda thread: self._post(thread, channel), self.random() * 2000)
        elif not channel.leaving or self.random() < 0.5:
            yield from self._state(t, channel, "PostStarted", channel.driver.post_started)
        channel.run = "Active"
        self.kick(channel)

    def _post(self, t: Thread, channel: Channel) -> Task:
        """Call PostStarted on a thread of its own, so that a pause or a close may come meanwhile."""
        if channel.run == "Active" and not channel.leaving:
            yield from self._state(t, channel, "PostStarted", channel.driver.post_started)
        channel.posting = False
        channel.signal.fire()

    def _halt(self, t: Thread, channel: Channel) -> Task:
        """No new delivery begins; those that are running end first."""
        channel.receiving = False
        yield from ()

    def _suspend(self, t: Thread, channel: Channel) -> Task:
        channel.receiving = False
        yield from self._state(t, channel, "Suspend", channel.driver.suspend)
        channel.run = "Suspending"

    def _drained(self, t: Thread, channel: Channel) -> Task:
        channel.run = "Paused"
        channel.signal.fire()
        yield from ()

    def _close(self, t: Thread, channel: Channel) -> Task:
        channel.link.closing = True
        channel.link.changed()
        early = self.random() < 0.5
        if early:
            yield from self.drop_sends(channel, t)
        channel.life = "Closing"
        yield from self._state(t, channel, "Closed", channel.driver.closed)
        if not early:
            yield from self.drop_sends(channel, t)
        channel.stopped = False
        self.drop_received(channel)
        if channel.server and not channel.disabling:
            channel.life = "Enabled"
        else:
            channel.rest()
        channel.link.settled()

    def _state(
        self, t: Thread, channel: Channel, slot: str, routine: Callable[[Thread, Channel], Task]
    ) -> Task:
        """Call a state callback if the driver registered one."""
        if slot in channel.slots:
            status = yield from self.callback(
                t, f"EvtVmbChannel{slot}", f" Channel{channel.handle}", "",
                routine(t, channel), slot == "Opened",
            )  # fmt: skip
            return status
        return 0
