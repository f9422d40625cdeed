"""Faults with saving: of servers, and of the library."""

from __future__ import annotations

from collections.abc import Callable

from kmclcheck.engines.simulate.faults.injector import Injector, fault
from kmclcheck.engines.simulate.faults.packet_tools import keep_packet
from kmclcheck.engines.simulate.faults.save_tools import (
    BEGIN,
    CONTINUE,
    END,
    NO_RESOURCES,
    OVERFLOW,
    TOO_SMALL,
    any_in_use,
    begun,
    contexts,
    enter_save,
    in_use,
    misuse,
    right,
    saver_of,
)
from kmclcheck.engines.simulate.faults.tools import replace, server_of
from kmclcheck.engines.simulate.kernel import Task, Thread
from kmclcheck.engines.simulate.objects import Channel, Packet


def _on_new_channel(inject: Injector, name: str) -> None:
    """A thread of a server makes a call on the channel that is about to be restored."""
    server = saver_of(inject)
    inject.at(
        server, "restore_all", "before",
        lambda t, channel: misuse(inject, t.endpoint.thread(), name, channel),
    )  # fmt: skip


# Continued without a begin.


@fault("save-continue-after-begin", "Begin left out", "save-restore")
def continue_first(inject: Injector) -> None:
    """A server saves the first part before it has begun."""
    inject.at(
        saver_of(inject).lib, "save_begin", "before",
        lambda t, channel: misuse(inject, t, CONTINUE, channel),
    )  # fmt: skip


@fault("save-continue-after-begin", "Begin failed", "save-restore")
def continue_failed(inject: Injector) -> None:
    """A server cannot begin, does not look, and saves the first part."""

    def careless(t: Thread, channel: Channel) -> Task:
        yield from right(inject, t, BEGIN, channel, NO_RESOURCES)
        yield from misuse(inject, t, CONTINUE, channel)

    inject.at(saver_of(inject).lib, "save_begin", "before", careless)


@fault("save-continue-after-begin", "after SaveEnd", "save-restore")
def continue_ended(inject: Injector) -> None:
    """A server wants to save one more part when it has ended."""
    inject.at(
        saver_of(inject).lib, "save_end", "after",
        lambda t, channel, _: misuse(inject, t, CONTINUE, channel),
    )  # fmt: skip


@fault("save-continue-after-begin", "on the new channel, by another thread", "save-restore")
def continue_elsewhere(inject: Injector) -> None:
    """A thread of a server goes on saving, on the channel that takes the place of the saved one."""
    _on_new_channel(inject, CONTINUE)


# Ended without a begin.


@fault("save-end-after-begin", "Begin left out", "save-restore")
def end_first(inject: Injector) -> None:
    """A server ends what it has not begun."""
    tried: list[Channel] = []

    def first(t: Thread, channel: Channel) -> bool:
        # Whether an end is called for after a failed begin is not documented.
        tried.append(channel)
        return tried.count(channel) == 1

    inject.turn = 0
    inject.at(
        saver_of(inject).lib, "save_begin", "before",
        lambda t, channel: misuse(inject, t, END, channel), first,
    )  # fmt: skip


@fault("save-end-after-begin", "twice", "save-restore")
def end_twice(inject: Injector) -> None:
    """A server ends saving twice in a row."""
    inject.at(
        saver_of(inject).lib, "save_end", "after", lambda t, channel, _: misuse(inject, t, END, channel)
    )  # fmt: skip


@fault("save-end-after-begin", "twice after a failed Begin", "save-restore")
def end_failed_twice(inject: Injector) -> None:
    """A server cannot begin, ends that, and another thread of it ends it as well."""

    def both(t: Thread, channel: Channel) -> Task:
        yield from right(inject, t, BEGIN, channel, NO_RESOURCES)
        yield from right(inject, t, END, channel)
        yield from misuse(inject, t.endpoint.thread(), END, channel)

    inject.at(saver_of(inject).lib, "save_begin", "before", both)


@fault("save-end-after-begin", "on the new channel, by another thread", "save-restore")
def end_elsewhere(inject: Injector) -> None:
    """A thread of a server ends saving on the channel that takes the place of the saved one."""
    _on_new_channel(inject, END)


# Never ended.


def _at_cleanup(inject: Injector, open_still: Callable[[Channel], bool]) -> None:
    """The fault shows when a channel is cleaned up whose context is open."""
    server = server_of(inject)

    def make(cleanup: Callable[..., Task]) -> Callable[..., Task]:
        def marked(t: Thread, channel: Channel) -> Task:
            if channel.driver is server and open_still(channel):
                inject.mark(t)
            yield from cleanup(t, channel)

        return marked

    replace(server.lib, "cleanup", make)


