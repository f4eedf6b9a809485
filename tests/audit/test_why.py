"""Why a head was or was not reviewed: every kind of ending and of waiting, told from a log made by real appends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from reviewbot.audit.remedies import REMEDIES
from reviewbot.audit.why import Answer, Limits, known, why
from reviewbot.review import check_stream
from schema import events as e
from schema.log import Log
from schema.processes import Processes
from tests.helpers import HEAD, START, append, job_of, meta, project, requested

NAME = "octo/hello"
OTHER = "b" * 40
LIMITS = Limits(per_installation=1, lease_seconds=30)
FUTURE = datetime(2999, 1, 1, tzinfo=UTC)


@dataclass
class Told:
    """A log in which things are told, and the question about it."""

    pool: asyncpg.Pool[asyncpg.Record]
    log: Log
    versions: dict[UUID, int] = field(default_factory=dict)

    async def ask(self, head: str | None = HEAD, *, seconds: int = 0, pull: int = 1, key: str = "push") -> UUID:
        fact = requested(pull_request=pull, head_sha=head, asked_at=START + timedelta(seconds=seconds))
        job = job_of(fact, key)
        await self.tell(job, fact)
        return job

    async def tell(self, stream: UUID, *facts: e.Fact) -> None:
        after = self.versions.get(stream, 0)
        await append(self.log, stream, *facts, after=after)
        self.versions[stream] = after + len(facts)

    async def start(self, job: UUID) -> None:
        deadline = datetime.now(UTC) + timedelta(minutes=10)
        await self.tell(job, e.ReviewStarted(attempt=1, claim_no=1, worker=uuid4(), deadline=deadline))

    async def answers(self, head: str | None = None) -> list[Answer]:
        await project(self.pool)
        return why(await known(self.pool, NAME, 1, LIMITS), LIMITS, head)

    async def text(self, head: str | None = None) -> str:
        (answer,) = await self.answers(head)
        return f"{answer.verdict}\n" + "\n".join(answer.sentences)


@pytest.fixture
def log_told(pool: asyncpg.Pool[asyncpg.Record], log: Log) -> Told:
    return Told(pool, log)


async def test_a_reviewed_head_says_when_what_and_where(log_told: Told) -> None:
    job = await log_told.ask()
    await log_told.start(job)
    posted = e.ReviewPosted(review_id=5, url="https://github.com/octo/hello/pull/1#x", comments=2)
    await log_told.tell(job, posted, e.ReviewCompleted(head_sha=HEAD, findings=2, conclusion="neutral", review_id=5))
    text = await log_told.text()
    assert text.startswith("reviewed\nocto/hello#1 at aaaaaaaaaaaa: reviewed on 20")
    assert "2 findings (neutral)" in text
    assert "The review: https://github.com/octo/hello/pull/1#x" in text
    assert f"audit history {job}" in text


async def test_a_reviewed_head_whose_check_run_is_late_says_so(log_told: Told) -> None:
    job = await log_told.ask()
    await log_told.tell(check_stream(job), e.CheckRunCreated(job=job, check_run_id=1, head_sha=HEAD, request_version=1))
    await log_told.start(job)
    await log_told.tell(job, e.ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success"))
    assert "Its Check Run on GitHub does not say so yet" in await log_told.text()
    concluded = e.CheckRunConcluded(job=job, check_run_id=1, conclusion="success", request_version=1)
    await log_told.tell(check_stream(job), concluded)
    assert "does not say so yet" not in await log_told.text()


async def test_a_running_review_says_since_when(log_told: Told) -> None:
    await log_told.start(await log_told.ask())
    assert (await log_told.text()).startswith("running\nocto/hello#1 at aaaaaaaaaaaa: being reviewed since ")


async def test_a_waiting_review_says_what_it_waits_for(log_told: Told) -> None:
    job = await log_told.ask()
    assert "No worker is alive: start a process with the role worker or all." in await log_told.text()
    await Processes(log_told.pool, uuid4(), "one").enlist()
    assert "Nothing holds it back" in await log_told.text()
    running = await log_told.ask(pull=2)
    await log_told.start(running)
    text = await log_told.text()
    assert "waiting since " in text
    assert "at its limit: 1 of 1 reviews run" in text
    assert str(job) in text


async def test_a_waiting_review_says_how_many_come_first(log_told: Told) -> None:
    for pull in (2, 3):
        await log_told.ask(pull=pull)
    await log_told.ask()
    assert "2 reviews of the same installation come first." in await log_told.text()


async def test_a_paused_installation_and_a_paused_provider_are_named_with_their_ends(log_told: Told) -> None:
    job = await log_told.ask()
    await log_told.start(job)
    limit = e.ReviewReleased(reason="GitHub's limit", retry_at=FUTURE, refunded=True, pause="installation")
    await log_told.tell(job, limit)
    text = await log_told.text()
    assert "It was put back on" in text
    assert "The installation is paused until 2999-01-01 00:00:00 UTC: GitHub's limit" in text
    assert "It is tried next at 2999-01-01" in text
    other = await log_told.ask(pull=2)
    await log_told.start(other)
    pause = e.ReviewReleased(reason="quota", retry_at=FUTURE, refunded=True, pause="provider", provider="openai")
    await log_told.tell(other, pause)
    assert "The model provider is paused until 2999-01-01" in await log_told.text()


async def test_a_failed_attempt_that_is_tried_again_says_when_and_why(log_told: Told) -> None:
    job = await log_told.ask()
    await log_told.start(job)
    await log_told.tell(job, e.ReviewFailed(code="provider_unavailable", reason="It is down.", retry_at=FUTURE))
    text = await log_told.text()
    assert text.startswith("waiting\n")
    assert "(provider_unavailable): It is down." in text
    assert "It is tried next at 2999-01-01 00:00:00 UTC." in text


async def test_a_suspended_installation_is_named(log_told: Told) -> None:
    await log_told.ask()
    await log_told.tell(uuid4(), e.InstallationSuspended(installation=42, at=START))
    assert "The installation is suspended since 2026-01-01 00:00:00 UTC" in await log_told.text()


async def test_an_uninstalled_app_is_named(log_told: Told) -> None:
    await log_told.ask()
    await log_told.tell(uuid4(), e.InstallationDeleted(installation=42, at=START))
    assert "The App was uninstalled" in await log_told.text()


@pytest.mark.parametrize("code", ["deadline", "something_new"])
async def test_a_failed_review_says_why_and_what_to_do(log_told: Told, code: str) -> None:
    job = await log_told.ask()
    await log_told.start(job)
    await log_told.tell(job, e.ReviewFailed(code=code, reason="It broke."))
    text = await log_told.text()
    assert text.startswith("failed\n")
    assert f"The reason ({code}): It broke." in text
    assert "What to do: " + REMEDIES.get(code, "See the reason") in text


async def test_a_superseded_head_names_the_newer_one_before_and_after_it_is_written_down(log_told: Told) -> None:
    old = await log_told.ask()
    new = await log_told.ask(OTHER, seconds=10)
    text = await log_told.text("aaaa")
    assert "a newer request took its place; a worker has yet to write that down" in text
    assert f"The newer one is job {new} for bbbbbbbbbbbb, which is queued." in text
    await log_told.tell(old, e.ReviewSuperseded(by=new))
    text = await log_told.text("aaaa")
    assert text.startswith("superseded\n")
    assert f"The newer one is job {new} for bbbbbbbbbbbb, which is queued." in text
    assert (await log_told.text()).startswith("waiting\nocto/hello#1 at bbbbbbbbbbbb: waiting since")


@pytest.mark.parametrize("reason", ["closed", "merged", "draft"])
async def test_a_cancelled_review_says_why(log_told: Told, reason: str) -> None:
    job = await log_told.ask()
    at = START + timedelta(seconds=5)
    where: dict[str, object] = {"installation": 42, "repository_id": 7, "repository": NAME, "pull_request": 1, "at": at}
    if reason == "draft":
        await log_told.tell(uuid4(), e.PullRequestDrafted(**where, head_sha=HEAD))  # type: ignore[arg-type]  # as named
    else:
        await log_told.tell(uuid4(), e.PullRequestClosed(**where, merged=reason == "merged"))  # type: ignore[arg-type]  # as named
    assert f"the pull request was {reason}; a worker has yet" in await log_told.text()
    await log_told.tell(job, e.ReviewCancelled(reason=reason))
    text = await log_told.text()
    assert text.startswith("cancelled\n")
    assert f"({reason})" in text
    assert ("when it is marked ready" in text) == (reason == "draft")


async def test_a_skipped_review_says_why(log_told: Told) -> None:
    job = await log_told.ask()
    await log_told.start(job)
    await log_told.tell(job, e.ReviewSkipped(reason="the commenter may not write here"))
    assert (await log_told.text()).startswith(
        "skipped\nocto/hello#1 at aaaaaaaaaaaa: not reviewed on purpose: the commenter may not write here"
    )


async def test_a_head_that_nobody_asked_for_tells_what_was_said_of_it(log_told: Told) -> None:
    where = {"repository_id": 7, "repository": NAME, "pull_request": 1, "head_sha": HEAD}
    ignored = e.DeliveryIgnored(event="pull_request", action="opened", reason="a bot did this (x)", **where)  # type: ignore[arg-type]  # as named
    await log_told.tell(uuid4(), ignored)
    await log_told.tell(uuid4(), e.HeadLeftOut(installation=42, reason="a bot opened it (x)", **where))  # type: ignore[arg-type]  # as named
    text = await log_told.text()
    assert text.startswith("left out\nocto/hello#1 at aaaaaaaaaaaa: no review was ever asked for.")
    assert "asked for nothing: a bot did this (x)." in text
    assert "left it out: a bot opened it (x)." in text


async def test_a_head_that_was_opened_as_a_draft_waits_until_it_is_ready(log_told: Told) -> None:
    drafted = e.PullRequestDrafted(
        installation=42, repository_id=7, repository=NAME, pull_request=1, head_sha=HEAD, at=START
    )
    await log_told.tell(uuid4(), drafted)
    assert "waits until it is ready" in await log_told.text()


async def test_what_never_arrived_is_said_so_and_what_may_have_been_lost(log_told: Told) -> None:
    text = await log_told.text()
    assert text.startswith("unknown\nocto/hello#1: nothing about it ever arrived.")
    assert "No gap and no lost delivery is known." in text
    assert "reviewbot deliveries recover" in text
    await log_told.tell(uuid4(), e.IntakeGap(since=START, until=START + timedelta(days=1)))
    lost = e.DeliveryLost(event="pull_request", delivered_at=START, status="failed", asked=3)
    await log_told.tell(uuid4(), lost)
    await log_told.tell(uuid4(), e.DeliveryLost(event="star", delivered_at=START, status="failed", asked=3))
    await log_told.tell(uuid4(), e.DeliveryParked(event="pull_request", reason="what is this"))
    text = await log_told.text()
    assert "nobody knows what GitHub sent from 2026-01-01 00:00:00 UTC to 2026-01-02" in text
    assert "a delivery of pull_request of 2026-01-01 00:00:00 UTC was" in text
    assert "delivery of pull_request parked: what is this." in text
    assert "star" not in text
    assert "No gap" not in text


async def test_a_delivery_about_the_repository_that_is_missing_is_named(log_told: Told) -> None:
    await log_told.ask(pull=2)
    await log_told.pool.execute(
        "insert into missing_delivery"
        " (delivery, attempt, event, action, repository_id, delivered_at, status, promised, asked)"
        " values (gen_random_uuid(), 1, 'pull_request', 'opened', 7, $1, 'failed', false, 2)",
        START,
    )
    assert (
        "A delivery of pull_request.opened of 2026-01-01 00:00:00 UTC never got here and was asked for again 2 times."
        in await log_told.text()
    )
    await log_told.pool.execute("update missing_delivery set lost_at = now()")
    assert "never got here and was given up." in await log_told.text()


async def test_an_unknown_head_of_a_known_pull_request_names_the_known_ones(log_told: Told) -> None:
    await log_told.ask()
    text = await log_told.text("cccc")
    assert text.startswith("unknown\nocto/hello#1 at cccc: nothing about it ever arrived.")
    assert "with the heads aaaaaaaaaaaa" in text


async def test_a_head_that_is_asked_for_again_tells_of_both(log_told: Told) -> None:
    first = await log_told.ask()
    await log_told.start(first)
    await log_told.tell(first, e.ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success"))
    again = await log_told.ask(seconds=5, key="rerun:1")
    text = await log_told.text()
    assert text.startswith("reviewed\n")
    assert f"It was asked for once more by job {again}, which is queued." in text


async def test_a_comment_whose_head_is_not_known_yet_is_not_lost(log_told: Told) -> None:
    await log_told.ask(None, key="comment:1")
    text = await log_told.text()
    assert text.startswith("waiting\n")


async def test_the_pull_request_is_found_by_the_name_it_had_before(log_told: Told) -> None:
    await log_told.ask()
    renamed = e.RepositoryRenamed(installation=42, repository_id=7, repository="acme/new", before=NAME)
    await append(log_told.log, uuid4(), renamed, about=meta())
    await project(log_told.pool)
    (answer,) = why(await known(log_told.pool, "acme/new", 1, LIMITS), LIMITS)
    assert answer.verdict == "waiting"
    assert (await log_told.text()).startswith("waiting")
