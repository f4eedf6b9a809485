"""The life of a review: given what has happened, when a command comes, then these facts."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reviewbot.review import AlreadyRequested, RetryPolicy, ReviewJob, State, check_stream, delivery_stream, job_id
from schema import events as e
from schema.codec import Happened, Recorded, encode
from tests.helpers import HEAD, START, job_of, requested

NOW = datetime(2026, 2, 1, tzinfo=UTC)
JOB = job_of(requested())
POLICY = RetryPolicy(max_attempts=3, base_seconds=10, cap_seconds=60, longest_wait_seconds=600, max_releases=2)
ENDINGS: dict[State, e.Fact] = {
    "completed": e.ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success"),
    "failed": e.ReviewFailed(code="x", reason="It broke."),
    "superseded": e.ReviewSuperseded(),
    "cancelled": e.ReviewCancelled(reason="closed"),
    "skipped": e.ReviewSkipped(reason="on purpose"),
}
PREPARED = e.ReviewPrepared(head_sha=HEAD, findings=1, inline=1, plan="p", conclusion="neutral")
POSTED = e.ReviewPosted(review_id=5, url="https://example.com/5", comments=1)


def started(attempt: int = 1, claim_no: int = 1) -> e.ReviewStarted:
    return e.ReviewStarted(attempt=attempt, claim_no=claim_no, worker=uuid4(), deadline=NOW)


def later(seconds: int = 1) -> e.ReviewRequested:
    return requested(asked_at=START + timedelta(seconds=seconds))


def given_facts(*facts: e.Fact) -> ReviewJob:
    return ReviewJob.replay(JOB, recorded(facts))


def recorded(facts: tuple[e.Fact, ...] | list[e.Fact]) -> list[Recorded]:
    """The facts as the log hands them out."""
    return [
        Recorded(number, JOB, number, fact.TOPIC, encode(fact), None, None, "test", JOB, None, NOW)
        for number, fact in enumerate(facts, 1)
    ]


def then(job: ReviewJob) -> list[e.Fact]:
    """What the commands since the replay brought about."""
    return [event.fact for event in job.collect_events() if isinstance(event, Happened)]


# --- asking ---------------------------------------------------------------------------------------------------------


def test_the_first_request_is_recorded_and_the_job_is_queued() -> None:
    job = ReviewJob.unborn(JOB)
    job.ask(requested())
    assert (then(job), job.state, job.head_sha, job.attempt) == ([requested()], "queued", HEAD, 0)


@pytest.mark.parametrize("state", ["queued", "running", *ENDINGS])
def test_a_replayed_request_is_refused_with_what_became_of_the_first(state: State) -> None:
    past: dict[State, tuple[e.Fact, ...]] = {"queued": (), "running": (started(),)}
    job = given_facts(requested(), *past.get(state, (started(), ENDINGS.get(state, started()))))
    with pytest.raises(AlreadyRequested) as refused:
        job.ask(requested())
    assert (refused.value.job, refused.value.state, then(job)) == (JOB, state, [])


@pytest.mark.parametrize("state", ["failed", "superseded", "cancelled", "skipped"])
def test_a_newer_request_opens_an_ended_job_again_from_nothing(state: State) -> None:
    answered = e.AnswerReceived(call=1, provider="p", model="m", prompt="q", answer="a", finish="complete")
    job = given_facts(requested(), started(2, 7), answered, PREPARED, POSTED, ENDINGS[state])
    job.ask(later())
    assert (then(job), job.state) == ([later()], "queued")
    assert (job.attempt, job.releases, job.calls, job.answers) == (0, 0, 0, {})
    assert (job.prepared, job.posted) == (None, None)
    assert job.claim_no == 7  # the fence never goes back


def test_a_completed_review_is_not_made_again_however_new_the_request() -> None:
    job = given_facts(requested(), started(), ENDINGS["completed"])
    with pytest.raises(AlreadyRequested):
        job.ask(later(10_000))


@pytest.mark.parametrize("past", [(), (started(),)])
def test_a_newer_request_for_an_open_job_is_recorded_and_disturbs_nothing(past: tuple[e.Fact, ...]) -> None:
    job = given_facts(requested(), *past)
    before = job.state, job.attempt, job.claim_no
    job.ask(later())
    assert (then(job), (job.state, job.attempt, job.claim_no)) == ([later()], before)
    with pytest.raises(AlreadyRequested):
        job.ask(later())


# --- failing --------------------------------------------------------------------------------------------------------


def failure(job: ReviewJob, *, retryable: bool = True, jitter: float = 0.5, retry_after: float | None = None) -> e.Fact:
    job.fail("c", "r", policy=POLICY, now=NOW, jitter=jitter, retryable=retryable, retry_after=retry_after)
    (fact,) = then(job)
    return fact


@pytest.mark.parametrize(("attempt", "ceiling"), [(1, 10), (2, 20)])
def test_a_failed_attempt_is_tried_again_after_a_part_of_a_doubling_time(attempt: int, ceiling: int) -> None:
    job = given_facts(requested(), started(attempt))
    retry_at = NOW + timedelta(seconds=ceiling * 0.5)
    assert failure(job) == e.ReviewFailed(code="c", reason="r", retry_at=retry_at)
    assert job.state == "queued"


def test_the_last_attempt_fails_for_good() -> None:
    job = given_facts(requested(), started(3))
    assert failure(job) == e.ReviewFailed(code="c", reason="r", retry_at=None)
    assert job.state == "failed"


def test_what_cannot_help_is_not_tried_again() -> None:
    job = given_facts(requested(), started(1))
    assert failure(job, retryable=False) == e.ReviewFailed(code="c", reason="r", retry_at=None)


def test_a_retry_waits_at_least_as_long_as_it_was_told_to() -> None:
    fact = failure(given_facts(requested(), started(1)), retry_after=100.0)
    assert isinstance(fact, e.ReviewFailed)
    assert fact.retry_at == NOW + timedelta(seconds=100)


@given(
    attempt=st.integers(1, 100),
    jitter=st.floats(0, 1, exclude_max=True),
    retry_after=st.none() | st.floats(0, 1e18),
)
def test_no_wait_is_longer_than_the_policy_allows(attempt: int, jitter: float, retry_after: float | None) -> None:
    wait = POLICY.delay(attempt, jitter, retry_after)
    assert min(retry_after or 0.0, 600) <= wait.total_seconds() + 1e-6
    assert wait <= timedelta(seconds=600)
    assert retry_after or wait <= timedelta(seconds=60)


# --- handing back ---------------------------------------------------------------------------------------------------


def test_a_job_that_is_put_back_has_its_attempt_refunded() -> None:
    job = given_facts(requested(), started(1))
    job.release("stopping", policy=POLICY, now=NOW, after=timedelta(seconds=5))
    assert then(job) == [e.ReviewReleased(reason="stopping", retry_at=NOW + timedelta(seconds=5), refunded=True)]
    assert (job.state, job.attempt, job.releases) == ("queued", 0, 1)


def test_a_pause_says_whom_it_holds_back() -> None:
    job = given_facts(requested(), started(1))
    job.release("limit", policy=POLICY, now=NOW, pause="provider", provider="openai")
    (fact,) = then(job)
    assert isinstance(fact, e.ReviewReleased)
    assert (fact.pause, fact.provider) == ("provider", "openai")


def test_after_too_many_refunds_attempts_count_and_the_last_one_fails_the_job() -> None:
    job = ReviewJob.unborn(JOB)
    job.ask(requested())
    attempts = 0
    while job.state == "queued":
        attempts += 1
        job.record(started(job.attempt + 1, attempts))
        job.release("limit", policy=POLICY, now=NOW)
    assert attempts == POLICY.max_releases + POLICY.max_attempts
    *_, last = then(job)
    assert last == e.ReviewFailed(code="gave_up", reason="put back 4 times; lastly: limit")


# --- what is remembered ---------------------------------------------------------------------------------------------


def test_another_head_forgets_what_was_prepared_for_the_first_but_no_paid_answer() -> None:
    answered = e.AnswerReceived(call=1, provider="p", model="m", prompt="q", answer="a", finish="complete")
    resolved = e.HeadResolved(head_sha="b" * 40, base_sha="c" * 40)
    job = given_facts(requested(), started(), answered, PREPARED, POSTED, resolved)
    assert (job.head_sha, job.base_sha, job.prepared, job.posted) == ("b" * 40, "c" * 40, None, None)
    assert set(job.answers) == {"q"}


def test_the_same_head_again_keeps_what_was_prepared() -> None:
    resolved = e.HeadResolved(head_sha=HEAD, base_sha="c" * 40)
    job = given_facts(requested(), started(), resolved, PREPARED, POSTED, resolved)
    assert (job.prepared, job.posted) == (PREPARED, POSTED)


def test_calls_to_the_model_are_counted_over_all_attempts() -> None:
    asked = e.ModelAsked(call=1, provider="p", model="m", prompt="q", prompt_version="1")
    again = e.ReviewFailed(code="c", reason="r", retry_at=NOW)
    assert given_facts(requested(), started(), asked, again, started(2, 2), asked).calls == 2


def test_streams_differ_by_everything_that_makes_two_requests_different() -> None:
    jobs = {
        job_id(*names)  # type: ignore[arg-type]  # one list of arguments after the other
        for names in [
            (1, 2, 3, HEAD), (9, 2, 3, HEAD), (1, 9, 3, HEAD), (1, 2, 9, HEAD), (1, 2, 3, "b" * 40), (1, 2, 3, None),
            (1, 2, 3, HEAD, "comment:1"), (1, 2, 3, HEAD, "comment:2"),
        ]
    }  # fmt: skip
    assert len(jobs) == 8
    assert job_id(1, 2, 3, HEAD) in jobs
    assert len({*jobs, *map(check_stream, jobs), *map(delivery_stream, jobs)}) == 24


# --- any sequence of commands ---------------------------------------------------------------------------------------

ALLOWED: dict[State, set[State]] = {
    "new": {"queued"},
    "queued": {"running", "superseded", "cancelled", "skipped"},
    "running": {"queued", "completed", "failed", "superseded", "cancelled", "skipped"},
    "completed": set(),
    "failed": {"queued"},
    "superseded": {"queued"},
    "cancelled": {"queued"},
    "skipped": {"queued"},
}
MIDDLE: list[e.Fact] = [
    e.HeadResolved(head_sha=HEAD, base_sha="c" * 40),
    e.SettingsRead(repository_id=2, base_sha="c" * 40, blob_sha="d" * 40, settings="e"),
    e.ChangesGathered(files=1, reviewed=1, left_out=0, coverage="d", changes="f"),
    e.ModelAsked(call=1, provider="p", model="m", prompt="q", prompt_version="1"),
    e.AnswerReceived(call=1, provider="p", model="m", prompt="q", answer="a", finish="complete"),
    e.ModelCallFailed(call=1, provider="p", model="m", prompt="q", code="c"),
    PREPARED,
    POSTED,
]


def remembered(job: ReviewJob) -> dict[str, object]:
    """All that a job knows, apart from the clock and the events that wait to be collected."""
    told_apart = {"_modified_on", "_created_on", "_pending_events"}
    return {name: value for name, value in vars(job).items() if name not in told_apart}


class Life(RuleBasedStateMachine):
    """Commands as workers and webhooks give them, in any order that the fences let through."""

    @initialize()
    def begin(self) -> None:
        self.job = ReviewJob.unborn(JOB)
        self.history: list[e.Fact] = []
        self.states: list[State] = ["new"]
        self.refunds = 0

    def _taken_in(self) -> None:
        facts = then(self.job)
        self.history += facts
        self.refunds += sum(isinstance(fact, e.ReviewReleased) and fact.refunded for fact in facts)
        if self.job.state != self.states[-1]:
            self.states.append(self.job.state)

    @rule(seconds=st.integers(0, 5))
    def ask(self, seconds: int) -> None:
        before = self.job.state
        with suppress(AlreadyRequested):
            self.job.ask(later(seconds))
        if before not in ("queued", "running") and self.job.state == "queued":
            self.refunds = 0
        self._taken_in()

    @precondition(lambda self: self.job.state == "queued")
    @rule()
    def claim(self) -> None:
        self.job.record(started(self.job.attempt + 1, self.job.claim_no + 1))
        self._taken_in()

    @precondition(lambda self: self.job.state == "running")
    @rule(fact=st.sampled_from([*MIDDLE, *(ENDINGS[s] for s in ("completed", "superseded", "cancelled", "skipped"))]))
    def go_on(self, fact: e.Fact) -> None:
        self.job.record(fact)
        self._taken_in()

    @precondition(lambda self: self.job.state == "queued")
    @rule(state=st.sampled_from(["superseded", "cancelled"]))
    def end_unclaimed(self, state: State) -> None:
        self.job.record(ENDINGS[state])
        self._taken_in()

    @precondition(lambda self: self.job.state == "running")
    @rule(retryable=st.booleans(), retry_after=st.none() | st.floats(0, 1e9), jitter=st.floats(0, 0.99))
    def fail(self, retryable: bool, retry_after: float | None, jitter: float) -> None:
        self.job.fail(
            "c", "r", policy=POLICY, now=NOW, jitter=jitter, retryable=retryable, retry_after=retry_after
        )  # fmt: skip
        self._taken_in()

    @precondition(lambda self: self.job.state == "running")
    @rule()
    def release(self) -> None:
        self.job.release("stopping", policy=POLICY, now=NOW)
        self._taken_in()

    @invariant()
    def only_allowed_transitions(self) -> None:
        for before, after in zip(self.states, self.states[1:], strict=False):
            assert after in ALLOWED[before], f"{before} -> {after}"

    @invariant()
    def a_replay_gives_the_same_job(self) -> None:
        assert remembered(ReviewJob.replay(JOB, recorded(self.history))) == remembered(self.job)

    @invariant()
    def attempts_and_refunds_are_bounded(self) -> None:
        assert 0 <= self.job.attempt <= POLICY.max_attempts
        assert self.refunds <= POLICY.max_releases

    @invariant()
    def the_fence_only_rises(self) -> None:
        claims = [fact.claim_no for fact in self.history if isinstance(fact, e.ReviewStarted)]
        assert claims == sorted(set(claims))


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_the_id_of_a_job_never_changes() -> None:
    """Stored streams depend on it."""
    assert job_id(42, 7, 1, HEAD) == UUID("0fa26ab5-3394-57b3-8297-1d4bb36a5ba6")
