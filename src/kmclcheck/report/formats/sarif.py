"""``sarif``: SARIF 2.1.0, for code scanning services and editors.

Limits, of GitHub and of size: the 5,000 most severe results, 1,000 steps for one of them, 20,000 for
all. What is left out is told in the result or in a notification.
"""

from __future__ import annotations

import json
import re
from typing import TextIO
from urllib.parse import quote

from kmclcheck.model.event import Event
from kmclcheck.model.finding import Finding, ObjectRef, TraceResult
from kmclcheck.model.spec import Rule, Severity, Spec
from kmclcheck.report.base import RunResult
from kmclcheck.report.describe import (
    event_text,
    headline,
    object_text,
    path_text,
    plural,
    requirement,
    rule_of,
    sorted_findings,
    thread_text,
)
from kmclcheck.report.document import Json, JsonObject, summary_document
from kmclcheck.report.escape import safe
from kmclcheck.report.fingerprint import fingerprint
from kmclcheck.report.lines import gone_line
from kmclcheck.report.links import rule_address, rule_page
from kmclcheck.report.markup import code, escaped
from kmclcheck.report.registry import register
from kmclcheck.report.remarks import remarks
from kmclcheck.report.story import notes, steps

RESULTS = 5_000
STEPS = 1_000
STEPS_OF_ALL = 20_000
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_PROBLEMS = 100
_HOLDERS = 100
_TEXT = 2_000
_DRIVE = re.compile("[A-Za-z]:/")


class SarifRenderer:
    name = "sarif"

    def render(self, run: RunResult, spec: Spec, stream: TextIO) -> None:
        log = _Log(run, spec)
        results = log.results()
        document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [log.run()]}
        # A result a line: small, and still readable.
        head, mark, tail = json.dumps(document, indent=1).rpartition('"results": []')
        lines = ",\n".join(json.dumps(result, separators=(",", ":")) for result in results)
        stream.write(f'{head}"results": [\n{lines}\n]{tail}\n' if results else f"{head}{mark}{tail}\n")


