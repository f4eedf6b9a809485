"""`check_run`: somebody pressed "Re-run" on a Check Run of ours."""

from __future__ import annotations

from uuid import UUID

import msgspec
from gidgethub.routing import Router

from reviewbot.webhooks.incoming import (
    Account,
    Decision,
    Id,
    Ignored,
    Incoming,
    Moment,
    Ref,
    Repository,
    Sha,
    decides,
)

router = Router()

ASK_AGAIN = "review"  # identifier of the button that asks for another review


class Suite(msgspec.Struct, frozen=True):
    updated_at: Moment | None = None


class CheckRun(msgspec.Struct, frozen=True):
    id: Id
    head_sha: Sha
    app: Ref
    external_id: str | None = None  # our job
    completed_at: Moment | None = None
    check_suite: Suite | None = None


class Button(msgspec.Struct, frozen=True):
    identifier: str


class Payload(msgspec.Struct, frozen=True):
    installation: Ref
    repository: Repository
    sender: Account
    check_run: CheckRun
    requested_action: Button | None = None


@router.register("check_run", action="rerequested")
@router.register("check_run", action="requested_action")
@decides
async def asked_again(incoming: Incoming) -> Decision:
    """The same pull request once more; it is found by the job that the Check Run carries."""
    payload = incoming.read(Payload)
    run = payload.check_run
    if run.app.id != incoming.app.id:
        return Ignored("the Check Run belongs to another App", head_sha=run.head_sha)
    if payload.sender.is_bot:
        return Ignored("a bot did this", head_sha=run.head_sha)
    if payload.requested_action is not None and payload.requested_action.identifier != ASK_AGAIN:
        return Ignored("the button is unknown", head_sha=run.head_sha)
    job = _job(run.external_id)
    before = await incoming.known.request(job) if job else None
    if before is None or before.repository_id != payload.repository.id:
        return Ignored("the Check Run names no review of ours", head_sha=run.head_sha)
    moments = [run.completed_at, run.check_suite.updated_at if run.check_suite else None]
    return incoming.request(
        installation=payload.installation.id,
        repository=payload.repository,
        pull_request=before.pull_request,
        head_sha=run.head_sha,
        trigger="check_run_rerequested",
        asked_at=max((moment for moment in moments if moment), default=incoming.received_at),
        key=f"check_run:{run.id}",
    )


def _job(external_id: str | None) -> UUID | None:
    try:
        return UUID(external_id or "")
    except ValueError:
        return None
