"""Compares what GitHub says that it delivered with the inbox, and asks again for what is missing.

GitHub does not deliver anything twice by itself and forgets deliveries within days. The inbox alone says what arrived:
it is written before GitHub gets its answer.
Source: https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import structlog

from reviewbot.errors import GitHubRefused, GitHubUnavailable, NotPermitted
from reviewbot.github.deliveries import DeliveryPage, list_deliveries, redeliver
from reviewbot.github.models import Delivery
from reviewbot.recovery.store import Comparison, Missing
from reviewbot.recovery.work import Hold, Tell, Tools
from schema.events import DeliveryLost, DeliveryMissed, IntakeGap

OVERLAP = timedelta(minutes=15)  # what is compared once more: clocks differ, and a list may show an entry late
MOST_FAILURES = 3  # requests that may fail in one run before GitHub is left alone for a while

logger = structlog.get_logger(__name__)


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much one run may do, and how fast. Times in seconds."""

    pages: int = 100
    asks: int = 500
    pace: float = 1.0  # GitHub asks for a second between writes
    waits: tuple[float, float] = (60.0, 3_600.0)  # first and longest wait until a delivery is asked for once more


class Recovered(msgspec.Struct):
    """What one run found and did. All but `arrived` counts what this run met for the first time."""

    compared: int = 0  # attempts of deliveries that GitHub lists
    failed: int = 0  # deliveries that never got an OK from us
    promised: int = 0  # deliveries that got one, and are not in the inbox
    asked: int = 0  # deliveries asked for again
    arrived: int = 0  # deliveries that had been missing, and are in the inbox now
    lost: int = 0  # deliveries that GitHub does not send any more
    gap: tuple[datetime, datetime] | None = None  # a time that nobody can compare any more
    unfinished: bool = False  # there is more to do at once


