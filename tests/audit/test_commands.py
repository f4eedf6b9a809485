"""`reviewbot audit` as people call it: what it prints, what it refuses, and how much it keeps in memory."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import subprocess
import sys
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from click.testing import CliRunner, Result

from reviewbot import audit_commands
from reviewbot.cli import main
from reviewbot.review import check_stream
from schema import events as e
from schema.database import connect
from schema.log import Log
from tests.helpers import HEAD, START, append, job_of, meta, requested

URL = "https://github.com/octo/hello/pull/1#pullrequestreview-5"


@pytest.fixture
async def job(pool: asyncpg.Pool[asyncpg.Record], log: Log) -> UUID:
    """One review that was completed, in a log that nobody has folded."""
    fact = requested(requested_by=5)
    stream = job_of(fact)
    await append(log, stream, fact, about=meta(actor="user:5"))
    check = e.CheckRunCreated(job=stream, check_run_id=99, head_sha=HEAD, request_version=1)
    await append(log, check_stream(stream), check, about=meta(actor="worker:one"))
    await append(
        log,
        stream,
        e.ReviewStarted(attempt=1, claim_no=1, worker=uuid4(), deadline=START),
        e.ModelAsked(call=1, provider="rules", model="rules", prompt="p", prompt_version="1"),
        e.AnswerReceived(
            call=1, provider="rules", model="rules", prompt="p", answer="a", finish="complete",
            input_tokens=1500, output_tokens=20,
        ),
        e.ReviewPosted(review_id=5, url=URL, comments=2),
        e.ReviewCompleted(head_sha=HEAD, findings=2, conclusion="neutral", review_id=5),
        after=1,
        about=meta(actor="worker:one"),
    )  # fmt: skip
    return stream


@pytest.fixture
async def failed(job: UUID, log: Log) -> UUID:
    """Another one, that failed after one more attempt."""
    fact = requested(pull_request=2)
    stream = job_of(fact)
    await append(
        log,
        stream,
        fact,
        e.ReviewFailed(code="deadline", reason="Too slow.", retry_at=START),
        e.ReviewFailed(code="deadline", reason="Too \x1b[31mslow again."),
    )
    return stream


@pytest.fixture
def ask(database: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `reviewbot audit` with these words."""
    monkeypatch.setenv("DATABASE_URL", database)

    def call(*words: str) -> Result:
        return CliRunner().invoke(main, ["audit", *words])

    return call


def test_events_come_as_a_table_as_json_and_as_csv(ask: Any, job: UUID) -> None:
    shown = ask("events", "--repository", "Octo/Hello", "--pull-request", "1")
    assert shown.exit_code == 0, shown.output
    heading, *lines = shown.stdout.splitlines()
    assert heading.split()[0] == "position"
    assert [line.split()[0] for line in lines] == ["7", "6", "5", "4", "3", "2", "1"], "the newest first"
    as_json = ask("events", "--type", "ReviewPosted", "--format", "jsonl")
    assert json.loads(as_json.stdout)["data"]["url"] == URL
    as_csv = ask("events", "--job", str(job), "--oldest-first", "--format", "csv")
    assert [row["position"] for row in csv.DictReader(io.StringIO(as_csv.stdout))] == list("1234567")


def test_a_limit_says_that_there_is_more(ask: Any, job: UUID) -> None:
    few = ask("events", "--limit", "2")
    assert len(few.stdout.splitlines()) == 3
    assert few.stderr == "There are more: --limit 0 shows all, --limit N so many. 2 shown.\n"
    assert ask("events", "--limit", "7").stderr == ""
    assert len(ask("events", "--limit", "0").stdout.splitlines()) == 8


def test_nothing_found_is_said_beside_the_output(ask: Any, job: UUID) -> None:
    nothing = ask("events", "--repository", "acme/other", "--format", "jsonl")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "No such event.\n")


