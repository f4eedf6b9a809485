"""`reviewbot keys`: what it says of the keys, and that a wrong one is refused before anything is changed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from reviewbot import key_commands
from reviewbot.cli import main
from reviewbot.config import load
from reviewbot.errors import ConfigError
from reviewbot.keyrings import make_keyring, open_vault
from schema.keys import Keyring
from schema.log import Log
from schema.vault import Vault
from tests.helpers import ENCRYPTION_KEY, KEYRING
from tests.schema.given import Pool, event, meta

NEW = "ab" * 32
NEW_PRINT = Keyring(bytes.fromhex(NEW)).current.fingerprint
OLD_PRINT = KEYRING.current.fingerprint


async def call(database: str, *arguments: str, **environment: str) -> Result:
    """The command, in a thread with a loop of its own."""
    runner = CliRunner(env={"DATABASE_URL": database, **environment})
    return await asyncio.to_thread(runner.invoke, main, arguments)


@pytest.fixture
async def ref(log: Log, vault: Vault) -> str:
    """An artifact of installation 7; installation 8 has a key as well."""
    await vault.pack(8, "prompt", b"x")
    artifact = await vault.pack(7, "prompt", b"the text")
    await log.append([event()], meta(), artifacts=[artifact])
    return artifact.ref


async def test_a_rotation_leaves_every_text_readable_with_the_new_key_alone(
    database: str, pool: Pool, ref: str
) -> None:
    before = await call(database, "keys", "status", ENCRYPTION_KEY=NEW, ENCRYPTION_KEY_OLD=ENCRYPTION_KEY)
    assert f"       2 data keys wrapped by {OLD_PRINT}: ENCRYPTION_KEY_OLD;" in before.output
    for expected in ("2 data keys rewrapped", "0 data keys rewrapped"):
        rotated = await call(database, "keys", "rotate", ENCRYPTION_KEY=NEW, ENCRYPTION_KEY_OLD=ENCRYPTION_KEY)
        assert (rotated.exit_code, rotated.stdout.partition(";")[0]) == (0, expected)
    assert await Vault(pool, Keyring(bytes.fromhex(NEW))).read_artifact(7, ref) == b"the text"
    after = await call(database, "keys", "status", ENCRYPTION_KEY=NEW)
    assert after.exit_code == 0
    assert f"       2 data keys wrapped by {NEW_PRINT}: the one in force" in after.output


async def test_keys_that_none_opens_are_named_and_nothing_is_rewrapped(database: str, pool: Pool, ref: str) -> None:
    before = await pool.fetch("select * from data_key order by id")
    refused = await call(database, "keys", "rotate", ENCRYPTION_KEY=NEW, ENCRYPTION_KEY_OLD="cd" * 32)
    assert refused.exit_code == 2
    assert "Nothing was rewrapped: the data key of installation" in refused.stderr
    assert OLD_PRINT in refused.stderr
    assert await pool.fetch("select * from data_key order by id") == before
    status = await call(database, "keys", "status", ENCRYPTION_KEY=NEW)
    assert (status.exit_code, "NOT GIVEN" in status.output) == (1, True)


async def test_a_damaged_key_stops_the_rotation_before_it_begins(database: str, pool: Pool, ref: str) -> None:
    await pool.execute("update data_key set wrapped = 'x' where installation = 8")
    refused = await call(database, "keys", "rotate", ENCRYPTION_KEY=NEW, ENCRYPTION_KEY_OLD=ENCRYPTION_KEY)
    assert refused.exit_code == 2
    assert "installation 8" in refused.stderr
    assert await pool.fetchval("select count(*) from data_key where fingerprint = $1", OLD_PRINT) == 2


async def test_without_a_key_there_is_nothing_to_rotate_to(database: str) -> None:
    refused = await call(database, "keys", "rotate")
    assert (refused.exit_code, refused.stderr.partition(" is")[0]) == (2, "ENCRYPTION_KEY")


async def test_a_database_that_goes_away_is_said_in_one_sentence(
    database: str, ref: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> int:
        raise ConnectionResetError("gone")

    monkeypatch.setattr(key_commands, "rotate", gone)
    failed = await call(database, "keys", "rotate", ENCRYPTION_KEY=NEW, ENCRYPTION_KEY_OLD=ENCRYPTION_KEY)
    assert failed.exit_code == 3
    assert "Error: the database did not answer" in failed.stderr
    assert "Traceback" not in failed.stderr


# --- before anything is served ----------------------------------------------------------------------------------------


async def test_a_start_with_another_key_is_refused_and_both_are_named(pool: Pool, ref: str) -> None:
    settings = load({"ENCRYPTION_KEY": NEW}, role="tool").keys
    with pytest.raises(ConfigError, match=f"{NEW_PRINT}, and the texts of 2 installations need {OLD_PRINT}"):
        await open_vault(settings, pool)
    both = load({"ENCRYPTION_KEY": NEW, "ENCRYPTION_KEY_OLD": ENCRYPTION_KEY}, role="tool").keys
    assert await (await open_vault(both, pool)).read_artifact(7, ref) == b"the text"


async def test_the_service_does_not_start_with_another_key(database: str, ref: str) -> None:
    environment = {
        "DATABASE_URL": database,
        "ENCRYPTION_KEY": NEW,
        "GITHUB_APP_ID": "1",
        "GITHUB_APP_SLUG": "reviewbot",
        "GITHUB_WEBHOOK_SECRET": "correct-horse-battery-staple",
        "HOST": "127.0.0.1",
        "PORT": "0",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "reviewbot", "serve", "--role", "web"),
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert said.decode().splitlines() == [
        f"ENCRYPTION_KEY is {NEW_PRINT}, and the texts of 2 installations need {OLD_PRINT}: give that one as "
        "ENCRYPTION_KEY, or as ENCRYPTION_KEY_OLD until `reviewbot keys rotate` has run."
    ]


def test_the_key_of_the_embedded_database_is_made_once_and_for_its_owner_only(tmp_path: object) -> None:
    settings = load({"DATA_DIR": str(tmp_path)}, role="tool").keys
    assert settings.key_file is not None
    first, second = make_keyring(settings), make_keyring(settings)
    assert first.fingerprints == second.fingerprints
    assert settings.key_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "zz", "0f" * 31])
def test_a_file_that_holds_no_key_is_named(tmp_path: object, text: str) -> None:
    settings = load({"DATA_DIR": str(tmp_path)}, role="tool").keys
    assert settings.key_file is not None
    settings.key_file.write_text(text)
    with pytest.raises(ConfigError, match="holds no key"):
        make_keyring(settings)
