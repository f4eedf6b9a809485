"""Reviews: written pending, submitted by id, refused as a whole, found again by reading."""

from __future__ import annotations

import pytest

from reviewbot.errors import GitHubRefused
from reviewbot.github import reviews
from reviewbot.github.client import Client
from reviewbot.github.models import DraftComment, Reaction
from tests.github.scripted import Answer, ScriptedGitHub

REVIEWS = "/repos/octo/spoon/pulls/3/reviews"
REVIEW = {
    "id": 80,
    "body": "<!-- marker -->",
    "state": "PENDING",
    "html_url": "https://github.com/octo/spoon/pull/3#pullrequestreview-80",
    "user": {"login": "reviewbot[bot]", "id": 9, "type": "Bot"},
    "commit_id": "a" * 40,
}


async def test_a_pending_review_names_its_commit_and_has_no_event(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("POST", REVIEWS, Answer(REVIEW))
    comments = [
        DraftComment(path="a.py", body="one", line=4, side="RIGHT"),
        DraftComment(path="b.py", body="two", line=9, side="LEFT", start_line=7, start_side="LEFT"),
    ]
    review = await reviews.create_pending(client, "octo/spoon", 3, commit_id="a" * 40, body="B", comments=comments)
    assert (review.id, review.state, review.user and review.user.type) == (80, "PENDING", "Bot")
    assert fake.requests("POST", REVIEWS)[0].json == {
        "commit_id": "a" * 40,
        "body": "B",
        "comments": [
            {"path": "a.py", "body": "one", "line": 4, "side": "RIGHT"},
            {"path": "b.py", "body": "two", "line": 9, "side": "LEFT", "start_line": 7, "start_side": "LEFT"},
        ],
    }


@pytest.mark.parametrize(
    "errors",
    [
        ["User can only have one pending review per pull request"],
        ["Pull request review thread line must be part of the diff"],
    ],
)
async def test_a_refused_review_says_why(fake: ScriptedGitHub, client: Client, errors: list[str]) -> None:
    fake.script("POST", REVIEWS, Answer({"message": "Unprocessable Entity", "errors": errors}, status=422))
    with pytest.raises(GitHubRefused) as caught:
        await reviews.create_pending(client, "octo/spoon", 3, commit_id="a", body="B", comments=[])
    assert (caught.value.status, caught.value.errors) == (422, tuple(errors))


async def test_a_pending_review_is_submitted_read_and_deleted_by_its_id(fake: ScriptedGitHub, client: Client) -> None:
    submitted = {**REVIEW, "state": "COMMENTED", "submitted_at": "2026-11-01T10:00:00Z"}
    fake.script("POST", REVIEWS + "/80/events", Answer(submitted))
    fake.script("GET", REVIEWS + "/80", Answer(submitted))
    fake.script("DELETE", REVIEWS + "/80", Answer(REVIEW))
    assert (await reviews.submit(client, "octo/spoon", 3, 80)).state == "COMMENTED"
    assert fake.seen[-1].json == {"event": "COMMENT"}
    assert (await reviews.get_review(client, "octo/spoon", 3, 80)).submitted_at is not None
    await reviews.delete_pending(client, "octo/spoon", 3, 80)
    assert fake.seen[-1].method == "DELETE"


async def test_reviews_and_their_comments_are_listed_with_what_deleted_accounts_leave(
    fake: ScriptedGitHub, client: Client
) -> None:
    fake.script("GET", REVIEWS + "?per_page=100", Answer([{**REVIEW, "user": None, "commit_id": None}]))
    comment = {"id": 5, "path": "a.py", "body": "b", "html_url": "h", "user": None, "line": None, "side": "RIGHT"}
    fake.script("GET", REVIEWS + "/80/comments?per_page=100", Answer([comment, {**comment, "id": 6, "line": 4}]))
    (review,) = await reviews.list_reviews(client, "octo/spoon", 3)
    assert (review.user, review.commit_id) == (None, None)
    listed = await reviews.list_review_comments(client, "octo/spoon", 3, 80)
    assert [(comment.id, comment.line) for comment in listed] == [(5, None), (6, 4)]


async def test_a_comment_and_a_reaction_are_made(fake: ScriptedGitHub, client: Client) -> None:
    fake.script("POST", "/repos/octo/spoon/issues/3/comments", Answer({"id": 1, "html_url": "h"}, status=201))
    assert (await reviews.comment_on_issue(client, "octo/spoon", 3, "hello")).id == 1
    assert fake.seen[-1].json == {"body": "hello"}
    for kind in ("issues", "pulls"):
        target = f"/repos/octo/spoon/{kind}/comments/1/reactions"
        fake.script("POST", target, Answer({"id": 2, "content": "eyes"}, status=201))
    assert await reviews.react(client, "octo/spoon", 1, "eyes") == Reaction(2, "eyes")
    assert await reviews.react(client, "octo/spoon", 1, "eyes", to="pulls") == Reaction(2, "eyes")
    assert fake.seen[-1].json == {"content": "eyes"}
