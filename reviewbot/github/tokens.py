"""Who we are to GitHub: the App's JWT, and installation tokens narrowed to one repository, cached until they age."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Protocol, cast

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from gidgethub import apps

from reviewbot.errors import ConfigError, GitHubRefused, InstallationGone, NotPermitted
from reviewbot.github.clock import Clock
from reviewbot.github.replies import Reply, decode, server_time

# What a review needs, and what only the comment commands need: installations from before a permission was added to the
# App keep working without it until their owner accepts it.
NEEDED = {"checks": "write", "pull_requests": "write", "contents": "read", "metadata": "read"}
WISHED = {"issues": "read"}

_JWT_LIFE_SECONDS = 540  # from 60 s ago; GitHub accepts 10 minutes ahead of its own clock
_JWT_USE_SECONDS = 420.0
_TOKEN_MARGIN_SECONDS = 300.0  # a token is replaced this long before GitHub ends it
_FRESH_SECONDS = 10.0  # a token this young may not be known to all of GitHub yet


@dataclass(frozen=True)
class Grant:
    """One proof of who we are, good until `stale_at`; both times on the monotonic clock, in seconds."""

    kind: str  # "bearer" for a JWT, "token" for an installation token
    secret: str = field(repr=False)
    stale_at: float
    fresh_until: float = 0.0


class Credential(Protocol):
    """Gives a grant, from its cache where it can."""

    async def grant(self) -> Grant: ...

    def forget(self, grant: Grant) -> None:
        """GitHub did not accept `grant`: get another next time, unless that already happened."""
        ...


class AppKey:
    """The App itself, by a JWT that its private key signs (RS256).

    Source: https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
    """

    def __init__(self, app_id: int, private_key: str, clock: Clock) -> None:
        self._app_id = str(app_id)  # as an int PyJWT would not take it
        self._key = _loaded(private_key)
        self._clock = clock
        self._grant = self._signed()

    async def grant(self) -> Grant:
        if self._clock.monotonic() >= self._grant.stale_at:
            self._grant = self._signed()
        return self._grant

    def forget(self, grant: Grant) -> None:
        if self._grant is grant:
            self._grant = self._signed()

    def _signed(self) -> Grant:
        # Already loaded: that checks the primes, which takes 50 ms, and need not be done anew for each JWT.
        key = cast("str", self._key)  # gidgethub hands it on to PyJWT, which takes the loaded key as well
        secret = apps.get_jwt(app_id=self._app_id, private_key=key, expiration=_JWT_LIFE_SECONDS)
        return Grant("bearer", secret, stale_at=self._clock.monotonic() + _JWT_USE_SECONDS)


def _loaded(private_key: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, RSAPrivateKey):
        return key
    raise ConfigError("GITHUB_PRIVATE_KEY is not an RSA private key in PEM form. Download one in the App's settings.")


class _Issued(msgspec.Struct, frozen=True):
    # Longer than the usual 40 or 520 characters may come; anything that could break a header may not.
    token: Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]{1,8192}\Z")]
    expires_at: datetime


IssueToken = Callable[[dict[str, object]], Awaitable[Reply]]


class InstallationToken:
    """One installation's token, narrowed to a repository (or to none) and to the permissions that a review needs."""

    def __init__(self, issue: IssueToken, repository_id: int | None, clock: Clock) -> None:
        self._issue = issue
        self._narrowing: dict[str, object] = {} if repository_id is None else {"repository_ids": [repository_id]}
        self._clock = clock
        self._issuing = asyncio.Lock()
        self._grant: Grant | None = None

    @property
    def stale(self) -> bool:
        """True when there is no usable token in the cache."""
        return self._grant is None or self._clock.monotonic() >= self._grant.stale_at

    async def grant(self) -> Grant:
        async with self._issuing:  # callers that come meanwhile wait here, and then find the token in the cache
            if self._grant is None or self.stale:
                self._grant = await self._issued()
            return self._grant

    def forget(self, grant: Grant) -> None:
        if self._grant is grant:
            self._grant = None

    async def _issued(self) -> Grant:
        try:
            reply = await self._narrowed()
        except GitHubRefused as refused:
            if refused.status == 404:
                gone = "The installation does not exist any more: the App was uninstalled."
                raise InstallationGone(gone, kept=gone) from refused
            raise
        issued = decode(reply, _Issued)
        now = self._clock.monotonic()
        # Reckoned by GitHub's clock, so that a wrong local one neither keeps dead tokens nor throws good ones away.
        life = issued.expires_at.timestamp() - server_time(reply, wall=self._clock.wall())
        return Grant("token", issued.token, now + life - _TOKEN_MARGIN_SECONDS, fresh_until=now + _FRESH_SECONDS)

    async def _narrowed(self) -> Reply:
        try:
            return await self._issue({**self._narrowing, "permissions": NEEDED | WISHED})
        except GitHubRefused as refused:
            if not _is_about_permissions(refused):
                raise
        try:
            return await self._issue({**self._narrowing, "permissions": NEEDED})
        except GitHubRefused as refused:
            if not _is_about_permissions(refused):
                raise
            wanted = ", ".join(f"{name}: {level}" for name, level in NEEDED.items())
            lacking = f"The installation has not granted ReviewBot all it needs: {wanted}."
            raise NotPermitted(lacking, kept=lacking) from refused


def _is_about_permissions(refused: GitHubRefused) -> bool:
    return refused.status == 422 and "permission" in str(refused).lower()
