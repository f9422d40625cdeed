"""The IR of a specification: what every engine reads, and the only thing it reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from kmclcheck.diagnostics import Span
from kmclcheck.model.event import Phase
from kmclcheck.model.expr import Expr, Term, Truth

EventKind = tuple[str, Phase]


class Party(Enum):
    """Who has to keep a rule."""

    DRIVER = "driver"
    LIBRARY = "library"
    EITHER = "either"


class Severity(Enum):
    ERROR = "error"
    WARNING = "warning"


class Profile(Enum):
    CORE = "core"
    EXTENDED = "extended"


class Direction(Enum):
    IN = "in"
    OUT = "out"
    INOUT = "inout"


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter. ``kind`` names the object kind when the value is a handle.

    ``type`` is the C type of the API; ``extra`` marks a value behind a pointer that tracers log
    under a name of its own.
    """

    name: str
    type: str
    direction: Direction
    kind: str | None = None
    optional: bool = False
    extra: bool = False


@dataclass(frozen=True, slots=True)
class EventDecl:
    """A function or callback of the API, or a ``record`` that the library writes by itself.

    ``objects`` maps object kind to the parameter that carries its handle. ``returns`` is the C
    type; a returned handle is the parameter named "Return". ``neutral`` functions change nothing.
    ``recorded_when`` is a condition on the objects under which its records can appear at all
    (an empty callback slot), or ``None``. A record has one phase, and no thread is inside it; an
    ``unordered`` one means the same wherever it stands among others.
    """

    name: str
    callback: bool
    params: tuple[Param, ...]
    returns: str
    role: str
    interface: str
    documented: bool
    neutral: bool
    objects: dict[str, str]
    recorded_when: Expr | None = None
    irql: str = ""
    doc: str = ""
    sources: tuple[str, ...] = ()
    span: Span | None = None
    record: bool = False
    unordered: bool = False

    def is_output(self, param: str) -> bool:
        """Return whether the library fills the parameter in, or changes it."""
        if param == "Return":
            return True
        return any(p.name == param and p.direction is not Direction.IN for p in self.params)

    def is_result(self, param: str) -> bool:
        """Return whether the library alone fills the parameter in, so that the call says nothing of it."""
        if param == "Return":
            return True
        return any(p.name == param and p.direction is Direction.OUT for p in self.params)

    @property
    def entry(self) -> Phase:
        if self.record:
            return Phase.WHOLE
        return Phase.IN if self.callback else Phase.CALL

    @property
    def exit(self) -> Phase:
        if self.record:
            return Phase.WHOLE
        return Phase.OUT if self.callback else Phase.RET


@dataclass(frozen=True, slots=True)
class EnumField:
    """A field with finitely many values; booleans have "false" and "true".

    ``initial`` is the value at a birth, ``absent`` the values a handle without a living object
    may stand for, ``dead`` the values in which the object no longer exists.
    """

    name: str
    values: tuple[str, ...]
    initial: str
    boolean: bool = False
    absent: frozenset[str] = frozenset()
    dead: frozenset[str] = frozenset()
    doc: str = ""


@dataclass(frozen=True, slots=True)
class NumberField:
    """A number that is unset until an event assigns it; a ``counter`` is 0 until an event adds to it."""

    name: str
    doc: str = ""
    counter: bool = False


@dataclass(frozen=True, slots=True)
class Birth:
    """The event begins a new incarnation if ``guard`` holds (own fields: state before it).

    ``loss_if``: when the old incarnation certainly satisfies this, events must be missing.
    """

    event: EventKind
    guard: Expr
    loss_if: Expr


