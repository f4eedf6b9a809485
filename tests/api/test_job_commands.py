"""`reviewbot audit jobs`: the same jobs as over HTTP, now and as they were, for people and for programs."""

from __future__ import annotations

import asyncio
import csv
import io
import json

import pytest
from click.testing import CliRunner, Result

from reviewbot.cli import main
from schema import events as e
from schema.log import Log
from tests.api.ground import Client
from tests.helpers import append, project
from tests.intake import Pool
from tests.projections.ground import ask


async def call(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, ["audit", "jobs", *arguments])


@pytest.fixture(autouse=True)
def _database(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)


async def test_the_jobs_are_those_of_the_api_now_and_as_they_were(client: Client, log: Log, pool: Pool) -> None:
    first = await ask(log, 1)
    await ask(log, 2)
    await append(log, first, e.ReviewSkipped(reason="nothing, \x1b[31mreally"), after=1)
    await project(pool)
    for at in ([], ["--at", "3"], ["--at", "2"]):
        told = await call("--format", "jsonl", *at)
        assert told.exit_code == 0, told.output
        over_http = (await client.ask("/api/jobs", at=at[1] if at else None)).json["jobs"]
        assert [json.loads(line) for line in told.stdout.splitlines()] == over_http
    assert "As it was after event 2, recorded 20" in told.stderr
    assert len(over_http) == 1


async def test_a_table_and_csv_show_them_to_people_and_programs(log: Log, pool: Pool) -> None:
    jobs = [await ask(log, number) for number in (1, 2, 3)]
    await append(log, jobs[0], e.ReviewSkipped(reason='nothing, "really"\x1b[31m'), after=1)
    table = (await call()).stdout.splitlines()
    assert table[0].split()[:3] == ["job", "state", "pull"]
    assert [line.split()[0] for line in table[1:]] == [str(job) for job in reversed(jobs)]
    assert "octo/hello#1" in table[3]
    assert "\x1b" not in table[3]
    rows = list(csv.DictReader(io.StringIO((await call("--format", "csv", "--state", "skipped")).stdout)))
    assert [(row["id"], row["reason"]) for row in rows] == [(str(jobs[0]), 'nothing, "really"')], (
        "what would colour a terminal is left out"
    )
    few = await call("--limit", "2")
    assert len(few.stdout.splitlines()) == 3
    assert "--limit 0 shows all" in few.stderr


async def test_many_jobs_come_in_pages_under_one_heading(log: Log, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reviewbot.job_commands.PAGE", 2)
    for number in range(5):
        await ask(log, number)
    for at in ([], ["--at", "5"]):
        lines = (await call(*at, "--limit", "0")).stdout.splitlines()
        assert (len(lines), len(set(lines))) == (6, 6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--at", "yesterday"], "neither a time"),
        (["--repository", "shop"], "OWNER/NAME"),
        (["--pull-request", "1"], "name the repository"),
        (["--head", "xyz"], "hex digits"),
        (["--state", "gone"], "is not one of"),
    ],
)
async def test_what_is_not_understood_is_said_before_the_database_is_opened(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    told = await call(*arguments)
    assert (told.exit_code, told.stdout) == (2, "")
    assert words in told.stderr


async def test_a_moment_that_the_log_does_not_reach_is_told_with_where_it_ends(pool: Pool) -> None:
    for at, words in (("1", "the log ends at 0"), ("2999-01-01", "yet to come")):
        told = await call("--at", at)
        assert (told.exit_code, told.stdout) == (2, "")
        assert words in told.stderr
