"""Comments on the diff, comments in the conversation, and the reactions to both."""

from __future__ import annotations

from functools import partial
from typing import Literal

import msgspec

from reviewbot.demo.anchors import MAX_BODY_CHARACTERS, TOO_LONG, DraftComment, Misplaced, place
from reviewbot.demo.answers import Answer, ApiError, forbidden, invalid, not_found
from reviewbot.demo.api import Call, Endpoint
from reviewbot.demo.changes import Changes, place_of
from reviewbot.demo.endpoints.reviews import READ, WRITE, NewBody, at_home, changes_for, pending_of
from reviewbot.demo.shapes import pulls
from reviewbot.demo.state import IssueComment, PullRequest, Reaction, Review, ReviewComment, iso

ISSUES_READ = ("issues=read", "pull_requests=read")
ISSUES_WRITE = ("issues=write", "pull_requests=write")
_RESOURCE = "PullRequestReviewComment"


class NewComment(DraftComment, kw_only=True):
    """The body of a single comment; `subject_type` "file" needs no line."""

    commit_id: str
    in_reply_to: int | None = None
    subject_type: Literal["line", "file"] = "line"


class NewReaction(msgspec.Struct):
    """The body of a reaction."""

    content: Literal["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"]


async def list_comments(call: Call) -> Answer:
    """GET …/pulls/{pull_number}/comments: those that everybody sees."""
    pull = call.pull()
    seen = [item for item in pull.submitted_comments() if iso(item.updated_at) >= call.query.get("since", "")]
    by_update = call.query.get("sort") == "updated"
    seen.sort(
        key=lambda item: (item.updated_at if by_update else item.created_at, item.id),
        reverse=call.query.get("direction") == "desc",
    )
    seen = call.world.shown(seen)
    places = {item.id: await place_of(call.repo, pull, item) for item in seen}
    return call.paged(seen, lambda item: pulls.comment(call.world, call.repo, pull, item, places[item.id]))


async def create_comment(call: Call) -> Answer:
    """POST …/pulls/{pull_number}/comments: on a line, on a whole file, or as a reply."""
    pull, wanted = call.pull(), call.read(NewComment)
    if wanted.in_reply_to is not None:
        return await _reply(call, pull, wanted.in_reply_to, wanted.body)
    _check_body(wanted.body)
    _check_nothing_pending(call, pull)
    changes = await changes_for(call, pull, wanted.commit_id)
    comment = _new_comment(call, changes, wanted)
    pull.reviews.append(comment.review)
    pull.comments.append(comment)
    return await _created(call, pull, comment)


async def reply_to_comment(call: Call) -> Answer:
    """POST …/pulls/{pull_number}/comments/{comment_id}/replies: only to the first comment of a thread."""
    return await _reply(call, call.pull(), call.number("comment_id"), call.read(NewBody).body)


async def get_comment(call: Call) -> Answer:
    """GET …/pulls/comments/{comment_id}."""
    return await _shown(call, *_comment(call))


async def update_comment(call: Call) -> Answer:
    """PATCH …/pulls/comments/{comment_id}: another body."""
    pull, comment = _comment(call)
    wanted = call.read(NewBody)
    if comment.author is not call.actor:
        raise forbidden()
    _check_body(wanted.body)
    comment.body, comment.updated_at = wanted.body, call.world.now()
    return await _shown(call, pull, comment)


async def delete_comment(call: Call) -> Answer:
    """DELETE …/pulls/comments/{comment_id}."""
    pull, comment = _comment(call)
    if comment.author is not call.actor:
        raise forbidden()
    pull.comments.remove(comment)
    return Answer(status=204)


async def list_issue_comments(call: Call) -> Answer:
    """GET …/issues/{issue_number}/comments: oldest first."""
    pull = call.pull("issue_number")
    seen = [item for item in pull.issue_comments if iso(item.updated_at) >= call.query.get("since", "")]
    return call.paged(call.world.shown(seen), partial(pulls.issue_comment, call.world, call.repo, pull))


async def create_issue_comment(call: Call) -> Answer:
    """POST …/issues/{issue_number}/comments."""
    pull, wanted = call.pull("issue_number"), call.read(NewBody)
    _check_body(wanted.body, "IssueComment")
    now = call.world.now()
    comment = IssueComment(call.world.next_id(), call.actor, wanted.body, now, now)
    pull.issue_comments.append(comment)
    call.platform.events.soon(call.platform.events.issue_comment(call.repo, pull, comment))
    shown = pulls.issue_comment(call.world, call.repo, pull, comment)
    return Answer(shown, 201, {"Location": str(shown["url"])}, created=(comment,))


async def update_issue_comment(call: Call) -> Answer:
    """PATCH …/issues/comments/{comment_id}: another body."""
    pull, comment = _issue_comment(call)
    wanted = call.read(NewBody)
    if comment.author is not call.actor:
        raise forbidden()
    _check_body(wanted.body, "IssueComment")
    comment.body, comment.updated_at = wanted.body, call.world.now()
    return Answer(pulls.issue_comment(call.world, call.repo, pull, comment))


async def list_comment_reactions(call: Call) -> Answer:
    """GET …/pulls/comments/{comment_id}/reactions."""
    return _reactions(call, _comment(call)[1].reactions)


async def react_to_comment(call: Call) -> Answer:
    """POST …/pulls/comments/{comment_id}/reactions."""
    return _react(call, _comment(call)[1].reactions)


async def list_issue_comment_reactions(call: Call) -> Answer:
    """GET …/issues/comments/{comment_id}/reactions."""
    return _reactions(call, _issue_comment(call)[1].reactions)


