"""Given past facts, when another one happens, then the rows are these: no database."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from projections.base import FoldError
from projections.jobs.fold import fold
from projections.jobs.rows import Rows
from schema import events as e
from schema.codec import Recorded, encode
from tests.helpers import HEAD, INSTALLATION, REPOSITORY, START, job_of, requested

OTHER_HEAD = "b" * 40


class Story:
    """Facts in the order of the log, folded as they come."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.position = 0
        self.versions: dict[UUID, int] = {}

    def happens(self, stream: UUID, fact: e.Fact, *, version: int | None = None) -> Recorded:
        self.position += 1
        self.versions[stream] = version or self.versions.get(stream, 0) + 1
        event = Recorded(
            self.position, stream, self.versions[stream], fact.TOPIC, encode(fact), INSTALLATION, None, "github",
            UUID(int=1), None, START + timedelta(seconds=self.position),
        )  # fmt: skip
        fold(self.rows, event, event.fact)
        return event

    def ask(self, request: e.ReviewRequested) -> UUID:
        job = job_of(request)
        self.happens(job, request)
        return job

    def start(self, job: UUID, attempt: int = 1) -> None:
        row = self.rows.jobs[job]
        worker, deadline = UUID(int=2), START + timedelta(hours=1)
        self.happens(job, e.ReviewStarted(attempt=attempt, claim_no=row.claim_no + 1, worker=worker, deadline=deadline))

    def state(self, job: UUID) -> str:
        return self.rows.jobs[job].state


@pytest.fixture
def story() -> Story:
    return Story()


def closed(at_seconds: float) -> e.PullRequestClosed:
    return e.PullRequestClosed(
        installation=INSTALLATION, repository_id=REPOSITORY, repository="octo/hello", pull_request=1, merged=False,
        at=START + timedelta(seconds=at_seconds),
    )  # fmt: skip


def later(seconds: float, head_sha: str = OTHER_HEAD) -> e.ReviewRequested:
    return requested(head_sha=head_sha, asked_at=START + timedelta(seconds=seconds), trigger="synchronize")


def test_a_request_queues_a_job(story: Story) -> None:
    job = story.ask(requested())
    row = story.rows.jobs[job]
    assert (row.state, row.version, row.position, row.head_sha) == ("queued", 1, 1, HEAD)


def test_a_newer_push_ends_a_waiting_review_and_marks_a_running_one(story: Story) -> None:
    waiting = story.ask(requested())
    newer = story.ask(later(10))
    assert (story.state(waiting), story.rows.jobs[waiting].superseded_by) == ("ending", newer)

    story.start(newer)
    newest = story.ask(later(20, "c" * 40))
    assert (story.state(newer), story.rows.jobs[newer].superseded_by) == ("running", newest)
    assert story.state(newest) == "queued"


def test_a_push_that_arrives_late_does_not_end_the_newer_one(story: Story) -> None:
    newer = story.ask(later(10))
    late = story.ask(requested())
    assert story.state(newer) == "queued"
    assert (story.state(late), story.rows.jobs[late].superseded_by) == ("ending", newer)


def test_a_close_ends_what_was_asked_before_it_and_nothing_that_comes_after(story: Story) -> None:
    before = story.ask(requested())
    story.happens(uuid4(), closed(5))
    assert (story.state(before), story.rows.jobs[before].cancel_reason) == ("ending", "closed")
    after = story.ask(later(10))
    assert story.state(after) == "queued"


def test_a_request_from_before_the_close_that_arrives_after_it_is_not_wanted(story: Story) -> None:
    story.happens(uuid4(), closed(5))
    assert story.state(story.ask(requested())) == "ending"


def test_asking_again_takes_back_the_mark_of_a_running_review(story: Story) -> None:
    job = story.ask(requested())
    story.start(job)
    story.happens(uuid4(), closed(5))
    assert story.rows.jobs[job].cancel_reason == "closed"
    story.ask(requested(asked_at=START + timedelta(seconds=10), trigger="reopened"))
    row = story.rows.jobs[job]
    assert (row.state, row.cancel_reason, row.claim_no, row.version) == ("running", None, 1, 3)


def test_a_superseded_head_that_becomes_the_head_again_is_queued_again(story: Story) -> None:
    first = story.ask(requested())
    second = story.ask(later(10))
    story.happens(first, e.ReviewSuperseded(by=second))
    assert story.state(first) == "superseded"
    story.ask(requested(asked_at=START + timedelta(seconds=20)))
    row = story.rows.jobs[first]
    assert (row.state, row.request_version, row.attempt) == ("queued", 3, 0)
    assert (row.request_position, row.first_position) == (4, 1), "its place in lists stays"
    assert story.state(second) == "ending"