@dataclass(frozen=True, slots=True)
class Transition:
    """Values in ``sources`` move to ``targets`` on the event when the guard holds.

    An empty ``targets`` set means the value stays. ``observe``: the event only shows that the
    value is one of ``sources``; it narrows a field whose value is not known for want of data and
    changes nothing else. ``via_parent``: the event names the parent; every child moves.
    ``anywhere``: the event does not tell which object of the kind it concerns; every one may move,
    those that no event named so far too.
    """

    sources: frozenset[str]
    targets: frozenset[str]
    event: EventKind
    guard: Expr
    observe: bool = False
    via_parent: bool = False
    span: Span | None = None
    anywhere: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """All transitions of one enumerated field."""

    kind: str
    field: str
    transitions: tuple[Transition, ...]
    doc: str = ""
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """The event sets a number field, or ``adds`` to a counter; ``value`` ``None`` unsets it."""

    kind: str
    field: str
    event: EventKind
    guard: Expr
    value: Term | None
    adds: bool = False


@dataclass(frozen=True, slots=True)
class ObjectKind:
    """A kind of object. ``scoped``: its handle is unique only within its parent.

    ``unknown_if_absent``: a handle never seen before may belong to an object that somebody else
    made, so even a complete trace does not know its state.
    """

    name: str
    handle_type: str
    parent: str | None
    scoped: bool
    enums: dict[str, EnumField]
    numbers: dict[str, NumberField]
    births: tuple[Birth, ...]
    unknown_if_absent: bool = False
    doc: str = ""

    @property
    def ends_silently(self) -> bool:
        """Whether an object can end without any event, for it may lie in memory of the driver.

        Then a birth in that memory is never a sign that events are missing.
        """
        return any(birth.loss_if == Truth(False) for birth in self.births)


@dataclass(frozen=True, slots=True)
class Check:
    """A rule's condition at an event, or at the end of a trace (``event`` is ``None``).

    ``target`` is the object kind a finding is about. ``each``: judged once for every child of
    that kind of the event's ``each_of`` object (or for every object, at the end).
    ``hung_in``: an end check that is also due when the trace hangs inside one of these calls.
    """

    event: EventKind | None
    when: Expr
    require: Expr
    target: str
    each: bool = False
    each_of: str | None = None
    hung_in: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """A trace embedded in a rule, in native text, that passes or fails it."""

    text: str
    passes: bool
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    statement: str
    party: Party
    severity: Severity
    profile: Profile
    scope: str
    checks: tuple[Check, ...]
    message: str
    requirement: str
    consequence: str
    fix: str
    sources: tuple[str, ...]
    implied_by: tuple[str, ...]
    yields_to: tuple[str, ...]
    examples: tuple[Example, ...]
    reading: str = ""
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Invariant:
    """What follows from the rules. A check without an event holds at every moment, for each object.

    Like a rule it is violated when it certainly does not hold; a ``strict`` one also where the documents
    leave it open. ``assuming`` are the rules that it needs, all of them if none is named; ``given`` is
    assumed besides. ``instances`` says why a bounded number of objects shows it for any number.
    """

    id: str
    statement: str
    scope: str
    checks: tuple[Check, ...]
    assuming: tuple[str, ...] = ()
    instances: str = ""
    strict: bool = False
    given: tuple[Check, ...] = ()
    sources: tuple[str, ...] = ()
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """A whole specification. ``statuses`` maps names to unsigned 32-bit values."""

    name: str
    title: str
    statuses: dict[str, int]
    constants: dict[str, int]
    kinds: dict[str, ObjectKind]
    events: dict[str, EventDecl]
    machines: dict[tuple[str, str], Machine]
    assignments: tuple[Assignment, ...]
    rules: dict[str, Rule]
    prelude: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    invariants: dict[str, Invariant] = field(default_factory=dict)

    def ancestors(self, kind: str) -> list[str]:
        """Return the kinds that stand above one, nearest first."""
        parent = self.kinds[kind].parent
        return [] if parent is None else [parent, *self.ancestors(parent)]

    def depth(self, kind: str) -> int:
        """Return how many kinds stand above one."""
        return len(self.ancestors(kind))

    def unknown_at_call(self, decl: EventDecl, param: str) -> bool:
        """Return whether only the return of a call tells the parameter.

        A handle that is passed by value is known at the call, even where the object begins only there.
        """
        for one in decl.params:
            if one.name == param and param != "Return":
                by_value = one.kind is not None and one.type == self.kinds[one.kind].handle_type
                return one.direction is Direction.OUT and not by_value
        return True
