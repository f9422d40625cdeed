"""Finding the objects of an event."""

from __future__ import annotations

from kmclcheck.engines.monitor.frames import Frame
from kmclcheck.engines.monitor.plan import EventPlan, Slot
from kmclcheck.engines.monitor.state import Run
from kmclcheck.engines.monitor.store import Key, Obj
from kmclcheck.model.event import Event
from kmclcheck.semantics.evaluate import is_success
from kmclcheck.semantics.truth import Possible


def resolve(
    run: Run, event: Event, plan: EventPlan, frame: Frame | None, objs: dict[str, Obj], status: int | None
) -> None:
    """Put the event's objects into ``objs`` by kind.

    A return speaks of the objects of its call, whatever their handles name by now: what it changes
    on an earlier incarnation is past, and touches nobody else.
    """
    store = run.store
    derived = False
    for slot in plan.slots:
        kind, param = slot.kind, slot.param
        if param is None:
            derived = True
            continue
        handle = event.args.get(param)
        if type(handle) is str:
            handle = run.handle(event, param)
        held = frame.objs.get(kind) if frame is not None else None
        if held is not None and not (held.temporary and handle):
            obj = held
            if obj.epoch != store.epoch + store.kinds[kind].epoch:
                store.refresh(obj)
        elif handle is None:
            if slot.output and not _made(plan, status):
                continue
            obj = nobody(run, plan, kind, event)
        elif handle == 0 and slot.output:
            continue
        elif slot.scoped and ((parent := objs.get(slot.parent or "")) is None or parent.temporary):
            obj = nobody(run, plan, kind, event)
        else:
            assert isinstance(handle, int)
            obj = _find(run, event, slot, handle, objs)
        objs[kind] = obj
    if derived:
        for slot in plan.slots:
            if slot.param is None and slot.kind not in objs:
                _derive(run, event, plan, slot.kind, objs)
    for kind, parent_kind in plan.links:
        child = objs.get(kind)
        if child is not None and not child.temporary and not child.replaced:
            parent = objs.get(parent_kind)
            if parent is not None and child.parent is not parent and not parent.temporary:
                child.link(parent)


def inherited(run: Run, frame: Frame) -> bool:
    """Return whether the objects of a call are still what they were, so that its return may take them."""
    epoch = run.store.epoch
    kinds = run.store.kinds
    for kind, obj in frame.objs.items():
        if obj.replaced or obj.temporary or obj.epoch != epoch + kinds[kind].epoch:
            return False
    return True


def _made(plan: EventPlan, status: int | None) -> bool:
    """Return whether an output handle that the record lacks was made all the same."""
    if plan.entry:
        return False
    return status is None or is_success(status)


def _find(run: Run, event: Event, slot: Slot, handle: int, objs: dict[str, Obj]) -> Obj:
    store = run.store
    endpoint = event.endpoint
    key: Key = (endpoint, handle) if endpoint else handle
    info = store.kinds[slot.kind]
    obj = info.live.get(key)
    if obj is not None:
        if obj.epoch != store.epoch + info.epoch:
            store.forget(obj)
        return obj
    parent: Obj | None = None
    if slot.scoped:
        parent = objs.get(slot.parent or "")
        if parent is not None:
            key = (parent.key, parent.incarnation, handle)
    elif info.kind.unknown_if_absent and store.complete and store.wrong_type(slot.kind, key):
        # The handle is that of a living object of another kind, so it cannot be one of this kind.
        fresh = (slot.kind, key) not in store.dead
        obj = store.find(slot.kind, key, handle, endpoint, parent)
        if fresh and not obj.history:
            ends = {f.name: Possible(f.dead) for f in info.kind.enums.values() if f.dead}
            obj.state = info.table.intern({**info.table.born.fields, **ends})
        return obj
    return store.find(slot.kind, key, handle, endpoint, parent)


def nobody(run: Run, plan: EventPlan, kind: str, event: Event) -> Obj:
    """Stand in for an object the record does not name; whoever it was may have changed."""
    info = run.store.kinds[kind]
    if kind in plan.effects:
        info.epoch += 1
    if kind in plan.index.births:
        info.strays = True
    obj = Obj(kind, ("nobody",), 0, event.endpoint, info.table.top, False)
    obj.epoch = run.store.epoch + info.epoch
    obj.temporary = True
    return obj


def _derive(run: Run, event: Event, plan: EventPlan, kind: str, objs: dict[str, Obj]) -> None:
    """Find the parent of one of the event's objects."""
    for child in list(objs.values()):
        if run.store.kinds[child.kind].kind.parent == kind:
            if child.parent is not None:
                run.store.refresh(child.parent)
                objs[kind] = child.parent
            else:
                objs[kind] = nobody(run, plan, kind, event)
            return
