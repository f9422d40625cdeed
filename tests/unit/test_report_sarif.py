"""SARIF: the shape of the standard, what each part says, and the limits of services."""

from __future__ import annotations

import copy
import io
import json
from dataclasses import replace
from typing import Any

import pytest

from kmclcheck.model.event import Phase
from kmclcheck.model.finding import Finding, ObjectRef, Slice
from kmclcheck.report import InputFailure, Known, ReportOptions, RunResult, fingerprint, get_renderer
from kmclcheck.report.formats import sarif
from tests.support.sarif import problems
from tests.unit.report_samples import event, make_end_finding, make_finding, make_run, make_spec, make_trace

SPEC = make_spec()


def log_of(run: RunResult) -> Any:
    stream = io.StringIO()
    get_renderer("sarif").render(run, SPEC, stream)
    return json.loads(stream.getvalue())


def one(finding: Finding) -> Any:
    trace = make_trace()
    trace.findings = [finding]
    return log_of(make_run(trace))["runs"][0]["results"][0]


def test_every_kind_of_run_has_the_shape_of_the_standard() -> None:
    failure = InputFailure("gone.kmtrace", "no such file")
    clean = make_trace()
    clean.findings = []
    runs = [
        make_run(),
        make_run(clean),
        replace(make_run(failures=(failure,)), traces=[], interrupted=True),
        replace(make_run(), known=Known(1), options=ReportOptions(docs="https://docs.test/kmcl/")),
    ]
    for run in runs:
        assert problems(log_of(run)) == []


def test_the_shape_is_really_looked_at() -> None:
    log = log_of(make_run())
    result = log["runs"][0]["results"][0]
    place = result["locations"][0]["physicalLocation"]
    for damage, text in (
        (lambda r, p: r.update(rules=1), "has no such property"),
        (lambda r, p: r.pop("message"), "message is missing"),
        (lambda r, p: r.update(level="fatal"), "is none of"),
        (lambda r, p: r.update(kind="bad"), "is none of"),
        (lambda r, p: p["region"].update(startLine=0), "of another kind"),
        (lambda r, p: p["artifactLocation"].update(uri="a b"), "is no address"),
        (lambda r, p: r["codeFlows"][0].update(threadFlows=[]), "empty"),
    ):
        kept = copy.deepcopy(log)
        result = kept["runs"][0]["results"][0]
        place = result["locations"][0]["physicalLocation"]
        damage(result, place)
        assert any(text in problem for problem in problems(kept)), text


def test_a_result_tells_place_object_and_steps() -> None:
    result = one(make_finding())
    (location,) = result["locations"]
    assert location["physicalLocation"]["region"] == {"startLine": 1042}
    assert location["logicalLocations"][0]["name"] == "channel 0xffffbc8012340000"
    # Events know the byte they begin at; no region may take that for a character.
    assert location["properties"]["byteOffset"] == 1042 * 40
    steps = result["codeFlows"][0]["threadFlows"][0]["locations"]
    lines = [step["location"]["physicalLocation"]["region"]["startLine"] for step in steps]
    assert lines == [998, 1001, 1003, 1042]
    assert steps[1]["location"]["message"]["text"] == "VmbChannelEnable: life: Disabled -> Enabled"
    assert result["occurrenceCount"] == 3
    assert "baselineState" not in result


def test_a_finding_at_the_end_points_at_the_last_event_of_its_object() -> None:
    result = one(make_end_finding())
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 600}
    assert "at the end of the trace" in result["message"]["text"]
    hung, *holders = result["relatedLocations"]
    assert hung["physicalLocation"]["region"] == {"startLine": 700}
    assert hung["message"]["text"] == "VmbChannelDisable never returned"
    assert [h["logicalLocations"][0]["name"] for h in holders] == [f"channel {n:#x}" for n in range(48, 53)]
    assert [r["id"] for r in result["relatedLocations"]] == [1, 2, 3, 4, 5, 6]


