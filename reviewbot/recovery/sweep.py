"""Looks at the open pull requests of every installation for heads that nobody reviews and nothing explains.

It is the net below the deliveries: for what GitHub never sent, or forgot before it was asked. Each head it meets ends
with a request for a review or with a recorded reason. Only heads pushed since ReviewBot is there are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import structlog
from eventsourcing.persistence import IntegrityError

from reviewbot.errors import FinalError, GitHubRateLimited, GitHubUnavailable
from reviewbot.github.client import Client
from reviewbot.github.installations import committed_at, list_installations, list_repositories, open_pulls
from reviewbot.github.models import Installation, InstalledRepository, OpenPull
from reviewbot.recovery.store import Met, OpenHead
from reviewbot.recovery.work import Hold, Tell, Tools
from reviewbot.review import AlreadyRequested, ReviewJob, job_id
from reviewbot.story import reviews_drafts
from reviewbot.webhooks.pull_request import TRIGGERS
from schema.codec import FactMapper
from schema.events import HeadLeftOut, ReviewRequested

ROUNDS = 3  # tries at a stream that others append to meanwhile
PAGE = 100  # pull requests that are looked up at once
MOST_FAILURES = 3  # installations in a row for which GitHub may be unavailable
DRAFT = "draft"
BEFORE_US = "it was pushed before ReviewBot was there"

logger = structlog.get_logger(__name__)
_mapper = FactMapper()


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How far one sweep goes."""

    grace: timedelta = timedelta(minutes=10)  # younger changes are left to their deliveries, which may come late
    pulls: int = 1_000  # of one repository, the last changed first
    asks: int = 1_000  # reviews asked for in one sweep


class Swept(msgspec.Struct):
    """What one sweep found and did."""

    repositories: int = 0
    heads: int = 0  # open pull requests that were looked at
    requested: int = 0  # reviews asked for
    left_out: int = 0  # heads that were left out for a reason that is now recorded
    refused: int = 0  # installations and repositories that GitHub does not open to us
    retry_after: float | None = None  # seconds after which the rest of the sweep may be tried; None: it is complete

    def postpone(self, seconds: float) -> None:
        """Something is left for later."""
        self.retry_after = max(self.retry_after or 0.0, seconds)


