"""Who is calling: the App's own JWTs and the installation tokens that the stand-in gives out.

Rules from docs.github.com: "Generating a JSON Web Token (JWT) for a GitHub App" and "Create an installation access
token for an app".
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterable, Mapping
from typing import Literal

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from reviewbot.demo.answers import ApiError
from reviewbot.demo.state import Installation, Repository, World
from reviewbot.errors import ConfigError

TOKEN_LIFETIME_SECONDS = 3600
MAX_JWT_LIFETIME_SECONDS = 600
MAX_TOKEN_REPOSITORIES = 500
MAX_TOKENS = 10_000

TokenShape = Literal["classic", "stateless"]
_RANK = {"": 0, "read": 1, "write": 2, "admin": 3}
_UNDECODABLE = "A JSON web token could not be decoded"
_BAD_EXP = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"  # noqa: E501  # GitHub's sentence
_FAR_EXP = "'Expiration time' claim ('exp') is too far in the future"
_BAD_IAT = "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
_BAD_ISS = "'Issuer' claim ('iss') must be an Integer"


class Token(msgspec.Struct, frozen=True):
    """An installation token. `repository_ids` is None when it opens everything the installation sees."""

    value: str
    installation: Installation
    permissions: Mapping[str, str]
    repository_ids: frozenset[int] | None
    expires_at: float


class Caller(msgspec.Struct, frozen=True):
    """Who sent a request: the App itself, one of its installations (`token`), or nobody known."""

    is_app: bool = False
    token: Token | None = None

    @property
    def limit_key(self) -> str:
        """Whose rate limit the request counts against."""
        if self.token is not None:
            return f"installation ID {self.token.installation.id}"
        return "app" if self.is_app else "nobody"

    def may(self, permission: str, level: str) -> bool:
        """True when the token carries `permission` at `level` or above."""
        return self.token is not None and allows(self.token.permissions, permission, level)

    def reaches(self, repo: Repository) -> bool:
        """True when the token was issued for `repo` among others."""
        if self.token is None or repo.installation is not self.token.installation:
            return False
        return self.token.repository_ids is None or repo.id in self.token.repository_ids


class Authority:
    """Checks App JWTs, issues installation tokens and knows them again."""

    def __init__(self, world: World, public_key_pem: str, token_shape: TokenShape) -> None:
        self._world = world
        self._public_key = _rsa_public_key(public_key_pem)
        self._tokens: dict[str, Token] = {}
        self.token_shape = token_shape

    def caller(self, authorization: str | None) -> Caller:
        """Read the Authorization header. Raises ApiError 401 for anything that does not hold."""
        if authorization is None:
            return Caller()
        scheme, _, credential = authorization.partition(" ")
        credential = credential.strip()
        if scheme.lower() not in ("bearer", "token") or not credential:
            raise ApiError(401, "Bad credentials")
        if credential.startswith("ghs_"):
            return Caller(token=self._known(credential))
        if scheme.lower() != "bearer":
            raise ApiError(401, "Bad credentials")
        self._check_app_jwt(credential)
        return Caller(is_app=True)

    def issue(
        self,
        installation: Installation,
        permissions: Mapping[str, str],
        repository_ids: Iterable[int] | None,
        shape: TokenShape | None = None,
    ) -> Token:
        """Make a token of one hour."""
        now = self._world.now()
        token = Token(
            value=_stateless(self._world.app_id) if (shape or self.token_shape) == "stateless" else _classic(),
            installation=installation,
            permissions=dict(permissions),
            repository_ids=None if repository_ids is None else frozenset(repository_ids),
            expires_at=now + TOKEN_LIFETIME_SECONDS,
        )
        if len(self._tokens) >= MAX_TOKENS:
            self._tokens.pop(next(iter(self._tokens)))
        self._tokens[token.value] = token
        return token

    def revoke(self, token: Token) -> None:
        """Make a token worthless at once."""
        self._tokens.pop(token.value, None)

    def expire_tokens(self) -> None:
        """Make every token worthless at once."""
        self._tokens.clear()

    def _known(self, value: str) -> Token:
        token = self._tokens.get(value)
        if token is None or token.expires_at <= self._world.now():
            raise ApiError(401, "Bad credentials")
        return token

    def _check_app_jwt(self, credential: str) -> None:
        try:
            claims: dict[str, object] = jwt.decode(
                credential,
                self._public_key,
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False},
            )
        except jwt.PyJWTError as error:
            # The claims about time are checked below, against the stand-in's own clock.
            raise ApiError(401, _UNDECODABLE) from error
        now = self._world.now()
        issued, expires = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, int) or issued > now:
            raise ApiError(401, _BAD_IAT)
        if not isinstance(expires, int) or expires <= now:
            raise ApiError(401, _BAD_EXP)
        if expires > now + MAX_JWT_LIFETIME_SECONDS:
            raise ApiError(401, _FAR_EXP)
        if str(claims.get("iss")) != str(self._world.app_id):
            raise ApiError(401, _BAD_ISS)


def _rsa_public_key(pem: str) -> rsa.RSAPublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError as error:
        raise ConfigError(f"the App's public key cannot be read ({error}): give it in PEM") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise ConfigError("the App's public key is no RSA key, which GitHub Apps need")
    return key


def allows(granted: Mapping[str, str], permission: str, level: str) -> bool:
    """True when `granted` holds `permission` at `level` or above; metadata may always be read."""
    if (permission, level) == ("metadata", "read"):
        return True
    return _RANK.get(granted.get(permission, ""), 0) >= _RANK[level]


def _classic() -> str:
    alphabet = string.ascii_letters + string.digits
    return "ghs_" + "".join(secrets.choice(alphabet) for _ in range(36))


def _stateless(app_id: int) -> str:
    # The three parts of a JWT: about 520 characters in all. It is looked up, never decoded.
    return f"ghs_{app_id}_{secrets.token_urlsafe(27)}.{secrets.token_urlsafe(96)}.{secrets.token_urlsafe(256)}"
