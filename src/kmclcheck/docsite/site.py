"""What the pages of one site share: the specification, its places, and what is known of its rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kmclcheck.diagrams.names import ShortNames, short_names
from kmclcheck.docsite.blocks import Cell, Inline, Line, Mark, Row, Text, joined
from kmclcheck.docsite.evidence import Sample, Teller, Told
from kmclcheck.docsite.places import Places
from kmclcheck.docsite.search import Found, Proved
from kmclcheck.model.expr import Expr, Truth
from kmclcheck.model.spec import Rule, Spec
from kmclcheck.speclang import format_expr


@dataclass(slots=True)
class Site:
    """A site while it is built. ``files`` are the traces that lie beside the pages.

    ``found`` and ``proved`` are ``None`` if nothing was looked for. ``options`` is what a command line
    needs to use the same specification, with a space before it, or "".
    """

    spec: Spec
    found: Mapping[str, Found] | None = None
    proved: Mapping[str, Proved] | None = None
    samples: Sequence[tuple[str, str]] = ()
    options: str = ""
    places: Places = field(init=False)
    teller: Teller = field(init=False)
    names: ShortNames = field(init=False)
    exercised: dict[str, list[Sample]] = field(init=False)
    examples: dict[str, tuple[Told | None, Told | None]] = field(init=False)
    files: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.places = Places(self.spec)
        self.teller = Teller(self.spec)
        self.names = short_names(self.spec)
        self.exercised = self.teller.exercised(self.samples)
        self.examples = {rule.id: self.teller.examples(rule) for rule in self.spec.rules.values()}

    def when(self, guard: Expr) -> list[Inline]:
        """Return a condition with links, or nothing if it always holds."""
        return [] if guard == Truth(True) else self.places.formal(format_expr(guard, self.spec))

    def rule_rows(self, ids: Sequence[str]) -> list[Row]:
        """Return rows for a table of rules: number, rule, statement, who keeps it."""
        rows = []
        for id in ids:
            rule = self.spec.rules[id]
            number = str(self.places.numbers[id])
            rows.append(
                row([Text(number)], [self.places.rule(id)], self.places.prose(rule.statement), marks(rule))
            )
        return rows

    def rule_list(self, ids: Sequence[str]) -> list[Inline]:
        """Return links to rules, one after the other."""
        return joined([[self.places.rule(id)] for id in ids])


RULE_HEAD = ("No.", "Rule", "What it says", "Kept by")


def row(*lines: Line, anchor: str = "") -> Row:
    """Return a row of a table from its cells."""
    return Row([Cell(line) for line in lines], anchor)


def marks(rule: Rule) -> list[Inline]:
    """Return who keeps a rule and how bad a breach is, as short words."""
    found: list[Inline] = [Mark(rule.party.value, "party"), Text(" ")]
    found.append(Mark(rule.severity.value, rule.severity.value))
    if rule.profile.value != "core":
        found += [Text(" "), Mark(rule.profile.value, "profile")]
    return found