@pytest.mark.parametrize("by_job", [True, False])
def test_a_history_tells_who_when_the_cost_and_where_to_look(ask: Any, job: UUID, by_job: bool) -> None:
    told = ask("history", str(job) if by_job else "octo/hello#1")
    assert told.exit_code == 0, told.output
    lines = told.stdout.splitlines()
    assert lines[1].split()[3:5] == ["user:5", "ReviewRequested"]
    assert f"job {job}" in lines
    assert "  model        1 call, 1,500 tokens in, 20 out" in lines
    assert any(line.startswith("  cost         $0.00; ") for line in lines)
    assert "  pull request https://github.com/octo/hello/pull/1" in lines
    assert f"  review       {URL}" in lines
    assert "  Check Run    https://github.com/octo/hello/runs/99" in lines


def test_a_history_for_programs_holds_events_alone(ask: Any, job: UUID) -> None:
    lines = ask("history", "octo/hello#1", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["position"] for line in lines] == [1, 2, 3, 4, 5, 6, 7]


def test_a_history_can_be_told_as_it_stood_then(ask: Any, job: UUID) -> None:
    lines = ask("history", "octo/hello#1", "--format", "jsonl", "--at", "3").stdout.splitlines()
    assert [json.loads(line)["position"] for line in lines] == [1, 2, 3]
    assert "GitHub says the head" not in ask("history", str(job), "--at", "1").stdout
    assert ask("history", str(job), "--at", "2020-01-01").exit_code == 2


def test_why_answers_in_sentences_or_for_programs(ask: Any, job: UUID, failed: UUID) -> None:
    assert "2 findings (neutral)." in ask("why", "octo/hello#1").stdout
    shown = ask("why", "octo/hello#2", "--head", "aaaa").stdout
    assert "The reason (deadline): Too <U+001B>[31mslow again." in shown
    answer = json.loads(ask("why", "octo/hello#2", "--json").stdout)
    assert (answer["verdict"], answer["head"]) == ("failed", HEAD)


def test_failures_are_grouped_with_an_example_and_what_to_do(ask: Any, failed: UUID) -> None:
    shown = ask("failures").stdout
    assert "deadline" in shown
    assert "Too <U+001B>[31mslow again." in shown
    assert "REVIEW_TIMEOUT_SECONDS" in shown
    row = json.loads(ask("failures", "--format", "jsonl").stdout)
    assert (row["failed"], row["tried_again"], row["repositories"], row["job"]) == (1, 1, 1, str(failed))
    assert ask("failures", "--until", "1").stderr == "Nothing failed.\n"


def test_stats_count_by_day_and_repository(ask: Any, failed: UUID) -> None:
    (row,) = csv.DictReader(io.StringIO(ask("stats", "--format", "csv").stdout))
    assert (row["repository"], row["reviews"], row["findings"], row["failed"]) == ("octo/hello", "1", "2", "1")
    assert (row["input_tokens"], row["output_tokens"]) == ("1500", "20")
    assert 0 <= float(row["median_seconds"]) <= float(row["p95_seconds"]) < 60
    assert "octo/hello" in ask("stats", "--repository", "octo/hello").stdout
    assert ask("stats", "--repository", "acme/other").stderr == (
        "No review ended in that time, and no model was asked.\n"
    )


@pytest.fixture
async def paid(log: Log) -> UUID:
    """A review that was superseded after one answer and while the next prompt was out."""
    fact = requested(pull_request=3)
    stream = job_of(fact)

    def asked(call: int) -> e.ModelAsked:
        return e.ModelAsked(call=call, provider="openai", model="gpt-5", prompt="p", prompt_version="1")

    def answered(call: int, **told: Any) -> e.AnswerReceived:
        return e.AnswerReceived(
            call=call, provider="openai", model="gpt-5", prompt="p", answer="a", finish="complete",
            input_tokens=100_000, output_tokens=1_000, **told,
        )  # fmt: skip

    facts = (
        *(asked(1), answered(1, cost_usd=Decimal("0.5"), price_table="list of old")),
        *(asked(2), answered(2)),
        *(asked(3), answered(3, price_table="list of old")),
        asked(4),
    )
    await append(log, stream, fact, *facts, e.ReviewSuperseded())
    return stream


def test_a_history_says_what_was_paid_in_vain_and_what_is_not_known(ask: Any, paid: UUID) -> None:
    told = ask("history", str(paid)).stdout
    assert "tokens in, 1000 out, 0 ms, $0.50" in told
    assert (
        "  cost         $0.64; $0.64 of it for 3 answers that no review came of; 1 call without an answer may have "
        "cost something too; without 1 answer of a model whose price is not known; 1 answer recorded without a price, "
        "at today's list\n" in told
    )


