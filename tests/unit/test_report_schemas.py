"""The published schemas: in order, strict, and true of what the program writes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from kmclcheck.report import get_renderer
from kmclcheck.report.schemas import schema_names, schema_text
from tests.unit.report_samples import make_run, make_spec

GOLDEN = Path(__file__).parent.parent / "golden" / "report"
NAMES = [
    "kmclcheck.analysis/1",
    "kmclcheck.baseline/1",
    "kmclcheck.coverage/1",
    "kmclcheck.fillings/1",
    "kmclcheck.repair/1",
    "kmclcheck.run-line/1",
    "kmclcheck.run/1",
    "kmclcheck.truth/1",
]


def schema(name: str) -> Any:
    return json.loads(schema_text(name))


def test_every_document_has_a_schema() -> None:
    assert schema_names() == NAMES
    with pytest.raises(KeyError):
        schema_text("kmclcheck.run/2")


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_in_order_and_names_itself(name: str) -> None:
    document = schema(name)
    jsonschema.Draft202012Validator.check_schema(document)
    assert document["title"] == name
    assert document["$id"] == "urn:kmclcheck:schema:" + name.removeprefix("kmclcheck.").replace("/", "-")


def test_goldens_are_as_the_schemas_say() -> None:
    jsonschema.validate(json.loads((GOLDEN / "run.json").read_text()), schema("kmclcheck.run/1"))
    validator = jsonschema.Draft202012Validator(schema("kmclcheck.run-line/1"))
    for line in (GOLDEN / "run.jsonl").read_text().splitlines():
        validator.validate(json.loads(line))


def test_a_line_is_described_as_the_document_is() -> None:
    """What a line holds is a part of the document, so the two schemas must not drift apart."""
    run, lines = schema("kmclcheck.run/1"), schema("kmclcheck.run-line/1")["$defs"]
    for name, kept in (("finding", {"trace"}), ("trace", set())):
        whole = run["$defs"][name]["properties"]
        part = {key: value for key, value in lines[name]["properties"].items() if key not in kept}
        assert part.pop("schema") == {"const": "kmclcheck.run/1"}
        assert part.pop("type") == {"const": name}
        assert part == {key: value for key, value in whole.items() if key not in ("rules", "findings")}
    for name in ("tool", "summary"):
        assert lines["summary"]["properties"][name] == run["properties"][name]
    for name in ("event", "object", "fields"):
        assert lines[name] == run["$defs"][name]


def test_a_line_with_more_or_less_is_refused() -> None:
    stream = io.StringIO()
    get_renderer("jsonl").render(make_run(), make_spec(), stream)
    validator = jsonschema.Draft202012Validator(schema("kmclcheck.run-line/1"))
    for text in stream.getvalue().splitlines():
        line = json.loads(text)
        assert validator.is_valid(line)
        assert not validator.is_valid(line | {"more": 1})
        for key in line:
            # A finding need not have a repair, nothing else may be missing.
            assert not validator.is_valid({k: v for k, v in line.items() if k != key}), key
