"""A small JSON interface for a person with curl: whatever people do on GitHub, done by a POST to /_standin/...."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec
from aiohttp import web

from reviewbot.demo.git import GitError
from reviewbot.demo.trouble import parse_trouble
from reviewbot.demo.webhooks import Mode, Order
from reviewbot.errors import ConfigError

if TYPE_CHECKING:
    from reviewbot.demo.standin import Standin

T = TypeVar("T", bound=msgspec.Struct)


class Open(msgspec.Struct, forbid_unknown_fields=True):
    """POST /_standin/pulls: open a pull request."""

    repo: str
    base: str
    head: str
    title: str
    body: str | None = None
    author: str = "octocat"
    draft: bool = False
    fork: bool = False


class Push(msgspec.Struct, forbid_unknown_fields=True):
    """POST /_standin/push: move a pull request's head."""

    repo: str
    number: int
    head: str


class Act(msgspec.Struct, forbid_unknown_fields=True):
    """POST /_standin/act: close, merge, reopen, ready, draft, or rerun all checks of a pull request."""

    repo: str
    number: int
    action: Literal["close", "merge", "reopen", "ready", "draft", "rerun"]


class Comment(msgspec.Struct, forbid_unknown_fields=True):
    """POST /_standin/comments: write in the conversation."""

    repo: str
    number: int
    body: str
    author: str = "octocat"


class Installed(msgspec.Struct, forbid_unknown_fields=True):
    """POST /_standin/installations: install, suspend, unsuspend or delete."""

    installation_id: int
    action: Literal["install", "suspend", "unsuspend", "delete"]


class Rename(msgspec.Struct, forbid_unknown_fields=True):
    """POST /_standin/rename: give a repository another name."""

    repo: str
    name: str


class Permission(msgspec.Struct, forbid_unknown_fields=True):
    """POST /_standin/permissions: give a person a role."""

    repo: str
    login: str
    role: str


class Rule(msgspec.Struct, forbid_unknown_fields=True):
    """POST /_standin/trouble: script trouble, e.g. "POST /repos/*/pulls/*/reviews lost-reply times=1"."""

    rule: str


class Hook(msgspec.Struct, forbid_unknown_fields=True):
    """POST /_standin/webhooks: change the address or the mode, or release what is held."""

    url: str | None = None
    mode: Mode | None = None
    release: Order | None = None


class Control:
    """Answers 201 with what came of it, 400 to 422 with a message that says what to do."""

    def __init__(self, standin: Standin) -> None:
        self._standin = standin

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Route every command, and a list of them."""
        router.add_post("/_standin/pulls", _command(Open, self._open))
        router.add_post("/_standin/push", _command(Push, self._push))
        router.add_post("/_standin/act", _command(Act, self._act))
        router.add_post("/_standin/comments", _command(Comment, self._comment))
        router.add_post("/_standin/installations", _command(Installed, self._install))
        router.add_post("/_standin/rename", _command(Rename, self._rename))
        router.add_post("/_standin/permissions", _command(Permission, self._permit))
        router.add_post("/_standin/trouble", _command(Rule, self._trouble))
        router.add_post("/_standin/webhooks", _command(Hook, self._webhooks))
        router.add_get("/_standin", self._help)

    async def _help(self, _request: web.Request) -> web.Response:
        kinds = (Open, Push, Act, Comment, Installed, Rename, Permission, Rule, Hook)
        lines = [f"{kind.__doc__}\n    {', '.join(kind.__struct_fields__)}" for kind in kinds]
        return web.Response(text="\n".join(lines) + "\n")

    async def _open(self, wanted: Open) -> dict[str, object]:
        number = await self._standin.open_pull_request(
            wanted.repo, base=wanted.base, head=wanted.head, title=wanted.title, body=wanted.body,
            author=wanted.author, draft=wanted.draft, fork=wanted.fork,
        )  # fmt: skip
        return {"number": number, "html_url": f"{self._standin.world.html_url}/{wanted.repo}/pull/{number}"}

    async def _push(self, wanted: Push) -> dict[str, object]:
        return {"head": await self._standin.push(wanted.repo, wanted.number, wanted.head)}

    async def _act(self, wanted: Act) -> dict[str, object]:
        repo, number = wanted.repo, wanted.number
        match wanted.action:
            case "close":
                await self._standin.close(repo, number)
            case "merge":
                await self._standin.close(repo, number, merged=True)
            case "reopen":
                await self._standin.reopen(repo, number)
            case "ready":
                await self._standin.ready_for_review(repo, number)
            case "draft":
                await self._standin.convert_to_draft(repo, number)
            case "rerun":
                await self._standin.rerequest_check_suite(repo, number)
        return {"state": self._standin.pull(repo, number).state}

    async def _comment(self, wanted: Comment) -> dict[str, object]:
        made = await self._standin.comment(wanted.repo, wanted.number, wanted.body, author=wanted.author)
        return {"id": made.id}

    async def _install(self, wanted: Installed) -> dict[str, object]:
        match wanted.action:
            case "install":
                await self._standin.install(wanted.installation_id)
            case "suspend":
                await self._standin.suspend_installation(wanted.installation_id)
            case "unsuspend":
                await self._standin.unsuspend_installation(wanted.installation_id)
            case "delete":
                await self._standin.delete_installation(wanted.installation_id)
        return {}

    async def _rename(self, wanted: Rename) -> dict[str, object]:
        await self._standin.rename_repository(wanted.repo, wanted.name)
        return {}

    async def _permit(self, wanted: Permission) -> dict[str, object]:
        self._standin.set_permission(wanted.repo, wanted.login, wanted.role)
        return {}

    async def _trouble(self, wanted: Rule) -> dict[str, object]:
        self._standin.troubles.add(parse_trouble(wanted.rule))
        return {}

    async def _webhooks(self, wanted: Hook) -> dict[str, object]:
        webhooks = self._standin.webhooks
        webhooks.url = wanted.url or webhooks.url
        webhooks.mode = wanted.mode or webhooks.mode
        released = await webhooks.release(wanted.release) if wanted.release else []
        return {"url": webhooks.url, "mode": webhooks.mode, "released": len(released)}


def _command(
    kind: type[T], handle: Callable[[T], Awaitable[dict[str, object]]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        # A page of another site can send a form to this port, but not JSON.
        if request.content_type != "application/json":
            return _json({"message": "send JSON: curl --json '{…}'"}, 415)
        try:
            return _json(await handle(msgspec.json.decode(await request.read(), type=kind)), 201)
        except msgspec.DecodeError as error:
            return _json({"message": f"{error}. Fields: {', '.join(kind.__struct_fields__)}"}, 400)
        except (ConfigError, GitError) as error:
            return _json({"message": str(error)}, 422)

    return answer


def _json(body: dict[str, object], status: int) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")
