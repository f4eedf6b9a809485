"""SARIF: held to the official schema, whatever a model says."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from reviewbot.diff.model import Anchor
from reviewbot.findings import SEVERITIES, Finding, Located
from reviewbot.sarif import sarif

TEXT = st.text(st.characters(codec="utf-8"))
SCHEMA = Path(__file__).parent / "samples" / "sarif" / "sarif-2.1.0.json"


@cache
def validator() -> Draft4Validator:
    return Draft4Validator(json.loads(SCHEMA.read_text()))


def as_read(*located: Located, notes: tuple[str, ...] = ()) -> dict[str, Any]:
    """The log as a reader gets it, after the schema has nothing against it."""
    log: dict[str, Any] = json.loads(msgspec.json.encode(sarif(located, notes=notes, version="1.2.3")))
    validator().validate(log)
    return log


def found(path: str = "src/a.py", line: int = 7, **changes: Any) -> Located:
    start_line = changes.pop("start_line", None)
    side = changes.pop("side", "RIGHT")
    said = {"path": path, "title": "Wrong", "body": "Very.", "category": "bug", "severity": "high", **changes}
    finding = Finding(**said)
    return Located(finding=finding, anchor=Anchor(path=path, side=side, line=line, start_line=start_line))


def test_a_finding_is_a_result_with_its_place() -> None:
    (run,) = as_read(found(start_line=5))["runs"]
    (result,) = run["results"]
    assert (result["ruleId"], result["level"], result["message"]["text"]) == ("bug", "error", "Wrong\n\nVery.")
    place = result["locations"][0]["physicalLocation"]
    assert place["region"] == {"startLine": 5, "endLine": 7}
    assert place["artifactLocation"] == {"uri": "src/a.py", "uriBaseId": "%SRCROOT%"}
    assert run["tool"]["driver"] == {"name": "ReviewBot", "version": "1.2.3", "rules": [{"id": "bug"}]}


def test_no_findings_are_a_log_without_results() -> None:
    assert as_read()["runs"][0]["results"] == []


def test_each_severity_has_a_level() -> None:
    located = [found(severity=severity) for severity in SEVERITIES]
    levels = [result["level"] for result in as_read(*located)["runs"][0]["results"]]
    assert levels == ["error", "error", "warning", "note"]


def test_a_removed_line_and_a_finding_without_a_place_have_a_file_but_no_region() -> None:
    nowhere = Located(finding=Finding(path="b.py", title="t"), anchor=None, note="n")
    for result in as_read(found(side="LEFT"), nowhere)["runs"][0]["results"]:
        assert "region" not in result["locations"][0]["physicalLocation"]


def test_what_went_less_well_is_told() -> None:
    (invocation,) = as_read(notes=("2 answers broke off.",))["runs"][0]["invocations"]
    assert invocation["toolExecutionNotifications"] == [
        {"level": "warning", "message": {"text": "2 answers broke off."}}
    ]


@given(
    path=TEXT.filter(bool),
    title=TEXT,
    category=TEXT,
    line=st.integers(1, 10_000_000),
)
def test_any_text_gives_a_valid_log_and_a_path_that_reads_back(path: str, title: str, category: str, line: int) -> None:
    log = as_read(found(path, line, title=title, category=category))
    uri = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote(uri) == path
    assert uri.isascii()
    assert not set(uri) & set(' #?%"<>\\^`{|}') - {"%"}
