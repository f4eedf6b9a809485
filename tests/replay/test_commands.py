"""`reviewbot replay` on a real log: reviews that were posted to the stand-in, and each reason why it cannot tell."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from click.testing import CliRunner, Result

from reviewbot import planning, render
from reviewbot.cli import main
from reviewbot.differences import Difference
from reviewbot.errors import ProviderUnavailable
from reviewbot.llm.rules.provider import RulesProvider
from reviewbot.replay import Replayed, load, replay
from reviewbot.replay_report import Show
from schema import events as e
from schema.erasures import Erasures, erase
from tests.demo.hub import INSTALLATION, REPO
from tests.fakes import finding, says
from tests.helpers import ENCRYPTION_KEY, START, append, job_of, project, requested
from tests.world import World, visible

LATER = finding(path="new.py", line=1, quote="print('hello')", severity="low", title="Hello")


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, database: str) -> None:
    """The environment of the command is the test's database and nothing else."""
    for name in os.environ:
        if name.startswith(("GITHUB_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "PROVIDER", "MODEL", "LLM_", "MAX_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("ENCRYPTION_KEY", ENCRYPTION_KEY)
    monkeypatch.setenv("COLUMNS", "100")


async def call(*arguments: object) -> Result:
    """The command in this process, beside the loop of the test."""
    return await asyncio.to_thread(CliRunner().invoke, main, ["replay", *map(str, arguments)])


async def review(world: World, *told: str | Exception, key: str = "push", number: int = 1, **settings: Any) -> UUID:
    """A review that is posted for real."""
    if told:
        world.provider.told = list(told)
    job = await world.request(number, key=key, trigger="check_run_rerequested" if key != "push" else "opened")
    await attempt(world, **settings)
    return job


async def attempt(world: World, **settings: Any) -> None:
    story = world.story(await world.claim())
    await story.load()
    await world.steps(**settings).review(story)


# --- equal ------------------------------------------------------------------------------------------------------------


async def test_a_posted_review_is_equal_whatever_is_set_today(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await review(world, says(finding(), LATER), max_findings=1)
    monkeypatch.setenv("MAX_FINDINGS", "9")
    monkeypatch.setenv("MAX_FILES", "1")
    result = await call(job)
    (shown,) = visible(world.standin)
    prepared = next(fact for fact in await world.facts(job) if isinstance(fact, e.ReviewPrepared))
    assert result.output.splitlines() == [
        f"{REPO}#1 at {prepared.head_sha[:12]}: Equal to what was posted as review {shown.id}, byte by byte.",
        f"posted: 2 findings, 1 inline, neutral (plan {prepared.plan})",
    ]
    assert result.exit_code == 0


async def test_an_attempt_that_used_the_stored_answers_of_an_earlier_one_is_equal(world: World) -> None:
    number = await world.open("many")
    world.provider.context_tokens = 9_000  # two prompts
    job = await world.request(number)
    world.provider.told = [says(finding(path="many/000.txt", line=1, quote="z")), ProviderUnavailable("It is down.")]
    row = await world.claim()
    story = world.story(row)
    await story.load()
    with pytest.raises(ProviderUnavailable):
        await world.steps(max_files=400).review(story)
    await world.hand_back(row)
    world.provider.told = [says(finding(path="many/300.txt", line=1, quote="z"), summary="And the rest.")]
    await attempt(world, max_files=400)
    assert len(world.provider.prompts) == 3  # of which one got no answer
    stored = await load(world.vault, world.log, job)
    assert [answer.text.count("many/000") for answer in stored.answers] == [1, 0]
    assert replay(stored, "unknown").outcome == "equal"
    swapped = msgspec.structs.replace(stored, answers=stored.answers[::-1])  # the twin that mixes up the portions
    assert replay(swapped, "unknown").outcome == "different"


@pytest.mark.parametrize("finish", ["complete", "truncated"])
async def test_an_answer_that_could_only_be_read_in_part_is_equal(world: World, finish: Any) -> None:
    world.provider.finish = finish
    job = await review(world, says(finding(), LATER)[:-40], "nothing to read", max_attempts=1)
    assert "broke off" in visible(world.standin)[0].body
    assert (await call(job)).exit_code == 0


async def test_a_portion_that_was_given_up_is_equal(world: World) -> None:
    number = await world.open("many")
    world.provider.context_tokens = 9_000
    job = await review(world, "?", says(summary="Fine."), number=number, max_files=400, max_attempts=1)
    assert "The answer of fake-1 about" in visible(world.standin, number)[0].body
    assert (await call(job)).exit_code == 0


async def test_a_review_by_the_rules_is_equal(world: World) -> None:
    world.provider = RulesProvider()  # type: ignore[assignment]  # a provider like others
    job = await review(world)
    assert "reviewed by rules" in visible(world.standin)[0].body
    assert (await call(job)).exit_code == 0


async def test_what_was_withheld_needs_no_secret_to_be_equal(world: World) -> None:
    secret = "correct-horse-battery-staple"
    job = await review(world, says(finding(title=secret), LATER), secrets=(secret,))
    assert secret not in visible(world.standin)[0].body
    assert (await call(job)).exit_code == 0


# --- different --------------------------------------------------------------------------------------------------------


async def test_a_renderer_that_changed_is_shown_as_a_diff(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await review(world, version="0.0.9")
    monkeypatch.setattr(render, "_severity", lambda finding: f"**{finding.severity.upper()}**")
    result = await call(job)
    assert result.exit_code == 1
    assert "NOT what was posted as review" in result.output
    assert "(made by ReviewBot 0.0.9, replayed by " in result.output
    assert "\n-**High** · bug\n+**HIGH** · bug\n" in result.output
    (line,) = (await call(job, "--json")).output.splitlines()
    said = json.loads(line)
    assert (said["outcome"], said["posted"]) == ("different", {"findings": 1, "comments": 1, "conclusion": "neutral"})
    assert [each["what"] for each in said["differences"]] == ["comment on src/app.py:5", "Check Run"]


async def test_a_difference_that_would_show_a_credential_is_not_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "correct-horse-battery-staple"
    job = await review(world, says(finding(title=secret)), secrets=(secret,))
    monkeypatch.setattr(planning, "without", lambda verdict, _: verdict)  # it forgets what was withheld
    monkeypatch.setenv("METRICS_TOKEN", secret)
    result = await call(job)
    assert (result.exit_code, secret in result.output) == (1, False)
    assert "it repeats a credential of this service" in result.output


# --- what cannot be told ----------------------------------------------------------------------------------------------

REQUEST = requested()
FACTS = {
    "failed": e.ReviewFailed(code="x", reason="The model is gone."),
    "superseded": e.ReviewSuperseded(),
    "skipped": e.ReviewSkipped(reason="nobody wants it"),
    "running": e.ReviewStarted(attempt=1, claim_no=1, worker=UUID(int=1), deadline=START),
    "recorded": e.ReviewPrepared(head_sha="a" * 40, findings=0, inline=0, plan="ab" * 32, conclusion="success"),
}


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("failed", "failed before there was a review: The model is gone."),
        ("superseded", "superseded before there was a review: a newer request took its place."),
        ("skipped", "skipped before there was a review: nobody wants it."),
        ("running", "is running: it has no review yet."),
        ("recorded", "by a version of ReviewBot that did not record its settings"),
    ],
)
async def test_a_job_without_a_review_to_replay_gets_a_sentence(world: World, what: str, words: str) -> None:
    job = job_of(REQUEST)
    await append(world.log, job, REQUEST, FACTS[what])
    result = await call(job)
    assert result.exit_code == 2
    assert words in result.output
    assert json.loads((await call(job, "--json")).output) == {
        "job": str(job),
        "outcome": "unknown",
        "told": result.output.strip(),
    }


async def test_a_job_that_nobody_knows_gets_a_sentence(world: World) -> None:
    result = await call(uuid4())
    assert (result.exit_code, "The log knows no job" in result.output) == (2, True)


async def test_bytes_that_are_not_what_was_stored_are_not_replayed(world: World, database: str) -> None:
    job = await review(world)
    owner = await asyncpg.connect(database)
    await owner.execute("alter table artifact disable trigger all")
    await owner.execute("update artifact set body = $1 where kind = 'answer'", bytes(64))
    await owner.close()
    result = await call(job)
    assert result.exit_code == 2
    assert f"The stored answer of job {job} cannot be read" in result.output


async def test_an_erased_review_is_a_tombstone(world: World, tmp_path: Path) -> None:
    job = await review(world)
    async with world.pool.acquire() as connection:
        await erase(connection, Erasures(tmp_path / "erasures.jsonl"), INSTALLATION, "operator")
    result = await call(job)
    assert (result.exit_code, "Traceback" in result.output) == (2, False)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert f"were erased on {today}: job {job} cannot be replayed." in result.output
    await project(world.pool)
    assert (await call("--since", "1d")).stdout.splitlines()[-1] == "1 reviews: 0 equal, 0 different, 1 unknown."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Name one JOB, or give --since"),
        (("nonsense",), "is not a valid UUID"),
        ((uuid4(), "--since", "30d"), "Name one JOB, or give --since"),
        ((uuid4(), "--repository", "acme/shop"), "give --since, too"),
        (("--since", "yesterday"), "is neither a time"),
        (("--since", "1d", "--ignore", "!"), "is no pattern of a .gitignore"),
        (("--since", "1d", "--max-findings", "0"), "is not in the range"),
    ],
)
async def test_what_is_not_understood_is_said_with_what_would_be(arguments: tuple[object, ...], words: str) -> None:
    result = await call(*arguments)
    assert (result.exit_code, words in result.output) == (2, True), result.output


