"""Where everything has its page, and links in running text."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from kmclcheck.docsite.blocks import Code, Inline, Link, Text, anchor_of, joined
from kmclcheck.model.spec import Rule, Spec

_TAG = r"[A-Z]{1,3}\d+"
_TAGS = re.compile(rf"\(({_TAG}(?:\s*,\s*{_TAG})*)\)")
_NAME = re.compile(r"[A-Za-z_][\w.]*(?:-\w+)*")
# Windows takes these names for devices, whatever the suffix.
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))]
)


def point_tags(text: str) -> list[str]:
    """Return the tags of unclear points that a reading cites in parentheses, such as ``(X5)``."""
    found = [tag.strip() for group in _TAGS.findall(text) for tag in group.split(",")]
    return list(dict.fromkeys(found))


def tag_key(tag: str) -> tuple[str, int]:
    """Return what tags are sorted by: X2 comes before X10."""
    letters = tag.rstrip("0123456789")
    return letters, int(tag[len(letters) :] or 0)


@dataclass(slots=True)
class Places:
    """The pages of a specification. Names are stable: other documents link to them."""

    spec: Spec
    rules: dict[str, str] = field(default_factory=dict)
    machines: dict[tuple[str, str], str] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rules = _named("rules", self.spec.rules)
        names = [f"{kind}.{name}" for kind, name in self.spec.machines]
        self.machines = dict(zip(self.spec.machines, _named("machines", names).values(), strict=True))
        self.events = _named("events", self.spec.events)
        spec = self.spec
        cited = [
            tag
            for one in (spec.rules, spec.events, spec.invariants)
            for x in one.values()
            for tag in x.sources
        ]
        self.sources = _named("", sorted(set(cited)))
        self.numbers = {id: number for number, id in enumerate(self.spec.rules, 1)}

    def rule(self, id: str) -> Link | Code:
        """Return a link to a rule, or its bare name if it is only planned."""
        return Link(id, self.rules[id], code=True) if id in self.rules else Code(id)

    def numbered(self, id: str) -> Link:
        """Return a link to a rule by its number, for tables."""
        return Link(str(self.numbers[id]), self.rules[id])

    def event(self, name: str, phase: str = "") -> Link | Code:
        text = f"{name}.{phase}" if phase else name
        return Link(text, self.events[name], code=True) if name in self.events else Code(text)

    def machine(self, kind: str, name: str) -> Link | Code:
        """Return a link to the machine of a field; a field without one is in the glossary."""
        text = f"{kind}.{name}"
        page = self.machines.get((kind, name))
        if page is not None:
            return Link(text, page, code=True)
        found = self.spec.kinds.get(kind)
        if found is not None and (name in found.enums or name in found.numbers):
            return Link(text, "glossary", anchor_of(text), code=True)
        return Code(text)

    def kind(self, name: str) -> Link | Code:
        return Link(name, "glossary", f"object-{anchor_of(name)}") if name in self.spec.kinds else Code(name)

    def source(self, tag: str) -> Link:
        return Link(tag, "sources", self.sources[tag].removeprefix("/"), code=True)

    def party(self, rule: Rule) -> str:
        words = {"driver": "the driver", "library": "the library", "either": "the driver or the library"}
        return words[rule.party.value]

    def prose(self, text: str) -> list[Inline]:
        """Return running text with links to the functions, rules and unclear points that it names."""
        found: list[Inline] = []
        at = 0
        for group in _TAGS.finditer(text):
            found += self._names(text[at : group.start()])
            tags = [Link(tag, "unclear", tag) for tag in point_tags(group[0])]
            found += [Text("("), *joined([[tag] for tag in tags]), Text(")")]
            at = group.end()
        return [*found, *self._names(text[at:])]

    def formal(self, text: str) -> list[Inline]:
        """Return a condition with links to the events and fields that it names."""
        return self._names(text, code=True)

    def _names(self, text: str, code: bool = False) -> list[Inline]:
        found: list[Inline] = []
        at = 0
        for word in _NAME.finditer(text):
            link = self._named(word[0].rstrip("."), code)
            if link is None:
                continue
            if word.start() > at:
                found.append(_plain(text[at : word.start()], code))
            found.append(link)
            at = word.start() + len(link.text)
        if at < len(text):
            found.append(_plain(text[at:], code))
        return found

    def _named(self, word: str, code: bool) -> Inline | None:
        head, dot, tail = word.rpartition(".")
        if word in self.events:
            return self.event(word)
        if dot and head in self.events:
            return self.event(head, tail)
        if dot and (head, tail) in self.machines:
            return self.machine(head, tail)
        # A rule of one word would turn that word of the language into a link wherever it stands.
        if "-" in word and word in self.rules:
            return self.rule(word)
        return None


def _plain(text: str, code: bool) -> Inline:
    return Code(text) if code else Text(text)


def _named(folder: str, names: Iterable[str]) -> dict[str, str]:
    """Return a page for each name, different ones also where the case of letters does not count."""
    taken: set[str] = set()
    found = {}
    for name in names:
        base = anchor_of(name)
        if base.lower().partition(".")[0] in _RESERVED:
            base = f"_{base}"
        path, number = base, 1
        while path.lower() in taken:
            number += 1
            path = f"{base}-{number}"
        taken.add(path.lower())
        found[name] = f"{folder}/{path}"
    return found


def relative(link: Link, folder: str, suffix: str) -> str:
    """Return where a link leads from a page in ``folder``."""
    path = link.page if link.file else link.page + suffix
    target = posixpath.relpath(path, folder or ".")
    return f"{target}#{link.anchor}" if link.anchor else target
