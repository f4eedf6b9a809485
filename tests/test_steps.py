"""The steps of a review: resumed wherever an attempt died, for this head alone, and only for who may ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import genai_prices
import msgspec
import pytest

from reviewbot.errors import (
    AnswerUnusable,
    GitHubRateLimited,
    InstallationGone,
    ProviderMisconfigured,
    ProviderRateLimited,
    ProviderUnavailable,
    ReviewBotError,
)
from reviewbot.prices import parse_rates
from reviewbot.publisher import Plan
from reviewbot.review import ReviewJob, job_id
from reviewbot.story import FenceLost, NotWanted, Story
from schema import events as e
from schema.inbox import Artifact
from tests.demo.hub import INSTALLATION, REPO
from tests.fakes import FakeProvider, finding, says
from tests.helpers import append, project
from tests.world import World, visible

STEPS = [
    "HeadResolved",
    "SettingsRead",
    "ChangesGathered",
    "ModelAsked",
    "AnswerReceived",
    "ReviewPrepared",
    "ReviewPosted",
    "ReviewCompleted",
]


async def run(world: World, story: Story, **settings: int) -> None:
    await story.load()
    await world.steps(**settings).review(story)


async def claimed(world: World) -> Story:
    return world.story(await world.claim())


# --- all is well ------------------------------------------------------------------------------------------------------


async def test_a_review_tells_each_of_its_steps_before_it_takes_the_next(world: World) -> None:
    job = await world.request()
    await run(world, await claimed(world))
    assert await world.told(job) == ["ReviewRequested", "ReviewStarted", *STEPS]
    row = await world.row(job)
    (shown,) = visible(world.standin)
    assert (row.state, row.findings, row.conclusion, row.review_id) == ("completed", 1, "neutral", shown.id)
    assert (row.provider, row.model, row.calls) == ("fake", "fake-1", 1)
    assert (row.input_tokens, row.output_tokens) == (1_000, 100)


async def test_the_prompt_the_answer_and_the_plan_are_kept_as_they_were(world: World) -> None:
    job = await world.request()
    await run(world, await claimed(world))
    facts = {type(fact): fact for fact in await world.facts(job)}
    received, prepared = facts[e.AnswerReceived], facts[e.ReviewPrepared]
    assert isinstance(received, e.AnswerReceived)
    assert isinstance(prepared, e.ReviewPrepared)
    prompt = msgspec.json.decode(await world.vault.read_artifact(INSTALLATION, received.prompt))
    assert (prompt["model"], prompt["user"]) == ("fake-1", world.provider.prompts[0].user)
    assert await world.vault.read_artifact(INSTALLATION, received.answer) == says(finding()).encode()
    plan = msgspec.json.decode(await world.vault.read_artifact(INSTALLATION, prepared.plan), type=Plan)
    assert plan.body == visible(world.standin)[0].body


async def test_what_an_answer_cost_is_recorded_with_it_and_counted(world: World) -> None:
    job = await world.request()
    story = await claimed(world)
    await story.load()
    await world.steps(prices=parse_rates("fake-1=3/15")).review(story)
    (received,) = [fact for fact in await world.facts(job) if isinstance(fact, e.AnswerReceived)]
    assert (received.cost_usd, received.price_table) == (Decimal("0.0045"), "MODEL_PRICES")
    assert (await world.row(job)).cost_usd == Decimal("0.0045")
    value = world.metrics.registry.get_sample_value
    assert value("reviewbot_cost_usd_total", {"provider": "fake", "model": "fake-1"}) == pytest.approx(0.0045)


async def test_an_answer_reaches_the_log_though_the_table_of_prices_breaks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("no such unit")

    monkeypatch.setattr(genai_prices, "calc_price", broken)
    monkeypatch.setattr(world.provider, "name", "openai")
    job = await world.request()
    await run(world, await claimed(world))
    (received,) = [fact for fact in await world.facts(job) if isinstance(fact, e.AnswerReceived)]
    assert (received.cost_usd, received.price_table) == (None, None)
    assert (await world.row(job)).state == "completed"


async def test_an_answer_without_a_known_price_is_counted_as_such(world: World) -> None:
    job = await world.request()
    await run(world, await claimed(world))
    (received,) = [fact for fact in await world.facts(job) if isinstance(fact, e.AnswerReceived)]
    assert received.cost_usd is None
    assert (received.price_table or "").startswith("genai-prices ")
    value = world.metrics.registry.get_sample_value
    assert value("reviewbot_unpriced_calls_total", {"provider": "fake", "model": "fake-1"}) == 1


async def test_all_that_decides_a_review_besides_the_stored_bytes_is_in_the_log(world: World) -> None:
    secret = "correct-horse-battery-staple"
    world.provider = FakeProvider(says(finding(), finding(title=f"Look: {secret}", severity="critical")))
    job = await world.request()
    story = await claimed(world)
    await story.load()
    await world.steps(max_files=7, max_findings=5, max_output_tokens=900, secrets=(secret,), version="1.2").review(
        story
    )
    facts = {type(fact): fact for fact in await world.facts(job)}
    gathered, asked, prepared = facts[e.ChangesGathered], facts[e.ModelAsked], facts[e.ReviewPrepared]
    assert isinstance(gathered, e.ChangesGathered)
    assert isinstance(asked, e.ModelAsked)
    assert isinstance(prepared, e.ReviewPrepared)
    assert gathered.terms == e.Terms(
        provider="fake",
        model="fake-1",
        context_tokens=200_000,
        whole_files=False,
        max_files=7,
        max_findings=5,
        max_output_tokens=900,
    )
    assert (prepared.prompts, prepared.last_attempt, prepared.version) == ((asked.prompt,), False, "1.2")
    assert (prepared.withheld, prepared.summary_withheld) == ((0,), False)


async def test_a_provider_that_reads_code_gets_the_files_of_exactly_that_head(world: World) -> None:
    world.provider = FakeProvider(needs_content=True)
    await world.request()
    await run(world, await claimed(world))
    contents = {file.path: file.content for file in world.provider.prompts[0].files}
    assert (contents["src/app.py"] or "").splitlines()[4] == "line five"
    assert contents["latin1.txt"] == "caf\ufffd\n"


@pytest.mark.parametrize("head", ["huge", "many"])
async def test_a_change_beyond_githubs_limits_is_read_file_by_file(world: World, head: str) -> None:
    number = await world.open(head)
    world.provider = FakeProvider(says(summary="Fine."))
    job = await world.request(number)
    await run(world, await claimed(world), max_files=400)
    (gathered,) = (fact for fact in await world.facts(job) if isinstance(fact, e.ChangesGathered))
    assert gathered.files == {"huge": 2, "many": 301}[head]
    assert len(visible(world.standin, number)) == 1


# --- resumed wherever it died -----------------------------------------------------------------------------------------


class Dies(Exception):
    """The process is gone."""


class Mortal(Story):
    """Dies at one step: before it reaches the log, or as soon as it has."""

    step: str
    stored: bool

    async def decide(self, command: Callable[[ReviewJob], None], artifacts: Sequence[Artifact] = ()) -> None:
        known = self.job.version
        if self.stored:
            await super().decide(command, artifacts)
            told = (await self._log.read_stream(self.row.job, after=known))[-1].topic
        else:
            trial = ReviewJob.replay(self.row.job, await self._log.read_stream(self.row.job))
            command(trial)
            (event,) = trial.collect_events()
            told = type(event.fact).TOPIC  # type: ignore[attr-defined]  # a Happened
        if told == self.step:
            raise Dies
        if not self.stored:
            await super().decide(command, artifacts)


async def dies_at(world: World, step: str, *, stored: bool) -> None:
    """One attempt that dies there, and the sweep that finds it."""
    row = await world.claim()
    mortal = Mortal(world.log, row, "worker:one")
    mortal.step, mortal.stored = step, stored
    with pytest.raises(Dies):
        await run(world, mortal)
    if step != "ReviewCompleted" or not stored:
        await world.hand_back(row)


@pytest.mark.parametrize("stored", [False, True], ids=["before the log has it", "after the log has it"])
@pytest.mark.parametrize("step", STEPS)
async def test_wherever_an_attempt_dies_the_next_one_ends_with_exactly_one_review(
    world: World, step: str, stored: bool
) -> None:
    job = await world.request()
    await dies_at(world, step, stored=stored)
    if (await world.row(job)).state != "completed":
        await run(world, await claimed(world))
    assert (await world.row(job)).state == "completed"
    assert len(visible(world.standin)) == 1
    assert len(world.standin.reviews(REPO, 1)) == 1
    told = await world.told(job)
    # An answer that reached the log is paid for; one that did not has to be asked for again.
    paid_in_vain = step == "AnswerReceived" and not stored
    assert len(world.provider.prompts) == 1 + paid_in_vain
    assert told.count("AnswerReceived") == told.count("ReviewPrepared") == told.count("ReviewCompleted") == 1


async def test_an_attempt_that_dies_at_every_step_in_turn_still_ends_with_one_review(world: World) -> None:
    job = await world.request()
    for step in STEPS[:2]:
        await dies_at(world, step, stored=True)
    await run(world, await claimed(world))
    row = await world.row(job)
    assert (row.state, row.attempt) == ("completed", 3)
    assert len(visible(world.standin)) == 1


async def test_what_was_fixed_is_posted_word_for_word_though_the_model_would_now_say_something_else(
    world: World,
) -> None:
    await world.request()
    await dies_at(world, "ReviewPrepared", stored=True)
    world.provider = FakeProvider(says(finding(title="Something else"), summary="Else."))
    await run(world, await claimed(world))
    assert world.provider.prompts == []
    assert "Else." not in visible(world.standin)[0].body


async def test_an_attempt_that_died_with_its_review_pending_submits_that_one(world: World) -> None:
    await world.request()
    world.standin.trouble("POST /repos/*/reviews/*/events", "secondary-limit", status=429, retry_after=60)
    story = await claimed(world)
    with pytest.raises(GitHubRateLimited):
        await run(world, story)
    (pending,) = world.standin.reviews(REPO, 1)
    assert pending.state == "PENDING"
    await world.hand_back(story.row)
    world.github._gates.clear()  # as after the wait
    await run(world, await claimed(world))
    assert [review.id for review in visible(world.standin)] == [pending.id]


async def test_a_worker_that_lost_its_claim_while_the_model_thought_posts_nothing(world: World) -> None:
    job = await world.request()
    story = await claimed(world)

    async def slow(_: object) -> str:
        await world.hand_back(story.row)
        return says(finding(title="From the slow one"))

    world.provider = FakeProvider(slow)
    with pytest.raises(FenceLost):
        await run(world, story)
    assert world.standin.reviews(REPO, 1) == []
    world.provider = FakeProvider()
    await run(world, await claimed(world))
    assert len(visible(world.standin)) == 1
    assert (await world.told(job)).count("AnswerReceived") == 1


# --- the head that was asked about ------------------------------------------------------------------------------------


async def test_a_head_that_moved_is_asked_for_and_this_review_gives_way(world: World) -> None:
    await world.request()
    await world.standin.push(REPO, 1, "later")  # and the webhook is lost
    with pytest.raises(NotWanted) as ended:
        await run(world, await claimed(world))
    newer = job_id(INSTALLATION, world.standin.repository(REPO).id, 1, world.commits.later)
    assert ended.value.fact == e.ReviewSuperseded(by=newer)
    (request,) = await world.facts(newer)
    assert isinstance(request, e.ReviewRequested)
    assert (request.head_sha, request.trigger, request.pull_request) == (world.commits.later, "synchronize", 1)
    assert world.provider.prompts == []


async def test_a_head_that_moves_while_the_model_thinks_gets_no_review_of_the_old_one(world: World) -> None:
    await world.request()

    async def push(_: object) -> str:
        await world.standin.push(REPO, 1, "forced")
        return says(finding())

    world.provider = FakeProvider(push)
    with pytest.raises(NotWanted):
        await run(world, await claimed(world))
    assert world.standin.reviews(REPO, 1) == []


async def test_a_head_that_came_back_by_force_is_reviewed_after_all(world: World) -> None:
    first = await world.request()
    world.standin.world.advance(60)
    await world.standin.push(REPO, 1, "forced")
    second = await world.request()
    await append(world.log, first, e.ReviewSuperseded(by=second), after=1)
    world.standin.world.advance(60)
    await world.standin.push(REPO, 1, "topic")  # and the webhook is lost
    story = await claimed(world)
    assert story.row.job == second
    with pytest.raises(NotWanted) as ended:
        await run(world, story)
    assert ended.value.fact == e.ReviewSuperseded(by=first)
    await story.record(ended.value.fact)
    await run(world, await claimed(world))
    assert (await world.row(first)).state == "completed"


@pytest.mark.parametrize(("merged", "reason"), [(True, "merged"), (False, "closed")])
async def test_a_pull_request_that_is_closed_is_not_reviewed(world: World, merged: bool, reason: str) -> None:
    await world.request()
    await world.standin.close(REPO, 1, merged=merged)
    with pytest.raises(NotWanted) as ended:
        await run(world, await claimed(world))
    assert ended.value.fact == e.ReviewCancelled(reason=reason)


async def test_a_pull_request_that_closes_while_the_model_thinks_gets_no_review(world: World) -> None:
    await world.request()

    async def close(_: object) -> str:
        await world.standin.close(REPO, 1)
        return says(finding())

    world.provider = FakeProvider(close)
    with pytest.raises(NotWanted):
        await run(world, await claimed(world))
    assert world.standin.reviews(REPO, 1) == []


async def test_a_draft_waits_unless_somebody_asks_for_its_review(world: World) -> None:
    await world.standin.convert_to_draft(REPO, 1)
    await world.request()
    story = await claimed(world)
    with pytest.raises(NotWanted) as ended:
        await run(world, story)
    assert ended.value.fact == e.ReviewCancelled(reason="draft")
    await story.record(ended.value.fact)
    await world.request(trigger="check_run_rerequested", key="check_run:1")
    await run(world, await claimed(world))
    assert len(visible(world.standin)) == 1


# --- who may ask ------------------------------------------------------------------------------------------------------


async def ask_in_a_comment(world: World, login: str) -> Story:
    await world.request(head_sha=None, trigger="comment", key="comment:1", commenter=login)
    return await claimed(world)


@pytest.mark.parametrize("role", ["admin", "maintain", "write"])
async def test_who_may_write_may_ask_in_a_comment_and_the_head_of_now_is_reviewed(world: World, role: str) -> None:
    world.standin.set_permission(REPO, "mia", role)
    story = await ask_in_a_comment(world, "mia")
    await run(world, story)
    assert visible(world.standin)[0].commit_id == world.commits.head


@pytest.mark.parametrize("role", ["triage", "read", "none"])
async def test_who_may_not_write_may_not_ask_and_the_model_is_not_asked_either(world: World, role: str) -> None:
    world.standin.set_permission(REPO, "mia", role)
    story = await ask_in_a_comment(world, "mia")
    with pytest.raises(NotWanted) as ended:
        await run(world, story)
    assert ended.value.fact == e.ReviewSkipped(reason="the person who asked in a comment has no write permission")
    assert world.provider.prompts == []


async def test_a_comment_names_nobody_but_its_writer(world: World) -> None:
    """The login comes from the raw delivery, and a path in it stays a name."""
    world.standin.set_permission(REPO, "admin", "admin")
    story = await ask_in_a_comment(world, "mia/../admin")
    with pytest.raises(NotWanted):
        await run(world, story)


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [ProviderUnavailable("down"), ProviderRateLimited("slow", retry_after=9), ProviderMisconfigured("bad key")],
    ids=lambda error: type(error).__name__,
)
async def test_a_call_that_failed_is_told_and_handed_on(world: World, error: ReviewBotError) -> None:
    world.provider = FakeProvider(error)
    job = await world.request()
    with pytest.raises(type(error)):
        await run(world, await claimed(world))
    *_, last = await world.facts(job)
    assert isinstance(last, e.ModelCallFailed)
    assert (last.code, last.call) == (type(error).__name__, 1)
    assert world.standin.reviews(REPO, 1) == []


async def test_an_answer_that_nobody_can_read_is_kept_and_asked_for_again(world: World) -> None:
    world.provider = FakeProvider("I am sorry, but no.", says(finding()))
    job = await world.request()
    story = await claimed(world)
    with pytest.raises(AnswerUnusable):
        await run(world, story)
    assert (await world.told(job)).count("AnswerReceived") == 1
    await world.hand_back(story.row)
    await run(world, await claimed(world))
    assert len(world.provider.prompts) == 2
    assert len(visible(world.standin)) == 1


async def test_a_check_run_that_cannot_be_moved_on_does_not_cost_the_review(world: World) -> None:
    await world.request()
    await world.keeper().step()
    await project(world.pool)
    world.standin.installation(INSTALLATION).permissions = {
        "pull_requests": "write", "contents": "read", "metadata": "read",
    }  # fmt: skip
    story = await claimed(world)
    assert story.row.check_run_id is not None
    await run(world, story)
    assert len(visible(world.standin)) == 1


async def test_an_installation_that_is_gone_ends_the_attempt_for_good(world: World) -> None:
    await world.request()
    await world.standin.suspend_installation(INSTALLATION)
    with pytest.raises(InstallationGone):
        await run(world, await claimed(world))


async def test_credentials_that_a_model_repeats_are_not_posted(world: World) -> None:
    secret = "sk-live-0123456789abcdef0123456789"
    world.provider = FakeProvider(says(finding(body=f"The key is {secret}."), finding(title="Fine"), summary="Look."))
    await world.request()
    story = await claimed(world)
    await story.load()
    await world.steps(secrets=(secret,)).review(story)
    everything = visible(world.standin)[0].body + "".join(c.body for c in world.standin.comments(REPO, 1))
    assert secret not in everything
    assert "withheld" in everything
    assert "Fine" in everything


async def test_a_repeated_request_while_it_runs_does_not_disturb_the_review(world: World) -> None:
    job = await world.request()

    async def again(_: object) -> str:
        await world.request(asked_at=datetime.now(UTC) + timedelta(hours=1))
        return says(finding())

    world.provider = FakeProvider(again)
    await run(world, await claimed(world))
    assert (await world.row(job)).state == "completed"
    assert len(visible(world.standin)) == 1
