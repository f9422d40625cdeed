"""How the stepper matches returns with calls."""

from __future__ import annotations

from kmclcheck.model.event import Event
from kmclcheck.semantics.index import EventIndex
from kmclcheck.semantics.stepper_scene import Scene
from kmclcheck.semantics.stepper_world import Frame, Thread, World


def leave(world: World, event: Event, index: EventIndex, thread: Thread) -> tuple[Frame | None, bool]:
    """Take away the frame that a return belongs to; say whether it shows that records are missing.

    A return that may be that of a call nobody saw belongs to none.
    """
    found, lost = _leave(world, event, index, thread)
    return (None if found is not None and found.doubted else found), lost


def _leave(world: World, event: Event, index: EventIndex, thread: Thread) -> tuple[Frame | None, bool]:
    own = [f for f in thread.open if _fits(world, event, index, f)]
    others = [] if thread.identified and own else world.strangers(thread)
    fitting = own + [f for t in others for f in t.open if _fits(world, event, index, f)]
    if not fitting:
        # A return without its call.
        return None, thread.based and thread.identified and world.records.entry(index.decl.name)
    found = fitting[0]
    if thread.identified and found in thread.frames:
        at = thread.frames.index(found)
        above = thread.frames[at + 1 :]
        del thread.frames[at:]
        # A call without its return.
        return found, any(f.certain and world.records.exit(f.name) for f in above)
    if len(fitting) == 1 or (thread.identified and found in own):
        found.thread.remove(found)
        if found not in own or not thread.identified:
            _settle_owed(world, thread.endpoint, index.decl.name, 0)
        return found, False
    # It belongs to one of several calls, and nothing tells to which.
    for frame in fitting:
        frame.certain = False
        if not frame.thread.identified:
            frame.thread.remove(frame)
            frame.thread.loose.append(frame)
        for thing in frame.held.values():
            thing.forget()
    _settle_owed(world, thread.endpoint, index.decl.name, 1)
    return None, False


def _settle_owed(world: World, endpoint: str, name: str, returns: int) -> None:
    """Count returns that could not be matched; once there are as many as open calls, all have ended."""
    threads = [t for t in world.threads.values() if t.endpoint == endpoint]
    frames = [f for t in threads for f in t.open if f.name == name]
    for nameless in [t for t in threads if not t.identified and t.based]:
        owed = nameless.owed.get(name, 0) + returns
        if owed >= len(frames):
            for frame in frames:
                frame.thread.remove(frame)
            owed = 0
        nameless.owed[name] = owed


def _fits(world: World, event: Event, index: EventIndex, frame: Frame) -> bool:
    """Return whether a frame is one of the function, on the objects that the return repeats, if any."""
    if frame.name != index.decl.name:
        return False
    for kind, param in index.decl.objects.items():
        handle = Scene(world, event, None, None).value(param)
        if handle is None or index.decl.is_output(param):
            continue
        held = frame.held.get(kind)
        if held is not None and not held.passing and held.handle != handle:
            return False
    return True
