"""Comments on the diff and in the conversation, reactions, and review threads by GraphQL."""

from __future__ import annotations

from typing import Any

import pytest

from tests.demo.hub import REPO, Commits, Hub

COMMENTS = f"/repos/{REPO}/pulls/1/comments"
ISSUE = f"/repos/{REPO}/issues/1/comments"
THREADS = """query($n: Int!) { repository(owner: "acme", name: "shop") { pullRequest(number: $n) {
  headRefOid reviewThreads(first: 10) { totalCount pageInfo { hasNextPage }
    nodes { id isResolved isOutdated path line
      comments(first: 5) { nodes { databaseId body author { login } } } } } } } }
"""


async def on_line(hub: Hub, commits: Commits, **fields: Any) -> Any:
    body = {"body": "Why?", "commit_id": commits.head, "path": "src/app.py", "line": 5, **fields}
    return await hub.call("POST", COMMENTS, json=body)


async def graphql(hub: Hub, query: str, token: str = "", **variables: object) -> Any:
    authorization = f"token {token}" if token else None
    body = {"query": query, "variables": variables}
    reply = await hub.call("POST", "/graphql", json=body, authorization=authorization)
    assert reply.status == 200, reply
    return reply.json


async def test_a_single_comment_makes_a_review_of_its_own(hub: Hub, commits: Commits) -> None:
    await hub.open()
    reply = await on_line(hub, commits)
    assert (reply.status, reply.headers["Location"]) == (201, reply.json["url"])
    assert [review["state"] for review in await hub.get(f"/repos/{REPO}/pulls/1/reviews")] == ["COMMENTED"]


async def test_a_comment_on_a_whole_file_needs_no_line(hub: Hub, commits: Commits) -> None:
    await hub.open()
    body = {"body": "A picture", "commit_id": commits.head, "path": "logo.png", "subject_type": "file"}
    reply = await hub.call("POST", COMMENTS, json=body)
    assert (reply.status, reply.json["subject_type"], "line" in reply.json) == (201, "file", False)
    assert (await hub.call("POST", COMMENTS, json={**body, "path": "absent"})).status == 422
    assert (await hub.call("POST", COMMENTS, json={**body, "subject_type": "FILE"})).status == 422


async def test_a_single_comment_outside_the_diff_is_422_with_an_object(hub: Hub, commits: Commits) -> None:
    await hub.open()
    reply = await on_line(hub, commits, line=20)
    assert reply.json["errors"][0]["field"] == "pull_request_review_thread.line"
    assert (await on_line(hub, commits, body="")).status == 422
    assert (await on_line(hub, commits, body="x" * 65_537)).status == 422


async def test_no_single_comment_while_a_review_is_pending(hub: Hub, commits: Commits) -> None:
    await hub.open()
    await hub.call("POST", f"/repos/{REPO}/pulls/1/reviews", json={})
    reply = await on_line(hub, commits)
    assert "one pending review" in reply.json["errors"][0]["message"]


async def test_only_the_first_comment_of_a_thread_takes_replies(hub: Hub, commits: Commits) -> None:
    await hub.open()
    first = (await on_line(hub, commits)).json["id"]
    reply = await hub.call("POST", f"{COMMENTS}/{first}/replies", json={"body": "Because."})
    assert (reply.status, reply.json["in_reply_to_id"], reply.json["line"]) == (201, first, 5)
    assert (await hub.call("POST", f"{COMMENTS}/{reply.json['id']}/replies", json={"body": "No."})).status == 404
    also = {"body": "So?", "in_reply_to": first, "commit_id": commits.head, "path": "src/app.py"}
    assert (await hub.call("POST", COMMENTS, json=also)).status == 201


async def test_own_comments_can_be_changed_and_deleted_and_others_cannot(hub: Hub, commits: Commits) -> None:
    await hub.open()
    first = (await on_line(hub, commits)).json
    one = f"/repos/{REPO}/pulls/comments/{first['id']}"
    theirs = await hub.standin.reply(REPO, 1, hub.standin.comments(REPO, 1)[0], "I see", author="mia")
    assert (await hub.call("PATCH", one, json={"body": "What?"})).json["body"] == "What?"
    assert (await hub.get(one))["body"] == "What?"
    foreign = f"/repos/{REPO}/pulls/comments/{theirs.id}"
    assert (await hub.call("PATCH", foreign, json={"body": "x"})).status == 403
    assert (await hub.call("DELETE", foreign)).status == 403
    assert (await hub.call("DELETE", one)).status == 204
    assert (await hub.call("GET", one)).status == 404


