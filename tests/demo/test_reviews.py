"""Reviews of the stand-in: whole or not at all, pending until submitted, one pending for each user."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.demo.hub import REPO, Commits, Hub

REVIEWS = f"/repos/{REPO}/pulls/1/reviews"
OUTSIDE = (
    "Pull request review thread line must be part of the diff and Pull request review thread diff hunk can't be blank"
)
APART = "Pull request review thread start line must be part of the same hunk as the line."


def remark(**place: Any) -> dict[str, Any]:
    return {"path": "src/app.py", "body": "Why?", **place}


async def create(hub: Hub, *comments: dict[str, Any], **fields: Any) -> Any:
    reply = await hub.call("POST", REVIEWS, json={"comments": list(comments), **fields})
    assert reply.status == 200, reply
    return reply.json


async def refused(hub: Hub, **body: Any) -> list[str]:
    reply = await hub.call("POST", REVIEWS, json=body)
    assert reply.status == 422, reply
    assert (await hub.get(REVIEWS)) == [], "a refused review leaves nothing behind"
    return list(reply.json["errors"])


async def test_a_review_without_an_event_stays_pending_until_it_is_submitted(hub: Hub, commits: Commits) -> None:
    await hub.open()
    review = await create(hub, remark(line=5), body="Hello", commit_id=commits.head)
    assert (review["state"], "submitted_at" in review) == ("PENDING", False)
    assert await hub.get(f"/repos/{REPO}/pulls/1/comments") == []
    assert len(await hub.get(f"{REVIEWS}/{review['id']}/comments")) == 1
    reply = await hub.call("POST", f"{REVIEWS}/{review['id']}/events", json={"event": "COMMENT"})
    assert (reply.status, reply.json["state"], reply.json["body"]) == (200, "COMMENTED", "Hello")
    (comment,) = await hub.get(f"/repos/{REPO}/pulls/1/comments")
    assert (comment["line"], comment["side"], comment["position"]) == (5, "RIGHT", 5)
    assert comment["diff_hunk"].endswith("-line 5\n+line five")
    reply = await hub.call("POST", f"{REVIEWS}/{review['id']}/events", json={"event": "COMMENT"})
    assert reply.json["errors"] == ["Can only submit a pending pull request review"]


async def test_a_second_pending_review_is_refused_with_422(hub: Hub) -> None:
    await hub.open()
    await create(hub)
    reply = await hub.call("POST", REVIEWS, json={"body": "again"})
    assert (reply.status, reply.json["message"]) == (422, "Unprocessable Entity")
    assert reply.json["errors"] == ["User can only have one pending review per pull request"]


async def test_of_many_pending_reviews_at_once_one_is_made(hub: Hub, commits: Commits) -> None:
    await hub.open("later")
    hub.token = await hub.new_token()
    # An earlier commit makes each request wait for git between looking for a pending review and making one.
    bodies = [{"body": str(number), "commit_id": commits.head} for number in range(4)]
    replies = await asyncio.gather(*(hub.call("POST", REVIEWS, json=body) for body in bodies))
    assert sorted(reply.status for reply in replies) == [200, 422, 422, 422]
    assert len(hub.standin.reviews(REPO, 1)) == 1


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ({"line": 20}, OUTSIDE),
        ({"line": 41, "side": "LEFT"}, OUTSIDE),
        ({}, OUTSIDE),
        ({"path": "absent.py", "line": 1}, "Path could not be resolved"),
        ({"path": "logo.png", "line": 1}, OUTSIDE),
        ({"line": 5, "start_line": 5}, "Pull request review thread start line must precede the end line."),
        ({"line": 5, "start_line": 6}, "Pull request review thread start line must precede the end line."),
        ({"line": 30, "start_line": 5}, APART),
        ({"position": 99}, "Position could not be resolved"),
        ({"line": 5, "body": " "}, "Pull request review thread body can't be blank"),
        ({"line": 5, "body": "x" * 65_537}, "body is too long (maximum is 65536 characters)"),
    ],
)  # fmt: skip
async def test_one_comment_without_a_place_loses_the_whole_review(hub: Hub, place: dict[str, Any], error: str) -> None:
    await hub.open()
    assert await refused(hub, comments=[remark(line=5), remark(**place)]) == [error]
    assert hub.standin.comments(REPO, 1) == []


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ({"line": 5}, "+line five"),
        ({"line": 8}, " line 7"),
        ({"line": 5, "side": "LEFT"}, "-line 5"),
        ({"line": 30, "side": "LEFT"}, "-line 30"),
        ({"line": 8, "start_line": 4}, " line 7"),
        ({"line": 6, "start_line": 5, "start_side": "LEFT"}, "+line five and a half"),
        ({"position": 4}, "-line 5"),
        ({"path": "renamed.txt", "line": 1}, None),
        ({"path": "new.py", "line": 1}, "+print('hello')"),
        ({"path": "gone.txt", "line": 1, "side": "LEFT"}, "-bye"),
    ],
)
async def test_lines_that_the_diff_shows_take_comments(hub: Hub, place: dict[str, Any], shown: str | None) -> None:
    await hub.open()
    if shown is None:  # a pure rename shows no line
        await refused(hub, comments=[remark(**place)])
        return
    await create(hub, remark(**place), event="COMMENT", body="x")
    (comment,) = await hub.get(f"/repos/{REPO}/pulls/1/comments")
    assert comment["diff_hunk"].splitlines()[-1] == shown


async def test_a_review_body_may_have_65536_characters_and_not_one_more(hub: Hub) -> None:
    await hub.open()
    too_long = "body is too long (maximum is 65536 characters)"
    assert await refused(hub, body="é" * 65_537, event="COMMENT") == [too_long]
    review = await create(hub, body="é" * 65_536, event="COMMENT")
    reply = await hub.call("PUT", f"{REVIEWS}/{review['id']}", json={"body": "x" * 65_537})
    assert reply.json["errors"] == [too_long]


@pytest.mark.parametrize("event", ["COMMENT", "REQUEST_CHANGES"])
async def test_a_comment_or_a_request_for_changes_needs_a_body(hub: Hub, event: str) -> None:
    await hub.open()
    assert "Body is required" in (await refused(hub, event=event))[0]


async def test_a_foreign_commit_is_refused_and_an_earlier_one_is_taken(hub: Hub, commits: Commits) -> None:
    await hub.open("later")
    foreign = await refused(hub, commit_id=commits.forced, body="x", event="COMMENT")
    assert foreign == [f"Commit {commits.forced} is not part of the pull request"]
    review = await create(hub, remark(line=5), commit_id=commits.head, body="x", event="COMMENT")
    assert review["commit_id"] == commits.head


async def test_a_pending_review_can_be_deleted_and_a_submitted_one_cannot(hub: Hub) -> None:
    await hub.open()
    review = await create(hub, remark(line=5))
    assert (await hub.call("DELETE", f"{REVIEWS}/{review['id']}")).status == 200
    assert (hub.standin.reviews(REPO, 1), hub.standin.comments(REPO, 1)) == ([], [])
    assert (await hub.call("GET", f"{REVIEWS}/{review['id']}")).status == 404
    review = await create(hub, event="APPROVE")
    assert (await hub.call("DELETE", f"{REVIEWS}/{review['id']}")).status == 422


async def test_an_approval_can_be_dismissed_and_a_comment_cannot(hub: Hub) -> None:
    await hub.open()
    approval, comment = await create(hub, event="APPROVE"), await create(hub, event="COMMENT", body="x")
    message = {"message": "no longer"}
    dismissed = await hub.call("PUT", f"{REVIEWS}/{approval['id']}/dismissals", json=message)
    assert dismissed.json["state"] == "DISMISSED"
    assert (await hub.call("PUT", f"{REVIEWS}/{comment['id']}/dismissals", json=message)).status == 422


async def test_the_app_cannot_approve_its_own_pull_request(hub: Hub) -> None:
    await hub.open(author="reviewbot[bot]")
    assert "your own pull request" in (await refused(hub, event="APPROVE"))[0]


async def test_a_push_carries_comments_along_and_outdates_those_whose_lines_changed(hub: Hub, commits: Commits) -> None:
    await hub.open()
    await create(hub, remark(line=5), remark(line=8), remark(line=29), event="COMMENT", body="x")
    await hub.standin.push(REPO, 1, "later")
    moved = await hub.get(f"/repos/{REPO}/pulls/1/comments")
    assert [comment["line"] for comment in moved] == [6, 9, 30]
    assert {comment["commit_id"] for comment in moved} == {commits.later}
    await hub.standin.push(REPO, 1, "forced")
    kept = await hub.get(f"/repos/{REPO}/pulls/1/comments")
    assert [(comment["line"], comment["original_line"]) for comment in kept] == [(None, 5), (8, 8), (29, 29)]
    assert kept[0]["commit_id"] == commits.head


async def test_bodies_of_the_wrong_shape_are_refused_with_400_and_422(hub: Hub) -> None:
    await hub.open()
    assert (await hub.call("POST", REVIEWS, data=b"{")).status == 400
    assert (await hub.call("POST", REVIEWS, json={"event": "SHOUT"})).status == 422
    assert (await hub.call("POST", "/repos/acme/shop/pulls/99/reviews", json={})).status == 404
