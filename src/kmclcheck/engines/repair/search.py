"""The search for the smallest change of driver calls that makes the slice of a finding conform.

Changes are tried in the order of their number. Among single ones those that keep what the driver called come
first: a move, an insertion, then a call that waits for the library; other arguments come first of all
where the rule is about values. Only then the call at fault is deleted, and at last another one. A call that
asks for what already holds is deleted before anything is inserted to make it legal. Two changes are a change
that turns the finding into another one, or that changes the state at fault, and one more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kmclcheck.engines.cone import Cones, Field, reads
from kmclcheck.engines.fill import Filler
from kmclcheck.engines.repair.arguments import is_about_values, other_values
from kmclcheck.engines.repair.base import Base
from kmclcheck.engines.repair.calls import Caller, Goals, Site, goals_of
from kmclcheck.engines.repair.changes import ChangeKind, Draft, Grade
from kmclcheck.engines.repair.edits import Scene
from kmclcheck.engines.repair.lines import present
from kmclcheck.engines.repair.replayer import Judgement, Replayer
from kmclcheck.model import expr as e
from kmclcheck.model.event import ArgValue, Event
from kmclcheck.model.finding import Finding
from kmclcheck.model.spec import Party, Rule, Spec

ANSWERS = 3
"""Callbacks of the library that one change may have to wait for."""

PATHS = 400
"""Sequences of callbacks that are looked at for one place."""

NEAREST = 6
"""Places at which a call is inserted that the slice shows already."""

FARTHER = 12
"""Places at which a call is inserted that influences a rule only indirectly."""

FRONTIER = 40
"""Single changes that a second one is added to."""

ALIKE = 3
"""First changes that insert the same call and lead to the same finding, at most."""

WAITED = 12
"""Calls whose answer is waited for, at most, in one round."""

Judged = tuple[Draft, Judgement]
Stage = Callable[[], Iterator[Draft]]


@dataclass
class Search:
    """The search for one finding's repair.

    ``accept`` has the last word on a draft that replays without a finding; ``None`` rejects it.
    """

    spec: Spec
    base: Base
    finding: Finding
    replayer: Replayer
    caller: Caller
    filler: Filler
    cones: Cones
    accept: Callable[[Draft], Grade | None]
    deadline: float
    waited: int = 0
    out_of_time: bool = False
    _spare: dict[Grade, Draft] = field(default_factory=dict)
    _incarnation: int = 0

    def run(self, bound: int) -> Draft | None:
        """Return the best draft with at most ``bound`` changes (1 or 2), or ``None``."""
        start = Draft(self.base.lines, self.base.cut, self.base.changes)
        first = self._judge(start, self.base.fault)
        self._incarnation = first.incarnation
        rule = self.spec.rules[self.finding.rule]
        scene = Scene(self.spec, self.caller, start, self.base.fault)
        tried: list[Judged] = []
        found = self._level(scene, rule, tried, deletions=True)
        if found is None and bound > 1 and not self.out_of_time:
            found = self._second(first, tried)
        return found

    def _level(self, scene: Scene, rule: Rule, tried: list[Judged], deletions: bool) -> Draft | None:
        """Return the best single change of a draft."""
        self._spare = {}
        self.waited = 0
        near, far = self._near(rule), self._far(rule)
        redundant = deletions and self._is_redundant(scene)
        inwards = self._is_inside(scene, rule)
        stages: list[Stage] = []
        if is_about_values(rule):
            stages.append(lambda: self._arguments(scene, rule))
        stages.append(lambda: scene.moves(False, inwards))
        if not redundant and scene.fault is not None:
            stages.append(lambda: self._insertions(scene, rule, near, tried, again=True))
        stages.append(lambda: scene.moves(True, inwards))
        if redundant:
            stages.append(lambda: self._deleted_target(scene))
        stages.append(lambda: self._insertions(scene, rule, near, tried, mainly=True))
        if deletions:
            stages.append(lambda: self._delays(scene, rule))
        stages.append(lambda: self._insertions(scene, rule, near, tried))
        if deletions:
            stages += [
                lambda: self._insertions(scene, rule, far, tried),
                lambda: self._waiting(scene, rule),
            ]
        for stage in stages:
            found = self._stage(stage, scene.fault, tried)
            if found is not None:
                return found
        # What keeps the calls is better, even if the rest of the trace tells another story.
        if Grade.SLICE not in self._spare and deletions:
            found = self._stage(scene.deletions, scene.fault, tried)
            if found is not None:
                return found
        return self._spare.get(Grade.SLICE)

    def _stage(self, stage: Stage, fault: Event | None, tried: list[Judged]) -> Draft | None:
        for draft in stage():
            if time.perf_counter() > self.deadline:
                self.out_of_time = True
                break
            judged = self._judge(draft, fault)
            if self._clean(judged):
                grade = self.accept(draft)
                if grade is Grade.GOOD:
                    return draft
                if grade is not None:
                    self._spare.setdefault(grade, draft)
            elif draft.changes[-1].kind is not ChangeKind.DELETE:
                tried.append((draft, judged))
        return None

    def _second(self, first: Judgement, tried: list[Judged]) -> Draft | None:
        """Return the best draft with one more change than those tried."""
        fault = self.base.fault
        seen = {first.state}
        for draft, judged in self._promising(first, tried):
            if time.perf_counter() > self.deadline:
                self.out_of_time = True
                return None
            if judged.findings and judged.findings[0].rule == self.finding.rule:
                if judged.state in seen:
                    continue
                seen.add(judged.state)
                target = fault
            else:
                target = judged.findings[0].event if judged.findings else fault
            rule = self.spec.rules[judged.findings[0].rule if judged.findings else self.finding.rule]
            scene = Scene(self.spec, self.caller, draft, target)
            found = self._level(scene, rule, [], deletions=False)
            if found is not None:
                return found
        return None

    def _promising(self, first: Judgement, tried: list[Judged]) -> list[Judged]:
        """Return the changes that a second one may complete: another driver's finding, or another state."""
        other, same = [], []
        seen: dict[tuple[str, str], int] = {}
        for draft, judged in tried:
            if not judged.findings or judged.lost:
                continue
            now = judged.findings[0]
            if self.spec.rules[now.rule].party is Party.LIBRARY:
                continue
            if now.rule != self.finding.rule:
                if draft.changes[-1].kind is ChangeKind.INSERT:
                    key = now.rule, draft.changes[-1].call
                    seen[key] = seen.get(key, 0) + 1
                    if seen[key] <= ALIKE:
                        other.append((draft, judged))
            elif judged.state is not None and judged.state != first.state:
                same.append((draft, judged))
        return other[:FRONTIER] + same[:FRONTIER]

    # Judging.

    def _judge(self, draft: Draft, before: Event | None) -> Judgement:
        return self.replayer.judge(draft.records(), self.base.end, self.finding.object, before)

    def _clean(self, judged: Judgement) -> bool:
        same = judged.incarnation <= max(self._incarnation, 1)
        return judged.clean and (same or self.finding.object.kind == "thread")

    # What to try.

    def _near(self, rule: Rule) -> frozenset[Field]:
        """Return the fields that a rule reads itself."""
        found: set[Field] = set()
        for check in rule.checks:
            found |= reads([check.require, check.when])[0]
        return frozenset(found)

    def _far(self, rule: Rule) -> frozenset[Field]:
        """Return the fields that can influence a rule."""
        return frozenset(f for check in rule.checks for f in self.cones.of(check, False)[0])

    def _prefer(self) -> list[tuple[str, ArgValue]]:
        refs = [
            self.finding.object,
            *([self.finding.parent] if self.finding.parent else []),
            *self.finding.holders,
        ]
        return [(ref.kind, ref.handle) for ref in refs if ref.kind != "thread"]

    def _arguments(self, scene: Scene, rule: Rule) -> Iterator[Draft]:
        before = present(scene.lines[: scene.place])
        _, numbers = self.replayer.fields(before, self.finding.object)
        yield from other_values(self.spec, scene, rule, self.filler, numbers)

    def _deleted_target(self, scene: Scene) -> Iterator[Draft]:
        if scene.target is not None and scene.movable(scene.target):
            yield scene.deleted(scene.target)

    def _insertions(
        self,
        scene: Scene,
        rule: Rule,
        fields: frozenset[Field],
        tried: list[Judged],
        again: bool = False,
        mainly: bool = False,
    ) -> Iterator[Draft]:
        """Return the draft with a call inserted; if the library answers inside of it, with the answer.

        ``again``: only with calls that go on with what the slice has begun: it shows the same function.
        ``mainly``: only with calls that lead to what the rule asks for first.
        """
        prefer = self._prefer()
        about = prefer[0] if prefer else None
        goals = self._goals(rule)
        functions = self.caller.functions(fields, goals)
        near = len(fields) <= len(self._near(rule))
        limit = NEAREST if again else None if near else FARTHER
        if mainly:
            first = dict(list(goals.items())[:1])
            functions = [decl for decl in functions if self.caller.leads_to(decl, first)]
        if again:
            shown = {block.decl.name for block in scene.blocks if block.start < scene.start()}
            functions = [decl for decl in functions if decl.name in shown]
        for site in scene.sites(about)[:limit]:
            for decl in functions:
                for entry, exit_ in self.caller.pairs(decl, site, scene.lines, prefer):
                    draft = scene.inserted(site, (entry, exit_))
                    yield draft
                    judged = self._judge(draft, scene.fault)
                    owed = self._owed(judged, exit_)
                    if owed is not None and self.waited < WAITED:
                        self.waited += 1
                        yield from self._answered(scene, site.place, entry, exit_, self._near(owed))

    def _is_inside(self, scene: Scene, rule: Rule) -> bool:
        """Return whether a rule is about what happens inside a callback, or judges its end."""
        if scene.fault is not None and self.spec.events[scene.fault.name].callback:
            return True
        return any(isinstance(node, e.Inside) for check in rule.checks for node in e.walk(check.require))

    def _goals(self, rule: Rule) -> Goals:
        return goals_of(self.spec, rule.checks)

    def _owed(self, judged: Judgement, exit_: Event) -> Rule | None:
        """Return the rule because of which the library cannot return yet."""
        for finding in judged.findings:
            rule = self.spec.rules[finding.rule]
            if rule.party is Party.LIBRARY and finding.event == exit_:
                return rule
        return None

    def _answered(
        self, scene: Scene, place: int, entry: Event, exit_: Event, fields: frozenset[Field]
    ) -> Iterator[Draft]:
        """Return the draft with a call inserted during which callbacks come."""
        entered = scene.inserted(Site(place, entry), (entry,))

        def whole(answer: tuple[Event, ...]) -> Draft:
            return scene.inserted(Site(place, entry), (entry, *answer, exit_))

        def returns(answer: tuple[Event, ...]) -> bool:
            draft = whole(answer)
            upto = present(draft.lines[: place + len(answer) + 2])
            return self.replayer.judge(upto, self.base.end).clean

        for answer in self._answers(entered, place + 1, fields, returns):
            yield whole(answer)

    def _waiting(self, scene: Scene, rule: Rule) -> Iterator[Draft]:
        """Return the draft with a call inserted, and callbacks that come before the call at fault."""
        if scene.fault is None or not self._at_bottom(scene):
            return
        prefer = self._prefer()
        start = scene.start()
        site = next(iter(scene.sites(None)), None)
        if site is None:
            return
        for decl in self.caller.functions(self._far(rule), self._goals(rule)):
            for entry, exit_ in self.caller.pairs(decl, site, scene.lines, prefer):
                begun = scene.inserted(site, (entry, exit_))
                fields = self._near(rule)
                for finding in self._judge(begun, scene.fault).findings[:1]:
                    fields |= self._near(self.spec.rules[finding.rule])

                def whole(answer: tuple[Event, ...], e: Event = entry, x: Event = exit_) -> Draft:
                    return scene.inserted(site, (e, x), answer)

                yield from self._to_the_fault(begun, start + 2, scene.fault, fields, whole)

    def _delays(self, scene: Scene, rule: Rule) -> Iterator[Draft]:
        """Return the draft in which callbacks come before the call at fault."""
        if scene.fault is None or not self._at_bottom(scene):
            return
        fault = scene.fault
        yield from self._to_the_fault(scene.draft, scene.start(), fault, self._near(rule), scene.delayed)

    def _to_the_fault(
        self,
        draft: Draft,
        place: int,
        fault: Event,
        fields: frozenset[Field],
        whole: Callable[[tuple[Event, ...]], Draft],
    ) -> Iterator[Draft]:
        def mended(answer: tuple[Event, ...]) -> bool:
            return bool(answer) and self._clean(self._judge(whole(answer), fault))

        for answer in self._answers(draft, place, fields, mended):
            yield whole(answer)

    def _at_bottom(self, scene: Scene) -> bool:
        """Return whether the call at fault can wait for callbacks: it is in none itself."""
        return scene.target is not None and scene.target.depth == 0 and scene.movable(scene.target)

    def _answers(
        self,
        draft: Draft,
        place: int,
        fields: frozenset[Field],
        enough: Callable[[tuple[Event, ...]], bool],
    ) -> Iterator[tuple[Event, ...]]:
        """Return the shortest sequences of callbacks that may come at a place and are enough."""
        decls = self.caller.callbacks(fields)
        before = present(draft.lines[:place])
        pairs = list(self.caller.answers(draft.lines, place, decls, self._prefer()))
        paths: list[tuple[Event, ...]] = [()]
        looked_at = 0
        seen: set[object] = set()
        for depth in range(ANSWERS + 1):
            good = [path for path in paths if enough(path)]
            if good:
                yield from good[:2]
                return
            if depth == ANSWERS:
                return
            longer = []
            for path in paths:
                for pair in pairs:
                    looked_at += 1
                    if looked_at > PATHS or time.perf_counter() > self.deadline:
                        return
                    judged = self.replayer.judge([*before, *path, *pair], self.base.end)
                    if judged.clean and judged.state not in seen and judged.incarnation <= 1:
                        seen.add(judged.state)
                        longer.append((*path, *pair))
            paths = longer

    # A call that asks for what already holds.

    def _is_redundant(self, scene: Scene) -> bool:
        """Return whether the call at fault changes nothing of the object, though such calls are there to."""
        target, about = scene.target, self.finding.object
        if target is None or about.kind == "thread" or scene.place != target.start:
            return False
        before = present(scene.lines[: target.start])
        fields, _ = self.replayer.fields(before, about)
        if not fields:
            return False
        asked_for = False
        for machine in self.spec.machines.values():
            if machine.kind != about.kind:
                continue
            now = fields.get(machine.field, frozenset())
            targets: set[str] = set()
            for line in machine.transitions:
                if line.event[0] != target.decl.name or line.observe or line.via_parent:
                    continue
                if not line.targets or _is_failure(line.guard):
                    continue
                if now & line.sources and not now <= line.targets:
                    return False
                targets |= line.targets
            asked_for |= bool(now) and now <= targets
        return asked_for


def _is_failure(guard: e.Expr) -> bool:
    """Return whether a guard wants the call to fail."""
    return any(isinstance(node, e.Not) and isinstance(node.operand, e.StatusOk) for node in e.walk(guard))
