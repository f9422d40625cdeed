"""The syntax tree: what a specification file says, before any name is resolved.

Every node carries the ``Span`` it was read from, so that each later message can point at it.
"""

from __future__ import annotations

from dataclasses import dataclass

from kmclcheck.diagnostics import Span


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier where it was written."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Text:
    """A string without its quotes; long texts are dedented. ``first_line``: where its text begins."""

    value: str
    span: Span
    first_line: int = 0


@dataclass(frozen=True, slots=True)
class Literal:
    """A number."""

    value: int
    span: Span


# --- conditions ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reference:
    """``name`` or ``owner.name``; as a term or as a condition by itself."""

    owner: Name | None
    name: Name
    span: Span

    def __str__(self) -> str:
        return f"{self.owner.text}.{self.name.text}" if self.owner else self.name.text


@dataclass(frozen=True, slots=True)
class IrqlTerm:
    span: Span


Term = Reference | Literal | IrqlTerm


@dataclass(frozen=True, slots=True)
class Constant:
    value: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Succeeded:
    negated: bool
    span: Span


@dataclass(frozen=True, slots=True)
class StatusTest:
    negated: bool
    values: tuple[Name | Literal, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class SetTest:
    """``field is set``."""

    reference: Reference
    negated: bool
    span: Span


@dataclass(frozen=True, slots=True)
class ValueTest:
    """``field is V`` or ``field in {..}``."""

    reference: Reference
    negated: bool
    values: tuple[Name, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Comparison:
    operator: str
    left: Term
    right: Term
    span: Span


@dataclass(frozen=True, slots=True)
class BitTest:
    term: Term
    mask: Name | Literal
    span: Span


@dataclass(frozen=True, slots=True)
class InsideTest:
    """``inside(names)``; the last name may be a kind."""

    names: tuple[Name, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class RunningTest:
    """``running(names, kind)``."""

    names: tuple[Name, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class OverlapTest:
    names: tuple[Name, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class LatestTest:
    """``latest``; without names it is about the event's own function."""

    names: tuple[Name, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class ChildTest:
    """``no|some kind of parent with condition``."""

    negated: bool
    kind: Name
    parent: Name
    condition: Condition
    span: Span


@dataclass(frozen=True, slots=True)
class SometimeTest:
    condition: Condition
    span: Span


@dataclass(frozen=True, slots=True)
class Negation:
    operand: Condition
    span: Span


@dataclass(frozen=True, slots=True)
class Conjunction:
    operands: tuple[Condition, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Disjunction:
    operands: tuple[Condition, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Implication:
    premise: Condition
    conclusion: Condition
    span: Span


Condition = (
    Reference
    | Constant
    | Succeeded
    | StatusTest
    | SetTest
    | ValueTest
    | Comparison
    | BitTest
    | InsideTest
    | RunningTest
    | OverlapTest
    | LatestTest
    | ChildTest
    | SometimeTest
    | Negation
    | Conjunction
    | Disjunction
    | Implication
)


# --- declarations -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpecDecl:
    name: Name
    title: Text | None


@dataclass(frozen=True, slots=True)
class StatusDecl:
    name: Name
    value: Literal


@dataclass(frozen=True, slots=True)
class ConstantDecl:
    name: Name
    value: Literal


@dataclass(frozen=True, slots=True)
class FieldDecl:
    """``values`` is ``None`` for a number or counter, ``("false", "true")`` with ``boolean`` for a bool."""

    name: Name
    values: tuple[Name, ...] | None
    boolean: bool
    initial: Name | None
    dead: tuple[Name, ...]
    absent: tuple[Name, ...] | None
    doc: str
    counter: bool = False


@dataclass(frozen=True, slots=True)
class ObjectDecl:
    name: Name
    handle_type: Name | None
    parent: Name | None
    scoped: bool
    unknown_if_absent: bool
    fields: tuple[FieldDecl, ...]
    doc: str


@dataclass(frozen=True, slots=True)
class ParamDecl:
    name: Name
    type: Name
    direction: str
    kind: Name | None
    optional: bool
    extra: bool


@dataclass(frozen=True, slots=True)
class FunctionDecl:
    name: Name
    callback: bool
    params: tuple[ParamDecl, ...]
    result: Name | None
    result_kind: Name | None
    undocumented: bool
    neutral: bool
    role: str
    interface: str
    irql: str
    doc: str
    sources: tuple[str, ...]
    recorded: Condition | None
    repeated: tuple[Name, ...] = ()
    record: bool = False
    unordered: bool = False


@dataclass(frozen=True, slots=True)
class GroupDecl:
    name: Name
    members: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class EventRef:
    """``NAME.phase``."""

    name: Name
    phase: Name


@dataclass(frozen=True, slots=True)
class MachineLine:
    """``sources`` ``None`` is ``*``; a target ``None`` is ``same``; ``seen`` lines have no targets."""

    sources: tuple[Name, ...] | None
    targets: tuple[Name | None, ...]
    seen: bool
    parent: bool
    events: tuple[EventRef, ...]
    guard: Condition | None
    span: Span
    anywhere: bool = False


@dataclass(frozen=True, slots=True)
class MachineDecl:
    kind: Name
    field: Name
    lines: tuple[MachineLine, ...]
    doc: str


@dataclass(frozen=True, slots=True)
class BirthLine:
    events: tuple[EventRef, ...]
    guard: Condition | None
    loss_if: Condition | None


@dataclass(frozen=True, slots=True)
class BirthsDecl:
    kind: Name
    lines: tuple[BirthLine, ...]


@dataclass(frozen=True, slots=True)
class AssignmentDecl:
    """``value`` is ``None`` for ``unset``; ``adds`` is true for ``add``."""

    kind: Name
    field: Name
    value: Term | None
    events: tuple[EventRef, ...]
    guard: Condition | None
    adds: bool = False


@dataclass(frozen=True, slots=True)
class PredicateDecl:
    name: Name
    condition: Condition


@dataclass(frozen=True, slots=True)
class CheckDecl:
    """``events`` is ``None`` for ``at end`` and ``always``."""

    events: tuple[EventRef, ...] | None
    hung_in: tuple[Name, ...]
    guard: Condition | None
    each: Name | None
    each_of: Name | None
    require: Condition
    span: Span


@dataclass(frozen=True, slots=True)
class ExampleDecl:
    text: Text
    passes: bool


@dataclass(frozen=True, slots=True)
class RuleDecl:
    id: Name
    party: Name
    severity: Name
    profile: Name
    scope: Name | None
    texts: tuple[tuple[str, Text], ...]
    sources: tuple[Text, ...]
    implied_by: tuple[Name, ...]
    yields_to: tuple[Name, ...]
    checks: tuple[CheckDecl, ...]
    examples: tuple[ExampleDecl, ...]
    repeated: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class InvariantDecl:
    id: Name
    scope: Name | None
    texts: tuple[tuple[str, Text], ...]
    sources: tuple[Text, ...]
    assuming: tuple[Name, ...]
    checks: tuple[CheckDecl, ...]
    given: tuple[CheckDecl, ...]
    strict: bool
    repeated: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class PreludeDecl:
    name: Name
    text: Text


@dataclass(frozen=True, slots=True)
class PlannedDecl:
    ids: tuple[Name, ...]


Declaration = (
    SpecDecl
    | StatusDecl
    | ConstantDecl
    | ObjectDecl
    | FunctionDecl
    | GroupDecl
    | MachineDecl
    | BirthsDecl
    | AssignmentDecl
    | PredicateDecl
    | RuleDecl
    | InvariantDecl
    | PreludeDecl
    | PlannedDecl
)
