"""Every event that ReviewBot understands, and the way from a delivery to its decision."""

from __future__ import annotations

from collections.abc import Mapping

from gidgethub import sansio
from gidgethub.routing import Router

from reviewbot.webhooks import (
    check_run,
    check_suite,
    installation,
    installation_repositories,
    issue_comment,
    pull_request,
    repository,
)
from reviewbot.webhooks.incoming import Decision, Ignored, Incoming

ROUTERS: Mapping[str, Router] = {  # by event
    "check_run": check_run.router,
    "check_suite": check_suite.router,
    "installation": installation.router,
    "installation_repositories": installation_repositories.router,
    "issue_comment": issue_comment.router,
    "pull_request": pull_request.router,
    "repository": repository.router,
}
_router = Router(*ROUTERS.values())

# Events that ask for nothing, though one might expect it.
_REASONS = {
    "ping": "ping",
    "merge_group": "merge groups are not reviewed: each of their pull requests was",
}


async def decide(incoming: Incoming) -> Decision:
    """What becomes of a delivery. Raises NotUnderstood, and OperationalError when a look-up fails."""
    action = incoming.envelope.action
    event = sansio.Event({"action": action}, event=incoming.event, delivery_id=str(incoming.delivery))
    await _router.dispatch(event, incoming)
    return incoming.decision or Ignored(_REASONS.get(incoming.event) or _nothing_asked(incoming.event, action))


def _nothing_asked(event: str, action: str | None) -> str:
    return f"{event}.{action} asks for nothing" if action else f"{event} asks for nothing"