def test_a_failed_attempt_waits_for_its_time_and_the_last_one_is_final(story: Story) -> None:
    job = story.ask(requested())
    story.start(job)
    again = START + timedelta(minutes=1)
    story.happens(job, e.ReviewFailed(code="x", reason="it broke", retry_at=again))
    row = story.rows.jobs[job]
    assert (row.state, row.run_at, row.reason, row.worker) == ("queued", again, "it broke", None)
    story.start(job, attempt=2)
    story.happens(job, e.ReviewFailed(code="x", reason="it broke"))
    assert (row.state, row.finished_at is not None, row.attempt) == ("failed", True, 2)


def test_a_failed_attempt_of_a_superseded_review_does_not_go_back_to_the_queue(story: Story) -> None:
    job = story.ask(requested())
    story.start(job)
    story.ask(later(10))
    story.happens(job, e.ReviewFailed(code="x", reason="it broke", retry_at=START))
    assert story.state(job) == "ending"


def test_a_hand_back_refunds_the_attempt_and_may_pause_the_installation_or_the_provider(story: Story) -> None:
    job = story.ask(requested())
    story.start(job)
    until = START + timedelta(minutes=5)
    story.happens(job, e.ReviewReleased(reason="limit", retry_at=until, refunded=True, pause="installation"))
    assert (story.rows.jobs[job].attempt, story.rows.jobs[job].releases) == (0, 1)
    assert story.rows.installations[INSTALLATION].paused_until == until
    story.start(job)
    story.happens(job, e.ReviewReleased(reason="limit", retry_at=until, refunded=True, pause="provider", provider="p"))
    assert story.rows.providers["p"].paused_until == until


def test_a_used_up_budget_holds_the_installation_back_and_not_the_job(story: Story) -> None:
    job = story.ask(requested())
    story.start(job)
    until = START + timedelta(days=9)
    held = e.ReviewReleased(reason="used up", retry_at=until, refunded=True, pause="installation", budget="month")
    story.happens(job, held)
    row, installation = story.rows.jobs[job], story.rows.installations[INSTALLATION]
    assert (row.state, row.attempt, row.releases, row.reason) == ("queued", 0, 0, "used up")
    assert row.run_at < until
    assert (installation.paused_until, installation.budget) == (until, "month")
    story.happens(uuid4(), e.InstallationResumed(installation=INSTALLATION))
    assert (installation.paused_until, installation.pause_reason, installation.budget) == (None, None, None)


def test_a_raised_budget_does_not_end_a_pause_for_another_reason(story: Story) -> None:
    job = story.ask(requested())
    story.start(job)
    until = START + timedelta(minutes=5)
    story.happens(job, e.ReviewReleased(reason="limit", retry_at=until, refunded=True, pause="installation"))
    story.happens(uuid4(), e.InstallationResumed(installation=INSTALLATION))
    assert story.rows.installations[INSTALLATION].paused_until == until


def test_an_event_that_the_claim_has_written_already_is_passed_over(story: Story) -> None:
    job = story.ask(requested())
    story.start(job)
    story.versions[job] = 1
    story.start(job)
    assert story.rows.jobs[job].claim_no == 1


def test_a_gap_in_a_stream_stops_the_fold_with_the_position(story: Story) -> None:
    job = story.ask(requested())
    with pytest.raises(FoldError, match=r"event 2 \(ReviewCompleted, version 3 .*stands at version 1"):
        story.happens(job, e.ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success"), version=3)


def test_a_fact_about_an_unknown_job_stops_the_fold(story: Story) -> None:
    with pytest.raises(FoldError, match="there is no job"):
        story.happens(uuid4(), e.ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success"))


def test_check_runs_belong_to_the_request_they_were_made_for(story: Story) -> None:
    job = story.ask(requested())
    stream = uuid4()
    story.happens(stream, e.CheckRunCreated(job=job, check_run_id=5, head_sha=HEAD, request_version=1))
    row = story.rows.jobs[job]
    assert (row.check_run_id, row.check_version, row.check_concluded) == (5, 1, False)
    story.happens(stream, e.CheckRunConcluded(job=job, check_run_id=5, conclusion="success", request_version=1))
    assert row.check_concluded


def test_an_older_word_about_an_installation_does_not_undo_a_newer_one(story: Story) -> None:
    story.happens(uuid4(), e.InstallationDeleted(installation=INSTALLATION, at=START + timedelta(seconds=9)))
    story.happens(uuid4(), e.InstallationUnsuspended(installation=INSTALLATION, at=START))
    assert story.rows.installations[INSTALLATION].state == "deleted"