async def react_to_issue_comment(call: Call) -> Answer:
    """POST …/issues/comments/{comment_id}/reactions."""
    return _react(call, _issue_comment(call)[1].reactions)


def _new_comment(call: Call, changes: Changes, wanted: NewComment) -> ReviewComment:
    now = call.world.now()
    review = Review(call.world.next_id(), call.actor, "COMMENTED", "", changes.head, now)
    comment = ReviewComment(
        id=call.world.next_id(), review=review, author=call.actor, path=wanted.path, body=wanted.body,
        commit_id=changes.head, created_at=now, updated_at=now,
    )  # fmt: skip
    if wanted.subject_type == "file":
        hunks = changes.hunks(wanted.path)
        if hunks is None:
            raise invalid(_RESOURCE, "path", "path must be part of the diff")
        comment.diff_hunk = hunks[0].header if hunks else ""
        return comment
    try:
        spot = place(changes, wanted)
    except Misplaced as misplaced:
        raise invalid(_RESOURCE, "pull_request_review_thread.line", str(misplaced)) from misplaced
    comment.side, comment.line, comment.position = spot.side, spot.line, spot.position
    comment.start_line, comment.start_side, comment.diff_hunk = spot.start_line, spot.start_side, spot.diff_hunk
    return comment


async def _reply(call: Call, pull: PullRequest, to: int, body: str) -> Answer:
    _check_body(body)
    first = next((item for item in pull.submitted_comments() if item.id == to), None)
    if first is None or first.in_reply_to is not None:
        raise not_found()
    _check_nothing_pending(call, pull)
    comment = pull.reply(call.world, first, call.actor, body)
    return await _created(call, pull, comment)


async def _created(call: Call, pull: PullRequest, comment: ReviewComment) -> Answer:
    call.platform.events.soon(call.platform.events.review_comment(call.repo, pull, comment))
    place_now = at_home(comment) if comment.in_reply_to is None else await place_of(call.repo, pull, comment)
    shown = pulls.comment(call.world, call.repo, pull, comment, place_now)
    return Answer(shown, 201, {"Location": str(shown["url"])}, created=(comment.review, comment))


async def _shown(call: Call, pull: PullRequest, comment: ReviewComment) -> Answer:
    return Answer(pulls.comment(call.world, call.repo, pull, comment, await place_of(call.repo, pull, comment)))


def _comment(call: Call) -> tuple[PullRequest, ReviewComment]:
    wanted = call.number("comment_id")
    for pull in call.repo.pulls.values():
        for comment in pull.comments:
            if comment.id == wanted:
                return pull, comment
    raise not_found()


def _issue_comment(call: Call) -> tuple[PullRequest, IssueComment]:
    wanted = call.number("comment_id")
    for pull in call.repo.pulls.values():
        for comment in pull.issue_comments:
            if comment.id == wanted:
                return pull, comment
    raise not_found()


def _reactions(call: Call, reactions: list[Reaction]) -> Answer:
    content = call.query.get("content")
    return call.paged(
        [item for item in reactions if content in (None, item.content)], partial(pulls.reaction, call.world)
    )


def _react(call: Call, reactions: list[Reaction]) -> Answer:
    content = call.read(NewReaction).content
    for known in reactions:
        if known.account is call.actor and known.content == content:
            return Answer(pulls.reaction(call.world, known), 200)
    reaction = Reaction(call.world.next_id(), call.actor, content, call.world.now())
    reactions.append(reaction)
    return Answer(pulls.reaction(call.world, reaction), 201)


def _check_body(body: str, resource: str = _RESOURCE) -> None:
    if not body.strip():
        raise invalid(resource, "body", "body can't be blank", "missing_field")
    if len(body) > MAX_BODY_CHARACTERS:
        raise invalid(resource, "body", TOO_LONG)


def _check_nothing_pending(call: Call, pull: PullRequest) -> None:
    if pending_of(call, pull) is not None:
        message = "user_id can only have one pending review per pull request"
        error = {"resource": "PullRequestReview", "field": "user_id", "code": "custom", "message": message}
        raise ApiError(422, "Validation Failed", (error,))


_PULL = "/repos/{owner}/{repo}/pulls/{pull_number}/comments"
_ONE = "/repos/{owner}/{repo}/pulls/comments/{comment_id}"
_ISSUE = "/repos/{owner}/{repo}/issues/{issue_number}/comments"
_ISSUE_ONE = "/repos/{owner}/{repo}/issues/comments/{comment_id}"
ENDPOINTS = (
    Endpoint("GET", _PULL, list_comments, READ),
    Endpoint("POST", _PULL, create_comment, WRITE),
    Endpoint("POST", f"{_PULL}/{{comment_id}}/replies", reply_to_comment, WRITE),
    Endpoint("GET", _ONE, get_comment, READ),
    Endpoint("PATCH", _ONE, update_comment, WRITE),
    Endpoint("DELETE", _ONE, delete_comment, WRITE),
    Endpoint("GET", f"{_ONE}/reactions", list_comment_reactions, READ),
    Endpoint("POST", f"{_ONE}/reactions", react_to_comment, WRITE),
    Endpoint("GET", _ISSUE, list_issue_comments, ISSUES_READ),
    Endpoint("POST", _ISSUE, create_issue_comment, ISSUES_WRITE),
    Endpoint("PATCH", _ISSUE_ONE, update_issue_comment, ISSUES_WRITE),
    Endpoint("GET", f"{_ISSUE_ONE}/reactions", list_issue_comment_reactions, ISSUES_READ),
    Endpoint("POST", f"{_ISSUE_ONE}/reactions", react_to_issue_comment, ISSUES_WRITE),
)