def test_the_operators_prices_count_for_what_was_recorded_without_one(
    ask: Any, paid: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_PRICES", "gpt-5=10/0")
    assert "cost         $1.50;" in ask("history", str(paid)).stdout


def test_stats_count_money_by_the_day_of_the_call_whatever_came_of_it(ask: Any, failed: UUID, paid: UUID) -> None:
    shown = ask("stats", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(shown.stdout))
    assert (row["installation"], row["reviews"], row["input_tokens"]) == ("42", "1", "301500")
    assert (Decimal(row["cost_usd"]), Decimal(row["unused_usd"])) == (Decimal("0.635"), Decimal("0.635"))
    assert (row["unused_calls"], row["unpriced_calls"]) == ("5", "1"), "one of the review that nothing was prepared for"
    assert shown.stderr == "2 calls were recorded without a price: priced by today's list.\n"
    assert "0.6350" in ask("stats").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("events", "--head", "xyz"), "lower-case hex"),
        (("events", "--pull-request", "1"), "name the repository too"),
        (("events", "--repository", "nonsense"), "OWNER/NAME"),
        (("events", "--type", "ReviewFaild"), "did you mean ReviewFailed?"),
        (("events", "--since", "yesterday"), "neither a time"),
        (("events", "--limit", "-1"), "--limit"),
        (("events", "--job", "x"), "--job"),
        (("history", "nonsense"), "owner/repo#7"),
        (("history", "octo/hello#1", "--at", "soon"), "neither a time"),
        (("why", "octo/hello"), "owner/repo#7"),
        (("why", "octo/hello#1", "--head", "zz"), "lower-case hex"),
        (("why", "octo/hello#99999999999"), "no pull request 99999999999"),
        (("failures", "--until", "soon"), "neither a time"),
        (("stats", "--repository", "x"), "OWNER/NAME"),
    ],
)
def test_what_is_not_understood_is_refused_before_the_database_is_opened(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
    refused = CliRunner().invoke(main, ["audit", *words])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert "DATABASE_URL" not in refused.stderr


def test_a_job_that_the_log_does_not_know_is_said_so(ask: Any, job: UUID) -> None:
    unknown = ask("history", str(uuid4()))
    assert unknown.exit_code == 2
    assert "knows nothing of" in unknown.stderr


def test_a_database_that_goes_away_is_said_in_one_sentence(
    ask: Any, job: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(pool: asyncpg.Pool[asyncpg.Record]) -> list[str]:
        await pool.execute("reset role; select pg_terminate_backend(pg_backend_pid())")
        return []

    monkeypatch.setattr(audit_commands, "catch_up", gone)
    refused = ask("events")
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert refused.stderr == "Error: The database does not answer any more.\n"


MEASURED = """
import resource, sys
from reviewbot.cli import main
try:
    main(["audit", "events", "--format", "jsonl", "--oldest-first"])
except SystemExit:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
"""


@pytest.mark.timeout(300)
def test_very_many_events_are_streamed_in_little_memory(database: str) -> None:
    def listed() -> tuple[int, int]:
        done = subprocess.run(
            [sys.executable, "-c", MEASURED], env={"DATABASE_URL": database, "HOME": "/"},
            capture_output=True, check=True,
        )  # fmt: skip
        return done.stdout.count(b"\n"), int(done.stderr.split()[-1])

    few, usual = listed()
    asyncio.run(_fill(database, 200_000))
    many, peak = listed()
    assert (few, many) == (0, 200_000)
    assert peak - usual < 60, f"{usual} MB without events, {peak} MB with"


async def _fill(database: str, events: int) -> None:
    owner = await connect(database)
    fill = "insert into event (position, stream, version, topic, data, actor, correlation, recorded_at) "
    fill += "select n, gen_random_uuid(), 1, 'DeliveryParked', $2::json, 'github', gen_random_uuid(), now() "
    await owner.execute(
        fill + "from generate_series(1, $1::int) n", events, b'{"event":"star","reason":"%s"}' % (b"x" * 200)
    )
    await owner.execute("update log_head set position = $1", events)
    await owner.execute("update checkpoint set position = $1", events)
    await owner.close()
