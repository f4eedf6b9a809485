"""Open heads that nobody reviews: found once, and only where a review is ReviewBot's business."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from reviewbot.demo.state import PullRequest
from reviewbot.recovery.keeper import LATE_EVENTS, TablesBehind
from reviewbot.recovery.store import Store
from reviewbot.recovery.sweep import BEFORE_US, Reach
from reviewbot.review import job_id
from schema.events import (
    HeadLeftOut,
    PullRequestDrafted,
    ReviewCompleted,
    ReviewRequested,
    ReviewSuperseded,
    SettingsRead,
)
from tests.deliveries import sample
from tests.demo.hub import Commits
from tests.helpers import append, job_of, meta, project, requested
from tests.recovery.ground import INSTALLATION, REPO, Ground

DAY = 86_400.0


async def missed(ground: Ground, times: int = 1, **how: object) -> int:
    """Open pull requests of which GitHub tells nothing."""
    ground.is_forgotten()
    number = await ground.open(times, **how)  # type: ignore[arg-type]  # as `open` takes them
    ground.hears()
    return number


def pull(ground: Ground, number: int) -> PullRequest:
    return ground.standin.pull(REPO, number)


def stream(ground: Ground, number: int) -> UUID:
    """The job of a pull request's head."""
    return job_id(INSTALLATION, ground.standin.repository(REPO).id, number, pull(ground, number).head_sha)


async def reasons(ground: Ground) -> list[str]:
    return [fact.reason for fact in await ground.facts(HeadLeftOut) if isinstance(fact, HeadLeftOut)]


# --- what is found --------------------------------------------------------------------------------------------------


async def test_a_head_that_nobody_knows_is_asked_for_exactly_once(ground: Ground) -> None:
    number = await missed(ground)
    assert (await ground.recoverer().sweep()).requested == 1
    for _ in range(2):
        assert (await ground.recoverer().sweep(everything=True)).requested == 0
        await project(ground.service.pool)
    (fact,) = await ground.facts(ReviewRequested)
    assert isinstance(fact, ReviewRequested)
    assert (fact.trigger, fact.pull_request, fact.head_sha) == ("sweep", number, pull(ground, number).head_sha)
    (event,) = await ground.service.events()
    assert (event.actor, event.installation, event.stream) == ("worker:test", INSTALLATION, stream(ground, number))


async def test_the_delivery_of_a_swept_head_asks_for_nothing_more(ground: Ground) -> None:
    await missed(ground)
    await ground.recoverer().sweep()
    (late,) = await ground.standin.webhooks.release()
    assert (late.status_code, '"duplicate"' in late.response_body) == (200, True)
    assert len(await ground.facts(ReviewRequested)) == 1


async def test_a_head_whose_review_was_asked_for_is_passed_over(ground: Ground) -> None:
    await ground.open()
    assert (await ground.recoverer().sweep()).requested == 0  # though the jobs table does not show it yet
    await project(ground.service.pool)
    assert (await ground.recoverer().sweep(everything=True)).requested == 0
    assert await ground.requests() == [(1, "opened")]


async def test_a_push_that_was_missed_is_found(ground: Ground) -> None:
    number = await ground.open()
    ground.is_forgotten()
    await ground.standin.push(REPO, number, "later")
    assert (await ground.recoverer().sweep()).requested == 1
    assert await ground.requests() == [(1, "opened"), (1, "sweep")]


async def test_a_head_that_came_back_after_it_was_superseded_is_asked_for_again(ground: Ground) -> None:
    number = await ground.open()
    await append(ground.service.log, stream(ground, number), ReviewSuperseded(), after=1)
    await project(ground.service.pool)
    pull(ground, number).updated_at += 1
    time.sleep(1)  # noqa: ASYNC251 - GitHub's times have no fractions
    assert (await ground.recoverer().sweep()).requested == 1
    assert (await ground.recoverer().sweep(everything=True)).requested == 0


async def test_a_completed_review_is_never_asked_for_again(ground: Ground) -> None:
    number = await ground.open()
    head = pull(ground, number).head_sha
    done = ReviewCompleted(head_sha=head, findings=0, conclusion="success")
    await append(ground.service.log, stream(ground, number), done, after=1)
    assert (await ground.recoverer().sweep()).requested == 0
    await project(ground.service.pool)
    assert (await ground.recoverer().sweep(everything=True)).requested == 0


