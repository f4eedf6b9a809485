"""`check_suite`: somebody pressed "Re-run all checks" on a commit of ours."""

from __future__ import annotations

import msgspec
from gidgethub.routing import Router

from reviewbot.webhooks.incoming import (
    Account,
    Decision,
    Id,
    Ignored,
    Incoming,
    Moment,
    Number,
    Ref,
    Repository,
    Requests,
    Sha,
    decides,
)

router = Router()

MOST = 20  # pull requests of one commit that are reviewed again at one request


class Base(msgspec.Struct, frozen=True):
    repo: Ref


class PullRequest(msgspec.Struct, frozen=True):
    number: Number
    base: Base


class CheckSuite(msgspec.Struct, frozen=True):
    id: Id
    head_sha: Sha
    app: Ref
    updated_at: Moment
    pull_requests: list[PullRequest] | None = None


class Payload(msgspec.Struct, frozen=True):
    installation: Ref
    repository: Repository
    sender: Account
    check_suite: CheckSuite


@router.register("check_suite", action="rerequested")
@decides
async def asked_again(incoming: Incoming) -> Decision:
    payload = incoming.read(Payload)
    suite = payload.check_suite
    if suite.app.id != incoming.app.id:
        return Ignored("the check suite belongs to another App", head_sha=suite.head_sha)
    if payload.sender.is_bot:
        return Ignored("a bot did this", head_sha=suite.head_sha)
    numbers = await _pull_requests(incoming, payload)
    if not numbers:
        return Ignored("the commit belongs to no pull request that was reviewed", head_sha=suite.head_sha)
    requests = [
        incoming.request(
            installation=payload.installation.id,
            repository=payload.repository,
            pull_request=number,
            head_sha=suite.head_sha,
            trigger="check_suite_rerequested",
            asked_at=suite.updated_at,
            key=f"check_suite:{suite.id}:{suite.updated_at.isoformat()}",
        )
        for number in numbers
    ]
    return Requests(tuple(requests)) if len(requests) > 1 else requests[0]


async def _pull_requests(incoming: Incoming, payload: Payload) -> list[int]:
    """As GitHub says, who names none for forks and may name one of another repository; else as we remember."""
    named = [
        pull.number for pull in payload.check_suite.pull_requests or () if pull.base.repo.id == payload.repository.id
    ]
    if not named:
        named = await incoming.known.pull_requests_of_head(payload.repository.id, payload.check_suite.head_sha)
    return list(dict.fromkeys(named))[:MOST]
