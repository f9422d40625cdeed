"""Searches and proofs whose results pages show. They take long, so their results are kept in a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kmclcheck import __version__
from kmclcheck.engines.question import Finder, Limits, Question, Records
from kmclcheck.engines.shortest import Judge, Outcome, answer, core, info, judged_with
from kmclcheck.model.spec import Spec
from kmclcheck.traces.formats.kmtrace_writer import format_event, write_header

Progress = Callable[[str, int, int], None]
"""Is told what is looked for, and how many of how many are done."""


@dataclass(frozen=True, slots=True)
class Search:
    """How to look for traces. ``find`` answers for counterexamples, ``find_witness`` for witnesses."""

    engine: str
    find: Finder
    find_witness: Finder
    limits: Limits
    seconds: float


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to: native traces, or why there are none.

    ``proved``: no trace that breaks the rule has so few records. ``near``: the trace that keeps it differs
    as little as can be from the one that breaks it; otherwise it is a shortest one.
    """

    engine: str
    limits: str
    broken: str
    kept: str
    proved: int
    exhausted: bool
    near: bool
    why: str


@dataclass(frozen=True, slots=True)
class Proved:
    """What came of an invariant; the numbers are those of the proof."""

    result: str
    method: str
    steps: int
    facts: int
    lemmas: int
    objects: int
    threads: int
    depth: int
    rules: tuple[str, ...]
    searched: int
    why: str


def spec_key(spec: Spec) -> str:
    """Return a name for what a specification says, together with the version of this program."""
    digest = hashlib.sha256(__version__.encode())
    for text in sorted(spec.sources.values()):
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


@dataclass(slots=True)
class Store:
    """Results by name, in a file of one specification. A file that cannot be read counts as none."""

    path: Path | None
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path is None:
            return
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return
        if isinstance(document, dict):
            self.entries = {k: v for k, v in document.items() if isinstance(v, dict)}

    def put(self, name: str, entry: dict[str, Any]) -> None:
        """Keep a result; the file is complete after every one of them."""
        self.entries[name] = entry
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(self.path.name + ".part")
        part.write_text(json.dumps(self.entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        part.replace(self.path)


def searched(spec: Spec, search: Search, store: Store, progress: Progress | None = None) -> dict[str, Found]:
    """Look for the shortest trace that breaks each rule of the core, and for the nearest that keeps it."""
    chosen = core(spec)
    rules = [id for id in spec.rules if id in chosen]
    found = {}
    for number, id in enumerate(rules):
        if progress is not None:
            progress(id, number, len(rules))
        name = f"{search.engine}: {id}: {search.limits.text()}: {search.seconds:g} s"
        entry = _found(store.entries.get(name))
        if entry is None:
            entry = _search(spec, id, search)
            store.put(name, {key: getattr(entry, key) for key in _FOUND})
        found[id] = entry
    return found


def _search(spec: Spec, id: str, search: Search) -> Found:
    judge = Judge(spec, judged_with(spec, id))

    def ask(find: Finder, question: Question) -> Outcome:
        return answer(spec, find, question, judge, search.limits, search.seconds)

    broken = ask(search.find, Question(id))
    kept = ask(search.find_witness, Question(id, witness=True, near=broken.found))
    near = broken.found is not None and kept.found is not None
    if kept.found is None and broken.found is not None:
        # To be alike is a harder question than to be short.
        kept = ask(search.find_witness, Question(id, witness=True))
    return Found(
        search.engine, search.limits.text(), _text(broken.found), _text(kept.found), broken.proved,
        broken.exhausted, near, broken.why,
    )  # fmt: skip


def _text(found: Records | None) -> str:
    if found is None:
        return ""
    lines = [write_header(info(found.end)).rstrip("\n"), *(format_event(event) for event in found.events)]
    return "\n".join(lines) + "\n"


_FOUND: dict[str, type] = {
    "engine": str, "limits": str, "broken": str, "kept": str, "proved": int, "exhausted": bool,
    "near": bool, "why": str,
}  # fmt: skip
_PROVED: dict[str, type] = {
    "result": str, "method": str, "steps": int, "facts": int, "lemmas": int, "objects": int, "threads": int,
    "depth": int, "rules": list, "searched": int, "why": str,
}  # fmt: skip


def _fits(entry: dict[str, Any] | None, shape: dict[str, type]) -> bool:
    if entry is None or set(entry) != set(shape):
        return False
    return all(isinstance(entry[key], type_) for key, type_ in shape.items())


def _found(entry: dict[str, Any] | None) -> Found | None:
    return Found(**entry) if entry is not None and _fits(entry, _FOUND) else None


def proofs(
    spec: Spec, seconds: float, others: int, store: Store, progress: Progress | None = None
) -> dict[str, Proved]:
    """Try to prove each invariant. Needs Z3."""
    from kmclcheck.engines.symbolic.bounds import Bounds
    from kmclcheck.engines.symbolic.prove import prove

    bounds = Bounds(others=others)
    found = {}
    for number, invariant in enumerate(spec.invariants.values()):
        if progress is not None:
            progress(invariant.id, number, len(spec.invariants))
        name = f"prove: {invariant.id}: {others}: {seconds:g} s"
        kept = store.entries.get(name)
        if kept is not None and _fits(kept, _PROVED):
            found[invariant.id] = Proved(**{**kept, "rules": tuple(str(r) for r in kept["rules"])})
            continue
        proof = prove(spec, invariant, bounds, seconds)
        entry = Proved(
            proof.result.value, proof.method, proof.steps, proof.facts, proof.lemmas, proof.bounds.others,
            proof.bounds.threads, proof.bounds.depth, proof.rules, proof.searched, proof.why,
        )  # fmt: skip
        store.put(name, {key: getattr(entry, key) for key in _PROVED} | {"rules": list(entry.rules)})
        found[invariant.id] = entry
    return found
