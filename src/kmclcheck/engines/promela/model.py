"""A whole model: declarations, the steps of a thread, and what is said about them."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from kmclcheck.engines.promela.bounds import Bounds
from kmclcheck.engines.promela.calls import Call, call_of
from kmclcheck.engines.promela.claims import Claims, chosen
from kmclcheck.engines.promela.conditions import Moment, inside_name, running_name
from kmclcheck.engines.promela.cone import Cone
from kmclcheck.engines.promela.faults import Fault, at_end, excused, in_state
from kmclcheck.engines.promela.layout import Layout
from kmclcheck.engines.promela.steps import SELF, Option, Steps
from kmclcheck.engines.promela.text import Bool, bare, every, member, negation, said, some
from kmclcheck.model.spec import Spec

_WIDTH = 108


@dataclass(frozen=True, slots=True)
class Model:
    """A model as text.

    ``monitored`` and ``assumed`` are the rules that are checked and those that are taken as kept. ``calls``
    are the functions and callbacks that occur, each with those that mean the same and do not. ``steps`` is
    the number of different records.
    """

    text: str
    monitored: tuple[str, ...]
    assumed: tuple[str, ...]
    calls: dict[str, tuple[str, ...]]
    steps: int


def write(spec: Spec, claims: Claims, bounds: Bounds) -> Model:
    """Return the Promela model of an instance of a specification.

    A violated assertion is a shortest trace if SPIN searches breadth first. Raises UnsupportedError if
    a rule, an invariant, or what it depends on cannot be expressed.
    """
    cone = chosen(spec, claims, bounds.unseen)
    names = [name for name in spec.events if name in cone.events]
    alike: dict[str, tuple[str, ...]] = {name: (name,) for name in names}
    while True:
        layout = Layout(spec, cone, bounds, {name: call_of(cone, name) for name in alike})
        # Once to see which counters are asked for, and once with all of them.
        _written(layout)
        written = _written(layout)
        fewer = _alike(layout, written, alike)
        if len(fewer) == len(alike):
            break
        alike = fewer
    return _Text(layout, written, alike).model()


@dataclass(slots=True)
class _Written:
    """The steps of the calls, with what they needed."""

    steps: Steps
    options: dict[tuple[str, bool], list[Option]]


def _written(layout: Layout) -> _Written:
    """Write all steps. Counters and groups that they ask for are noted in the layout."""
    steps = Steps(layout, tuple(_always(layout)))
    options = {
        (name, entry): steps.of(call, entry) for name, call in layout.calls.items() for entry in (True, False)
    }
    return _Written(steps, options)


def _always(layout: Layout) -> list[str]:
    """Return the statements that follow every record."""
    monitored = layout.cone.monitored
    found = ["note_moment();"] if _moments(layout) else []
    if any(r.id in monitored for r, _ in layout.cone.ends()):
        found += ["judge_end();"]
        at_end(layout, False)
        at_end(layout, True)
    if in_state(layout):
        found += ["judge_state();"]
    return found


def _moments(layout: Layout) -> list[str]:
    """Return the statements that note in every frame what holds between records of its thread."""
    found = []
    for call in layout.calls.values():
        for condition in call.sometime:
            name = layout.sometime(condition)
            for places in layout.placed(call.held):
                # Its own call is no other one that runs.
                may, must = Moment(layout, places, leaving=call).level(condition)
                for thread, frame in layout.frames():
                    here = every(
                        [
                            f"({frame}.call == {call.name})",
                            *(layout.on(frame, k, p) for k, p in places.items()),
                        ]
                    )
                    before = f"(_pid != {thread})"
                    notes = []
                    for target, text in ((f"{frame}.may_{name}", may), (f"{frame}.must_{name}", must)):
                        notes.append(f"{target} = {bare(some([text, every([before, target])]))}")
                    found.append(f"if :: {bare(here)} -> {'; '.join(notes)} :: else fi;")
    return found


def _alike(
    layout: Layout, written: _Written, alike: dict[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return one call of those that mean the same, with all of them."""
    asked = list(dict.fromkeys(names for names, _, _ in [*layout.running, *layout.inside]))
    kept: dict[object, str] = {}
    found: dict[str, tuple[str, ...]] = {}
    for name, call in layout.calls.items():
        key = (
            call.decl.callback,
            tuple(option.key for entry in (True, False) for option in written.options[name, entry]),
            tuple(name in names for names in asked),
            tuple(name in c.overlaps for c in layout.calls.values()),
            tuple(name in g for c in layout.calls.values() for g in c.latest),
            call.overlaps, call.latest, call.held,
        )  # fmt: skip
        first = kept.setdefault(key, name)
        found[first] = (*found.get(first, ()), *alike[name])
    return found


