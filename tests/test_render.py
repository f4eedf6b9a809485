"""What people read on GitHub says what it should, within limits, whatever a model said."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reviewbot.diff.files import LeftOut
from reviewbot.diff.model import Anchor
from reviewbot.findings import Finding, Located
from reviewbot.markdown import length
from reviewbot.render import (
    MAX_TITLE_LENGTH,
    ReviewText,
    body_entry,
    check_cancelled,
    check_failure,
    check_queued,
    check_reviewed,
    check_skipped,
    find_marker,
    inline_comment,
    marker,
    review_body,
    with_moved,
)

JOB = UUID("6f1c9d3e-1111-4222-8333-944455556666")
HEAD = "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"
GITHUB_LIMIT = 65_536
FINDING = Finding(
    path="src/a.py",
    line=12,
    severity="high",
    category="bug",
    title="The file is never closed",
    body="When `read` raises, the handle stays open.",
    quote="f = open(p)",
    suggestion="with open(p) as f:",
)
PLACED = Located(finding=FINDING, anchor=Anchor(path="src/a.py", side="RIGHT", line=12))
LOOSE = Located(finding=FINDING, anchor=None, note="line 12 is not on the diff")


REVIEW = ReviewText(
    job=JOB,
    head=HEAD,
    findings=(),
    reviewed=("src/a.py",),
    left_out=(LeftOut("package-lock.json", "is a lock file"),),
    provider="openai",
    model="some-model",
    summary="Adds a reader.",
)


def review(findings: Sequence[Located] = (), **changes: Any) -> ReviewText:
    return msgspec.structs.replace(REVIEW, findings=tuple(findings), **changes)


def kinds(markdown: str) -> list[str]:
    return [token.type for token in MarkdownIt("commonmark").parse(markdown)]


def test_the_marker_is_found_again_in_the_first_line_only() -> None:
    assert find_marker(review_body(review())) == (JOB, HEAD)
    assert find_marker(marker(JOB, HEAD) + "\r\nrest") == (JOB, HEAD)
    assert find_marker("text\n" + marker(JOB, HEAD)) is None
    assert find_marker(marker(JOB, HEAD) + " and more") is None
    assert find_marker("") is None


def test_a_marker_for_something_that_is_no_commit_is_refused() -> None:
    with pytest.raises(ValueError, match="no commit id"):
        marker(JOB, "HEAD --> <b>")


def test_a_marker_forged_by_the_model_is_no_marker() -> None:
    forged = marker(UUID(int=7), HEAD)
    body = review_body(review([LOOSE], summary=forged))
    assert find_marker(body) == (JOB, HEAD)
    assert body.count("\n<!--") == 0
    assert find_marker(inline_comment(Finding(path="a", title=forged, body=forged))) is None


def test_a_clean_review_says_what_was_looked_at() -> None:
    assert review_body(review()) == (
        f"<!-- reviewbot:job={JOB} head={HEAD} -->\n\n"
        "### No findings\n\n"
        "Adds a reader.\n\n"
        "<details><summary>1 file reviewed, 1 left out</summary>\n\n"
        "Left out:\n\n- `package-lock.json` is a lock file\n\n"
        "Reviewed:\n\n- `src/a.py`\n\n"
        "</details>\n\n"
        "Commit `2fd4e1c67a2d`, reviewed by openai with some-model."
    )


def test_findings_are_counted_by_severity_and_only_loose_ones_stand_in_the_body() -> None:
    low = Located(finding=Finding(path="b", title="Small", severity="low"), anchor=PLACED.anchor)
    body = review_body(review([PLACED, LOOSE, low]))
    assert "### 3 findings: 2 high, 1 low" in body
    assert body.count("The file is never closed") == 1
    assert "`src/a.py`, line 12 (line 12 is not on the diff)" in body
    assert "Small" not in body


def test_an_incomplete_review_says_so_before_anything_can_be_misread() -> None:
    body = review_body(review(complete=False, notes=("1 of 2 answers broke off.",)))
    assert "No findings" not in body
    assert "> **This review is not complete.**" in body
    assert "> 1 of 2 answers broke off." in body


def test_an_inline_comment_names_severity_title_and_fix() -> None:
    assert inline_comment(FINDING) == (
        "**High** \u00b7 bug\n\n"
        "**The file is never closed**\n\n"
        "When `read` raises, the handle stays open.\n\n"
        "Suggestion:\n\n"
        " ```diff\n -f = open(p)\n +with open(p) as f:\n ```"
    )


def test_no_suggestion_can_be_applied_with_a_click() -> None:
    hostile = Finding(path="a", title="t", body="```suggestion\nx\n```", suggestion="```\n```suggestion\nevil\n```")
    fences = [token for token in MarkdownIt("commonmark").parse(inline_comment(hostile)) if token.type == "fence"]
    assert len(fences) == 2
    assert all(token.info == "" for token in fences)


def test_credentials_are_redacted_everywhere() -> None:
    token = "gh" + "p_" + "a1B2" * 9
    finding = Finding(path="a", title=token, body=token, quote=token, suggestion=token, category=token)
    said = review(
        [Located(finding=finding, anchor=None, note=token)], summary=token, notes=(token,), model=token, provider=token
    )
    texts = [
        review_body(said),
        inline_comment(finding),
        check_failure(token, "job").summary,
        check_skipped(token).title,
    ]
    texts += [str(check_reviewed(said)[1]), str(check_skipped(token)), str(check_cancelled(token))]
    assert not [text for text in texts if token in text]


def test_moved_findings_stand_above_the_coverage_under_one_heading() -> None:
    entry = body_entry(FINDING, "GitHub took no comment there")
    for before in (review_body(review([PLACED])), review_body(review([LOOSE]))):
        body = with_moved(before, [entry, entry])
        assert body.count("#### Findings without a place on the diff") == 1
        assert body.index(entry) < body.index("<details>")
        assert find_marker(body) == (JOB, HEAD)
        assert with_moved(before, []) == before


def test_too_many_findings_are_cut_between_blocks_with_their_number() -> None:
    long = Finding(path="a.py", title="T" * 200, body="word @user " * 400, suggestion="```\n" * 500)
    body = review_body(review([Located(finding=long, anchor=None)] * 20))
    shown = body.count("T" * 200)
    assert 0 < shown < 20
    assert f"{20 - shown} more findings not shown here" in body
    assert length(body) <= GITHUB_LIMIT
    assert body.endswith("with some-model.")
    assert kinds(body)[-3:] == ["paragraph_open", "inline", "paragraph_close"]
    again = with_moved(body, [body_entry(long)] * 20)
    assert "20 more findings not shown here" in again
    assert length(again) <= GITHUB_LIMIT


def test_an_endless_path_hides_no_other_finding() -> None:
    endless = Located(finding=Finding(path="x" * 100_000, title="Endless", severity="critical"), anchor=None)
    body = review_body(review([endless, LOOSE]))
    assert "Endless" in body
    assert "The file is never closed" in body


def test_a_review_of_thousands_of_files_stays_within_the_limit() -> None:
    paths = tuple(f"{'d' * 50}/{number}\u200b`.py" for number in range(3000))
    left = tuple(LeftOut(path, "is generated") for path in paths)
    body = review_body(review(reviewed=paths, left_out=left, notes=("note " * 100,) * 50))
    assert length(body) <= GITHUB_LIMIT
    assert "3000 files reviewed, 3000 left out" in body
    assert body.count("more\n") >= 2


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=60), st.text(max_size=300), st.text(max_size=60), st.integers(1, 40))
def test_whatever_a_model_says_the_frame_stays_whole(title: str, body: str, code: str, repeat: int) -> None:
    finding = Finding(path=code or "a", title=title, body=body * repeat, suggestion=code * repeat, quote=code)
    said = review([Located(finding=finding, anchor=None, note=title)], summary=body * repeat)
    written = review_body(said)
    assert length(written) <= GITHUB_LIMIT
    tokens = MarkdownIt("commonmark").parse(written)
    html = [token.content.strip() for token in tokens if token.type == "html_block"]
    assert html == [marker(JOB, HEAD), "<details><summary>1 file reviewed, 1 left out</summary>", "</details>"]
    assert length(inline_comment(finding)) <= GITHUB_LIMIT
    conclusion, output = check_reviewed(said)
    assert conclusion == "neutral"
    assert max(length(output.summary), length(output.text or "")) < GITHUB_LIMIT


@pytest.mark.parametrize(
    ("findings", "complete", "conclusion", "title"),
    [
        ((), True, "success", "No findings"),
        ((PLACED,), True, "neutral", "1 finding: 1 high"),
        ((), False, "neutral", "Nothing found so far"),
        ((LOOSE,), False, "neutral", "1 finding: 1 high"),
    ],
)
def test_only_a_complete_review_without_findings_is_green(
    findings: tuple[Located, ...], complete: bool, conclusion: str, title: str
) -> None:
    given_conclusion, output = check_reviewed(review(findings, complete=complete))
    assert (given_conclusion, output.title) == (conclusion, title)
    assert ("not complete" in output.summary) is not complete


def test_the_check_run_lists_the_findings_and_the_coverage() -> None:
    _, output = check_reviewed(review([PLACED]))
    assert output.text is not None
    assert "- **High** \u00b7 `src/a.py`, line 12: The file is never closed" in output.text
    assert "1 file reviewed, 1 left out" in output.text


def test_every_other_ending_has_a_sentence_for_people() -> None:
    failed = check_failure("The model's key was refused. Set a valid OPENAI_API_KEY.", str(JOB))
    assert failed.title == "The review failed"
    assert failed.summary.startswith("The model's key was refused. Set a valid OPENAI_API_KEY.")
    assert f"`{JOB}`" in failed.summary
    assert "A newer push" in check_cancelled("A newer push.").summary
    assert check_skipped("the pull request is a draft").title == "Not reviewed: the pull request is a draft"
    assert check_queued().title


@pytest.mark.parametrize("reason", ["x" * 2000, "\U0001f600" * 2000, "\u202e" * 500, "a\nb"])
def test_a_title_fits_in_one_line(reason: str) -> None:
    title = check_skipped(reason).title
    assert length(title) <= MAX_TITLE_LENGTH
    assert "\n" not in title
    assert "\u202e" not in title
