"""Single edits of a slice: moves, insertions, other arguments, deletions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kmclcheck.engines.repair.calls import Caller, Site
from kmclcheck.engines.repair.changes import Change, ChangeKind, Draft
from kmclcheck.engines.repair.lines import (
    Block,
    Line,
    Lines,
    Mark,
    ThreadKey,
    blocks,
    handles,
    stack_at,
    thread_key,
)
from kmclcheck.model.event import ArgValue, Event
from kmclcheck.model.spec import Spec

SITES = 24
"""Places that a call is inserted at, the nearest to the fault first."""

AROUND = 60
"""Records before and after the fault between which calls are moved or deleted."""


class Scene:
    """A draft with the place at fault: ``fault`` is the record, ``None`` the end of the trace."""

    def __init__(self, spec: Spec, caller: Caller, draft: Draft, fault: Event | None) -> None:
        self.spec = spec
        self.caller = caller
        self.draft = draft
        self.lines = draft.lines
        self.blocks = blocks(spec, draft.lines)
        self.place = draft.cut
        if fault is not None:
            self.place = next(
                (at for at, line in enumerate(self.lines) if line.event is fault and not line.gone), draft.cut
            )
        self.fault = fault if self.place < len(self.lines) else None
        self.target = self._target()

    def _target(self) -> Block | None:
        """Return the driver's call at fault, if it is a call."""
        if self.fault is None:
            return None
        for block in self.blocks:
            if self.place in (block.start, block.end) and not block.decl.callback:
                return block
        return None

    def start(self) -> int:
        """Return the place before which something can still be mended."""
        return self.place if self.target is None else self.target.start

    def movable(self, block: Block) -> bool:
        """Return whether a block is a driver's call that no change touched."""
        return not block.decl.callback and all(self.lines[at].mark is Mark.KEPT for at in block.places())

    def is_free(self, block: Block) -> bool:
        """Return whether a call other than the one at fault can be changed: no callback is inside."""
        return self.movable(block) and not any(
            self.spec.events[self.lines[at].event.name].callback for at in block.inside
        )

    def calls_ok(self, place: int, thread: ThreadKey, without: Block | None = None) -> bool:
        """Return whether a driver's thread can call something at a place: not while it is inside a call."""
        gone = set(without.places()) if without is not None else set()
        lines = [
            replace(line, mark=Mark.DELETED) if at in gone else line for at, line in enumerate(self.lines)
        ]
        stack = stack_at(self.spec, lines, place, thread)
        return not stack or self.spec.events[stack[-1].name].callback

    # Moves.

    def moves(self, crossing: bool, inwards: bool) -> Iterator[Draft]:
        """Return the moves of the call at fault, then those of other calls past it.

        ``crossing``: those that change the order of calls; the others change only which callbacks come before
        and after. ``inwards``: also into callbacks on other threads.
        """
        for own in (True, False) if inwards else (True,):
            for block, place, after in self._ways():
                passed = self._passed(block, place)
                # To exchange two calls of the same function is no change.
                if bool(passed) is crossing and all(b.decl is not block.decl for b in passed):
                    yield from self._moved(block, place, after, own, inwards)

    def _ways(self) -> Iterator[tuple[Block, int, bool]]:
        """Return what may be moved where: block, place, whether it belongs to what is before the place."""
        target = self.target
        if target is not None and self.movable(target):
            later = [p for p in self._later(target) if p <= self.place + AROUND]
            earlier = range(target.start - 1, max(-1, target.start - AROUND), -1)
            if target.depth:
                # Out of the callback, as the driver would put it off.
                yield from ((target, place, True) for place in later[: 2 * target.depth])
            for distance in range(max(len(later), len(earlier))):
                if distance < len(later):
                    yield target, later[distance], True
                if distance < len(earlier):
                    yield target, earlier[distance], False
        before = [b for b in self.blocks if b.start < self.start() and self.is_free(b) and b.end is not None]
        behind = self.place + 1
        if target is not None:
            behind = target.start + 1 if target.end is None else target.end + 1
        for block in reversed(before[-AROUND:]):
            if self.fault is not None and self.place not in block.places():
                yield block, behind, True
        for block in self.blocks:
            if block.start > self.place and self.is_free(block) and block.end is not None:
                yield block, self.start(), False

    def _passed(self, moved: Block, place: int) -> list[Block]:
        """Return the calls of the driver's that a move goes past."""
        low, high = sorted((moved.start, place))
        inside = moved.places()
        return [
            block
            for block in self.blocks
            if low <= block.start < high and block.start not in inside and not block.decl.callback
        ]

    def _later(self, block: Block) -> list[int]:
        """Return the places behind a call that follow the exit of something."""
        end = block.places()[-1]
        found = []
        for at in range(end + 1, len(self.lines)):
            line = self.lines[at]
            decl = self.spec.events.get(line.event.name)
            if not line.gone and decl is not None and line.event.phase is not decl.entry:
                found.append(at + 1)
        return found

    def _moved(
        self, block: Block, place: int, after: bool, keep_thread: bool, inwards: bool
    ) -> Iterator[Draft]:
        places = block.places()
        if places[0] <= place <= places[-1] + 1:
            return
        own = block.thread
        neighbour = self.lines[place - 1 if after else place].event
        like = own if keep_thread else thread_key(neighbour)
        if keep_thread or like != own:
            inside = stack_at(self.spec, self.lines, place, like)
            if like != own and not (inside and self.spec.events[inside[-1].name].callback):
                return
            if not self.calls_ok(place, like, block) or (not inwards and len(inside) > block.depth):
                return
            if self._busy(place, like) and not self._busy(block.start, own):
                return
            # A call that nothing follows on its thread need not return.
            events = [
                self.lines[at].event for at in places if place < block.start or not self.lines[at].assumed
            ]
            endings = [events]
            if len(events) > 1 and failed(self.spec, events[-1]):
                # It may have failed only because it was wrong where it was.
                endings.append([*events[:-1], self.caller.success(events[0], self.lines[:place])])
            lender = None if like == own else neighbour
            irql = self._irql(block, inside)
            gone = tuple(
                replace(line, mark=Mark.MOVED_FROM) if at in places else line
                for at, line in enumerate(self.lines)
            )
            text = f"move {self._named(self.lines[places[0]].event)} {self._where(place, after, like)}"
            for moved in endings:
                new = [
                    Line(_elsewhere(event, lender, irql if at == 0 else None), Mark.MOVED_TO, after)
                    for at, event in enumerate(moved)
                ]
                yield self.put(gone, place, new, Change(ChangeKind.MOVE, block.decl.name, text))

    def _irql(self, block: Block, inside: Sequence[Event]) -> int | None:
        """Return the IRQL of a call at its new place."""
        own = self.lines[block.start].event.irql
        if own is None:
            return None
        if inside:
            return own if inside[-1].irql is None else inside[-1].irql
        return own if block.depth == 0 else 0

    # Insertions.

    def sites(self, about: tuple[str, ArgValue] | None) -> list[Site]:
        """Return where a call can be inserted, the likeliest place first.

        Those on a thread of the driver's, while it is inside no call elsewhere, come before the others.
        """
        mine = {b.thread for b in self.blocks if b.depth == 0 and not b.decl.callback}
        return sorted(self._all_sites(about), key=lambda site: self._is_odd(site, mine))

    def _is_odd(self, site: Site, mine: set[ThreadKey]) -> bool:
        thread = thread_key(site.like)
        if stack_at(self.spec, self.lines, site.place, thread):
            return False
        return self._busy(site.place, thread) or (thread not in mine and bool(mine))

    def _busy(self, place: int, thread: ThreadKey) -> bool:
        """Return whether the driver is inside a call on another thread."""
        return any(
            block.start < place <= (len(self.lines) if block.end is None else block.end)
            and block.thread != thread
            and not block.decl.callback
            for block in self.blocks
        )

    def _all_sites(self, about: tuple[str, ArgValue] | None) -> list[Site]:
        found: list[Site] = []
        if self.fault is not None:
            start = self.start()
            self._site(found, start, self.lines[start].event)
            for place in range(start, max(-1, start - SITES), -1):
                for at in (place, place - 1):
                    if 0 <= at < len(self.lines):
                        self._site(found, place, self.lines[at].event)
            return found
        cut = self.draft.cut
        tops = [b for b in self.blocks if b.depth == 0 and b.start < cut]
        mine = [b for b in tops if about is not None and self._names(b, about)]
        for block in [*reversed(mine[-1:]), *reversed(tops)]:
            if block.end is not None:
                self._site(found, block.end + 1, self.lines[block.end].event)
        for block in reversed(tops):
            if not block.decl.callback:
                self._site(found, cut, self.lines[block.start].event)
        for place in range(cut, max(-1, cut - SITES), -1):
            for at in (place, place - 1):
                if 0 <= at < cut:
                    self._site(found, place, self.lines[at].event)
        return found

    def _names(self, block: Block, about: tuple[str, ArgValue]) -> bool:
        return any(
            about == pair for at in block.places() for pair in handles(self.spec, self.lines[at].event)
        )

    def _site(self, found: list[Site], place: int, like: Event) -> None:
        known = any(s.place == place and thread_key(s.like) == thread_key(like) for s in found)
        if known or not self.calls_ok(place, thread_key(like)):
            return
        home = self._home(place, like)
        found.append(Site(place, home))

    def _home(self, place: int, like: Event) -> Event:
        """Return a record with the IRQL that its thread has at a place."""
        stack = stack_at(self.spec, self.lines, place, thread_key(like))
        if stack or like.irql is None:
            return like
        bottom = [
            b for b in self.blocks if b.depth == 0 and b.thread == thread_key(like) and not b.decl.callback
        ]
        near = [self.lines[b.start].event.irql for b in bottom]
        return replace(like, irql=near[-1] if near else 0)

    def inserted(self, site: Site, events: Sequence[Event], waits: Sequence[Event] = ()) -> Draft:
        """Return the draft with a call inserted, and callbacks that the library answers with behind it."""
        place = site.place
        after = self.fault is None or place != self.start()
        name = events[0].name
        decl = self.spec.events[name]
        new = [Line(event, Mark.INSERTED, after) for event in [*events, *waits]]
        called = tuple(dict.fromkeys(e.name for e in waits if e.phase is self.spec.events[e.name].entry))
        text = f"insert {decl.name} {self._where(place, False, thread_key(site.like))}"
        if called:
            text += f" and wait for {' and '.join(called)}"
        return self.put(self.lines, place, new, Change(ChangeKind.INSERT, decl.name, text, called))

    def delayed(self, waits: Sequence[Event]) -> Draft:
        """Return the draft in which the call at fault comes only after callbacks."""
        assert self.target is not None
        called = tuple(dict.fromkeys(e.name for e in waits if e.phase is self.spec.events[e.name].entry))
        name = self.target.decl.name
        here = self.lines[self.target.start].event
        text = f"move {self._named(here)} after the next {' and '.join(called)}"
        new = [Line(event, Mark.INSERTED) for event in waits]
        return self.put(self.lines, self.target.start, new, Change(ChangeKind.MOVE, name, text, called))

    # Other arguments, and deletions.

    def replaced(self, place: int, event: Event, text: str) -> Draft:
        """Return the draft with another record in place of one."""
        old = self.lines[place]
        gone = (*self.lines[:place], replace(old, mark=Mark.DELETED), *self.lines[place + 1 :])
        change = Change(
            ChangeKind.ARGUMENT, event.name, f"{text} ({_line(old.event)})" if _line(old.event) else text
        )
        return self.put(gone, place + 1, [Line(event, Mark.INSERTED, True)], change)

    def deletions(self) -> Iterator[Draft]:
        """Return the draft without the call at fault, then without other calls, the latest first."""
        target = self.target
        if target is not None and self.movable(target):
            yield self.deleted(target)
        for block in reversed(self.blocks):
            if block is not target and block.start < self.place and self.is_free(block):
                yield self.deleted(block)

    def deleted(self, block: Block) -> Draft:
        """Return the draft without a call and what is inside of it on its thread."""
        places = block.places()
        gone = tuple(
            replace(line, mark=Mark.DELETED) if at in places else line for at, line in enumerate(self.lines)
        )
        text = f"delete {self._named(self.lines[block.start].event)}"
        change = Change(ChangeKind.DELETE, block.decl.name, text)
        cut = self.draft.cut
        if block.start < cut:
            cut = max(cut, places[-1] + 1)
        return Draft(gone, cut, (*self.draft.changes, change))

    def put(self, lines: Lines, place: int, new: Sequence[Line], change: Change) -> Draft:
        """Return a draft with lines put in front of a place; it is judged at least as far as they reach."""
        cut = self.draft.cut
        cut = cut + len(new) if place <= cut else place + len(new)
        made = (*lines[:place], *new, *lines[place:])
        return Draft(made, cut, (*self.draft.changes, change))

    def _where(self, place: int, after: bool, thread: ThreadKey) -> str:
        """Return a place in words."""
        lines = self.lines
        if after:
            return f"after {self._named(lines[place - 1].event)}"
        there = next((line for line in lines[place : self.draft.cut + AROUND] if not line.gone), None)
        if there is None or (self.fault is None and place >= self.draft.cut):
            waiting = [b for b in self.blocks if b.end is None and not b.decl.callback and b.thread != thread]
            if waiting:
                return f"while {self._named(lines[waiting[-1].start].event)} waits"
            return "at the end"
        decl = self.spec.events.get(there.event.name)
        if decl is not None and there.event.phase is decl.exit and there.event.phase is not decl.entry:
            if decl.callback and thread_key(there.event) == thread:
                return f"into {self._named(there.event)}, before it returns"
            return f"before {self._named(there.event)} returns"
        return f"before {self._named(there.event)}"

    def _named(self, event: Event) -> str:
        line = _line(event)
        return f"{event.name} ({line})" if line else event.name


def _line(event: Event) -> str:
    return f"line {event.line}" if event.line else ""


def failed(spec: Spec, event: Event) -> bool:
    """Return whether a record gives back a failure."""
    status = spec.statuses.get(event.status) if isinstance(event.status, str) else event.status
    return status is not None and bool(status & 0x80000000)


def _elsewhere(event: Event, lender: Event | None, irql: int | None) -> Event:
    """Return a record as it is at another place, on the thread of another record if one is given."""
    moved = replace(event, seq=None, time=None)
    if lender is not None:
        moved = replace(moved, pid=lender.pid, tid=lender.tid, cpu=lender.cpu, endpoint=lender.endpoint)
    return moved if irql is None else replace(moved, irql=irql)
