"""The bundled specification against the catalogue it was written from, entry by entry.

The catalogue is kept beside the checkout, not in it; without it there is nothing to compare with.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kmclcheck.model.spec import EventDecl, Param, Profile, Rule, Spec
from kmclcheck.speclang import bundled_spec

yaml = pytest.importorskip("yaml", reason="PyYAML is needed to read the reference")

REFERENCE = Path(__file__).resolve().parents[2].parent / "shared" / "reference"

pytestmark = pytest.mark.skipif(
    not (REFERENCE / "kmcl-rules.yaml").is_file(),
    reason="the reference files are not beside this checkout (../shared/reference)",
)


@cache
def _load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((REFERENCE / name).read_text(encoding="utf-8"))
    return document


def _entries() -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in _load("kmcl-api.yaml")["entries"]}


def _rules() -> dict[str, dict[str, Any]]:
    document = _load("kmcl-rules.yaml")
    return {rule["id"]: rule for rule in [*document["rules"], *document["ring_rules"]]}


def _of_profile(profile: str) -> set[str]:
    return {rule_id for rule_id, rule in _rules().items() if rule["profile"] == profile}


RECORDS = {
    "etw:1": "EtwPacketFetched",
    "etw:2": "EtwPacketPut",
    "etw:3": "EtwFetchRoundEnded",
    "etw:4": "EtwQuotaMet",
    "etw:5": "EtwCycleLimitExceeded",
}
"""The reference knows records of the library by their numbers."""


@pytest.fixture(scope="module")
def spec() -> Spec:
    return bundled_spec()


def _signature(param: Param) -> tuple[str, str, str, str, bool]:
    return param.name, param.type, param.direction.value, param.kind or "none", param.optional


def _facts(rule: Rule) -> dict[str, object]:
    return {
        "statement": rule.statement,
        "party": rule.party.value,
        "severity": rule.severity.value,
        "profile": rule.profile.value,
        "consequence": rule.consequence,
        "fix": rule.fix,
        "source": list(rule.sources),
        "implied_by": list(rule.implied_by),
    }


def test_every_name_of_the_api_is_declared_and_no_other(spec: Spec) -> None:
    published = {name for name, event in spec.events.items() if not event.record}
    assert published == set(_entries())


def test_kind_role_interface_and_sources_agree(spec: Spec) -> None:
    def facts(event: EventDecl) -> tuple[object, ...]:
        kind = "callback" if event.callback else "function"
        return kind, event.documented, event.role, event.interface, list(event.sources)

    declared = {name: facts(spec.events[name]) for name in _entries()}
    expected = {
        name: (entry["kind"], entry["documented"], entry["role"], entry["interface"], entry["source"])
        for name, entry in _entries().items()
    }
    assert declared == expected


def test_parameters_of_documented_names_agree(spec: Spec) -> None:
    documented = {name: entry for name, entry in _entries().items() if entry["documented"]}
    declared = {
        name: [_signature(p) for p in spec.events[name].params if not p.extra and p.name != "Return"]
        for name in documented
    }
    expected = {
        name: [(p["name"], p["type"], p["dir"], p["handle"], p["optional"]) for p in entry["params"]]
        for name, entry in documented.items()
    }
    assert declared == expected


def test_return_types_of_documented_names_agree(spec: Spec) -> None:
    documented = {name: entry["returns"] for name, entry in _entries().items() if entry["documented"]}
    assert {name: spec.events[name].returns for name in documented} == documented


def test_values_behind_pointers_do_not_hide_parameters(spec: Spec) -> None:
    for event in spec.events.values():
        names = [p.name for p in event.params]
        assert len(names) == len(set(names)), event.name


def test_every_core_rule_is_there(spec: Spec) -> None:
    core = {rule.id for rule in spec.rules.values() if rule.profile is Profile.CORE}
    assert core == _of_profile("core")
    assert len(core) == 86 + 2


def test_records_are_those_of_the_reference(spec: Spec) -> None:
    assert {name for name, event in spec.events.items() if event.record} == set(RECORDS.values())


def test_every_extended_rule_is_there_or_planned(spec: Spec) -> None:
    written = {rule.id for rule in spec.rules.values() if rule.profile is Profile.EXTENDED}
    planned = set(re.findall(r"[a-z]+(?:-[a-z]+)+", spec.sources["specs/kmcl/59-planned.kmcl"]))
    assert written == {"etw-fetched-within-max"}
    assert _of_profile("extended") - written <= planned
    assert written.isdisjoint(planned)


def test_rules_are_those_of_the_reference(spec: Spec) -> None:
    reference = _rules()
    assert set(spec.rules) <= set(reference)
    declared = {rule.id: _facts(rule) for rule in spec.rules.values()}
    expected = {
        rule_id: {key: reference[rule_id][key] for key in facts} for rule_id, facts in declared.items()
    }
    assert declared == expected


def test_rules_are_checked_at_the_events_of_the_reference(spec: Spec) -> None:
    """Obligations at the end are left out: the reference names the events that create them."""
    reference = _rules()
    for rule in spec.rules.values():
        if any(check.event is None for check in rule.checks):
            continue
        named = {check.event[0] for check in rule.checks if check.event is not None}
        assert named == {RECORDS.get(name, name) for name in reference[rule.id]["events"]}, rule.id


def test_names_in_implied_by_and_yields_to_are_rules_of_the_reference(spec: Spec) -> None:
    reference = set(_rules())
    for rule in spec.rules.values():
        assert {*rule.implied_by, *rule.yields_to} <= reference, rule.id


def test_no_error_yields_to_a_warning(spec: Spec) -> None:
    severity = {rule_id: entry["severity"] for rule_id, entry in _rules().items()}
    for rule in spec.rules.values():
        if rule.severity.value == "error":
            assert {severity[other] for other in rule.yields_to} <= {"error"}, rule.id