class _Log:
    """The one run of the log, and its results, which are written apart."""

    def __init__(self, run: RunResult, spec: Spec) -> None:
        self._run = run
        self._spec = spec
        ids = {verdict.rule for trace in run.traces for verdict in trace.verdicts}
        ids |= {finding.rule for trace in run.traces for finding in trace.findings}
        self._rules = {rule: number for number, rule in enumerate(sorted(ids))}
        self._room = STEPS_OF_ALL
        self._seen: dict[str, int] = {}
        found = [
            (number, trace, finding)
            for number, trace in enumerate(run.traces)
            for finding in sorted_findings(trace)
        ]
        found.sort(key=lambda one: rule_of(one[2], spec).severity is not Severity.ERROR)
        self._kept = found[:RESULTS]
        self._cut = len(found) - len(self._kept)

    def run(self) -> JsonObject:
        run = self._run
        tool = run.tool
        traces = [{"location": {"uri": _uri(path_text(trace.path))}} for trace in run.traces]
        return {
            "tool": {
                "driver": {
                    "name": tool.name,
                    "version": tool.version,
                    "rules": [self._rule(self._spec.rules[rule]) for rule in self._rules],
                    "properties": {"spec": tool.spec, "specTitle": tool.spec_title, "engine": tool.engine},
                }
            },
            "invocations": [
                {
                    "executionSuccessful": not run.failures
                    and not run.interrupted
                    and all(trace.complete for trace in run.traces),
                    "toolExecutionNotifications": self._notifications(),
                }
            ],
            "artifacts": traces,
            "properties": {"summary": summary_document(run, self._spec)},
            "results": [],
        }

    def results(self) -> list[JsonObject]:
        return [self._result(number, trace, finding) for number, trace, finding in self._kept]

    def _rule(self, rule: Rule) -> JsonObject:
        text = [rule.statement, *([f"Why: {rule.consequence}"] if rule.consequence else [])]
        text += [f"How to fix: {rule.fix}"] if rule.fix else []
        markdown = [escaped(part) for part in text]
        if rule.sources:
            text.append(f"Sources: {', '.join(rule.sources)}")
            markdown.append(f"Sources: {', '.join(code(source) for source in rule.sources)}")
        address = rule_address(rule.id, self._run.options.docs)
        return {
            "id": rule.id,
            "shortDescription": {"text": safe(rule.statement)},
            "fullDescription": {"text": safe(" ".join(f"{rule.statement} {rule.reading}".split()))},
            "help": {
                "text": "\n".join(safe(" ".join(part.split())) for part in text),
                "markdown": "\n\n".join(markdown),
            },
            "defaultConfiguration": {"level": rule.severity.value},
            # An address has to be absolute; without one, the page can still be found by its name.
            **({"helpUri": _address(address)} if address else {}),
            "properties": {
                "party": rule.party.value,
                "profile": rule.profile.value,
                "scope": rule.scope,
                "sources": [safe(source) for source in rule.sources],
                "page": rule_page(rule.id),
                "tags": ["lifecycle", rule.party.value, rule.profile.value],
            },
        }

    def _result(self, number: int, trace: TraceResult, finding: Finding) -> JsonObject:
        rule = rule_of(finding, self._spec)
        print = fingerprint(finding, self._spec)
        self._seen[print] = self._seen.get(print, 0) + 1
        told = notes(finding, trace, self._spec)
        flow, told_of_flow = self._flow(number, trace, finding)
        where = self._place(number, trace, finding.event or _last(finding, self._spec))
        message = f"{headline(finding, rule).rstrip('.')} ({object_text(finding.object)})"
        if finding.event is None:
            message += " at the end of the trace"
        required = requirement(finding, rule)
        more = [f"requires {required}"] if required else []
        more += told + told_of_flow
        more += [f"help: {line}" for line in (rule.fix, finding.repair) if line]
        related = self._related(number, trace, finding, where)
        known: JsonObject = {"baselineState": "new"} if self._run.known is not None else {}
        return {
            "ruleId": rule.id,
            "ruleIndex": self._rules[rule.id],
            "level": rule.severity.value,
            "kind": "fail",
            "message": _message("\n".join([f"{message}.", *more])),
            "locations": [
                {
                    **where,
                    "logicalLocations": [_logical(finding.object, finding.parent)],
                    "properties": _facts(finding.event),
                }
            ],
            **({"codeFlows": [flow]} if flow else {}),
            **({"relatedLocations": related} if related else {}),
            "occurrenceCount": finding.repeats + 1,
            "partialFingerprints": {
                "kmclcheck/v1": print,
                # The name that GitHub looks at; findings alike in one run have to stay apart.
                "primaryLocationLineHash": f"{print}:{self._seen[print]}",
            },
            **known,
        }

    def _flow(self, number: int, trace: TraceResult, finding: Finding) -> tuple[JsonObject | None, list[str]]:
        """Return the events that lead to the finding, and what to say about those left out."""
        told = steps(finding, self._spec)
        room = min(STEPS, self._room)
        kept = told[-room:] if room else []
        left = len(told) - len(kept)
        said = [f"{plural(left, 'earlier step')} left out, for the size of this file"] if left else []
        if not kept:
            return None, said
        self._room -= len(kept)
        locations: list[Json] = []
        for event, change in kept:
            text = event_text(event, self._spec) + (f": {change}" if change else "")
            place = self._place(number, trace, event)
            locations.append({"location": {**place, "message": _message(text)}})
        return {"threadFlows": [{"locations": locations}]}, said

    def _related(
        self, number: int, trace: TraceResult, finding: Finding, where: JsonObject
    ) -> list[JsonObject]:
        found: list[JsonObject] = []
        if (call := finding.hung_call) is not None:
            place = self._place(number, trace, call)
            found.append({**place, "message": _message(f"{call.name} never returned")})
        for holder in finding.holders[:_HOLDERS]:
            logical: list[Json] = [_logical(holder, None)]
            text = _message(f"held by {object_text(holder)}")
            found.append({**where, "logicalLocations": logical, "message": text})
        return [{"id": at, **one} for at, one in enumerate(found, 1)]

    def _place(self, number: int, trace: TraceResult, event: Event | None) -> JsonObject:
        """Return where an event stands. Lines are records where a format has no lines.

        There is no ``charOffset``: events know the byte at which they begin, and a byte is no
        character.
        """
        line = event.line if event is not None else 0
        return {
            "physicalLocation": {
                "artifactLocation": {"uri": _uri(path_text(trace.path)), "index": number},
                "region": {"startLine": max(line, 1)},
            }
        }

    def _notifications(self) -> list[JsonObject]:
        run = self._run
        found: list[JsonObject] = [_notification("error", f.message) for f in run.failures]
        if run.interrupted:
            found.append(_notification("error", "interrupted: not everything was checked"))
        for number, trace in enumerate(run.traces):
            artifact: JsonObject = {"uri": _uri(path_text(trace.path)), "index": number}
            place: JsonObject = {"locations": [{"physicalLocation": {"artifactLocation": artifact}}]}
            for text in remarks(trace, _PROBLEMS):
                found.append(_notification("warning", text) | place)
            for verdict in sorted(trace.verdicts, key=lambda v: v.rule):
                if verdict.kind.value == "open":
                    text = f"open: {verdict.reason or 'no reason given'} ({plural(verdict.open, 'place')})"
                    rule: JsonObject = {"id": verdict.rule, "index": self._rules[verdict.rule]}
                    found.append(_notification("note", text) | place | {"associatedRule": rule})
        if self._cut:
            text = (
                f"{plural(self._cut, 'result')} left out: services keep {RESULTS:,}, the most severe are here"
            )
            found.append(_notification("note", text))
        if run.known is not None and run.known.hidden:
            found.append(_notification("note", f"{plural(run.known.hidden, 'known finding')} not shown"))
        if gone := gone_line(run):
            found.append(_notification("note", gone))
        return found


