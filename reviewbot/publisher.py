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
        doubt = False
        for attempt in range(1, TRIES + 1):
            mine = await self._find(plan, patient=doubt)
            if mine is not None and mine.state != "PENDING":
                return Posted(mine.id, mine.html_url, len(plan.comments), found=True)
            try:
                if mine is None:
                    mine = await self._create(plan)
                return await self._submit(plan, mine)
            except GitHubUnavailable as error:
                if attempt == TRIES:
                    raise
                logger.warning("posting is in doubt, looking for the review", error=str(error), attempt=attempt)
                doubt = True
            except _PendingAlready:
                doubt = True  # GitHub knows a pending review of ours that it did not list yet
        raise GitHubUnavailable("GitHub has a pending review of ours that it does not show; it may appear later.")

    async def _find(self, plan: Plan, *, patient: bool) -> Review | None:
        """Our review of this job, if there is one. A pending one of another job or head is deleted on the way."""
        for pause in (0.0, *(LOOKS_AFTER_DOUBT if patient else ())):
            await asyncio.sleep(pause)
            for review in await reviews.list_reviews(self._client, self._repository, self._number):
                if review.user is None or review.user.login != self._bot_login:
                    continue  # anybody can write our marker; only our own account is believed
                if find_marker(review.body) == Marker(plan.job, plan.head_sha):
                    return review
                if review.state == "PENDING":
                    await self._guard()
                    await reviews.delete_pending(self._client, self._repository, self._number, review.id)
        return None

    async def _create(self, plan: Plan) -> Review:
        comments = plan.comments
        try:
            return await self._pending(plan.head_sha, plan.body, comments)
        except GitHubRefused as refused:
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
                await reviews.delete_pending(self._client, self._repository, self._number, pending.id)
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

    async def _submit(self, plan: Plan, pending: Review) -> Posted:
        await self._guard()
        try:
            shown = await reviews.submit(self._client, self._repository, self._number, pending.id)
        except GitHubUnavailable:
            shown = await reviews.get_review(self._client, self._repository, self._number, pending.id)
            if shown.state == "PENDING":
                raise
        return Posted(shown.id, shown.html_url, len(plan.comments), found=False)


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
