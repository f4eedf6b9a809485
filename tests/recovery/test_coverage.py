"""The coverage: every head has a fate, none is counted twice, and what nothing explains is named."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from reviewbot.cli import main
from reviewbot.recovery.coverage import Coverage, coverage, told
from schema import events as e
from schema.log import Log
from tests.helpers import START, append, job_of, project, requested
from tests.intake import Pool

ENDINGS: dict[str, tuple[e.Fact, ...]] = {
    "reviewed": (e.ReviewCompleted(head_sha="", findings=0, conclusion="success"),),
    "waiting": (),
    "failed": (e.ReviewFailed(code="x", reason="It broke."),),
    "superseded": (e.ReviewSuperseded(),),
    "cancelled": (e.ReviewCancelled(reason="closed"),),
    "skipped": (e.ReviewSkipped(reason="no file to review"),),
}


def head(number: int) -> str:
    return f"{number:040x}"


async def ended(log: Log, number: int, how: str) -> None:
    """A job of a pull request of its own that ended in a way."""
    request = requested(pull_request=number, head_sha=head(number))
    facts = [
        e.ReviewCompleted(head_sha=head(number), findings=0, conclusion="success")
        if isinstance(fact, e.ReviewCompleted)
        else fact
        for fact in ENDINGS[how]
    ]
    await append(log, job_of(request), request, *facts)


async def ignored(
    log: Log, number: int, sha: int, action: str = "labeled", reason: str = "it asks for nothing"
) -> None:
    """A delivery about a head that asked for nothing."""
    fact = e.DeliveryIgnored(
        event="pull_request",
        reason=reason,
        action=action,
        repository_id=7,
        repository="octo/hello",
        pull_request=number,
        head_sha=head(sha),
    )
    await append(log, uuid4(), fact)


async def read(pool: Pool) -> Coverage:
    await project(pool)
    return await coverage(pool)


def fates(found: Coverage) -> dict[tuple[str, str], int]:
    return {(each.fate, each.reason): each.heads for each in found.heads}


async def test_every_head_has_one_fate_and_a_reason_where_it_is_left_out(pool: Pool, log: Log) -> None:
    for number, how in enumerate(ENDINGS, start=1):
        await ended(log, number, how)
    await ignored(log, 1, 1)  # a label on what is reviewed changes nothing
    await ignored(log, 20, 20, "opened", "a bot did this")
    await ignored(log, 21, 21, "opened", "a bot did this")
    drafted = e.PullRequestDrafted(
        installation=42, repository_id=7, repository="octo/hello", pull_request=22, head_sha=head(22), at=START
    )
    await append(log, uuid4(), drafted)
    left = e.HeadLeftOut(
        installation=42, repository_id=7, repository="octo/hello", pull_request=23, head_sha=head(23), reason="too old"
    )
    await append(log, uuid4(), left)
    found = await read(pool)
    assert fates(found) == {
        ("reviewed", ""): 1,
        ("waiting", ""): 1,
        ("failed", ""): 1,
        ("left out", "a newer request took its place"): 1,
        ("left out", "closed"): 1,
        ("left out", "no file to review"): 1,
        ("left out", "a bot did this"): 2,
        ("left out", "draft"): 1,
        ("left out", "too old"): 1,
    }
    assert (found.count(), found.count("left out"), found.unexplained) == (10, 7, [])


async def test_a_head_that_was_only_mentioned_is_unexplained_and_named(pool: Pool, log: Log) -> None:
    await ignored(log, 5, 5)
    await ignored(log, 5, 5, "edited")
    found = await read(pool)
    assert found.unexplained == [f"octo/hello#5 at {head(5)}"]
    assert list(told(found))[:2] == [
        "NOT FINE: 1 heads have neither a review nor a reason:",
        f"  octo/hello#5 at {head(5)}",
    ]


async def test_a_head_that_was_pushed_over_or_closed_before_anybody_asked_is_explained(pool: Pool, log: Log) -> None:
    await ignored(log, 5, 50)
    await append(log, job_of(requested(pull_request=5)), requested(pull_request=5))
    await ignored(log, 6, 6)
    closed = e.PullRequestClosed(
        installation=42, repository_id=7, repository="octo/hello", pull_request=6, merged=True, at=START
    )
    await append(log, uuid4(), closed)
    assert fates(await read(pool)) == {
        ("waiting", ""): 1,
        ("left out", "pushed to again before anybody asked"): 1,
        ("left out", "merged before anybody asked"): 1,
    }


async def test_gaps_and_losses_are_told(pool: Pool, log: Log) -> None:
    until = datetime(2026, 1, 9, tzinfo=UTC)
    await append(log, uuid4(), e.IntakeGap(since=until - timedelta(days=4), until=until))
    await append(log, uuid4(), e.DeliveryLost(event="ping", delivered_at=START, status="timed out", asked=9))
    await pool.execute("update recovery set recovered_at = now() - interval '3 hours'")
    lines = list(told(await read(pool)))
    assert lines[0] == "Fine: every head that the log knows is reviewed, waiting, or left out for a reason."
    assert "gap                     2026-01-05 00:00:00 UTC to 2026-01-09 00:00:00 UTC" in lines
    assert "lost for good           1" in lines
    (compared,) = (line for line in lines if line.startswith("last comparison"))
    assert compared.endswith("(3 h ago)")
    assert "last sweep              never" in lines


async def status(database: str) -> Result:
    """`reviewbot deliveries status` on a database."""
    environment: dict[str, Any] = {"DATABASE_URL": database, "LOG_LEVEL": "error"}
    return await asyncio.to_thread(CliRunner(env=environment).invoke, main, ["deliveries", "status"])


async def test_the_command_exits_with_1_while_something_is_unexplained(database: str, pool: Pool, log: Log) -> None:
    await ended(log, 1, "reviewed")
    await project(pool)
    fine = await status(database)
    assert (fine.exit_code, fine.output.split(":")[0]) == (0, "Fine")
    await ignored(log, 5, 5)
    await project(pool)
    found = await status(database)
    assert (found.exit_code, found.output.split(":")[0]) == (1, "NOT FINE")


@pytest.mark.parametrize("command", ["status", "recover"])
async def test_a_database_that_cannot_be_used_is_said_in_one_sentence(command: str) -> None:
    url = "postgresql://nobody:secret-word@127.0.0.1:1/none"
    environment = {"DATABASE_URL": url, "GITHUB_APP_ID": "1", "GITHUB_PRIVATE_KEY": "none", "ENCRYPTION_KEY": "0" * 64}
    result = await asyncio.to_thread(CliRunner(env=environment).invoke, main, ["deliveries", command])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert "secret-word" not in result.output
