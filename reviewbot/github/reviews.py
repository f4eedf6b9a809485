"""Reviews and comments on a pull request: reading them, and writing a review first pending, then submitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from reviewbot.github.client import Client, in_repository
from reviewbot.github.models import DraftComment, Emoji, IssueComment, Reaction, Review, ReviewComment, Verdict

_REVIEWS = "/repos/{owner}/{repo}/pulls/{number}/reviews"
_REVIEW = _REVIEWS + "/{review_id}"


async def list_reviews(client: Client, repo: str, number: int) -> tuple[Review, ...]:
    """All reviews, oldest first; of pending ones GitHub shows only our own."""
    variables = in_repository(repo, number=number, per_page=100)
    return tuple([review async for review in client.pages(_REVIEWS + "{?per_page}", variables, Review)])


async def get_review(client: Client, repo: str, number: int, review_id: int) -> Review:
    """One review."""
    return await client.get(_REVIEW, in_repository(repo, number=number, review_id=review_id), Review)


async def list_review_comments(client: Client, repo: str, number: int, review_id: int) -> tuple[ReviewComment, ...]:
    """The inline comments of one review."""
    path = _REVIEW + "/comments{?per_page}"
    variables = in_repository(repo, number=number, review_id=review_id, per_page=100)
    return tuple([comment async for comment in client.pages(path, variables, ReviewComment)])


class _Draft(msgspec.Struct):
    # `commit_id` is always there: without it GitHub takes the newest commit, which may not be the one reviewed.
    # `event` never is: that is what makes the review pending.
    commit_id: str
    body: str
    comments: tuple[DraftComment, ...]


async def create_pending(
    client: Client, repo: str, number: int, *, commit_id: str, body: str, comments: Sequence[DraftComment]
) -> Review:
    """A review that only we can see yet.

    GitHubRefused with status 422 when one is pending already, and when a single comment lies outside of the diff: then
    nothing is kept, and `errors` does not tell which one it was.
    """
    draft = _Draft(commit_id, body, tuple(comments))
    return await client.post(_REVIEWS, in_repository(repo, number=number), draft, Review)


async def submit(client: Client, repo: str, number: int, review_id: int, verdict: Verdict = "COMMENT") -> Review:
    """Show a pending review to everybody, with the body that it was created with."""
    variables = in_repository(repo, number=number, review_id=review_id)
    return await client.post(_REVIEW + "/events", variables, {"event": verdict}, Review)


async def delete_pending(client: Client, repo: str, number: int, review_id: int) -> None:
    """Drop a pending review with its comments; GitHubRefused with status 422 once it is submitted."""
    await client.delete(_REVIEW, in_repository(repo, number=number, review_id=review_id))


async def comment_on_issue(client: Client, repo: str, number: int, body: str) -> IssueComment:
    """A comment in the conversation of a pull request (or issue)."""
    path = "/repos/{owner}/{repo}/issues/{number}/comments"
    return await client.post(path, in_repository(repo, number=number), {"body": body}, IssueComment)


async def react(
    client: Client, repo: str, comment_id: int, emoji: Emoji, *, to: Literal["issues", "pulls"] = "issues"
) -> Reaction:
    """An emoji on a comment: of the conversation ("issues"), or an inline one ("pulls"). Twice is the same as once."""
    path = "/repos/{owner}/{repo}/{kind}/comments/{comment_id}/reactions"
    variables = in_repository(repo, kind=to, comment_id=comment_id)
    return await client.post(path, variables, {"content": emoji}, Reaction)
