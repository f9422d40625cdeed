"""Known findings: a file of fingerprints (schema ``kmclcheck.baseline/1``), and a run held against it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import NoReturn

from kmclcheck.diagnostics import Diagnostic, InputError, Level
from kmclcheck.model.finding import TraceResult
from kmclcheck.model.spec import Spec
from kmclcheck.report.base import Known, KnownFinding, RunResult
from kmclcheck.report.describe import headline, rule_of
from kmclcheck.report.escape import safe
from kmclcheck.report.fingerprint import fingerprint

SCHEMA = "kmclcheck.baseline/1"

_FAMILY = "kmclcheck.baseline/"
_PRINT = re.compile("[0-9a-f]{16}")
_AGAIN = "write it again with --write-baseline"


def read_baseline(text: str, path: str) -> dict[str, KnownFinding]:
    """Return the known findings by fingerprint. Raises InputError if the text is no such file."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        _refuse(path, f"is not valid JSON: {error}")
    schema = document.get("schema") if isinstance(document, dict) else None
    if isinstance(schema, str) and schema.startswith(_FAMILY) and schema != SCHEMA:
        _refuse(path, f"is of version {schema!r}, this program reads {SCHEMA!r}; {_AGAIN}")
    if schema != SCHEMA:
        _refuse(path, f'is no baseline: its "schema" is not {SCHEMA!r}')
    entries = document.get("findings")
    if not isinstance(entries, list):
        _refuse(path, 'is broken: "findings" has to be a list')
    known: dict[str, KnownFinding] = {}
    for number, entry in enumerate(entries, 1):
        facts = [entry.get(key) for key in ("fingerprint", "rule", "text")] if isinstance(entry, dict) else []
        texts = [fact for fact in facts if isinstance(fact, str)]
        if len(texts) != 3:
            _refuse(path, f'is broken: finding {number} needs the texts "fingerprint", "rule" and "text"')
        if not _PRINT.fullmatch(texts[0]):
            _refuse(path, f"is broken: finding {number} has a fingerprint that is not 16 hex digits")
        known[texts[0]] = KnownFinding(*texts)
    return known


def _refuse(path: str, why: str) -> NoReturn:
    raise InputError([Diagnostic(Level.ERROR, f"baseline {path}: {why}")])


def baseline_of(traces: Iterable[TraceResult], spec: Spec) -> list[KnownFinding]:
    """Return the findings of the traces, each fingerprint once, in the order of rule and fingerprint."""
    known: dict[str, KnownFinding] = {}
    for trace in traces:
        for finding in trace.findings:
            print = fingerprint(finding, spec)
            one = KnownFinding(print, finding.rule, safe(headline(finding, rule_of(finding, spec))))
            # Findings with one fingerprint may differ in words; the order of traces must not decide.
            known[print] = min(known.get(print, one), one, key=lambda k: k.text)
    return sorted(known.values(), key=lambda k: (k.rule, k.fingerprint))


def write_baseline(known: Iterable[KnownFinding]) -> str:
    """Return the text of the file: a line for each finding, so that differences read well."""
    lines = [
        json.dumps({"rule": one.rule, "fingerprint": one.fingerprint, "text": one.text}) for one in known
    ]
    body = "[\n    " + ",\n    ".join(lines) + "\n  ]" if lines else "[]"
    return f'{{\n  "schema": "{SCHEMA}",\n  "findings": {body}\n}}\n'


def without_known(run: RunResult, known: dict[str, KnownFinding], spec: Spec) -> RunResult:
    """Return the run without the findings that are known, which are counted.

    Verdicts stay: a rule that a known finding breaks is still broken. A known finding is gone if its
    rule was checked in a run that is complete, and it did not occur.
    """
    traces: list[TraceResult] = []
    seen: set[str] = set()
    hidden = 0
    for trace in run.traces:
        prints = [(finding, fingerprint(finding, spec)) for finding in trace.findings]
        new = [finding for finding, print in prints if print not in known]
        hidden += len(trace.findings) - len(new)
        seen.update(print for _, print in prints)
        traces.append(replace(trace, findings=new))
    checked = {verdict.rule for trace in run.traces for verdict in trace.verdicts}
    whole = not run.failures and not run.interrupted and all(trace.complete for trace in run.traces)
    gone = [one for one in known.values() if whole and one.rule in checked and one.fingerprint not in seen]
    gone.sort(key=lambda k: (k.rule, k.fingerprint))
    return replace(run, traces=traces, known=Known(hidden, tuple(gone)))
