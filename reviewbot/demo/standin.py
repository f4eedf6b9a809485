"""The stand-in as a whole: GitHub over local git repositories, driven from Python and reached over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from aiohttp import web

from reviewbot.demo.api import Platform
from reviewbot.demo.auth import Authority, TokenShape
from reviewbot.demo.control import Control
from reviewbot.demo.events import Events
from reviewbot.demo.git import GitRepository
from reviewbot.demo.limits import RateLimits
from reviewbot.demo.page import Pages
from reviewbot.demo.pipeline import Exchange, Pipeline
from reviewbot.demo.state import (
    APP_EVENTS,
    CheckRun,
    Fork,
    Installation,
    IssueComment,
    PullRequest,
    Repository,
    Review,
    ReviewComment,
    World,
)  # fmt: skip
from reviewbot.demo.trouble import Kind, Trouble, Troubles
from reviewbot.demo.webhooks import Delivery, WebhookSender
from reviewbot.errors import ConfigError

MAX_BODY_BYTES = 25 * 1024 * 1024
ROLES = ("admin", "maintain", "write", "triage", "read", "none")


class Standin:
    """A GitHub of its own, in memory. Everything that a person would do there is a method; each sends its webhooks and
    waits for their answer. `webhooks.url` and `webhooks.mode` may be changed at any time."""

    def __init__(
        self,
        *,
        app_id: int,
        public_key_pem: str,
        webhook_secret: str,
        webhook_url: str | None = None,
        bot_login: str = "reviewbot[bot]",
        token_shape: TokenShape = "stateless",  # noqa: S107  # a shape, not a secret
        rate_limit: int = 5000,
        events: Sequence[str] = APP_EVENTS,
        echo: bool = True,
        enterprise: bool = False,
    ) -> None:
        """`rate_limit` is in requests an hour; `echo` False keeps back the webhooks that the App's own writes cause;
        `enterprise` serves the API below /api/v3 as GitHub Enterprise Server does."""
        self.world = World(app_id=app_id, app_slug=bot_login.removesuffix("[bot]"), bot_login=bot_login)
        self.world.events = tuple(events)
        self.authority = Authority(self.world, public_key_pem, token_shape)
        self.limits = RateLimits(self.world, rate_limit)
        self.webhooks = WebhookSender(self.world, webhook_secret, webhook_url, enterprise=enterprise)
        self.events = Events(self.world, self.webhooks, echo=echo)
        self.troubles = Troubles()
        self._prefix = "/api/v3" if enterprise else ""
        platform = Platform(self.world, self.authority, self.limits, self.webhooks, self.events)
        self._pipeline = Pipeline(platform, self.troubles, self._push, self._prefix)

    # --- serving ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve until the block ends; gives the API's base URL (pages are at the host's root: `world.html_url`)."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        self._pipeline.add_routes(app.router)
        Control(self).add_routes(app.router)
        Pages(self.world).add_routes(app.router)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await self.webhooks.open()
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            # Port 0 asked for any free port: learn which one it became.
            bound = runner.addresses[0][1]
            self.world.html_url = f"http://{host}:{bound}"
            self.world.api_url = self.world.html_url + self._prefix
            yield self.world.api_url
        finally:
            await self.events.close()
            await runner.cleanup()
            await self.webhooks.close()

    @property
    def requests(self) -> list[Exchange]:
        """The last requests and their answers, oldest first."""
        return list(self._pipeline.exchanges)

    async def settle(self) -> None:
        """Wait until the webhooks of the App's own writes have been answered."""
        await self.events.settle()

    # --- the ground: repositories, installations, people ------------------------------------------------------

    async def add_repository(
        self,
        full_name: str,
        path: Path | str,
        *,
        installation_id: int | None = None,
        private: bool = False,
        owner_type: Literal["User", "Organization"] = "User",
    ) -> Repository:
        """Put a local git repository on the platform, with the App installed on it. Sends no webhook.

        Without `installation_id` the owner's installation is used, or made.
        """
        owner_login, slash, name = full_name.partition("/")
        if not slash or not owner_login or not name or "/" in name:
            raise ConfigError(f"{full_name!r} is no repository name: write owner/name")
        if self.world.repository(full_name) is not None:
            raise ConfigError(f"there is a repository {full_name} already")
        git = await GitRepository.open(Path(path))
        owner = self.world.account(owner_login, owner_type)
        installation = self.world.installation_on(owner, installation_id)
        repo = Repository(
            id=self.world.next_id(),
            name=name,
            owner=owner,
            git=git,
            installation=installation,
            private=private,
            default_branch=await git.default_branch(),
            created_at=self.world.now(),
        )
        self.world.repositories[repo.id] = repo
        return repo

    def installation(self, installation_id: int) -> Installation:
        """The installation of that id. Raises ConfigError."""
        found = self.world.installations.get(installation_id)
        if found is None:
            known = ", ".join(str(number) for number in self.world.installations) or "none"
            raise ConfigError(f"there is no installation {installation_id}; there are: {known}")
        return found

    async def install(self, installation_id: int) -> None:
        """Tell the App that it was installed (installation.created)."""
        await self.events.installation(self.installation(installation_id), "created")

    async def suspend_installation(self, installation_id: int) -> None:
        """Suspend: every call is 403 and nothing is sent any more but this."""
        found = self.installation(installation_id)
        found.suspended_at = self.world.now()
        await self.events.installation(found, "suspend")

    async def unsuspend_installation(self, installation_id: int) -> None:
        """Lift the suspension."""
        found = self.installation(installation_id)
        found.suspended_at = None
        await self.events.installation(found, "unsuspend")

    async def delete_installation(self, installation_id: int) -> None:
        """Uninstall: tokens and repositories answer 404."""
        found = self.installation(installation_id)
        found.deleted = True
        await self.events.installation(found, "deleted")

    async def rename_repository(self, full_name: str, new_name: str) -> None:
        """Rename within the same owner; the old name redirects from now on."""
        repo = self.repository(full_name)
        former = repo.name
        repo.former_names.add(repo.full_name.lower())
        repo.name = new_name
        repo.former_names.discard(repo.full_name.lower())
        await self.events.renamed(repo, former)

    def set_permission(self, full_name: str, login: str, role: str) -> None:
        """Give a person a role: admin, maintain, write, triage, read or none."""
        if role not in ROLES:
            raise ConfigError(f"{role!r} is no role; there are: {', '.join(ROLES)}")
        self.world.account(login)
        self.repository(full_name).permissions[login.lower()] = role

    # --- what people do on a pull request ---------------------------------------------------------------------

    async def open_pull_request(
        self,
        repo: str,
        *,
        base: str,
        head: str,
        title: str,
        body: str | None = None,
        author: str = "octocat",
        draft: bool = False,
        fork: bool = False,
    ) -> int:
        """Open a pull request between two commits, given as branches or SHAs; gives its number."""
        place = self.repository(repo)
        git = place.git
        number = max(place.pulls, default=0) + 1
        who = self.world.account(author)
        now = self.world.now()
        pull = PullRequest(
            id=self.world.next_id(),
            number=number,
            title=title,
            body=body,
            author=who,
            base_ref=base if await git.is_branch(base) else place.default_branch,
            base_sha=await git.commit_sha(base),
            head_ref=head if await git.is_branch(head) else f"change-{number}",
            head_sha=await git.commit_sha(head),
            created_at=now,
            updated_at=now,
            draft=draft,
            fork=Fork(self.world.next_id(), place.name, who) if fork else None,
        )
        place.pulls[number] = pull
        place.point_refs(pull)
        await self.events.pull_request(place, pull, "opened", who)
        await self._request_suite(place, pull)
        return number

    async def push(self, repo: str, number: int, head: str) -> str:
        """Move the pull request's head to another commit, forward or by force; gives the new SHA."""
        place = self.repository(repo)
        await self._push(place, number, head)
        return place.pulls[number].head_sha

    async def close(self, repo: str, number: int, *, merged: bool = False) -> None:
        """Close, or merge, a pull request."""
        place, pull = self._pull(repo, number)
        pull.closed_at, pull.merged = self.world.now(), merged
        await self._changed(place, pull, "closed")

    async def reopen(self, repo: str, number: int) -> None:
        """Open a closed pull request again."""
        place, pull = self._pull(repo, number)
        pull.closed_at = None
        await self._changed(place, pull, "reopened")

    async def ready_for_review(self, repo: str, number: int) -> None:
        """A draft is a draft no more."""
        place, pull = self._pull(repo, number)
        pull.draft = False
        await self._changed(place, pull, "ready_for_review")

    async def convert_to_draft(self, repo: str, number: int) -> None:
        """Back to a draft."""
        place, pull = self._pull(repo, number)
        pull.draft = True
        await self._changed(place, pull, "converted_to_draft")

    async def comment(self, repo: str, number: int, body: str, *, author: str = "octocat") -> IssueComment:
        """Comment in the conversation."""
        place, pull = self._pull(repo, number)
        now = self.world.now()
        comment = IssueComment(self.world.next_id(), self.world.account(author), body, now, now)
        pull.issue_comments.append(comment)
        await self.events.issue_comment(place, pull, comment)
        return comment

    async def reply(
        self, repo: str, number: int, comment: ReviewComment, body: str, *, author: str = "octocat"
    ) -> ReviewComment:
        """Answer below the first comment of a thread on the diff."""
        place, pull = self._pull(repo, number)
        answer = pull.reply(self.world, comment, self.world.account(author), body)
        await self.events.review_comment(place, pull, answer)
        return answer

    async def resolve_thread(
        self, repo: str, number: int, comment: ReviewComment, *, resolved: bool = True, author: str = "octocat"
    ) -> None:
        """Resolve, or reopen, the thread that `comment` begins."""
        place, pull = self._pull(repo, number)
        comment.resolved = resolved
        await self.events.review_thread(place, pull, pull.thread(comment), self.world.account(author))

    async def rerequest_check_run(self, repo: str, check_run_id: int, *, author: str = "octocat") -> None:
        """Press "Re-run" on one check."""
        place = self.repository(repo)
        run = next((run for run in place.checks if run.id == check_run_id), None)
        if run is None:
            raise ConfigError(f"{repo} has no check run {check_run_id}")
        await self.events.check_run(place, run, "rerequested", self.world.account(author))

    async def rerequest_check_suite(self, repo: str, number: int, *, author: str = "octocat") -> None:
        """Press "Re-run all checks" on a pull request."""
        place, pull = self._pull(repo, number)
        await self.events.check_suite(place, pull.head_sha, "rerequested", self.world.account(author))

    # --- looking ----------------------------------------------------------------------------------------------

    def repository(self, full_name: str) -> Repository:
        """The repository of that name. Raises ConfigError."""
        found = self.world.repository(full_name)
        if found is None:
            known = ", ".join(repo.full_name for repo in self.world.repositories.values()) or "none"
            raise ConfigError(f"there is no repository {full_name}; there are: {known}")
        return found

    def pull(self, repo: str, number: int) -> PullRequest:
        """One pull request with everything on it. Raises ConfigError."""
        return self._pull(repo, number)[1]

    def reviews(self, repo: str, number: int) -> list[Review]:
        """All reviews of a pull request, pending ones included, oldest first."""
        return list(self.pull(repo, number).reviews)

    def comments(self, repo: str, number: int) -> list[ReviewComment]:
        """All comments on the diff, those of pending reviews included, oldest first."""
        return list(self.pull(repo, number).comments)

    def issue_comments(self, repo: str, number: int) -> list[IssueComment]:
        """The conversation, oldest first."""
        return list(self.pull(repo, number).issue_comments)

    def check_runs(self, repo: str, number: int | None = None) -> list[CheckRun]:
        """The check runs on the pull request's head, or all of the repository, oldest first."""
        place = self.repository(repo)
        head = None if number is None else self.pull(repo, number).head_sha
        return [run for run in place.checks if head in (None, run.head_sha)]

    @property
    def deliveries(self) -> list[Delivery]:
        """The delivery log, oldest first."""
        return list(self.webhooks.log)

    # --- trouble ----------------------------------------------------------------------------------------------

    def trouble(
        self,
        match: str,
        kind: Kind,
        *,
        times: int = 1,
        skip: int = 0,
        status: int | None = None,
        seconds: float | None = None,
        requests: int | None = None,
        retry_after: int | None = None,
        head: str | None = None,
        pull: int | None = None,
        hook: Callable[[], Awaitable[object]] | None = None,
    ) -> Trouble:
        """Script trouble for the next requests that match; see `trouble.Kind`. Gives the rule, which counts."""
        return self.troubles.add(
            Trouble(
                match=match, kind=kind, times=times, skip=skip, status=status, seconds=seconds, requests=requests,
                retry_after=retry_after, head=head, pull=pull, hook=hook,
            )
        )  # fmt: skip

    def expire_tokens(self) -> None:
        """Make every installation token given out so far worthless."""
        self.authority.expire_tokens()

    # --- within -----------------------------------------------------------------------------------------------

    def _pull(self, repo: str, number: int) -> tuple[Repository, PullRequest]:
        place = self.repository(repo)
        if number not in place.pulls:
            known = ", ".join(str(known) for known in place.pulls) or "none"
            raise ConfigError(f"{repo} has no pull request {number}; there are: {known}")
        return place, place.pulls[number]

    async def _push(self, place: Repository, number: int, head: str) -> None:
        _, pull = self._pull(place.full_name, number)
        before, after = pull.head_sha, await place.git.commit_sha(head)
        pull.head_sha, pull.updated_at = after, self.world.now()
        place.point_refs(pull)
        if pull.closed_at is None and before != after:
            extra = {"before": before, "after": after}
            await self.events.pull_request(place, pull, "synchronize", pull.author, extra)
            await self._request_suite(place, pull)

    async def _changed(self, place: Repository, pull: PullRequest, action: str) -> None:
        pull.updated_at = self.world.now()
        await self.events.pull_request(place, pull, action, pull.author)

    async def _request_suite(self, place: Repository, pull: PullRequest) -> None:
        if pull.fork is None:  # commits of a fork belong to no branch of this repository
            await self.events.check_suite(place, pull.head_sha, "requested", pull.author)
