"""What will be posted: fixed texts, the limit on inline comments, and no credential of ours in any of them."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

import pytest

from reviewbot.diff.files import LeftOut
from reviewbot.diff.model import Anchor, FileDiff
from reviewbot.findings import Finding, Located, Severity
from reviewbot.planning import leaking, make_plan, without
from reviewbot.publisher import Plan
from reviewbot.render import find_marker
from reviewbot.reviewer import Scope, Verdict

JOB = UUID("00000000-0000-4000-8000-000000000001")
HEAD = "a" * 40
SECRET = "sk-live-0123456789abcdef0123456789"


def located(line: int | None, title: str = "Wrong", severity: Severity = "high", **said: Any) -> Located:
    finding = Finding(path="a.py", title=title, severity=severity, line=line, **said)
    anchor = None if line is None else Anchor(path="a.py", side="RIGHT", line=line, start_line=said.get("start"))
    return Located(finding=finding, anchor=anchor, note="" if anchor else "it has no place")


def verdict(*findings: Located, summary: str = "Look.", complete: bool = True, notes: tuple[str, ...] = ()) -> Verdict:
    return Verdict(summary=summary, located=findings, notes=notes, provider="fake", model="fake-1", complete=complete)


def plan(*findings: Located, most: int = 20, secrets: tuple[str, ...] = (), **said: Any) -> Plan:
    file = FileDiff(old_path="a.py", new_path="a.py", status="modified")
    scope = Scope((file,), (file,), (LeftOut("b.lock", "is a lock file"),), ())
    found = verdict(*findings, **said)
    return make_plan(JOB, HEAD, scope, without(found, leaking(found, secrets)), max_findings=most)


def everything(made: Plan) -> str:
    comments = [text for each in made.comments for text in (each.comment.body, each.in_body)]
    return "\n".join((made.body, made.check.title, made.check.summary, made.check.text or "", *comments))


def test_the_plan_carries_the_marker_of_its_job_and_head() -> None:
    made = plan(located(3))
    assert find_marker(made.body) == (JOB, HEAD)
    assert (made.job, made.head_sha) == (JOB, HEAD)


def test_findings_with_a_place_are_inline_and_the_others_stand_in_the_body() -> None:
    made = plan(located(3, "Inline"), located(None, "Loose"))
    (comment,) = made.comments
    assert (comment.comment.path, comment.comment.line, comment.comment.side) == ("a.py", 3, "RIGHT")
    assert "Inline" in comment.comment.body
    assert "Inline" not in made.body
    assert "Loose" in made.body
    assert "it has no place" in made.body


def test_each_inline_comment_knows_how_it_reads_in_the_body() -> None:
    (comment,) = plan(located(3, "Inline")).comments
    assert "Inline" in comment.in_body
    assert "does not take a comment at its place" in comment.in_body


def test_a_range_names_its_first_line_and_its_side_and_a_single_line_neither() -> None:
    anchor = Anchor(path="a.py", side="LEFT", line=9, start_line=7)
    single, ranged = plan(located(3), Located(finding=Finding(path="a.py", title="t"), anchor=anchor)).comments
    assert (single.comment.start_line, single.comment.start_side) == (None, None)
    assert (ranged.comment.start_line, ranged.comment.start_side, ranged.comment.side) == (7, "LEFT", "LEFT")


def test_findings_beyond_the_limit_move_to_the_body_with_the_reason_and_the_first_stay() -> None:
    made = plan(*(located(line, f"Finding {line}") for line in range(1, 6)), located(None, "Loose"), most=2)
    assert [each.comment.line for each in made.comments] == [1, 2]
    assert all(f"Finding {line}" in made.body for line in (3, 4, 5))
    assert made.body.count("beyond the limit of 2 inline comments") == 3


def test_a_finding_without_a_place_takes_no_place_of_the_limit() -> None:
    made = plan(located(None), located(1), located(2), most=2)
    assert len(made.comments) == 2


def test_without_inline_comments_allowed_everything_stands_in_the_body() -> None:
    made = plan(located(1, "First"), most=0)
    assert made.comments == ()
    assert "First" in made.body


@pytest.mark.parametrize(
    ("made", "conclusion"),
    [(plan(), "success"), (plan(complete=False), "neutral"), (plan(located(1, severity="low")), "neutral")],
    ids=["nothing found", "nothing found so far", "something found"],
)
def test_only_a_complete_review_without_findings_is_green(made: Plan, conclusion: str) -> None:
    assert made.conclusion == conclusion


@pytest.mark.parametrize(
    "said",
    [
        f"The key is {SECRET}.",
        base64.b64encode(SECRET.encode()).decode(),
        SECRET.encode().hex(),
    ],
    ids=["in clear", "in base64", "in hex"],
)
@pytest.mark.parametrize("where", ["title", "body", "quote", "suggestion", "category"])
def test_a_finding_that_repeats_a_credential_is_withheld_and_the_rest_is_said(where: str, said: str) -> None:
    told: dict[str, Any] = {"title": "t", where: said}
    bad = Located(finding=Finding(path="a.py", **told), anchor=Anchor(path="a.py", side="RIGHT", line=2))
    made = plan(located(1, "Harmless"), bad, secrets=(SECRET,))
    assert said not in everything(made)
    assert "Harmless" in everything(made)
    assert "1 parts of the answer were withheld" in made.body
    assert made.conclusion == "neutral"


def test_a_summary_that_repeats_a_credential_is_withheld() -> None:
    made = plan(summary=f"Look: {SECRET}", secrets=(SECRET,))
    assert SECRET not in everything(made)
    assert made.conclusion == "neutral"


def test_a_credential_that_is_spread_over_several_findings_withholds_them_all() -> None:
    halves = [located(number, "t", body=half) for number, half in enumerate((SECRET[:17], SECRET[17:]), 1)]
    made = plan(*halves, summary="Look.", secrets=(SECRET,))
    assert SECRET[:17] not in everything(made) or SECRET[17:] not in everything(made)
    assert "withheld" in made.body


def test_without_a_leak_nothing_is_withheld() -> None:
    made = plan(located(1, "Harmless"), secrets=(SECRET,))
    assert "withheld" not in everything(made)
