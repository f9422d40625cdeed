"""Which objects an event is about."""

from __future__ import annotations

from kmclcheck.engines.symbolic.trace.calls import Threads
from kmclcheck.engines.symbolic.trace.objects import Objects, Thing
from kmclcheck.engines.symbolic.trace.plan import EventPlan, is_output
from kmclcheck.engines.symbolic.trace.scene import Scene
from kmclcheck.model.event import Event


class Resolver:
    """Finds the objects of events. A return speaks of those of its call."""

    def __init__(self, objects: Objects, threads: Threads) -> None:
        self.objects = objects
        self.threads = threads

    def resolve(self, scene: Scene, plan: EventPlan) -> Scene:
        """Put the objects of the event into the scene, with their fields as they may be by now."""
        objects, things = self.objects, scene.things
        for kind in plan.kinds:
            if kind in plan.decl.objects:
                found = self._named(scene, plan, kind)
                if found is not None:
                    things[kind] = found
        for kind in reversed(plan.kinds):
            if kind not in things and kind not in plan.decl.objects:
                below = [thing for thing in things.values() if thing.kind.parent == kind]
                if below:
                    things[kind] = below[0].parent or self._nobody(kind, plan, scene.event)
        thread = scene.thread
        if plan.thread and thread is not None and thread.thing is not None:
            things["thread"] = thread.thing
            if not thread.told and plan.changes("thread"):
                for other in self.threads.perhaps(thread):
                    if other.thing is not None:
                        objects.forget(other.thing, "no thread ids in the trace")
        for kind, thing in things.items():
            parent = things.get(thing.kind.parent or "")
            if parent is None or parent.nameless or thing.nameless or thing.replaced:
                continue
            if kind in plan.decl.objects and parent.kind.name in plan.decl.objects:
                thing.adopt(parent)
        for thing in things.values():
            objects.look(thing)
        return scene

    def _named(self, scene: Scene, plan: EventPlan, kind: str) -> Thing | None:
        objects, sort, param = self.objects, self.objects.spec.kinds[kind], plan.decl.objects[kind]
        handle, output = scene.given(param), is_output(plan.decl, param)
        held = None if scene.call is None else scene.call.held.get(kind)
        if held is not None and not (held.nameless and handle):
            return held
        if output and (handle == 0 or (handle is None and (plan.entry or scene.failed))):
            return None
        if handle is not None:
            found = objects.find(sort, handle, scene.event.endpoint, scene.things.get(sort.parent or ""))
            if not found.nameless:
                return found
        return self._nobody(kind, plan, scene.event)

    def _nobody(self, kind: str, plan: EventPlan, event: Event) -> Thing:
        """Stand in for an object that is not named: whichever it is, the event may have changed it."""
        objects = self.objects
        if plan.changes(kind):
            objects.doubt(kind)
        if kind in plan.births:
            objects.strayed.add(kind)
        if plan.entry:
            for thing in objects.of(kind):
                for group in objects.plan.groups.get(plan.decl.name, ()):
                    thing.entries.pop(group, None)
        return objects.stand_in(objects.spec.kinds[kind], event.endpoint)
