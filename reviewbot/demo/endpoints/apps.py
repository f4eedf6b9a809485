"""The App, its installations and their tokens, and what the platform says of itself."""

from __future__ import annotations

import msgspec

from reviewbot.demo.answers import Answer, ApiError, Json, not_found
from reviewbot.demo.api import Call, Endpoint
from reviewbot.demo.auth import MAX_TOKEN_REPOSITORIES, TokenShape, allows
from reviewbot.demo.shapes import accounts
from reviewbot.demo.state import Installation, Repository, iso

# What the request header X-GitHub-Stateless-S2S-Token may ask for.
_SHAPES: dict[str, TokenShape] = {"enabled": "stateless", "disabled": "classic"}


class TokenRequest(msgspec.Struct):
    """How far a token is to reach."""

    repositories: list[str] | None = None
    repository_ids: list[int] | None = None
    permissions: dict[str, str] | None = None


async def get_app(call: Call) -> Answer:
    """GET /app."""
    shown = accounts.app(call.world)
    return Answer(shown | {"installations_count": len(_living(call))})


async def list_installations(call: Call) -> Answer:
    """GET /app/installations."""
    return call.paged(_living(call), lambda item: accounts.installation(call.world, item))


async def get_installation(call: Call) -> Answer:
    """GET /app/installations/{installation_id}."""
    return Answer(accounts.installation(call.world, _installation(call)))


async def get_repository_installation(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/installation."""
    if call.repo.installation.deleted:
        raise not_found()
    return Answer(accounts.installation(call.world, call.repo.installation))


async def create_token(call: Call) -> Answer:
    """POST /app/installations/{installation_id}/access_tokens: narrowed by repositories and permissions."""
    item = _installation(call)
    if item.suspended_at is not None:
        raise ApiError(403, "This installation has been suspended")
    request = call.read(TokenRequest)
    chosen = _chosen_repositories(call, item, request)
    permissions = _chosen_permissions(item, request.permissions)
    shape = _SHAPES.get(call.headers.get("X-GitHub-Stateless-S2S-Token", "").lower())
    ids = None if chosen is None else [repo.id for repo in chosen]
    token = call.platform.authority.issue(item, permissions, ids, shape)
    body: Json = {
        "token": token.value,
        "expires_at": iso(token.expires_at),
        "permissions": permissions,
        "repository_selection": "selected",
    }
    if chosen is not None:
        body["repositories"] = [accounts.repository(call.world, repo) for repo in chosen]
    return Answer(body, 201)


async def revoke_token(call: Call) -> Answer:
    """DELETE /installation/token."""
    assert call.caller.token is not None
    call.platform.authority.revoke(call.caller.token)
    return Answer(status=204)


async def list_repositories(call: Call) -> Answer:
    """GET /installation/repositories: what the token opens."""
    token = call.caller.token
    assert token is not None
    seen = call.world.repositories_of(token.installation)
    if token.repository_ids is not None:
        seen = [repo for repo in seen if repo.id in token.repository_ids]
    return call.paged(seen, lambda repo: accounts.repository(call.world, repo), wrap="repositories")


async def get_repository(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}."""
    return Answer(accounts.full_repository(call.world, call.repo))


async def get_permission(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/collaborators/{username}/permission."""
    who = call.world.accounts.get(call.parameters["username"].lower())
    if who is None:
        raise not_found()
    return Answer(accounts.permission(call.world, call.repo, who))


async def get_meta(call: Call) -> Answer:
    """GET /meta: deliveries come from this machine."""
    return Answer({"verifiable_password_authentication": False, "hooks": ["127.0.0.0/8", "::1/128"]})


async def get_rate_limit(call: Call) -> Answer:
    """GET /rate_limit: costs nothing."""
    bucket = call.platform.limits.bucket(call.caller.limit_key)
    core = {"limit": bucket.limit, "remaining": bucket.remaining, "reset": int(bucket.reset), "used": bucket.used}
    return Answer({"resources": {"core": core, "graphql": core, "search": core}, "rate": core})


def _living(call: Call) -> list[Installation]:
    return [item for item in call.world.installations.values() if not item.deleted]


def _installation(call: Call) -> Installation:
    item = call.world.installations.get(call.number("installation_id"))
    if item is None or item.deleted:
        raise not_found()
    return item


def _chosen_repositories(call: Call, item: Installation, request: TokenRequest) -> list[Repository] | None:
    if request.repositories is None and request.repository_ids is None:
        return None
    names = {name.lower() for name in request.repositories or ()}
    ids = set(request.repository_ids or ())
    if len(names) + len(ids) > MAX_TOKEN_REPOSITORIES:
        raise ApiError(422, f"You can only specify up to {MAX_TOKEN_REPOSITORIES} repositories.")
    chosen = [repo for repo in call.world.repositories_of(item) if repo.id in ids or repo.name.lower() in names]
    if names - {repo.name.lower() for repo in chosen} or ids - {repo.id for repo in chosen}:
        raise ApiError(422, "There is at least one repository that does not exist or is not accessible to the parent "
                            "installation.")  # fmt: skip
    return chosen


def _chosen_permissions(item: Installation, wanted: dict[str, str] | None) -> dict[str, str]:
    if wanted is None:
        return dict(item.permissions)
    if any(level not in ("read", "write", "admin") for level in wanted.values()):
        raise ApiError(422, "Invalid request.\n\nA permission must be read, write or admin.")
    if not all(allows(item.permissions, name, level) for name, level in wanted.items()):
        raise ApiError(422, "The permissions requested are not granted to this installation.")
    return {"metadata": "read", **wanted}


ENDPOINTS = (
    Endpoint("GET", "/app", get_app, access="app"),
    Endpoint("GET", "/app/installations", list_installations, access="app"),
    Endpoint("GET", "/app/installations/{installation_id}", get_installation, access="app"),
    Endpoint("POST", "/app/installations/{installation_id}/access_tokens", create_token, access="app"),
    Endpoint("GET", "/repos/{owner}/{repo}/installation", get_repository_installation, access="app"),
    Endpoint("GET", "/installation/repositories", list_repositories),
    Endpoint("DELETE", "/installation/token", revoke_token),
    Endpoint("GET", "/repos/{owner}/{repo}", get_repository),
    Endpoint("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", get_permission),
    Endpoint("GET", "/meta", get_meta, access="open"),
    Endpoint("GET", "/rate_limit", get_rate_limit, access="open"),
)
