"""What an endpoint of the stand-in is, and what it is given to answer a call."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, TypeVar
from urllib.parse import urlencode

import msgspec

from reviewbot.demo.answers import MAX_PAGE, Answer, ApiError, not_found
from reviewbot.demo.auth import Authority, Caller
from reviewbot.demo.events import Events
from reviewbot.demo.limits import RateLimits
from reviewbot.demo.state import Account, PullRequest, Repository, World
from reviewbot.demo.webhooks import WebhookSender

T = TypeVar("T")
MAX_DIGITS = 18
Access = Literal["open", "app", "installation"]


def identifier(text: str) -> int | None:
    """A decimal number of a request, None when it is none that an id or a page can have."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None


class Platform(msgspec.Struct, frozen=True):
    """Everything the endpoints share."""

    world: World
    authority: Authority
    limits: RateLimits
    webhooks: WebhookSender
    events: Events


class Call(msgspec.Struct, kw_only=True):
    """One request, authenticated and with its repository found."""

    platform: Platform
    caller: Caller
    path: str  # without the API prefix and the query
    parameters: Mapping[str, str]  # from the path
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes
    repository: Repository | None = None

    @property
    def world(self) -> World:
        """The stand-in's memory."""
        return self.platform.world

    @property
    def repo(self) -> Repository:
        """The repository that the path names."""
        assert self.repository is not None, "only endpoints below /repos may ask for the repository"
        return self.repository

    @property
    def actor(self) -> Account:
        """Who acts: with an installation token always the App's bot."""
        return self.world.bot

    def number(self, name: str) -> int:
        """A path parameter as a number. Raises 404 when it is none, as no such thing can exist."""
        number = identifier(self.parameters[name])
        if number is None:
            raise not_found()
        return number

    def pull(self, name: str = "pull_number") -> PullRequest:
        """The pull request that the path names. Raises 404."""
        pull = self.repo.pulls.get(self.number(name))
        if pull is None:
            raise not_found()
        return pull

    def read(self, kind: type[T]) -> T:
        """The body as `kind`. Raises 400 for bad JSON, 422 for a body of the wrong shape."""
        try:
            return msgspec.json.decode(self.content or b"{}", type=kind)
        except msgspec.ValidationError as error:
            raise ApiError(422, f"Invalid request.\n\n{error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ApiError(400, "Problems parsing JSON") from error

    def wants(self, *media: str) -> bool:
        """True when Accept asks for one of GitHub's media types, e.g. "diff" in any of its spellings."""
        accept = self.headers.get("Accept", "")
        names = re.findall(r"application/vnd\.github\.(?:v3\.)?([a-z]+)", accept)
        return any(name in media for name in names)

    def window(self) -> tuple[int, int]:
        """(page from 1, entries on a page) as asked for; more than 100 a page is silently 100, as on GitHub."""
        page, per_page = self._positive("page", 1), self._positive("per_page", 30)
        return page, min(per_page, MAX_PAGE)

    def paged(self, items: Sequence[T], shape: Callable[[T], object], wrap: str | None = None) -> Answer:
        """One page of a list with its Link header; `wrap` names the key of lists that come in an object."""
        page, per_page = self.window()
        shown: list[object] = [shape(item) for item in items[(page - 1) * per_page : page * per_page]]
        body: object = shown if wrap is None else {"total_count": len(items), wrap: shown}
        return Answer(body, headers=self.links(page, max(1, -(-len(items) // per_page))))

    def links(self, page: int, last: int) -> dict[str, str]:
        """The Link header of page `page` of `last`; none when there is a single page."""
        targets = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        wanted = [name for name in targets if (page > 1 if name in ("prev", "first") else page < last)]
        if not wanted:
            return {}
        # GitHub links by the repository's id, whatever name was asked for.
        path = self.path
        if self.repository is not None:
            path = re.sub(r"^/repos/[^/]+/[^/]+", f"/repositories/{self.repository.id}", path)
        base = f"{self.world.api_url}{path}"
        return {"Link": ", ".join(
            f'<{base}?{urlencode({**self.query, "page": targets[name]})}>; rel="{name}"' for name in wanted
        )}  # fmt: skip

    def _positive(self, name: str, default: int) -> int:
        return identifier(self.query.get(name, "")) or default


class Endpoint(msgspec.Struct, frozen=True):
    """One method of one path, named as in GitHub's description.

    `needs` lists permissions as in X-Accepted-GitHub-Permissions ("checks=write"), any of which is enough. A `*` at
    the end of a parameter's name lets it span slashes.
    """

    method: str
    path: str
    answer: Callable[[Call], Awaitable[Answer]]
    needs: tuple[str, ...] = ("metadata=read",)
    access: Access = "installation"

    @property
    def template(self) -> str:
        """The path as GitHub's description writes it."""
        return self.path.replace("*}", "}")

    @property
    def pattern(self) -> str:
        """The path as aiohttp's router reads it."""
        return re.sub(r"\{(\w+)\*\}", r"{\1:.*}", self.path)