class _Text:
    def __init__(self, layout: Layout, written: _Written, alike: dict[str, tuple[str, ...]]) -> None:
        self.layout = layout
        self.spec = layout.spec
        self.cone: Cone = layout.cone
        self.written = written
        self.alike = alike

    def model(self) -> Model:
        parts = [
            self._head(), self._sizes(), self._values(), self._calls(), self._objects(), self._threads(),
            self._helpers(), self._judgements(), self._process(),
        ]  # fmt: skip
        rules = [rule.id for rule in self.cone.rules]
        return Model(
            "\n".join("\n".join(part) + "\n" for part in parts if part),
            tuple(id for id in rules if id in self.cone.monitored),
            tuple(id for id in rules if id in self.cone.assumed),
            {name: tuple(n for n in names if n != name) for name, names in self.alike.items()},
            sum(len(options) for options in self.written.options.values()),
        )

    # Declarations.

    def _head(self) -> list[str]:
        lines = [f"Model of {self.spec.name}: {self.spec.title}", ""]
        lines += [f"Bounds: {self.layout.bounds.text()}.", ""]
        for rule in self.cone.rules:
            if rule.id in self.cone.monitored:
                lines += [f"Checked: rule {rule.id}.", *_wrapped(rule.statement, "  ")]
        for invariant in self.cone.invariants:
            lines += [f"Checked: invariant {invariant.id}.", *_wrapped(invariant.statement, "  ")]
        assumed = [rule for rule in self.cone.rules if rule.id in self.cone.assumed]
        lines += ["", "Kept by every record:" if assumed else "No rule is taken as kept."]
        for rule in assumed:
            lines += _wrapped(f"{rule.id}: {rule.statement}", "  ")
        if self.cone.left_out:
            names = ", ".join(id for id in self.spec.rules if id in self.cone.left_out)
            lines += _wrapped(f"Not kept, because a model cannot express it: {names}.", "")
        lines += [
            "",
            *_wrapped(
                "Every step of a thread is one record, so the steps of a trail are its records. Fields are "
                "sets of values that are possible as far as the documents go, as bits. A record that breaks "
                "what is checked violates an assertion. To search, breadth first, and to see the records:",
                "",
            ),
            "",
            "  spin -a FILE && gcc -O1 -DSAFETY -DBFS -DNOREDUCE -o pan pan.c && ./pan && spin -T -t FILE",
        ]
        return ["/*", *(f" * {line}".rstrip() for line in lines), " */"]

    def _sizes(self) -> list[str]:
        bounds = self.layout.bounds
        lines = [f"#define THREADS {bounds.threads}", f"#define DEPTH {bounds.depth}"]
        return lines + [f"#define {k.upper()}S {len(self.layout.parents[k])}" for k in self.layout.kinds]

    def _values(self) -> list[str]:
        lines: list[str] = []
        for kind in (*self.layout.kinds, "thread"):
            for name in self.layout.fields(kind):
                enum = self.spec.kinds[kind].enums[name]
                lines.append(f"/* {kind}.{name}{': ' + said(enum.doc) if enum.doc else ''} */")
                lines += [f"#define {kind}_{name}_{v} {1 << at}" for at, v in enumerate(enum.values)]
        return lines

    def _calls(self) -> list[str]:
        lines = ["/* Functions and callbacks; each stands for all that mean the same. */"]
        for at, (name, names) in enumerate(self.alike.items(), 1):
            also = ", ".join(n for n in names if n != name)
            lines += _commented(f"#define {name} {at}", f"also {also}" if also else "")
        for names, label in self.layout.groups.items():
            lines += _wrapped_comment(f"{label}: {', '.join(names)}")
        return lines

    def _objects(self) -> list[str]:
        lines: list[str] = []
        for kind in self.layout.kinds:
            lines += [f"typedef {kind.capitalize()} {{", "    bool known;  /* it began in the trace */"]
            for name in self.layout.fields(kind):
                absent = self.layout.set(kind, name, self.layout.absent(kind, name))
                lines.append(f"    {self._byte(kind, name)} {member(name)} = {absent};")
            lines += [f"    int {member(name)} = -1;  /* not set */" for name in self.layout.numbers(kind)]
            lines += ["};", f"{kind.capitalize()} {kind}[{kind.upper()}S];"]
        for names, kind, place in self.layout.running:
            variable = running_name(self.layout, names, kind, place)
            lines.append(
                f"byte {variable};  /* open calls of {self.layout.group(names)} on {kind} {place} */"
            )
        if self.written.steps.excludes:
            lines.append("bool excluded;  /* an object ended as a rule forbids: nothing follows */")
        return lines

    def _byte(self, kind: str, name: str) -> str:
        count = len(self.spec.kinds[kind].enums[name].values)
        return "byte" if count <= 8 else "short" if count <= 15 else "int"

    def _threads(self) -> list[str]:
        layout = self.layout
        lines = ["/* A call that is open, with what its return asks for. */"]
        lines += ["typedef Frame {", "    byte call;"]
        lines += [f"    {kind} {name};" for kind, name in self._frame_members()]
        lines += ["};", "typedef Stack {", "    byte depth;", "    Frame frame[DEPTH];"]
        for name in layout.fields("thread"):
            initial = layout.set("thread", name, layout.initial("thread", name))
            lines.append(f"    {self._byte('thread', name)} {member(name)} = {initial};")
        for names, kind, place in layout.inside:
            lines.append(f"    byte {inside_name(layout, names, kind, place)};")
        lines += ["};", "Stack thread[THREADS];"]
        lines += ["#define my thread[_pid]", "#define top my.frame[my.depth - 1]"]
        scratch = self.written.steps.scratch
        if scratch:
            lines.append("/* Values in the making; 0 between steps. */")
            lines += [f"{self._byte(k, n)} {variable};" for variable, (k, n) in sorted(scratch.items())]
        return lines

    def _frame_members(self) -> list[tuple[str, str]]:
        layout, calls = self.layout, self.layout.calls.values()
        found = [("byte", member(kind)) for kind in layout.kinds if layout.several(kind)]
        found += [("int", member(name)) for name in sorted({n for c in calls for n in c.kept})]
        found += [("bool", f"with_{name}") for name in layout.overlaps()]
        for condition in dict.fromkeys(condition for c in calls for condition in c.sometime):
            found += [("bool", f"{level}_{layout.sometime(condition)}") for level in ("may", "must")]
        groups = dict.fromkeys(g for c in calls for g in c.latest)
        return found + [("bool", f"latest_{layout.group(group)}") for group in groups]

    # Steps.

    def _helpers(self) -> list[str]:
        layout = self.layout
        callbacks = [f"c == {name}" for name, call in layout.calls.items() if call.decl.callback]
        going = "!excluded && " if self.written.steps.excludes else ""
        free, alike = "my.depth == 0", layout.bounds.threads > 1 and not layout.fields("thread")
        if alike:
            # Threads that differ in their fields are not alike.
            free = "(my.depth == 0 && (_pid == 0 || thread[_pid - 1].depth > 0))"
        nested = "my.depth > 0 && my.depth < DEPTH"
        return [
            "/* Whether a set of possible values has one of some, and whether it has no other. */",
            "#define may_be(now, values) ((now) & (values))",
            "#define only(now, values) (!((now) & ~(values)))",
            f"#define is_callback(c) ({' || '.join(callbacks) or 'false'})",
            *(["/* Of idle threads the first stands for all. */"] if alike else []),
            "/* Code of the driver calls functions, and the library calls back. */",
            f"#define may_call ({going}({free} || ({nested} && is_callback(top.call))))",
            f"#define may_call_back ({going}({free} || ({nested} && !is_callback(top.call))))",
            f"#define at_exit(c) ({going}my.depth > 0 && top.call == c)",
            "inline enter(c) {",
            "    my.depth++;",
            "    top.call = c;",
            "}",
            "inline leave() {",
            "    top.call = 0;",
            *(f"    top.{name} = 0;" for _, name in self._frame_members()),
            "    my.depth--;",
            "}",
        ]

    def _judgements(self) -> list[str]:
        layout, lines = self.layout, []
        if "note_moment();" in self.written.steps.always:
            lines += ["/* What holds between two records of a thread: since its last one, or before. */"]
            lines += ["inline note_moment() {", *(f"    {text}" for text in _moments(layout)), "}"]
        if "judge_end();" in self.written.steps.always:
            idle = every(f"(thread[{t}].depth == 0)" for t in range(layout.bounds.threads))
            lines += ["/* If the trace ends here. */", "inline judge_end() {"]
            for hung in (False, True):
                here = negation(idle) if hung else idle
                lines += self._end(here, at_end(layout, hung), "hung" if hung else "unloaded")
            lines.append("}")
        if "judge_state();" in self.written.steps.always:
            lines += ["/* What is claimed of every moment between records. */", "inline judge_state() {"]
            for text, name in in_state(layout):
                negative = negation(text)
                whole = some(["excluded", negative]) if self.written.steps.excludes else negative
                lines.append(f"    assert({bare(whole)});  /* {name} */")
            lines.append("}")
        return lines

    def _end(self, here: Bool, faults: list[Fault], end: str) -> list[str]:
        monitored = [f for f in faults if f.rule in self.cone.monitored]
        others = [f for f in faults if f.rule not in self.cone.monitored]
        quiet = [some([negation(f.text), excused(self.layout, f, faults)]) for f in others]
        alive: list[Bool] = ["!excluded"] if self.written.steps.excludes else []
        lines = []
        for fault in monitored:
            stronger = excused(self.layout, fault, faults)
            text = every([here, *alive, fault.text, negation(stronger), *quiet])
            if text is not False:
                lines += [
                    f"    if  /* {fault.rule} */",
                    f"    :: {bare(text)} ->",
                    f'        printf("%%end {end}\\n");',
                    "        assert(false)",
                    "    :: else",
                    "    fi;",
                ]
        return lines

    def _process(self) -> list[str]:
        layout = self.layout
        lines = ["active [THREADS] proctype Thread() {"]
        lines += ["end:", "    do"]
        for call in layout.calls.values():
            for entry in (True, False):
                for option in self.written.options[call.name, entry]:
                    lines += self._option(call, option)
        return [*lines, "    od", "}"]

    def _option(self, call: Call, option: Option) -> list[str]:
        lines = [f"    /* {option.note} */", "    :: d_step {"]
        for at, (text, note) in enumerate(option.guard):
            tail = "" if at == len(option.guard) - 1 else " &&"
            comment = f"  /* {note} */" if note else ""
            lines.append(f"        {'    ' if at else ''}{text}{tail}{comment}")
        lines += ["        ->", f"        {option.record}", *(f"        {text}" for text in option.body)]
        if lines[-1].endswith(";"):
            lines[-1] = lines[-1][:-1]
        return [line.replace(SELF, call.name) for line in [*lines, "    }"]]


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(said(text), _WIDTH - 4, initial_indent=indent, subsequent_indent=indent)


def _commented(line: str, comment: str) -> list[str]:
    if not comment:
        return [line]
    whole = f"{line}  /* {comment} */"
    return [whole] if len(whole) <= _WIDTH else [*_wrapped_comment(comment), line]


def _wrapped_comment(text: str) -> list[str]:
    lines = textwrap.wrap(said(text), _WIDTH - 6)
    return [f"/* {lines[0]}{' */' if len(lines) == 1 else ''}"] + [
        f" * {line}{' */' if at == len(lines) - 2 else ''}" for at, line in enumerate(lines[1:])
    ]


__all__ = ["Model", "write"]