def test_rules_are_complete_and_results_point_at_them() -> None:
    run = log_of(replace(make_run(), options=ReportOptions(docs="https://docs.test/kmcl")))["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted(SPEC.rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    quiet = rules[3]
    assert quiet["helpUri"] == "https://docs.test/kmcl/rules/channel-quiet.html"
    assert quiet["defaultConfiguration"] == {"level": "warning"}
    assert quiet["properties"]["party"] == "library"
    # Without an address of the documentation there is no link that leads nowhere.
    assert all("helpUri" not in rule for rule in log_of(make_run())["runs"][0]["tool"]["driver"]["rules"])


def test_findings_alike_keep_their_fingerprint_and_stay_apart() -> None:
    first, second = make_finding(), make_finding()
    second.object = ObjectRef("channel", 0x77, 1)
    trace = make_trace()
    trace.findings = [first, second]
    prints = [r["partialFingerprints"] for r in log_of(make_run(trace))["runs"][0]["results"]]
    assert {p["kmclcheck/v1"] for p in prints} == {fingerprint(first, SPEC)}
    assert len({p["primaryLocationLineHash"] for p in prints}) == 2


def test_failures_problems_and_open_rules_are_notifications() -> None:
    run = make_run(failures=(InputFailure("gone.kmtrace", "gone.kmtrace: no such file"),))
    (invocation,) = log_of(run)["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False
    told = [(n["level"], n["message"]["text"]) for n in invocation["toolExecutionNotifications"]]
    assert ("error", "gone.kmtrace: no such file") in told
    assert ("warning", "3 events lost") in told
    assert ("note", "open: no IRQL in the trace (4 places)") in told
    assert log_of(make_run())["runs"][0]["invocations"][0]["executionSuccessful"] is True


def test_new_findings_are_marked_where_there_is_a_baseline() -> None:
    log = log_of(replace(make_run(), known=Known(7)))["runs"][0]
    assert {result["baselineState"] for result in log["results"]} == {"new"}
    told = [n["message"]["text"] for n in log["invocations"][0]["toolExecutionNotifications"]]
    assert "7 known findings not shown" in told


def test_the_most_severe_results_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "RESULTS", 3)
    trace = make_trace()
    warning = replace(make_end_finding(), event=event(1, "VmbChannelEnable"))
    trace.findings = [warning, warning, make_finding(), make_finding()]
    log = log_of(make_run(trace))["runs"][0]
    assert [result["level"] for result in log["results"]] == ["error", "error", "warning"]
    told = [n["message"]["text"] for n in log["invocations"][0]["toolExecutionNotifications"]]
    assert any(text.startswith("1 result left out") for text in told)


def test_the_last_steps_are_kept_and_the_others_told() -> None:
    finding = make_finding()
    events = tuple(event(n, "VmbChannelEnable", Phase.CALL) for n in range(1, 1500))
    finding.slice = Slice(events, replayed=True, reduced=False)
    result = one(finding)
    steps = result["codeFlows"][0]["threadFlows"][0]["locations"]
    assert len(steps) == 1000
    assert steps[-1]["location"]["message"]["text"] == "VmbChannelCleanup"
    assert "500 earlier steps left out" in result["message"]["text"]


def test_a_log_of_many_findings_is_small() -> None:
    finding = make_finding()
    events = tuple(event(n, "VmbChannelPacketComplete") for n in range(200))
    finding.slice = Slice(events, replayed=True, reduced=False)
    trace = make_trace()
    trace.findings = [finding] * 1000
    stream = io.StringIO()
    get_renderer("sarif").render(make_run(trace), SPEC, stream)
    assert len(stream.getvalue()) < 10_000_000
    results = json.loads(stream.getvalue())["runs"][0]["results"]
    assert len(results) == 1000
    assert "left out" in results[-1]["message"]["text"]


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("a b.kmtrace", "a%20b.kmtrace"),
        ("/tmp/x.kmtrace", "file:///tmp/x.kmtrace"),
        ("C:/x y.etl", "file:///C:/x%20y.etl"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
        ("\u202e\ud800%41", "%E2%80%AE%ED%A0%80%2541"),
    ],
)
def test_paths_become_addresses(path: str, uri: str) -> None:
    trace = make_trace(path)
    run = log_of(make_run(trace))["runs"][0]
    assert run["artifacts"][0]["location"]["uri"] == uri


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see [here](http://x)", "see \\[here\\](http://x)"),
        ("{0} of {1}", "{{0}} of {{1}}"),
        ("a{b} [c]", "a{b} [c]"),
    ],
)
def test_nothing_in_a_message_is_a_link_or_a_placeholder(text: str, shown: str) -> None:
    finding = make_finding()
    finding.actual = text
    assert one(finding)["message"]["text"].startswith(f"{shown} (channel")
