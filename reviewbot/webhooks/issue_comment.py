"""`issue_comment`: `@<app> review` in a pull request asks for a review. Whether the writer may is checked later."""

from __future__ import annotations

import re

import msgspec
from gidgethub.routing import Router

from reviewbot.webhooks.incoming import (
    Account,
    Decision,
    Id,
    Ignored,
    Incoming,
    Moment,
    Number,
    Ref,
    Repository,
    decides,
)

router = Router()


class Issue(msgspec.Struct, frozen=True):
    number: Number
    state: str
    pull_request: object | None = None  # present when it is one


class Comment(msgspec.Struct, frozen=True):
    id: Id
    body: str
    user: Account
    created_at: Moment


class Payload(msgspec.Struct, frozen=True):
    installation: Ref
    repository: Repository
    issue: Issue
    comment: Comment


@router.register("issue_comment", action="created")
@decides
async def commented(incoming: Incoming) -> Decision:
    payload = incoming.read(Payload)
    issue, comment = payload.issue, payload.comment
    if issue.pull_request is None:
        return Ignored("the comment is on an issue")
    if comment.user.is_bot or comment.user.login == incoming.app.login:
        return Ignored("a bot did this", issue.number)
    command = spoken_command(comment.body, incoming.app.slug)
    if command is None:
        return Ignored("the comment does not address the App", issue.number)
    if command != "review":
        return Ignored("unknown command", issue.number)
    if issue.state != "open":
        return Ignored("the pull request is closed", issue.number)
    return incoming.request(
        installation=payload.installation.id,
        repository=payload.repository,
        pull_request=issue.number,
        head_sha=None,
        trigger="comment",
        asked_at=comment.created_at,
        key=f"comment:{comment.id}",
        comment_id=comment.id,
    )


def spoken_command(body: str, slug: str) -> str | None:
    """What the first line says to the App, in lower case: "review" is the only command there is.

    None: it does not begin with @slug. Nothing of the line is ever taken for an option.
    """
    first = body.split("\n", 1)[0].strip(" \t\r")
    addressed = re.fullmatch(rf"@{re.escape(slug)}(?:\[bot\])?(?:[ \t]+(.*))?", first, re.IGNORECASE | re.ASCII)
    return None if addressed is None else (addressed[1] or "").lower()
