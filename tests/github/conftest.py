"""What the tests of the GitHub client share: a key, a scripted GitHub, a clock, and a client between them."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from reviewbot.github import tokens
from reviewbot.github.client import Client, GitHub
from tests.github.scripted import Hands, ScriptedGitHub, issued

INSTALLATION = 42
REPOSITORY = 7


@pytest.fixture(scope="session")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session", autouse=True)
def keys_are_checked_once() -> Iterator[None]:
    """Checking the primes of a key takes longer than most tests here; each key is still checked for real, once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "_loaded", functools.cache(tokens._loaded))
        yield


@pytest.fixture(scope="session")
def pem(private_key: rsa.RSAPrivateKey) -> str:
    return private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture
async def fake() -> AsyncIterator[ScriptedGitHub]:
    scripted = ScriptedGitHub()
    async with scripted.server:
        scripted.script("POST", f"/app/installations/{INSTALLATION}/access_tokens", issued("ghs_first"))
        yield scripted


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def github(fake: ScriptedGitHub, session: aiohttp.ClientSession, hands: Hands, pem: str) -> GitHub:
    return GitHub(
        session, app_id=123, private_key=pem, api_url=fake.url, timeout_seconds=5, write_limits=(), clock=hands.clock
    )


@pytest.fixture
def client(github: GitHub, hands: Hands) -> Client:
    return github.installation(INSTALLATION, REPOSITORY)
