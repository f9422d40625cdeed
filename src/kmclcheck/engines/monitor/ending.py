"""Obligations: at the end of an object's life, and at the end of the trace."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from kmclcheck.engines.monitor.context import Context
from kmclcheck.engines.monitor.effects import weigh
from kmclcheck.engines.monitor.frames import Frame, Thread
from kmclcheck.engines.monitor.ledger import Broken
from kmclcheck.engines.monitor.plan import judge
from kmclcheck.engines.monitor.reasons import open_reason
from kmclcheck.engines.monitor.state import Run
from kmclcheck.engines.monitor.store import TOLD_REMEMBERED, Obj, StateVec
from kmclcheck.model.event import End, Event, Phase
from kmclcheck.model.expr import FieldIn, walk
from kmclcheck.model.spec import Check, Rule
from kmclcheck.semantics.evaluate import evaluate
from kmclcheck.semantics.index import context_atoms
from kmclcheck.semantics.truth import FALSE, MISSING

BROKEN_KEPT = 1024
"""How many objects that may turn out to be at fault are kept when room has to be made."""

NOT_DUE = "the end of the trace does not say that the obligation was due"


class Endings:
    """Judges the obligations of objects that end.

    Most depend on the ended object's fields alone; those are worked out once per state.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._own = {
            kind: all(_own_fields(kind, c) for _, c in cs) for kind, cs in run.index.end_checks.items()
        }
        self._decided: dict[StateVec, tuple[str, ...] | None] = {}
        self._hits: dict[StateVec, int] = {}
        table = run.store.kinds["thread"].table
        self._nobody = Thread("end", True, True, Obj("thread", 0, 0, "", table.born, True))

    def restart(self, run: Run) -> None:
        """Go on with a run that shares the interned states; what follows from them is kept."""
        self.run = run
        self._hits.clear()

    def object_ended(
        self, event: Event, thread: Thread, frame: Frame | None, objs: dict[str, Obj], obj: Obj
    ) -> None:
        """Judge what was due by now, and stop keeping the object."""
        run = self.run
        checks = () if obj.judged else run.index.end_checks.get(obj.kind, ())
        obj.judged = True
        if checks:
            plain = self._plain(event, thread, obj) if self._own[obj.kind] and not obj.faults else None
            if plain is None:
                self._judge(Context(run, event, thread, frame, {**objs, obj.kind: obj}), obj, checks)
            else:
                self._hits[obj.state] = self._hits.get(obj.state, 0) + 1
        if not obj.replaced:
            run.store.retire(obj)

    def bank(self) -> None:
        """Enter what was counted by state into the ledger."""
        for state, count in self._hits.items():
            for rule in self._decided[state] or ():
                self.run.ledger.decide(rule, count)
        self._hits.clear()

    def _plain(self, event: Event, thread: Thread, obj: Obj) -> tuple[str, ...] | None:
        """Return the rules decided well for an object that ended in this state, if all were."""
        state = obj.state
        if state not in self._decided:
            one = Context(self.run, event, thread, None, {obj.kind: obj})
            levels = [
                (r.id, judge(c, lambda e: evaluate(e, one))) for r, c in self.run.index.end_checks[obj.kind]
            ]
            well = all(level is None or level > MISSING for _, level in levels)
            self._decided[state] = (
                tuple(rule for rule, level in levels if level is not None) if well else None
            )
        return self._decided[state]

    def _judge(self, ctx: Context, obj: Obj, checks: Sequence[tuple[Rule, Check]]) -> None:
        broken: list[Broken] = []
        for rule, check in checks:
            if rule.id not in (obj.faults or ()):
                weigh(self.run, rule, check, obj, ctx, broken)
        if broken:
            self.run.ledger.report(broken, self.run.count)

    def make_room(self) -> None:
        """Judge the older objects of a kind that has too many, and drop those that are in order."""
        run = self.run
        for info in run.store.crowded:
            checks = run.index.end_checks.get(info.kind.name, ())
            kept = 0
            for obj in list(info.live.values())[: TOLD_REMEMBERED // 2]:
                ctx = self._context(obj)
                levels = [judge(check, partial(evaluate, env=ctx)) for _, check in checks]
                if (obj.faults or FALSE in levels) and kept < BROKEN_KEPT:
                    kept += 1
                    continue
                for (rule, check), level in zip(checks, levels, strict=True):
                    if level is not None and level > MISSING:
                        run.ledger.decide(rule.id)
                    elif level is not None:
                        run.ledger.open(rule.id, open_reason(check, ctx, run.cause()))
                run.store.drop(info, obj)
        run.store.crowded.clear()

    def _context(self, obj: Obj) -> Context:
        """Return what an end check looks at: the object and its parent."""
        run = self.run
        run.store.refresh(obj)
        objs = {obj.kind: obj}
        if obj.parent is not None:
            run.store.refresh(obj.parent)
            objs[obj.parent.kind] = obj.parent
        return Context(run, Event("end of trace", Phase.WHOLE, {}), self._nobody, None, objs)

    def trace_ended(self) -> None:
        """Judge the obligations of everything still alive."""
        run = self.run
        broken: list[Broken] = []
        for kind, checks in run.index.end_checks.items():
            info = run.store.kinds[kind]
            for obj in list(info.live.values()):
                ctx = self._context(obj)
                for rule, check in checks:
                    if rule.id not in (obj.faults or ()):
                        self._at_end(rule, check, obj, ctx, broken)
            if info.dropped is not None and info.dropped != info.now:
                # Some were dropped as in order, and later became unknown as all others did.
                for rule, _ in checks:
                    run.ledger.open(rule.id, info.why or run.cause())
        if broken:
            run.ledger.report(broken, run.count)

    def undecided(self, rule: str) -> list[Obj]:
        """Return the living objects whose obligation under a rule is open if the trace ends here."""
        run, found = self.run, []
        for kind, checks in run.index.end_checks.items():
            for obj in list(run.store.kinds[kind].live.values()):
                ctx = self._context(obj)
                for one, check in checks:
                    level = judge(check, partial(evaluate, env=ctx)) if one.id == rule else None
                    if level is None or level > MISSING or rule in (obj.faults or ()):
                        continue
                    hung = run.info.end is End.HUNG and self._hung(check, obj) is not None
                    if level is MISSING or not (hung or run.info.end is End.UNLOADED):
                        found.append(obj)
        return list(dict.fromkeys(found))

    def _at_end(self, rule: Rule, check: Check, obj: Obj, ctx: Context, broken: list[Broken]) -> None:
        run = self.run
        level = judge(check, lambda e: evaluate(e, ctx))
        if level is None:
            return
        hung = self._hung(check, obj) if run.info.end is End.HUNG else None
        if level > MISSING:
            run.ledger.decide(rule.id)
        elif run.info.end is not End.UNLOADED and hung is None:
            run.ledger.open(rule.id, NOT_DUE)
        elif level is MISSING:
            run.ledger.open(rule.id, open_reason(check, ctx, run.cause()))
        elif level is FALSE:
            broken.append(Broken(rule, check, obj, ctx, hung))

    def _hung(self, check: Check, obj: Obj) -> Event | None:
        """Return the call that never returned and waits for this object.

        A call that was itself the fault (a disable inside a callback) waits for its own thread.
        """
        for thread in self.run.threads.values():
            for frame in thread.frames:
                if frame.name in check.hung_in and not frame.faulty and frame.certain:
                    waits = any(held is obj or held is obj.parent for held in frame.objs.values())
                    if waits or self._other_side(frame.objs.get(obj.kind), obj):
                        return frame.event
        return None

    def _other_side(self, held: Obj | None, obj: Obj) -> bool:
        """Return whether a call at another endpoint is about the peer's side of the object.

        Only a number that both ends use can tell, and only while it stands for one object there.
        """
        info = self.run.store.kinds[obj.kind]
        if held is None or held.temporary or not info.kind.scoped or not self.run.store.complete:
            return False
        if held.handle != obj.handle or held.endpoint == obj.endpoint:
            return False
        same = [o for o in info.live.values() if o.handle == obj.handle and o.endpoint == obj.endpoint]
        return same == [obj]


def _own_fields(kind: str, check: Check) -> bool:
    exprs = [check.when, check.require]
    reads = [node for expr in exprs for node in walk(expr) if isinstance(node, FieldIn)]
    return not context_atoms(exprs) and all(node.kind == kind for node in reads)
