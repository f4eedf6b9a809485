"""Who may ask for what: the checks between a request and its endpoint."""

from __future__ import annotations

import msgspec
from aiohttp import web

from reviewbot.demo.answers import ApiError, forbidden, not_found
from reviewbot.demo.api import Endpoint, Platform
from reviewbot.demo.auth import Caller
from reviewbot.demo.state import Repository

API_VERSIONS = ("2022-11-28", "2026-03-10")


class Incoming(msgspec.Struct, kw_only=True):
    """One request on its way to `endpoint`, which is None for a path that GitHub does not have."""

    request: web.Request
    endpoint: Endpoint | None
    content: bytes
    path: str  # without the API prefix and the query, with the repository's name of today
    repository: Repository | None  # that the path names, whether or not the caller may know of it
    caller: Caller = Caller()


class Admission:
    """Raises the ApiError of the first check that fails."""

    def __init__(self, platform: Platform, prefix: str) -> None:
        self._platform = platform
        self._prefix = prefix

    def admit(self, incoming: Incoming) -> Endpoint:
        """Check headers, rate limit, authentication, permission and the repository, in GitHub's order."""
        self._check_headers(incoming.request)
        endpoint = incoming.endpoint
        if endpoint is None:
            raise not_found()
        if endpoint.path != "/rate_limit":
            self._platform.limits.take(incoming.caller.limit_key)
        _check_access(endpoint, incoming.caller)
        if endpoint.path.startswith("/repos/"):
            self._check_repository(incoming, endpoint)
        return endpoint

    def _check_headers(self, request: web.Request) -> None:
        if not request.headers.get("User-Agent"):
            message = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header"
            raise ApiError(403, message)
        version = request.headers.get("X-GitHub-Api-Version")
        known = API_VERSIONS[:1] if self._prefix else API_VERSIONS  # Enterprise Server learns new ones later
        if version is not None and version not in known:
            raise ApiError(400, f"{version!r} is not a valid API version. Supported are {', '.join(known)}.")

    def _check_repository(self, incoming: Incoming, endpoint: Endpoint) -> None:
        repo, asked = incoming.repository, incoming.request.match_info
        if repo is None:
            raise not_found()
        if not incoming.caller.is_app and not incoming.caller.reaches(repo):
            if repo.private:
                raise not_found()
            if incoming.request.method != "GET":
                raise forbidden("; ".join(endpoint.needs))
        if "owner" in asked and f"{asked['owner']}/{asked['repo']}".lower() != repo.full_name.lower():
            raise self._moved(incoming.request, repo)

    def _moved(self, request: web.Request, repo: Repository) -> ApiError:
        rest = request.rel_url.raw_path.removeprefix(self._prefix).split("/", 4)[4:]
        target = "/".join([f"{self._platform.world.api_url}/repositories/{repo.id}", *rest])
        query = f"?{request.query_string}" if request.query_string else ""
        # A POST must stay a POST, so GitHub answers 307 where a GET gets 301.
        status, words = (301, "Moved Permanently") if request.method == "GET" else (307, "Temporary Redirect")
        return ApiError(status, words, headers={"Location": target + query})


def _check_access(endpoint: Endpoint, caller: Caller) -> None:
    if endpoint.access == "open":
        return
    if caller.token is None and not caller.is_app:
        raise ApiError(401, "Requires authentication")
    if endpoint.access == "app" and not caller.is_app:
        raise ApiError(401, "A JSON web token could not be decoded")
    if endpoint.access == "app":
        return
    if caller.token is None:
        raise ApiError(401, "Bad credentials")
    if caller.token.installation.deleted:
        raise not_found()
    if caller.token.installation.suspended_at is not None:
        raise ApiError(403, "This installation has been suspended")
    if not any(caller.may(*need.split("=", 1)) for need in endpoint.needs):
        raise forbidden("; ".join(endpoint.needs))
