"""The monitor: one pass over a trace, memory in proportion to the living objects."""

from __future__ import annotations

from kmclcheck.engines.monitor import stacks
from kmclcheck.engines.monitor.context import Context
from kmclcheck.engines.monitor.effects import begin_and_move, take
from kmclcheck.engines.monitor.ending import Endings
from kmclcheck.engines.monitor.frames import Frame, Thread
from kmclcheck.engines.monitor.ledger import Broken, Ledger
from kmclcheck.engines.monitor.plan import EventPlan, Outcome, compute, make_plans
from kmclcheck.engines.monitor.reasons import open_reason
from kmclcheck.engines.monitor.recording import Recording
from kmclcheck.engines.monitor.resolve import inherited, resolve
from kmclcheck.engines.monitor.state import NAMES_KEPT, UNKNOWN_HANDLES_KEPT, Run
from kmclcheck.engines.monitor.store import HISTORY_LIMIT, Obj, Store
from kmclcheck.engines.monitor.ties import Ties, local
from kmclcheck.engines.monitor.watching import Watch
from kmclcheck.model.event import Event, Loss, Phase, TraceInfo
from kmclcheck.model.spec import Party, Spec
from kmclcheck.semantics.index import SpecIndex

OUTCOMES_KEPT = 16384
"""How many outcomes of one event are kept; a trace with more starts to work them out anew."""


