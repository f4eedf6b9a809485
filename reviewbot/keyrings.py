"""The encryption key as the service knows it: given or made once, and checked before anything is served."""

from __future__ import annotations

import secrets

import asyncpg

from reviewbot.config import KeySettings
from reviewbot.errors import ConfigError
from schema.erasures import Erasures, erase_again
from schema.keys import KEY_BYTES, Keyring
from schema.outside import OutsideError, make_once
from schema.sql import load
from schema.vault import Vault


def make_keyring(settings: KeySettings) -> Keyring:
    """The configured keys; the file of the embedded database's key is made when there is none. Raises ConfigError."""
    current = bytes.fromhex(settings.key.reveal()) if settings.key else _from_file(settings)
    return Keyring(current, bytes.fromhex(settings.key_old.reveal()) if settings.key_old else None)


async def open_vault(settings: KeySettings, pool: asyncpg.Pool[asyncpg.Record]) -> Vault:
    """The vault behind a pool, once every key that was erased is gone again, should a backup have brought it back.

    Raises ConfigError when the configured keys do not open every data key, or the erasures cannot be read.
    """
    try:
        async with pool.acquire() as connection:
            await erase_again(connection, Erasures(settings.erasure_file), "operator")
    except OutsideError as error:
        raise ConfigError(f"It cannot be told which keys were erased: {error}.") from error
    keyring = make_keyring(settings)
    for row in await pool.fetch(load("schema.queries", "count_keys")):
        if row["fingerprint"] not in keyring.fingerprints:
            raise ConfigError(
                f"ENCRYPTION_KEY is {keyring.current.fingerprint}, and the texts of {row['keys']} installations need "
                f"{row['fingerprint']}: give that one as ENCRYPTION_KEY, or as ENCRYPTION_KEY_OLD until "
                "`reviewbot keys rotate` has run."
            )
    return Vault(pool, keyring)


def _from_file(settings: KeySettings) -> bytes:
    path = settings.key_file
    if path is None:
        raise ConfigError("ENCRYPTION_KEY is not set, and without it no stored text can be read.")
    try:
        if not path.exists():
            make_once(path, secrets.token_hex(KEY_BYTES))
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except OSError as error:
        raise ConfigError(f"The encryption key in {path} cannot be made or read ({error.strerror}).") from error
    except ValueError as error:
        raise ConfigError(f"{path} holds no key: bring it back from a backup, or set ENCRYPTION_KEY.") from error
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path} holds no key of {KEY_BYTES} bytes: bring it back from a backup.")
    return key
