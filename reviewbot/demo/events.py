"""What happens on the platform, told to the App: builds the payload of each event and has it delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence

from reviewbot.demo.answers import Json
from reviewbot.demo.changes import changes_of, place_of
from reviewbot.demo.shapes import accounts, checks, pulls
from reviewbot.demo.state import (
    Account,
    CheckRun,
    Installation,
    IssueComment,
    PullRequest,
    Repository,
    Review,
    ReviewComment,
    World,
    iso,
)  # fmt: skip
from reviewbot.demo.webhooks import Delivery, WebhookSender

# Sent to every App whether subscribed or not.
_UNASKED = ("installation", "installation_repositories", "ping")


class Events:
    """One method per event. They wait for the App's answer; `soon` sends one without waiting."""

    def __init__(self, world: World, webhooks: WebhookSender, *, echo: bool) -> None:
        self._world = world
        self._webhooks = webhooks
        self._echo = echo  # False: what the App does itself is not told back to it
        self._sending: set[asyncio.Task[object]] = set()

    def soon(self, telling: Coroutine[object, object, object]) -> None:
        """Tell of what the App did itself, after its request has been answered."""
        if not self._echo:
            telling.close()
            return
        self._send(telling)

    def redeliver(self, delivery: Delivery) -> None:
        """Send a logged delivery again without waiting for the answer."""
        self._send(self._webhooks.redeliver(delivery))

    async def settle(self) -> None:
        """Wait until everything sent by `soon` has been answered."""
        while self._sending:
            await asyncio.gather(*self._sending)

    async def close(self) -> None:
        """Give up what is still being sent."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def pull_request(
        self,
        repo: Repository,
        pull: PullRequest,
        action: str,
        sender: Account,
        extra: Mapping[str, object] | None = None,
    ) -> Delivery | None:
        """pull_request: opened, synchronize (with before and after), closed, reopened, ..."""
        shown = pulls.full_pull(self._world, repo, pull, await changes_of(repo, pull))
        payload = {"action": action, "number": pull.number, "pull_request": shown, **(extra or {})}
        return await self._about(repo, "pull_request", payload, sender)

    async def issue_comment(self, repo: Repository, pull: PullRequest, comment: IssueComment) -> Delivery | None:
        """issue_comment.created."""
        payload = {
            "action": "created",
            "issue": pulls.issue(self._world, repo, pull),
            "comment": pulls.issue_comment(self._world, repo, pull, comment),
        }
        return await self._about(repo, "issue_comment", payload, comment.author)

    async def review(self, repo: Repository, pull: PullRequest, review: Review, action: str) -> Delivery | None:
        """pull_request_review: submitted, edited, dismissed. Deliveries write the state in lower case."""
        shown = pulls.review(self._world, repo, pull, review)
        payload = {
            "action": action,
            "review": shown | {"state": review.state.lower(), "body": review.body or None},
            "pull_request": pulls.simple_pull(self._world, repo, pull),
        }
        return await self._about(repo, "pull_request_review", payload, review.author)

    async def review_comment(self, repo: Repository, pull: PullRequest, comment: ReviewComment) -> Delivery | None:
        """pull_request_review_comment.created."""
        payload = {
            "action": "created",
            "comment": await self._comment(repo, pull, comment),
            "pull_request": pulls.simple_pull(self._world, repo, pull),
        }
        return await self._about(repo, "pull_request_review_comment", payload, comment.author)

    async def review_thread(
        self, repo: Repository, pull: PullRequest, thread: Sequence[ReviewComment], sender: Account
    ) -> Delivery | None:
        """pull_request_review_thread: resolved or unresolved. A thread is its comments, first one first."""
        first = thread[0]
        payload = {
            "action": "resolved" if first.resolved else "unresolved",
            "pull_request": pulls.simple_pull(self._world, repo, pull),
            "thread": {
                "node_id": accounts.node_id("PRRT", first.id),
                "comments": [await self._comment(repo, pull, comment) for comment in thread],
            },
        }
        return await self._about(repo, "pull_request_review_thread", payload, sender)

    async def check_run(self, repo: Repository, run: CheckRun, action: str, sender: Account) -> Delivery | None:
        """check_run: created, completed, rerequested."""
        commit = await repo.git.commit(run.head_sha)
        payload = {"action": action, "check_run": checks.hooked_check_run(self._world, repo, run, commit)}
        return await self._about(repo, "check_run", payload, sender)

    async def check_suite(self, repo: Repository, head_sha: str, action: str, sender: Account) -> Delivery | None:
        """check_suite: requested, rerequested."""
        commit = await repo.git.commit(head_sha)
        payload = {"action": action, "check_suite": checks.check_suite(self._world, repo, head_sha, commit)}
        return await self._about(repo, "check_suite", payload, sender)

    async def renamed(self, repo: Repository, former: str) -> Delivery | None:
        """repository.renamed."""
        payload = {"action": "renamed", "changes": {"repository": {"name": {"from": former}}}}
        return await self._about(repo, "repository", payload, repo.owner)

    async def installation(self, item: Installation, action: str) -> Delivery | None:
        """installation: created, deleted, suspend, unsuspend."""
        shown = [accounts.minimal_repository(repo) for repo in self._world.repositories_of(item)]
        payload: Json = {"action": action, "installation": accounts.installation(self._world, item)}
        if action in ("created", "deleted"):
            payload["repositories"] = shown
            payload["requester"] = None
        return await self._tell("installation", payload, item.account, item)

    async def repositories(
        self, item: Installation, added: Sequence[Repository], removed: Sequence[Repository]
    ) -> None:
        """installation_repositories: added and removed."""
        for action, changed in (("added", added), ("removed", removed)):
            if changed:
                payload = {
                    "action": action,
                    "installation": accounts.installation(self._world, item),
                    "repository_selection": "selected",
                    "repositories_added": [accounts.minimal_repository(repo) for repo in added],
                    "repositories_removed": [accounts.minimal_repository(repo) for repo in removed],
                    "requester": None,
                }
                await self._tell("installation_repositories", payload, item.account, item)

    async def ping(self) -> Delivery | None:
        """ping: what a webhook gets first."""
        hook_id, world = self._webhooks.hook_id, self._world
        hook = {
            "type": "App",
            "id": hook_id,
            "name": "web",
            "active": True,
            "app_id": world.app_id,
            "events": list(world.events),
            "config": {"content_type": "json", "insecure_ssl": "0", "url": self._webhooks.url or ""},
            "created_at": iso(world.started_at),
            "updated_at": iso(world.started_at),
            "deliveries_url": f"{world.api_url}/app/hook/deliveries",
        }
        payload = {"zen": "Keep it logically awesome.", "hook_id": hook_id, "hook": hook}
        return await self._webhooks.deliver("ping", payload)

    def _send(self, sending: Coroutine[object, object, object]) -> None:
        task = asyncio.ensure_future(sending)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _comment(self, repo: Repository, pull: PullRequest, comment: ReviewComment) -> Json:
        return pulls.comment(self._world, repo, pull, comment, await place_of(repo, pull, comment))

    async def _about(
        self, repo: Repository, event: str, payload: Mapping[str, object], sender: Account
    ) -> Delivery | None:
        """Add what every event of a repository carries, and send it."""
        whole = {**payload, "repository": accounts.hooked_repository(self._world, repo)}
        if repo.owner.type == "Organization":
            whole["organization"] = accounts.organization(self._world, repo.owner)
        item = repo.installation
        whole["installation"] = {"id": item.id, "node_id": accounts.node_id("I", item.id)}
        return await self._tell(event, whole, sender, item, repo)

    async def _tell(
        self,
        event: str,
        payload: Mapping[str, object],
        sender: Account,
        item: Installation,
        repo: Repository | None = None,
    ) -> Delivery | None:
        told_anyway = event in _UNASKED
        if not told_anyway and (event not in self._world.events or item.suspended_at or item.deleted):
            return None
        whole = {**payload, "sender": accounts.account(self._world, sender)}
        return await self._webhooks.deliver(
            event, whole, installation_id=item.id, repository_id=repo.id if repo else None
        )
