"""Findings -> one GitHub review, posted once.

GitHub has no idempotency key for reviews. So what will be posted is fixed beforehand and carries a hidden marker with
the job's id; the review is created pending, then submitted by id; and after every lost reply the pull request is read
before anything is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal
from uuid import UUID

import msgspec
import structlog

from reviewbot.errors import GitHubRefused, GitHubUnavailable
from reviewbot.github import reviews
from reviewbot.github.client import Client
from reviewbot.github.models import CheckOutput, DraftComment, Review
from reviewbot.render import Marker, find_marker, with_moved

logger = structlog.get_logger(__name__)

TRIES = 3  # to create the review, each after having looked for it
LOOKS_AFTER_DOUBT = (0.5, 1.0, 2.0, 4.0)  # seconds; GitHub may show a new review a moment late
TRIAL_BODY = "Finding out where comments may stand."
ANCHOR_TRIALS = 12  # requests spent on finding out which anchors GitHub refuses

Guard = Callable[[], Awaitable[None]]


class PlannedComment(msgspec.Struct, frozen=True):
    """An inline comment, and how the same reads in the review's body should GitHub refuse its place."""

    comment: DraftComment
    in_body: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly what will be posted. Kept as an artifact before the first try."""

    job: UUID
    head_sha: str
    body: str  # with the marker
    comments: tuple[PlannedComment, ...]
    conclusion: Literal["success", "neutral"]
    check: CheckOutput


class Posted(msgspec.Struct, frozen=True):
    """The review as it stands. `found`: an earlier try had posted it already."""

    review_id: int
    url: str
    comments: int
    found: bool


class Publisher:
    """Posts to one pull request.

    `guard` is awaited before every write that shows something, and raises when nothing may be posted any more.
    """

    def __init__(self, client: Client, repository: str, number: int, bot_login: str, guard: Guard) -> None:
        self._client, self._repository, self._number = client, repository, number
        self._bot_login, self._guard = bot_login, guard

    async def publish(self, plan: Plan) -> Posted:
        """Post the review, or find it posted. Raises GitHub's errors, and whatever `guard` raises."""
        await self._guard()
        known: int | None = None  # id of the review, once GitHub has told it
        for attempt in range(1, TRIES + 1):
            try:
                mine = await self._look(plan, known, patient=attempt > 1) or await self._create(plan)
                if mine.state != "PENDING":
                    return await self._posted(mine, found=True)
                known = mine.id
                await self._guard()
                shown = await reviews.submit(self._client, self._repository, self._number, mine.id)
                return await self._posted(shown, found=False)
            except GitHubUnavailable as error:
                if attempt == TRIES:
                    raise
                logger.warning("posting is in doubt, looking for the review", error=str(error), attempt=attempt)
            except _PendingAlready:
                logger.warning("GitHub has a pending review of ours that it did not list", attempt=attempt)
        raise GitHubUnavailable("GitHub has a pending review of ours that it does not show; it may appear later.")

    async def _look(self, plan: Plan, known: int | None, *, patient: bool) -> Review | None:
        """Our review of this job, if there is one; after a lost reply it may show a moment late."""
        if known is not None:
            await asyncio.sleep(LOOKS_AFTER_DOUBT[0])
            return await reviews.get_review(self._client, self._repository, self._number, known)
        for pause in (0.0, *(LOOKS_AFTER_DOUBT if patient else ())):
            await asyncio.sleep(pause)
            found = await self._find(plan)
            if found is not None:
                return found
        return None

    async def _find(self, plan: Plan) -> Review | None:
        """Our review of this job, if it is listed. Pending ones of another job or head are deleted."""
        ours = [
            review
            for review in await reviews.list_reviews(self._client, self._repository, self._number)
            if self._is_ours(review)
        ]
        found = next((review for review in ours if find_marker(review.body) == Marker(plan.job, plan.head_sha)), None)
        for review in ours:
            if review.state == "PENDING" and review is not found:
                await self._guard()
                await self._discard(review.id)
        return found

    def _is_ours(self, review: Review) -> bool:
        """Anybody can write our marker; only our own account is believed."""
        return review.user is not None and review.user.login == self._bot_login

    async def _discard(self, review_id: int) -> None:
        try:
            await reviews.delete_pending(self._client, self._repository, self._number, review_id)
        except GitHubRefused as refused:
            if refused.status not in (404, 422):  # it is gone, or submitted: not pending any more either way
                raise

    async def _posted(self, review: Review, *, found: bool) -> Posted:
        """How the review stands: comments whose places were refused are not among its inline ones."""
        comments = await reviews.list_review_comments(self._client, self._repository, self._number, review.id)
        return Posted(review.id, review.html_url, len(comments), found)

    async def _create(self, plan: Plan) -> Review:
        comments = plan.comments
        try:
            return await self._pending(plan.head_sha, plan.body, comments)
        except GitHubRefused as refused:
            await self._guard()  # a push in between explains a refusal better than GitHub's words
            if not _is_about_places(refused) or not comments:
                raise
            logger.warning("GitHub refuses a place for a comment", errors=refused.errors)
        kept = await self._accepted(plan.head_sha, comments, [ANCHOR_TRIALS])
        moved = [comment.in_body for comment in comments if comment not in kept]
        return await self._pending(plan.head_sha, with_moved(plan.body, moved), kept)

    async def _accepted(
        self, head_sha: str, comments: tuple[PlannedComment, ...], trials: list[int]
    ) -> tuple[PlannedComment, ...]:
        """The comments whose places GitHub takes, found by halving. When the trials are used up, the rest is refused.

        The trial reviews lack the marker: one that a crash leaves behind is no review of ours, and is deleted.
        """
        kept: tuple[PlannedComment, ...] = ()
        middle = (len(comments) + 1) // 2
        for half in (comments[:middle], comments[middle:]):
            if not half or trials[0] <= 0:
                continue
            trials[0] -= 1
            try:
                pending = await self._pending(head_sha, TRIAL_BODY, half)
            except GitHubRefused as refused:
                if not _is_about_places(refused):
                    raise
                if len(half) > 1:
                    kept += await self._accepted(head_sha, half, trials)
            else:
                kept += half
                await self._discard(pending.id)
        return kept

    async def _pending(self, head_sha: str, body: str, comments: Sequence[PlannedComment]) -> Review:
        await self._guard()
        drafts = [each.comment for each in comments]
        try:
            return await reviews.create_pending(
                self._client, self._repository, self._number, commit_id=head_sha, body=body, comments=drafts
            )
        except GitHubRefused as refused:
            if refused.status == 422 and "pending review" in _words(refused):
                raise _PendingAlready from refused
            raise


class _PendingAlready(Exception):
    """GitHub refuses a second pending review of ours."""


def _words(refused: GitHubRefused) -> str:
    return " ".join((str(refused), *refused.errors)).lower()


def _is_about_places(refused: GitHubRefused) -> bool:
    """Whether a 422 is about where a comment stands, which GitHub says in many ways."""
    words = _words(refused)
    return refused.status == 422 and any(
        sign in words for sign in ("line", "position", "diff", "path", "start_side", "side")
    )
