"""`installation`: an account installed, removed, suspended or unsuspended the App, or accepted its permissions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from gidgethub.routing import Router

from reviewbot.webhooks.incoming import Decision, Id, Incoming, Moment, Name, Told, decides
from schema.events import (
    InstallationCreated,
    InstallationDeleted,
    InstallationSuspended,
    InstallationUnsuspended,
    PermissionsAccepted,
)

router = Router()

Epoch = Annotated[int, msgspec.Meta(ge=0, le=4_102_444_800)]  # seconds, to the end of this century


class Account(msgspec.Struct, frozen=True):
    id: Id
    login: Name | None = None
    slug: Name | None = None  # of an enterprise, which has no login


class Installation(msgspec.Struct, frozen=True):
    id: Id
    account: Account
    created_at: Moment | Epoch  # older deliveries have the number of seconds
    updated_at: Moment | Epoch
    suspended_at: Moment | Epoch | None = None


class Payload(msgspec.Struct, frozen=True):
    installation: Installation


@router.register("installation", action="created")
@decides
async def created(incoming: Incoming) -> Decision:
    installation = incoming.read(Payload).installation
    account = installation.account
    fact = InstallationCreated(
        installation=installation.id,
        account_id=account.id,
        account=account.login or account.slug or str(account.id),
        at=_moment(incoming, installation.created_at),
    )
    return Told((fact,))


@router.register("installation", action="suspend")
@decides
async def suspended(incoming: Incoming) -> Decision:
    installation = incoming.read(Payload).installation
    at = _moment(incoming, installation.suspended_at or installation.updated_at)
    return Told((InstallationSuspended(installation=installation.id, at=at),))


# Nothing in these two says when it happened. Taken for older than a suspension, an "unsuspend" would be lost for ever.


@router.register("installation", action="unsuspend")
@decides
async def unsuspended(incoming: Incoming) -> Decision:
    installation = incoming.read(Payload).installation
    return Told((InstallationUnsuspended(installation=installation.id, at=incoming.received_at),))


@router.register("installation", action="deleted")
@decides
async def deleted(incoming: Incoming) -> Decision:
    installation = incoming.read(Payload).installation
    return Told((InstallationDeleted(installation=installation.id, at=incoming.received_at),))


@router.register("installation", action="new_permissions_accepted")
@decides
async def permissions_accepted(incoming: Incoming) -> Decision:
    installation = incoming.read(Payload).installation
    return Told((PermissionsAccepted(installation=installation.id, at=_moment(incoming, installation.updated_at)),))


def _moment(incoming: Incoming, value: datetime | int) -> datetime:
    moment = datetime.fromtimestamp(value, UTC) if isinstance(value, int) else value
    return incoming.not_later_than_now(moment)