@fault("save-ended", "left out", "save-restore")
def never_ended(inject: Injector) -> None:
    """A server has saved everything and forgets to end."""
    server = saver_of(inject)
    saving = contexts(server)

    def forget(t: Thread, channel: Channel) -> Task:
        yield from ()

    _at_cleanup(inject, saving)
    inject.at(server.lib, "save_end", "instead", forget, lambda t, channel: saving(channel))


@fault("save-ended", "begun again", "save-restore")
def begun_again(inject: Injector) -> None:
    """A server ends and begins again, but there is nothing left to save."""
    server = saver_of(inject)
    saving = contexts(server)
    again: set[Channel] = set()

    def begin(t: Thread, channel: Channel, _: object) -> Task:
        again.add(channel)
        yield from right(inject, t, BEGIN, channel)

    _at_cleanup(inject, again.__contains__)
    inject.at(server.lib, "save_end", "after", begin, lambda t, channel: saving(channel))


@fault("save-ended", "given up", "save-restore")
def save_given_up(inject: Injector) -> None:
    """A server has no room for what it should save, and gives up without an end."""
    server = saver_of(inject)
    saving = contexts(server)

    def give_up(t: Thread, channel: Channel) -> Task:
        yield from begun(server, t, channel)
        yield from right(inject, t, CONTINUE, channel, TOO_SMALL)

    _at_cleanup(inject, saving)
    inject.at(server, "save_all", "instead", give_up)


@fault("save-ended", "begun after Disable", "echo")
def begun_disabled(inject: Injector) -> None:
    """A server begins to save when it has disabled its channel, and cleans it up."""
    server = server_of(inject)
    late: set[Channel] = set()

    def begin(t: Thread, channel: Channel, _: object) -> Task:
        late.add(channel)
        yield from right(inject, t, BEGIN, channel)

    _at_cleanup(inject, late.__contains__)
    inject.turn = 0
    inject.at(
        server.lib, "disable", "after", begin,
        lambda t, channel: channel.driver is server and channel.life != "Disabled" and not late,
    )  # fmt: skip


# Begun twice.


@fault("save-no-nested-begin", "at once", "save-restore")
def begin_twice(inject: Injector) -> None:
    """A server begins twice in a row."""

    def twice(t: Thread, channel: Channel, works: bool) -> Task:
        if works:
            yield from misuse(inject, t, BEGIN, channel)

    inject.at(saver_of(inject).lib, "save_begin", "after", twice)


@fault("save-no-nested-begin", "after a part", "save-restore")
def begin_over(inject: Injector) -> None:
    """A server has saved a part and wants to start over."""

    def over(t: Thread, channel: Channel) -> Task:
        yield from right(inject, t, CONTINUE, channel, OVERFLOW)
        yield from misuse(inject, t, BEGIN, channel)

    inject.at(saver_of(inject).lib, "save_continue", "before", over)


@fault("save-no-nested-begin", "all saved, on another thread", "save-restore")
def begin_saved(inject: Injector) -> None:
    """A server has saved everything; another thread begins before it has ended."""
    server = saver_of(inject)
    saving = contexts(server)
    inject.at(
        server.lib, "save_end", "before",
        lambda t, channel: misuse(inject, t.endpoint.thread(), BEGIN, channel),
        lambda t, channel: saving(channel),
    )  # fmt: skip


@fault("save-no-nested-begin", "in the SavePacket callback", "save-restore")
def begin_in_callback(inject: Injector) -> None:
    """A server begins again in the callback that saves a packet."""
    server = saver_of(inject)
    saving = contexts(server)
    inject.at(
        server, "save", "before",
        lambda t, channel, *_: misuse(inject, t, BEGIN, channel),
        lambda t, channel, *_: saving(channel),
    )  # fmt: skip


# Ended before everything is saved.


def _end_early(inject: Injector, *parts: int, elsewhere: bool = False) -> None:
    """A server ends after some parts that were not the last one."""
    server = saver_of(inject)

    def early(t: Thread, channel: Channel) -> Task:
        yield from begun(server, t, channel)
        for status in parts:
            yield from right(inject, t, CONTINUE, channel, status)
        inject.mark(t)
        yield from server.lib.save_end(t.endpoint.thread() if elsewhere else t, channel)

    inject.at(server, "save_all", "instead", early)


@fault("save-completed-before-end", "nothing saved", "save-restore")
def end_at_once(inject: Injector) -> None:
    """A server begins and ends."""
    _end_early(inject)


@fault("save-completed-before-end", "a part saved", "save-restore")
def end_after_part(inject: Injector) -> None:
    """A server takes a part for everything, and ends."""
    _end_early(inject, OVERFLOW)