class Sweep:
    """`sweep` is one round over all installations. After one that was cut short, the next goes on with the rest."""

    def __init__(self, tools: Tools, reach: Reach) -> None:
        self._tools, self._store, self._metrics, self._reach = tools, tools.store, tools.metrics, reach

    async def sweep(self, swept: Swept, hold: Hold, tell: Tell, *, fresh_seconds: float | None) -> None:
        """Sweep the repositories that were not swept within `fresh_seconds`, and there what has changed since they
        were; None: all of it. Counts into `swept`. One installation's trouble is no other's.

        Raises GitHub's errors where the App itself is concerned, LeaseLost and OperationalError.
        """
        await hold()
        installations = [each for each in await list_installations(self._tools.github.app) if not each.suspended_at]
        failures = 0
        for done, installation in enumerate(installations, start=1):
            try:
                await self._installation(installation, swept, hold, fresh_seconds)
                failures = 0
            except FinalError as error:  # suspended, uninstalled, or without the permission
                swept.refused += 1
                logger.warning("an installation cannot be swept", installation=installation.id, reason=str(error))
            except GitHubRateLimited as limited:
                swept.postpone(limited.retry_after or 0.0)
            except GitHubUnavailable as error:
                swept.postpone(error.retry_after or 0.0)
                failures += 1
                if failures == MOST_FAILURES:
                    raise
            tell("sweeping installations", done, len(installations))

    async def _installation(
        self, installation: Installation, swept: Swept, hold: Hold, fresh_seconds: float | None
    ) -> None:
        await hold()
        client = self._tools.github.installation(installation.id)
        found = [each for each in await list_repositories(client) if not (each.archived or each.disabled)]
        fresh = set()
        if fresh_seconds is not None:
            fresh = await self._store.fresh([each.id for each in found], fresh_seconds)
        for repository in found:
            if repository.id in fresh:
                continue
            await hold()
            try:
                await self._repository(client, installation, repository, swept, everything=fresh_seconds is None)
            except FinalError as error:  # gone since it was listed, or its pull requests are closed to us
                swept.refused += 1
                logger.warning("a repository cannot be swept", repository=repository.full_name, reason=str(error))

    async def _repository(
        self,
        client: Client,
        installation: Installation,
        repository: InstalledRepository,
        swept: Swept,
        *,
        everything: bool,
    ) -> None:
        met = await self._store.meet(repository.id, installation.created_at, self._tools.window)
        ripe = met.now - self._reach.grace
        looked_until = None if everything else met.swept_until
        pulls = await self._changed_since(client, repository, max(met.since, looked_until or met.since), ripe)
        place = _Place(client, installation.id, repository, met)
        complete = True
        for start in range(0, len(pulls), PAGE):
            complete &= await self._decide(place, pulls[start : start + PAGE], swept)
        swept.repositories += 1
        swept.heads += len(pulls)
        if complete:
            await self._store.save_swept(repository.id, ripe)

    async def _changed_since(
        self, client: Client, repository: InstalledRepository, since: datetime, until: datetime
    ) -> list[OpenPull]:
        """The open pull requests that changed in that time. Those before it were looked at by an earlier sweep, or are
        none of ReviewBot's business: nothing was pushed to them since it is there."""
        found: list[OpenPull] = []
        async for pull in open_pulls(client, repository.full_name):
            if pull.updated_at < since:
                break
            if len(found) == self._reach.pulls:
                logger.warning(
                    "a repository has more open pull requests than one sweep looks at",
                    repository=repository.full_name,
                    looked_at=len(found),
                )
                break
            if pull.updated_at <= until:
                found.append(pull)
        return found

    async def _decide(self, place: _Place, pulls: Sequence[OpenPull], swept: Swept) -> bool:
        """Explain what nothing explains yet. False: there was more to ask for than one sweep may."""
        heads = [OpenHead(pull.number, pull.head.sha, pull.draft) for pull in pulls]
        unexplained = await self._store.unexplained(place.repository.id, heads, list(TRIGGERS))
        drafts = await reviews_drafts(self._tools.log, place.installation, place.repository.id)
        for pull in pulls:
            if pull.number not in unexplained:
                continue
            reason = await _why_not(place, pull, known=unexplained[pull.number], drafts=drafts)
            if reason is not None:
                swept.left_out += await self._leave_out(place, pull, reason)
            elif swept.requested < self._reach.asks:
                swept.requested += await self._ask(place, pull)
            else:
                swept.postpone(0.0)
                return False
        return True

    async def _leave_out(self, place: _Place, pull: OpenPull, reason: str) -> bool:
        fact = HeadLeftOut(
            installation=place.installation,
            repository_id=place.repository.id,
            repository=place.repository.full_name,
            pull_request=pull.number,
            head_sha=pull.head.sha,
            reason=reason,
        )
        about = f"head/{place.repository.id}/{pull.number}/{pull.head.sha}/{reason}"
        fresh = await self._tools.say_once(about, fact, installation=place.installation)
        self._metrics.swept_heads.labels("left_out").inc(fresh)
        return fresh

    async def _ask(self, place: _Place, pull: OpenPull) -> bool:
        """True when nobody had asked: the stream of the job is the judge, as it is for deliveries."""
        request = ReviewRequested(
            installation=place.installation,
            repository_id=place.repository.id,
            repository=place.repository.full_name,
            pull_request=pull.number,
            head_sha=pull.head.sha,
            trigger="sweep",
            asked_at=min(pull.updated_at, place.met.now),  # one from the future would hold up all later ones
        )
        stream = job_id(place.installation, place.repository.id, pull.number, pull.head.sha)
        for _ in range(ROUNDS):
            job = ReviewJob.replay(stream, await self._tools.log.read_stream(stream))
            try:
                job.ask(request)
                events = [_mapper.to_stored_event(event) for event in job.collect_events()]
                await self._tools.log.append(events, self._tools.meta(installation=place.installation))
            except AlreadyRequested:
                return False
            except IntegrityError:
                continue
            self._metrics.swept_heads.labels("requested").inc()
            logger.warning(
                "a head without a review was found",
                repository=request.repository,
                pull_request=pull.number,
                job=str(stream),
            )
            return True
        return False  # it changes all the time, so somebody is at it


class _Place(msgspec.Struct, frozen=True):
    """Where a head was found."""

    client: Client
    installation: int
    repository: InstalledRepository
    met: Met


async def _why_not(place: _Place, pull: OpenPull, *, known: bool, drafts: bool) -> str | None:
    """Why a head is not to be reviewed; None: it is. `drafts`: whether the repository wants drafts reviewed."""
    if pull.draft and not drafts:
        return DRAFT
    if pull.user is not None and pull.user.type == "Bot":
        return "a bot opened it"
    since = place.met.since
    if known or pull.created_at >= since:  # what was pushed to it came after that
        return None
    made = await committed_at(place.client, place.repository.full_name, pull.head.sha)
    return None if made is not None and made >= since else BEFORE_US
