"""The records of a model: one step of a thread for each, with its guard and its effects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from kmclcheck.engines.promela.bounds import UnsupportedError
from kmclcheck.engines.promela.calls import Args, Call
from kmclcheck.engines.promela.conditions import Moment, inside_name, running_name
from kmclcheck.engines.promela.faults import Fault, broken, excused, fails, judged
from kmclcheck.engines.promela.layout import Layout, Set
from kmclcheck.engines.promela.moves import Move, move
from kmclcheck.engines.promela.text import Bool, bare, every, member, negation, some, when
from kmclcheck.model.expr import Scalar
from kmclcheck.model.spec import Birth, Transition

SELF = "@"
"""Stands for the name of the call itself, so that calls that mean the same can be told."""


@dataclass(frozen=True, slots=True)
class Option:
    """One record that may occur: a comment, its conditions with notes, the printed record, the statements."""

    note: str
    guard: tuple[tuple[str, str], ...]
    record: str
    body: tuple[str, ...]

    @property
    def key(self) -> object:
        return tuple(text for text, _ in self.guard), self.body


@dataclass(frozen=True, slots=True)
class _Shape:
    """The facts of one record."""

    call: Call
    entry: bool
    places: dict[str, int]
    args: Args
    status: int | None
    irql: int
    born: frozenset[str]


class Steps:
    """Writes the steps of calls. ``always``: statements that follow every record."""

    def __init__(self, layout: Layout, always: tuple[str, ...] = ()) -> None:
        self.layout = layout
        self.always = always
        self.excludes = False
        self.scratch: dict[str, tuple[str, str]] = {}

    def of(self, call: Call, entry: bool) -> list[Option]:
        """Return the records of an entry or an exit that differ in what they mean."""
        found: dict[object, Option] = {}
        for shape in self._shapes(call, entry):
            option = self._option(shape)
            if option is not None:
                found.setdefault(option.key, option)
        return list(found.values())

    # Which records there are.

    def _shapes(self, call: Call, entry: bool) -> Iterator[_Shape]:
        layout = self.layout
        values = call.at_entry if entry else call.at_exit
        for places in layout.placed(call.held):
            births = self._births(call, entry, places)
            for decided in product((True, False), repeat=len(births)):
                born = frozenset(kind for kind, here in zip(births, decided, strict=True) if here)
                for all_places in self._made(call, places, born):
                    for args, status, irql in product(values.args, values.statuses, values.irqls):
                        yield _Shape(call, entry, all_places, args, status, irql, born)

    def _births(self, call: Call, entry: bool, places: dict[str, int]) -> dict[str, Birth]:
        cone, event = self.layout.cone, call.event(entry)
        kinds = [kind for kind in call.decl.objects if kind in places or (kind == call.made and not entry)]
        return {kind: b for kind in kinds for b in cone.births(kind) if b.event == event}

    def _made(self, call: Call, places: dict[str, int], born: frozenset[str]) -> Iterator[dict[str, int]]:
        """Give the places with one for an object that the exit makes."""
        kind = call.made
        if kind is None or kind not in born or kind in places:
            yield places
            return
        parent = self.layout.spec.kinds[kind].parent
        for place, above in enumerate(self.layout.parents[kind]):
            if parent is None or places.get(parent, above) == above:
                yield {**places, kind: place}

    # One record.

    def _option(self, shape: _Shape) -> Option | None:
        layout, call = self.layout, shape.call
        args: dict[str, int | str] = dict(shape.args)
        if not shape.entry:
            args |= {name: f"top.{member(name)}" for name in call.kept}
            args |= dict(call.filled)
        moment = Moment(
            layout, shape.places, args, shape.status, shape.irql, None if shape.entry else call
        )  # fmt: skip
        guard = [*self._shape_guard(shape), *self._birth_guard(shape, moment)]
        event = call.event(shape.entry)
        for kind, line in layout.cone.emptying(event):
            if kind in shape.places:
                guard.append((negation(moment.level(line.guard)[0]), "every callback is seen"))
        if shape.entry and call.decl.recorded_when is not None:
            guard.append((moment.level(call.decl.recorded_when)[0], "the callback can be seen"))
        for invariant in layout.cone.invariants:
            for check in invariant.given:
                if check.event == event:
                    guard.append((negation(broken(check, moment)), f"given for {invariant.id}"))
        faults = judged(layout, moment, event)
        for fault in faults:
            if fault.rule not in layout.cone.monitored:
                guard.append((some([negation(fault.text), excused(layout, fault, faults)]), fault.rule))
        later = replace(moment, newborn=shape.born)
        changes, numbers, wanted = self._changes(shape, later, moment)
        guard += wanted
        if any(text is False for text, _ in guard):
            return None
        kept: dict[str, str] = {}
        for text, note in guard:
            if isinstance(text, str):
                kept[text] = ", ".join(dict.fromkeys([n for n in (kept.get(text, ""), note) if n]))
        asserted = self._hits(faults)
        asserted += fails(layout, moment, event)
        body = self._body(shape, later, changes, numbers, asserted)
        note = f"{call.name}.{event[1].value}"
        told = [f"{name} {value}" for name, value in shape.args]
        told += [] if shape.status is None else [f"status {_hex(shape.status)}"]
        told += [f"IRQL {shape.irql}"] if shape.irql else []
        told += [f"{kind} begins" for kind in sorted(shape.born)]
        return Option(", ".join([note, *told]), tuple(kept.items()), self._record(shape), tuple(body))

    def _shape_guard(self, shape: _Shape) -> list[tuple[Bool, str]]:
        layout, call = self.layout, shape.call
        if not shape.entry:
            guard: list[tuple[Bool, str]] = [(f"at_exit({SELF})", "")]
            guard += [(layout.on("top", k, shape.places[k]), "") for k in call.held]
            return guard
        guard = [("may_call_back" if call.decl.callback else "may_call", "")]
        for kind in call.named:
            known = layout.known(kind, shape.places[kind])
            if kind == call.made:
                guard.append((f"!{known}", f"a {kind} in storage that nobody used"))
            elif kind not in shape.born and not layout.spec.kinds[kind].scoped:
                guard.append((known, f"there is such a {kind}"))
        return guard

    def _birth_guard(self, shape: _Shape, moment: Moment) -> list[tuple[Bool, str]]:
        layout, call = self.layout, shape.call
        guard: list[tuple[Bool, str]] = []
        for kind, birth in self._births(call, shape.entry, shape.places).items():
            may, must = moment.level(birth.guard)
            if kind not in shape.born:
                guard.append((negation(may), f"no {kind} begins"))
                continue
            place = shape.places[kind]
            guard.append((must, f"a {kind} begins"))
            known = layout.known(kind, place)
            if kind == call.made:
                guard.append((f"!{known}", "a handle that nobody had"))
            else:
                guard.append((negation(every([known, moment.level(birth.loss_if)[1]])), "nothing is missing"))
                holding = tuple(n for n, c in layout.calls.items() if kind in c.held)
                busy = moment.running(holding, kind)
                guard.append((negation(every([known, busy])), "no call on an older one runs"))
            if place and layout.parents[kind][place] == layout.parents[kind][place - 1]:
                guard.append((some([layout.known(kind, place - 1), known]), "places are taken in order"))
        return guard

    def _changes(
        self, shape: _Shape, later: Moment, moment: Moment
    ) -> tuple[dict[tuple[str, int, str], Move], list[str], list[tuple[Bool, str]]]:
        """Return the fields that change, statements that set numbers, and what these need."""
        layout = self.layout
        event = shape.call.event(shape.entry)
        own: dict[tuple[str, str], list[Transition]] = {}
        children: dict[tuple[str, str], list[Transition]] = {}
        for key, line in layout.cone.lines(event):
            if line.via_parent:
                children.setdefault(key, []).append(line)
            elif key[0] in shape.places or key[0] == "thread":
                own.setdefault(key, []).append(line)
        changes: dict[tuple[str, int, str], Move] = {}
        born = [(kind, name) for kind in sorted(shape.born) for name in layout.fields(kind)]
        for kind, name in dict.fromkeys([*born, *own]):
            place = shape.places.get(kind, 0)
            now: Set = layout.initial(kind, name) if kind in shape.born else layout.field(kind, place, name)
            lines = own.get((kind, name), [])
            made = move(layout, kind, name, now, lines, later.level) if lines else Move(now)
            if made.now != layout.field(kind, place, name):
                changes[kind, place, name] = made
        for (kind, name), lines in children.items():
            parent = layout.spec.kinds[kind].parent or ""
            for place in layout.children(kind, shape.places[parent]) if parent in shape.places else ():
                now = layout.field(kind, place, name)
                made = move(layout, kind, name, now, lines, moment.level)
                if made.now != now:
                    alive, after = layout.alive(kind, place), layout.set(kind, name, made.now)
                    changes[kind, place, name] = Move(when(alive, after, now), made.otherwise)
        numbers, wanted = self._numbers(shape, moment)
        return changes, numbers, wanted

    def _numbers(self, shape: _Shape, moment: Moment) -> tuple[list[str], list[tuple[Bool, str]]]:
        layout = self.layout
        numbers = [
            f"{layout.field(kind, shape.places[kind], name)} = -1;"
            for kind in sorted(shape.born)
            for name in layout.numbers(kind)
        ]
        wanted: list[tuple[Bool, str]] = []
        for one in layout.cone.assignments(shape.call.event(shape.entry)):
            if one.kind not in shape.places:
                continue
            may, must = moment.level(one.guard)
            wanted.append((some([negation(may), must]), "whether the number changes is known"))
            target = layout.field(one.kind, shape.places[one.kind], one.field)
            if one.value is None:
                numbers.append(_if(must, f"{target} = -1"))
                continue
            if isinstance(one.value, Scalar):
                raise UnsupportedError(
                    f"{one.kind}.{one.field} takes its value from another number, "
                    "which a Promela model cannot express"
                )
            term = moment.term(one.value)
            if term is None:
                wanted.append((negation(may), "the number is not known"))
                continue
            numbers.append(_if(must, f"{target} = {term[1]}"))
        return [text for text in numbers if text], wanted

    # Statements.

    def _body(
        self, shape: _Shape, later: Moment, changes: dict[tuple[str, int, str], Move], numbers: list[str],
        asserted: list[tuple[Bool, str]],
    ) -> list[str]:  # fmt: skip
        layout = self.layout
        first: list[str] = []
        last: list[str] = []
        moved: dict[tuple[str, int, str], Set] = {}
        for (kind, place, name), made in changes.items():
            target = layout.field(kind, place, name)
            if isinstance(made.now, frozenset) and made.otherwise is None:
                moved[kind, place, name] = made.now
                last.append(f"{target} = {layout.set(kind, name, made.now)};")
                continue
            scratch = f"new_{kind}{place}_{name}"
            self.scratch[scratch] = kind, name
            moved[kind, place, name] = scratch
            first.append(f"{scratch} = {layout.set(kind, name, made.now)};")
            if made.otherwise is not None:
                first.append(
                    _if(f"({scratch} == 0)", f"{scratch} = {layout.set(kind, name, made.otherwise)}")
                )
            last += [f"{target} = {scratch};", f"{scratch} = 0;"]
        deaths = self._deaths(shape, replace(later, moved=moved))
        assumed = [f for f in deaths if f.rule not in layout.cone.monitored]
        hits = [*asserted, *self._hits(deaths)]
        out: list[str] = []
        for fault in assumed:
            self.excludes = True
            allowed = excused(layout, fault, deaths)
            out.append(_if(every([fault.text, negation(allowed)]), "excluded = true") + _said(fault.rule))
        for text, name in hits:
            if text is not False:
                negative = negation(text)
                whole = some(["excluded", negative]) if assumed else negative
                out.append(f"assert({bare(whole)});{_said(name)}")
        for kind in sorted(shape.born):
            if not layout.spec.kinds[kind].scoped or kind == shape.call.made:
                last.append(f"{layout.known(kind, shape.places[kind])} = true;")
        frame = self._enter(shape) if shape.entry else [*self._counted(shape, "--"), "leave();"]
        # Guards and values read the state before the event, so what they need comes first.
        return [*first, *out, *numbers, *last, *frame, *self.always]

    def _hits(self, faults: list[Fault]) -> list[tuple[Bool, str]]:
        """Return when a rule that is checked is broken and reported."""
        layout = self.layout
        return [
            (every([f.text, negation(excused(layout, f, faults))]), f.rule)
            for f in faults
            if f.rule in layout.cone.monitored
        ]

    def _deaths(self, shape: _Shape, later: Moment) -> list[Fault]:
        """Return the obligations of objects that end here and are not met."""
        layout = self.layout
        found = []
        for kind, place in dict.fromkeys((kind, place) for kind, place, _ in later.moved):
            checks = [(r, c) for r, c in layout.cone.ends() if c.target == kind]
            if not checks or kind == "thread":
                continue
            ended = layout.dead(kind, place, later.moved)
            fresh = True if kind in shape.born else negation(layout.dead(kind, place, {}))
            here = replace(later.having(kind, place), newborn=frozenset())
            for rule, check in checks:
                if all(broken(check, one) is False for one in self._ended(here, kind, place)):
                    # In none of the values in which the object has ended.
                    continue
                text = every([ended, fresh, broken(check, here)])
                if text is not False:
                    found.append(Fault(rule.id, text, kind, place))
        return found

    def _ended(self, moment: Moment, kind: str, place: int) -> Iterator[Moment]:
        """Give the moment with each of the values in which an object has ended."""
        ends = [f for f in self.layout.spec.kinds[kind].enums.values() if f.dead]
        for values in product(*(sorted(f.dead) for f in ends)):
            fields: dict[tuple[str, int, str], Set] = {
                (kind, place, f.name): frozenset({value}) for f, value in zip(ends, values, strict=True)
            }
            yield replace(moment, moved={**moment.moved, **fields})

    def _counted(self, shape: _Shape, change: str) -> list[str]:
        layout, call = self.layout, shape.call
        found = []
        for names, kind, place in layout.running:
            if call.name in names and kind in call.held and shape.places[kind] == place:
                found.append(f"{running_name(layout, names, kind, place)}{change};")
        for names, on, place in layout.inside:
            if call.name in names and (on is None or shape.places[on] == place):
                found.append(f"my.{inside_name(layout, names, on, place)}{change};")
        return found

    def _enter(self, shape: _Shape) -> list[str]:
        layout, call = self.layout, shape.call
        before: list[str] = []
        after = [f"enter({SELF});"]
        for group in dict.fromkeys(g for c in layout.calls.values() for g in c.latest):
            if call.name in group and call.primary is not None:
                before += self._not_latest(group, call.primary, shape.places[call.primary])
            if group in call.latest:
                after.append(f"top.latest_{layout.group(group)} = true;")
        overlaps = layout.overlaps()
        if call.name in overlaps:
            readers = [c for c in layout.calls.values() if call.name in c.overlaps]
            for thread, frame in layout.frames():
                theirs = some(self._shares(frame, reader, shape) for reader in readers)
                here = every([f"(_pid != {thread})", theirs])
                before.append(_if(here, f"{frame}.with_{SELF} = true"))
        for name in call.overlaps:
            if name in overlaps:
                found = [
                    every([f"(_pid != {thread})", self._shares(frame, layout.calls[name], shape)])
                    for thread, frame in layout.frames()
                ]
                after.append(_if(some(found), f"top.with_{name} = true"))
        for kind in call.held:
            if layout.several(kind):
                after.append(f"top.{member(kind)} = {shape.places[kind]};")
        given = dict(shape.args)
        after += [f"top.{member(name)} = {given[name]};" for name in call.kept if name in given]
        return [text for text in (*before, *after, *self._counted(shape, "++")) if text]

    def _shares(self, frame: str, other: Call, shape: _Shape) -> Bool:
        """Return whether a frame is of another call, on an object of the one that begins."""
        same = [self.layout.on(frame, k, shape.places[k]) for k in other.held if k in shape.call.held]
        return every([f"({frame}.call == {other.name})", some(same)])

    def _not_latest(self, group: tuple[str, ...], kind: str, place: int) -> list[str]:
        layout = self.layout
        readers = [c for c in layout.calls.values() if group in c.latest and c.primary == kind]
        found = []
        for _, frame in layout.frames():
            here = some(
                every([f"({frame}.call == {c.name})", layout.on(frame, kind, place)]) for c in readers
            )
            if here is not False:
                found.append(_if(here, f"{frame}.latest_{layout.group(group)} = false"))
        return found

    # The printed record.

    def _record(self, shape: _Shape) -> str:
        call, layout = shape.call, self.layout
        words = [call.event(shape.entry)[1].value, SELF]
        given = {**dict(shape.args), **(dict(call.filled) if shape.entry else {})}
        for kind, param in call.decl.objects.items():
            if shape.entry if kind in call.named else kind in shape.born:
                given[param] = layout.handle(kind, shape.places[kind])
            elif not shape.entry and param == "Return" and kind == call.made:
                given[param] = 0
        order = [p.name for p in call.decl.params if p.name in given] + ["Return"] * ("Return" in given)
        for name in dict.fromkeys(order):
            words.append(f"{'return' if name == 'Return' else name}={_hex(given[name])}")
        if shape.status is not None:
            words.append(f"status={_hex(shape.status)}")
        return f'printf("{" ".join(words)} irql={shape.irql} tid=0x%x\\n", 16 + 4 * _pid);'


def _hex(value: int) -> str:
    return f"0x{value:x}" if value >= 0x1000 else str(value)


def _if(condition: Bool, statement: str) -> str:
    if condition is True:
        return f"{statement};"
    return "" if condition is False else f"if :: {bare(condition)} -> {statement} :: else fi;"


def _said(rule: str) -> str:
    return f"  /* {rule} */"
