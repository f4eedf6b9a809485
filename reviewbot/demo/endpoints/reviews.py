"""Reviews: created whole or not at all, pending until they are submitted, one pending review for each user."""

from __future__ import annotations

from functools import partial
from typing import Literal

import msgspec

from reviewbot.demo.anchors import MAX_BODY_CHARACTERS, TOO_LONG, DraftComment, Misplaced, place
from reviewbot.demo.answers import Answer, not_found, unprocessable
from reviewbot.demo.api import Call, Endpoint
from reviewbot.demo.changes import Changes, Place, changes_at, place_of
from reviewbot.demo.shapes import pulls
from reviewbot.demo.state import PullRequest, Review, ReviewComment, ReviewState

READ = ("pull_requests=read",)
WRITE = ("pull_requests=write",)

Event = Literal["APPROVE", "REQUEST_CHANGES", "COMMENT"]
_STATE: dict[Event, ReviewState] = {
    "APPROVE": "APPROVED",
    "REQUEST_CHANGES": "CHANGES_REQUESTED",
    "COMMENT": "COMMENTED",
}
ONE_PENDING = "User can only have one pending review per pull request"


class NewReview(msgspec.Struct):
    """The body of a creation."""

    commit_id: str | None = None
    body: str | None = None
    event: Event | None = None
    comments: list[DraftComment] = []


class Submission(msgspec.Struct):
    """The body of a submission."""

    event: Event
    body: str | None = None


class NewBody(msgspec.Struct):
    """The body of an update."""

    body: str


class Dismissal(msgspec.Struct):
    """The body of a dismissal."""

    message: str
    event: Literal["DISMISS"] = "DISMISS"


async def list_reviews(call: Call) -> Answer:
    """GET …/reviews: oldest first, with the caller's own pending one."""
    pull = call.pull()
    seen = [review for review in pull.reviews if review.state != "PENDING" or review.author is call.actor]
    return call.paged(call.world.shown(seen), partial(pulls.review, call.world, call.repo, pull))


async def create_review(call: Call) -> Answer:
    """POST …/reviews: 200, and 422 as a whole when one comment has no place on the diff."""
    pull, wanted = call.pull(), call.read(NewReview)
    if pending_of(call, pull) is not None:
        raise unprocessable(ONE_PENDING)
    _check_event(call, pull, wanted.event, wanted.body)
    _check_lengths(wanted.body, *(draft.body for draft in wanted.comments))
    changes = await changes_for(call, pull, wanted.commit_id)
    review = Review(call.world.next_id(), call.actor, "PENDING", wanted.body or "", changes.head)
    comments = _placed(call, review, changes, wanted.comments)
    # Between the first look and here a second request may have come in.
    if pending_of(call, pull) is not None:
        raise unprocessable(ONE_PENDING)
    pull.reviews.append(review)
    pull.comments.extend(comments)
    if wanted.event is not None:
        _submit(call, pull, review, wanted.event)
    return Answer(pulls.review(call.world, call.repo, pull, review), created=(review, *comments))


async def get_review(call: Call) -> Answer:
    """GET …/reviews/{review_id}."""
    pull = call.pull()
    return Answer(pulls.review(call.world, call.repo, pull, _review(call, pull)))


async def update_review(call: Call) -> Answer:
    """PUT …/reviews/{review_id}: another body."""
    pull, wanted = call.pull(), call.read(NewBody)
    review = _own_review(call, pull)
    _check_lengths(wanted.body)
    review.body = wanted.body
    return Answer(pulls.review(call.world, call.repo, pull, review))


async def delete_review(call: Call) -> Answer:
    """DELETE …/reviews/{review_id}: only while it is pending; its comments go with it."""
    pull = call.pull()
    review = _own_review(call, pull)
    if review.state != "PENDING":
        raise unprocessable("Can not delete a non-pending pull request review")
    pull.reviews.remove(review)
    pull.comments = [comment for comment in pull.comments if comment.review is not review]
    return Answer(pulls.review(call.world, call.repo, pull, review))


async def submit_review(call: Call) -> Answer:
    """POST …/reviews/{review_id}/events: a pending review becomes visible to everybody."""
    pull, wanted = call.pull(), call.read(Submission)
    review = _own_review(call, pull)
    if review.state != "PENDING":
        raise unprocessable("Can only submit a pending pull request review")
    body = wanted.body if wanted.body is not None else review.body
    _check_event(call, pull, wanted.event, body)
    _check_lengths(body)
    review.body = body
    _submit(call, pull, review, wanted.event)
    return Answer(pulls.review(call.world, call.repo, pull, review))


