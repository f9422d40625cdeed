"""The words for events, objects and findings that more than one format uses.

Nothing here is escaped: what shows the text to a person passes it through ``escape.safe``.
"""

from __future__ import annotations

import os

from kmclcheck.model.event import Event, Phase
from kmclcheck.model.finding import Finding, ObjectRef, TraceResult
from kmclcheck.model.spec import Rule, Spec
from kmclcheck.model.words import status_text as status_text
from kmclcheck.model.words import thread_text as thread_text
from kmclcheck.model.words import time_text as time_text


def rule_of(finding: Finding, spec: Spec) -> Rule:
    """Return the rule a finding is about."""
    return spec.rules[finding.rule]


def sorted_findings(trace: TraceResult) -> list[Finding]:
    """Return the findings in the order of the trace, those due at its end last."""

    def key(finding: Finding) -> tuple[bool, int, int, int, str, int, int]:
        event = finding.event
        return (
            event is None,
            event.line if event is not None else 0,
            event.offset if event is not None else 0,
            finding.index,
            finding.rule,
            finding.object.handle,
            finding.object.incarnation,
        )

    return sorted(trace.findings, key=key)


def headline(finding: Finding, rule: Rule) -> str:
    """Return what happened, in one line that stands alone."""
    return " ".join((finding.actual or rule.statement).split("\n"))


def requirement(finding: Finding, rule: Rule) -> str:
    """Return the short form of what was required, or "" if neither the run nor the rule gives it.

    Where the run does not fill in the values that the rule names, their names stand for them.
    """
    return finding.required or rule.requirement.replace("{", "").replace("}", "")


def path_text(path: str) -> str:
    """Return the path in the same form on every system."""
    return path.replace("\\", "/") if os.sep == "\\" else path


def object_text(ref: ObjectRef) -> str:
    """Return such as ``channel 0xffff8012`` or ``packet 0x10 (incarnation 3)``."""
    text = f"{ref.kind} {ref.handle:#x}"
    if ref.incarnation > 1:
        text += f" (incarnation {ref.incarnation})"
    if ref.endpoint:
        text += f" on {ref.endpoint}"
    return text


def event_text(event: Event, spec: Spec) -> str:
    """Return name, ``.ret``/``.out`` for an exit, and the status if there is one."""
    text = event.name
    if event.phase in (Phase.RET, Phase.OUT):
        text += f".{event.phase.value}"
    if event.status is not None:
        text += f" = {status_text(event.status, spec)}"
    return text


def plural(count: int, noun: str) -> str:
    """Return ``1 event``, ``12,408 events``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def record_words(event: Event) -> str:
    """Return a record that an engine found, in a line."""
    words = [f"{event.phase.value:<4}", event.name, f"tid={event.tid:#x}" if event.tid else ""]
    words += [f"{k}={v:#x}" if isinstance(v, int) else f"{k}={v}" for k, v in event.args.items()]
    words.append("" if event.status is None else f"status={event.status:#x}"
                 if isinstance(event.status, int) else f"status={event.status}")  # fmt: skip
    return " ".join(word for word in words if word)