async def test_comments_are_sorted_and_cut_off_as_asked(hub: Hub, commits: Commits) -> None:
    await hub.open()
    made = [(await on_line(hub, commits, line=line)).json["id"] for line in (4, 5, 6)]
    newest_first = await hub.get(f"{COMMENTS}?sort=created&direction=desc")
    assert [comment["id"] for comment in newest_first] == made[::-1]
    assert await hub.get(f"{COMMENTS}?since=2999-01-01T00:00:00Z") == []


async def test_the_conversation_takes_comments_and_changes_to_them(hub: Hub) -> None:
    await hub.open()
    await hub.standin.comment(REPO, 1, "@reviewbot review", author="mia")
    reply = await hub.call("POST", ISSUE, json={"body": "On my way"})
    assert (reply.status, reply.json["user"]["type"]) == (201, "Bot")
    one = f"/repos/{REPO}/issues/comments/{reply.json['id']}"
    assert (await hub.call("PATCH", one, json={"body": "Done"})).json["body"] == "Done"
    assert [comment["body"] for comment in await hub.get(ISSUE)] == ["@reviewbot review", "Done"]
    too_long = await hub.call("POST", ISSUE, json={"body": "x" * 65_537})
    assert too_long.json["errors"][0]["message"] == "body is too long (maximum is 65536 characters)"


@pytest.mark.parametrize("kind", ["pulls", "issues"])
async def test_the_same_reaction_twice_is_one_reaction(hub: Hub, commits: Commits, kind: str) -> None:
    await hub.open()
    made = await on_line(hub, commits) if kind == "pulls" else await hub.call("POST", ISSUE, json={"body": "x"})
    path = f"/repos/{REPO}/{kind}/comments/{made.json['id']}/reactions"
    statuses = [(await hub.call("POST", path, json={"content": "eyes"})).status for _ in range(2)]
    assert statuses == [201, 200]
    assert len(await hub.get(path)) == 1
    assert await hub.get(f"{path}?content=heart") == []
    assert (await hub.call("POST", path, json={"content": "thumbs"})).status == 422


async def test_threads_are_listed_by_graphql_with_their_comments(hub: Hub, commits: Commits) -> None:
    await hub.open()
    first = (await on_line(hub, commits)).json["id"]
    await hub.standin.reply(REPO, 1, hub.standin.comments(REPO, 1)[0], "I see", author="mia")
    data = (await graphql(hub, THREADS, n=1))["data"]["repository"]["pullRequest"]
    assert data["headRefOid"] == commits.head
    (thread,) = data["reviewThreads"]["nodes"]
    assert (thread["path"], thread["line"], thread["isResolved"]) == ("src/app.py", 5, False)
    assert [node["body"] for node in thread["comments"]["nodes"]] == ["Why?", "I see"]
    assert thread["comments"]["nodes"][0]["databaseId"] == first


async def test_resolving_a_thread_is_forbidden_without_contents_write(hub: Hub, commits: Commits) -> None:
    await hub.open()
    await on_line(hub, commits)
    thread = (await graphql(hub, THREADS, n=1))["data"]["repository"]["pullRequest"]["reviewThreads"]["nodes"][0]["id"]
    resolve = "mutation($id: ID!) { resolveReviewThread(input: {threadId: $id}) { thread { isResolved } } }"
    refused = await graphql(hub, resolve, id=thread)
    assert refused["data"]["resolveReviewThread"] is None
    assert refused["errors"][0]["type"] == "FORBIDDEN"
    assert refused["errors"][0]["message"] == "Resource not accessible by integration"
    hub.standin.installation(42).permissions["contents"] = "write"
    token = await hub.new_token()
    allowed = await graphql(hub, resolve, token=token, id=thread)
    assert allowed["data"]["resolveReviewThread"]["thread"]["isResolved"] is True
    await hub.standin.settle()
    assert "pull_request_review_thread.resolved" in hub.events()


async def test_a_comment_can_be_folded_away_with_pull_requests_write(hub: Hub, commits: Commits) -> None:
    await hub.open()
    node = (await on_line(hub, commits)).json["node_id"]
    fold = (
        "mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: OUTDATED}) "
        "{ minimizedComment { isMinimized minimizedReason } } }"
    )
    folded = (await graphql(hub, fold, id=node))["data"]["minimizeComment"]["minimizedComment"]
    assert folded == {"isMinimized": True, "minimizedReason": "outdated"}


async def test_graphql_names_what_is_wrong_beside_the_data(hub: Hub) -> None:
    await hub.open()
    unknown = await graphql(hub, 'query { repository(owner: "acme", name: "none") { id } }')
    assert unknown["errors"][0]["type"] == "NOT_FOUND"
    wrong = await graphql(hub, "query { nothing }")
    assert "nothing" in wrong["errors"][0]["message"]