async def dismiss_review(call: Call) -> Answer:
    """PUT …/reviews/{review_id}/dismissals: takes back an approval or a request for changes."""
    pull = call.pull()
    review = _review(call, pull)
    call.read(Dismissal)
    if review.state not in ("APPROVED", "CHANGES_REQUESTED"):
        raise unprocessable("Can not dismiss a commented pull request review")
    review.state = "DISMISSED"
    call.platform.events.soon(call.platform.events.review(call.repo, pull, review, "dismissed"))
    return Answer(pulls.review(call.world, call.repo, pull, review))


async def list_review_comments(call: Call) -> Answer:
    """GET …/reviews/{review_id}/comments."""
    pull = call.pull()
    own = pull.comments_of(_review(call, pull))
    places = {comment.id: await place_of(call.repo, pull, comment) for comment in own}
    return call.paged(own, lambda item: pulls.comment(call.world, call.repo, pull, item, places[item.id]))


def pending_of(call: Call, pull: PullRequest) -> Review | None:
    """The caller's pending review of a pull request."""
    own = (review for review in pull.reviews if review.author is call.actor)
    return next((review for review in own if review.state == "PENDING"), None)


async def changes_for(call: Call, pull: PullRequest, commit_id: str | None) -> Changes:
    """The pull request's changes as of `commit_id`, by default the newest. Raises 422 for a foreign commit."""
    newest = await changes_at(call.repo, pull, pull.head_sha)
    if commit_id is None or commit_id == newest.head:
        return newest
    if all(commit.sha != commit_id for commit in newest.commits):
        raise unprocessable(f"Commit {commit_id} is not part of the pull request")
    return await changes_at(call.repo, pull, commit_id)


def at_home(comment: ReviewComment) -> Place:
    """Where a comment stands right after it was made."""
    return Place(comment.line, comment.start_line, comment.position)


def _placed(call: Call, review: Review, changes: Changes, drafts: list[DraftComment]) -> list[ReviewComment]:
    now, comments = call.world.now(), []
    for draft in drafts:
        if not draft.body.strip():
            raise unprocessable("Pull request review thread body can't be blank")
        try:
            spot = place(changes, draft)
        except Misplaced as misplaced:
            raise unprocessable(str(misplaced)) from misplaced
        comments.append(
            ReviewComment(
                id=call.world.next_id(), review=review, author=review.author, path=draft.path, body=draft.body,
                commit_id=changes.head, created_at=now, updated_at=now, side=spot.side, line=spot.line,
                start_line=spot.start_line, start_side=spot.start_side, position=spot.position,
                diff_hunk=spot.diff_hunk,
            )
        )  # fmt: skip
    return comments


def _submit(call: Call, pull: PullRequest, review: Review, event: Event) -> None:
    review.state = _STATE[event]
    review.submitted_at = pull.updated_at = call.world.now()
    call.platform.events.soon(call.platform.events.review(call.repo, pull, review, "submitted"))


def _check_event(call: Call, pull: PullRequest, event: Event | None, body: str | None) -> None:
    if event in ("COMMENT", "REQUEST_CHANGES") and not (body or "").strip():
        raise unprocessable(f"Body is required for a review with the event {event}")
    if event in ("APPROVE", "REQUEST_CHANGES") and pull.author is call.actor:
        raise unprocessable("Can not approve or request changes on your own pull request")


def _check_lengths(*bodies: str | None) -> None:
    if any(len(body) > MAX_BODY_CHARACTERS for body in bodies if body is not None):
        raise unprocessable(TOO_LONG)


def _review(call: Call, pull: PullRequest) -> Review:
    wanted = call.number("review_id")
    review = next((review for review in pull.reviews if review.id == wanted), None)
    if review is None or (review.state == "PENDING" and review.author is not call.actor):
        raise not_found()
    return review


def _own_review(call: Call, pull: PullRequest) -> Review:
    review = _review(call, pull)
    if review.author is not call.actor:
        raise unprocessable("Only the author of a review can change it")
    return review


_REVIEWS = "/repos/{owner}/{repo}/pulls/{pull_number}/reviews"
ENDPOINTS = (
    Endpoint("GET", _REVIEWS, list_reviews, READ),
    Endpoint("POST", _REVIEWS, create_review, WRITE),
    Endpoint("GET", f"{_REVIEWS}/{{review_id}}", get_review, READ),
    Endpoint("PUT", f"{_REVIEWS}/{{review_id}}", update_review, WRITE),
    Endpoint("DELETE", f"{_REVIEWS}/{{review_id}}", delete_review, WRITE),
    Endpoint("POST", f"{_REVIEWS}/{{review_id}}/events", submit_review, WRITE),
    Endpoint("PUT", f"{_REVIEWS}/{{review_id}}/dismissals", dismiss_review, WRITE),
    Endpoint("GET", f"{_REVIEWS}/{{review_id}}/comments", list_review_comments, READ),
)
