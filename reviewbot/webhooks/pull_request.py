"""`pull_request`: pushes ask for a review, drafts wait unless the repository wants them reviewed, closing ends it."""

from __future__ import annotations

import msgspec
from gidgethub.routing import Router

from reviewbot.review import PUSH
from reviewbot.webhooks.incoming import (
    Account,
    Commit,
    Decision,
    Ignored,
    Incoming,
    Moment,
    Number,
    Ref,
    Repository,
    Told,
    decides,
)
from schema.events import PullRequestClosed, PullRequestDrafted, Trigger

router = Router()

TRIGGERS: dict[str, Trigger] = {
    "opened": "opened",
    "synchronize": "synchronize",
    "reopened": "reopened",
    "ready_for_review": "ready_for_review",
}


class PullRequest(msgspec.Struct, frozen=True):
    number: Number
    head: Commit
    base: Commit
    updated_at: Moment
    draft: bool | None = None
    merged: bool | None = None
    closed_at: Moment | None = None


class Changes(msgspec.Struct, frozen=True):
    base: object | None = None  # present when the pull request now goes to another branch


class Payload(msgspec.Struct, frozen=True):
    action: str
    installation: Ref
    repository: Repository
    sender: Account
    pull_request: PullRequest
    changes: Changes | None = None


@router.register("pull_request", action="opened")
@router.register("pull_request", action="synchronize")
@router.register("pull_request", action="reopened")
@router.register("pull_request", action="ready_for_review")
@decides
async def pushed(incoming: Incoming) -> Decision:
    """A new head, or one that is now ready: one review per head, however it came to be the head."""
    payload = incoming.read(Payload)
    return await _asked(incoming, payload, TRIGGERS[payload.action])


@router.register("pull_request", action="converted_to_draft")
@decides
async def converted_to_draft(incoming: Incoming) -> Decision:
    payload = incoming.read(Payload)
    if await _reviews_drafts(incoming, payload):
        return Ignored("this repository has drafts reviewed, too")
    return _drafted(incoming, payload)


@router.register("pull_request", action="closed")
@decides
async def closed(incoming: Incoming) -> Decision:
    """Merged or not, by whomever: what is pending ends."""
    payload = incoming.read(Payload)
    pull = payload.pull_request
    fact = PullRequestClosed(
        installation=payload.installation.id,
        repository_id=payload.repository.id,
        repository=payload.repository.full_name,
        pull_request=pull.number,
        merged=bool(pull.merged),
        at=incoming.not_later_than_now(pull.closed_at or pull.updated_at),
    )
    return Told((fact,))


@router.register("pull_request", action="edited")
@decides
async def edited(incoming: Incoming) -> Decision:
    """Another base branch makes another diff of the same head; a new title or text does not."""
    payload = incoming.read(Payload)
    pull = payload.pull_request
    if payload.changes is None or payload.changes.base is None:
        return Ignored("only the title or the text was edited", pull.number, pull.head.sha)
    return await _asked(incoming, payload, "base_changed", key=f"base:{pull.base.sha}")


async def _asked(incoming: Incoming, payload: Payload, trigger: Trigger, key: str = PUSH) -> Decision:
    pull, sender = payload.pull_request, payload.sender
    if pull.draft and not await _reviews_drafts(incoming, payload):
        return _drafted(incoming, payload)
    if sender.is_bot:
        return Ignored("a bot did this", pull.number, pull.head.sha)
    return incoming.request(
        installation=payload.installation.id,
        repository=payload.repository,
        pull_request=pull.number,
        head_sha=pull.head.sha,
        trigger=trigger,
        asked_at=pull.updated_at,
        key=key,
    )


async def _reviews_drafts(incoming: Incoming, payload: Payload) -> bool:
    return await incoming.known.reviews_drafts(payload.installation.id, payload.repository.id)


def _drafted(incoming: Incoming, payload: Payload) -> Told:
    fact = PullRequestDrafted(
        installation=payload.installation.id,
        repository_id=payload.repository.id,
        repository=payload.repository.full_name,
        pull_request=payload.pull_request.number,
        head_sha=payload.pull_request.head.sha,
        at=incoming.not_later_than_now(payload.pull_request.updated_at),
    )
    return Told((fact,))