class Monitor:
    """Judges a stream of events against a specification.

    ``feed`` takes events and ``lose`` losses, in order; ``finish`` judges what is due at the end. A ``watch``
    is told what the events do; it has all of it after ``finish``.
    """

    def __init__(self, spec: Spec, index: SpecIndex, info: TraceInfo, watch: Watch | None = None) -> None:
        self.run = run = Run(spec, index, info, watch=watch)
        self.endings = Endings(run)
        self._ties = Ties(run) if info.window else None
        self._plans = make_plans(index)
        if watch is not None:
            # Returns that change nothing are to be counted, too.
            for plan in self._plans.values():
                plan.inert = False
        self._dispatch: dict[tuple[str, Phase], tuple[EventPlan, ...]] = {}
        self._every_event_lossy = info.lost_anywhere
        for decl in spec.events.values():
            entry, exit_ = self._plans[decl.name, decl.entry], self._plans[decl.name, decl.exit]
            if decl.record:
                self._dispatch[decl.name, Phase.WHOLE] = (entry,)
                continue
            for phase in (Phase.CALL, Phase.IN):
                self._dispatch[decl.name, phase] = (entry,)
            for phase in (Phase.RET, Phase.OUT):
                self._dispatch[decl.name, phase] = (exit_,)
            self._dispatch[decl.name, Phase.WHOLE] = (entry, exit_)
        self._renew()

    def restart(self) -> None:
        """Begin anew with another trace of the same kind, and keep what was worked out of the specification.

        It saves most of the time of a short trace. Findings are those of the new trace; what the verdicts
        count and why they are open is not told apart by trace any more.
        """
        run = self.run = self.run.again()
        for info in run.store.kinds.values():
            info.absent = run.recording.settle(info.table.absent, info.table, None)
        self.endings.restart(run)
        self._ties = Ties(run) if run.info.window else None

    @property
    def count(self) -> int:
        """How many events were judged."""
        return self.run.count

    @property
    def ledger(self) -> Ledger:
        return self.run.ledger

    @property
    def recording(self) -> Recording:
        return self.run.recording

    @property
    def store(self) -> Store:
        return self.run.store

    def _renew(self) -> None:
        """Drop what was derived from an earlier idea of what the trace records."""
        recording = self.run.recording
        for plan in self._plans.values():
            self._bank(plan)
            plan.exit_recorded = recording.exit_recorded(plan.name)
            plan.settled = (plan.name, plan.index.phase) in recording.recorded
        for kind, info in self.run.store.kinds.items():
            info.births_recorded = recording.births_recorded(kind)
            info.told = recording.told(kind)
            info.absent = recording.settle(info.base or info.table.absent, info.table, None)

    def _bank(self, plan: EventPlan) -> None:
        """Enter what the outcomes of a plan counted into the ledger, and drop them."""
        for outcome in plan.outcomes.values():
            for rule in outcome.decided:
                self.ledger.decide(rule, outcome.hits)
            for rule_open, _ in outcome.undecided:
                self.ledger.open(rule_open.id, "", outcome.hits)
            if self.run.watch is not None and outcome.hits:
                self.run.watch.count(plan.index, outcome.marks, outcome.hits)
        plan.outcomes.clear()

    def bank(self) -> None:
        """Enter everything that was counted so far into the ledger."""
        for plan in self._plans.values():
            self._bank(plan)
        self.endings.bank()

    def lose(self, loss: Loss) -> None:
        """From here on nothing is known of anything but what later events tell."""
        self.run.lost += loss.count or 1
        self.run.forget_all(loss.reason)

    def feed(self, event: Event) -> None:
        """Judge one event and take its effects."""
        run = self.run
        run.count += 1
        if self._every_event_lossy:
            run.forget_all("somewhere in the trace")
        plans = self._dispatch.get((event.name, event.phase))
        if plans is None:
            self._unknown(event)
            return
        tid = event.tid
        thread = run.threads.get(tid) if tid and not event.endpoint else None
        if thread is None:
            thread = run.thread(event)
        args = event.args
        for plan in plans:
            if not plan.settled and run.recording.see((event.name, plan.index.phase)):
                self._renew()
            frame: Frame | None = None
            if not plan.entry:
                frames = thread.frames
                if (
                    frames
                    and not args
                    and thread.identified
                    and (top := frames[-1]).name == plan.name
                    and top.certain
                ):
                    frame = frames.pop()
                else:
                    frame = stacks.leave(run, event, plan, thread)
            if (
                plan.inert
                and frame is not None
                and frame.version >= 0
                and (self._ties is None or event.seq is not None)
            ):
                self._pass(event, plan, thread, frame)
                continue
            status = event.status
            if status is not None:
                status = status & 0xFFFFFFFF if type(status) is int else self._status(str(status))
            if args and (shape := tuple(args)) not in plan.shapes:
                self._check_shape(plan, shape)
            self._judge(event, plan, thread, frame, status)

    def _pass(self, event: Event, plan: EventPlan, thread: Thread, frame: Frame) -> None:
        """Take a return that changes nothing and that no rule judges."""
        run = self.run
        primary = frame.objs.get(plan.primary) if plan.primary is not None else None
        if primary is not None:
            primary.history.append((run.count, event, primary.state))
        if plan.tracked:
            stacks.untrack(run, frame)
        if run.watched:
            stacks.watch(run, thread, [])

    def _judge(
        self, event: Event, plan: EventPlan, thread: Thread, frame: Frame | None, status: int | None
    ) -> None:
        run = self.run
        if (
            frame is not None
            and plan.inherits
            and (frame.version == run.store.version or inherited(run, frame))
        ):
            objs = frame.objs
        else:
            objs = {}
            resolve(run, event, plan, frame, objs, status)
        if plan.uses_thread:
            objs["thread"] = run.thread_object(thread, event, "thread" in plan.effects)
        ties = self._ties if event.seq is None and event.time is not None and plan.ordered else None
        findings = 0
        if ties is not None:
            ties.before(event, thread, objs)
            findings = len(run.ledger.findings)

        ctx: Context | None = None
        key: object
        facts = plan.facts
        if facts.none:
            if len(objs) == 1:
                (only,) = objs.values()
                key = only.state
            else:
                key = tuple([o.state for o in objs.values()])
        else:
            parts: list[object] = [o.state for o in objs.values()]
            if facts.irql:
                parts.append(event.irql)
            if facts.status:
                parts.append(status)
            for fact in facts.others:
                parts.append(fact(run, event, thread, frame, objs, status))
            key = tuple(parts)
        outcome = plan.outcomes.get(key)
        if outcome is None:
            if len(plan.outcomes) >= OUTCOMES_KEPT:
                self._bank(plan)
            ctx = Context(run, event, thread, frame, objs, status)
            outcome = compute(plan, ctx, run.store.kinds, run.recording, run.watch)
            for rule, check in outcome.undecided:
                if rule.id not in run.ledger.reasons:
                    run.ledger.reasons[rule.id] = open_reason(check, ctx, run.cause())
            plan.outcomes[key] = outcome
        if outcome.loss:
            run.evidence_of_loss("a handle was born again while it was in use")
            self._judge(event, plan, thread, frame, status)
            return
        outcome.hits += 1

        told: list[Broken] = []
        if outcome.plain:
            for kind, vec in outcome.new:
                objs[kind].state = vec
        elif plan.simple and not outcome.broken:
            begin_and_move(run, event, thread, plan, outcome, objs)
        else:
            ctx = ctx or Context(run, event, thread, frame, objs, status)
            told = take(run, ctx, plan, outcome)

        primary = objs.get(plan.primary) if plan.primary is not None else None
        if primary is not None:
            history = primary.history
            if frame is not None and frame.objs.get(primary.kind) is not primary:
                # The call could not name what its return made; it is part of the story all the same.
                history.append((frame.number, frame.event, primary.state))
            history.append((run.count, event, primary.state))
            if len(history) > HISTORY_LIMIT:
                primary.compact()
        for kind in outcome.touched:
            objs[kind].remember(run.count, event)
        if plan.enters:
            entered = stacks.enter(run, event, thread, objs, plan)
            if told:
                entered.faulty = any(b.rule.party is Party.DRIVER for b in told)
        elif plan.tracked and frame is not None:
            stacks.untrack(run, frame)
        elif run.store.crowded:
            self.endings.make_room()
        if run.watched:
            family = [*objs.values(), *(o.parent for o in objs.values() if o.parent is not None)]
            stacks.watch(run, thread, list(dict.fromkeys(family)))
        if run.ledger.findings:
            self._recovered(objs, outcome, told)
        if primary is not None:
            if primary.judged and not primary.state.dead:
                run.store.revive(primary, objs.get(run.store.kinds[primary.kind].kind.parent or ""))
            # One whose handle was born again while its last call still ran ends with that call.
            newest = run.store.kinds[primary.kind].live.get(primary.key) is primary
            if primary.state.dead and (newest or primary.replaced):
                self.endings.object_ended(event, thread, frame, objs, primary)
            elif primary.retired:
                # The return of the call that ended it names it once more; it is nobody's child for that.
                primary.link(None)
        if run.store.visitors:
            run.store.dismiss()
        if ties is not None:
            ties.after(event, thread, objs, run.ledger.findings[findings:])

    def _recovered(self, objs: dict[str, Obj], outcome: Outcome, told: list[Broken]) -> None:
        """A rule that holds again on an object can be broken on it again, as a new fault."""
        for obj in objs.values():
            if obj.faults:
                for rule in outcome.decided:
                    if not any(b.rule.id == rule for b in told):
                        obj.faults.pop(rule, None)

    def _status(self, status: str) -> int | None:
        value = self.run.spec.statuses.get(status)
        if value is None:
            self.run.odd(f"unknown status name {status!r}")
        return value

    def _check_shape(self, plan: EventPlan, shape: tuple[str, ...]) -> None:
        names = {p.name for p in plan.index.decl.params} | {"Return"}
        unknown = [name for name in shape if name not in names]
        for name in unknown:
            self.run.odd(f"{plan.name} has no parameter {name}")
        if not unknown and len(plan.shapes) < 256:
            plan.shapes.add(shape)

    def _unknown(self, event: Event) -> None:
        """A function the specification does not know may change every object it names."""
        run, store = self.run, self.run.store
        if event.name in run.unknown_names or len(run.unknown_names) < NAMES_KEPT:
            run.unknown_names[event.name] = run.unknown_names.get(event.name, 0) + 1
        for value in event.args.values():
            if not isinstance(value, int) or value == 0:
                continue
            key = run.key(event, value)
            if len(store.unknown_handles) >= UNKNOWN_HANDLES_KEPT:
                store.unknown_handles.clear()
                run.forget_all("too many handles were passed to unknown functions")
            store.unknown_handles.add(key)
            for kind in store.kinds:
                obj = store.known(kind, key)
                if obj is not None:
                    for child in list(obj.children or ()):
                        store.kinds[child.kind].strays = True
                        store.forget(child)
                    store.kinds[kind].strays = True
                    store.forget(obj)
                    obj.remember(run.count, event)

    def finish(self) -> None:
        """Judge the obligations that are due at the end of the trace."""
        self.bank()
        if self.run.info.lost_anywhere and not self._every_event_lossy:
            # The trace said only at its end that events are missing somewhere.
            self.run.forget_all("somewhere in the trace")
            reason = "events were lost (somewhere in the trace)"
            doubtful = [f for f in self.ledger.findings if not local(self.ledger.evidence[f.index].check)]
            self.ledger.withdraw(doubtful, reason)
            sure = {f.rule for f in self.ledger.findings}
            self.ledger.doubt(
                (r.id for r in self.ledger.rules if r.id not in sure and not all(map(local, r.checks))),
                reason,
            )
        self.endings.trace_ended()
