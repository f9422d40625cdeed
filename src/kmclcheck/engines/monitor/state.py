"""What the parts of the monitor share about one run."""

from __future__ import annotations

from kmclcheck.engines.monitor.frames import Frame, Thread
from kmclcheck.engines.monitor.ledger import Ledger
from kmclcheck.engines.monitor.recording import Recording
from kmclcheck.engines.monitor.store import Key, Obj, Store
from kmclcheck.engines.monitor.watching import Watch
from kmclcheck.model.event import Event, Start, TraceInfo
from kmclcheck.model.finding import UNDECLARED
from kmclcheck.model.spec import Spec
from kmclcheck.semantics.index import SpecIndex
from kmclcheck.semantics.truth import FALSE, MISSING, Truth4

THREADS_KEPT = 4096
UNKNOWN_HANDLES_KEPT = 65536
ODDITIES_KEPT = 200
NAMES_KEPT = 1000


class Run:
    """The state of a run: objects, threads, what is recorded, what was lost, what was found.

    ``recording`` and ``store`` may come from an earlier run on a trace that says the same about itself.
    """

    def __init__(
        self,
        spec: Spec,
        index: SpecIndex,
        info: TraceInfo,
        recording: Recording | None = None,
        store: Store | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.spec = spec
        self.info = info
        self.index = index
        self.watch = watch
        self.constants: dict[str, int] = {**spec.constants, **spec.statuses}
        self.recording = recording or Recording(spec, info)
        complete = info.start is Start.KNOWN and not info.lost_anywhere
        self.store = store or Store(spec.kinds, complete, info.start_of)
        self.ledger = Ledger(spec, index.rules)
        self.threads: dict[object, Thread] = {}
        self.count = 0
        # The number of the latest event that did not name all its objects.
        self.vague = 0
        self.lost = 0
        self.serial = 0
        self.watched = 0
        self.some_nameless = False
        self.loss_reason = ""
        self.unknown_names: dict[str, int] = {}
        self.oddities: dict[str, int] = {}

    def again(self) -> Run:
        """Return a run without events that shares the interned states and what is recorded."""
        complete = self.info.start is Start.KNOWN and not self.info.lost_anywhere
        store = self.store.emptied(complete, self.info.start_of)
        return Run(self.spec, self.index, self.info, self.recording, store, self.watch)

    def cause(self) -> str:
        """Return, in words, why data may be missing."""
        if self.loss_reason:
            return f"events were lost ({self.loss_reason})"
        if self.info.start is not Start.KNOWN:
            return "the trace starts in mid-life"
        if self.unknown_names:
            return "unknown functions were called"
        declared = self.info.records_all or self.info.records_groups or self.info.records
        return "not everything is recorded" if declared else UNDECLARED

    def forget_all(self, reason: str) -> None:
        """After a loss: nothing is known of any object, and of any stack only that it may go on."""
        self.loss_reason = self.loss_reason or reason
        self.store.lose()
        for thread in self.threads.values():
            thread.doubt()
            self.store.forget(thread.obj)
            for frame in thread.watch:
                frame.latch = {c: max(level, MISSING) for c, level in (frame.latch or {}).items()}

    def evidence_of_loss(self, reason: str) -> None:
        """An event that cannot be unless others are missing counts as one loss."""
        self.lost += 1
        self.forget_all(reason)

    def odd(self, what: str) -> None:
        """Count something in the trace that the specification does not know."""
        if what in self.oddities or len(self.oddities) < ODDITIES_KEPT:
            self.oddities[what] = self.oddities.get(what, 0) + 1

    def handle(self, event: Event, name: str) -> int | None:
        """Return a handle argument as a number."""
        value = event.args.get(name)
        return self.constants.get(value) if isinstance(value, str) else value

    def thread(self, event: Event) -> Thread:
        """Return the thread of an event; idle threads (id 0) are told apart by CPU."""
        tid = event.tid
        key: object
        if tid:
            key = (event.endpoint, tid) if event.endpoint else tid
        elif tid is None or event.cpu is None:
            key = ("none", event.endpoint)
        else:
            key = ("cpu", event.endpoint, event.cpu)
        return self.threads.get(key) or self._new_thread(key, event)

    def _new_thread(self, key: object, event: Event) -> Thread:
        if len(self.threads) > THREADS_KEPT:
            idle = [k for k, t in self.threads.items() if not t.frames and not t.maybe and not t.obj.faults]
            for old in idle:
                del self.threads[old]
        base = self.store.complete
        table = self.store.kinds["thread"].table
        # What records without a thread id changed may have been this thread.
        known = base and self.nameless(event) is None
        state = self.recording.settle(table.born, table, None) if known else table.top
        obj = Obj("thread", 0, event.tid or 0, event.endpoint, state, known)
        obj.epoch = self.store.kinds["thread"].now
        # Idle threads of an unknown CPU cannot be told apart either.
        identified = bool(event.tid) or (event.tid == 0 and event.cpu is not None)
        self.some_nameless = self.some_nameless or not identified
        thread = self.threads[key] = Thread(key, base, identified, obj)
        return thread

    def nameless(self, event: Event) -> Thread | None:
        """Return the stand-in for the threads of an endpoint's records without a thread id."""
        return self.threads.get(("none", event.endpoint))

    def inside(self, event: Event, thread: Thread, names: tuple[str, ...], obj: Obj | None) -> Truth4:
        """Return whether a thread is inside one of the named calls (on the object, if given)."""
        level = thread.inside(names, obj)
        if level is FALSE:
            if self.some_nameless:
                nameless = self.nameless(event)
                if nameless is not None and nameless.perhaps_inside(names, obj):
                    return MISSING
            if not self.recording.entries_recorded(names):
                return MISSING
        return level

    def thread_object(self, thread: Thread, event: Event, changes: bool) -> Obj:
        """Return the object that carries a thread's fields.

        Nothing is known of nobody's; what a record without a thread ``changes`` may be any thread's.
        """
        if not thread.identified:
            for other in self.threads.values() if changes else (thread,):
                if other.obj.endpoint == event.endpoint:
                    self.store.forget(other.obj)
        return thread.obj

    def entered(self, frame: Frame) -> None:
        """Note that a frame waits for a condition to hold at some moment."""
        frame.thread.watch.append(frame)
        self.watched += 1
        for obj in frame.objs.values():
            obj.watch = [*(obj.watch or ()), frame]

    def key(self, event: Event, handle: int) -> Key:
        """Return what an unscoped object is known by."""
        return (event.endpoint, handle) if event.endpoint else handle
