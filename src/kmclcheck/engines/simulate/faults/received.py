"""Faults of drivers with received packets."""

from __future__ import annotations

from kmclcheck.engines.simulate.faults.injector import Injector, fault
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Received

_COMPLETE, _SCALARS = "VmbChannelPacketComplete", " PacketCompletionBuffer=0x0 BufSize=0"


@fault("incoming-complete-once", "at once", "echo")
def complete_twice(inject: Injector) -> None:
    """A server completes a packet twice in a row."""
    handle = ""

    def remember(t: Thread, received: Received) -> Task:
        nonlocal handle
        handle = received.handle
        yield from original(t, received)
        inject.mark(t)
        yield from inject.call(t, _COMPLETE, f" PacketCompletionContext{handle}", _SCALARS)

    assert inject.server is not None
    original = inject.server.lib.complete
    inject.at(inject.server.lib, "complete", "instead", remember)


@fault("incoming-disposed", "forgotten", "echo")
def never_complete(inject: Injector) -> None:
    """A server forgets a packet; its Disable never returns."""

    def forget(t: Thread, received: Received) -> Task:
        inject.mark_end(t)
        yield from ()

    assert inject.server is not None
    inject.at(inject.server.lib, "complete", "instead", forget)