async def test_a_draft_that_became_ready_unheard_is_found(ground: Ground) -> None:
    number = await ground.open(draft=True)
    assert len(await ground.facts(PullRequestDrafted)) == 1
    ground.is_forgotten()
    await ground.standin.ready_for_review(REPO, number)
    assert (await ground.recoverer().sweep()).requested == 1


async def test_a_delivery_that_asked_for_nothing_explains_nothing(ground: Ground) -> None:
    number = await missed(ground)
    place = ground.standin.repository(REPO)
    labeled = sample(
        "pull_request.opened",
        action="labeled",
        number=number,
        pull_request__number=number,
        pull_request__head__sha=pull(ground, number).head_sha,
        repository__id=place.id,
        repository__full_name=REPO,
    )
    assert (await ground.service.deliver(labeled)).json["status"] == "ignored"
    assert (await ground.recoverer().sweep()).requested == 1


# --- what is left out, with its reason ------------------------------------------------------------------------------


async def test_drafts_and_bots_are_left_out_with_a_reason_that_is_recorded_once(ground: Ground) -> None:
    await missed(ground, draft=True)
    ground.standin.world.account("renovate[bot]", "Bot")
    await missed(ground, author="renovate[bot]")
    for _ in range(2):
        assert (await ground.recoverer().sweep(everything=True)).requested == 0
    assert await reasons(ground) == ["a bot opened it", "draft"]


async def test_a_missed_draft_is_asked_for_where_the_repository_has_drafts_reviewed(ground: Ground) -> None:
    await missed(ground, draft=True)
    place = ground.standin.repository(REPO).id
    request = requested(installation=INSTALLATION, repository_id=place, pull_request=99)
    read = SettingsRead(repository_id=place, base_sha="b" * 40, blob_sha="c" * 40, settings="d", drafts=True)
    await append(ground.service.log, job_of(request), request, read, about=meta(installation=INSTALLATION))
    swept = await ground.recoverer().sweep(everything=True)
    assert (swept.requested, swept.left_out) == (1, 0)


async def test_a_draft_left_out_is_asked_for_once_it_is_ready(ground: Ground) -> None:
    number = await missed(ground, draft=True)
    await ground.recoverer().sweep()
    ground.is_forgotten()
    await ground.standin.ready_for_review(REPO, number)
    assert (await ground.recoverer().sweep(everything=True)).requested == 1


async def test_what_a_delivery_gave_a_reason_for_needs_no_other(ground: Ground) -> None:
    ground.standin.world.account("renovate[bot]", "Bot")
    await ground.open(author="renovate[bot]")
    await ground.open(draft=True)
    swept = await ground.recoverer().sweep()
    assert (swept.requested, swept.left_out, swept.heads) == (0, 0, 2)


async def test_a_new_installation_is_not_flooded_with_old_pull_requests(ground: Ground) -> None:
    await missed(ground, 20)
    now = time.time()
    for old in ground.standin.repository(REPO).pulls.values():
        old.created_at, old.updated_at = now - 300 * DAY, now - 200 * DAY
    ground.standin.installation(INSTALLATION).created_at = now - 120
    discussed = pull(ground, 7)
    discussed.updated_at = now - 60  # a comment; its commit is of 2023
    await missed(ground)
    swept = await ground.recoverer().sweep()
    assert (swept.requested, swept.left_out) == (1, 1)
    assert await ground.requests() == [(21, "sweep")]
    assert await reasons(ground) == [BEFORE_US]
    assert (await ground.recoverer().sweep(everything=True)).left_out == 0


async def test_an_old_pull_request_that_was_pushed_to_since_is_asked_for(ground: Ground, commits: Commits) -> None:
    """Told by the commit's own date: `topic` is a day older than `later`."""
    await missed(ground)
    await missed(ground, head="later")
    since = datetime.fromtimestamp(1_700_000_000 + 2.5 * DAY, UTC)
    for old in ground.standin.repository(REPO).pulls.values():
        old.created_at = since.timestamp() - DAY
    insert = "insert into swept_repository (repository_id, since) values ($1, $2)"
    await ground.service.pool.execute(insert, ground.standin.repository(REPO).id, since)
    swept = await ground.recoverer().sweep()
    assert (swept.requested, swept.left_out) == (1, 1)
    assert await ground.requests() == [(2, "sweep")]


