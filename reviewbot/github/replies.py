"""What GitHub's answers mean: decoding the good ones, and turning the others into our errors. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec

from reviewbot.errors import GitHubRefused, GitHubUnavailable, InstallationGone, NotPermitted, ReviewBotError

T = TypeVar("T")

TOO_LARGE = 413  # the status of the GitHubRefused when an answer is larger than GitHub sends or we read

_LONGEST_TEXT = 500  # characters of one of GitHub's sentences that an error repeats
_MOST_ERRORS = 20
_PERMISSIONS = re.compile(r"[a-z_]+=[a-z]+(?:[,;] ?[a-z_]+=[a-z]+){,20}")
_LONGEST_WAIT = 86_400.0  # seconds; no limit of GitHub's lasts longer than a day


@dataclass(frozen=True)
class Reply:
    """One answer, read to its end."""

    target: str  # method and path, e.g. "GET /repos/octo/spoon/pulls/1", for messages
    status: int
    headers: Mapping[str, str]  # looked up without regard to case
    body: bytes
    next_url: str | None = None  # where the Link header says that the next page is

    @property
    def ok(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status < 300


def decode(reply: Reply, answer: type[T]) -> T:
    """The JSON body as an `answer`; GitHubUnavailable, with the field's name, when it does not have that shape."""
    try:
        return msgspec.json.decode(reply.body, type=answer)
    except (ValueError, RecursionError) as error:  # ValueError: malformed, wrong shape, or not UTF-8
        reason = _cut(str(error))
    # Outside of the except clause, because a UnicodeDecodeError carries the whole body, and that may be a token.
    raise GitHubUnavailable(f"GitHub's answer to {reply.target} cannot be read: {reason}")


def refusal(reply: Reply) -> ReviewBotError:
    """The error that an answer outside 2xx stands for. Rate limits are told apart before, by `is_rate_limited`."""
    message, errors = _problem(reply.body)
    detail = f"{message} ({'; '.join(errors)})" if errors else message
    said = f"GitHub answered {reply.target} with {reply.status}: {detail or 'no reason given'}."
    kept = f"GitHub answered {_route(reply.target)} with {reply.status}."
    match reply.status:
        case 403 if "suspended" in message.lower():
            hint = " Whoever installed the App has to unsuspend it."
            return InstallationGone(said + hint, kept=kept + hint)
        case 403 if any(error.endswith("too_large") for error in errors):
            return GitHubRefused(said, status=TOO_LARGE, errors=errors, kept=kept)
        case 403:
            hint = _permission_hint(reply.headers)
            return NotPermitted(said + hint, kept=kept + hint)
        case 404:
            hint = " It does not exist, or the App may not see it."
            return GitHubRefused(said + hint, status=404, errors=errors, kept=kept + hint)
        case 408:
            return GitHubUnavailable(said, kept=kept)
        case status if 400 <= status < 500:
            return GitHubRefused(said, status=status, errors=errors or ((message,) if message else ()), kept=kept)
        case _:
            wait = _retry_after(reply.headers, wall=_server_time(reply.headers))
            return GitHubUnavailable(said, retry_after=wait, kept=kept)


def _route(target: str) -> str:
    """A target as the log may keep it: down to the kind of thing, for what follows may be a file's path."""
    return "/".join(target.split("?")[0].split("/")[:5])


def is_rate_limited(reply: Reply) -> bool:
    """True when a 403 or 429 means "too fast" rather than "not allowed".

    Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
    """
    if reply.status == 429:
        return True
    if reply.status != 403:
        return False
    message = _problem(reply.body)[0].lower()
    if "not accessible" in message or "suspended" in message:
        return False  # a refusal proper that happens to use up the last request
    return "retry-after" in reply.headers or budget_is_spent(reply) or "rate limit" in message or "abuse" in message


def budget_is_spent(reply: Reply) -> bool:
    """True when GitHub says that no request is left of the primary limit."""
    return reply.headers.get("x-ratelimit-remaining") == "0"


def limit_wait(reply: Reply, *, wall: float) -> float | None:
    """Seconds until GitHub lets us ask again, in GitHub's own order: Retry-After, then the reset of a spent budget.

    `wall` is the local Unix time, used only where the answer does not carry GitHub's own; None: GitHub gave no hint.
    """
    now = server_time(reply, wall=wall)
    wait = _retry_after(reply.headers, wall=now)
    if wait is None and budget_is_spent(reply):
        reset = _number(reply.headers.get("x-ratelimit-reset"))
        wait = None if reset is None else max(1.0, reset - now)
    return None if wait is None else min(wait, _LONGEST_WAIT)


def server_time(reply: Reply, *, wall: float) -> float:
    """Unix time by GitHub's clock (Date header), so that a wrong local clock breaks no limit and no token."""
    by_github = _server_time(reply.headers)
    return wall if by_github is None else by_github


def _server_time(headers: Mapping[str, str]) -> float | None:
    return _date(headers.get("date"))


def _retry_after(headers: Mapping[str, str], *, wall: float | None) -> float | None:
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None:
        return seconds
    until = _date(value)
    return None if until is None or wall is None else max(0.0, until - wall)


def _date(value: str | None) -> float | None:
    try:
        return None if value is None else parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    return float(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 16 else None


def _problem(body: bytes) -> tuple[str, tuple[str, ...]]:
    """GitHub's message and errors, which come as strings or as objects; empty where the body has none."""
    try:
        problem = msgspec.json.decode(body, type=dict[str, object])
    except (ValueError, RecursionError):
        return "", ()
    message = problem.get("message")
    errors = problem.get("errors")
    listed = errors if isinstance(errors, list) else [] if errors is None else [errors]
    return (
        _cut(message) if isinstance(message, str) else "",
        tuple(_error_text(error) for error in listed[:_MOST_ERRORS]),
    )


def _error_text(error: object) -> str:
    match error:
        case str():
            return _cut(error)
        case {"message": str(message)}:
            return _cut(message)
        case {"resource": str(resource), "field": str(name), "code": str(code)}:
            return _cut(f"{resource}.{name}: {code}")
        case _:
            return _cut(str(error))


def _permission_hint(headers: Mapping[str, str]) -> str:
    needed = headers.get("x-accepted-github-permissions")
    if not needed or not _PERMISSIONS.fullmatch(needed):
        return " Check the App's permissions, and that the owner of the installation accepted them."
    return f" It needs {needed}: add that to the App's permissions and let the owner of the installation accept it."


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"