@fault("save-completed-before-end", "no room, on another thread", "save-restore")
def end_without_room(inject: Injector) -> None:
    """A server saves a part and has no room for the next one; another thread ends."""
    _end_early(inject, OVERFLOW, TOO_SMALL, elsewhere=True)


@fault("save-completed-before-end", "failed", "save-restore")
def end_after_failure(inject: Injector) -> None:
    """A server cannot save and ends."""
    _end_early(inject, NO_RESOURCES)


# What a packet needs.


def _without_need(inject: Injector, status: int, packets: int) -> None:
    """A server does not say how much room a packet needs, when it has saved some others."""
    server = saver_of(inject)
    seen: set[Packet] = set()

    def occasion(t: Thread, channel: Channel, packet: Packet, size: int) -> bool:
        seen.add(packet)
        return size == 0 and len(seen) > packets

    def silent(t: Thread, *_: object) -> Task:
        inject.mark(t)
        yield from ()
        return status, 0

    inject.at(server, "save", "instead", silent, occasion)


@fault("save-packet-size-protocol", "too small", "save-restore")
def no_need(inject: Injector) -> None:
    """A server says that no room is too small for a packet, and not what is enough."""
    _without_need(inject, TOO_SMALL, 0)


@fault("save-packet-size-protocol", "another failure", "save-restore")
def no_need_failed(inject: Injector) -> None:
    """A server fails to tell how much room a packet needs."""
    _without_need(inject, NO_RESOURCES, 0)


@fault("save-packet-size-protocol", "for a later packet", "save-restore")
def no_need_later(inject: Injector) -> None:
    """A server has told the needs of other packets and is silent about one."""
    _without_need(inject, TOO_SMALL, 2)


# Saved at the wrong time, or with too little room.


@fault("lg-save-packet-window", "before Begin", "save-restore")
def saved_before_begin(inject: Injector) -> None:
    """The library saves a packet before the server has begun."""
    inject.at(
        saver_of(inject).lib, "save_begin", "before",
        lambda t, channel: enter_save(inject, t.endpoint.thread(), channel, in_use(channel)), any_in_use,
    )  # fmt: skip


@fault("lg-save-packet-window", "after SaveEnd", "save-restore")
def saved_after_end(inject: Injector) -> None:
    """The library saves a packet after the server has ended."""
    inject.at(
        saver_of(inject).lib, "save_end", "after",
        lambda t, channel, _: enter_save(inject, t.endpoint.thread(), channel, in_use(channel)), any_in_use,
    )  # fmt: skip


@fault("lg-save-packet-window", "between two parts", "save-restore")
def saved_between(inject: Injector) -> None:
    """The library saves a packet when the server is busy with storing a part."""

    def save(t: Thread, channel: Channel, _: object) -> Task:
        if any_in_use(t, channel):
            yield from enter_save(inject, t.endpoint.thread(), channel, in_use(channel))

    inject.at(saver_of(inject).lib, "save_continue", "after", save)


@fault("lg-save-packet-window", "freed packet", "save-restore")
def saved_freed(inject: Injector) -> None:
    """The library saves a packet that was freed before."""
    server = saver_of(inject)
    freed: list[Packet] = []

    def make(save_all: Callable[..., Task]) -> Callable[..., Task]:
        def with_freed(t: Thread, channel: Channel) -> Task:
            packet = yield from server.lib.allocate_packet(t, channel)
            keep_packet(packet)
            yield from server.lib.free(t, packet)
            freed.append(packet)
            yield from save_all(t, channel)

        return with_freed

    replace(server, "save_all", make)
    inject.at(
        server, "save", "before",
        lambda t, channel, *_: enter_save(inject, t.endpoint.thread(), channel, freed[-1]),
    )  # fmt: skip


def _smaller(inject: Injector, size: int) -> None:
    """The library offers less room for a packet than it needs."""
    inject.change(
        saver_of(inject).lib, "in", ("EvtVmbChannelSavePacket",),
        lambda scalars: f"{scalars.rpartition('=')[0]}={size}",
        lambda t, handles, scalars: not scalars.endswith("=0"),
    )  # fmt: skip


@fault("lg-save-packet-second-buffer", "one byte", "save-restore")
def saved_in_one_byte(inject: Injector) -> None:
    """The library offers one byte for a packet that needs more."""
    _smaller(inject, 1)


@fault("lg-save-packet-second-buffer", "one byte less", "save-restore")
def saved_in_too_little(inject: Injector) -> None:
    """The library offers one byte less than a packet needs."""
    _smaller(inject, 95)
