"""Erasing an installation: nothing of it can be read any more, its reviews end, and nobody else notices."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
import structlog
from click.testing import CliRunner, Result
from eventsourcing.persistence import StoredEvent

from projections.jobs import read
from reviewbot.audit.history import history
from reviewbot.audit.sentences import sentence
from reviewbot.cli import main
from reviewbot.config import load
from reviewbot.erasure import REASON, Eraser, erase_installation
from reviewbot.errors import ConfigError
from reviewbot.keyrings import open_vault
from reviewbot.metrics import Metrics
from reviewbot.review import check_stream
from reviewbot.story import NotWanted
from schema import events as e
from schema import vault as vaults
from schema.codec import encode
from schema.database import connect
from schema.erasures import Erasures, erase, erase_again
from schema.log import Log
from schema.outside import OutsideError
from schema.processes import Processes
from schema.vault import Erased, Vault
from tests.helpers import ENCRYPTION_KEY, INSTALLATION, append, job_of, meta, project, requested
from tests.schema.given import Pool
from tests.world import World

OTHER = INSTALLATION + 1
NOW = datetime.now(UTC)


@pytest.fixture
def erasures(tmp_path: Path) -> Erasures:
    return Erasures(tmp_path / "erasures.jsonl")


def fact() -> StoredEvent:
    """Some event."""
    said = e.PermissionsAccepted(installation=INSTALLATION, at=NOW)
    return StoredEvent(uuid4(), 1, said.TOPIC, encode(said))


async def texts(log: Log, vault: Vault) -> dict[int, str]:
    """An artifact of two installations each, by installation."""
    made = {number: await vault.pack(number, "prompt", b"text") for number in (INSTALLATION, OTHER)}
    await log.append([fact()], meta(), artifacts=list(made.values()))
    return {number: artifact.ref for number, artifact in made.items()}


async def test_after_an_erasure_reads_say_when_and_others_read_on(
    pool: Pool, log: Log, vault: Vault, erasures: Erasures
) -> None:
    refs = await texts(log, vault)
    delivery = await vault.pack_delivery(INSTALLATION, uuid4(), "push", {}, b"{}")
    await log.append([fact()], meta(), delivery=delivery)
    key = await erase_installation(pool, log, erasures, INSTALLATION, "operator")
    today = f"installation {INSTALLATION} were erased on {datetime.now(UTC):%Y-%m-%d}"
    with pytest.raises(Erased, match=today):
        await vault.read_artifact(INSTALLATION, refs[INSTALLATION])
    with pytest.raises(Erased, match=today):
        await vault.read_delivery(delivery.id)
    assert await vault.read_artifact(OTHER, refs[OTHER]) == b"text"
    (*_, last) = await log.read_after(0)
    assert (last.fact, last.actor) == (e.InstallationErased(installation=INSTALLATION, key=key), "operator")


async def test_an_installation_that_comes_back_has_another_key_and_can_be_erased_once_more(
    pool: Pool, log: Log, vault: Vault, erasures: Erasures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vaults, "FRESH_SECONDS", 0.0)
    before = (await texts(log, vault))[INSTALLATION]
    first = await erase_installation(pool, log, erasures, INSTALLATION, "operator")
    after = (await texts(log, vault))[INSTALLATION]
    assert before != after
    assert await vault.read_artifact(INSTALLATION, after) == b"text"
    second = await erase_installation(pool, log, erasures, INSTALLATION, "operator")
    assert first != second
    assert [erasure.key for erasure in erasures.read()] == [first, second]
    assert await erase_installation(pool, log, erasures, INSTALLATION, "operator") is None


async def test_waiting_and_running_jobs_end_as_cancelled_and_the_rest_of_the_queue_stays(
    pool: Pool, log: Log, vault: Vault, erasures: Erasures
) -> None:
    await texts(log, vault)
    asked = [requested(pull_request=number) for number in (1, 2)] + [requested(installation=OTHER, repository_id=9)]
    for request in asked:
        await append(log, job_of(request), request, about=meta(installation=request.installation))
    await project(pool)
    (running,) = await read.claim(
        pool, read.Worker(uuid4(), "one"), slots=1, limit=timedelta(hours=1), per_installation=1, provider="rules"
    )
    await erase_installation(pool, log, erasures, running.installation, "operator")
    await project(pool)
    jobs = [await read.get(pool, job_of(request)) for request in asked]
    assert {(job.installation, job.state, job.reason) for job in jobs if job} == {
        (INSTALLATION, "cancelled", REASON),
        (OTHER, "queued", None),
    }


async def test_a_review_under_way_that_meets_erased_texts_ends_as_cancelled(world: World, erasures: Erasures) -> None:
    await world.request(trigger="comment", key="comment/1", commenter="octocat")
    story = world.story(await world.claim())
    await story.load()
    async with world.pool.acquire() as connection:
        await erase(connection, erasures, story.row.installation, "operator")
    with pytest.raises(NotWanted) as caught:
        await world.steps().review(story)
    assert isinstance(caught.value.fact, e.ReviewCancelled)
    assert "were erased on" in caught.value.fact.reason


async def test_a_check_run_whose_text_is_erased_is_left_alone(world: World, erasures: Erasures) -> None:
    job = await world.request()
    story = world.story(await world.claim())
    await world.steps().review(story)
    async with world.pool.acquire() as connection:
        await erase(connection, erasures, story.row.installation, "operator")
    await world.row(job)
    while await world.keeper().step():
        await world.row(job)
    (*_, last) = await world.log.read_stream(check_stream(job))
    assert isinstance(last.fact, e.CheckRunConcluded)
    assert last.fact.conclusion is None
    assert "were erased on" in (last.fact.reason or "")


async def test_of_two_who_erase_at_once_one_records_it(pool: Pool, log: Log, vault: Vault, erasures: Erasures) -> None:
    await texts(log, vault)
    await asyncio.gather(*(erase_installation(pool, log, erasures, INSTALLATION, "operator") for _ in range(2)))
    topics = [recorded.topic for recorded in await log.read_after(0)]
    assert topics.count("InstallationErased") == 1


async def test_a_projection_that_stands_still_does_not_stop_an_erasure(
    pool: Pool, log: Log, vault: Vault, erasures: Erasures
) -> None:
    refs = await texts(log, vault)
    await log.append([StoredEvent(uuid4(), 1, "Unheard", b"{}")], meta())
    assert await erase_installation(pool, log, erasures, INSTALLATION, "operator") is not None
    with pytest.raises(Erased):
        await vault.read_artifact(INSTALLATION, refs[INSTALLATION])


async def test_the_history_of_a_job_tells_that_its_texts_were_erased(
    pool: Pool, log: Log, vault: Vault, erasures: Erasures
) -> None:
    await texts(log, vault)
    request = requested()
    await append(log, job_of(request), request)
    await erase_installation(pool, log, erasures, INSTALLATION, "operator")
    later = requested(pull_request=2)
    await append(log, job_of(later), later)
    told = [sentence(recorded) for recorded in await history(log, job_of(request))]
    assert told[-1].startswith(f"the texts of installation {INSTALLATION} were erased")
    assert len(await history(log, job_of(later))) == 1


# --- some time after an installation was deleted ----------------------------------------------------------------------


def eraser(pool: Pool, log: Log, erasures: Erasures, *, after_days: int = 30) -> Eraser:
    processes = Processes(pool, uuid4(), "one")
    return Eraser(pool, log, processes, erasures, Metrics(), after_days=after_days)


async def _deleted(pool: Pool, log: Log, vault: Vault, *, days_ago: int) -> None:
    await texts(log, vault)
    gone = e.InstallationDeleted(installation=INSTALLATION, at=NOW - timedelta(days=days_ago))
    await append(log, uuid4(), gone)
    await project(pool)


async def _made_long_ago(database: str) -> None:
    """The key is as old as the installation was."""
    owner = await connect(database)
    await owner.execute("update data_key set made_at = now() - interval '100 days'")
    await owner.close()


async def test_a_deleted_installation_is_erased_when_its_time_is_over_and_not_before(
    database: str, pool: Pool, log: Log, vault: Vault, erasures: Erasures
) -> None:
    await _deleted(pool, log, vault, days_ago=29)
    await _made_long_ago(database)
    loop = eraser(pool, log, erasures)
    assert await loop.step() == []
    assert await eraser(pool, log, erasures, after_days=29).step() == []  # another process holds the lease
    loop._after_days = 29
    assert await loop.step() == [INSTALLATION]
    assert await loop.step() == []
    assert [row["installation"] for row in await pool.fetch("select installation from data_key")] == [OTHER]
    assert loop._metrics.registry.get_sample_value("reviewbot_installations_erased_total") == 1


async def test_a_key_that_a_late_delivery_made_has_its_own_time(
    pool: Pool, log: Log, vault: Vault, erasures: Erasures
) -> None:
    await _deleted(pool, log, vault, days_ago=90)
    assert await eraser(pool, log, erasures).step() == []


async def test_an_installation_that_is_back_in_time_is_not_erased(
    database: str, pool: Pool, log: Log, vault: Vault, erasures: Erasures
) -> None:
    await _deleted(pool, log, vault, days_ago=90)
    await _made_long_ago(database)
    back = e.InstallationCreated(installation=INSTALLATION, account_id=1, account="octo", at=NOW)
    await append(log, uuid4(), back)
    await project(pool)
    assert await eraser(pool, log, erasures).step() == []


async def test_nothing_is_erased_by_a_table_that_stands_still(
    database: str, pool: Pool, log: Log, vault: Vault, erasures: Erasures
) -> None:
    await _deleted(pool, log, vault, days_ago=90)
    await _made_long_ago(database)
    await pool.execute("update checkpoint set fault = 'event 7 cannot be folded'")
    assert await eraser(pool, log, erasures).step() == []


# --- what a backup brings back ----------------------------------------------------------------------------------------


async def test_a_key_that_came_back_is_destroyed_before_anything_is_read(
    pool: Pool, log: Log, vault: Vault, erasures: Erasures
) -> None:
    refs = await texts(log, vault)
    backup = await pool.fetchrow("select id, installation, wrapped, fingerprint from data_key where installation = $1",
                                 INSTALLATION)  # fmt: skip
    assert backup is not None
    await erase_installation(pool, log, erasures, INSTALLATION, "operator")
    await pool.execute("insert into data_key (id, installation, wrapped, fingerprint) values ($1, $2, $3, $4)", *backup)
    assert await vault.read_artifact(INSTALLATION, refs[INSTALLATION]) == b"text"  # what must never happen
    settings = load({"ENCRYPTION_KEY": ENCRYPTION_KEY, "ERASURE_FILE": str(erasures.path)}, role="tool").keys
    with structlog.testing.capture_logs() as said:
        again = await open_vault(settings, pool)
    assert [line["log_level"] for line in said] == ["error"]
    assert "an erased key was in the database again" in said[0]["event"]
    with pytest.raises(Erased):
        await again.read_artifact(INSTALLATION, refs[INSTALLATION])
    assert await again.read_artifact(OTHER, refs[OTHER]) == b"text"


async def test_an_erasure_that_broke_off_after_it_was_written_down_is_completed(
    pool: Pool, log: Log, vault: Vault, erasures: Erasures
) -> None:
    refs = await texts(log, vault)
    key = (await vault.pack(INSTALLATION, "prompt", b"x")).key
    erasures.append(INSTALLATION, key)
    async with pool.acquire() as connection:
        assert [each.key for each in await erase_again(connection, erasures, "operator")] == [key]
        assert await erase_again(connection, erasures, "operator") == []
    with pytest.raises(Erased):
        await vault.read_artifact(INSTALLATION, refs[INSTALLATION])


async def test_what_cannot_be_written_down_is_not_erased(pool: Pool, log: Log, vault: Vault, tmp_path: Path) -> None:
    refs = await texts(log, vault)
    tmp_path.joinpath("file").write_text("")
    with pytest.raises(OutsideError, match="ERASURE_FILE"):
        await erase_installation(pool, log, Erasures(tmp_path / "file" / "x"), INSTALLATION, "operator")
    assert await vault.read_artifact(INSTALLATION, refs[INSTALLATION]) == b"text"


def test_a_torn_line_is_passed_over_and_a_strange_one_is_not(erasures: Erasures) -> None:
    key = uuid4()
    erasures.append(7, key)
    with erasures.path.open("a") as file:
        file.write('{"installation": 8, "ke')
    erasures.append(9, key)
    assert [(each.installation, each.key) for each in erasures.read()] == [(7, key), (9, key)]
    with erasures.path.open("a") as file:
        file.write('{"installation": "seven"}\n')
    with pytest.raises(OutsideError, match=r"line 4 of .* is no erasure"):
        erasures.read()


async def test_a_list_that_cannot_be_read_stops_the_start(pool: Pool, erasures: Erasures) -> None:
    erasures.path.write_text("{}\n")
    settings = load({"ENCRYPTION_KEY": ENCRYPTION_KEY, "ERASURE_FILE": str(erasures.path)}, role="tool").keys
    with pytest.raises(ConfigError, match="line 1 of"):
        await open_vault(settings, pool)


def test_the_file_has_the_format_that_is_described(erasures: Erasures) -> None:
    key = uuid4()
    erasures.append(7, key)
    (line,) = erasures.path.read_text().splitlines()
    fields = msgspec.json.decode(line, type=dict[str, object])
    assert (fields["installation"], fields["key"], set(fields)) == (7, str(key), {"installation", "key", "erased_at"})
    assert datetime.fromisoformat(str(fields["erased_at"])).utcoffset() == timedelta()


# --- the command ------------------------------------------------------------------------------------------------------


async def call(database: str, erasures: Erasures, *arguments: str, answer: str = "") -> Result:
    """`reviewbot erase`, in a thread with a loop of its own."""
    runner = CliRunner(env={"DATABASE_URL": database, "ERASURE_FILE": str(erasures.path)})
    return await asyncio.to_thread(runner.invoke, main, ["erase", *arguments], answer)


async def test_the_command_asks_first_and_does_nothing_when_the_answer_is_no(
    database: str, pool: Pool, log: Log, vault: Vault, erasures: Erasures
) -> None:
    await texts(log, vault)
    refused = await call(database, erasures, str(INSTALLATION), answer="n\n")
    assert refused.exit_code == 1
    assert await pool.fetchval("select count(*) from data_key") == 2
    erased = await call(database, erasures, str(INSTALLATION), answer="y\n")
    assert (erased.exit_code, f"The texts of installation {INSTALLATION} are erased" in erased.output) == (0, True)
    assert await pool.fetchval("select count(*) from data_key") == 1
    again = await call(database, erasures, str(INSTALLATION), "--yes")
    assert (again.exit_code, "has no data key" in again.output) == (2, True)


async def test_the_command_destroys_what_a_backup_brought_back(
    database: str, log: Log, vault: Vault, erasures: Erasures
) -> None:
    await texts(log, vault)
    erasures.append(INSTALLATION, (await vault.pack(INSTALLATION, "prompt", b"x")).key)
    for expected in ("1 keys had come back", "0 keys had come back"):
        result = await call(database, erasures, "--again")
        assert (result.exit_code, result.stdout.partition(",")[0]) == (0, expected)


@pytest.mark.parametrize("arguments", [(), ("7", "--again"), ("-1",), ("seven",)], ids=str)
def test_a_command_that_is_not_understood_is_refused(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(main, ["erase", *arguments]).exit_code == 2
