"""Findings are arranged and placed on a diff, and the schema asks for exactly what is read."""

from typing import Any

import msgspec
import pytest

from reviewbot.answers import parse_answer
from reviewbot.diff.model import Anchor, FileDiff
from reviewbot.diff.parse import parse
from reviewbot.findings import SEVERITIES, Finding, answer_schema, arrange, place
from reviewbot.llm.answer_schema import narrowed

DIFF = """\
diff --git a/src/app.py b/src/app.py
index 1111111..2222222 100644
--- a/src/app.py
+++ b/src/app.py
@@ -10,4 +10,5 @@ def main():
 one = 1
-two = 2
+two = compute()
+three = compute()
 four = 4
 five = 5
diff --git a/old.py b/new.py
similarity index 90%
rename from old.py
rename to new.py
index 1111111..2222222 100644
--- a/old.py
+++ b/new.py
@@ -1,2 +1,2 @@
-import os
+import sys
 run()
"""


@pytest.fixture(scope="module")
def files() -> dict[str, FileDiff]:
    return {file.path: file for file in parse(DIFF)}


def finding(**changes: Any) -> Finding:
    return msgspec.structs.replace(Finding(path="src/app.py", title="T", line=11), **changes)


def test_findings_are_told_once_the_most_severe_first_then_by_place() -> None:
    low, late, early, other = (
        finding(severity="low"),
        finding(severity="high", line=30),
        finding(severity="high", line=4),
        finding(severity="high", path="a.py", line=99),
    )
    assert arrange([low, late, early, late, other, low]) == (other, early, late, low)


def test_an_end_that_is_the_beginning_and_a_swapped_range_are_written_one_way() -> None:
    assert arrange([finding(line=11, end_line=11), finding(line=11)]) == (finding(line=11),)
    assert arrange([finding(line=14, end_line=11)]) == (finding(line=11, end_line=14),)
    assert arrange([finding(line=None, end_line=11)]) == (finding(line=11),)


def test_a_finding_gets_the_anchor_of_its_lines(files: dict[str, FileDiff]) -> None:
    (located,) = place([finding(line=11, end_line=12)], files)
    assert located.anchor == Anchor(path="src/app.py", side="RIGHT", line=12, start_line=11)
    assert located.note == ""


def test_a_unique_quote_corrects_a_wrong_line(files: dict[str, FileDiff]) -> None:
    (located,) = place([finding(line=14, quote="three = compute()")], files)
    assert located.anchor == Anchor(path="src/app.py", side="RIGHT", line=12)


@pytest.mark.parametrize("path", ["src/app.py", "./src/app.py", "/src/app.py", "a/src/app.py", "b/src/app.py"])
def test_a_path_is_found_under_its_usual_disguises(files: dict[str, FileDiff], path: str) -> None:
    (located,) = place([finding(path=path)], files)
    assert located.anchor is not None
    assert located.anchor.path == "src/app.py"


def test_the_old_name_of_a_renamed_file_leads_to_the_new_one(files: dict[str, FileDiff]) -> None:
    (located,) = place([finding(path="old.py", line=1)], files)
    assert located.anchor == Anchor(path="new.py", side="RIGHT", line=1)


@pytest.mark.parametrize("path", ["src/other.py", "../src/app.py", "/etc/passwd", "app.py", "a\0b", "SRC/APP.PY"])
def test_a_file_that_is_not_part_of_the_change_leaves_a_note(files: dict[str, FileDiff], path: str) -> None:
    (located,) = place([finding(path=path)], files)
    assert (located.anchor, located.note) == (None, "this file is not part of the change")


def test_a_line_outside_of_the_diff_leaves_the_reason(files: dict[str, FileDiff]) -> None:
    (located,) = place([finding(line=500)], files)
    assert located.anchor is None
    assert "line 500" in located.note


def test_two_findings_that_come_to_say_the_same_at_the_same_place_are_told_once(files: dict[str, FileDiff]) -> None:
    located = place([finding(path="src/app.py"), finding(path="./src/app.py"), finding(path="b/src/app.py")], files)
    assert len(located) == 1


def objects(schema: object) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [found for item in schema for found in objects(item)]
    if not isinstance(schema, dict):
        return []
    here = [schema] if schema.get("type") == "object" else []
    return here + [found for value in schema.values() for found in objects(value)]


def test_the_schema_is_closed_and_requires_every_property() -> None:
    found = objects(answer_schema())
    assert len(found) == 2
    for each in found:
        assert each["additionalProperties"] is False
        assert sorted(each["required"]) == sorted(each["properties"])


def test_the_schema_holds_only_what_every_vendor_takes() -> None:
    assert narrowed(answer_schema()) == answer_schema()
    assert b"$ref" not in msgspec.json.encode(answer_schema())


def test_the_schema_names_exactly_the_fields_of_a_finding() -> None:
    properties = answer_schema()["properties"]["findings"]["items"]["properties"]
    assert set(properties) == set(Finding.__struct_fields__)
    assert set(properties["severity"]["enum"]) == set(SEVERITIES)


def test_an_answer_of_the_schema_is_read_in_full() -> None:
    asked = {
        "path": "a.py", "line": 3, "end_line": 4, "side": "LEFT", "severity": "critical", "category": "security",
        "title": "T", "body": "B", "quote": "q", "suggestion": "s",
    }  # fmt: skip
    parsed = parse_answer(msgspec.json.encode({"summary": "S", "findings": [asked]}).decode(), truncated=False)
    assert msgspec.to_builtins(parsed.findings[0]) == asked