# --- what if ----------------------------------------------------------------------------------------------------------


async def test_another_limit_is_told_and_another_model_is_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await review(world, says(finding(), LATER))
    result = await call(job, "--min-severity", "high")
    assert result.exit_code == 1
    assert "Something else would have been posted." in result.output
    assert "made:   1 finding, 1 inline, neutral" in result.output
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    result = await call(job, "--with-settings")
    assert (result.exit_code, "Only a new model call could tell" in result.output) == (2, True), result.output


async def test_many_reviews_are_told_in_a_line_each_and_in_all(world: World) -> None:
    first = await review(world, says(finding(), LATER))
    await review(world, says(finding()), key="check_run:1")
    old = job_of(REQUEST)
    await append(world.log, old, REQUEST, FACTS["recorded"])  # nobody has folded it yet
    result = await call("--since", "1d", "--repository", REPO)
    assert (result.exit_code, result.stdout) == (0, "2 reviews: 2 equal, 0 different, 0 unknown.\n")
    result = await call("--since", "1d", "--min-severity", "high")
    assert result.exit_code == 1
    changed, unknown, counted, sums, more = result.stdout.splitlines()
    assert changed.split() == f"{REPO}#1 2 findings, 2 inline, neutral -> 1 finding, 1 inline, neutral {first}".split()
    assert "did not record its settings" in unknown
    assert counted == "3 reviews: 1 equal, 1 different, 1 unknown."
    assert sums == "In all: findings 3 -> 2, inline comments 3 -> 2, green 0 -> 0."
    assert more == "1 with fewer inline comments, 0 with more."
    notes = (await call("--since", "1d", "--max-findings", "9")).stdout.splitlines()[-1]
    assert notes.startswith("note on 2 of them: The prompt asked for at most 20 findings; asked for 9")
    lines = (await call("--since", "1d", "--json")).stdout.splitlines()
    assert [json.loads(line)["outcome"] for line in lines] == ["equal", "equal", "unknown"]


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (("--repository", "acme/other"), "No review that fits was made since then."),
        (("--repository", "acme"), "write OWNER/NAME"),
        (("--installation", "9"), "No review that fits was made since then."),
    ],
)
async def test_nothing_to_replay_is_said(world: World, chosen: tuple[str, ...], words: str) -> None:
    await review(world)
    result = await call("--since", "2h", *chosen)
    assert (result.exit_code, words in result.output) == (2, True), result.output