class Deliveries:
    """`recover` is one bounded run. What it has done is kept at every step: the next run goes on from there."""

    def __init__(self, tools: Tools, bounds: Bounds) -> None:
        self._tools, self._store, self._metrics, self._bounds = tools, tools.store, tools.metrics, bounds

    async def recover(self, found: Recovered, hold: Hold, tell: Tell) -> None:
        """Compare, then ask; counts into `found`. Raises GitHub's errors, LeaseLost and OperationalError."""
        await hold()
        found.arrived = await self._store.settle(self._tools.window)
        if found.arrived:
            self._metrics.deliveries_recovered.inc(found.arrived)
            logger.info("missing deliveries have arrived", deliveries=found.arrived)
        await self._give_up(found)
        await self._compare(found, hold, tell)
        await self._ask(found, hold, tell)

    # --- comparing ----------------------------------------------------------------------------------------------

    async def _compare(self, found: Recovered, hold: Hold, tell: Tell) -> None:
        pages = self._bounds.pages
        under_way = await self._store.begin()
        while pages > 0:
            broken_off = under_way.cursor is not None
            pages = await self._compare_back(under_way, pages, found, hold, tell)
            if not broken_off or pages == 0:
                return
            under_way = await self._store.begin()  # that was the rest of an older one: what came since is next

    async def _compare_back(self, under_way: Comparison, pages: int, found: Recovered, hold: Hold, tell: Tell) -> int:
        """Page from the newest delivery, or from where it was broken off, to what is covered. Gives the pages left."""
        floor = await self._floor(under_way, found)
        cursor, top = under_way.cursor, under_way.top
        while True:
            if pages == 0:
                found.unfinished = True
                return 0
            await hold()
            page = await self._page(cursor)
            await self._look_at(page, found)
            pages -= 1
            oldest = page.deliveries[-1].delivered_at if page.deliveries else floor
            tell("comparing deliveries", _seconds(top - max(oldest, floor)), _seconds(top - floor))
            if page.cursor is None or oldest < floor:
                await self._store.cover()
                self._metrics.recovered_at.set(top.timestamp())
                return pages
            cursor = page.cursor
            await self._store.save_cursor(cursor)

    async def _floor(self, under_way: Comparison, found: Recovered) -> datetime:
        """How far back to go. What GitHub has forgotten meanwhile is said loudly."""
        oldest, covered = under_way.now - self._tools.window, under_way.covered_until
        if covered is None:
            return oldest
        if covered < oldest:
            await self._say_gap(covered, oldest)
            found.gap = (covered, oldest)
        return max(covered - OVERLAP, oldest)

    async def _say_gap(self, since: datetime, until: datetime) -> None:
        if await self._tools.say_once(f"gap/{since.isoformat()}", IntakeGap(since=since, until=until)):
            self._metrics.intake_gaps.inc()
        logger.error(
            "the deliveries of a while cannot be recovered: GitHub has forgotten them. Open pull requests are swept",
            since=since.isoformat(),
            until=until.isoformat(),
        )
        await self._store.skip_gap(until)

    async def _page(self, cursor: str | None) -> DeliveryPage:
        try:
            return await list_deliveries(self._tools.github.app, cursor)
        except GitHubRefused:
            if cursor is not None:  # GitHub may have forgotten where it pointed: the next run starts from the newest
                await self._store.save_cursor(None)
            raise

    async def _look_at(self, page: DeliveryPage, found: Recovered) -> None:
        found.compared += len(page.deliveries)
        listed = _by_guid(page.deliveries)
        absent = await self._store.absent(list(listed))
        missing = [listed[guid] for guid in absent]
        for each in missing:
            if each.promised and not absent[each.delivery]:
                await self._alarm(each)
        if missing:
            for promised in await self._store.add_missing(missing):
                found.promised += promised
                found.failed += not promised
                self._metrics.deliveries_missing.labels("promised" if promised else "failed").inc()

    async def _alarm(self, missing: Missing) -> None:
        """GitHub has our OK, which is only given after the commit: something is wrong, and must not go by unseen."""
        fact = DeliveryMissed(event=missing.event, action=missing.action, delivered_at=missing.delivered_at)
        guid = missing.delivery
        await self._tools.say_once(f"missed/{guid}", fact, installation=missing.installation, delivery=guid)
        logger.error(
            "a delivery was acknowledged and is not in the inbox. Was the database restored from a backup, or does "
            "something else answer at the webhook's address?",
            delivery=str(guid),
            github_event=missing.event,
            delivered_at=missing.delivered_at.isoformat(),
        )

    # --- asking again -------------------------------------------------------------------------------------------

    async def _ask(self, found: Recovered, hold: Hold, tell: Tell) -> None:
        due = await self._store.due(self._bounds.asks)
        failures = 0
        for done, missing in enumerate(due, start=1):
            await hold()
            try:
                found.asked += await self._ask_for(missing, found)
            except (GitHubUnavailable, GitHubRefused, NotPermitted) as error:
                await self._store.save_asked(missing.delivery, self._bounds.waits)  # the others shall not wait for it
                failures += 1
                logger.warning("a delivery could not be asked for", delivery=str(missing.delivery), error=str(error))
                if failures == MOST_FAILURES:
                    raise
            tell("asking again", done, len(due))
            if done < len(due):
                await asyncio.sleep(self._bounds.pace)
        found.unfinished |= len(due) == self._bounds.asks

    async def _ask_for(self, missing: Missing, found: Recovered) -> bool:
        """True when GitHub will send it."""
        try:
            await redeliver(self._tools.github.app, missing.attempt)
        except GitHubRefused as refused:
            if refused.status != 404:
                raise
            await self._lose(missing, "GitHub does not keep it any more", found)
            return False
        await self._store.save_asked(missing.delivery, self._bounds.waits)
        self._metrics.deliveries_asked_again.inc()
        return True

    async def _give_up(self, found: Recovered) -> None:
        """What was asked for in vain until GitHub forgot it."""
        for missing in await self._store.out_of_time(self._tools.window, self._bounds.asks):
            await self._lose(missing, missing.status, found)

    async def _lose(self, missing: Missing, status: str, found: Recovered) -> None:
        fact = DeliveryLost(
            event=missing.event,
            action=missing.action,
            delivered_at=missing.delivered_at,
            status=status,
            asked=missing.asked,
        )
        guid = missing.delivery
        await self._tools.say_once(f"lost/{guid}", fact, installation=missing.installation, delivery=guid)
        await self._store.save_lost(guid)
        found.lost += 1
        self._metrics.deliveries_lost.inc()
        logger.error(
            "a delivery is lost for good",
            delivery=str(guid),
            github_event=missing.event,
            status=status,
            asked=fact.asked,
        )


def _by_guid(deliveries: Iterable[Delivery]) -> dict[UUID, Missing]:
    """One entry per guid, from its attempts, the newest first."""
    found: dict[UUID, Missing] = {}
    for each in deliveries:
        try:
            guid = UUID(each.guid)
        except ValueError:
            logger.warning("GitHub lists a delivery whose guid is none", delivery=each.guid[:64])
            continue
        newer = found.get(guid)
        found[guid] = Missing(
            delivery=guid,
            attempt=newer.attempt if newer else each.id,
            event=each.event,
            action=each.action,
            installation=each.installation_id,
            repository_id=each.repository_id,
            delivered_at=each.delivered_at,
            status=newer.status if newer else each.status,
            promised=each.succeeded or (newer is not None and newer.promised),
        )
    return found


def _seconds(span: timedelta) -> int:
    return max(0, int(span.total_seconds()))
