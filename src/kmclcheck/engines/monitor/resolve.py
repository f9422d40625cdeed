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
    kinds = run.store.kinds
    args = event.args
    flat = not event.endpoint
    for slot in plan.named:
        kind = slot.kind
        if frame is None or (held := frame.objs.get(kind)) is None:
            handle = args.get(slot.param)
            if flat and slot.plain and handle and type(handle) is int:
                # The common case: an ordinary handle of a living object.
                info = kinds[kind]
                obj = info.live.get(handle)
                if obj is not None:
                    if obj.epoch == info.now:
                        objs[kind] = obj
                        continue
                elif not info.kind.unknown_if_absent:
                    objs[kind] = run.store.come_back(info, handle, handle, "", None)
                    continue
            found = _by_handle(run, event, plan, slot, objs, status)
        elif held.temporary and args.get(slot.param):
            found = _by_handle(run, event, plan, slot, objs, status)
        else:
            run.store.refresh(held)
            found = held
        if found is not None:
            objs[kind] = found
    for kind, child_kind in plan.derived:
        child = objs.get(child_kind)
        if child is None:
            continue
        parent = child.parent
        if parent is None:
            objs[kind] = nobody(run, plan, kind, event)
            continue
        if parent.epoch != kinds[kind].now:
            run.store.refresh(parent)
        objs[kind] = parent
    for kind, parent_kind in plan.links:
        child = objs.get(kind)
        if child is not None and not child.temporary and not child.replaced:
            parent = objs.get(parent_kind)
            if parent is not None and child.parent is not parent and not parent.temporary:
                child.link(parent)


def _by_handle(
    run: Run, event: Event, plan: EventPlan, slot: Slot, objs: dict[str, Obj], status: int | None
) -> Obj | None:
    """Return the object a handle argument names, if it names one."""
    handle = run.handle(event, slot.param)
    if handle is None:
        if slot.output and not _made(plan, status):
            return None
        return nobody(run, plan, slot.kind, event)
    if handle == 0 and slot.output:
        return None
    if slot.scoped and ((parent := objs.get(slot.parent or "")) is None or parent.temporary):
        return nobody(run, plan, slot.kind, event)
    return _find(run, event, slot, handle, objs)


def inherited(run: Run, frame: Frame) -> bool:
    """Return whether the objects of a call are still what they were, so that its return may take them."""
    kinds = run.store.kinds
    for kind, obj in frame.objs.items():
        if obj.replaced or obj.temporary or obj.epoch != kinds[kind].now:
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
        if obj.epoch != info.now:
            store.forget(obj)
        return obj
    parent: Obj | None = None
    if slot.scoped:
        parent = objs.get(slot.parent or "")
        if parent is not None:
            key = (parent.key, parent.incarnation, handle)
    elif info.kind.unknown_if_absent and store.complete and store.wrong_type(slot.kind, key):
        # The handle is that of a living object of another kind, so it cannot be one of this kind.
        fresh = store.known(slot.kind, key) is None
        obj = store.find(slot.kind, key, handle, endpoint, parent)
        if fresh and not obj.history:
            ends = {f.name: Possible(f.dead) for f in info.kind.enums.values() if f.dead}
            obj.state = info.table.intern({**info.table.born.fields, **ends})
            obj.judged = True
            store.visitors.append(obj)
        return obj
    return store.find(slot.kind, key, handle, endpoint, parent)


def nobody(run: Run, plan: EventPlan, kind: str, event: Event) -> Obj:
    """Stand in for an object the record does not name; whoever it was may have changed."""
    info = run.store.kinds[kind]
    run.vague = run.count
    if kind in plan.effects:
        run.store.doubt(info)
        info.why = info.why or f"a record does not name its {kind}"
    if kind in plan.index.births:
        info.strays = True
    obj = Obj(kind, ("nobody",), 0, event.endpoint, info.table.top, False)
    obj.epoch = info.now
    obj.temporary = True
    return obj
