"""The versioned document of coverage (schema ``kmclcheck.coverage/1``), written and read again.

It depends on the input alone: documents of runs over the same traces are equal byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kmclcheck.diagnostics import Diagnostic, InputError, Level
from kmclcheck.engines.coverage import Count, Coverage, Edge, Share, State, Universe
from kmclcheck.engines.coverage.missing import Gaps, Missing, Step
from kmclcheck.report.base import InputFailure, ToolInfo
from kmclcheck.report.describe import path_text, record_words
from kmclcheck.report.document import Json, JsonObject

SCHEMA = "kmclcheck.coverage/1"


def coverage_document(
    coverage: Coverage,
    machines: Sequence[str],
    tool: ToolInfo,
    failures: Sequence[InputFailure] = (),
    complete: bool = True,
    gaps: Gaps | None = None,
) -> JsonObject:
    """Return the whole document. ``complete``: every trace was read to its end."""
    document: JsonObject = {
        "schema": SCHEMA,
        "tool": {
            "name": tool.name,
            "version": tool.version,
            "spec": {"name": tool.spec, "title": tool.spec_title},
        },
        "fingerprint": coverage.universe.fingerprint,
        "traces": coverage.traces,
        "records": coverage.records,
        "complete": complete,
        "unreadable": [{"path": path_text(f.path), "message": f.message} for f in failures],
        "summary": {
            "states": _share(coverage.state_share(machines)),
            "transitions": _share(coverage.edge_share(machines)),
            "stays": _share(coverage.stay_share(machines)),
            "rules": _share(coverage.rule_share()),
            "functions": _share(coverage.event_share()),
        },
        "machines": [_machine(coverage, name) for name in machines],
        "rules": [
            {"id": id, "decided": r.decided, "open": r.open, "failed": r.failed, "exercised": r.exercised}
            for id, r in coverage.rules.items()
        ],
        "functions": [
            {"name": name, "entries": e.entries, "exits": e.exits} for name, e in coverage.events.items()
        ],
    }
    if gaps is not None:
        document["missing"] = _gaps(gaps)
    return document


def floor_percent(share: Share) -> float:
    """Return the percentage with one decimal, never rounded up: 100 means all of it."""
    return int(share.percent * 10) / 10


def _share(share: Share) -> JsonObject:
    return {
        "covered": share.covered,
        "total": share.total,
        "perhaps": share.perhaps,
        "percent": floor_percent(share),
    }


def _machine(coverage: Coverage, name: str) -> JsonObject:
    return {
        "name": name,
        "summary": {
            "states": _share(coverage.state_share([name])),
            "transitions": _share(coverage.edge_share([name])),
            "stays": _share(coverage.stay_share([name])),
        },
        "states": [{"value": state.value, **_count(count)} for state, count in coverage.states_of(name)],
        "transitions": [{**_edge(edge), **_count(count)} for edge, count in coverage.edges_of(name)],
    }


def _edge(edge: Edge) -> JsonObject:
    return {
        "source": edge.source,
        "event": edge.event,
        "guard": edge.guard,
        "targets": list(edge.targets),
        "through": edge.through,
        "counted": edge.counted,
    }


def _count(count: Count) -> JsonObject:
    return {"count": count.certain, "perhaps": count.perhaps}


def _gaps(gaps: Gaps) -> JsonObject:
    return {
        "states": [
            {"machine": m.what.machine, "value": m.what.value, **_way(m)}
            for m in gaps.machines
            if isinstance(m.what, State)
        ],
        "transitions": [
            {"machine": m.what.machine, **_edge(m.what), **_way(m)}
            for m in gaps.machines
            if isinstance(m.what, Edge)
        ],
        "rules": [rule.id for rule in gaps.rules],
        "functions": [decl.name for decl in gaps.events],
    }


def _way(missing: Missing) -> JsonObject:
    scenario: Json = None if missing.way is None else [_step(step) for step in missing.way]
    found: JsonObject = {"perhaps": missing.perhaps, "start": missing.start, "scenario": scenario}
    if missing.proof is not None:
        proof = missing.proof
        records = [record_words(record) for record in proof.records]
        found["proof"] = {"reached": proof.reached, "certain": proof.certain, "records": records}
    return found


def _step(step: Step) -> JsonObject:
    edge = step.edge
    return {"event": edge.event, "guard": edge.guard, "source": edge.source, "target": step.target}


def read_coverage(path: str, universe: Universe) -> tuple[Coverage, bool]:
    """Return the counts of an earlier run, and whether it was complete.

    Raises InputError if the file cannot be read, is no such document, or counts something else: another
    version of the format, another specification or choice of rules, or some machines only.
    """
    try:
        document = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise _wrong(path, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _wrong(path, "this is not JSON") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        told = f"its schema is {schema!r}" if isinstance(schema, str) else "it names no schema"
        raise _wrong(
            path, f"{told}, and {SCHEMA} is needed", "make it again with: kmclcheck coverage --format json"
        )
    if document.get("fingerprint") != universe.fingerprint:
        raise _wrong(
            path,
            "it was counted with another specification, or another choice of rules",
            "make it again with the same --spec and --profile, and the same version of the specification",
        )
    try:
        return _read(document, universe), bool(document["complete"])
    except _PartError as error:
        raise _wrong(path, str(error), "make it again without --machine") from error
    except (KeyError, TypeError, ValueError) as error:
        raise _wrong(path, "it is damaged: parts are missing or of another form") from error


class _PartError(Exception):
    """The document does not count all machines."""


def _read(document: dict[str, Any], universe: Universe) -> Coverage:
    coverage = Coverage(universe, traces=_number(document["traces"]), records=_number(document["records"]))
    named = [machine["name"] for machine in document["machines"]]
    if named != list(universe.machines):
        raise _PartError("it counts some of the machines only")
    states = [one for machine in document["machines"] for one in machine["states"]]
    edges = [one for machine in document["machines"] for one in machine["transitions"]]
    for mine, part in ((coverage.states, states), (coverage.edges, edges)):
        for count, one in zip(mine, part, strict=True):
            count.certain, count.perhaps = _number(one["count"]), _number(one["perhaps"])
    rules = [one["id"] for one in document["rules"]]
    functions = [one["name"] for one in document["functions"]]
    if rules != list(coverage.rules) or functions != list(coverage.events):
        raise ValueError("not all rules and functions, each once")
    for one in document["rules"]:
        rule = coverage.rules[one["id"]]
        rule.decided, rule.open, rule.failed = (_number(one[k]) for k in ("decided", "open", "failed"))
    for one in document["functions"]:
        event = coverage.events[one["name"]]
        event.entries, event.exits = _number(one["entries"]), _number(one["exits"])
    return coverage


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(value)
    return value


def _wrong(path: str, what: str, help: str | None = None) -> InputError:
    message = f"{path_text(path)}: cannot add this coverage: {what}"
    return InputError([Diagnostic(Level.ERROR, message, help=help)])
