"""Entering and leaving calls: matching returns, marking overlaps, watching moments."""

from __future__ import annotations

from kmclcheck.engines.monitor.context import Context
from kmclcheck.engines.monitor.frames import Frame, Thread
from kmclcheck.engines.monitor.plan import EventPlan
from kmclcheck.engines.monitor.state import Run
from kmclcheck.engines.monitor.store import Obj
from kmclcheck.model.event import Event
from kmclcheck.semantics.truth import FALSE, MISSING, TRUE, Truth4

OPEN_CALLS_KEPT = 256
"""How many open calls on one object are told apart."""


def leave(run: Run, event: Event, plan: EventPlan, thread: Thread) -> Frame | None:
    """Leave the frame a return belongs to, and return it. A return without its call means losses.

    Nothing is returned if the return may be that of a call that was lost; then it tells what its own record
    says, and no more.
    """
    found = _left(run, event, plan, thread)
    if found is not None and found.doubted:
        untrack(run, found)
        return None
    return found


def _left(run: Run, event: Event, plan: EventPlan, thread: Thread) -> Frame | None:
    frames = thread.frames
    if frames and thread.identified:
        top = frames[-1]
        if top.name == plan.name and (not event.args or _fits(run, event, plan, top)):
            frames.pop()
            return top
    return _search(run, event, plan, thread)


def _fits(run: Run, event: Event, plan: EventPlan, frame: Frame) -> bool:
    """Return whether the handles a return repeats, if any, are those of the call."""
    for kind, param in plan.inputs:
        handle = run.handle(event, param)
        if handle is not None:
            obj = frame.objs.get(kind)
            if obj is not None and not obj.temporary and obj.handle != handle:
                return False
    return True


def _search(run: Run, event: Event, plan: EventPlan, thread: Thread) -> Frame | None:
    fitting = _fitting(run, event, plan, thread)
    if not thread.identified:
        for other in run.threads.values():
            if other is not thread and other.obj.endpoint == event.endpoint:
                fitting += _fitting(run, event, plan, other)
    elif not fitting and (nameless := run.nameless(event)) is not None:
        # The entry may lack the thread id that the exit has.
        fitting = _fitting(run, event, plan, nameless)
    if not fitting:
        if thread.base and thread.identified and run.recording.entry_recorded(plan.name):
            run.evidence_of_loss("a return without its call")
        return None
    found = fitting[0]
    if thread.identified and found.thread is thread:
        above = thread.leave(found)
        for skipped in above:
            untrack(run, skipped)
        if any(f.certain and run.recording.exit_recorded(f.name) for f in above):
            run.evidence_of_loss("a call without its return")
        return found
    if len(fitting) == 1:
        found.thread.drop(found)
        untrack(run, found)
        _settle_owed(run, event, plan.name, 0)
        return found
    # It belongs to one of several open calls, and nothing tells to which.
    for frame in fitting:
        frame.certain = False
        if not frame.thread.identified:
            frame.thread.drop(frame)
            frame.thread.perhaps(frame)
        for obj in frame.objs.values():
            run.store.forget(obj)
    _settle_owed(run, event, plan.name, 1)
    return None


def _settle_owed(run: Run, event: Event, name: str, returns: int) -> None:
    """Count returns that could not be matched; once there are as many as open calls, all have ended."""
    nameless = run.nameless(event)
    if nameless is None or not nameless.base:
        return
    threads = [t for t in run.threads.values() if t.obj.endpoint == event.endpoint]
    frames = [frame for thread in threads for frame in thread.open(name)]
    owed = nameless.owed.get(name, 0) + returns
    if owed >= len(frames):
        for frame in frames:
            frame.thread.drop(frame)
            untrack(run, frame)
        owed = 0
    nameless.owed[name] = owed


def _fitting(run: Run, event: Event, plan: EventPlan, thread: Thread) -> list[Frame]:
    """Return the open calls of a thread that a return may belong to, innermost first."""
    return [frame for frame in thread.open(plan.name) if _fits(run, event, plan, frame)]


def enter(run: Run, event: Event, thread: Thread, objs: dict[str, Obj], plan: EventPlan) -> Frame:
    """Push the frame of a call or callback."""
    run.serial += 1
    serial = run.serial
    frame = Frame(plan.name, event, thread, serial, run.count, objs, run.store.version)
    if run.vague == run.count:
        # The return may name what the call did not.
        frame.version = -1
    if plan.primary is not None and (primary := objs.get(plan.primary)) is not None:
        parent = primary.parent
        if parent is not None and parent.kind not in objs:
            objs[parent.kind] = parent
        for group in plan.groups:
            if primary.entries is None:
                primary.entries = {}
            primary.entries[group] = serial
    if plan.exit_recorded and len(thread.frames) < 4096:
        thread.frames.append(frame)
    else:
        thread.perhaps(frame)
    if plan.tracked:
        _track(frame)
    # Without thread ids no moment would be known to lie between two records of the call's thread.
    if plan.awaited and frame.certain and thread.identified:
        frame.latch = dict.fromkeys(plan.awaited, FALSE)
        latch(run, frame, True)
        run.entered(frame)
    return frame


def _track(frame: Frame) -> None:
    """Register an open call with its objects, and mark the calls it overlaps."""
    for obj in frame.objs.values():
        others = obj.frames
        if others is None:
            others = obj.frames = []
        for other in others:
            apart = other.thread.identified and frame.thread.identified
            if other.thread is frame.thread and apart:
                continue
            level = TRUE if other.certain and frame.certain and apart else MISSING
            _mark(other, frame.name, level)
            _mark(frame, other.name, level)
        if not frame.certain and any(_alike(other, frame) for other in others):
            # Its exit is not recorded, so it would stay for good, and says no more than the other one.
            continue
        others.append(frame)
        if len(others) > OPEN_CALLS_KEPT:
            del others[0]
            obj.complete = False


def _alike(one: Frame, other: Frame) -> bool:
    return one.name == other.name and one.thread is other.thread and not one.certain


def _mark(frame: Frame, name: str, level: Truth4) -> None:
    marks = frame.overlaps
    if marks is None:
        marks = frame.overlaps = {}
    marks[name] = max(level, marks.get(name, FALSE))


def untrack(run: Run, frame: Frame) -> None:
    """Forget an open call that has ended."""
    for obj in frame.objs.values():
        frames = obj.frames
        if frames and frames[-1] is frame:
            frames.pop()
        elif frames and frame in frames:
            frames.remove(frame)
        if obj.watch and frame in obj.watch:
            obj.watch.remove(frame)
    if frame in frame.thread.watch:
        frame.thread.watch.remove(frame)
        run.watched -= 1


def watch(run: Run, thread: Thread, objs: list[Obj]) -> None:
    """After an event: note for every waiting call whether its moment is now.

    A record of the call's own thread begins the interval anew; another thread's adds to it.
    """
    for frame in list(thread.watch):
        latch(run, frame, True)
    for obj in objs:
        for frame in obj.watch or ():
            if frame.thread is not thread:
                latch(run, frame, False)


def latch(run: Run, frame: Frame, reset: bool) -> None:
    """Evaluate what a call waits for in the present state."""
    for obj in frame.objs.values():
        run.store.refresh(obj)
    Context(run, frame.event, frame.thread, frame, frame.objs).latch(frame, reset)