async def test_a_repository_added_later_counts_from_the_last_sweep_on(ground: Ground, commits: Commits) -> None:
    await ground.recoverer().sweep()
    added = await ground.standin.add_repository("acme/added", commits.path, installation_id=INSTALLATION)
    ground.is_forgotten()
    await ground.standin.open_pull_request("acme/added", base="main", head="topic", title="Old")
    added.pulls[1].created_at = added.pulls[1].updated_at = time.time() - DAY
    await ground.standin.open_pull_request("acme/added", base="main", head="topic", title="New")
    await ground.service.pool.execute("update recovery set swept_at = now() - interval '1 minute'")
    assert (await ground.recoverer().sweep(everything=True)).requested == 1
    assert await ground.requests() == [(2, "sweep")]


async def test_what_changed_a_moment_ago_is_left_to_its_delivery_at_first(ground: Ground) -> None:
    await missed(ground)
    patient = Reach(grace=timedelta(minutes=10))
    assert (await ground.recoverer(reach=patient).sweep()).heads == 0
    pull(ground, 1).updated_at -= 700
    await ground.service.pool.execute("update swept_repository set since = now() - interval '1 hour'")
    await ground.service.pool.execute("update swept_repository set swept_until = swept_until - interval '1 hour'")
    assert (await ground.recoverer(reach=patient).sweep()).requested == 1


# --- in bounds, and whatever goes wrong -----------------------------------------------------------------------------


async def test_a_sweep_asks_for_no_more_than_it_may_and_the_next_one_goes_on(ground: Ground) -> None:
    await missed(ground, 5)
    swept = await ground.recoverer(reach=Reach(grace=timedelta(), asks=3)).sweep()
    assert (swept.requested, swept.retry_after) == (3, 0.0)
    assert await ground.service.pool.fetchval("select swept_at is null from recovery")
    assert (await ground.recoverer(reach=Reach(grace=timedelta(), asks=3)).sweep()).requested == 2
    assert len(await ground.requests()) == 5


async def test_one_installations_limit_is_not_anothers(ground: Ground, commits: Commits) -> None:
    await ground.standin.add_repository("other/shop", commits.path)
    await missed(ground)
    ground.is_forgotten()
    await ground.standin.open_pull_request("other/shop", base="main", head="topic", title="A change")
    ground.standin.trouble("GET /repos/acme/shop/pulls", "secondary-limit", retry_after=600)
    swept = await ground.recoverer().sweep()
    assert swept.requested == 1
    assert swept.retry_after is not None
    assert 590 < swept.retry_after <= 600
    wait = await ground.service.pool.fetchval("select extract(epoch from sweep_due - now()) from recovery")
    assert 590 < wait <= 600
    assert (await ground.recoverer().sweep()).requested == 1


async def test_installations_that_are_closed_to_us_are_passed_over(ground: Ground, commits: Commits) -> None:
    await ground.standin.add_repository("other/shop", commits.path)
    await missed(ground)
    other = ground.standin.repository("other/shop").installation
    other.suspended_at = time.time()
    assert (await ground.recoverer().sweep()).requested == 1
    other.suspended_at, other.permissions = None, {"metadata": "read"}
    swept = await ground.recoverer().sweep(everything=True)
    assert (swept.refused, swept.retry_after) == (1, None)


async def test_nothing_is_swept_while_the_jobs_table_is_behind(ground: Ground) -> None:
    await missed(ground)
    await ground.service.pool.execute("update log_head set position = position + $1", LATE_EVENTS + 1)
    with pytest.raises(TablesBehind):
        await ground.recoverer().sweep()
    assert await ground.service.pool.fetchval("select sweep_due > now() from recovery")


async def test_a_sweep_that_forgets_what_is_reviewed_is_stopped_by_the_log(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables only suggest: even when they explain nothing at all, no review is asked for twice."""

    async def all_of_them(_store: Store, _repository: int, heads: list[object], _asking: list[str]) -> dict[int, bool]:
        return {head.number: True for head in heads}  # type: ignore[attr-defined]  # an OpenHead

    await ground.open()
    monkeypatch.setattr(Store, "unexplained", all_of_them)
    assert (await ground.recoverer().sweep()).requested == 0
    assert await ground.requests() == [(1, "opened")]
