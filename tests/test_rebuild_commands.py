"""`reviewbot rebuild` as it is typed: what it says, and with which exit code."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from projections.build import building, hold
from projections.jobs.project import Jobs
from reviewbot import cli
from schema import events as e
from schema.log import Log
from tests.helpers import HEAD, append, project
from tests.projections.ground import Pool, ask


@pytest.fixture
def typed(database: str, monkeypatch: pytest.MonkeyPatch) -> Typed:
    monkeypatch.setenv("DATABASE_URL", database)
    return Typed()


class Typed:
    """Runs the command in a thread of its own, as it has an event loop of its own."""

    async def __call__(self, *arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, cli.main, ["rebuild", *arguments])


async def test_a_rebuild_says_what_it_did_and_the_status_how_things_stand(typed: Typed, pool: Pool, log: Log) -> None:
    await ask(log, 1)
    done = await typed("jobs", "--keep-old")
    assert (done.exit_code, done.stdout.partition(" after a pause")[0]) == (
        0,
        "jobs: 1 events folded; live at position 1",
    )
    shown = await typed("--status")
    assert shown.exit_code == 0
    assert f"jobs: version {Jobs.version}, position 1, 0 events behind." in shown.stdout
    assert f"jobs: the tables before are kept: version {Jobs.version} at position 0." in shown.stdout
    assert (await typed("jobs", "--rollback")).exit_code == 0
    assert "removed the tables before the last rebuild" in (await typed("jobs", "--abort")).stdout
    assert "nothing to remove" in (await typed("jobs", "--abort")).stdout
    again = await typed("jobs", "--rollback")
    assert (again.exit_code, again.stdout) == (3, "")
    assert "no old tables" in again.stderr


async def test_a_row_that_differs_is_shown_and_is_an_exit_code(typed: Typed, pool: Pool, log: Log) -> None:
    await ask(log, 1)
    await project(pool)
    fine = await typed("--all", "--verify")
    assert fine.exit_code == 0
    assert "they are what the log says" in fine.stdout
    await pool.execute("update jobs set plan = 'another'")
    wrong = await typed("--all", "--verify")
    assert wrong.exit_code == 1
    assert "plan is 'another', the log says None" in wrong.stdout
    assert "jobs NOT what the log says" in wrong.stdout


async def test_a_poison_event_is_named_with_an_exit_code(typed: Typed, log: Log) -> None:
    await append(log, uuid4(), e.ReviewCompleted(head_sha=HEAD, findings=0, conclusion="success"))
    poisoned = await typed("jobs")
    assert poisoned.exit_code == 1
    assert "jobs: event 1 (ReviewCompleted, version 1 of " in poisoned.stdout
    assert "The live tables are as they were." in poisoned.stdout


async def test_somebody_else_at_work_is_named_with_an_exit_code(typed: Typed, database: str) -> None:
    async with hold(database, Jobs(), building(Jobs())):
        refused = await typed("jobs")
        assert (refused.exit_code, refused.stdout) == (3, "")
        assert "Another process is at the tables of jobs: reviewbot build on" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Name what to rebuild"),
        (("nonsense",), "There are: jobs"),
        (("jobs", "--verify", "--keep-old"), "--keep-old"),
    ],
)
async def test_what_cannot_be_meant_is_said(typed: Typed, arguments: tuple[str, ...], words: str) -> None:
    refused = await typed(*arguments)
    assert refused.exit_code == 2
    assert words in refused.stderr
