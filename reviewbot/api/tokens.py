"""Tokens for the HTTP API: made, listed, revoked, and recognised by their digests."""

from __future__ import annotations

import secrets
import string
import zlib
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeAlias
from uuid import uuid4

import asyncpg
import msgspec

from reviewbot.errors import ConfigError, FinalError
from schema.log import as_persistence_errors
from schema.sql import load

HERE = "reviewbot.api"
ACTOR = "operator"
PREFIX = "rbt_"  # by which secret scanners know it
SECRET_BYTES = 32
LONGEST_NAME = 100
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
SECRET_LETTERS, CHECK_LETTERS = 43, 6  # what 256 and 32 bits take in base 62

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class TokenError(ConfigError):
    """The token cannot be made or revoked."""


class TokenRefused(FinalError):
    """The token is none that opens the API."""


class Token(msgspec.Struct, frozen=True):
    """What is known of a token; the token itself is not."""

    name: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None  # to the minute
    expired: bool


async def create(pool: Pool, name: str, expires: timedelta | None = None) -> str:
    """Make a token and return it, the only time that anybody sees it. Raises TokenError."""
    if not (name and name.isprintable() and name == name.strip() and len(name) <= LONGEST_NAME):
        raise TokenError(
            f"{name[:LONGEST_NAME]!r} is no name for a token: take 1 to {LONGEST_NAME} printable characters."
        )
    token = new_token()
    try:
        await pool.execute(load(HERE, "create_token"), uuid4(), name, digest(token), expires, ACTOR)
    except asyncpg.UniqueViolationError as error:
        raise TokenError(f"There is a token named {name!r} already: revoke it first, or take another name.") from error
    return token


async def list_all(pool: Pool) -> list[Token]:
    """All tokens that were not revoked, the expired ones among them."""
    return [Token(*row) for row in await pool.fetch(load(HERE, "list_tokens"))]


async def revoke(pool: Pool, name: str) -> None:
    """From now on the token opens nothing, in any process. Raises TokenError."""
    if await pool.fetchval(load(HERE, "revoke_token"), name, ACTOR) is None:
        raise TokenError(f"There is no token named {name[:LONGEST_NAME]!r}: `reviewbot tokens list` shows all.")


async def check(pool: Pool, token: str) -> str:
    """The name of a token that opens the API. Raises TokenRefused, and OperationalError without a database."""
    if not is_well_formed(token):
        raise TokenRefused("This is not a token of ReviewBot.")
    with as_persistence_errors():
        row = await pool.fetchrow(load(HERE, "use_token"), digest(token))
    if row is None:
        raise TokenRefused("This token is not known; it may have been revoked.")
    if row["expired"]:
        raise TokenRefused("This token has expired.")
    return str(row["name"])


def new_token() -> str:
    """256 random bits with a prefix and a checksum, so that scanners for lost secrets tell it from other text."""
    secret = _letters(int.from_bytes(secrets.token_bytes(SECRET_BYTES)), SECRET_LETTERS)
    return PREFIX + secret + _checksum(secret)


def is_well_formed(token: str) -> bool:
    """Whether a text may be a token at all, by its checksum: what was mistyped need not trouble the database."""
    secret = token[len(PREFIX) : -CHECK_LETTERS]
    return token.startswith(PREFIX) and len(secret) == SECRET_LETTERS and token[-CHECK_LETTERS:] == _checksum(secret)


def digest(token: str) -> bytes:
    """What is stored of a token.

    A plain SHA-256 is enough: nobody guesses 256 random bits, so there is nothing that a slow or salted hash would slow
    down. It is looked up by its digest, so that no comparison takes longer the more of a token is right.
    """
    return sha256(token.encode("utf-8", "surrogateescape")).digest()


def _checksum(secret: str) -> str:
    return _letters(zlib.crc32(secret.encode("utf-8", "surrogateescape")), CHECK_LETTERS)


def _letters(number: int, width: int) -> str:
    letters = []
    for _ in range(width):
        number, remainder = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[remainder])
    return "".join(reversed(letters))