def _notification(level: str, text: str) -> JsonObject:
    return {"level": level, "message": _message(text)}


def _last(finding: Finding, spec: Spec) -> Event | None:
    """Return the last event that a finding at the end of a trace shows."""
    told = steps(finding, spec)
    return told[-1][0] if told else finding.hung_call


def _logical(ref: ObjectRef, parent: ObjectRef | None) -> JsonObject:
    name = safe(object_text(ref))
    full = f"{safe(object_text(parent))}/{name}" if parent is not None else name
    return {"name": name, "fullyQualifiedName": full, "kind": "object"}


def _facts(event: Event | None) -> JsonObject:
    """Return what is known of the event besides its line."""
    if event is None:
        return {"atEnd": True}
    thread = thread_text(event)
    facts = {"byteOffset": event.offset, "seq": event.seq, "time": event.time, "irql": event.irql}
    return {
        **{name: fact for name, fact in facts.items() if fact is not None},
        **({"thread": thread} if thread is not None else {}),
    }


def _message(text: str) -> JsonObject:
    """Return a message in which nothing is a placeholder or a link."""
    shown = "\n".join(safe(line) for line in text.split("\n"))
    if len(shown) > _TEXT:
        shown = f"{shown[:_TEXT]}... ({len(shown) - _TEXT:,} more characters)"
    if re.search(r"\{\d+\}", shown):
        shown = shown.replace("{", "{{").replace("}", "}}")
    if "](" in shown:
        shown = shown.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    return {"text": shown}


def _uri(path: str) -> str:
    """Return a path as a reference that any reader of addresses takes for the same path."""
    escaped = quote(path.encode("utf-8", "surrogatepass"), safe="/")
    if _DRIVE.match(path):
        return f"file:///{path[0]}:{escaped[4:]}"
    return f"file://{escaped}" if path.startswith("/") else escaped


def _address(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="/:?#[]@!$&'()*+,;=%-._~")


register(SarifRenderer())