async def test_a_job_that_was_reviewed_twice_is_told_once(world: World) -> None:
    job = job_of(REQUEST)
    await append(world.log, job, REQUEST, FACTS["recorded"], FACTS["failed"], FACTS["recorded"])
    await project(world.pool)
    result = await call("--since", "1d")
    assert result.stdout.splitlines()[1:] == ["1 reviews: 0 equal, 0 different, 1 unknown."]
    assert result.exit_code == 2


async def test_reviews_from_before_then_are_not_replayed(world: World) -> None:
    first = await review(world)
    await review(world, key="check_run:1")
    await project(world.pool)
    position = (await world.row(first)).position
    assert (await call("--since", position + 1)).stdout == "1 reviews: 1 equal, 0 different, 0 unknown.\n"


async def test_a_path_that_commands_the_terminal_is_shown_instead(capsys: pytest.CaptureFixture[str]) -> None:
    difference = Difference("comment on \x1b[2Ja:1", "--- posted\n+++ replayed\n+\x1b]0;title\x07\u202e\n")
    show = Show(as_json=False, one=True)
    show(Replayed(job=uuid4(), outcome="different", told="NOT equal.", repository=REPO, differences=(difference,)))
    printed = capsys.readouterr().out
    assert {character for character in printed if not character.isprintable()} == {"\n"}
    assert "+<U+001B>]0;title<U+0007><U+202E>" in printed.splitlines()
